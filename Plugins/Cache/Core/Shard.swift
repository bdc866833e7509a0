internal import CTinyUFO
internal import Synchronization

/// A part of the cache: an index, two queues, a sketch, and the lock of those who change them.
///
/// A shard outlives its cache while somebody still reads one of its objects.
struct Shard: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<Shard>

    let index: Index
    let free = FreeNodes()
    /// Nodes that are not free, and 1 for the cache: when it is 0 the shard is freed.
    fileprivate let users = Atomic<Int>(1)
    fileprivate let lock: WriteLock
    let limits: TinyUFO.Configuration.Share
    /// In memory of its own: readers are in the rest while it changes.
    fileprivate let guarded: UnsafeMutablePointer<Guarded>

    /// What only the thread with the lock uses.
    struct Guarded {
        var small = Queue()
        var main = Queue()
        var sketch: Sketch
        var counts = Counts()
        fileprivate var chunks = NodeChunks()
        /// What is allocated for good, where memory counts: tables and nodes, in bytes.
        fileprivate var tableBytes: Int
    }

    struct Counts {
        var stored = 0
        var replaced = 0
        var rejected = 0
        var evicted = 0
        var removed = 0
    }

    private init(
        _ limits: TinyUFO.Configuration.Share,
        _ index: consuming Index,
        _ sketch: Sketch,
        _ lock: WriteLock
    ) {
        self.index = index
        self.lock = lock
        self.limits = limits
        guarded = .allocate(capacity: 1)
        let tableBytes = limits.countsMemory ? limits.tableBytes : 0
        guarded.initialize(to: Guarded(sketch: sketch, tableBytes: tableBytes))
    }

    /// - Returns: nil when there is no memory.
    static func make(_ limits: TinyUFO.Configuration.Share) -> Pointer? {
        guard let memory = tinyufo_lines(MemoryLayout<Shard>.stride) else { return nil }
        guard let index = Index(objectsMax: limits.objectsMax) else {
            tinyufo_free(memory)
            return nil
        }
        let sketch = Sketch(objectsExpected: limits.objectsCounted)
        let lock = WriteLock()
        guard let sketch, let lock else {
            index.destroy()
            sketch?.destroy()
            lock?.destroy()
            tinyufo_free(memory)
            return nil
        }
        let shard = memory.bindMemory(to: Shard.self, capacity: 1)
        shard.initialize(to: Shard(limits, index, sketch, lock))
        return shard
    }
}

/// What is done with the address of a shard.
extension UnsafeMutablePointer where Pointee == Shard {
    /// What the lock guards.
    @inline(__always)
    var guarded: UnsafeMutablePointer<Shard.Guarded> { pointee.guarded }

    /// Takes all objects out and lets the shard end with the last of its readers.
    func end() {
        while let node = guarded.pointee.small.takeFirst() ?? guarded.pointee.main.takeFirst() {
            node.release()
        }
        // Nobody searches any more.
        pointee.index.destroy()
        guarded.pointee.sketch.destroy()
        leave()
    }

    /// One user less; the last one frees the shard.
    func leave() {
        let left = pointee.users.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        guard left == 0 else { return }
        guarded.pointee.chunks.destroy()
        pointee.lock.destroy()
        guarded.deallocate()
        deinitialize(count: 1)
        tinyufo_free(self)
    }

    @inline(__always)
    func locked<Result>(_ body: () -> Result) -> Result {
        pointee.lock.lock()
        let result = body()
        pointee.lock.unlock()
        return result
    }

    // MARK: Under the lock

    /// What counts against the limit.
    var weight: Int {
        guarded.pointee.tableBytes + guarded.pointee.small.weight + guarded.pointee.main.weight
    }

    var objectCount: Int { guarded.pointee.small.count + guarded.pointee.main.count }

    /// Weight that an object counts with.
    func weight(_ weight: Int, keyCount: Int) -> Int {
        guard pointee.limits.countsMemory, keyCount > Node.inlineKeyBytesMax else { return weight }
        // What `malloc` adds and rounds up to.
        return weight + (keyCount + 8 + 15) & ~15
    }

    /// Whether an object of this weight would fit if it were the only one.
    func canHold(_ weight: Int) -> Bool {
        weight <= pointee.limits.weightMax - guarded.pointee.tableBytes
    }

    /// A free node; nil when there is no memory.
    func takeNode() -> Node.Pointer? {
        var node = pointee.free.take()
        if node == nil {
            guard guarded.pointee.chunks.grow(pointee.free, for: self) else { return nil }
            if pointee.limits.countsMemory { guarded.pointee.tableBytes += NodeChunks.chunkBytes }
            node = pointee.free.take()
        }
        if node != nil { pointee.users.wrappingAdd(1, ordering: .relaxed) }
        return node
    }

    /// Gives back a node that was not filled.
    func giveNode(_ node: Node.Pointer) {
        pointee.free.give(node)
        // The cache is a user itself, so this is not the last one.
        pointee.users.wrappingSubtract(1, ordering: .relaxed)
    }
}
