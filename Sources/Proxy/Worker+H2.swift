import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Clients' connections that speak HTTP/2: their life, what they send, and what is sent to them.
extension Worker {
    // MARK: Life

    /// Turns a connection into one of HTTP/2; `bytes` came first.
    mutating func beginSession(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) {
        let session = UnsafeMutablePointer<H2Session>.allocate(capacity: 1)
        let plan = listeners + Int(down.pointee.listener)
        var settings = plan.pointee.settings.http2.settings
        settings.isConnectProtocolEnabled = true
        settings.maxHeaderListSize = UInt32(plan.pointee.settings.limits.headBytes)
        session.initialize(
            to: H2Session(
                down,
                settings,
                plan.pointee.settings.http2.limits,
                framePool.memory,
                now: now
            )
        )
        http2.connections &+= 1
        down.pointee.session = session
        down.pointee.state = .multiplexed
        down.pointee.flags.remove(.fresh)
        if isDraining { drainSession(down) } else { armSession(session) }
        precondition(count <= Self.sessionInputBytes, "more than a read's bytes came first")
        if count > 0 {
            sessionInput.update(from: bytes, count: count)
            freeInput(down)
        }
        serve(down, count)
    }

    /// Reads what the client sent and writes what its streams have, as far as both can go now.
    ///
    /// - Parameter count: bytes that are in `sessionInput` already.
    mutating func serve(_ down: UnsafeMutablePointer<Downstream>, _ count: Int = 0) {
        guard let session = down.pointee.session else { return }
        session.pointee.isServed = true
        defer { session.pointee.isServed = false }
        guard readFrames(session, count) else { return }
        send(session)
        // The socket may have taken so much in the meantime that no event will say so.
        if down.pointee.input != nil, session.pointee.blockedSince == 0,
            down.pointee.state == .multiplexed
        {
            enqueue(down)
        }
    }

    /// Reads frames while there is room for what they are answered with; false when the connection
    /// is over.
    ///
    /// What was read and has to wait for room stays in the owner's input.
    private mutating func readFrames(
        _ session: UnsafeMutablePointer<H2Session>,
        _ count: Int
    ) -> Bool {
        let down = session.pointee.owner
        if let input = down.pointee.input {
            guard makeRoom(session) else { return stopReading(session) }
            guard take(session, input + Int(down.pointee.inputStart), down.pointee.inputCount)
            else { return false }
        } else if count > 0 {
            guard take(session, sessionInput, count) else { return false }
        }
        var turns = Self.turnsMax
        while down.pointee.flags.contains(.readable), down.pointee.input == nil {
            guard turns > 0 else {
                enqueue(down)
                break
            }
            guard makeRoom(session) else { return stopReading(session) }
            turns &-= 1
            let count = down.receive(sessionInput, Self.sessionInputBytes)
            guard count > 0 else {
                if count == Syscall.wouldBlock { break }
                closeSession(session)
                return false
            }
            guard take(session, sessionInput, count) else { return false }
        }
        guard down.pointee.input == nil else { return stopReading(session) }
        noteWaits(session)
        return true
    }

    /// What the client has sent waits for room: so the client is not waited for.
    ///
    /// - Returns: false when the connection is over.
    private mutating func stopReading(_ session: UnsafeMutablePointer<H2Session>) -> Bool {
        session.pointee.headSince = 0
        session.pointee.settingsSince = 0
        return !session.pointee.owner.pointee.flags.contains(.dead)
    }

    /// Whether there is room for a response's head, after giving the socket what waits; false also
    /// when the connection is broken and was closed.
    ///
    /// A client that asks and does not read is not read either, so what it makes the proxy keep is
    /// bounded: `outputBytesMax`, one head and one read.
    private mutating func makeRoom(_ session: UnsafeMutablePointer<H2Session>) -> Bool {
        if session.pointee.connection.hasRoomForHeaders { return true }
        return flush(session) && session.pointee.connection.hasRoomForHeaders
    }

