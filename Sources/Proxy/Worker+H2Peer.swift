import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Peers' connections that speak HTTP/2: their life, and what peers send on them.
extension Worker {
    // MARK: Choosing

    /// Whether a request goes to a peer as a stream, as far as is known before a connection stands.
    mutating func mayMultiplex(
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        peer: Int,
        upgrades: Bool
    ) -> Bool {
        switch upstream.pointee.speaks {
        case .h1: false
        case .h2, .h2c: true
        // An upgrade is of HTTP/1.1, so its connection is one of its own.
        case .auto: !upgrades && pools[peer].speaksHTTP1Until <= now
        }
    }

    /// A connection to a peer that takes one more stream; nil when there is none.
    mutating func sessionWithRoom(_ peer: Int) -> UnsafeMutablePointer<H2Session>? {
        var next = pools[peer].firstSession
        while let up = next {
            next = up.pointee.next
            if let session = up.pointee.session, hasRoom(session) { return session }
        }
        return nil
    }

    private func hasRoom(_ session: UnsafeMutablePointer<H2Session>) -> Bool {
        guard case .peer(let owner, let upstream) = session.pointee.end,
            !owner.pointee.flags.contains(.dead), !session.pointee.otherLeaves,
            !session.pointee.isFinal, !session.pointee.isDoubted,
            // What fills the output in this turn goes out at its end, unless the socket is full.
            session.pointee.blockedSince == 0
                || session.pointee.connection.hasRoomForHeaders
        else { return false }
        let count = session.pointee.peerStreamCount
        let most = upstream.pointee.pool.requests
        return count < upstream.pointee.http2.streams
            && count < streamsMax(session, peer: Int(owner.pointee.peer))
            && (most == 0 || Int(owner.pointee.requests) < most)
    }

    /// Streams that the peer allows, as far as it is known.
    private func streamsMax(_ session: UnsafeMutablePointer<H2Session>, peer: Int) -> Int {
        session.pointee.connection.hasPeerSettings
            ? Int(session.pointee.connection.peerSettings.maxConcurrentStreams)
            : Int(pools[peer].streamsMax)
    }

    /// Gives an exchange or a callout a stream to a peer: on a connection that stands, on one that
    /// is being made, or on a new one.
    ///
    /// - Parameter attachment: gets the stream before anything can come of it.
    /// - Returns: false when no connection could be begun, which was logged.
    mutating func openStream(
        _ peer: Int,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        for attachment: StreamUser
    ) -> Bool {
        if let session = sessionWithRoom(peer),
            case .peer(let owner, _) = session.pointee.end
        {
            guard let up = addStream(session, peer, attachment) else { return false }
            if owner.pointee.requests > 1 { up.pointee.flags.insert(.reused) }
            if owner.pointee.state == .multiplexed {
                startStream(up)
            } else {
                armConnect(up, upstream)
            }
            return true
        }
        guard let (owner, isEstablished) = openConnection(peer, upstream) else { return false }
        let session = UnsafeMutablePointer<H2Session>.allocate(capacity: 1)
        session.initialize(to: H2Session(owner, upstream, framePool.memory, now: now))
        owner.pointee.session = session
        owner.pointee.next = pools[peer].firstSession
        pools[peer].firstSession?.pointee.previous = owner
        pools[peer].firstSession = owner
        guard let up = addStream(session, peer, attachment) else {
            closeUpstream(owner)
            return false
        }
        armConnect(up, upstream)
        begin(owner, upstream, isEstablished: isEstablished)
        return true
    }

    /// What a stream to a peer is for.
    enum StreamUser {
        case exchange(UnsafeMutablePointer<Exchange>)
        case callout(UnsafeMutablePointer<Callout>)
    }

