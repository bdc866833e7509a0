internal import CCacheDisk

/// The objects of a store: found by hash, and in the order in which they go.
///
/// An object is a record of fixed size, whose place does not change; chains of a hash table and the
/// queue are linked through the records. What goes is chosen by SIEVE (Zhang et al., NSDI 2024): a
/// hand moves from the oldest object to the newest and takes the first one that was not used since
/// it came by; those that were stay where they are. A use only sets a bit.
///
/// Under the store's lock.
struct ObjectTable {
    /// The number of no record.
    static let none = UInt32.max

    struct Record: BitwiseCopyable {
        var hash: UInt64 = 0
        var id: UInt64 = 0
        /// Of the file, and still counted.
        var blocks: UInt32 = 0
        /// Next with this bucket.
        var chain = ObjectTable.none
        /// Towards newer objects.
        var previous = ObjectTable.none
        /// Towards older ones; next dead, free or removed one.
        var next = ObjectTable.none
        /// The open file's number and 1; 0 for none.
        var file: UInt16 = 0
        var state = State.free
        var flags: UInt8 = 0
    }

    enum State: UInt8 {
        case free
        /// In the hash table and in the queue.
        case live
        /// Its file is to be removed.
        case dead
        /// In the hash table alone: while files are still found, one of this hash is to go.
        case removed
    }

    static let wasUsed: UInt8 = 1
    static let isVerified: UInt8 = 2

    /// A record and its share of the hash table, which has up to twice as many places as there are
    /// objects.
    static let bytesPerObject = MemoryLayout<Record>.stride + 2 * MemoryLayout<UInt32>.stride

    private let records: UnsafeMutablePointer<Record>
    private let buckets: UnsafeMutablePointer<UInt32>
    private let bucketMask: UInt64
    let capacity: Int

    /// Records that were ever in use: those behind them are not initialized.
    private(set) var highWater: UInt32 = 0
    private var free = ObjectTable.none
    private var dead = ObjectTable.none
    private var removed = ObjectTable.none
    private var newest = ObjectTable.none
    private var oldest = ObjectTable.none
    private var hand = ObjectTable.none
    /// Live ones.
    private(set) var count = 0
    /// Records that are not free.
    private(set) var taken = 0

    /// - Returns: nil when there is no memory.
    init?(capacity: Int) {
        var bucketCount = 1
        while bucketCount < capacity { bucketCount *= 2 }
        guard let records = cachedisk_zeroed(capacity, MemoryLayout<Record>.stride) else {
            return nil
        }
        guard let buckets = cachedisk_zeroed(bucketCount, MemoryLayout<UInt32>.stride) else {
            cachedisk_free(records)
            return nil
        }
        self.records = records.bindMemory(to: Record.self, capacity: capacity)
        self.buckets = buckets.bindMemory(to: UInt32.self, capacity: bucketCount)
        bucketMask = UInt64(bucketCount - 1)
        self.capacity = capacity
    }

    func destroy() {
        cachedisk_free(records)
        cachedisk_free(buckets)
    }

    /// A record; `index` came from here.
    subscript(index: UInt32) -> Record {
        // Safe: numbers are given out below the capacity, and records stay.
        @inline(__always) get { records[Int(index)] }
        @inline(__always) nonmutating _modify { yield &records[Int(index)] }
    }

    // MARK: By hash

    // Buckets have the number and 1, so that memory of zeros is an empty table.

    @inline(__always)
    private func bucket(_ hash: UInt64) -> UnsafeMutablePointer<UInt32> {
        // Safe: the mask is the count of buckets, a power of two, less 1.
        buckets + Int(truncatingIfNeeded: hash & bucketMask)
    }

    /// The live or removed object of a hash.
    @inline(__always)
    func find(_ hash: UInt64) -> UInt32? {
        var index = bucket(hash).pointee &- 1
        while index != Self.none {
            if self[index].hash == hash { return index }
            index = self[index].chain
        }
        return nil
    }

    /// Makes an object, the newest; there must be none of this hash, and a record left.
    mutating func insert(hash: UInt64, id: UInt64, blocks: UInt32, flags: UInt8) -> UInt32 {
        let index = take()
        self[index] = Record(hash: hash, id: id, blocks: blocks, state: .live, flags: flags)
        link(index)
        self[index].next = newest
        if newest == Self.none { oldest = index } else { self[newest].previous = index }
        newest = index
        count += 1
        return index
    }

    /// Notes that an object of this hash is to go when it is found; likewise.
    mutating func insertRemoved(hash: UInt64) {
        let index = take()
        self[index] = Record(hash: hash, id: .max, next: removed, state: .removed)
        link(index)
        removed = index
    }

    /// Forgets what `insertRemoved` has noted, some at a time.
    ///
    /// - Returns: whether there is more.
    mutating func dropRemoved(_ countMax: Int) -> Bool {
        for _ in 0..<countMax {
            guard removed != Self.none else { return false }
            let index = removed
            removed = self[index].next
            unlink(index)
            release(index)
        }
        return removed != Self.none
    }

    private mutating func take() -> UInt32 {
        taken += 1
        guard free == Self.none else {
            let index = free
            free = self[index].next
            return index
        }
        precondition(Int(highWater) < capacity, "more objects than \(capacity)")
        highWater += 1
        return highWater - 1
    }

    private mutating func release(_ index: UInt32) {
        self[index] = Record(next: free)
        free = index
        taken -= 1
    }

    private func link(_ index: UInt32) {
        let bucket = bucket(self[index].hash)
        self[index].chain = bucket.pointee &- 1
        bucket.pointee = index + 1
    }

    private func unlink(_ index: UInt32) {
        let bucket = bucket(self[index].hash)
        if bucket.pointee == index + 1 {
            bucket.pointee = self[index].chain &+ 1
            return
        }
        var before = bucket.pointee &- 1
        while self[before].chain != index { before = self[before].chain }
        self[before].chain = self[index].chain
    }

    // MARK: Going

    /// Takes a live object out: nobody finds it any more, and `takeDead` will give it.
    mutating func kill(_ index: UInt32) {
        precondition(self[index].state == .live, "a record that is not live")
        unlink(index)
        let (newer, older) = (self[index].previous, self[index].next)
        if hand == index { hand = newer }
        if newer == Self.none { newest = older } else { self[newer].next = older }
        if older == Self.none { oldest = newer } else { self[older].previous = newer }
        count -= 1
        self[index].state = .dead
        self[index].previous = Self.none
        self[index].next = dead
        dead = index
    }

    /// One whose file is to be removed now; `free` ends it.
    mutating func takeDead() -> UInt32? {
        guard dead != Self.none else { return nil }
        let index = dead
        dead = self[index].next
        return index
    }

    var hasDead: Bool { dead != Self.none }

    /// Ends what `takeDead` gave.
    mutating func free(_ index: UInt32) { release(index) }

    /// Any live object; nil when there is none.
    var any: UInt32? { oldest == Self.none ? nil : oldest }

    /// Moves the hand on.
    ///
    /// - Parameters:
    ///   - moves: objects that it looks at, at most; less those that it did.
    ///   - isHeld: whether an object is in use, and can't go.
    /// - Returns: what is to go; nil if it is not found yet.
    mutating func sieve(_ moves: inout Int, isHeld: (Record) -> Bool) -> UInt32? {
        while moves > 0, count > 0 {
            moves -= 1
            let index = hand == Self.none ? oldest : hand
            hand = self[index].previous
            if self[index].flags & Self.wasUsed != 0 {
                self[index].flags &= ~Self.wasUsed
            } else if !isHeld(self[index]) {
                return index
            }
        }
        return nil
    }
}
