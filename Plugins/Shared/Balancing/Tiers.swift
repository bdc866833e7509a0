public import SluiceSDK

/// The peers of a set in the order in which picks try them, and what all balancers do alike:
/// sessions, zones, slow start, health, and peers behind the first.
///
/// A tier is a group of peers and what a balancer has made of it. Plain memory that the table
/// frees, so that picks read it without a reference count.
public struct Tiers<Entry: BitwiseCopyable>: BitwiseCopyable {
    @usableFromInline
    struct Tier: BitwiseCopyable {
        @usableFromInline let entry: Entry
        @usableFromInline let group: PeerGroup
        /// Of the own zone, when the next tier is the same priority's other zones; else nil.
        @usableFromInline let zone: ZoneShare?
    }

    @usableFromInline let start: UnsafeMutablePointer<Tier>
    /// Number of tiers; 0 when all peers are draining.
    public let count: Int
    /// Random numbers of each worker.
    public let numbers: WorkerNumbers
    /// Peers that a pick chooses when there are as many: 1 to 8.
    @usableFromInline let candidates: Int
    @usableFromInline let slowStart: SlowStart?
    /// Whether picks need a number though the balancer does not.
    @usableFromInline let usesChance: Bool
    @usableFromInline let sessions: SessionTable?
    private let starts: Unmanaged<PeerStarts>?

    /// Groups the peers of a set.
    ///
    /// - Parameters:
    ///   - peers: of the upstream.
    ///   - common: what the instance was told.
    ///   - history: of the instance; from when on its peers are in use.
    ///   - seed: of what is random.
    ///   - entry: makes what the balancer keeps of a group.
    ///   - free: frees what `entry` has made, when a later group fails.
    /// - Throws: what `entry` throws, or what is wrong with a peer.
    public init(
        _ peers: PeerSet,
        _ common: CommonConfiguration,
        _ history: PeerHistory,
        seed: UInt64,
        _ entry: (PeerGroup) throws(PluginError) -> Entry,
        free: (Entry) -> Void
    ) throws(PluginError) {
        let starts = common.slowStart.map { history.starts(of: peers, $0.now) }
        let groups = try PeerGroup.groups(of: peers, zone: common.zone?.own, starts: starts)
        let workers = peers.workerCount
        var entries: [Entry] = []
        do throws(PluginError) {
            for group in groups { entries.append(try entry(group)) }
            sessions = try common.sticky.map { sticky throws(PluginError) in
                try SessionTable(peers, sticky)
            }
        } catch {
            for made in entries { free(made) }
            for group in groups { group.deallocate() }
            throw error
        }
        count = groups.count
        start = .allocate(capacity: max(count, 1))
        for (index, group) in groups.enumerated() {
            let hasOthers =
                index + 1 < groups.count && groups[index + 1].priority == group.priority
            let zone = common.zone.flatMap {
                hasOthers ? ZoneShare(group, $0.minHealthy, workers: workers) : nil
            }
            // Safe: there is room for all groups.
            (start + index).initialize(to: Tier(entry: entries[index], group: group, zone: zone))
        }
        numbers = WorkerNumbers(workers: workers, seed: seed)
        candidates = min(common.candidates, groups.reduce(0) { $0 + $1.count })
        slowStart = common.slowStart
        usesChance = common.slowStart != nil || common.zone != nil
        self.starts = starts.map { Unmanaged.passRetained($0) }
    }

    /// Frees all, and what `free` frees of each entry.
    public func deallocate(_ free: (Entry) -> Void) {
        for index in 0..<count {
            free(start[index].entry)
            start[index].zone?.deallocate()
            start[index].group.deallocate()
        }
        start.deallocate()
        numbers.deallocate()
        sessions?.deallocate()
        starts?.release()
    }

    /// What the balancer keeps of the first tier; there must be one.
    public var firstEntry: Entry { start.pointee.entry }

    /// The key to hash: without what names a session's peer; nil when there is none.
    @inlinable
    public func key(of pick: borrowing Pick) -> Bytes? {
        guard let key = pick.hashKey else { return nil }
        guard let sessions else { return key }
        return sessions.rest(of: key)
    }

