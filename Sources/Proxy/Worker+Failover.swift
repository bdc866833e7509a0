import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Whether another attempt follows one that came to nothing, and how long each may take.
extension Worker {
    /// Begins an attempt of a request whose upstream has limits, times or conditions of its own.
    ///
    /// - Returns: false when the request waits, or was answered.
    @inline(never)
    mutating func enter(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ plan: UnsafeMutablePointer<FailoverPlan>
    ) -> Bool {
        limitHit = .none
        guard let state = exchange.pointee.failover ?? makeState(exchange, plan) else {
            reply(exchange, 503, reason: "the request has used up its memory")
            return false
        }
        state.pointee.waits = false
        if plan.pointee.timeout > 0, now >= state.pointee.begun &+ plan.pointee.timeout {
            if !goOnBeside(exchange) {
                reply(exchange, 504, reason: "retries.timeout: no response in time")
            }
            return false
        }
        guard state.pointee.isAdmitted || admit(exchange, state, plan) else { return false }
        if plan.pointee.tryTimeout > 0 {
            state.pointee.tryDeadline = now &+ plan.pointee.tryTimeout
        }
        return true
    }

    private mutating func makeState(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ plan: UnsafeMutablePointer<FailoverPlan>
    ) -> UnsafeMutablePointer<FailoverState>? {
        let state = exchange.pointee.context.arena.allocate(FailoverState.self, count: 1)
        state?.initialize(to: FailoverState(exchange: exchange, plan: plan, begun: now))
        exchange.pointee.failover = state
        return state
    }

    // MARK: Times

