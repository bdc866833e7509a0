import HTTP
import PluginHost
import Reactor
import Sys

/// Limits of what an upstream is given at the same time, and the requests that wait for them.
///
/// Each worker has a queue of its own for an upstream, first in, first out. Whoever makes room
/// wakes a worker that has waiting requests, each in turn. The oldest request of a worker also
/// looks by itself from time to time: a worker that makes room may not see yet that somebody has
/// begun to wait.
extension Worker {
    /// Milliseconds after which the oldest waiting request looks for room by itself.
    private static let lookMilliseconds: UInt64 = 50
    /// Waiting requests that are tried in vain before the others are left for the next time: those
    /// in front may need a certain peer, and those behind them another one.
    private static let missesMax = 8

    // MARK: Requests

    /// Counts a request as one that is with the upstream; false when it has to wait, or was
    /// answered.
    mutating func admit(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<FailoverState>,
        _ plan: UnsafeMutablePointer<FailoverPlan>
    ) -> Bool {
        let load = plan.pointee.load
        if plan.pointee.limits.pending > 0, !state.pointee.isQueued,
            load.queue(index).pointee.first != nil
        {
            // Others were first.
            limitHit = .inFlight
            waitForRoom(exchange)
            return false
        }
        let active = load.addActive(1)
        let most = plan.pointee.limits.inFlight
        if most > 0, active > most {
            _ = load.addActive(-1)
            limitHit = .inFlight
            waitForRoom(exchange)
            return false
        }
        state.pointee.isAdmitted = true
        return true
    }

    /// Lets a request wait that found a limit reached, or answers it.
    mutating func waitForRoom(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let state = exchange.pointee.failover, !goOnBeside(exchange) else { return }
        let plan = state.pointee.plan
        let load = plan.pointee.load
        state.pointee.waits = true
        state.pointee.limit = limitHit
        limitHit = .none
        if state.pointee.isAdmitted {
            // Nothing is with the upstream now.
            state.pointee.isAdmitted = false
            _ = load.addActive(-1)
        }
        guard !state.pointee.isQueued else { return }
        guard load.addWaiting(1, worker: index) <= plan.pointee.limits.pending else {
            _ = load.addWaiting(-1, worker: index)
            refuse(exchange, state)
            return
        }
        exchange.pointee.response = .none
        var until = now &+ UInt64(plan.pointee.limits.pendingTimeout)
        if plan.pointee.timeout > 0 {
            until = min(until, state.pointee.begun &+ plan.pointee.timeout)
        }
        state.pointee.waitsUntil = until
        state.pointee.waitsSince = nowNanoseconds
        let queue = load.queue(index)
        queue.pointee.append(state)
        timers.set(timer(of: state), deadline: until)
        if queue.pointee.first == state {
            look(state, queue)
        } else if plan.pointee.limits.perPeer != PeerLimits() {
            // Those in front may wait for another peer.
            setDue(queue)
        }
    }

