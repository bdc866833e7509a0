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
    /// why there is none.
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

    private mutating func firstWithRoom(
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ tried: UnsafeMutablePointer<UInt64>?
    ) -> Int? {
        for place in 0..<candidateCount {
            let local = candidate(place)
            guard local < upstream.pointee.peerCount else { continue }
            if let tried, tried[local / 64] & 1 << UInt64(local % 64) != 0 { continue }
            if hasRoom(upstream, local) {
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
        return hasRoom(upstream, 0) ? 0 : nil
    }

    /// Whether a peer may be given one more request; sets `limitHit` when not.
    private mutating func hasRoom(
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