    private mutating func addStream(
        _ session: UnsafeMutablePointer<H2Session>,
        _ peer: Int,
        _ user: StreamUser
    ) -> UnsafeMutablePointer<Upstream>? {
        guard case .peer(let owner, let upstream) = session.pointee.end,
            let up = upstreams.take()
        else { return nil }
        up.initialize(to: Upstream(fd: -1, peer: peer))
        up.pointee.flags.insert(.stream)
        up.pointee.session = session
        up.pointee.next = session.pointee.firstPeerStream
        session.pointee.firstPeerStream?.pointee.previous = up
        session.pointee.firstPeerStream = up
        session.pointee.peerStreamCount &+= 1
        owner.pointee.requests &+= 1
        if session.pointee.peerStreamCount == 1 {
            session.pointee.lastReceived = now
            setIdle(session, false)
            // Otherwise the time of an idle connection is looked at when it comes.
            if upstream.pointee.http2.pingInterval > 0 { armPeerSession(session) }
        }
        switch user {
        case .exchange(let exchange): bind(exchange, up)
        case .callout(let callout): bind(callout, up)
        }
        return up
    }

    private mutating func armConnect(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) {
        timers.set(timer(of: up), deadline: connectDeadline(up.pointee.exchange, upstream))
    }

    // MARK: Life

    /// The connection stands, and the peer speaks HTTP/2 on it.
    mutating func beginPeerSession(
        _ up: UnsafeMutablePointer<Upstream>,
        _ session: UnsafeMutablePointer<H2Session>
    ) {
        up.pointee.state = .multiplexed
        session.pointee.lastActive = now
        armPeerSession(session)
        session.pointee.isServed = true
        startWaiting(session)
        session.pointee.isServed = false
        enqueue(up)
    }

    /// Sends the requests that waited for the connection.
    private mutating func startWaiting(_ session: UnsafeMutablePointer<H2Session>) {
        // A request may fail as it is sent, which changes the list, so it is walked anew for each.
        while let up = firstWaiting(session) { startStream(up) }
    }

    private func firstWaiting(
        _ session: UnsafeMutablePointer<H2Session>
    ) -> UnsafeMutablePointer<Upstream>? {
        var next = session.pointee.firstPeerStream
        while let up = next {
            if up.pointee.state == .connecting { return up }
            next = up.pointee.next
        }
        return nil
    }

    /// The peer was offered HTTP/2 and chose HTTP/1.1: its connection serves one of those who
    /// waited for it, and the others make their own.
    mutating func fallBack(
        _ owner: UnsafeMutablePointer<Upstream>,
        _ session: UnsafeMutablePointer<H2Session>
    ) {
        let peer = Int(owner.pointee.peer)
        pools[peer].speaksHTTP1Until = now &+ Self.speaksHTTP1Milliseconds
        unlinkSession(owner)
        owner.pointee.session = nil
        while let up = session.pointee.firstPeerStream {
            guard let exchange = up.pointee.exchange else {
                // Callouts ask for HTTP/1.1 where there is a choice.
                endPeerStream(up, .cancel)
                continue
            }
            makeCurrent(up, exchange)
            detachKeepingPlace(exchange)
            if owner.pointee.exchange == nil {
                bind(exchange, owner)
            } else {
                connectUnasked(exchange, peer: peer)
            }
        }
        session.deinitialize(count: 1)
        session.deallocate()
        if let exchange = owner.pointee.exchange {
            exchange.pointee.context.facts.time_connected = nowNanoseconds
            send(exchange)
        } else {
            closeUpstream(owner)
        }
    }

    /// Milliseconds for which a peer that chose HTTP/1.1 is not offered HTTP/2 again.
    static let speaksHTTP1Milliseconds: UInt64 = 600_000

    /// Reads what a peer sent and writes what streams to it have, as far as both can go now.
    mutating func servePeer(_ up: UnsafeMutablePointer<Upstream>) {
        guard let session = up.pointee.session, up.pointee.state == .multiplexed else { return }
        session.pointee.isServed = true
        defer { session.pointee.isServed = false }
        var turns = Self.turnsMax
        while up.pointee.flags.contains(.readable) {
            guard turns > 0 else {
                enqueue(up)
                break
            }
            turns &-= 1
            let count = up.receive(sessionInput, Self.sessionInputBytes)
            guard count > 0 else {
                if count == Syscall.wouldBlock { break }
                losePeerSession(session)
                return
            }
            guard take(session, from: up, count) else { return }
        }
        sendStreams(session)
        guard !up.pointee.flags.contains(.dead) else { return }
        endIfOver(session, up)
    }

