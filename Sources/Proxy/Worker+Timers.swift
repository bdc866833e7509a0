import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Deadlines. A timer is set when something begins to wait and looked at when it fires: by then the
/// wait may be over, or another one may have begun.
extension Worker {
    /// Milliseconds over which the rate of a request body is measured.
    private static let rateWindow: UInt64 = 10_000

    mutating func expire(_ node: UnsafeMutablePointer<TimerNode>) {
        // Safe: a node is the first member of what its kind says.
        let address = UnsafeMutableRawPointer(node)
        switch node.pointee.kind {
        case TimerKind.downstream:
            expireDownstream(address.assumingMemoryBound(to: Downstream.self))
        case TimerKind.upstream:
            expireUpstream(address.assumingMemoryBound(to: Upstream.self))
        case TimerKind.callout:
            calloutTimedOut(address.assumingMemoryBound(to: Callout.self))
        case TimerKind.suspension:
            expire(address.assumingMemoryBound(to: Suspension.self))
        case TimerKind.tasks: runTaskTimers()
        case TimerKind.pending:
            expire(address.assumingMemoryBound(to: FailoverState.self))
        default:
            resumeListeners()
        }
    }

    private mutating func expireDownstream(_ down: UnsafeMutablePointer<Downstream>) {
        switch down.pointee.state {
        case .idle, .lingering, .due: close(down)
        case .proxyHeader: proxyHeaderTimedOut(down)
        case .multiplexed: expireSession(down)
        case .handshake:
            log.write(3) { line in
                line.text("timeouts.handshake: the TLS handshake did not end in time; client ")
                line.address(down.pointee.ip, port: down.pointee.port)
            }
            close(down)
        case .head:
            log.write(3) { line in
                line.text("408: timeouts.head: the request head did not come in time; client ")
                line.address(down.pointee.ip, port: down.pointee.port)
            }
            let input = down.pointee.input.map { input in
                Slice(input + Int(down.pointee.inputStart), down.pointee.inputCount)
            }
            refuse(
                down,
                status: 408,
                outcome: UInt32(SLUICE_OUTCOME_CLIENT_GONE),
                reason: "timeouts.head: the request head did not come in time",
                begin: input ?? Slice("")
            )
        case .exchange:
            guard let exchange = down.pointee.exchange else { return }
            checkClient(exchange)
        }
    }

    /// Looks at what an exchange's client is waited for, and sets the next deadline.
    private mutating func checkClient(_ exchange: UnsafeMutablePointer<Exchange>) {
        let timeouts = exchange.pointee.listener.pointee.settings.timeouts
        if exchange.pointee.response == .tunnel {
            let last = max(exchange.pointee.lastRead, exchange.pointee.lastWrite)
            if last &+ UInt64(timeouts.tunnel) <= now {
                clientGone(exchange)
            } else {
                armTunnel(exchange)
            }
            return
        }
        var next = UInt64.max
        if exchange.pointee.responseBody.isBlocked {
            let deadline = exchange.pointee.lastWrite &+ UInt64(timeouts.write)
            if deadline <= now {
                log.write(3) { line in
                    line.text("timeouts.write: the client did not take its response; client ")
                    line.address(
                        exchange.pointee.down.pointee.ip,
                        port: exchange.pointee.down.pointee.port
                    )
                }
                clientGone(exchange)
                return
            }
            next = deadline
        }
        if waitsForBody(exchange), isTwoWay(exchange) {
            let last = max(exchange.pointee.lastRead, exchange.pointee.lastWrite)
            let deadline = last &+ UInt64(timeouts.tunnel)
            if deadline <= now {
                bodyTimedOut(exchange, reason: "timeouts.tunnel: neither side sent anything")
                return
            }
            // So that the next bytes do not find a window that has long ended.
            exchange.pointee.rateStart = now
            next = min(next, deadline)
        } else if waitsForBody(exchange) {
            let deadline = exchange.pointee.lastRead &+ UInt64(timeouts.body)
            if deadline <= now {
                bodyTimedOut(exchange, reason: "timeouts.body: the request body stopped")
                return
            }
            guard checkRate(exchange) else { return }
            next = min(next, deadline, exchange.pointee.rateStart &+ Self.rateWindow)
        }
        if next != .max { timers.set(timer(of: exchange.pointee.down), deadline: next) }
    }

