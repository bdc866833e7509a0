internal import CTinyUFO
internal import Synchronization

/// A cache in memory that knows bytes and nothing else: S3-FIFO queues with TinyLFU admission.
///
/// Any number of threads may call everything at the same time. A hit takes no lock: it finds the
/// object in an index of atomic words and adds itself to the object's count of references
/// (docs/decisions/0011-cache-core.md says why that is safe). Writers of a shard wait for each
/// other.
///
/// Keys are stored and compared in full; the hash, which the caller computes (`KeyHash`), only says
/// where to look.
public struct TinyUFO: ~Copyable, @unchecked Sendable {
    // Safe: shards are made for many threads, and the rest does not change or is atomic.
    private let shards: UnsafeMutablePointer<Shard.Pointer>
    private let shardCount: Int
    private let shardShift: UInt64
    private let readers: UnsafeMutablePointer<Readings>
    private let workerCount: Int

    /// What a worker found, on a line of the processor's cache that nobody else writes.
    private struct Readings: ~Copyable {
        let hits = Atomic<UInt64>(0)
        let misses = Atomic<UInt64>(0)
        let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
    }

    /// Searches of a reader in an index that changes under it, before it takes the lock.
    private static let searchesMax = 8

    /// - Throws: `ConfigurationError`, which names the member that is out of its range.
    public init(_ configuration: Configuration) throws(ConfigurationError) {
        let share = try configuration.share()
        guard let shards = Self.makeShards(configuration.shardCount, share) else { throw .noMemory }
        self.shards = shards
        shardCount = configuration.shardCount
        shardShift = UInt64(UInt64.bitWidth - shardCount.trailingZeroBitCount)
        workerCount = configuration.workerCount
        readers = .allocate(capacity: workerCount)
        for worker in 0..<workerCount { (readers + worker).initialize(to: Readings()) }
    }

    private static func makeShards(
        _ count: Int,
        _ share: Configuration.Share
    ) -> UnsafeMutablePointer<Shard.Pointer>? {
        let shards = UnsafeMutablePointer<Shard.Pointer>.allocate(capacity: count)
        for index in 0..<count {
            guard let shard = Shard.make(share) else {
                for made in 0..<index { shards[made].end() }
                shards.deallocate()
                return nil
            }
            (shards + index).initialize(to: shard)
        }
        return shards
    }

    /// Nobody may be in a call any more.
    ///
    /// Pins live on.
    deinit {
        for index in 0..<shardCount { shards[index].end() }
        shards.deallocate()
        readers.deallocate()
    }

    @inline(__always)
    private func shard(_ hash: UInt64) -> Shard.Pointer {
        // Safe: the upper bits of the hash as a number are below the count of shards. With one
        // shard all bits are shifted out.
        shards[Int(truncatingIfNeeded: hash >> shardShift)]
    }

    // MARK: Reading

    /// The object of a key.
    ///
    /// - Parameters:
    ///   - key: compared in full.
    ///   - hash: of the key, the same as at `put`.
    ///   - worker: 0 up to the count of workers. Two threads that say the same one at the same time
    ///     get the right objects, but too low counts of hits and misses.
    /// - Returns: nil when the cache has none.
    public func get(_ key: UnsafeRawBufferPointer, hash: UInt64, worker: Int) -> Pin? {
        precondition(worker >= 0 && worker < workerCount, "worker \(worker) of \(workerCount)")
        let readings = readers + worker
        guard let node = find(key, hash) else {
            Self.note(readings.pointee.misses)
            return nil
        }
        node.noteUse()
        Self.note(readings.pointee.hits)
        return Pin(node)
    }

    /// The same for those who only look: it counts neither as a use nor as a hit or miss.
    public func peek(_ key: UnsafeRawBufferPointer, hash: UInt64) -> Pin? {
        find(key, hash).map { Pin($0) }
    }

    @inline(__always)
    private func find(_ key: UnsafeRawBufferPointer, _ hash: UInt64) -> Node.Pointer? {
        let shard = shard(hash)
        for _ in 0..<Self.searchesMax {
            switch shard.pointee.index.search(key, hash) {
            case .node(let node): return node
            case .nothing: return nil
            case .unsure: continue
            }
        }
        return shard.locked {
            let node = shard.pointee.index.place(key, hash)?.node
            node?.retainHeld()
            return node
        }
    }

