import Balancing
import SluiceSDK

/// The peers of one upstream, ready to be drawn.
///
/// All workers read it; each has random numbers of its own.
package final class RandomTable {
    private struct Rank: BitwiseCopyable {
        let group: PeerGroup
        let draw: WeightedDraw
    }

    /// Unusable peers in a row after which a pick looks at all of them: with a tenth of the weights
    /// usable one pick in five gets there.
    package static let drawsMax = 16

    private let ranks: Ranks<Rank>
    private let numbers: WorkerNumbers

    init(_ peers: PeerSet, seed: UInt64) {
        ranks = Ranks(PeerGroup.groups(of: peers).map { Rank(group: $0, draw: WeightedDraw($0)) })
        numbers = WorkerNumbers(workers: peers.workerCount, seed: seed)
    }

    deinit {
        for index in 0..<ranks.count {
            ranks.start[index].group.deallocate()
            ranks.start[index].draw.deallocate()
        }
        ranks.deallocate()
        numbers.deallocate()
    }

    /// A peer that was not tried and is healthy, of the first priority that has one; else one that
    /// was not tried; else nil.
    func draw(_ pick: borrowing Pick) -> Int? {
        guard numbers.knows(pick) else { return nil }
        let worker = pick.workerIndex
        return ranks.first { rank, healthy in
            let members = rank.group.members
            for _ in 0..<Self.drawsMax {
                // Safe: a drawn place is one of the group.
                let member = members[rank.draw.place(numbers.next(worker))]
                if member.isUsable(pick, healthy: healthy) { return member.index }
            }
            return rank.group.proportional(numbers.next(worker), pick, healthy: healthy)
                .map { members[$0].index }
        }
    }
}
