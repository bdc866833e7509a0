import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Choosing a peer, getting a connection to it, and trying again.
extension Worker {
    /// Begins the next attempt of a request; answers it when there is none left.
    mutating func attempt(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let upstream = exchange.pointee.upstream else { return }
        if let plan = upstream.pointee.failover, !enter(exchange, plan) { return }
        while exchange.pointee.attempts < upstream.pointee.retries.attempts {
            // The only peer was tried: asking it again at once would get the same answer.
            if upstream.pointee.pick == nil, exchange.pointee.tried != nil { break }
            exchange.pointee.attempts &+= 1
            exchange.pointee.context.facts.attempt = UInt32(
                truncatingIfNeeded: exchange.pointee.attempts
            )
            exchange.pointee.context.facts.time_attempt = nowNanoseconds
            if exchange.pointee.attempts > 1 { forgetAttempt(exchange) }
            guard let local = pick(exchange, upstream) else {
                if findsNoRoom(exchange) { return }
                guard exchange.pointee.attempts == 1 else { break }
                reply(exchange, 503, reason: "the balancer has no peer")
                return
            }
            let peer = upstream.pointee.peer(local)
            exchange.pointee.context.facts.peer = sluice_slice(peers[peer].text)
            exchange.pointee.context.peerID = peers[peer].id
            let upgrades = exchange.pointee.head.flags.contains(.upgrade)
            if mayMultiplex(upstream, peer: peer, upgrades: upgrades) {
                guard !upgrades else {
                    dropPlace(exchange, peer)
                    reply(exchange, 501, reason: "no upgrade goes to a peer that speaks HTTP/2")
                    return
                }
                if openStream(peer, upstream, for: .exchange(exchange)) { return }
            } else if !exchange.pointee.flags.contains(.freshConnection),
                let up = upstream.pointee.proxyProtocol == nil
                    ? takeIdle(peer) : takeKept(exchange.pointee.down, peer)
            {
                exchange.pointee.context.facts.is_reused = 1
                bind(exchange, up)
                send(exchange)
                return
            } else if askOthers(exchange, upstream, peer: peer)
                || connect(exchange, upstream, peer: peer)
            {
                return
            }
            dropPlace(exchange, peer)
            if findsNoRoom(exchange) { return }
            markTried(exchange, upstream, local)
            reportAttempt(exchange, SLUICE_ATTEMPT_CONNECT)
            guard upstream.pointee.triesOtherPeers,
                exchange.pointee.attempts < upstream.pointee.retries.attempts
            else { break }
            countRetry(exchange, .connect)
        }
        if goOnBeside(exchange) { return }
        guard upstream.pointee.peerCount > 0 else {
            // It allows no attempt.
            reply(exchange, 503, reason: "the upstream has no peers")
            return
        }
        reply(exchange, 502, reason: "no peer could be reached")
    }

    /// Lets an attempt wait that has just found a limit reached, or answers the request.
    private mutating func findsNoRoom(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard exchange.pointee.failover != nil, limitHit != .none else { return false }
        // It was none.
        exchange.pointee.attempts &-= 1
        waitForRoom(exchange)
        return true
    }

    /// What plugins were told of the attempt before.
    private func forgetAttempt(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.context.facts.is_reused = 0
        exchange.pointee.context.facts.time_connected = 0
        exchange.pointee.context.facts.time_first_byte = 0
    }

