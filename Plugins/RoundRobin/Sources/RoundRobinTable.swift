import SluiceSDK

/// The order of one upstream's peers, and where each worker stands in it.
///
/// Peers are grouped by priority. A worker walks through a group's cycle by its own cursor, on its
/// own cache lines, so a pick takes no lock and shares nothing. Workers begin at places of the
/// cycle that the golden ratio spreads, else all of them would send their first requests to the
/// first peer.
///
/// A peer that may not be used is passed over, and its turn goes to the next one of the order; as
/// the cursor moves on behind that one, the rest keep their shares.
package final class RoundRobinTable {
    let groups: UnsafeMutablePointer<Group>
    let groupCount: Int
    let cursors: UnsafeMutableRawPointer
    let workerCount: Int
    /// Bytes from one worker's cursors to the next one's.
    let workerStride: Int

    init(_ peers: PeerSet) {
        workerCount = max(peers.workerCount, 1)
        let ranks = RoundRobinTable.ranks(of: peers)
        groupCount = ranks.count
        groups = .allocate(capacity: groupCount)
        // Pairs of lines, as the prefetcher fetches them.
        workerStride = (groupCount * 8 + 127) & ~127
        cursors = .allocate(byteCount: workerCount * workerStride, alignment: 128)
        cursors.initializeMemory(as: UInt8.self, repeating: 0, count: workerCount * workerStride)
        for (rank, indices) in ranks.enumerated() {
            let group = RoundRobinTable.makeGroup(peers, indices, workerCount)
            (groups + rank).initialize(to: group)
            for worker in 0..<workerCount {
                (cursors + worker * workerStride).storeBytes(
                    of: RoundRobinTable.start(group, worker, workerCount, peers.version),
                    toByteOffset: rank * 8,
                    as: UInt64.self
                )
            }
        }
    }

    deinit {
        for rank in 0..<groupCount {
            groups[rank].members.deallocate()
            groups[rank].turns?.deallocate()
            groups[rank].credits?.deallocate()
        }
        groups.deallocate()
        cursors.deallocate()
    }

    /// The peer whose turn it is: one that was not tried and is healthy, of the first priority that
    /// has one; else one that was not tried; else nil.
    func next(_ pick: borrowing Pick) -> Int? {
        let worker = pick.workerIndex
        guard worker >= 0, worker < workerCount else { return nil }
        // Safe: there is a stride of cursors for each worker, with one word a group.
        let own = (cursors + worker &* workerStride).assumingMemoryBound(to: UInt64.self)
        var index = 0
        while index < groupCount {
            if let peer = groups[index].next(&own[index], worker, pick, healthy: true) {
                return peer
            }
            index &+= 1
        }
        return lastResort(own, worker, pick)
    }

    @inline(never)
    private func lastResort(
        _ own: UnsafeMutablePointer<UInt64>,
        _ worker: Int,
        _ pick: borrowing Pick
    ) -> Int? {
        for index in 0..<groupCount {
            if let peer = groups[index].next(&own[index], worker, pick, healthy: false) {
                return peer
            }
        }
        return nil
    }
}

/// One peer as a pick needs it.
struct Member {
    /// In the set that the host gave.
    let index: Int
    /// Without the group's common divisor.
    let weight: Int
    let load: PeerLoad

    /// Whether the peer may be picked.
    @inline(__always)
    func isUsable(_ pick: borrowing Pick, healthy: Bool) -> Bool {
        !pick.wasTried(index) && (!healthy || load.isHealthy)
    }
}

/// The peers of one priority.
struct Group {
    /// Unusable turns in a row that a pick passes over before it looks at the peers themselves.
    static let passedMax = 64

    let members: UnsafeMutablePointer<Member>
    let memberCount: Int
    /// One cycle of turns, as indices of `members`; nil when it would be too long.
    let turns: UnsafeMutablePointer<UInt32>?
    let turnCount: Int
    /// Without a cycle: `creditStride` credits a worker, those of its members first.
    let credits: UnsafeMutablePointer<Int>?

    /// A worker's credits share no cache line with another's.
    var creditStride: Int { Group.creditStride(memberCount) }

    static func creditStride(_ memberCount: Int) -> Int { (memberCount + 15) & ~15 }

    /// The peer of the next usable turn; nil when the group has no usable peer.
    @inline(__always)
    func next(
        _ cursor: inout UInt64,
        _ worker: Int,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        guard let turns else { return smooth(worker, pick, healthy: healthy) }
        let turn = Int(truncatingIfNeeded: cursor)
        // Safe: cursors stay below `turnCount`, and turns are indices of members.
        let member = members + Int(turns[turn])
        cursor = turn &+ 1 == turnCount ? 0 : UInt64(turn &+ 1)
        if member.pointee.isUsable(pick, healthy: healthy) { return member.pointee.index }
        return pass(&cursor, turns, pick, healthy: healthy)
    }