    private mutating func refuse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<FailoverState>
    ) {
        tally(exchange, UpstreamWords.refusals &+ Int(state.pointee.limit.rawValue))
        reply(
            exchange,
            503,
            reason: state.pointee.limit.reason,
            retryAfter: state.pointee.plan.pointee.limits.retryAfterSeconds
        )
    }

    /// The time of a waiting request is over, or it looks for room by itself.
    mutating func expire(_ state: UnsafeMutablePointer<FailoverState>) {
        let exchange = state.pointee.exchange
        guard state.pointee.isQueued, !exchange.pointee.isEnded else { return }
        guard state.pointee.waitsUntil <= now else {
            look(state, state.pointee.plan.pointee.load.queue(index))
            return
        }
        leaveQueue(state)
        tally(exchange, UpstreamWords.pendingTimeouts)
        let timeout = state.pointee.plan.pointee.timeout
        if timeout > 0, now >= state.pointee.begun &+ timeout {
            reply(exchange, 504, reason: "retries.timeout: no room at the upstream in time")
        } else {
            refuse(exchange, state)
        }
    }

    /// The oldest request looks for room at the end of this turn, and again after a while.
    private mutating func look(
        _ state: UnsafeMutablePointer<FailoverState>,
        _ queue: UnsafeMutablePointer<PendingQueue>
    ) {
        setDue(queue)
        let deadline = min(state.pointee.waitsUntil, now &+ Self.lookMilliseconds)
        timers.set(timer(of: state), deadline: deadline)
    }

    private mutating func leaveQueue(_ state: UnsafeMutablePointer<FailoverState>) {
        guard state.pointee.isQueued else { return }
        let load = state.pointee.plan.pointee.load
        let queue = load.queue(index)
        timers.cancel(timer(of: state))
        queue.pointee.remove(state)
        state.pointee.exchange.pointee.upstream?.pointee.meter.row(index)
            .observe(UpstreamWords.pending, nowNanoseconds &- state.pointee.waitsSince, times)
        _ = load.addWaiting(-1, worker: index)
        if let first = queue.pointee.first {
            let deadline = min(first.pointee.waitsUntil, now &+ Self.lookMilliseconds)
            timers.set(timer(of: first), deadline: deadline)
        }
    }

    private func timer(
        of state: UnsafeMutablePointer<FailoverState>
    ) -> UnsafeMutablePointer<TimerNode> {
        // Safe: the timer is the first member.
        UnsafeMutableRawPointer(state).assumingMemoryBound(to: TimerNode.self)
    }

    /// A request is with its upstream no more: its answer is out, or it has ended.
    @inline(never)
    mutating func leaveUpstream(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let state = exchange.pointee.failover else { return }
        let load = state.pointee.plan.pointee.load
        endBeside(exchange, reports: false)
        leaveQueue(state)
        if state.pointee.isRetrying {
            state.pointee.isRetrying = false
            _ = load.addRetries(-1)
        }
        if state.pointee.isAdmitted {
            state.pointee.isAdmitted = false
            _ = load.addActive(-1)
        }
        madeRoom(load)
    }

    // MARK: Room

    /// Something has ended that counts in a limit.
    mutating func madeRoom(_ load: UpstreamLoad) {
        guard load.waiting > 0, let worker = load.waitingWorker(from: nextWoken) else { return }
        nextWoken = worker &+ 1
        if worker == index {
            setDue(load.queue(index))
        } else if worker < mailboxes.count {
            _ = mailboxes[worker].post(.room(UpstreamRoom(load: load)))
        }
    }

    /// Another worker has made room.
    mutating func takeRoom(_ room: UpstreamRoom) {
        let load = room.load
        if load.queue(index).pointee.first != nil { setDue(load.queue(index)) }
    }

    private mutating func setDue(_ queue: UnsafeMutablePointer<PendingQueue>) {
        guard !queue.pointee.isDue else { return }
        queue.pointee.isDue = true
        queue.pointee.nextDue = dueQueues
        dueQueues = queue
    }

    /// Begins the attempts of waiting requests for which there is room.
    @inline(never)
    mutating func serveWaiting() {
        while let queue = dueQueues {
            dueQueues = queue.pointee.nextDue
            queue.pointee.isDue = false
            var misses = 0
            var next = queue.pointee.first
            while let state = next, misses < Self.missesMax {
                next = state.pointee.next
                attempt(state.pointee.exchange)
                if state.pointee.waits, state.pointee.isQueued {
                    misses &+= 1
                } else {
                    leaveQueue(state)
                }
                // An answer may have ended others; those that are left begin anew.
                if let following = next, !following.pointee.isQueued { next = nil }
            }
        }
    }

    // MARK: Connections

    /// Counts a connection that is about to be made; false when there may be no more.
    mutating func takeConnection(
        _ peer: Int,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Bool {
        let limit = addConnection(peer, upstream)
        guard limit != .none else { return true }
        guard closeIdle(for: limit, peer, upstream), addConnection(peer, upstream) == .none else {
            limitHit = limit
            return false
        }
        return true
    }

    /// Raises the counts; lowers them again when one of them is over its limit, which is returned.
    private mutating func addConnection(
        _ peer: Int,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> UpstreamLimit {
        let ofPeer = peers[peer].addConnections(1)
        let ofAll = peers[peer].upstream.addConnections(1)
        guard let plan = upstream.pointee.failover else { return .none }
        let limits = plan.pointee.limits
        var limit = UpstreamLimit.none
        if limits.perPeer.connections > 0, ofPeer > limits.perPeer.connections {
            limit = .peerConnections
        } else if limits.connections > 0, ofAll > limits.connections {
            limit = .connections
        }
        if limit != .none {
            _ = peers[peer].addConnections(-1)
            _ = peers[peer].upstream.addConnections(-1)
        }
        return limit
    }

    /// A connection is no more, or was not made after all.
    mutating func dropConnection(_ peer: Int) {
        _ = peers[peer].addConnections(-1)
        _ = peers[peer].upstream.addConnections(-1)
        madeRoom(peers[peer].upstream)
    }

    /// Closes an idle connection of this worker so that another one may be made; false when there
    /// is none.
    private mutating func closeIdle(
        for limit: UpstreamLimit,
        _ peer: Int,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Bool {
        if closeIdle(to: peer) { return true }
        guard limit == .connections else { return false }
        for local in 0..<upstream.pointee.peerCount
        where closeIdle(to: upstream.pointee.peer(local)) {
            return true
        }
        return false
    }

    private mutating func closeIdle(to peer: Int) -> Bool {
        if let oldest = pools[peer].last {
            closeUpstream(oldest)
            return true
        }
        var next = pools[peer].firstSession
        while let up = next {
            next = up.pointee.next
            guard let session = up.pointee.session, session.pointee.isIdle else { continue }
            session.pointee.connection.finishShutdown()
            losePeerSession(session)
            return true
        }
        return false
    }

    /// Whether a connection that could go into the pool is closed instead, so that a request of
    /// another worker, which can't get at it, may make one.
    @inline(never)
    mutating func yieldsConnection(_ upstream: UnsafeMutablePointer<UpstreamPlan>) -> Bool {
        guard let plan = upstream.pointee.failover, plan.pointee.limits.connections > 0 else {
            return false
        }
        let load = plan.pointee.load
        return load.waiting > 0 && load.waiting(worker: index) == 0
    }
}