    /// Index of a peer within its upstream; nil when there is none to use.
    @inline(__always)
    private mutating func pick(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Int? {
        if upstream.pointee.failover != nil { return pickWithRoom(exchange, upstream) }
        guard upstream.pointee.pick != nil else { return 0 }
        return pick(
            upstream,
            request: exchange,
            attempt: exchange.pointee.attempts,
            tried: exchange.pointee.tried,
            takesFirst: exchange.pointee.tried == nil,
            hashKey: exchange.pointee.context.hashKey
        )
    }

    /// Index of a peer within its upstream, which the balancer chooses; never one that was tried.
    ///
    /// - Parameters:
    ///   - request: whose context a crash record tells of; nil for a callout.
    ///   - takesFirst: whether the balancer's first choice will do: none was tried, and there are
    ///     no limits.
    mutating func pick(
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        request: UnsafeMutableRawPointer?,
        attempt: Int,
        tried: UnsafeMutablePointer<UInt64>?,
        takesFirst: Bool,
        hashKey: Slice?
    ) -> Int? {
        guard let pick = upstream.pointee.pick else { return 0 }
        pickCall.pointee.size = UInt32(MemoryLayout<sluice_pick>.size)
        pickCall.pointee.attempt = UInt32(truncatingIfNeeded: attempt)
        pickCall.pointee.worker_index = UInt32(truncatingIfNeeded: index)
        pickCall.pointee.has_hash = 0
        if let hashKey {
            pickCall.pointee.has_hash = 1
            pickCall.pointee.hash_key = sluice_slice(hashKey)
        }
        pickCall.pointee.tried = UnsafePointer(tried)
        pickCall.pointee.wanted = takesFirst ? 1 : 0
        calls.worker.pointee.crumb.request = UnsafeRawPointer(request)
        guard ask(pick) else { return nil }
        guard takesFirst else {
            return choose(upstream, pick, tried: tried)
        }
        let chosen = Int(pickCall.pointee.candidates.0)
        return chosen < upstream.pointee.peerCount ? chosen : nil
    }

    /// Calls the balancer; false when it has no candidate.
    @inline(__always)
    mutating func ask(_ pick: UpstreamPlan.Pick) -> Bool {
        pickCall.pointee.count = 0
        calls.worker.pointee.crumb.label = pick.label
        let result = pick.call(pick.state, slots[pick.instance], pick.table, pickCall)
        calls.worker.pointee.crumb.label = nil
        return result == UInt32(SLUICE_PICK_OK) && pickCall.pointee.count > 0
    }

    mutating func markTried(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ local: Int
    ) {
        if exchange.pointee.tried == nil {
            let words = (upstream.pointee.peerCount &+ 63) / 64
            guard
                let map = exchange.pointee.context.arena.allocate(UInt64.self, count: words)
            else { return }
            map.initialize(repeating: 0, count: words)
            exchange.pointee.tried = map
        }
        exchange.pointee.tried?[local / 64] |= 1 << UInt64(local % 64)
    }

    func bind(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        exchange.pointee.up = up
        up.pointee.exchange = exchange
        if !exchange.pointee.flags.contains(.inFlight) {
            exchange.pointee.flags.insert(.inFlight)
            peers[Int(up.pointee.peer)].addInFlight(1)
        }
    }

    // MARK: Connecting

    /// Begins a connection; false when that failed at once.
    private mutating func connect(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        peer: Int
    ) -> Bool {
        guard let (up, isEstablished) = openConnection(peer, upstream) else { return false }
        bind(exchange, up)
        begin(up, upstream, isEstablished: isEstablished)
        return true
    }

    /// Goes on with an attempt for which no other worker had a connection.
    mutating func connectUnasked(_ exchange: UnsafeMutablePointer<Exchange>, peer: Int) {
        guard let upstream = exchange.pointee.upstream else { return }
        // This worker may have got one while it waited.
        if let up = takeIdle(peer) {
            exchange.pointee.context.facts.is_reused = 1
            bind(exchange, up)
            send(exchange)
            return
        }
        if connect(exchange, upstream, peer: peer) { return }
        dropPlace(exchange, peer)
        if findsNoRoom(exchange) { return }
        markTried(exchange, upstream, upstream.pointee.local(of: peer))
        reportAttempt(exchange, SLUICE_ATTEMPT_CONNECT)
        if goOnBeside(exchange) { return }
        if upstream.pointee.triesOtherPeers {
            if exchange.pointee.attempts < upstream.pointee.retries.attempts {
                countRetry(exchange, .connect)
            }
            attempt(exchange)
        } else {
            reply(exchange, 502, reason: "no peer could be reached")
        }
    }

    /// The connection that was being made to a peer has come to nothing: tries the next peer.
    mutating func attemptFailed(_ exchange: UnsafeMutablePointer<Exchange>, timedOut: Bool) {
        guard let up = exchange.pointee.up, let upstream = exchange.pointee.upstream else { return }
        markTried(exchange, upstream, upstream.pointee.local(of: Int(up.pointee.peer)))
        reportAttempt(
            exchange,
            timedOut ? SLUICE_ATTEMPT_TIMEOUT : SLUICE_ATTEMPT_CONNECT
        )
        if goOnBeside(exchange) { return }
        detachUpstream(exchange, reuse: false)
        let isLast =
            exchange.pointee.attempts >= upstream.pointee.retries.attempts
            || !upstream.pointee.triesOtherPeers
        if isLast, timedOut {
            reply(exchange, 504, reason: "connect timed out")
        } else if isLast {
            reply(exchange, 502, reason: "no peer could be reached")
        } else {
            countRetry(exchange, .connect)
            attempt(exchange)
        }
    }

    mutating func peerFailed(_ peer: Int, _ what: StaticString, _ error: Errno) {
        peers[peer].setFailures(true)
        let text = peers[peer].text
        log.write(2) { line in
            line.text("peer ")
            line.escaped(text.bytes, text.count)
            line.text(" ")
            line.text(what)
            line.text(": ")
            line.text(error.description)
        }
    }

    // MARK: Sending

    /// Runs the attempt's hooks, writes the head and as much of the body as there is.
    mutating func send(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up else { return }
        up.pointee.state = .active
        up.pointee.requests &+= 1
        countSent(exchange)
        exchange.pointee.flags.subtract([.sentToPeer, .peerStoppedReading, .closeUpstream])
        if exchange.pointee.chain.hookCount(.upstreamRequest) > 0 {
            saveRequest(exchange)
            let flags = exchange.pointee.head.framing.isNone ? UInt32(SLUICE_ARGS_EOS) : 0
            let outcome = calls.run(
                .upstreamRequest,
                of: exchange.pointee.chain,
                positions: 0..<exchange.pointee.chain.pluginCount,
                context(of: exchange),
                flags: flags
            )
            guard settle(outcome, exchange, .upstreamRequest) else { return }
        }
        sendHead(exchange)
    }

    /// A hook of the attempt has waited.
    mutating func resumeAttempt(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ index: Int,
        _ resumption: Resumption
    ) {
        makeWaitingCurrent(exchange)
        let outcome = calls.run(
            .upstreamRequest,
            of: exchange.pointee.chain,
            from: index,
            positions: 0..<exchange.pointee.chain.pluginCount,
            context(of: exchange),
            flags: exchange.pointee.head.framing.isNone ? UInt32(SLUICE_ARGS_EOS) : 0,
            resumption: resumption
        )
        guard settle(outcome, exchange, .upstreamRequest) else { return }
        sendHead(exchange)
    }

    private mutating func sendHead(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up, let upstream = exchange.pointee.upstream else { return }
        exchange.pointee.response = .head
        timers.set(timer(of: up), deadline: responseDeadline(exchange, up, upstream))
        setAuthority(exchange, upstream)
        guard fitsOut(exchange) else {
            reply(exchange, 502, reason: "request head is too large with its added fields")
            return
        }
        up.pointee.sentAt = exchange.pointee.head.framing.isNone ? nowNanoseconds : 0
        var count = 0
        if up.pointee.isStream {
            let isBodyless =
                exchange.pointee.requestBody.reader.isDone
                && exchange.pointee.requestBody.transform == nil
                && exchange.pointee.replayCount == 0
            guard sendStreamHead(exchange, up, upstream, endStream: isBodyless) else { return }
            guard !isBodyless else {
                exchange.pointee.requestBody.isFinished = true
                return
            }
        } else {
            count = writeRequestHead(exchange)
        }
        if exchange.pointee.head.framing.isNone {
            // Most requests: there is no body to move.
            switch sendToPeer(exchange, up, headCount: count, scratch, 0, isEnd: true) {
            case .done: exchange.pointee.requestBody.isFinished = true
            // Of two attempts at the same time neither may hold bytes; the first has sent its own.
            case .blocked: _ = goOnBeside(exchange)
            case .failed: break
            }
            return
        }
        exchange.pointee.requestBody.isFinished = false
        if let transform = exchange.pointee.requestBody.transform {
            // Bytes that an earlier attempt has sent come before those that still wait.
            if exchange.pointee.replayCount > 0 {
                replayRequest(exchange, headCount: count)
            } else {
                transform.pointee.pendingHead = count
                pumpRequest(exchange)
                writePendingHead(exchange, .request)
            }
            return
        }
        if exchange.pointee.attempts > 1, exchange.pointee.replayCount > 0 {
            replayRequest(exchange, headCount: count)
        } else {
            pumpRequest(exchange, headCount: count)
        }
    }

    /// Puts the request back to what it was before an attempt's hooks, so that an attempt never
    /// sees the edits of another.
    private func saveRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        let count = exchange.pointee.context.request.fieldCount
        if let saved = exchange.pointee.savedRequest, let fields = exchange.pointee.savedFields {
            exchange.pointee.context.request = saved
            exchange.pointee.context.request.fields.update(from: fields, count: count)
            exchange.pointee.context.requestChanged()
            return
        }
        guard
            let fields = exchange.pointee.context.arena.allocate(FieldSpan.self, count: count)
        else { return }
        fields.update(from: exchange.pointee.context.request.fields, count: count)
        exchange.pointee.savedFields = fields
        exchange.pointee.savedRequest = exchange.pointee.context.request
    }

