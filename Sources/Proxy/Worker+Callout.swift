import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// A request that a plugin has made of its own (`sluice.http_client/1`).
struct Callout {
    var timer = TimerNode(kind: TimerKind.callout)
    var request: Unmanaged<CalloutRequest>
    var upstream: UnsafeMutablePointer<UpstreamPlan>
    /// Whose upstream it is.
    var generation: UnsafeMutablePointer<Generation>
    var up: UnsafeMutablePointer<Upstream>?
    var attempts = 0
    /// Bit per peer that failed.
    var tried: UnsafeMutablePointer<UInt64>?
    /// What is still to be sent.
    var outgoing = WaitingBytes()
    /// The response's head as it comes in, interim ones left out.
    var head = WaitingBytes()
    var response = ResponseHead()
    var hasHead = false
    var pipe = BodyPipe()
    var body = WaitingBytes()
    /// The connection can't be used again.
    var closes = false
    /// The next attempt makes a new connection.
    var isFresh = false
    /// It counts at the peer that was picked, and has no connection there yet.
    var hasPlace = false
    /// The place of a probe; -1 of a callout.
    var probe: Int32 = -1
    /// When it was begun, in nanoseconds.
    var began: UInt64 = 0
    /// Neighbours in the worker's list.
    var next: UnsafeMutablePointer<Callout>?
    var previous: UnsafeMutablePointer<Callout>?
}

/// Requests that plugins make of their own: through the same peers and pools as clients' requests.
extension Worker {
    /// Begins what plugins asked for since the last time, and ends what they cancelled.
    mutating func beginCallouts() {
        for sequence in calloutPort.takeCancelled() {
            var next = firstCallout
            while let callout = next {
                next = callout.pointee.next
                let number = callout.pointee.request._withUnsafeGuaranteedRef { $0.sequence }
                if number == sequence { end(callout) }
            }
        }
        for request in calloutPort.takeRequests() {
            let upstream = current.pointee.plan._withUnsafeGuaranteedRef {
                $0.upstream(numbered: request.upstream)
            }
            guard let upstream else {
                // A new plan has it no more, since the plugin asked.
                fail(request)
                continue
            }
            begin(request, upstream)
        }
    }

    private mutating func begin(
        _ request: CalloutRequest,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) {
        let milliseconds = request.timeoutNanoseconds / 1_000_000 &+ 1
        var (target, place) = (upstream, Int32(-1))
        if let order = request.probe {
            let taken = takeProbe(order, upstream, milliseconds: Int(milliseconds))
            guard let taken else {
                failProbe(request)
                return
            }
            place = taken
            target = probes[Int(taken)].upstream
        }
        guard let callout = callouts.take() else {
            if place >= 0 { giveProbe(place) }
            fail(request)
            return
        }
        callout.initialize(
            to: Callout(
                request: .passRetained(request),
                upstream: target,
                generation: current
            )
        )
        callout.pointee.probe = place
        callout.pointee.began = Clock.monotonicNanoseconds()
        current.pointee.holders &+= 1
        callout.pointee.next = firstCallout
        firstCallout?.pointee.previous = callout
        firstCallout = callout
        timers.set(timer(of: callout), deadline: now &+ milliseconds)
        attempt(callout)
    }

    private func timer(
        of callout: UnsafeMutablePointer<Callout>
    ) -> UnsafeMutablePointer<TimerNode> {
        // Safe: the timer is the first member.
        UnsafeMutableRawPointer(callout).assumingMemoryBound(to: TimerNode.self)
    }

    // MARK: Attempts

    private mutating func attempt(_ callout: UnsafeMutablePointer<Callout>) {
        if callout.pointee.probe >= 0 {
            attemptProbe(callout)
            return
        }
        let upstream = callout.pointee.upstream
        while callout.pointee.attempts < upstream.pointee.retries.attempts {
            if upstream.pointee.pick == nil, callout.pointee.tried != nil { break }
            callout.pointee.attempts &+= 1
            guard let local = pick(callout, upstream) else { break }
            let peer = upstream.pointee.peer(local)
            if mayMultiplex(upstream, peer: peer, upgrades: true) {
                if openStream(peer, upstream, for: .callout(callout)) { return }
                leave(callout, peer, local)
                continue
            }
            if !callout.pointee.isFresh, let up = takeIdle(peer) {
                bind(callout, up)
                send(callout, up)
                return
            }
            if connect(callout, peer) { return }
            leave(callout, peer, local)
        }
        complete(callout, SLUICE_CALL_FAILED)
    }