    private func waitsForBody(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        !exchange.pointee.requestBody.reader.isDone && !exchange.pointee.requestBody.isBlocked
            && exchange.pointee.response != .none && exchange.pointee.requestWait == nil
            && !exchange.pointee.flags.contains(.peerStoppedReading)
    }

    /// Whether the client may be silent because it waits for what the peer says.
    ///
    /// Then its body is not slow, and both directions count together, as in a tunnel.
    /// nginx counts each direction by itself here and cuts calls of gRPC that pause; Envoy's
    /// `stream_idle_timeout` counts both.
    private func isTwoWay(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        switch exchange.pointee.response {
        // The peer has begun to answer and still takes the request: it is the peer's to end.
        case .body, .waiting: exchange.pointee.up != nil
        // Services of gRPC send their head only with their first message. On a connection that
        // serves this one client alone, the claim would be a way around `body_rate`.
        case .head: exchange.pointee.up?.pointee.isStream == true && isGRPC(exchange)
        case .none, .collect, .tunnel, .drain: false
        }
    }

    /// Whether a request's Content-Type is that of gRPC: `application/grpc`, also with parameters
    /// or with `+` and a format.
    ///
    /// `application/grpc-web` is another protocol.
    private func isGRPC(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let type: StaticString = "application/grpc"
        let count = type.utf8CodeUnitCount
        guard let value = exchange.pointee.context.request.received(.contentType),
            value.count >= count, FieldNames.equals(value.bytes, count: count, type)
        else { return false }
        guard value.count > count else { return true }
        // Safe: the byte is one of the value's.
        let behind = value.bytes[count]
        return behind == UInt8(ascii: "+") || behind == UInt8(ascii: ";")
            || behind == UInt8(ascii: " ")
    }

    /// Ends a window of the body's rate; false when it was too slow.
    private mutating func checkRate(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let rate = UInt64(exchange.pointee.listener.pointee.settings.limits.bodyRate)
        let elapsed = now &- exchange.pointee.rateStart
        guard elapsed >= Self.rateWindow else { return true }
        let bytes = exchange.pointee.requestBody.byteCount &- exchange.pointee.rateBytes
        exchange.pointee.rateStart = now
        exchange.pointee.rateBytes = exchange.pointee.requestBody.byteCount
        guard bytes &* 1_000 < rate &* elapsed else { return true }
        bodyTimedOut(exchange, reason: "limits.body_rate: the request body is too slow")
        return false
    }

