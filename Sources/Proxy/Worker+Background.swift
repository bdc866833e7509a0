import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Requests without a client: those that the host makes for a cache, and fills whose client has
/// left.
///
/// In place of the client stands a `Downstream` without a socket, to which all can be written.
extension Worker {
    /// Whether one more request may go on without a client.
    private var hasRoomAlone: Bool {
        let most = current.pointee.plan._withUnsafeGuaranteedRef { $0.backgroundRequests }
        return absentCount < most && !isDraining
    }

    // MARK: Of the host's own

    /// Begins a request in the background for the one that a cache was asked about.
    ///
    /// - Returns: false when a bound is reached.
    mutating func beginAlone(for cause: UnsafeMutablePointer<Exchange>) -> Bool {
        guard cause.pointee.context.flags & UInt32(SLUICE_ARGS_INTERNAL) == 0, hasRoomAlone,
            let down = makeAbsent(like: cause.pointee.down)
        else { return false }
        guard let exchange = makeOwnRequest(cause, down) else {
            endAlone(down)
            return false
        }
        exchange.pointee.context.flags = UInt32(SLUICE_ARGS_INTERNAL)
        exchange.pointee.flags.insert(.closeDownstream)
        copyTLSFacts(from: cause, to: exchange)
        // Hooks of the cause run now: its own turn comes behind the others of the batch.
        down.pointee.state = .due
        enqueue(down)
        return true
    }

    /// The request that a cause came as, as a GET for the whole.
    private mutating func makeOwnRequest(
        _ cause: UnsafeMutablePointer<Exchange>,
        _ down: UnsafeMutablePointer<Downstream>
    ) -> UnsafeMutablePointer<Exchange>? {
        let bytes = cause.pointee.context.request.head
        var head = RequestHead()
        // As it was received: the hooks of the chain run for it anew.
        let outcome = HeadParser.parseRequest(
            bytes,
            count: Int(cause.pointee.head.byteCount),
            limits: cause.pointee.listener.pointee.head,
            fields: requestFields,
            into: &head
        )
        guard outcome == .complete else { return nil }
        for index in 0..<min(Int(head.fieldCount), cause.pointee.context.request.fieldCount) {
            requestFields[index].flags |=
                cause.pointee.context.request.fields[index].flags & FieldSpan.neverIndexed
        }
        head.method = .get
        head.framing = .none
        head.flags.subtract([.expectContinue, .upgrade])
        guard let exchange = makeExchange(down, bytes, head) else { return nil }
        if exchange.pointee.generation != cause.pointee.generation {
            let generation = cause.pointee.generation
            generation.pointee.holders &+= 1
            release(exchange.pointee.generation)
            exchange.pointee.generation = generation
            exchange.pointee.chain = generation.pointee.globalChain
        }
        exchange.pointee.context.request.method = Slice("GET")
        exchange.pointee.context.request.drop(.contentLength)
        exchange.pointee.context.request.drop(.expect)
        exchange.pointee.context.request.dropConditions()
        return exchange
    }

    /// Begins what `beginAlone` has made.
    mutating func startAlone(_ down: UnsafeMutablePointer<Downstream>) {
        guard let exchange = down.pointee.exchange else { return }
        down.pointee.state = .exchange
        start(exchange)
    }

    /// The response of a request without a client is not stored, so nobody wants it; false when
    /// there is a client.
    mutating func endsUnwanted(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard exchange.pointee.down.pointee.isAbsent else { return false }
        let isWhole = arrived.bytes != nil && isReusable(exchange, bodyCount: arrived.count)
        detachUpstream(exchange, reuse: isWhole)
        finish(exchange)
        return true
    }

    // MARK: Whose client has left

