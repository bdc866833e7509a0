internal import CTinyUFO
internal import Synchronization

/// From a key to its node: an array of slots that is read without a lock.
///
/// A slot is one word: a node's address, with 16 bits of the key's hash in the upper bits that
/// addresses do not use; 0 is empty. A key's slot is the first one from its home that has its node,
/// before the first empty one (linear probing). When a node goes, those behind it move up, so that
/// there are no tombstones and a search stays short for ever.
///
/// Only the thread with the shard's lock writes. A reader may pass the place that a node moves to
/// before it does and the place that it left after it did. So whoever changes more than one empty
/// slot makes `version` odd before and even after, and a reader that found nothing trusts that only
/// if it saw the same even number before and after its search. What a reader finds needs no such
/// check: the node itself tells what it is.
struct Index: ~Copyable {
    /// Slots from a key's home on where it may be: so far a search goes at most, and as many
    /// objects may have the same hash.
    static let probesMax = 256
    /// At least; a power of two below twice this number.
    static let slotsPerObject = 2
    private static let addressBits: UInt64 = 48
    private static let addressMask: UInt64 = 1 << addressBits - 1

    private typealias Slot = UnsafeMutablePointer<Atomic<UInt64>>

    private let slots: Slot
    private let homeMask: UInt64
    private let version = Atomic<UInt64>(0)

    /// - Parameter objectsMax: that will be in it at most; 1 or more.
    /// - Returns: nil when there is no memory.
    init?(objectsMax: Int) {
        let count = Self.slotCount(objectsMax)
        homeMask = UInt64(Self.homeCount(objectsMax) - 1)
        guard let memory = tinyufo_zeroed(count * 8) else { return nil }
        // Safe: an atomic word of zeroes holds 0.
        slots = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    }

    func destroy() { tinyufo_free(slots) }

    static func byteCount(objectsMax: Int) -> Int { slotCount(objectsMax) * 8 }

    private static func homeCount(_ objectsMax: Int) -> Int {
        let least = objectsMax * slotsPerObject
        return 1 << (Int.bitWidth - (least - 1).leadingZeroBitCount)
    }

    /// Keys of the last homes go on behind them, so no search wraps around.
    private static func slotCount(_ objectsMax: Int) -> Int { homeCount(objectsMax) + probesMax }

    var slotCount: Int { Int(homeMask) + 1 + Self.probesMax }

    @inline(__always)
    private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash & homeMask) }

    /// The part of a hash that a slot has: not from the low bits, which say where its home is.
    @inline(__always)
    private static func tag(_ hash: UInt64) -> UInt64 { (hash >> 40) << addressBits }

    private static func word(_ node: Node.Pointer, _ hash: UInt64) -> UInt64 {
        let address = UInt64(UInt(bitPattern: node))
        precondition(address & ~addressMask == 0, "an address of more than 48 bits")
        return address | tag(hash)
    }

    @inline(__always)
    private static func node(_ word: UInt64) -> Node.Pointer? {
        // Safe: only addresses of nodes get into slots, and nodes stay nodes.
        Node.Pointer(bitPattern: UInt(truncatingIfNeeded: word & addressMask))
    }

    // MARK: Readers

    /// What a search without the lock found.
    enum Found {
        /// With a reference for the caller.
        case node(Node.Pointer)
        case nothing
        /// The index changed under the search.
        case unsure
    }

    @inline(__always)
    func search(_ key: UnsafeRawBufferPointer, _ hash: UInt64) -> Found {
        let before = version.load(ordering: .acquiring)
        let tag = Self.tag(hash)
        let home = home(hash)
        for index in home..<home + Self.probesMax {
            // Acquiring, so that the version below is read after it.
            let word = slots[index].load(ordering: .acquiring)
            guard let node = Self.node(word) else { break }
            guard word & ~Self.addressMask == tag, node.retain() else { continue }
            if node.isObject(key, hash) { return .node(node) }
            node.release()
        }
        let isSure = before & 1 == 0 && version.load(ordering: .acquiring) == before
        return isSure ? .nothing : .unsure
    }

    /// The node of a slot, with a reference for the caller; nil when it is empty.
    func node(atSlot index: Int) -> Node.Pointer? {
        while true {
            let word = slots[index].load(ordering: .acquiring)
            guard let node = Self.node(word) else { return nil }
            guard node.retain() else { continue }
            // Else it was taken out since, and the node may be another object's by now.
            if slots[index].load(ordering: .acquiring) == word { return node }
            node.release()
        }
    }

    // MARK: Writers, under the lock

    /// The slot of a key, or of the empty one where it would be; nil when there is neither.
    func place(
        _ key: UnsafeRawBufferPointer,
        _ hash: UInt64
    ) -> (slot: Int, node: Node.Pointer?)? {
        let tag = Self.tag(hash)
        let home = home(hash)
        for index in home..<home + Self.probesMax {
            let word = slots[index].load(ordering: .relaxed)
            guard let node = Self.node(word) else { return (index, nil) }
            if word & ~Self.addressMask == tag, node.isObject(key, hash) { return (index, node) }
        }
        return nil
    }

    /// Fills the empty slot that `place` gave, after which nothing was changed.
    func insert(_ node: Node.Pointer, atSlot index: Int) {
        slots[index].store(Self.word(node, node.object.pointee.hash), ordering: .releasing)
    }

    /// Puts another node of the same key into a slot.
    func replace(atSlot index: Int, with node: Node.Pointer) {
        changing {
            slots[index].store(Self.word(node, node.object.pointee.hash), ordering: .releasing)
        }
    }

    /// Takes a node out; it must be there.
    func remove(_ node: Node.Pointer) {
        let word = Self.word(node, node.object.pointee.hash)
        var hole = home(node.object.pointee.hash)
        while slots[hole].load(ordering: .relaxed) != word { hole += 1 }
        changing {
            var index = hole + 1
            while index < slotCount {
                let word = slots[index].load(ordering: .relaxed)
                guard let moving = Self.node(word) else { break }
                if home(moving.object.pointee.hash) <= hole {
                    slots[hole].store(word, ordering: .releasing)
                    hole = index
                }
                index += 1
            }
            slots[hole].store(0, ordering: .releasing)
        }
    }

    private func changing(_ change: () -> Void) {
        let even = version.load(ordering: .relaxed)
        // Seen by all who see what is changed, as those are releasing stores.
        version.store(even &+ 1, ordering: .relaxed)
        change()
        version.store(even &+ 2, ordering: .releasing)
    }
}