    /// Sets the authority that the peer sees.
    private mutating func setAuthority(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) {
        if let host = upstream.pointee.hostOverride {
            exchange.pointee.context.request.authority = host
            exchange.pointee.context.request.isAuthorityChanged = true
            exchange.pointee.context.request.drop(.host)
        } else if exchange.pointee.context.request.authority.count == 0 {
            // An HTTP/1.0 request without Host; HTTP/1.1 to the peer needs one.
            let peer = upstream.pointee.peer(0)
            exchange.pointee.context.request.authority =
                peers[peer].address.isUnix ? Slice("localhost") : peers[peer].text
            exchange.pointee.context.request.isAuthorityChanged = true
        }
    }

    /// Whether the request's head fits into `out`, and its block into `fieldBlock`.
    private func fitsOut(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let fixed =
            exchange.pointee.context.request.method.count
            &+ exchange.pointee.context.request.path.count
            &+ exchange.pointee.context.request.authority.count &+ 256
        return exchange.pointee.context.request.fieldBytesMax &+ fixed <= Self.headOutBytes
    }

    /// Writes the head for the peer into `out`.
    ///
    /// Mutating, as others of its kind: the compiler calls those that are not on a copy of the
    /// worker.
    private mutating func writeRequestHead(_ exchange: UnsafeMutablePointer<Exchange>) -> Int {
        let method = exchange.pointee.context.request.method
        let path = exchange.pointee.context.request.path
        let authority = exchange.pointee.context.request.authority
        var at = HeadWriter.copy(method.bytes, count: method.count, to: out)
        out[at] = UInt8(ascii: " ")
        at &+= 1
        at &+= HeadWriter.copy(path.bytes, count: path.count, to: out + at)
        at &+= HeadWriter.copy(" HTTP/1.1\r\n", to: out + at)
        if exchange.pointee.context.request.isAuthorityChanged {
            at &+= HeadWriter.copy("Host: ", to: out + at)
            at &+= HeadWriter.copy(authority.bytes, count: authority.count, to: out + at)
            at &+= HeadWriter.copy("\r\n", to: out + at)
        }
        at &+= exchange.pointee.context.request.writeFields(to: out + at)
        if exchange.pointee.requestBody.writing == .chunked {
            at &+= HeadWriter.copy("Transfer-Encoding: chunked\r\n", to: out + at)
        }
        if exchange.pointee.head.flags.contains(.upgrade),
            let value = exchange.pointee.context.request.received(.upgrade)
        {
            at &+= HeadWriter.copy("Connection: Upgrade\r\nUpgrade: ", to: out + at)
            at &+= HeadWriter.copy(value.bytes, count: value.count, to: out + at)
            at &+= HeadWriter.copy("\r\n", to: out + at)
        }
        at &+= HeadWriter.copy("\r\n", to: out + at)
        return at
    }