    /// Goes on from a turn that could not be taken.
    @inline(never)
    private func pass(
        _ cursor: inout UInt64,
        _ turns: UnsafeMutablePointer<UInt32>,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        for _ in 0..<min(turnCount, Group.passedMax) {
            let member = members[Int(turns[Int(cursor)])]
            cursor = Int(cursor) + 1 == turnCount ? 0 : cursor + 1
            if member.isUsable(pick, healthy: healthy) { return member.index }
        }
        // A long cycle, nearly all of whose turns belong to unusable peers.
        return proportional(cursor, pick, healthy: healthy)
    }

    /// A usable peer in proportion to the weights, by a place that the cursor spreads: O(members).
    private func proportional(_ cursor: UInt64, _ pick: borrowing Pick, healthy: Bool) -> Int? {
        var sum = 0
        for index in 0..<memberCount where members[index].isUsable(pick, healthy: healthy) {
            sum += members[index].weight
        }
        guard sum > 0 else { return nil }
        var place = Int((cursor &* goldenRatio).multipliedFullWidth(by: UInt64(sum)).high)
        for index in 0..<memberCount where members[index].isUsable(pick, healthy: healthy) {
            place -= members[index].weight
            if place < 0 { return members[index].index }
        }
        // A peer became unusable between the two walks.
        return nil
    }

    /// One turn of the smooth order among the usable peers, without a cycle: O(members).
    @inline(never)
    private func smooth(_ worker: Int, _ pick: borrowing Pick, healthy: Bool) -> Int? {
        guard let credits else { return nil }
        // Safe: there are `creditStride` credits for each worker, and this one alone uses its own.
        let own = credits + worker * creditStride
        var best: Int?
        var sum = 0
        for index in 0..<memberCount where members[index].isUsable(pick, healthy: healthy) {
            own[index] += members[index].weight
            sum += members[index].weight
            if let leader = best, own[leader] >= own[index] { continue }
            best = index
        }
        guard let best else { return nil }
        own[best] -= sum
        return members[best].index
    }
}

/// 2^64 divided by the golden ratio: multiples of it, modulo 2^64, are spread evenly.
let goldenRatio: UInt64 = 0x9E37_79B9_7F4A_7C15

extension RoundRobinTable {
    /// Indices of the peers of each priority, the first priority first.
    private static func ranks(of peers: PeerSet) -> [[Int]] {
        let order = (0..<peers.count).sorted { left, right in
            (peers[left].priority, left) < (peers[right].priority, right)
        }
        var ranks: [[Int]] = []
        var priority: Int?
        for index in order {
            if peers[index].priority != priority { ranks.append([]) }
            priority = peers[index].priority
            ranks[ranks.count - 1].append(index)
        }
        return ranks
    }

    private static func makeGroup(_ peers: PeerSet, _ indices: [Int], _ workers: Int) -> Group {
        let weights = SmoothSequence.reduced(indices.map { max(peers[$0].weight, 1) })
        let members = UnsafeMutablePointer<Member>.allocate(capacity: indices.count)
        for (place, index) in indices.enumerated() {
            (members + place).initialize(
                to: Member(index: index, weight: weights[place], load: peers[index].load)
            )
        }
        guard let cycle = SmoothSequence.cycle(weights) else {
            let count = Group.creditStride(indices.count) * workers
            let credits = UnsafeMutablePointer<Int>.allocate(capacity: count)
            credits.initialize(repeating: 0, count: count)
            seed(credits, weights, workers)
            return Group(
                members: members,
                memberCount: indices.count,
                turns: nil,
                turnCount: 0,
                credits: credits
            )
        }
        let turns = UnsafeMutablePointer<UInt32>.allocate(capacity: cycle.count)
        for (turn, place) in cycle.enumerated() { (turns + turn).initialize(to: place) }
        return Group(
            members: members,
            memberCount: indices.count,
            turns: turns,
            turnCount: cycle.count,
            credits: nil
        )
    }

    /// Where a worker begins: a fraction of the cycle that differs between workers, and for one
    /// worker between updates of the set, or frequent updates would favour the first peers.
    private static func start(
        _ group: Group,
        _ worker: Int,
        _ workers: Int,
        _ version: UInt64
    ) -> UInt64 {
        let number = version &* UInt64(workers) &+ UInt64(worker)
        return (number &* goldenRatio).multipliedFullWidth(by: UInt64(group.turnCount)).high
    }

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
        let stride = Group.creditStride(weights.count)
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