    /// Lets a fill go on whose client has left; false when it ends as any other request.
    @inline(never)
    mutating func goesOnAlone(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let state = exchange.pointee.cache,
            state.pointee.step == .miss || state.pointee.step == .store,
            exchange.pointee.requestBody.reader.isDone, exchange.pointee.response != .collect,
            hasRoomAlone, let down = makeAbsent(like: exchange.pointee.down)
        else { return false }
        let client = exchange.pointee.down
        copyTLSFacts(from: exchange, to: exchange)
        exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_CLIENT_GONE)
        exchange.pointee.flags.insert(.closeDownstream)
        releaseHeld(&exchange.pointee.responseBody)
        exchange.pointee.responseBody.awaitsWire = false
        exchange.pointee.responseBody.endsHeld = false
        exchange.pointee.responseBody.isBlocked = false
        exchange.pointee.down = down
        down.pointee.exchange = exchange
        down.pointee.state = .exchange
        client.pointee.exchange = nil
        if client.pointee.isStream {
            endStream(client, .cancel)
        } else {
            close(client)
        }
        // What it waited for may be there already.
        enqueue(down)
        return true
    }

    // MARK: In place of a client

    private mutating func makeAbsent(
        like client: UnsafeMutablePointer<Downstream>
    ) -> UnsafeMutablePointer<Downstream>? {
        guard let down = downstreams.take() else { return nil }
        down.initialize(
            to: Downstream(
                fd: -1,
                listener: Int(client.pointee.listener),
                ip: client.pointee.ip,
                port: client.pointee.port
            )
        )
        down.pointee.flags = .absent
        down.pointee.nextOpen = firstAbsent
        firstAbsent?.pointee.previousOpen = down
        firstAbsent = down
        absentCount &+= 1
        return down
    }

    /// Forgets what stood for a client.
    mutating func endAlone(_ down: UnsafeMutablePointer<Downstream>) {
        down.pointee.flags.insert(.dead)
        timers.cancel(timer(of: down))
        if let up = down.pointee.keptUpstream { closeUpstream(up) }
        if let previous = down.pointee.previousOpen {
            previous.pointee.nextOpen = down.pointee.nextOpen
        } else {
            firstAbsent = down.pointee.nextOpen
        }
        down.pointee.nextOpen?.pointee.previousOpen = down.pointee.previousOpen
        absentCount &-= 1
        down.pointee.nextDead = deadDownstreams
        deadDownstreams = down
    }

    /// Cuts requests without a client, of one generation or of all; how many.
    mutating func endAllAlone(ofGeneration number: UInt32?) -> Int {
        var count = 0
        var next = firstAbsent
        while let down = next {
            next = down.pointee.nextOpen
            guard let exchange = down.pointee.exchange, !exchange.pointee.isEnded,
                number == nil || exchange.pointee.generation.pointee.number == number
            else { continue }
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_RESET)
            cut(exchange)
            count += 1
        }
        return count
    }

    /// Keeps what is known of the client's TLS, which goes with its connection.
    private func copyTLSFacts(
        from cause: UnsafeMutablePointer<Exchange>,
        to exchange: UnsafeMutablePointer<Exchange>
    ) {
        exchange.pointee.context.facts.secure = cause.pointee.context.facts.secure
        guard let facts = cause.pointee.context.facts.tls,
            let copy = exchange.pointee.context.arena.allocate(sluice_tls_facts.self, count: 1)
        else {
            exchange.pointee.context.facts.tls = nil
            return
        }
        copy.initialize(to: facts.pointee)
        keep(&copy.pointee.server_name, exchange)
        keep(&copy.pointee.client_subject, exchange)
        keep(&copy.pointee.client_fingerprint, exchange)
        exchange.pointee.context.facts.tls = UnsafePointer(copy)
    }

    private func keep(
        _ text: inout sluice_slice,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        guard let bytes = text.ptr, text.len > 0 else { return }
        let kept = exchange.pointee.context.keep(bytes, Int(text.len))
        text = kept.map { sluice_slice($0) } ?? sluice_slice()
    }
}
