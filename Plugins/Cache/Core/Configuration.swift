extension TinyUFO {
    /// What weights are.
    public enum Accounting: Sendable {
        /// Units of the caller's: only what is given to `put` counts.
        case units
        /// Bytes: the cache's own tables count against the limit, and so does what it allocates for
        /// each object. The weight of a value is `ByteBlock.memoryBytes`.
        case memory
    }

    /// Sizes of a cache, all fixed when it is made.
    public struct Configuration: Sendable {
        /// Weight of all objects together, for all shards: 1 or more.
        public var weightMax: Int
        /// Objects that the cache holds at most: 1 to `objectsLimit`.
        ///
        /// Its index has this size.
        public var objectsMax: Int
        /// Objects that it will hold as a rule: 1 to `objectsLimit`.
        ///
        /// The sketch has this size.
        public var objectsExpected: Int
        /// Whether the sketch has a hundredth of the size.
        ///
        /// For very many small objects: admission is less exact then.
        public var isSketchCompact = false
        /// What weights are.
        public var accounting = Accounting.units
        /// Parts of the cache, each with a lock for writers and its share of the weight: a power of
        /// two from 1 to `shardsLimit`.
        ///
        /// No object can be larger than its shard.
        public var shardCount = 1
        /// Threads that read, each with hit counters of its own: 1 to `workersLimit`.
        public var workerCount = 1

        /// A cache of units.
        ///
        /// - Parameters:
        ///   - weightMax: of all objects together.
        ///   - objectsExpected: as a rule, and at most; as many as the weight without a number.
        public init(weightMax: Int, objectsExpected: Int? = nil) {
            self.weightMax = weightMax
            let objects = min(max(objectsExpected ?? weightMax, 1), TinyUFO.objectsLimit)
            self.objectsExpected = objects
            objectsMax = objects
        }

        /// A cache that takes no more than so many bytes of memory, its own tables included.
        ///
        /// Beside them there are only objects that were evicted while somebody read them.
        ///
        /// - Parameters:
        ///   - memoryBytes: `memoryBytesMin` or more.
        ///   - objectBytesExpected: mean size of an object with its key, 1 or more.
        ///   - workerCount: threads that read.
        public init(memoryBytes: Int, objectBytesExpected: Int = 16_384, workerCount: Int) {
            weightMax = memoryBytes
            objectsMax = memoryBytes / Self.objectBytesLeast
            let expected = memoryBytes / max(objectBytesExpected, 1)
            objectsExpected = min(max(expected, 1), max(objectsMax, 1))
            accounting = .memory
            self.workerCount = workerCount
            shardCount = 1
            while shardCount * 2 <= Self.shardsByDefault,
                memoryBytes / (shardCount * 2) >= Self.shardBytesLeast
            {
                shardCount *= 2
            }
        }

        /// An index for objects smaller than this would take more than 1/32 of the memory.
        static let objectBytesLeast = 1_024
        /// A shard bounds the size of an object, so there are several only in large caches.
        static let shardBytesLeast = 67_108_864
        static let shardsByDefault = 16
    }

    /// Objects that a shard can be made for.
    public static let objectsLimit = 67_108_864
    /// Shards of a cache.
    public static let shardsLimit = 64
    /// Threads that read a cache.
    public static let workersLimit = 1_024
    /// What a cache that counts memory needs at least, in bytes.
    public static let memoryBytesMin = 1_048_576
    /// Bytes of a key.
    public static let keyBytesMax = 65_536

    /// Why there is no cache.
    public enum ConfigurationError: Error, Equatable {
        /// `weightMax` is under 1 or, counted as memory, under `memoryBytesMin`; or the tables take
        /// half of a shard's share or more.
        case weightMax
        /// Not 1 to `objectsLimit` for each shard.
        case objectsMax
        /// Not 1 to `objectsLimit` for each shard.
        case objectsExpected
        /// Not a power of two, or not 1 to `shardsLimit`, or more than the weight.
        case shardCount
        /// Not 1 to `workersLimit`.
        case workerCount
        /// The machine has not enough memory.
        case noMemory
    }
}

extension TinyUFO.Configuration {
    /// What each shard gets of it.
    struct Share {
        var weightMax: Int
        var objectsMax: Int
        /// Of the sketch.
        var objectsCounted: Int
        var countsMemory: Bool

        /// What a shard has allocated before there is an object, in bytes.
        var tableBytes: Int {
            Index.byteCount(objectsMax: objectsMax)
                + Sketch.byteCount(objectsExpected: objectsCounted)
                + MemoryLayout<Shard>.size + MemoryLayout<Shard.Guarded>.size
        }
    }

    func share() throws(TinyUFO.ConfigurationError) -> Share {
        guard (1...TinyUFO.shardsLimit).contains(shardCount), shardCount & (shardCount - 1) == 0
        else { throw .shardCount }
        guard (1...TinyUFO.workersLimit).contains(workerCount) else { throw .workerCount }
        let least = accounting == .memory ? TinyUFO.memoryBytesMin : 1
        guard weightMax >= least else { throw .weightMax }
        guard weightMax >= shardCount else { throw .shardCount }
        guard objectsMax >= 1 else { throw .objectsMax }
        guard objectsExpected >= 1 else { throw .objectsExpected }
        let objects = (objectsMax - 1) / shardCount + 1
        guard objects <= TinyUFO.objectsLimit else { throw .objectsMax }
        let expected = (objectsExpected - 1) / shardCount + 1
        guard expected <= TinyUFO.objectsLimit else { throw .objectsExpected }
        let share = Share(
            weightMax: weightMax / shardCount,
            objectsMax: objects,
            objectsCounted: isSketchCompact ? max(expected / 100, 1) : expected,
            countsMemory: accounting == .memory
        )
        guard accounting == .units || share.tableBytes < share.weightMax / 2 else {
            throw .weightMax
        }
        return share
    }
}