    /// Takes what was read into `sessionInput`; false when the connection is over.
    private mutating func take(
        _ session: UnsafeMutablePointer<H2Session>,
        from up: UnsafeMutablePointer<Upstream>,
        _ count: Int
    ) -> Bool {
        session.pointee.lastActive = now
        session.pointee.lastReceived = now
        session.pointee.isDoubted = false
        var at = 0
        while true {
            var consumed = 0
            let event = session.pointee.connection.next(
                sessionInput + at,
                count &- at,
                consumed: &consumed,
                now: now
            )
            at &+= consumed
            switch event {
            case .needsMore: return true
            case .settings:
                let limit = session.pointee.connection.peerSettings.headerTableSize
                session.pointee.encoder.setTableLimit(limit)
                pools[Int(up.pointee.peer)].streamsMax =
                    session.pointee.connection.peerSettings.maxConcurrentStreams
            case .settingsAcknowledged:
                let size = session.pointee.connection.localSettings.headerTableSize
                session.pointee.decoder.tableSizeAcknowledged(Int(size))
            case .pingAnswered: armPeerSession(session)
            case .windowOpened: break
            case .goAway(_, let code):
                if code != .noError { warn(up, "HTTP/2 GOAWAY: ", code.name) }
                session.pointee.otherLeaves = true
            case .headers(let headers): takeResponse(session, headers)
            case .discardedHeaders(_, let block, let count): discard(session, block, count)
            case .data(let data): takeContent(session, data)
            case .streamReset(let reset): takeReset(reset)
            case .connectionError(let failure):
                warn(up, "HTTP/2 connection error: ", failure.reason)
                losePeerSession(session)
                return false
            }
            if up.pointee.flags.contains(.dead) { return false }
        }
    }

    /// Logs what a peer did, and who it is.
    private mutating func warn(
        _ up: UnsafeMutablePointer<Upstream>,
        _ what: StaticString,
        _ detail: StaticString
    ) {
        if noteProbe(Int(up.pointee.peer), SLUICE_PROBE_REQUEST, "\(what)\(detail)") { return }
        let text = peers[Int(up.pointee.peer)].text
        log.write(2) { line in
            line.text(what)
            line.text(detail)
            line.text("; peer ")
            line.escaped(text.bytes, text.count)
        }
    }

    /// The connection is broken, or came to nothing: so are the streams on it.
    mutating func losePeerSession(
        _ session: UnsafeMutablePointer<H2Session>,
        timedOut: Bool = false
    ) {
        guard case .peer(let owner, _) = session.pointee.end else { return }
        // No new stream may choose it while those that fail look for another.
        session.pointee.isFinal = true
        unlinkSession(owner)
        // A last GOAWAY, when there is one, tells the peer why.
        if let bytes = session.pointee.connection.output, owner.pointee.state == .multiplexed {
            _ = owner.wire.send(bytes, session.pointee.connection.outputCount)
        }
        while let up = session.pointee.firstPeerStream { streamFailed(up, timedOut: timedOut) }
        closeUpstream(owner)
    }

    /// Ends a connection that has no streams and gets none any more.
    private mutating func endIfOver(
        _ session: UnsafeMutablePointer<H2Session>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        guard session.pointee.peerStreamCount == 0 else { return }
        guard case .peer(_, let upstream) = session.pointee.end else { return }
        let pool = upstream.pointee.pool
        let isUsedUp = pool.requests > 0 && Int(up.pointee.requests) >= pool.requests
        // One that allows no streams would wait for nothing.
        let isOfUse = streamsMax(session, peer: Int(up.pointee.peer)) > 0
        setIdle(session, true)
        guard
            session.pointee.otherLeaves || session.pointee.isFinal || isUsedUp || isDraining
                || !isOfUse || pools[Int(up.pointee.peer)].idleSessions > pool.idlePerPeer
        else {
            armPeerSession(session)
            return
        }
        session.pointee.isFinal = true
        session.pointee.connection.finishShutdown()
        guard flush(session), session.pointee.connection.outputCount == 0,
            !up.wire.hasPending
        else { return }
        closeUpstream(up)
    }

