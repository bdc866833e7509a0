import SluiceSDK

/// The peers of an upstream, sorted by priority.
///
/// Made once and then only read, by all workers at the same time. What changes are the host's own
/// counters.
public final class RankedPeers {
    private struct Ranked {
        /// In the set that the host gave.
        let index: Int
        let priority: Int
        let load: PeerLoad
        /// Where the next priority begins.
        var rankEnd: Int
    }

    // Raw memory: an array would be retained by each pick.
    private let peers: UnsafeMutablePointer<Ranked>
    private let count: Int

    init(_ set: PeerSet) {
        var ranked = (0..<set.count).map { index in
            let peer = set[index]
            return Ranked(index: index, priority: peer.priority, load: peer.load, rankEnd: 0)
        }
        ranked.sort { ($0.priority, $0.index) < ($1.priority, $1.index) }
        for place in ranked.indices.reversed() {
            let isLast =
                place + 1 == ranked.count || ranked[place].priority != ranked[place + 1].priority
            ranked[place].rankEnd = isLast ? place + 1 : ranked[place + 1].rankEnd
        }
        count = ranked.count
        peers = .allocate(capacity: count)
        // Safe: there is room for `count` of them.
        for (place, peer) in ranked.enumerated() { (peers + place).initialize(to: peer) }
    }

    deinit { peers.deallocate() }

    /// The peer with the fewest requests in flight, of the first priority that has one to be used.
    ///
    /// - Parameter turn: any number; says with which peer of a priority it begins.
    func leastBusy(_ pick: borrowing Pick, turn: UInt64, onlyHealthy: Bool) -> Int? {
        var begin = 0
        while begin < count {
            let end = peers[begin].rankEnd
            let first = Int(turn % UInt64(end - begin))
            var best: (index: Int, inFlight: UInt64)?
            for step in 0..<end - begin {
                let place = begin + (first + step) % (end - begin)
                // Safe: below `count`.
                let peer = peers[place]
                guard !pick.wasTried(peer.index), !onlyHealthy || peer.load.isHealthy else {
                    continue
                }
                let inFlight = peer.load.inFlight
                if inFlight < best?.inFlight ?? .max { best = (peer.index, inFlight) }
            }
            if let best { return best.index }
            begin = end
        }
        return nil
    }
}
