import Balancing
import SluiceSDK

/// The peers of one upstream, ready to be drawn.
///
/// All workers read it; each has random numbers of its own.
package final class RandomTable {
    /// Unusable peers in a row after which a pick looks at all of them: with a tenth of the weights
    /// usable one pick in five gets there.
    package static let drawsMax = 16

    private let tiers: Tiers<WeightedDraw>

    init(
        _ peers: PeerSet,
        _ common: CommonConfiguration,
        _ history: PeerHistory,
        seed: UInt64
    ) throws(PluginError) {
        tiers = try Tiers(peers, common, history, seed: seed) { group throws(PluginError) in
            WeightedDraw(group)
        } free: {
            $0.deallocate()
        }
    }

    deinit { tiers.deallocate { $0.deallocate() } }

    /// Chooses usable peers by their weights.
    func choose(_ pick: borrowing Pick) {
        let worker = pick.workerIndex
        let numbers = tiers.numbers
        tiers.choose(pick) { tier, look in
            let draw = tier.pointee.entry
            let group = tier.pointee.group
            var look = look
            for _ in 0..<Self.drawsMax {
                let place = draw.place(numbers.next(worker))
                // Safe: a drawn place is one of the group.
                if group.members[place].isUsable(pick, look) { return place }
                look.drawAgain()
            }
            guard look.isThorough(group) else { return nil }
            return group.proportional(numbers.next(worker), pick, look)
        }
    }
}
