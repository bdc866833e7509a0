import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Streams of HTTP/2 as exchanges: how they begin, take their request's body, and end.
extension Worker {
    /// The stream that an event is about; nil when it has ended here.
    func stream(_ reference: H2StreamReference) -> UnsafeMutablePointer<Downstream>? {
        // Safe: the user pointer is the stream's `Downstream` until it ends.
        reference.user?.assumingMemoryBound(to: Downstream.self)
    }

    // MARK: Beginning

    /// Begins a request whose head stands in `headText`.
    ///
    /// - Parameters:
    ///   - request: what its block told besides.
    ///   - tunnels: it asks for a tunnel, so what follows is no body.
    mutating func beginStream(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers,
        _ count: Int,
        _ request: FieldBlock.Request,
        tunnels: Bool
    ) {
        let id = headers.stream.id
        let length = request.contentLength < 0 ? nil : request.contentLength
        let owner = session.pointee.owner
        let listener = listeners + Int(owner.pointee.listener)
        var head = RequestHead()
        let outcome = HeadParser.parseRequest(
            headText,
            count: count,
            limits: listener.pointee.head,
            fields: requestFields,
            into: &head
        )
        guard outcome == .complete else {
            refuseHead(session, headers, outcome)
            return
        }
        request.neverIndexed.mark(requestFields, count: Int(head.fieldCount))
        if headers.endStream {
            head.framing = .none
        } else if length == nil, !tunnels {
            head.framing = .chunked
        }
        guard let down = openStream(session, headers) else { return }
        // Streams whose client said none take turns.
        if request.hasPriority { session.pointee.connection.setPriority(id, request.priority) }
        if let length { session.pointee.connection.setExpectedLength(id, UInt64(length)) }
        if tunnels { down.pointee.flags.insert(.tunnels) }
        guard let exchange = makeExchange(down, headText, head) else {
            endStream(down, .internalError)
            return
        }
        if !headers.endStream, length == nil, !tunnels {
            exchange.pointee.requestBody.reader = BodyReader(.untilClose)
        } else if length == nil, head.method.expectsContent {
            // RFC 9110 §8.6: a peer that speaks HTTP/1 is told that there is none.
            _ = exchange.pointee.context.request.setContentLength(
                0,
                arena: &exchange.pointee.context.arena
            )
        }
        start(exchange)
    }

    /// What stands for a new stream; nil when it was refused, for want of memory.
    ///
    /// With the request that reaches `limits.requests` the connection is drained.
    private mutating func openStream(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers
    ) -> UnsafeMutablePointer<Downstream>? {
        let id = headers.stream.id
        let owner = session.pointee.owner
        guard let down = downstreams.take() else {
            session.pointee.connection.resetStream(id, .refusedStream)
            http2.streamsRefused &+= UInt64(session.pointee.connection.takeRefusedCount())
            return nil
        }
        down.initialize(
            to: Downstream(
                fd: -1,
                listener: Int(owner.pointee.listener),
                ip: owner.pointee.ip,
                port: owner.pointee.port
            )
        )
        down.pointee.session = session
        down.pointee.stream = id
        down.pointee.nextOpen = session.pointee.firstStream
        session.pointee.firstStream?.pointee.previousOpen = down
        session.pointee.firstStream = down
        session.pointee.connection.setUser(id, UnsafeMutableRawPointer(down))
        if headers.endStream { down.pointee.flags.insert(.ended) }
        http2.streams &+= 1
        owner.pointee.requests &+= 1
        let listener = listeners + Int(owner.pointee.listener)
        if Int(owner.pointee.requests) >= listener.pointee.settings.limits.requests {
            drainSession(owner)
        }
        return down
    }

    /// The head is good HTTP/2, but over a bound, or not what HTTP allows.
    private mutating func refuseHead(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers,
        _ outcome: HeadOutcome
    ) {
        guard case .invalid(let error) = outcome else {
            endMalformed(session, headers, "the head has no end")
            return
        }
        let reason = error.limitName ?? "\(error)"
        if error.status == 400 {
            endMalformed(session, headers, reason)
        } else {
            refuseStream(session, headers, error.status, reason)
        }
    }

    /// Answers a head that is good HTTP/2, but over a bound or for something that is not there.
    ///
    /// - Parameter reason: for the log.
    mutating func refuseStream(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers,
        _ status: UInt16,
        _ reason: String
    ) {
        let owner = session.pointee.owner
        log.write(3) { line in
            line.number(Int(status))
            line.text(": request refused: ")
            line.text(reason)
            line.text("; client ")
            line.address(owner.pointee.ip, port: owner.pointee.port)
        }
        guard let down = openStream(session, headers) else { return }
        refuse(
            down,
            status: status,
            outcome: UInt32(SLUICE_OUTCOME_MALFORMED),
            reason: reason
        )
    }