    /// Takes what was read, into `sessionInput` or into the owner's input; false when the
    /// connection is over.
    private mutating func take(
        _ session: UnsafeMutablePointer<H2Session>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        let down = session.pointee.owner
        session.pointee.lastActive = now
        var at = 0
        while true {
            var consumed = 0
            let event = session.pointee.connection.next(
                bytes + at,
                count &- at,
                consumed: &consumed,
                now: now
            )
            at &+= consumed
            switch event {
            case .needsMore:
                freeInput(down)
                return true
            case .settings:
                let limit = session.pointee.connection.peerSettings.headerTableSize
                session.pointee.encoder.setTableLimit(limit)
            case .settingsAcknowledged:
                let size = session.pointee.connection.localSettings.headerTableSize
                session.pointee.decoder.tableSizeAcknowledged(Int(size))
            case .pingAnswered: break
            case .goAway: session.pointee.otherLeaves = true
            case .headers(let headers):
                takeHeaders(session, headers)
                if at < count, !makeRoom(session), !down.pointee.flags.contains(.dead) {
                    keepInput(down, bytes + at, count &- at)
                    return true
                }
            case .discardedHeaders(_, let block, let count):
                http2.streamsRefused &+= UInt64(session.pointee.connection.takeRefusedCount())
                discard(session, block, count)
            case .data(let data): takeData(session, data)
            case .streamReset(let reset):
                if reset.isByPeer { http2.resetsReceived &+= 1 }
                guard let stream = stream(reset.stream) else { break }
                let isMalformed = !reset.isByPeer && reset.code == .protocolError
                isMalformed ? streamIsMalformed(stream) : streamIsGone(stream)
            case .windowOpened: break
            case .connectionError(let failure):
                failSession(session, failure)
                return false
            }
            if down.pointee.flags.contains(.dead) { return false }
        }
    }

    /// The client broke the protocol: tells it, and closes.
    private mutating func failSession(
        _ session: UnsafeMutablePointer<H2Session>,
        _ failure: H2Failure
    ) {
        let down = session.pointee.owner
        http2.failures &+= 1
        if let bound = failure.bound { http2[bound] &+= 1 }
        log.write(3) { line in
            line.text("HTTP/2 connection error: ")
            line.text(failure.reason)
            if let bound = failure.bound {
                line.text("; over http2.")
                line.text(bound.name)
            }
            line.text("; client ")
            line.address(down.pointee.ip, port: down.pointee.port)
        }
        endSession(session)
    }

    /// Ends all streams, writes what is queued and closes once the client has.
    private mutating func endSession(_ session: UnsafeMutablePointer<H2Session>) {
        let down = session.pointee.owner
        loseStreams(session)
        _ = flush(session)
        guard !down.pointee.flags.contains(.dead) else { return }
        beginLingering(down)
    }

    /// The connection is broken, or the client has closed it.
    mutating func closeSession(_ session: UnsafeMutablePointer<H2Session>) {
        let down = session.pointee.owner
        loseStreams(session)
        close(down)
    }

    private mutating func loseStreams(_ session: UnsafeMutablePointer<H2Session>) {
        // Ending one changes the list, so it is walked anew for each.
        while let stream = session.pointee.firstStream { streamIsGone(stream) }
    }

    // MARK: Sending

    /// Lets streams write what they have, gives it to the socket, and ends a connection that is
    /// over once all of it is taken.
    private mutating func send(_ session: UnsafeMutablePointer<H2Session>) {
        let down = session.pointee.owner
        sendStreams(session)
        guard !down.pointee.flags.contains(.dead), session.pointee.connection.streamCount == 0,
            session.pointee.otherLeaves || session.pointee.isFinal
        else { return }
        finishShutdown(session)
        guard flush(session) else { return }
        // The last responses may still stand behind a full socket: its next event comes back here.
        guard session.pointee.connection.outputCount == 0, !down.wire.hasPending else { return }
        beginLingering(down)
    }

    /// A head has its time from its first byte to its last, as in HTTP/1; so have the preface and
    /// the first settings, and the acknowledgement of ours.
    private mutating func noteWaits(_ session: UnsafeMutablePointer<H2Session>) {
        let isHead =
            session.pointee.connection.awaitsRest || !session.pointee.connection.hasPeerSettings
        let isHeadNew = note(isHead, since: &session.pointee.headSince)
        let isSettingsNew = note(
            !session.pointee.connection.isAcknowledged,
            since: &session.pointee.settingsSince
        )
        if isHeadNew || isSettingsNew { armSession(session) }
    }

    /// Notes since when something is waited for; true when that begins now.
    private func note(_ waits: Bool, since: inout UInt64) -> Bool {
        let isNew = waits && since == 0
        if isNew { since = max(now, 1) } else if !waits { since = 0 }
        return isNew
    }

    // MARK: Time

