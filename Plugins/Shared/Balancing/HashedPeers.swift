public import SluiceSDK

/// A circle of slots, each of which belongs to a member of a group: where keys find their peer.
///
/// Plain memory that the table frees.
public protocol KeyCircle: BitwiseCopyable {
    /// Places of members, one a slot.
    var owners: UnsafeMutablePointer<UInt16> { get }
    /// Number of slots, 1 or more.
    var count: Int { get }
    /// The hash of a key, the same for all circles of a table.
    func hash(_ key: Bytes) -> UInt64
    /// The slot of a hash, below `count`; a random number gives a random slot.
    func slot(of hash: UInt64) -> Int
    /// The slot to look at when the owner of one may not be used.
    ///
    /// - Parameter hash: what led to `slot`; it may be changed for the next look.
    func next(after slot: Int, _ hash: inout UInt64) -> Int
    /// Frees the slots.
    func deallocate()
}

/// The table of a balancer that hashes: a circle for each priority.
///
/// A key's peer is the owner of its slot. When that one may not be used it is the owner of the next
/// slot on the key's way that belongs to another peer, and so on: the keys of a peer that is gone
/// are spread over the others, and all other keys stay. All workers read the circle; what is random
/// or counted belongs to one worker.
public final class HashedPeers<Circle: KeyCircle> {
    struct Rank: BitwiseCopyable {
        let group: PeerGroup
        let circle: Circle
        let mean: MeanLoad?
    }

    /// Slots that a pick looks at before it takes a usable peer by the weights alone.
    ///
    /// So many slots of unusable peers in a row mean that nearly all peers are unusable.
    public static var slotsMax: Int { 1_024 }

    private let ranks: Ranks<Rank>
    private let numbers: WorkerNumbers

    /// - Parameters:
    ///   - peers: of the upstream.
    ///   - maxLoad: how many times the mean a peer's load may be; nil for no bound.
    ///   - seed: of what is random.
    ///   - circle: makes the circle of a group.
    /// - Throws: why there is no circle.
    public init(
        _ peers: PeerSet,
        maxLoad: Double?,
        seed: UInt64,
        _ circle: (PeerSet, PeerGroup) throws(PluginError) -> Circle
    ) throws(PluginError) {
        var made: [Rank] = []
        let groups = PeerGroup.groups(of: peers)
        for (index, group) in groups.enumerated() {
            do throws(PluginError) {
                let mean = maxLoad.map { MeanLoad($0, group, workers: peers.workerCount) }
                made.append(Rank(group: group, circle: try circle(peers, group), mean: mean))
            } catch {
                for rank in made { Self.free(rank) }
                for group in groups[index...] { group.deallocate() }
                throw error
            }
        }
        ranks = Ranks(made)
        numbers = WorkerNumbers(workers: peers.workerCount, seed: seed)
    }

    deinit {
        for index in 0..<ranks.count { Self.free(ranks.start[index]) }
        ranks.deallocate()
        numbers.deallocate()
    }

    private static func free(_ rank: Rank) {
        rank.mean?.deallocate()
        rank.circle.deallocate()
        rank.group.deallocate()
    }

    /// The peer of a pick's key, of a random one when the key is missing or empty.
    public func choose(_ pick: borrowing Pick) -> Int? {
        guard numbers.knows(pick) else { return nil }
        let worker = pick.workerIndex
        let hash: UInt64
        if let key = pick.hashKey, !key.isEmpty {
            hash = ranks.start.pointee.circle.hash(key)
        } else {
            hash = numbers.next(worker)
        }
        return ranks.first { rank, healthy in
            guard let place = rank.choose(hash, worker, pick, healthy: healthy) else { return nil }
            // Safe: the place is one of the group.
            return rank.group.members[place].index
        }
    }
}

extension HashedPeers.Rank {
    /// The place of the member for a hash; nil when none is usable.
    @inline(__always)
    func choose(
        _ hash: UInt64,
        _ worker: Int,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        let slot = circle.slot(of: hash)
        guard let mean else {
            // Safe: slots are below `count`, and owners are places of members.
            let owner = Int(circle.owners[slot])
            if group.members[owner].isUsable(pick, healthy: healthy) { return owner }
            return walk(from: slot, hash, worker, pick, healthy: healthy)
        }
        mean.refresh(worker)
        let place = walk(from: slot, hash, worker, pick, healthy: healthy)
        if let place { mean.count(place, worker) }
        return place
    }

    /// The first usable member from a slot on that is within its bound; else the first usable one.
    @inline(never)
    private func walk(
        from slot: Int,
        _ hash: UInt64,
        _ worker: Int,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        var slot = slot
        var way = hash
        var refused = UInt16.max
        var overloaded: Int?
        for _ in 0..<min(circle.count, HashedPeers.slotsMax) {
            // Safe: as in `choose`.
            let owner = circle.owners[slot]
            slot = circle.next(after: slot, &way)
            if owner == refused { continue }
            refused = owner
            let place = Int(owner)
            guard group.members[place].isUsable(pick, healthy: healthy) else { continue }
            guard let mean, !mean.admits(place, worker) else { return place }
            if overloaded == nil { overloaded = place }
        }
        if let overloaded { return overloaded }
        return group.proportional(mixed(hash), pick, healthy: healthy)
    }
}