    // MARK: Failing

    /// The peer's connection failed before a byte of the response came: tries again when that is
    /// safe, else answers.
    mutating func upstreamFailedBeforeResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        status: UInt16,
        reason: StaticString
    ) {
        guard let up = exchange.pointee.up, let upstream = exchange.pointee.upstream else { return }
        let isReused = up.pointee.flags.contains(.reused)
        let hasBytes = up.pointee.inputCount > 0 || exchange.pointee.interimCount > 0
        let peer = Int(up.pointee.peer)
        reportAttempt(exchange, SLUICE_ATTEMPT_CLOSED)
        if goOnBeside(exchange) { return }
        detachUpstream(exchange, reuse: false)
        // A connection that waited in the pool may have been closed by the peer at any time, so
        // its failure says nothing of the request (RFC 9112 §9.3.1). A fresh one's does.
        if isReused, exchange.pointee.isReplayable, !hasBytes,
            exchange.pointee.attempts < upstream.pointee.retries.attempts
        {
            exchange.pointee.flags.insert(.freshConnection)
            log.write(4) { line in line.text("retry after a reused connection failed") }
            resetRequest(exchange)
            countRetry(exchange, .stale)
            attempt(exchange)
            return
        }
        peers[peer].setFailures(true)
        if !hasBytes, mayRetry(exchange, upstream, after: .reset, peer: peer) {
            attempt(exchange)
            return
        }
        reply(exchange, status, reason: reason, peer: peer)
    }

    /// Makes the request ready to be sent from its begin.
    mutating func resetRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        releaseHeld(&exchange.pointee.requestBody)
        exchange.pointee.requestBody.isBlocked = false
        exchange.pointee.requestBody.isFinished = false
        exchange.pointee.response = .none
    }
}