    /// Chooses: the session's peer, then what `find` finds, each peer once.
    ///
    /// Healthy peers come first, those of the first tier before the others. An unhealthy one is
    /// chosen only where there is no healthy one, and then alone.
    ///
    /// - Parameters:
    ///   - pick: to be answered.
    ///   - chance: a number that stands for the pick's key; nil for a random one.
    ///   - find: the place of a usable member of a tier, by the balancer's own rule; given the
    ///     number of the tier, what the balancer keeps of it, its group, and the look.
    @inlinable
    public func choose(
        _ pick: borrowing Pick,
        chance: UInt64? = nil,
        _ find: (Int, Entry, PeerGroup, Look) -> Int? = { _, _, _, _ in nil }
    ) {
        guard numbers.knows(pick) else { return }
        if let sessions { sessions.choose(pick) }
        var number: UInt64 = 0
        if usesChance { number = chance ?? numbers.next(pick.workerIndex) }
        if pick.chosenCount == 0 {
            let look = Look(isHealthy: true, isSpare: false, slowStart: nil, chance: number)
            guard let index = first(pick, look, find) ?? lastResort(pick, find) else { return }
            pick.choose(index.peer)
            guard index.isHealthy else { return }
        }
        let look = Look(isHealthy: true, isSpare: true, slowStart: nil, chance: number)
        while pick.chosenCount < candidates {
            guard let spare = first(pick, look, find) else { return }
            pick.choose(spare.peer)
        }
    }

    /// A peer that was found.
    @usableFromInline
    struct Found {
        @usableFromInline let peer: Int
        @usableFromInline let isHealthy: Bool

        @inlinable
        init(peer: Int, isHealthy: Bool) {
            self.peer = peer
            self.isHealthy = isHealthy
        }
    }

    /// The first healthy peer of the tiers in their order.
    @inlinable
    func first(
        _ pick: borrowing Pick,
        _ look: Look,
        _ find: (Int, Entry, PeerGroup, Look) -> Int?
    ) -> Found? {
        var index = 0
        while index < count {
            // Safe: below `count`; and behind a tier with a share there is another one.
            if !look.isSpare, let zone = (start + index).pointee.zone {
                let spills = zone.spills(pick.workerIndex, look.chance)
                let (near, far) = spills ? (index &+ 1, index) : (index, index &+ 1)
                if let peer = one(near, pick, look, find) { return peer }
                if let peer = one(far, pick, look, find) { return peer }
                index &+= 2
                continue
            }
            if let peer = one(index, pick, look, find) { return peer }
            if look.isSpare, (start + index).pointee.group.count > Look.spareMembersMax {
                // Nearly all are unusable, and those that are not come before the next tier's.
                return nil
            }
            index &+= 1
        }
        return nil
    }

    /// A healthy peer of one tier: at first with those that start slowly passed over, as often as
    /// they are to be, and when that leaves none without.
    @inlinable
    func one(
        _ index: Int,
        _ pick: borrowing Pick,
        _ look: Look,
        _ find: (Int, Entry, PeerGroup, Look) -> Int?
    ) -> Found? {
        // Safe: below `count`.
        let tier = start + index
        if let slowStart, !look.isSpare {
            let eased = Look(
                isHealthy: true,
                isSpare: false,
                slowStart: slowStart,
                chance: look.chance
            )
            if let place = find(index, tier.pointee.entry, tier.pointee.group, eased) {
                return Found(peer: tier.pointee.group.members[place].index, isHealthy: true)
            }
        }
        guard let place = find(index, tier.pointee.entry, tier.pointee.group, look) else {
            return nil
        }
        return Found(peer: tier.pointee.group.members[place].index, isHealthy: true)
    }

    /// No peer is healthy: one that is said to be ill is better than none.
    @inlinable
    func lastResort(
        _ pick: borrowing Pick,
        _ find: (Int, Entry, PeerGroup, Look) -> Int?
    ) -> Found? {
        let look = Look(isHealthy: false, isSpare: false, slowStart: nil, chance: 0)
        var index = 0
        while index < count {
            // Safe: below `count`, and the place is one of the group.
            let tier = start + index
            if let place = find(index, tier.pointee.entry, tier.pointee.group, look) {
                return Found(peer: tier.pointee.group.members[place].index, isHealthy: false)
            }
            index &+= 1
        }
        return nil
    }
}
