public import SluiceSDK

/// One peer as a pick needs it.
public struct Member: BitwiseCopyable {
    /// In the set that the host gave.
    public let index: Int
    /// 1 to 65,535.
    public let weight: Int
    /// The host's counters.
    public let load: PeerLoad
    /// Since when the peer is in use; nil without slow start.
    @usableFromInline let start: PeerStart?

    /// Whether the peer may be picked: neither tried nor chosen, and as healthy as the look asks.
    @inlinable
    @inline(__always)
    public func isUsable(_ pick: borrowing Pick, _ look: Look) -> Bool {
        if pick.wasTried(index) || pick.isChosen(index) { return false }
        if !look.isHealthy { return true }
        if load.isHealthy, look.slowStart == nil { return true }
        return isTaken(look)
    }

    /// For a peer that is ill, or may start slowly.
    @usableFromInline
    @inline(never)
    func isTaken(_ look: Look) -> Bool {
        if !load.isHealthy {
            start?.noteIllness()
            return false
        }
        guard let slowStart = look.slowStart, let start else { return true }
        // Safe: the tiers keep it.
        return slowStart.pointee.admits(start, mixed(look.chance &+ UInt64(index)))
    }

    /// The weight of now, which is smaller while the peer starts slowly.
    @inlinable
    public func weight(_ look: Look) -> Double {
        guard let slowStart = look.slowStart, let start else { return Double(weight) }
        // Safe: as in `isTaken`.
        return Double(weight) * slowStart.pointee.share(start)
    }
}

/// What a pick is content with while it looks for one peer.
public struct Look: BitwiseCopyable {
    /// Whether unhealthy peers are passed over.
    public let isHealthy: Bool
    /// Whether this is for a peer behind the first: nothing is counted, no cursor moves, and few
    /// members are looked at, whatever their number.
    public let isSpare: Bool
    /// Passes over peers that start slowly, as often as they are to be; nil takes them like others.
    @usableFromInline let slowStart: UnsafePointer<SlowStart>?
    /// A number of the pick: each is as likely as another.
    @usableFromInline var chance: UInt64

    /// Members of a group that are all looked at for a peer behind the first.
    @inlinable public static var spareMembersMax: Int { 64 }

    /// Whether all members of a group are looked at when the quick way finds none.
    @inlinable
    public func isThorough(_ group: PeerGroup) -> Bool {
        isSpare ? group.count <= Self.spareMembersMax : slowStart == nil
    }

    /// The look of the pick's next draw, in which a peer that starts slowly has another chance.
    @inlinable
    public mutating func drawAgain() { chance &+= 1 << 32 }

    @inlinable
    init(
        isHealthy: Bool,
        isSpare: Bool,
        slowStart: UnsafePointer<SlowStart>?,
        chance: UInt64
    ) {
        self.isHealthy = isHealthy
        self.isSpare = isSpare
        self.slowStart = slowStart
        self.chance = chance
    }
}

/// The peers of one priority, in the own zone or out of it.
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
    /// 0 first.
    let priority: Int
    /// Whether the members are of another zone than the own one, where there is such a thing.
    let isElsewhere: Bool

    /// The groups of a set without its draining peers: the priority with the smallest number first,
    /// and of one priority the own zone first.
    static func groups(
        of peers: PeerSet,
        zone: Bytes?,
        starts: PeerStarts?
    ) throws(PluginError) -> [PeerGroup] {
        var keys: [(priority: Int, isElsewhere: Bool, index: Int)] = []
        for index in 0..<peers.count {
            let traits = try PeerTraits(peers[index])
            if traits.isDraining { continue }
            let isElsewhere = zone.map { $0 != traits.zone } ?? false
            keys.append((peers[index].priority, isElsewhere, index))
        }
        keys.sort { left, right in
            (left.priority, left.isElsewhere ? 1 : 0, left.index)
                < (right.priority, right.isElsewhere ? 1 : 0, right.index)
        }
        var groups: [PeerGroup] = []
        var begin = 0
        while begin < keys.count {
            var end = begin + 1
            while end < keys.count, keys[end].priority == keys[begin].priority,
                keys[end].isElsewhere == keys[begin].isElsewhere
            {
                end += 1
            }
            groups.append(PeerGroup(peers, keys[begin..<end].map { $0.index }, keys[begin], starts))
            begin = end
        }
        return groups
    }

    private init(
        _ peers: PeerSet,
        _ indices: [Int],
        _ first: (priority: Int, isElsewhere: Bool, index: Int),
        _ starts: PeerStarts?
    ) {
        priority = first.priority
        isElsewhere = first.isElsewhere
        count = indices.count
        members = .allocate(capacity: count)
        var sum = 0
        for (place, index) in indices.enumerated() {
            let weight = max(peers[index].weight, 1)
            // Safe: there is room for as many as there are indices.
            (members + place).initialize(
                to: Member(
                    index: index,
                    weight: weight,
                    load: peers[index].load,
                    start: starts?[index]
                )
            )
            sum += weight
        }
        weights = sum
    }

    /// Frees the members; nobody may use the group any more.
    func deallocate() { members.deallocate() }

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
        _ look: Look
    ) -> Int? {
        var sum = 0
        for place in 0..<count where members[place].isUsable(pick, look) {
            sum += members[place].weight
        }
        guard sum > 0 else { return nil }
        var left = Int(truncatingIfNeeded: number.multipliedFullWidth(by: UInt64(sum)).high)
        var last: Int?
        for place in 0..<count where members[place].isUsable(pick, look) {
            left -= members[place].weight
            if left < 0 { return place }
            last = place
        }
        // A peer became ill between the two walks.
        return last
    }
}

/// What is said of a peer besides its address, weight and priority.
struct PeerTraits {
    /// Nil when nothing is said.
    let zone: Bytes?
    let isDraining: Bool

    /// - Throws: when one of them is of another type.
    init(_ peer: Peer) throws(PluginError) {
        guard let meta = peer.meta else {
            zone = nil
            isDraining = false
            return
        }
        do throws(PluginError) {
            zone = try meta.string("zone")
            isDraining = try meta.bool("draining") ?? false
        } catch {
            throw PluginError("peer \(String(peer.address)): \(error.path): \(error.message)")
        }
    }
}