    func markTried(_ callout: UnsafeMutablePointer<Callout>, _ local: Int) {
        let words = (callout.pointee.upstream.pointee.peerCount &+ 63) / 64
        if callout.pointee.tried == nil {
            let map = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
            map.initialize(repeating: 0, count: words)
            callout.pointee.tried = map
        }
        callout.pointee.tried?[local / 64] |= 1 << UInt64(local % 64)
    }

    mutating func connect(_ callout: UnsafeMutablePointer<Callout>, _ peer: Int) -> Bool {
        guard let (up, isEstablished) = openConnection(peer, callout.pointee.upstream) else {
            return false
        }
        bind(callout, up)
        begin(up, callout.pointee.upstream, isEstablished: isEstablished)
        return true
    }

    func bind(
        _ callout: UnsafeMutablePointer<Callout>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        callout.pointee.up = up
        up.pointee.callout = callout
        if callout.pointee.hasPlace {
            callout.pointee.hasPlace = false
        } else {
            peers[Int(up.pointee.peer)].addInFlight(1)
        }
    }

    /// Takes the connection from a callout.
    mutating func unbind(_ callout: UnsafeMutablePointer<Callout>, reuse: Bool) {
        guard let up = callout.pointee.up else { return }
        callout.pointee.up = nil
        up.pointee.callout = nil
        peers[Int(up.pointee.peer)].addInFlight(-1)
        giveBack(up, callout.pointee.upstream, client: nil, reuse: reuse)
    }

    /// The connection that was being made to a peer has come to nothing: tries the next peer.
    mutating func attemptFailed(_ callout: UnsafeMutablePointer<Callout>) {
        if let up = callout.pointee.up {
            markTried(callout, callout.pointee.upstream.pointee.local(of: Int(up.pointee.peer)))
        }
        unbind(callout, reuse: false)
        attempt(callout)
    }

    // MARK: Sending and receiving

    mutating func send(
        _ callout: UnsafeMutablePointer<Callout>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        up.pointee.state = .active
        up.pointee.requests &+= 1
        timers.cancel(timer(of: up))
        callout.pointee.outgoing.release()
        callout.pointee.head.release()
        let upstream = callout.pointee.upstream
        let host =
            upstream.pointee.hostOverride
            ?? (peers[Int(up.pointee.peer)].address.isUnix
                ? Slice("localhost") : peers[Int(up.pointee.peer)].text)
        callout.pointee.request._withUnsafeGuaranteedRef { request in
            request.bytes.withUnsafeBufferPointer { bytes in
                guard let base = bytes.baseAddress else { return }
                let line = request.lineCount
                callout.pointee.outgoing.append(base, line)
                if !request.namesHost {
                    append("Host: ", to: &callout.pointee.outgoing)
                    callout.pointee.outgoing.append(host.bytes, host.count)
                    append("\r\n", to: &callout.pointee.outgoing)
                }
                callout.pointee.outgoing.append(base + line, bytes.count &- line)
            }
        }
        if up.pointee.isStream {
            guard sendStreamHead(callout, up) else { return }
        }
        advance(callout)
    }

    private func append(_ text: StaticString, to bytes: inout WaitingBytes) {
        bytes.append(text.utf8Start, text.utf8CodeUnitCount)
    }

