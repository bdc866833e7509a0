import Balancing
import SluiceSDK

/// The order of one upstream's peers, and where each worker stands in it.
///
/// A worker walks through the cycle of each tier by its own cursor, on its own cache lines, so a
/// pick takes no lock and shares nothing. Workers begin at places of the cycle that the golden
/// ratio spreads, else all of them would send their first requests to the first peer.
///
/// A peer that may not be used is passed over, and its turn goes to the next one of the order; as
/// the cursor moves on behind that one, the rest keep their shares. Candidates behind the first are
/// those whose turns come next, and they keep their turns.
package final class RoundRobinTable {
    private let tiers: Tiers<Cycle>

    init(
        _ peers: PeerSet,
        _ common: CommonConfiguration,
        _ history: PeerHistory,
        seed: UInt64
    ) throws(PluginError) {
        tiers = try Tiers(peers, common, history, seed: seed) { group throws(PluginError) in
            Cycle(group, workers: max(peers.workerCount, 1), version: peers.version)
        } free: {
            $0.deallocate()
        }
    }

    deinit { tiers.deallocate { $0.deallocate() } }

    /// Chooses the peers whose turn it is.
    func choose(_ pick: borrowing Pick) {
        tiers.choose(pick) { tier, look in
            tier.pointee.entry.next(tier.pointee.group, pick.workerIndex, pick, look)
        }
    }
}

/// The turns of the peers of one tier.
struct Cycle: BitwiseCopyable {
    /// Unusable turns in a row that a pick passes over before it looks at the peers themselves.
    static let passedMax = 64
    /// Words from one worker's cursor to the next one's: pairs of lines, as the prefetcher fetches
    /// them.
    private static let cursorStride = 16

    /// One cycle of turns, as places of members; nil when it would be too long.
    private let turns: UnsafeMutablePointer<UInt32>?
    private let count: Int
    private let cursors: UnsafeMutablePointer<UInt64>
    /// Without a cycle: credits of each worker, those of its members first.
    private let credits: UnsafeMutablePointer<Int>?

    init(_ group: PeerGroup, workers: Int, version: UInt64) {
        let weights = (0..<group.count).map { group.members[$0].weight }
        cursors = .allocate(capacity: workers * Self.cursorStride)
        cursors.initialize(repeating: 0, count: workers * Self.cursorStride)
        guard let cycle = SmoothSequence.cycle(SmoothSequence.reduced(weights)) else {
            turns = nil
            count = 0
            let words = Self.creditStride(group.count) * workers
            let credits = UnsafeMutablePointer<Int>.allocate(capacity: words)
            credits.initialize(repeating: 0, count: words)
            Self.seed(credits, weights, workers)
            self.credits = credits
            return
        }
        let turns = UnsafeMutablePointer<UInt32>.allocate(capacity: cycle.count)
        for (turn, place) in cycle.enumerated() { (turns + turn).initialize(to: place) }
        self.turns = turns
        count = cycle.count
        credits = nil
        for worker in 0..<workers {
            // A fraction of the cycle that differs between workers, and for one worker between
            // updates of the set, or frequent updates would favour the first peers.
            let number = version &* UInt64(workers) &+ UInt64(worker)
            let start = (number &* goldenRatio).multipliedFullWidth(by: UInt64(cycle.count)).high
            cursors[worker * Self.cursorStride] = start
        }
    }

    func deallocate() {
        turns?.deallocate()
        cursors.deallocate()
        credits?.deallocate()
    }

    /// The place of the member of the next usable turn; nil when there is no usable member.
    @inline(__always)
    func next(
        _ group: PeerGroup,
        _ worker: Int,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        guard let turns else { return smooth(group, worker, pick, look) }
        // Safe: there is a cursor for each worker, and this one alone uses it. Cursors stay below
        // `count`, and turns are places of members.
        let own = cursors + worker &* Self.cursorStride
        let turn = Int(truncatingIfNeeded: own.pointee)
        let place = Int(turns[turn])
        let next = turn &+ 1 == count ? 0 : UInt64(turn &+ 1)
        if !look.isSpare { own.pointee = next }
        if group.members[place].isUsable(pick, look) { return place }
        var cursor = next
        let passed = pass(&cursor, turns, group, pick, look)
        if !look.isSpare { own.pointee = cursor }
        return passed
    }

    /// Goes on from a turn that could not be taken.
    @inline(never)
    private func pass(
        _ cursor: inout UInt64,
        _ turns: UnsafeMutablePointer<UInt32>,
        _ group: PeerGroup,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        for _ in 0..<min(count, Self.passedMax) {
            let place = Int(turns[Int(cursor)])
            cursor = Int(cursor) + 1 == count ? 0 : cursor + 1
            if group.members[place].isUsable(pick, look) { return place }
        }
        guard look.isThorough(group) else { return nil }
        // A long cycle, nearly all of whose turns belong to unusable peers.
        return group.proportional(cursor &* goldenRatio, pick, look)
    }

    /// One turn of the smooth order among the usable peers, without a cycle: O(members).
    ///
    /// For a candidate behind the first the turn is not taken.
    @inline(never)
    private func smooth(
        _ group: PeerGroup,
        _ worker: Int,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        guard let credits else { return nil }
        // Safe: there are so many credits for each worker, and this one alone uses its own.
        let own = credits + worker * Self.creditStride(group.count)
        var best: Int?
        var sum = 0
        for place in 0..<group.count where group.members[place].isUsable(pick, look) {
            let weight = group.members[place].weight
            if !look.isSpare { own[place] += weight }
            sum += weight
            if let leader = best, own[leader] >= own[place] { continue }
            best = place
        }
        guard let best else { return nil }
        if !look.isSpare { own[best] -= sum }
        return best
    }

    /// A worker's credits share no cache line with another's.
    private static func creditStride(_ count: Int) -> Int { (count + 15) & ~15 }

    /// Places each worker somewhere else in the order that is too long to keep.
    ///
    /// The first worker begins without credits, as nginx does; `t` turns later a peer's credit
    /// would be about `t` times its weight, wrapped around zero by the sum of all weights.
    private static func seed(
        _ credits: UnsafeMutablePointer<Int>,
        _ weights: [Int],
        _ workers: Int
    ) {
        let sum = weights.reduce(0, +)
        let stride = creditStride(weights.count)
        for worker in 0..<workers {
            let fraction = UInt64(worker) &* goldenRatio
            for (index, weight) in weights.enumerated() {
                // The fraction of the peer's own share that has passed: `t * weight / sum`, whose
                // whole part does not matter.
                let passed = fraction &* UInt64(weight)
                let credit = Int(passed.multipliedFullWidth(by: UInt64(sum)).high)
                credits[worker * stride + index] = credit > sum / 2 ? credit - sum : credit
            }
        }
    }
}

/// 2^64 divided by the golden ratio: multiples of it, modulo 2^64, are spread evenly.
let goldenRatio: UInt64 = 0x9E37_79B9_7F4A_7C15