    /// Resets the stream of a request that breaks a rule (RFC 9113 §8.1.1).
    ///
    /// Plugins are told of its end, as of that of a malformed request of HTTP/1.1; there is no
    /// answer that they could see.
    ///
    /// - Parameter reason: for the log.
    mutating func endMalformed(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers,
        _ reason: String
    ) {
        let owner = session.pointee.owner
        log.write(3) { line in
            line.text("HTTP/2 stream error: ")
            line.text(reason)
            line.text("; client ")
            line.address(owner.pointee.ip, port: owner.pointee.port)
        }
        guard headers.isNew else {
            guard let down = stream(headers.stream) else { return }
            if let exchange = down.pointee.exchange { noteReason(exchange, text: reason) }
            streamIsMalformed(down)
            return
        }
        guard let down = openStream(session, headers) else { return }
        if let exchange = makeEmptyExchange(down) {
            noteReason(exchange, text: reason)
            enterChain(exchange)
        }
        streamIsMalformed(down)
    }

    // MARK: The request's body

    /// Takes a piece of a request's body.
    mutating func takeData(_ session: UnsafeMutablePointer<H2Session>, _ data: H2Data) {
        guard let down = stream(data.stream), let exchange = down.pointee.exchange else {
            session.pointee.connection.consume(data.stream.id, data.count)
            return
        }
        if data.endStream { down.pointee.flags.insert(.ended) }
        exchange.pointee.lastRead = now
        if let bytes = data.bytes, data.count > 0 {
            if down.pointee.inputCount > 0 {
                appendInput(down, bytes, data.count)
            } else {
                rest = bytes
                restCount = data.count
                restOwner = down
            }
        }
        advance(exchange)
        keepRest(down)
    }

    /// Puts bytes behind those that wait: no more than a stream's window.
    private mutating func appendInput(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        guard let input = down.pointee.input else { return }
        let (start, end) = (Int(down.pointee.inputStart), Int(down.pointee.inputEnd))
        if end &+ count <= Int(down.pointee.inputCapacity) {
            (input + end).update(from: bytes, count: count)
            down.pointee.inputEnd &+= UInt32(count)
            return
        }
        let have = end &- start
        let block = buffers.take(have &+ count)
        block.bytes.update(from: input + start, count: have)
        (block.bytes + have).update(from: bytes, count: count)
        buffers.give(Block(bytes: input, capacity: Int(down.pointee.inputCapacity)))
        down.pointee.input = block.bytes
        down.pointee.inputCapacity = UInt32(block.capacity)
        down.pointee.inputStart = 0
        down.pointee.inputEnd = UInt32(have &+ count)
    }

    /// The client may send as many bytes more as were passed on.
    mutating func credit(_ down: UnsafeMutablePointer<Downstream>, _ count: Int) {
        guard let session = down.pointee.session, count > 0 else { return }
        session.pointee.connection.consume(down.pointee.stream, count)
        wake(session)
    }

    /// Notes the end of the body once all of it was passed on.
    mutating func noteEnd(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        if down.pointee.flags.contains(.ended), waitingInput(down) == nil {
            exchange.pointee.requestBody.reader.finish()
        }
    }

    // MARK: Ends

    /// The client has cancelled the stream, or its connection is gone.
    mutating func streamIsGone(_ down: UnsafeMutablePointer<Downstream>) {
        if let exchange = down.pointee.exchange {
            clientGone(exchange)
        } else {
            endStream(down, .cancel)
        }
    }

    /// The client broke a rule on the stream.
    mutating func streamIsMalformed(_ down: UnsafeMutablePointer<Downstream>) {
        if let exchange = down.pointee.exchange {
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_MALFORMED)
            abandon(exchange)
        }
        endStream(down, .protocolError)
    }

    /// Lets go of a stream, whose exchange has ended.
    ///
    /// - Parameter code: why, when the stream is not over yet.
    mutating func endStream(_ down: UnsafeMutablePointer<Downstream>, _ code: H2ErrorCode) {
        guard !down.pointee.flags.contains(.dead), let session = down.pointee.session else {
            return
        }
        if session.pointee.connection.isOpen(down.pointee.stream) {
            session.pointee.connection.setUser(down.pointee.stream, nil)
            session.pointee.connection.resetStream(down.pointee.stream, code)
        }
        if let previous = down.pointee.previousOpen {
            previous.pointee.nextOpen = down.pointee.nextOpen
        } else {
            session.pointee.firstStream = down.pointee.nextOpen
        }
        down.pointee.nextOpen?.pointee.previousOpen = down.pointee.previousOpen
        down.pointee.flags.insert(.dead)
        timers.cancel(timer(of: down))
        if restOwner == down { restCount = 0 }
        freeInput(down)
        if session.pointee.firstStream == nil { noteRest(session) }
        down.pointee.nextDead = deadDownstreams
        deadDownstreams = down
        wake(session)
    }
}