    private mutating func bodyTimedOut(
        _ exchange: UnsafeMutablePointer<Exchange>,
        reason: StaticString
    ) {
        exchange.pointee.flags.insert(.closeDownstream)
        if exchange.pointee.response == .drain {
            clientGone(exchange)
        } else {
            if exchange.pointee.flags.contains(.responseStarted) {
                exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_CLIENT_GONE)
            }
            replyOrCut(exchange, 408, reason: reason)
        }
    }

    private mutating func expireUpstream(_ up: UnsafeMutablePointer<Upstream>) {
        if let exchange = up.pointee.exchange { makeCurrent(up, exchange) }
        switch up.pointee.state {
        case .idle: closeUpstream(up)
        case .multiplexed: expirePeerSession(up)
        case .asked: askTimedOut(up)
        case .connecting, .handshake: connectFailed(up, .timedOut)
        case .active:
            guard let exchange = up.pointee.exchange, let upstream = exchange.pointee.upstream
            else { return }
            checkPeer(exchange, up, upstream.pointee.timeouts)
        }
    }

    /// Looks at what an exchange's peer is waited for.
    private mutating func checkPeer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ timeouts: UpstreamTimeouts
    ) {
        let peer = Int(up.pointee.peer)
        switch exchange.pointee.response {
        case .head where !exchange.pointee.requestBody.isFinished:
            if exchange.pointee.requestBody.isBlocked {
                doubt(up, after: timeouts.write)
                peerTimedOut(exchange, peer, "timeouts.write: the peer does not take the request")
            } else {
                timers.set(timer(of: up), deadline: now &+ UInt64(timeouts.firstByte))
            }
        case .head:
            if isEarly(exchange, up) { return }
            doubt(up, after: timeouts.firstByte)
            peerTimedOut(exchange, peer, lateReason(exchange))
        case .body:
            // It may wait for what the client has still to send, which `checkClient` bounds.
            let isClientsTurn =
                !exchange.pointee.requestBody.isFinished && !exchange.pointee.requestBody.isBlocked
            if exchange.pointee.responseBody.isBlocked || exchange.pointee.responseWait != nil
                || isClientsTurn
            {
                timers.set(timer(of: up), deadline: now &+ UInt64(timeouts.read))
            } else {
                log.write(2) { line in line.text("timeouts.read: the response stopped") }
                doubt(up, after: timeouts.read)
                upstreamCut(exchange)
            }
        case .tunnel, .drain, .none, .collect, .waiting: break
        }
    }

    private mutating func peerTimedOut(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ peer: Int,
        _ reason: StaticString
    ) {
        peers[peer].setFailures(true)
        reportAttempt(exchange, SLUICE_ATTEMPT_TIMEOUT)
        if goOnBeside(exchange) { return }
        if let up = exchange.pointee.up, let upstream = exchange.pointee.upstream,
            upstream.pointee.failover != nil
        {
            let hasBytes = up.pointee.inputCount > 0 || exchange.pointee.interimCount > 0
            detachUpstream(exchange, reuse: false)
            if !hasBytes, mayRetry(exchange, upstream, after: .timeout, peer: peer) {
                attempt(exchange)
                return
            }
        }
        reply(exchange, 504, reason: reason, peer: peer)
    }

    // MARK: Setting

    /// The client's next body bytes are waited for.
    mutating func armBody(_ exchange: UnsafeMutablePointer<Exchange>) {
        let timeouts = exchange.pointee.listener.pointee.settings.timeouts
        timers.set(
            timer(of: exchange.pointee.down),
            deadline: min(
                exchange.pointee.lastRead &+ UInt64(timeouts.body),
                exchange.pointee.rateStart &+ Self.rateWindow
            )
        )
    }

    /// The client does not take more of its response now.
    mutating func armWrite(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.lastWrite = now
        let timeouts = exchange.pointee.listener.pointee.settings.timeouts
        timers.set(
            timer(of: exchange.pointee.down),
            deadline: now &+ UInt64(timeouts.write)
        )
    }

    /// The peer does not take more of the request now.
    mutating func armWrite(
        _ up: UnsafeMutablePointer<Upstream>,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        guard let upstream = exchange.pointee.upstream else { return }
        timers.set(timer(of: up), deadline: now &+ UInt64(upstream.pointee.timeouts.write))
    }

    /// The peer's next body bytes are waited for.
    mutating func armRead(
        _ up: UnsafeMutablePointer<Upstream>,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        guard let upstream = exchange.pointee.upstream else { return }
        timers.set(timer(of: up), deadline: now &+ UInt64(upstream.pointee.timeouts.read))
    }

    mutating func armTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        let timeouts = exchange.pointee.listener.pointee.settings.timeouts
        timers.set(
            timer(of: exchange.pointee.down),
            deadline: max(exchange.pointee.lastRead, exchange.pointee.lastWrite)
                &+ UInt64(timeouts.tunnel)
        )
    }
}
