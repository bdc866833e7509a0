public import SluiceSDK

/// The peers of a set in the order in which picks try them, and what all balancers do alike:
/// sessions, zones, slow start, health, and peers behind the first.
///
/// A tier is a group of peers and what a balancer has made of it. Plain memory that the table
/// frees, so that picks read it without a reference count.
public struct Tiers<Entry: BitwiseCopyable>: BitwiseCopyable {
    /// A group, and what the balancer has made of it.
    public struct Tier: BitwiseCopyable {
        /// What the balancer keeps.
        public let entry: Entry
        /// The peers.
        public let group: PeerGroup
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
    @usableFromInline let slowStart: UnsafePointer<SlowStart>?
    /// Whether there is a zone or a slow start: then picks need a number though the balancer does
    /// not.
    @usableFromInline let usesChance: Bool
    @usableFromInline let sessions: UnsafePointer<SessionTable>?
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
                Self.place(try SessionTable(peers, sticky))
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
        slowStart = common.slowStart.map { Self.place($0) }
        usesChance = common.slowStart != nil || common.zone != nil
        self.starts = starts.map { Unmanaged.passRetained($0) }
    }

    /// A copy that does not move.
    private static func place<Value: BitwiseCopyable>(_ value: Value) -> UnsafePointer<Value> {
        let place = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        place.initialize(to: value)
        return UnsafePointer(place)
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
        sessions?.pointee.deallocate()
        sessions?.deallocate()
        slowStart?.deallocate()
        starts?.release()
    }

    /// Whether nothing but the balancer's own rule and the health of peers counts.
    @inlinable var isPlain: Bool { !usesChance && sessions == nil && count > 0 }

    /// What the balancer keeps of the first tier; there must be one.
    public var firstEntry: Entry { start.pointee.entry }

    /// The key to hash: without what names a session's peer; nil when there is none.
    @inlinable
    public func key(of pick: borrowing Pick) -> Bytes? {
        guard let key = pick.hashKey else { return nil }
        guard let sessions else { return key }
        return sessions.pointee.rest(of: key)
    }

    /// Chooses: the session's peer, then what `find` finds, each peer once.
    ///
    /// Healthy peers come first, those of the first tier before the others. An unhealthy one is
    /// chosen only where there is no healthy one, and then alone.
    ///
    /// - Parameters:
    ///   - pick: to be answered.
    ///   - chance: a number that stands for the pick's key; nil for a random one.
    ///   - find: the place of a usable member of a tier, by the balancer's own rule.
    @inlinable
    public func choose(
        _ pick: borrowing Pick,
        chance: UInt64? = nil,
        _ find: (UnsafePointer<Tier>, Look) -> Int? = { _, _ in nil }
    ) {
        guard numbers.knows(pick) else { return }
        // The shortest way, of most picks.
        if isPlain, pick.wantedCount == 1 {
            let look = Look(isHealthy: true, isSpare: false, slowStart: nil, chance: 0)
            if let place = find(UnsafePointer(start), look) {
                // Safe: there is a tier, and the place is one of its group.
                return pick.chooseFirst(start.pointee.group.members[place].index)
            }
        }
        if let sessions { sessions.pointee.choose(pick) }
        if pick.chosenCount == 0 {
            guard usesChance else {
                let look = Look(isHealthy: true, isSpare: false, slowStart: nil, chance: 0)
                guard let peer = inOrder(pick, look, find) else {
                    return lastResort(pick, find)
                }
                pick.choose(peer)
                return chooseSpares(pick, find)
            }
            let number = chance ?? numbers.next(pick.workerIndex)
            guard let peer = byChance(pick, number, find) else { return lastResort(pick, find) }
            pick.choose(peer)
        }
        chooseSpares(pick, find)
    }

    /// Chooses the peers behind the first.
    @inlinable
    func chooseSpares(
        _ pick: borrowing Pick,
        _ find: (UnsafePointer<Tier>, Look) -> Int?
    ) {
        let most = min(candidates, pick.wantedCount)
        guard pick.chosenCount < most else { return }
        let look = Look(isHealthy: true, isSpare: true, slowStart: nil, chance: 0)
        while pick.chosenCount < most {
            guard let peer = inOrder(pick, look, find) else { return }
            pick.choose(peer)
        }
    }

    /// The first healthy peer of the tiers in their order.
    @inlinable
    func inOrder(
        _ pick: borrowing Pick,
        _ look: Look,
        _ find: (UnsafePointer<Tier>, Look) -> Int?
    ) -> Int? {
        var index = 0
        while index < count {
            // Safe: below `count`, and the place is one of the group.
            let tier = UnsafePointer(start + index)
            if let place = find(tier, look) { return tier.pointee.group.members[place].index }
            if look.isSpare, tier.pointee.group.count > Look.spareMembersMax {
                // Nearly all are unusable, and those that are not come before the next tier's.
                return nil
            }
            index &+= 1
        }
        return nil
    }

    /// The first healthy peer, with zones and slow starts.
    @inlinable
    @inline(never)
    func byChance(
        _ pick: borrowing Pick,
        _ chance: UInt64,
        _ find: (UnsafePointer<Tier>, Look) -> Int?
    ) -> Int? {
        let plain = Look(isHealthy: true, isSpare: false, slowStart: nil, chance: chance)
        let eased = Look(isHealthy: true, isSpare: false, slowStart: slowStart, chance: chance)
        var index = 0
        while index < count {
            // Safe: below `count`; and behind a tier with a share there is another one.
            let zone = (start + index).pointee.zone
            let spills = zone?.spills(pick.workerIndex, chance) ?? false
            let pair = zone == nil ? 1 : 2
            for step in 0..<pair {
                let tier = UnsafePointer(start + (index + (spills ? 1 - step : step)))
                // Those that start slowly are passed over as often as they are to be; where that
                // leaves none they are better than another tier.
                let place = (slowStart == nil ? nil : find(tier, eased)) ?? find(tier, plain)
                if let place { return tier.pointee.group.members[place].index }
            }
            index &+= pair
        }
        return nil
    }

    /// No peer is healthy: chooses one that is said to be ill, which is better than none.
    @inlinable
    @inline(never)
    func lastResort(
        _ pick: borrowing Pick,
        _ find: (UnsafePointer<Tier>, Look) -> Int?
    ) {
        let look = Look(isHealthy: false, isSpare: false, slowStart: nil, chance: 0)
        for index in 0..<count {
            // Safe: as in `inOrder`.
            let tier = UnsafePointer(start + index)
            guard let place = find(tier, look) else { continue }
            pick.choose(tier.pointee.group.members[place].index)
            return
        }
    }
}
