public import SluiceSDK

/// One peer as a pick needs it.
public struct Member: BitwiseCopyable {
    /// In the set that the host gave.
    public let index: Int
    /// 1 to 65,535.
    public let weight: Int
    /// The host's counters.
    public let load: PeerLoad

    /// Whether the peer may be picked: not tried, and healthy where that is asked for.
    @inlinable
    public func isUsable(_ pick: borrowing Pick, healthy: Bool) -> Bool {
        !pick.wasTried(index) && (!healthy || load.isHealthy)
    }
}

/// The peers of one priority.
///
/// Plain memory that the table which holds the group frees: picks read it without a reference
/// count.
public struct PeerGroup: BitwiseCopyable {
    /// In the order of the set.
    public let members: UnsafeMutablePointer<Member>
    /// Number of members, 1 to 65,535: a place of one fits 16 bits, and 65,535 is none.
    public let count: Int
    /// Sum of the members' weights.
    public let weights: Int

    /// The groups of a set, the priority with the smallest number first.
    public static func groups(of peers: PeerSet) -> [PeerGroup] {
        let order = (0..<peers.count).sorted { left, right in
            (peers[left].priority, left) < (peers[right].priority, right)
        }
        var groups: [PeerGroup] = []
        var begin = 0
        while begin < order.count {
            var end = begin + 1
            while end < order.count, peers[order[end]].priority == peers[order[begin]].priority {
                end += 1
            }
            groups.append(PeerGroup(peers, order[begin..<end]))
            begin = end
        }
        return groups
    }

    private init(_ peers: PeerSet, _ indices: ArraySlice<Int>) {
        count = indices.count
        members = .allocate(capacity: count)
        var sum = 0
        for (place, index) in indices.enumerated() {
            let weight = max(peers[index].weight, 1)
            // Safe: there is room for as many as there are indices.
            (members + place).initialize(
                to: Member(index: index, weight: weight, load: peers[index].load)
            )
            sum += weight
        }
        weights = sum
    }

    /// Frees the members; nobody may use the group any more.
    public func deallocate() { members.deallocate() }

    /// The place of a usable member, by the weights: the same for the same number as long as the
    /// same members are usable.
    ///
    /// For the rare pick that finds nothing usable where it looked: O(members).
    ///
    /// - Parameter number: any; each is as likely as another.
    @inline(never)
    public func proportional(
        _ number: UInt64,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        var sum = 0
        for place in 0..<count where members[place].isUsable(pick, healthy: healthy) {
            sum += members[place].weight
        }
        guard sum > 0 else { return nil }
        var left = Int(truncatingIfNeeded: number.multipliedFullWidth(by: UInt64(sum)).high)
        var last: Int?
        for place in 0..<count where members[place].isUsable(pick, healthy: healthy) {
            left -= members[place].weight
            if left < 0 { return place }
            last = place
        }
        // A peer became ill between the two walks.
        return last
    }
}

/// The groups of a set, as a table keeps them: one entry a priority.
///
/// Plain memory that the table frees.
public struct Ranks<Entry: BitwiseCopyable>: BitwiseCopyable {
    /// The first priority first.
    public let start: UnsafeMutablePointer<Entry>
    /// Number of priorities.
    public let count: Int

    /// Keeps the entries.
    public init(_ entries: [Entry]) {
        count = entries.count
        start = .allocate(capacity: max(count, 1))
        // Safe: there is room for all entries.
        for (index, entry) in entries.enumerated() { (start + index).initialize(to: entry) }
    }

    /// Frees the entries, not what they point to.
    public func deallocate() { start.deallocate() }

    /// What `choose` finds in the first priority that has a healthy peer; when none has, in the
    /// first that has any: a peer that is said to be ill is better than none.
    @inlinable
    public func first(_ choose: (Entry, _ healthy: Bool) -> Int?) -> Int? {
        var rank = 0
        while rank < count {
            // Safe: below `count`.
            if let found = choose(start[rank], true) { return found }
            rank &+= 1
        }
        rank = 0
        while rank < count {
            if let found = choose(start[rank], false) { return found }
            rank &+= 1
        }
        return nil
    }
}
