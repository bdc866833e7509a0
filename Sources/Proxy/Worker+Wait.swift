import CSluice
import PluginHost
import Reactor
import Sys

/// Exchanges that wait for what a plugin waits for.
extension Worker {
    /// Lets an exchange wait as the hook asked that has just returned SUSPEND; false when it was
    /// answered because it can't.
    ///
    /// - Parameter index: place of the hook in its phase, or of its stage in the body.
    mutating func wait(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase,
        index: Int
    ) -> Bool {
        let token = calls.takeWait()
        guard let wait = beginWait(exchange, phase, index: index, token) else {
            waits.cancel(token)
            replyOrCut(exchange, 503, reason: "too many requests wait")
            return false
        }
        let asked = waits.attach(UnsafeMutableRawPointer(wait), to: token)
        let bound = UInt64(exchange.pointee.listener.pointee.settings.timeouts.suspend)
        let milliseconds = asked / 1_000_000 &+ (asked % 1_000_000 == 0 ? 0 : 1)
        let time = asked == 0 ? bound : min(bound, milliseconds)
        timers.set(timer(of: wait), deadline: now &+ time)
        return true
    }

    /// Bounds the time for which a plugin may hold the response's head.
    mutating func waitForRelease(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let wait = beginWait(exchange, .responseHeaders, index: 0, sluice_token()) else {
            return
        }
        let bound = UInt64(exchange.pointee.listener.pointee.settings.timeouts.suspend)
        timers.set(timer(of: wait), deadline: now &+ bound)
    }

    private mutating func beginWait(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase,
        index: Int,
        _ token: sluice_token
    ) -> UnsafeMutablePointer<Suspension>? {
        guard let wait = suspensions.take() else { return nil }
        wait.initialize(
            to: Suspension(exchange: exchange, token: token, phase: phase, index: index)
        )
        if token.sequence == 0 {
            exchange.pointee.holdWait = wait
        } else if phase.isOfRequest {
            wait.pointee.next = exchange.pointee.requestWait
            exchange.pointee.requestWait = wait
        } else {
            wait.pointee.next = exchange.pointee.responseWait
            exchange.pointee.responseWait = wait
        }
        return wait
    }

    func timer(of wait: UnsafeMutablePointer<Suspension>) -> UnsafeMutablePointer<TimerNode> {
        // Safe: the timer is the first member.
        UnsafeMutableRawPointer(wait).assumingMemoryBound(to: TimerNode.self)
    }

    // MARK: Ending

    /// A wait was ended by `resume`, on whatever thread.
    mutating func resume(_ end: WaitEnd) {
        guard let owner = waits.finish(end) else { return }
        goOn(
            // Safe: `wait` attached it.
            owner.assumingMemoryBound(to: Suspension.self),
            Resumption(reason: end.reason, payload: end.payload)
        )
    }

    /// The time of a wait is over.
    mutating func expire(_ wait: UnsafeMutablePointer<Suspension>) {
        let exchange = wait.pointee.exchange
        guard wait.pointee.token.sequence != 0 else {
            guard let transform = exchange.pointee.responseBody.transform else { return }
            releaseHead(exchange, transform)
            advance(exchange)
            return
        }
        // If somebody has just ended it, that message is on its way.
        guard waits.expire(wait.pointee.token) else { return }
        goOn(wait, Resumption(reason: UInt32(SLUICE_RESUME_DEADLINE), payload: 0))
    }

    /// Forgets what an exchange waits for; resuming it is stale from now on.
    mutating func cancelWaits(_ exchange: UnsafeMutablePointer<Exchange>) {
        while let wait = exchange.pointee.requestWait ?? exchange.pointee.responseWait {
            waits.cancel(wait.pointee.token)
            forget(wait)
        }
        if let wait = exchange.pointee.holdWait { forget(wait) }
    }

    /// Takes a wait from its exchange.
    mutating func forget(_ wait: UnsafeMutablePointer<Suspension>) {
        let exchange = wait.pointee.exchange
        timers.cancel(timer(of: wait))
        if exchange.pointee.holdWait == wait { exchange.pointee.holdWait = nil }
        Self.unlink(wait, from: &exchange.pointee.requestWait)
        Self.unlink(wait, from: &exchange.pointee.responseWait)
        suspensions.give(wait)
    }

    private static func unlink(
        _ wait: UnsafeMutablePointer<Suspension>,
        from first: inout UnsafeMutablePointer<Suspension>?
    ) {
        if first == wait {
            first = wait.pointee.next
            return
        }
        var before = first
        while let current = before, current.pointee.next != wait { before = current.pointee.next }
        before?.pointee.next = wait.pointee.next
    }

    // MARK: Going on

    private mutating func goOn(
        _ wait: UnsafeMutablePointer<Suspension>,
        _ resumption: Resumption
    ) {
        let exchange = wait.pointee.exchange
        let phase = wait.pointee.phase
        let index = wait.pointee.index
        forget(wait)
        exchange.pointee.context.facts.time_now = nowNanoseconds
        switch phase {
        case .requestHeaders: resumeRequest(exchange, index, resumption)
        case .cacheLookup: resumeCache(exchange, resumption)
        case .upstreamRequest: resumeAttempt(exchange, index, resumption)
        case .upstreamResponse, .responseHeaders:
            resumeResponse(exchange, phase, index, resumption)
        case .requestBody:
            resumeStage(exchange.pointee.requestBody.transform, index, resumption)
            advance(exchange)
        case .upstreamBody, .responseBody:
            resumeStage(exchange.pointee.responseBody.transform, index, resumption)
            advance(exchange)
        case .upstreamResult, .localReply, .requestEnd: break
        }
        keepRest(exchange.pointee.down)
    }

    private func resumeStage(
        _ transform: UnsafeMutablePointer<BodyTransform>?,
        _ index: Int,
        _ resumption: Resumption
    ) {
        guard let stage = transform?.pointee.stages.advanced(by: index) else { return }
        stage.pointee.isWaiting = false
        stage.pointee.isDue = true
        stage.pointee.resumption = resumption
    }
}

extension Phase {
    /// Whether a wait in it stops the request's way, else the response's.
    var isOfRequest: Bool {
        self == .requestHeaders || self == .cacheLookup || self == .requestBody
            || self == .upstreamRequest
    }
}
