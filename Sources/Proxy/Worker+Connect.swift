import CSluice
import HTTP
import PluginHost
import Reactor
import Sys
import TLS

/// Making connections to peers, for exchanges and for plugins' own requests: the socket, then TLS.
///
/// All of it has the time of `timeouts.connect`.
extension Worker {
    /// Begins a connection to a peer.
    ///
    /// - Returns: nil when that fails at once, which was logged; or for a limit of the upstream,
    ///   which `limitHit` then says.
    mutating func openConnection(
        _ peer: Int,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> (up: UnsafeMutablePointer<Upstream>, isEstablished: Bool)? {
        guard takeConnection(peer, upstream) else { return nil }
        guard let up = upstreams.take() else {
            dropConnection(peer)
            return nil
        }
        var socket: Int32 = -1
        do {
            let (fd, isEstablished) = try Socket.connect(peers[peer].address)
            socket = fd
            up.initialize(to: Upstream(fd: fd, peer: peer))
            up.pointee.sentAt = nowNanoseconds
            try poller.add(
                connection: fd,
                token: Token.make(Token.upstream, UnsafeMutableRawPointer(up))
            )
            return (up, isEstablished)
        } catch {
            if socket >= 0 { Syscall.close(socket) }
            upstreams.give(up)
            dropConnection(peer)
            upstream.pointee.meter.row(index).add(UpstreamWords.connectFailures)
            if !noteProbe(peer, SLUICE_PROBE_CONNECT, error.description) {
                peerFailed(peer, "connect", error)
            }
            return nil
        }
    }

    /// Goes on with a connection that an exchange or a callout waits for.
    mutating func begin(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        isEstablished: Bool
    ) {
        if !isEstablished || upstream.pointee.tls != nil {
            timers.set(
                timer(of: up),
                deadline: connectDeadline(up.pointee.exchange, upstream)
            )
        }
        if isEstablished { connected(up, upstream) }
    }

    /// An event on a connection that is being made.
    mutating func connectEvent(_ up: UnsafeMutablePointer<Upstream>) {
        guard let upstream = plan(of: up) else {
            closeUpstream(up)
            return
        }
        if let exchange = up.pointee.exchange { makeCurrent(up, exchange) }
        if up.pointee.state == .handshake {
            handshake(up)
            return
        }
        let error = Syscall.socketError(up.pointee.fd)
        if error != 0 {
            connectFailed(up, Errno(Int32(truncatingIfNeeded: error)))
            return
        }
        if let exchange = up.pointee.exchange,
            exchange.pointee.down.pointee.flags.contains(.failed)
        {
            clientGone(exchange)
            // A fill goes on without its client.
            if exchange.pointee.isEnded { return }
        }
        connected(up, upstream)
    }

    /// The upstream that a connection was begun for.
    private func plan(
        of up: UnsafeMutablePointer<Upstream>
    ) -> UnsafeMutablePointer<UpstreamPlan>? {
        if let session = up.pointee.session, case .peer(_, let upstream) = session.pointee.end {
            return upstream
        }
        return up.pointee.exchange?.pointee.upstream ?? up.pointee.callout?.pointee.upstream
    }

    /// The socket stands: the PROXY header goes first, before TLS.
    private mutating func connected(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) {
        countStep(up, upstream, UpstreamWords.connect)
        if let error = sendProxyHeader(up, upstream, client: up.pointee.exchange?.pointee.down) {
            connectFailed(up, error)
            return
        }
        if upstream.pointee.tls != nil {
            beginHandshake(up, upstream)
        } else {
            ready(up)
        }
    }

    /// The connection can take a request.
    private mutating func ready(_ up: UnsafeMutablePointer<Upstream>) {
        timers.cancel(timer(of: up))
        if wantsConnectionAlone(up.pointee.callout), let callout = up.pointee.callout {
            completeProbe(callout, SLUICE_CALL_OK)
            return
        }
        if up.pointee.session == nil, let tls = up.pointee.tls, tls.pointee.alpn == .h2 {
            // It was not offered.
            connectFailed(up, .connectionReset)
            return
        }
        peers[Int(up.pointee.peer)].setFailures(false)
        if let session = up.pointee.session {
            ready(up, session)
        } else if let exchange = up.pointee.exchange {
            exchange.pointee.context.facts.time_connected = nowNanoseconds
            send(exchange)
        } else if let callout = up.pointee.callout {
            send(callout, up)
        }
    }

    /// The connection can take streams, if the peer has agreed to that.
    private mutating func ready(
        _ up: UnsafeMutablePointer<Upstream>,
        _ session: UnsafeMutablePointer<H2Session>
    ) {
        guard let tls = up.pointee.tls, tls.pointee.alpn != .h2 else {
            beginPeerSession(up, session)
            return
        }
        if plan(of: up)?.pointee.speaks == .auto {
            fallBack(up, session)
            return
        }
        let peer = Int(up.pointee.peer)
        let text = peers[peer].text
        peers[peer].setFailures(true)
        let reason = "it did not choose HTTP/2 (ALPN)"
        if !noteProbe(peer, SLUICE_PROBE_HANDSHAKE, reason) {
            log.write(2) { line in
                line.text("peer ")
                line.escaped(text.bytes, text.count)
                line.text(" did not choose HTTP/2 in the TLS handshake (ALPN)")
            }
        }
        giveUp(up, timedOut: false)
    }

    /// Gives up a connection that is being made, or took too long.
    mutating func connectFailed(_ up: UnsafeMutablePointer<Upstream>, _ error: Errno) {
        let isHandshake = up.pointee.state == .handshake
        let step = isHandshake ? SLUICE_PROBE_HANDSHAKE : SLUICE_PROBE_CONNECT
        plan(of: up)?.pointee.meter.row(index).add(
            isHandshake ? UpstreamWords.handshakeFailures : UpstreamWords.connectFailures
        )
        if !noteProbe(Int(up.pointee.peer), step, error.description) {
            let what: StaticString = isHandshake ? "TLS handshake" : "connect"
            peerFailed(Int(up.pointee.peer), what, error)
        }
        giveUp(up, timedOut: error == .timedOut)
    }

    private mutating func giveUp(_ up: UnsafeMutablePointer<Upstream>, timedOut: Bool) {
        if !up.pointee.isStream, let session = up.pointee.session {
            losePeerSession(session, timedOut: timedOut)
        } else if let exchange = up.pointee.exchange {
            attemptFailed(exchange, timedOut: timedOut)
        } else if let callout = up.pointee.callout {
            attemptFailed(callout)
        } else {
            closeUpstream(up)
        }
    }

    // MARK: TLS

    private mutating func beginHandshake(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) {
        up.pointee.state = .handshake
        let peer = Int(up.pointee.peer)
        if let context = upstream.pointee.tls {
            up.pointee.tls = TLSStream.connect(
                context,
                fd: up.pointee.fd,
                ciphertext,
                session: sessions + peer,
                serverName: peers[peer].host,
                offersHTTP2: up.pointee.session != nil || wantsConnectionAlone(up.pointee.callout)
            )
        }
        handshake(up)
    }

    /// Goes on with a peer's handshake as far as it can go now.
    private mutating func handshake(_ up: UnsafeMutablePointer<Upstream>) {
        guard let tls = up.pointee.tls else {
            connectFailed(up, .outOfMemory)
            return
        }
        switch tls.pointee.handshake() {
        case .again: return
        case .done:
            if let upstream = plan(of: up) { countStep(up, upstream, UpstreamWords.handshake) }
            ready(up)
        case .failed:
            plan(of: up)?.pointee.meter.row(index).add(UpstreamWords.handshakeFailures)
            let peer = Int(up.pointee.peer)
            let text = peers[peer].text
            peers[peer].setFailures(true)
            let failure = tls.pointee.failure.map { String(cString: $0) } ?? "it failed"
            if !noteProbe(peer, SLUICE_PROBE_HANDSHAKE, failure) {
                log.write(2) { line in
                    line.text("peer ")
                    line.escaped(text.bytes, text.count)
                    line.text(" TLS handshake: ")
                    line.text(tls.pointee.failure)
                }
            }
            giveUp(up, timedOut: false)
        }
    }
}
