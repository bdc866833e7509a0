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

/// The table of a balancer that hashes: a circle for each tier.
///
/// A key's peer is the owner of its slot. When that one may not be used it is the owner of the next
/// slot on the key's way that belongs to another peer, and so on: the keys of a peer that is gone
/// are spread over the others, and all other keys stay. Candidates behind the first are the next
/// owners on the same way. All workers read the circle; what is random or counted belongs to one
/// worker.
public final class HashedPeers<Circle: KeyCircle> {
    struct Entry: BitwiseCopyable {
        let circle: Circle
        let mean: MeanLoad?

        func deallocate() {
            mean?.deallocate()
            circle.deallocate()
        }
    }

    /// Slots that a pick looks at before it takes a usable peer by the weights alone.
    ///
    /// So many slots of unusable peers in a row mean that nearly all peers are unusable.
    public static var slotsMax: Int { 1_024 }
    /// Slots that it looks at for each candidate behind the first.
    public static var spareSlotsMax: Int { 64 }

    private let tiers: Tiers<Entry>

    /// - Parameters:
    ///   - peers: of the upstream.
    ///   - hashing: what the instance was told.
    ///   - history: of the instance.
    ///   - seed: of what is random.
    ///   - circle: makes the circle of a group.
    /// - Throws: why there is no circle.
    public init(
        _ peers: PeerSet,
        _ hashing: HashingConfiguration,
        _ history: PeerHistory,
        seed: UInt64,
        _ circle: (PeerSet, PeerGroup) throws(PluginError) -> Circle
    ) throws(PluginError) {
        tiers = try Tiers(peers, hashing.common, history, seed: seed) {
            group throws(PluginError) in
            let made = try circle(peers, group)
            let mean = hashing.maxLoad.map { MeanLoad($0, group, workers: peers.workerCount) }
            return Entry(circle: made, mean: mean)
        } free: {
            $0.deallocate()
        }
    }

    deinit { tiers.deallocate { $0.deallocate() } }

    /// Chooses the peers of a pick's key, of a random one when the key is missing or empty.
    public func choose(_ pick: borrowing Pick) {
        guard tiers.count > 0, tiers.numbers.knows(pick) else { return tiers.choose(pick) }
        let worker = pick.workerIndex
        let hash: UInt64
        if let key = tiers.key(of: pick), !key.isEmpty {
            hash = tiers.firstEntry.circle.hash(key)
        } else {
            hash = tiers.numbers.next(worker)
        }
        tiers.choose(pick, chance: mixed(hash)) { tier, look in
            tier.pointee.entry.choose(tier.pointee.group, hash, worker, pick, look)
        }
    }
}

extension HashedPeers.Entry {
    /// The place of the member for a hash; nil when none is usable.
    @inline(__always)
    func choose(
        _ group: PeerGroup,
        _ hash: UInt64,
        _ worker: Int,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        let slot = circle.slot(of: hash)
        guard let mean else {
            // Safe: slots are below `count`, and owners are places of members.
            let owner = Int(circle.owners[slot])
            if group.members[owner].isUsable(pick, look) { return owner }
            return walk(group, from: slot, hash, worker, pick, look)
        }
        if !look.isSpare { mean.refresh(worker) }
        let place = walk(group, from: slot, hash, worker, pick, look)
        if let place, !look.isSpare { mean.count(place, worker) }
        return place
    }

    /// The first usable member from a slot on that is within its bound; else the first usable one.
    @inline(never)
    private func walk(
        _ group: PeerGroup,
        from slot: Int,
        _ hash: UInt64,
        _ worker: Int,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        var slot = slot
        var way = hash
        var refused = UInt16.max
        var overloaded: Int?
        let slots = look.isSpare ? HashedPeers.spareSlotsMax : HashedPeers.slotsMax
        for _ in 0..<min(circle.count, slots) {
            // Safe: as in `choose`.
            let owner = circle.owners[slot]
            slot = circle.next(after: slot, &way)
            if owner == refused { continue }
            refused = owner
            let place = Int(owner)
            guard group.members[place].isUsable(pick, look) else { continue }
            guard let mean, !mean.admits(place, worker) else { return place }
            if overloaded == nil { overloaded = place }
        }
        if let overloaded { return overloaded }
        return look.isThorough(group) ? group.proportional(mixed(hash), pick, look) : nil
    }
}
