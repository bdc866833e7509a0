import CSluice
import PluginHost
import Reactor

/// Which of a balancer's candidates an attempt goes to.
extension Worker {
    /// Times that a balancer is asked again because its candidates have no room.
    private static let asksOfBalancerMax = 8

    /// The first of the balancer's candidates that the request has not failed at and that has room.
    ///
    /// When none has room, the balancer is asked again without them. Sets `limitHit` when that was
    /// why there is none. The request has its place at the peer, as `takePlace` says.
    @inline(never)
    mutating func choose(
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ pick: UpstreamPlan.Pick,
        tried: UnsafeMutablePointer<UInt64>?
    ) -> Int? {
        limitHit = .none
        if let local = firstWithRoom(upstream, tried) { return local }
        guard limitHit != .none else { return nil }
        let words = (upstream.pointee.peerCount &+ 63) / 64
        if let tried {
            leftOut.update(from: tried, count: words)
        } else {
            leftOut.update(repeating: 0, count: words)
        }
        let limit = limitHit
        for _ in 0..<Self.asksOfBalancerMax {
            leaveOutCandidates(upstream)
            pickCall.pointee.tried = UnsafePointer(leftOut)
            guard ask(pick) else { break }
            limitHit = .none
            if let local = firstWithRoom(upstream, leftOut) { return local }
            // Only those that were left out: there are no others.
            guard limitHit != .none else { break }
        }
        limitHit = limit
        return nil
    }

    // MARK: For a request

    /// Index of a peer for the next attempt of a request whose upstream has limits or conditions of
    /// its own; nil when there is none to use, or none has room.
    @inline(never)
    mutating func pickWithRoom(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Int? {
        var local = takeCandidate(exchange, upstream)
        if local == nil, upstream.pointee.pick == nil {
            local = chooseOnly(upstream)
        } else if local == nil {
            local = pick(
                upstream,
                request: exchange,
                attempt: exchange.pointee.attempts,
                tried: exchange.pointee.tried,
                takesFirst: false,
                hashKey: exchange.pointee.context.hashKey
            )
        }
        if local != nil, holdsPlaces(upstream) { exchange.pointee.flags.insert(.inFlight) }
        return local
    }

    /// The peer that was chosen before the attempt began, if it still has room.
    private mutating func takeCandidate(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Int? {
        guard let state = exchange.pointee.failover, state.pointee.candidate >= 0 else {
            return nil
        }
        let local = Int(state.pointee.candidate)
        state.pointee.candidate = -1
        guard holdsPlaces(upstream) else { return local }
        return takePlace(upstream, local) ? local : nil
    }

    /// Gives a place at a peer back for which no connection was got.
    func dropPlace(_ exchange: UnsafeMutablePointer<Exchange>, _ peer: Int) {
        guard exchange.pointee.flags.contains(.inFlight) else { return }
        exchange.pointee.flags.remove(.inFlight)
        peers[peer].addInFlight(-1)
    }

    // MARK: For a request of a plugin

    /// Index of a peer within the upstream; nil when there is none to use, or none has room.
    mutating func pick(
        _ callout: UnsafeMutablePointer<Callout>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Int? {
        let isBounded = upstream.pointee.failover != nil
        var local: Int?
        if isBounded, upstream.pointee.pick == nil {
            local = chooseOnly(upstream)
        } else {
            local = pick(
                upstream,
                request: nil,
                attempt: callout.pointee.attempts,
                tried: callout.pointee.tried,
                takesFirst: callout.pointee.tried == nil && !isBounded,
                hashKey: nil
            )
        }
        callout.pointee.hasPlace = local != nil && holdsPlaces(upstream)
        return local
    }

    /// No connection to a peer was got.
    func leave(_ callout: UnsafeMutablePointer<Callout>, _ peer: Int, _ local: Int) {
        if callout.pointee.hasPlace {
            callout.pointee.hasPlace = false
            peers[peer].addInFlight(-1)
        }
        markTried(callout, local)
    }

    // MARK: Room

    private mutating func firstWithRoom(
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ tried: UnsafeMutablePointer<UInt64>?
    ) -> Int? {
        for place in 0..<candidateCount {
            let local = candidate(place)
            guard local < upstream.pointee.peerCount else { continue }
            if let tried, tried[local / 64] & 1 << UInt64(local % 64) != 0 { continue }
            if takePlace(upstream, local) {
                limitHit = .none
                return local
            }
        }
        return nil
    }

    private mutating func leaveOutCandidates(_ upstream: UnsafeMutablePointer<UpstreamPlan>) {
        for place in 0..<candidateCount {
            let local = candidate(place)
            guard local < upstream.pointee.peerCount else { continue }
            leftOut[local / 64] |= 1 << UInt64(local % 64)
        }
    }

    private var candidateCount: Int {
        mutating get { min(Int(pickCall.pointee.count), Int(SLUICE_PICK_MAX)) }
    }

    private mutating func candidate(_ place: Int) -> Int {
        withUnsafeBytes(of: &pickCall.pointee.candidates) {
            Int($0.load(fromByteOffset: place &* MemoryLayout<UInt32>.stride, as: UInt32.self))
        }
    }

    /// The only peer of an upstream without a balancer.
    mutating func chooseOnly(_ upstream: UnsafeMutablePointer<UpstreamPlan>) -> Int? {
        limitHit = .none
        return takePlace(upstream, 0) ? 0 : nil
    }

    /// Whether requests have their place at a peer from the moment it was chosen, as its requests
    /// are limited.
    ///
    /// Elsewhere they count from their connection on.
    func holdsPlaces(_ upstream: UnsafeMutablePointer<UpstreamPlan>) -> Bool {
        guard let plan = upstream.pointee.failover else { return false }
        return plan.pointee.limits.perPeer.inFlight > 0
    }

    /// Whether a peer may be given one more request; sets `limitHit` when not.
    ///
    /// Where `holdsPlaces` says so the request counts from now on: who calls binds it to a
    /// connection, or lowers the count again. Other workers look at the same moment, so the count
    /// is raised first and then compared, and never passes the limit.
    mutating func takePlace(
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ local: Int
    ) -> Bool {
        guard let plan = upstream.pointee.failover else { return true }
        let limits = plan.pointee.limits.perPeer
        let peer = upstream.pointee.peer(local)
        if limits.inFlight > 0, peers[peer].inFlight >= limits.inFlight {
            limitHit = .peerInFlight
            return false
        }
        if limits.connections > 0, peers[peer].connections >= limits.connections,
            !hasConnection(peer, upstream)
        {
            limitHit = .peerConnections
            return false
        }
        if limits.inFlight > 0, peers[peer].addInFlight(1) > limits.inFlight {
            _ = peers[peer].addInFlight(-1)
            limitHit = .peerInFlight
            return false
        }
        return true
    }

    /// Whether a request finds a connection to a peer without making one.
    private mutating func hasConnection(
        _ peer: Int,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>
    ) -> Bool {
        pools[peer].first != nil
            || upstream.pointee.speaks != .h1 && sessionWithRoom(peer) != nil
            || mailboxes.count > 1 && findGiver(peer) != nil
    }
}