    /// Not `wrappingAdd`, which is dearer: the worker is the only one who writes.
    @inline(__always)
    private static func note(_ counter: borrowing Atomic<UInt64>) {
        counter.store(counter.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    // MARK: Writing

    /// What became of a value.
    public enum PutOutcome: Equatable, Sendable {
        /// It is in the cache, and so many other objects had to go.
        case stored(evicted: Int)
        /// It took the place of another value of its key. That may have made the cache too heavy:
        /// then so many objects had to go, it may be among them.
        case replaced(evicted: Int)
        /// The object that would have to go is asked for more often.
        case rejected
        /// Heavier than the shard. A value that the key had is gone.
        case tooLarge
        /// Weight under 1, or a key over `keyBytesMax`. Nothing changed.
        case invalid
        /// Too many other keys have their place there, which does not happen by chance. Nothing
        /// changed.
        case crowded
        /// The machine has no memory left. A value that the key had is gone.
        case noMemory

        /// Whether the cache took the value.
        public var isTaken: Bool {
            switch self {
            case .stored, .replaced: true
            case .rejected, .tooLarge, .invalid, .crowded, .noMemory: false
            }
        }
    }

    /// Offers a value for a key.
    ///
    /// - Parameters:
    ///   - value: complete; what is appended or attached later is not counted.
    ///   - key: 0 to `keyBytesMax` bytes, which are copied.
    ///   - hash: of the key.
    ///   - weight: 1 or more; in bytes where memory counts.
    public func put(
        _ value: consuming ByteBlock,
        key: UnsafeRawBufferPointer,
        hash: UInt64,
        weight: Int
    ) -> PutOutcome {
        guard weight > 0, key.count <= Self.keyBytesMax else { return .invalid }
        let shard = shard(hash)
        let opaque = value.toOpaque()
        let newcomer = Shard.Newcomer(key: key, hash: hash, value: opaque, weight: weight)
        let change = shard.locked { shard.put(newcomer) }
        change.release()
        if !change.isValueTaken { _ = ByteBlock(opaque: opaque) }
        return change.outcome
    }

    /// Offers a value that weighs what it takes of memory.
    public func put(
        _ value: consuming ByteBlock,
        key: UnsafeRawBufferPointer,
        hash: UInt64
    ) -> PutOutcome {
        let weight = value.memoryBytes
        return put(value, key: key, hash: hash, weight: weight)
    }

    /// Removes the object of a key; whoever reads it goes on.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    public func remove(_ key: UnsafeRawBufferPointer, hash: UInt64) -> Bool {
        remove(key, hash, only: nil)
    }

    /// Removes this very object; not a newer one of the same key.
    ///
    /// - Returns: whether it was still in the cache.
    @discardableResult
    public func remove(_ pin: borrowing Pin) -> Bool {
        remove(pin.key, pin.hash, only: pin.node)
    }

    private func remove(
        _ key: UnsafeRawBufferPointer,
        _ hash: UInt64,
        only expected: Node.Pointer?
    ) -> Bool {
        let shard = shard(hash)
        let node = shard.locked { shard.remove(key, hash, only: expected) }
        node?.release()
        return node != nil
    }

    // MARK: All objects

    /// How far a scan is.
    public struct Cursor: Sendable {
        fileprivate var shard = 0
        /// Slots that are left of the shard; nil before its first.
        fileprivate var slotsLeft: Int?

        /// The beginning.
        public init() {}
    }

    /// Shows the next few objects, without a lock.
    ///
    /// Whatever is in the cache from the first step to the last is shown, sometimes twice; what
    /// comes or goes meanwhile may be shown. It is no use, hit or miss.
    ///
    /// - Parameters:
    ///   - slotsMax: places to look at in this step, most of which are empty.
    ///   - body: may call the cache.
    /// - Returns: false when there is no more.
    public func scan(
        _ cursor: inout Cursor,
        slotsMax: Int,
        _ body: (borrowing Pin) -> Void
    ) -> Bool {
        var steps = max(slotsMax, 1)
        while cursor.shard < shardCount {
            let shard = shards[cursor.shard]
            var left = cursor.slotsLeft ?? shard.pointee.index.slotCount
            // From the end on: objects only ever move towards the beginning.
            while left > 0 {
                if steps == 0 {
                    cursor.slotsLeft = left
                    return true
                }
                left -= 1
                steps -= 1
                if let node = shard.pointee.index.node(atSlot: left) { body(Pin(node)) }
            }
            cursor.shard += 1
            cursor.slotsLeft = nil
        }
        return false
    }

    /// Shows all objects, as `scan` does in steps.
    public func forEach(_ body: (borrowing Pin) -> Void) {
        var cursor = Cursor()
        while scan(&cursor, slotsMax: .max, body) {}
    }

    // MARK: Numbers

    /// What the cache holds and what happened to it since it was made.
    public struct Statistics: Equatable, Sendable {
        /// Weight of what it holds, with its tables and nodes where memory counts.
        public var weight = 0
        /// Objects that it holds.
        public var objects = 0
        /// Calls of `get` that found their object.
        public var hits: UInt64 = 0
        /// Calls of `get` that did not.
        public var misses: UInt64 = 0
        /// Values that came in under a new key.
        public var stored = 0
        /// Values that took the place of another one.
        public var replaced = 0
        /// Values that were less popular than what they would have driven out.
        public var rejected = 0
        /// Objects that were driven out.
        public var evicted = 0
        /// Objects that were removed by their key, or by a value that did not fit.
        public var removed = 0
    }

    /// The numbers of all shards, each taken at a slightly different moment.
    public var statistics: Statistics {
        var total = Statistics()
        for index in 0..<shardCount {
            let shard = shards[index]
            shard.locked {
                total.weight += shard.weight
                total.objects += shard.objectCount
                total.stored += shard.guarded.pointee.counts.stored
                total.replaced += shard.guarded.pointee.counts.replaced
                total.rejected += shard.guarded.pointee.counts.rejected
                total.evicted += shard.guarded.pointee.counts.evicted
                total.removed += shard.guarded.pointee.counts.removed
            }
        }
        for worker in 0..<workerCount {
            total.hits += readers[worker].hits.load(ordering: .relaxed)
            total.misses += readers[worker].misses.load(ordering: .relaxed)
        }
        return total
    }
}