    /// Counts a connection among those without streams, or no longer.
    private mutating func setIdle(_ session: UnsafeMutablePointer<H2Session>, _ isIdle: Bool) {
        guard case .peer(let owner, _) = session.pointee.end, session.pointee.isIdle != isIdle
        else { return }
        session.pointee.isIdle = isIdle
        pools[Int(owner.pointee.peer)].idleSessions &+= isIdle ? 1 : -1
    }

    /// Takes a connection out of those that streams are given to.
    mutating func unlinkSession(_ up: UnsafeMutablePointer<Upstream>) {
        let peer = Int(up.pointee.peer)
        if let session = up.pointee.session { setIdle(session, false) }
        if let previous = up.pointee.previous {
            previous.pointee.next = up.pointee.next
        } else if pools[peer].firstSession == up {
            pools[peer].firstSession = up.pointee.next
        }
        up.pointee.next?.pointee.previous = up.pointee.previous
        up.pointee.next = nil
        up.pointee.previous = nil
    }

    // MARK: Time

    /// Sets the time at which the connection is looked at again.
    mutating func armPeerSession(_ session: UnsafeMutablePointer<H2Session>) {
        guard case .peer(let up, let upstream) = session.pointee.end,
            up.pointee.state == .multiplexed
        else { return }
        let deadline = peerDeadline(session, upstream)
        if deadline == .max {
            timers.cancel(timer(of: up))
        } else {
            timers.set(timer(of: up), deadline: deadline)
        }
    }

    private func peerDeadline(
        _ session: UnsafeMutablePointer<H2Session>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> UInt64 {
        let timeouts = upstream.pointee.timeouts
        let http2 = upstream.pointee.http2
        var deadline = UInt64.max
        if session.pointee.blockedSince > 0 {
            deadline = session.pointee.blockedSince &+ UInt64(timeouts.write)
        }
        if let sentAt = session.pointee.connection.pingSentAt {
            deadline = min(deadline, sentAt &+ http2.pingTimeout)
        } else if http2.pingInterval > 0, session.pointee.peerStreamCount > 0 {
            deadline = min(deadline, session.pointee.lastReceived &+ http2.pingInterval)
        }
        if session.pointee.peerStreamCount == 0 {
            deadline = min(deadline, session.pointee.lastActive &+ UInt64(timeouts.idle))
        }
        return deadline
    }

    /// Looks at a connection whose time has come.
    mutating func expirePeerSession(_ up: UnsafeMutablePointer<Upstream>) {
        guard let session = up.pointee.session,
            case .peer(_, let upstream) = session.pointee.end
        else { return }
        guard peerDeadline(session, upstream) <= now else {
            armPeerSession(session)
            return
        }
        let timeouts = upstream.pointee.timeouts
        let http2 = upstream.pointee.http2
        let isBlocked =
            session.pointee.blockedSince > 0
            && session.pointee.blockedSince &+ UInt64(timeouts.write) <= now
        let isSilent = session.pointee.connection.pingSentAt.map { $0 &+ http2.pingTimeout <= now }
        if isBlocked || isSilent == true {
            warn(
                up,
                isBlocked ? "timeouts.write" : "http2.ping_timeout",
                ": an HTTP/2 peer did not go on"
            )
            losePeerSession(session)
            return
        }
        if session.pointee.peerStreamCount == 0 {
            session.pointee.isFinal = true
        } else if session.pointee.connection.sendPing(now: now) {
            armPeerSession(session)
        }
        servePeer(up)
    }

    /// A stream has waited for so long, in vain: when nothing at all has come in that time, the
    /// connection may be dead though its socket says nothing.
    ///
    /// New streams go elsewhere until the peer is heard of again. Without an answer to a PING in
    /// `http2.ping_timeout` the connection is given up.
    mutating func doubt(_ up: UnsafeMutablePointer<Upstream>, after milliseconds: Int) {
        guard let session = up.pointee.session,
            session.pointee.lastReceived &+ UInt64(milliseconds) <= now
        else { return }
        session.pointee.isDoubted = true
        guard session.pointee.connection.sendPing(now: now) else { return }
        armPeerSession(session)
        wake(session)
    }
}