    /// When a connection that an exchange waits for must stand.
    mutating func connectDeadline(
        _ exchange: UnsafeMutablePointer<Exchange>?,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> UInt64 {
        let deadline = now &+ UInt64(upstream.pointee.timeouts.connect)
        guard let state = exchange?.pointee.failover else { return deadline }
        return min(deadline, state.pointee.bound, state.pointee.tryDeadline)
    }

    /// When the present attempt must have its response's head, and is looked at for that.
    ///
    /// - Parameter up: keeps the first; the second may be earlier, to ask another peer as well.
    @inline(__always)
    mutating func responseDeadline(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> UInt64 {
        let deadline = now &+ UInt64(upstream.pointee.timeouts.firstByte)
        guard let state = exchange.pointee.failover else { return deadline }
        return responseDeadline(exchange, up, state, most: deadline)
    }

    @inline(never)
    private mutating func responseDeadline(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ state: UnsafeMutablePointer<FailoverState>,
        most: UInt64
    ) -> UInt64 {
        let plan = state.pointee.plan
        if !exchange.pointee.head.framing.isNone {
            // The client's time to send its body is no time of the peer's.
            state.pointee.begun = now
            if plan.pointee.tryTimeout > 0 {
                state.pointee.tryDeadline = now &+ plan.pointee.tryTimeout
            }
        }
        let deadline = min(most, state.pointee.bound, state.pointee.tryDeadline)
        up.pointee.answersBy = deadline
        guard plan.pointee.hedgeAfter > 0, !state.pointee.isHedged else { return deadline }
        return min(deadline, now &+ plan.pointee.hedgeAfter)
    }

    /// A timer of an attempt that waits for its response fired before the attempt's time was over.
    ///
    /// - Returns: false when that time is over.
    mutating func isEarly(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        guard let state = exchange.pointee.failover, now < up.pointee.answersBy else {
            return false
        }
        timers.set(timer(of: up), deadline: up.pointee.answersBy)
        if !state.pointee.isHedged { hedge(exchange, state) }
        return true
    }

    /// Which time of an attempt is over.
    mutating func lateReason(_ exchange: UnsafeMutablePointer<Exchange>) -> StaticString {
        guard let state = exchange.pointee.failover else {
            return "timeouts.first_byte: no response in time"
        }
        if state.pointee.bound <= now { return "retries.timeout: no response in time" }
        return state.pointee.tryDeadline <= now
            ? "retries.try_timeout: no response in time"
            : "timeouts.first_byte: no response in time"
    }

    // MARK: Another attempt

    /// Decides whether an attempt that ended without a response is followed by one at another peer,
    /// and makes the request ready for it; the attempt was reported and its peer is let go.
    mutating func mayRetry(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        after event: RetryConditions.Events,
        peer: Int
    ) -> Bool {
        guard let state = exchange.pointee.failover,
            state.pointee.plan.pointee.on.events.contains(event),
            exchange.pointee.attempts < upstream.pointee.retries.attempts,
            exchange.pointee.isReplayable
        else { return false }
        markTried(exchange, upstream, upstream.pointee.local(of: peer))
        guard hasUntried(exchange, upstream), takeBudget(exchange, state) else { return false }
        logRetry(exchange, event == .reset ? "its connection ended" : "no response in time", peer)
        countRetry(exchange, event == .reset ? .reset : .timeout)
        resetRequest(exchange)
        madeRoom(state.pointee.plan.pointee.load)
        return true
    }

    /// Whether there is a peer that this request has not failed at.
    private mutating func hasUntried(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Bool {
        guard let tried = exchange.pointee.tried else { return true }
        var count = 0
        for word in 0..<(upstream.pointee.peerCount &+ 63) / 64 {
            count &+= tried[word].nonzeroBitCount
        }
        return count < upstream.pointee.peerCount
    }

    /// Takes one of the attempts that peers may get beyond their requests; a request that has one
    /// keeps it to its end.
    mutating func takeBudget(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<FailoverState>
    ) -> Bool {
        guard !state.pointee.isRetrying else { return true }
        let plan = state.pointee.plan
        let count = plan.pointee.load.addRetries(1)
        guard count <= plan.pointee.budget.most(active: plan.pointee.load.active) else {
            _ = plan.pointee.load.addRetries(-1)
            tally(exchange, UpstreamWords.budgetRefusals)
            log.write(3) { line in
                line.text("retries.budget is used up: no further attempt")
                guard let upstream = exchange.pointee.upstream else { return }
                line.text("; upstream ")
                line.escaped(upstream.pointee.name.bytes, upstream.pointee.name.count)
            }
            return false
        }
        state.pointee.isRetrying = true
        return true
    }

    mutating func logRetry(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ why: StaticString,
        _ peer: Int
    ) {
        let text = peers[peer].text
        let attempt = exchange.pointee.attempts
        log.write(3) { line in
            line.text("another attempt after ")
            line.number(attempt)
            line.text(": ")
            line.text(why)
            line.text("; peer ")
            line.escaped(text.bytes, text.count)
        }
    }

    // MARK: Responses

    /// Looks at the head of a response before anything is done with it.
    ///
    /// - Returns: false when the response is dropped, and another attempt has begun or goes on.
    @inline(never)
    mutating func accepts(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ head: ResponseHead,
        bodyCount: Int
    ) -> Bool {
        guard let state = exchange.pointee.failover, let upstream = exchange.pointee.upstream else {
            return true
        }
        let isListed = state.pointee.plan.pointee.on.contains(status: head.status)
        if isListed, state.pointee.beside.up != nil {
            reportResponse(exchange, head)
            return !goOnBeside(exchange)
        }
        guard isListed, exchange.pointee.interimCount == 0,
            exchange.pointee.attempts < upstream.pointee.retries.attempts,
            exchange.pointee.isReplayable, now < state.pointee.bound
        else {
            endBeside(exchange, reports: true)
            return true
        }
        let peer = Int(up.pointee.peer)
        markTried(exchange, upstream, upstream.pointee.local(of: peer))
        // Chosen before the response is dropped, which is better than none at all.
        guard let local = pickNext(exchange, upstream), takeBudget(exchange, state) else {
            return true
        }
        reportResponse(exchange, head)
        log.write(3) { line in
            line.text("another attempt after status ")
            line.number(Int(head.status))
            line.text("; peer ")
            line.escaped(peers[peer].text.bytes, peers[peer].text.count)
        }
        detachUpstream(
            exchange,
            reuse: Self.isWhole(head, bodyCount: bodyCount) && head.flags.contains(.keepAlive)
                && !exchange.pointee.flags.contains(.closeUpstream)
                && exchange.pointee.requestBody.isFinished
                && exchange.pointee.requestBody.reader.isDone
        )
        state.pointee.candidate = Int32(truncatingIfNeeded: local)
        resetRequest(exchange)
        countRetry(exchange, .status)
        attempt(exchange)
        return false
    }

    /// Whether nothing of the response is still to come, so that its connection is of further use.
    static func isWhole(_ head: ResponseHead, bodyCount: Int) -> Bool {
        switch head.framing {
        case .none: bodyCount == 0
        case .length(let count): count == Int64(bodyCount)
        default: false
        }
    }

    /// Tells plugins of a response that the client does not get.
    private mutating func reportResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ head: ResponseHead
    ) {
        exchange.pointee.context.facts.status = UInt32(head.status)
        exchange.pointee.context.facts.time_first_byte = nowNanoseconds
        reportAttempt(exchange, SLUICE_ATTEMPT_RESPONSE)
        exchange.pointee.context.facts.status = 0
    }

    /// Asks the balancer for the peer of the attempt after this one; nil when there is none that
    /// could be used now.
    mutating func pickNext(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Int? {
        guard upstream.pointee.pick != nil else { return nil }
        let local = pick(
            upstream,
            request: exchange,
            attempt: exchange.pointee.attempts &+ 1,
            tried: exchange.pointee.tried,
            takesFirst: false,
            hashKey: exchange.pointee.context.hashKey
        )
        // The attempt takes its place when it begins.
        if let local, holdsPlaces(upstream) {
            peers[upstream.pointee.peer(local)].addInFlight(-1)
        }
        return local
    }
}