    /// Goes on with a callout as far as it can go now.
    mutating func advance(_ callout: UnsafeMutablePointer<Callout>) {
        guard let up = callout.pointee.up, up.pointee.state == .active else { return }
        if up.pointee.isStream {
            advanceStream(callout, up)
            return
        }
        while !callout.pointee.outgoing.isEmpty {
            let sent = up.wire.send(
                callout.pointee.outgoing.first,
                callout.pointee.outgoing.count
            )
            guard sent > 0 else {
                if sent != Syscall.wouldBlock { broke(callout, up) }
                return
            }
            callout.pointee.outgoing.drop(sent)
        }
        while up.pointee.flags.contains(.readable) {
            let count = up.receive(scratch, Self.headReadBytes)
            guard count > 0 else {
                if count == Syscall.wouldBlock { return }
                if count == 0, callout.pointee.hasHead,
                    callout.pointee.pipe.reader.kind == .untilClose
                {
                    callout.pointee.closes = true
                    complete(callout, SLUICE_CALL_OK)
                } else {
                    broke(callout, up)
                }
                return
            }
            guard take(callout, scratch, count) else { return }
        }
    }

    /// The connection failed: tries again where that is safe.
    mutating func broke(
        _ callout: UnsafeMutablePointer<Callout>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        let isIdempotent = callout.pointee.request._withUnsafeGuaranteedRef {
            $0.method.isIdempotent
        }
        // As for a client's request: a connection from the pool may have been closed at any time.
        let isSafe =
            up.pointee.flags.contains(.refused)
            || up.pointee.flags.contains(.reused) && isIdempotent
        let mayRetry =
            isSafe && callout.pointee.probe < 0 && callout.pointee.head.isEmpty
            && !callout.pointee.hasHead
        unbind(callout, reuse: false)
        guard mayRetry else {
            complete(callout, SLUICE_CALL_FAILED)
            return
        }
        callout.pointee.isFresh = true
        attempt(callout)
    }

    /// Takes bytes of the response; false when the callout is over.
    mutating func take(
        _ callout: UnsafeMutablePointer<Callout>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        if callout.pointee.hasHead { return takeBody(callout, bytes, count) }
        callout.pointee.head.append(bytes, count)
        while !callout.pointee.head.isEmpty {
            var head = ResponseHead()
            let first = callout.pointee.head.first
            let available = callout.pointee.head.count
            let outcome = callout.pointee.request._withUnsafeGuaranteedRef { request in
                HeadParser.parseResponse(
                    first,
                    count: available,
                    limits: responseLimits,
                    fields: responseFields,
                    requestMethod: request.method,
                    into: &head
                )
            }
            switch outcome {
            case .incomplete: return true
            case .invalid:
                complete(callout, SLUICE_CALL_FAILED)
                return false
            case .complete: break
            }
            if head.status < 200 {
                guard head.status != 101 else {
                    complete(callout, SLUICE_CALL_FAILED)
                    return false
                }
                callout.pointee.head.drop(Int(head.byteCount))
                continue
            }
            callout.pointee.hasHead = true
            callout.pointee.response = head
            callout.pointee.closes = !head.flags.contains(.keepAlive)
            let isStream = callout.pointee.up?.pointee.isStream == true
            callout.pointee.pipe.reader = BodyReader(
                isStream && !head.framing.isNone ? .untilClose : head.framing
            )
            let start = Int(head.byteCount)
            return takeBody(callout, first + start, available &- start)
        }
        return true
    }

    private mutating func takeBody(
        _ callout: UnsafeMutablePointer<Callout>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        if count > 0 {
            let result = readBody(&callout.pointee.pipe, bytes, count)
            if result.consumed < count { callout.pointee.closes = true }
            guard result.error == nil else {
                complete(callout, SLUICE_CALL_FAILED)
                return false
            }
            let most = callout.pointee.request._withUnsafeGuaranteedRef { $0.bodyBytesMax }
            guard callout.pointee.body.count &+ result.dataCount <= most else {
                complete(callout, SLUICE_CALL_TOO_LARGE)
                return false
            }
            callout.pointee.body.append(bytes + result.dataStart, result.dataCount)
        }
        guard callout.pointee.pipe.reader.isDone else { return true }
        complete(callout, SLUICE_CALL_OK)
        return false
    }

    /// The peer has ended the stream of the response.
    mutating func endBody(
        _ callout: UnsafeMutablePointer<Callout>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        guard callout.pointee.hasHead else {
            broke(callout, up)
            return
        }
        complete(callout, SLUICE_CALL_OK)
    }

    // MARK: Ending

