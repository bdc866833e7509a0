import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// A second attempt beside one that takes long.
///
/// An exchange has one current attempt, and sometimes another one beside it. An event of the other
/// one's connection makes them change places, so that all else knows of one attempt only. The first
/// head of a response ends the other attempt; one that fails leaves the exchange to the other.
extension Worker {
    /// Asks another peer as well, if the request and the budget allow it.
    mutating func hedge(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<FailoverState>
    ) {
        state.pointee.isHedged = true
        guard let upstream = exchange.pointee.upstream, let up = exchange.pointee.up,
            state.pointee.plan.pointee.hedgeAfter > 0, mayHedge(exchange, up, upstream)
        else { return }
        let peer = Int(up.pointee.peer)
        markTried(exchange, upstream, upstream.pointee.local(of: peer))
        guard let local = pickNext(exchange, upstream), takeBudget(exchange, state) else { return }
        logRetry(exchange, "hedge.after is over, another peer is asked as well", peer)
        tally(exchange, UpstreamWords.hedges)
        state.pointee.candidate = Int32(truncatingIfNeeded: local)
        setBeside(exchange, state)
        exchange.pointee.up = nil
        exchange.pointee.flags.subtract(AttemptBeside.ownFlags)
        exchange.pointee.response = .none
        attempt(exchange)
    }

    /// Whether a request may be with two peers at the same time: it asks for nothing but to read,
    /// it has gone out whole, and nothing has come back.
    private mutating func mayHedge(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Bool {
        (exchange.pointee.head.method == .get || exchange.pointee.head.method == .head)
            && exchange.pointee.head.framing.isNone
            && !exchange.pointee.head.flags.contains(.upgrade)
            && !exchange.pointee.down.pointee.flags.contains(.tunnels)
            && exchange.pointee.attempts < upstream.pointee.retries.attempts
            && exchange.pointee.requestBody.isFinished
            && !exchange.pointee.requestBody.hasHeld
            && !exchange.pointee.flags.contains(.peerStoppedReading)
            && exchange.pointee.interimCount == 0 && up.pointee.inputCount == 0
    }

    /// Puts the current attempt beside; the exchange's own values stay as they are.
    private mutating func setBeside(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<FailoverState>
    ) {
        state.pointee.beside = AttemptBeside(
            up: exchange.pointee.up,
            response: exchange.pointee.response,
            flags: exchange.pointee.flags.intersection(AttemptBeside.ownFlags),
            attempt: exchange.pointee.context.facts.attempt,
            isReused: exchange.pointee.context.facts.is_reused,
            begun: exchange.pointee.context.facts.time_attempt,
            connected: exchange.pointee.context.facts.time_connected
        )
    }

    /// Makes an attempt the current one.
    private mutating func setCurrent(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ attempt: AttemptBeside
    ) {
        exchange.pointee.up = attempt.up
        exchange.pointee.response = attempt.response
        exchange.pointee.flags.subtract(AttemptBeside.ownFlags)
        exchange.pointee.flags.formUnion(attempt.flags)
        exchange.pointee.context.facts.attempt = attempt.attempt
        exchange.pointee.context.facts.is_reused = attempt.isReused
        exchange.pointee.context.facts.time_attempt = attempt.begun
        exchange.pointee.context.facts.time_connected = attempt.connected
        exchange.pointee.context.facts.time_first_byte = 0
        if let up = attempt.up {
            exchange.pointee.context.facts.peer = sluice_slice(peers[Int(up.pointee.peer)].text)
        }
    }

    /// An event is about this connection of an exchange: it is that of the current attempt from now
    /// on.
    @inline(__always)
    mutating func makeCurrent(
        _ up: UnsafeMutablePointer<Upstream>,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        if exchange.pointee.up != up { changePlaces(up, exchange) }
    }

    @inline(never)
    private mutating func changePlaces(
        _ up: UnsafeMutablePointer<Upstream>,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        guard let state = exchange.pointee.failover, state.pointee.beside.up == up else { return }
        let other = state.pointee.beside
        setBeside(exchange, state)
        setCurrent(exchange, other)
    }

    /// A hook of an attempt has waited: it is that of the second one, which the first can't be in.
    mutating func makeWaitingCurrent(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let state = exchange.pointee.failover, let up = state.pointee.beside.up,
            exchange.pointee.response != .none
        else { return }
        changePlaces(up, exchange)
    }

    /// The current attempt has failed: the exchange goes on with the one beside it, if any.
    mutating func goOnBeside(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let state = exchange.pointee.failover, state.pointee.beside.up != nil else {
            return false
        }
        if exchange.pointee.requestWait != nil { cancelWaits(exchange) }
        detachUpstream(exchange, reuse: false)
        // What the failed one has not taken is nothing to the other, which has it all.
        releaseHeld(&exchange.pointee.requestBody)
        exchange.pointee.requestBody.awaitsWire = false
        exchange.pointee.requestBody.isBlocked = false
        exchange.pointee.requestBody.isFinished = true
        setCurrent(exchange, state.pointee.beside)
        state.pointee.beside = AttemptBeside()
        return true
    }

    /// Ends the attempt beside the current one.
    ///
    /// - Parameter reports: whether plugins are told; not when their `request_end` has run.
    mutating func endBeside(_ exchange: UnsafeMutablePointer<Exchange>, reports: Bool) {
        guard let state = exchange.pointee.failover, let other = state.pointee.beside.up else {
            return
        }
        let first = exchange.pointee.context.facts.time_first_byte
        if exchange.pointee.up == nil {
            setCurrent(exchange, state.pointee.beside)
            state.pointee.beside = AttemptBeside()
            detachUpstream(exchange, reuse: false)
            return
        }
        changePlaces(other, exchange)
        tally(exchange, UpstreamWords.abandoned)
        if reports { tellAttempt(exchange, SLUICE_ATTEMPT_ABANDONED) }
        _ = goOnBeside(exchange)
        exchange.pointee.context.facts.time_first_byte = first
    }
}
