package import Balancing
package import SluiceSDK

/// The look-up table of Maglev (Eisenbud et al., NSDI 2016, §3.4): each peer has an order of its
/// own of all slots, and peers in turn take the first slot of theirs that is still free.
///
/// A heavier peer has more turns: the next is always that of the peer whose turns so far are the
/// fewest for its weight. The order of peers is that of their hashes, so that proxies with the same
/// peers agree, however their manifests list them.
package struct MaglevTable: KeyCircle {
    /// Slots, unless the configuration says otherwise.
    package static let sizeDefault = 65_537
    /// What `table_size` may be, if it is prime: up to 10 MB.
    package static let sizes = 251...5_000_011

    package let owners: UnsafeMutablePointer<UInt16>
    package let count: Int

    /// Reads `table_size`.
    ///
    /// - Throws: when it is out of range, or no prime: a peer's steps would not meet all slots.
    package static func size(_ value: ConfigurationValue?) throws(PluginError) -> Int {
        guard let value else { return sizeDefault }
        let size = try value.integer(in: sizes)
        var prime = size
        while !isPrime(prime) { prime += 1 }
        guard prime == size else {
            throw value.error("\(size) is no prime number; the next one is \(prime)")
        }
        return size
    }

    private static func isPrime(_ number: Int) -> Bool {
        var divisor = 2
        while divisor * divisor <= number {
            if number % divisor == 0 { return false }
            divisor += 1
        }
        return number > 1
    }

    /// Fills a table of `size` slots, a prime: O(size log size).
    ///
    /// - Throws: when there are more peers than slots.
    package init(_ peers: PeerSet, _ group: PeerGroup, size: Int) throws(PluginError) {
        guard group.count <= size else {
            throw PluginError(
                "\(group.count) peers in a table of \(size) slots; set table_size to a prime of "
                    + "100 times as many"
            )
        }
        var turns = (0..<group.count).map { place in
            Turn(place, group.members[place], peers, size)
        }
        turns.sort { $0.hash != $1.hash ? $0.hash < $1.hash : $0.place < $1.place }
        for rank in turns.indices { turns[rank].rank = rank }
        count = size
        owners = .allocate(capacity: size)
        // No place of a member, of which there are at most 65,535.
        let free = UInt16.max
        owners.initialize(repeating: free, count: size)
        // Sorted by rank, and nobody has had a turn: the heap is in order but for the weights.
        var heap = Heap(turns)
        for _ in 0..<size {
            heap.changeFirst { turn in
                while owners[turn.slot] != free { turn.advance(size) }
                owners[turn.slot] = UInt16(turn.place)
                turn.taken += 1
            }
        }
    }

    package func deallocate() { owners.deallocate() }

    package func hash(_ key: Bytes) -> UInt64 { Balancing.hash(of: key) }

    package func slot(of hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(count)).high)
    }

    /// Anywhere in the table, by the key.
    ///
    /// Not the next slot: with few peers whose steps are alike, two thirds of a peer's slots and
    /// more are followed by those of one other, which would get as many of its keys.
    package func next(after slot: Int, _ hash: inout UInt64) -> Int {
        hash = mixed(hash &+ 1)
        return self.slot(of: hash)
    }
}

/// A peer's way through the slots.
private struct Turn {
    let hash: UInt64
    let place: Int
    let weight: Int
    /// Among the peers, by their hashes.
    var rank = 0
    /// Where it looks next.
    var slot: Int
    private let step: Int
    /// Slots that it has.
    var taken = 0

    init(_ place: Int, _ member: Member, _ peers: PeerSet, _ size: Int) {
        self.place = place
        weight = member.weight
        hash = Balancing.hash(of: peers[member.index].address)
        slot = Int(hash % UInt64(size))
        // Not 0, and as the size is prime all slots are met.
        step = Int(mixed(hash &+ 1) % UInt64(size - 1)) + 1
    }

    mutating func advance(_ size: Int) {
        slot += step
        if slot >= size { slot -= size }
    }

    /// Whether this peer's next turn comes before another's.
    func isBefore(_ other: Turn) -> Bool {
        let own = (taken + 1) * other.weight
        let others = (other.taken + 1) * weight
        return own != others ? own < others : rank < other.rank
    }
}

/// The peers, the one with the next turn first.
private struct Heap {
    private var turns: [Turn]

    init(_ turns: [Turn]) {
        self.turns = turns
        for parent in stride(from: turns.count / 2 - 1, through: 0, by: -1) { sink(parent) }
    }

    mutating func changeFirst(_ change: (inout Turn) -> Void) {
        change(&turns[0])
        sink(0)
    }

    private mutating func sink(_ from: Int) {
        var parent = from
        while true {
            var first = parent
            for child in 2 * parent + 1...2 * parent + 2
            where child < turns.count && turns[child].isBefore(turns[first]) {
                first = child
            }
            if first == parent { return }
            turns.swapAt(parent, first)
            parent = first
        }
    }
}