    mutating func calloutTimedOut(_ callout: UnsafeMutablePointer<Callout>) {
        if let up = callout.pointee.up, callout.pointee.probe < 0 {
            let time = callout.pointee.request._withUnsafeGuaranteedRef { $0.timeoutNanoseconds }
            doubt(up, after: Int(time / 1_000_000))
        }
        complete(callout, SLUICE_CALL_TIMEOUT)
    }

    /// Tells the plugin what came of it, and frees it.
    private mutating func complete(_ callout: UnsafeMutablePointer<Callout>, _ outcome: Int) {
        if callout.pointee.probe >= 0 {
            completeProbe(callout, outcome)
            return
        }
        let isWhole = outcome == SLUICE_CALL_OK
        unbind(callout, reuse: isWhole && !callout.pointee.closes)
        let request = callout.pointee.request.takeUnretainedValue()
        var result = sluice_call_result()
        result.size = UInt32(MemoryLayout<sluice_call_result>.size)
        result.outcome = UInt32(outcome)
        var arena = Arena(block: UnsafeMutableRawPointer(scratch), count: 65_536)
        if isWhole, let view = calloutView(callout, &arena) {
            result.status = UInt32(callout.pointee.response.status)
            result.headers = view
            result.body = sluice_slice(
                ptr: callout.pointee.body.bytes.map { UnsafePointer($0) },
                len: UInt64(callout.pointee.body.count)
            )
        } else if isWhole {
            result.outcome = UInt32(SLUICE_CALL_FAILED)
        }
        let isWanted = !calloutPort.isCancelled(request)
        calloutPort.ended(request)
        if isWanted { request.finish(worker: index, &result) }
        arena.release()
        free(callout)
    }

    /// Tells a plugin that its request can't be made.
    private func fail(_ request: CalloutRequest) {
        if request.probe != nil {
            failProbe(request)
            return
        }
        var result = sluice_call_result()
        result.size = UInt32(MemoryLayout<sluice_call_result>.size)
        result.outcome = UInt32(SLUICE_CALL_FAILED)
        calloutPort.ended(request)
        request.finish(worker: index, &result)
    }

    /// Ends the callouts of a request that is over; their plugins don't hear of them.
    mutating func endCallouts(of exchange: UnsafeMutablePointer<Exchange>) {
        let owner = context(of: exchange)
        calloutPort.forget(owner)
        var next = firstCallout
        while let callout = next {
            next = callout.pointee.next
            if callout.pointee.request._withUnsafeGuaranteedRef({ $0.owner }) == owner {
                end(callout)
            }
        }
    }

    /// Ends what an instance that stops has asked for, without telling it.
    mutating func endCallouts(of instance: PluginInstance) {
        calloutPort.forget(instance)
        var next = firstCallout
        while let callout = next {
            next = callout.pointee.next
            if callout.pointee.request._withUnsafeGuaranteedRef({ $0.isOf(instance) }) {
                end(callout)
            }
        }
    }

    /// Ends a callout without telling its plugin.
    mutating func end(_ callout: UnsafeMutablePointer<Callout>) {
        let peer = callout.pointee.probe >= 0 ? probes[Int(callout.pointee.probe)].peer : -1
        unbind(callout, reuse: false)
        if peer >= 0 { closePool(of: peer) }
        calloutPort.ended(callout.pointee.request.takeUnretainedValue())
        free(callout)
    }

    mutating func free(_ callout: UnsafeMutablePointer<Callout>) {
        if callout.pointee.probe >= 0 { giveProbe(callout.pointee.probe) }
        timers.cancel(timer(of: callout))
        if let previous = callout.pointee.previous {
            previous.pointee.next = callout.pointee.next
        } else {
            firstCallout = callout.pointee.next
        }
        callout.pointee.next?.pointee.previous = callout.pointee.previous
        callout.pointee.outgoing.release()
        callout.pointee.head.release()
        callout.pointee.body.release()
        release(&callout.pointee.pipe)
        callout.pointee.tried?.deallocate()
        callout.pointee.request.release()
        let generation = callout.pointee.generation
        callouts.give(callout)
        release(generation)
    }
}