    /// Sets the time at which the connection is looked at again.
    mutating func armSession(_ session: UnsafeMutablePointer<H2Session>) {
        let down = session.pointee.owner
        timers.set(timer(of: down), deadline: sessionDeadline(session))
    }

    /// The last stream has ended: the connection may be left alone for a while.
    mutating func noteRest(_ session: UnsafeMutablePointer<H2Session>) {
        // Once for many streams: the timer finds by itself that there were more.
        guard !session.pointee.mayRest, session.pointee.owner.pointee.state == .multiplexed,
            !session.pointee.owner.pointee.flags.contains(.dead)
        else { return }
        session.pointee.mayRest = true
        armSession(session)
    }

    private mutating func sessionDeadline(_ session: UnsafeMutablePointer<H2Session>) -> UInt64 {
        let down = session.pointee.owner
        let timeouts = (listeners + Int(down.pointee.listener)).pointee.settings.timeouts
        if session.pointee.drainBegan > 0, !session.pointee.isFinal {
            return session.pointee.drainBegan &+ H2Session.drainMilliseconds
        }
        return min(
            deadline(session.pointee.blockedSince, timeouts.write),
            deadline(session.pointee.headSince, timeouts.head),
            deadline(session.pointee.settingsSince, timeouts.settings),
            // Who has yet to take something is not idle.
            session.pointee.blockedSince > 0
                ? .max
                : session.pointee.lastActive
                    &+ (session.pointee.mayRest
                        ? min(H2Session.restMilliseconds, UInt64(timeouts.idle))
                        : UInt64(timeouts.idle))
        )
    }

    /// When something is over that is waited for since then; never when it is not (0).
    private func deadline(_ since: UInt64, _ milliseconds: Int) -> UInt64 {
        since > 0 ? since &+ UInt64(milliseconds) : .max
    }

    /// Looks at a connection whose time has come.
    mutating func expireSession(_ down: UnsafeMutablePointer<Downstream>) {
        guard let session = down.pointee.session else { return }
        if session.pointee.drainBegan > 0, !session.pointee.isFinal,
            session.pointee.drainBegan &+ H2Session.drainMilliseconds <= now
        {
            finishShutdown(session)
            serve(down)
            if down.pointee.state == .multiplexed, !down.pointee.flags.contains(.dead) {
                armSession(session)
            }
            return
        }
        guard sessionDeadline(session) <= now else {
            armSession(session)
            return
        }
        let timeouts = (listeners + Int(down.pointee.listener)).pointee.settings.timeouts
        if deadline(session.pointee.blockedSince, timeouts.write) <= now {
            logTimeout(session, "timeouts.write")
            closeSession(session)
            return
        }
        if deadline(session.pointee.headSince, timeouts.head) <= now {
            logTimeout(session, "timeouts.head")
            finishShutdown(session)
            endSession(session)
            return
        }
        if deadline(session.pointee.settingsSince, timeouts.settings) <= now {
            session.pointee.connection.abort(
                .settingsTimeout,
                reason: "timeouts.settings: our SETTINGS were not acknowledged"
            )
            if let failure = session.pointee.connection.failure { failSession(session, failure) }
            return
        }
        if session.pointee.mayRest {
            session.pointee.mayRest = false
            session.pointee.rest()
            guard sessionDeadline(session) <= now else {
                armSession(session)
                return
            }
        }
        guard session.pointee.connection.streamCount == 0 else {
            // Its streams have times of their own.
            session.pointee.lastActive = now
            armSession(session)
            return
        }
        finishShutdown(session)
        send(session)
    }

    private mutating func logTimeout(
        _ session: UnsafeMutablePointer<H2Session>,
        _ key: StaticString
    ) {
        let down = session.pointee.owner
        log.write(3) { line in
            line.text(key)
            line.text(": an HTTP/2 client did not go on; client ")
            line.address(down.pointee.ip, port: down.pointee.port)
        }
    }

    private mutating func finishShutdown(_ session: UnsafeMutablePointer<H2Session>) {
        session.pointee.isFinal = true
        session.pointee.connection.finishShutdown()
    }

    /// Tells the client to begin no more streams; those that are open go on.
    mutating func drainSession(_ down: UnsafeMutablePointer<Downstream>) {
        guard let session = down.pointee.session, session.pointee.drainBegan == 0 else { return }
        session.pointee.drainBegan = max(now, 1)
        session.pointee.connection.beginShutdown()
        armSession(session)
        enqueue(down)
    }
}
