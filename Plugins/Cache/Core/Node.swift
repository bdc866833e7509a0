internal import CTinyUFO
internal import Synchronization

/// One object of the cache: who refers to it, what it is, and its place in a queue.
///
/// The memory of a node stays a node as long as the shard lives. So a reader that found a node's
/// address in the index may look at its count at any time, although the object may be gone and the
/// node may belong to another one: it adds itself to the count only if that is not 0, and then
/// finds out by the key whether this is what it looked for.
///
/// A node has four parts, one behind the other, as they have different rules: this one is for
/// everybody at all times, `Object` does not change while there is a reference, `Links` are guarded
/// by the lock, and the last one is room for a short key.
struct Node: ~Copyable {
    /// References: one of the index, and one of each reader; 0 if the node is free.
    let references = Atomic<Int>(0)
    /// Hits since the object came, moved or was passed over; up to `usesMax`.
    let uses = Atomic<UInt8>(0)
    let shard: Shard.Pointer

    typealias Pointer = UnsafeMutablePointer<Node>

    /// What a node stands for: fixed while there is a reference.
    struct Object {
        var hash: UInt64 = 0
        /// `ByteBlock.toOpaque` of the value.
        var value: UnsafeMutableRawPointer?
        /// The key, if it is longer than `inlineKeyBytesMax`.
        var longKey: UnsafeMutableRawPointer?
        var keyCount = 0
    }

    /// Where a node is: guarded by the shard's lock.
    struct Links {
        var previous: Pointer?
        /// Next in the queue, among victims, or among free nodes.
        var next: Pointer?
        var weight = 0
        var isInMain = false
    }

    /// Two lines of the processor's cache, which it fetches together.
    static let strideBytes = 128
    static let inlineKeyBytesMax = strideBytes - keyOffset
    static let usesMax: UInt8 = 3

    fileprivate static let objectOffset = MemoryLayout<Node>.stride
    fileprivate static let linksOffset = objectOffset + MemoryLayout<Object>.stride
    fileprivate static let keyOffset = linksOffset + MemoryLayout<Links>.stride

    /// Makes a free node of `strideBytes` bytes.
    static func make(_ memory: UnsafeMutableRawPointer, for shard: Shard.Pointer) -> Pointer {
        (memory + objectOffset).initializeMemory(as: Object.self, to: Object())
        (memory + linksOffset).initializeMemory(as: Links.self, to: Links())
        let node = memory.bindMemory(to: Node.self, capacity: 1)
        node.initialize(to: Node(shard: shard))
        return node
    }

    private init(shard: Shard.Pointer) { self.shard = shard }
}

/// What is done with the address of a node.
extension UnsafeMutablePointer where Pointee == Node {
    // Safe: `Node.make` puts all parts there.

    /// What the node stands for; the caller has a reference.
    @inline(__always)
    var object: UnsafeMutablePointer<Node.Object> {
        (UnsafeMutableRawPointer(self) + Node.objectOffset)
            .assumingMemoryBound(to: Node.Object.self)
    }

    /// Where the node is; the caller has the lock, or the node is free.
    @inline(__always)
    var links: UnsafeMutablePointer<Node.Links> {
        (UnsafeMutableRawPointer(self) + Node.linksOffset)
            .assumingMemoryBound(to: Node.Links.self)
    }

    @inline(__always)
    private var inlineKey: UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(self) + Node.keyOffset
    }

    /// The key; the caller has a reference.
    @inline(__always)
    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: object.pointee.longKey ?? inlineKey,
            count: object.pointee.keyCount
        )
    }

    /// Makes a free node an object with one reference.
    ///
    /// - Returns: false when there is no memory for the key; the node is still free then, and the
    ///   value is the caller's.
    func fill(_ key: UnsafeRawBufferPointer, _ hash: UInt64, _ value: UnsafeMutableRawPointer)
        -> Bool
    {
        if key.count > Node.inlineKeyBytesMax {
            guard let memory = tinyufo_allocate(key.count) else { return false }
            object.pointee.longKey = memory
        } else {
            object.pointee.longKey = nil
        }
        if let start = key.baseAddress {
            (object.pointee.longKey ?? inlineKey).copyMemory(from: start, byteCount: key.count)
        }
        object.pointee.keyCount = key.count
        object.pointee.hash = hash
        object.pointee.value = value
        pointee.uses.store(0, ordering: .relaxed)
        // All of the above is seen by whoever adds to the count.
        pointee.references.store(1, ordering: .releasing)
        return true
    }

    /// Adds a reference, unless the node is free.
    @inline(__always)
    func retain() -> Bool {
        var known = pointee.references.load(ordering: .acquiring)
        while known > 0 {
            let (exchanged, original) = pointee.references.weakCompareExchange(
                expected: known,
                desired: known + 1,
                successOrdering: .acquiring,
                failureOrdering: .acquiring
            )
            if exchanged { return true }
            known = original
        }
        return false
    }

    /// Adds a reference where there is one for certain.
    func retainHeld() { pointee.references.wrappingAdd(1, ordering: .relaxed) }

    /// Gives up a reference; the last one frees the object.
    ///
    /// On any thread.
    @inline(__always)
    func release() {
        let left = pointee.references.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        if left == 0 { free() }
    }

    private func free() {
        if let value = object.pointee.value { _ = ByteBlock(opaque: value) }
        if let key = object.pointee.longKey { tinyufo_free(key) }
        object.pointee.value = nil
        object.pointee.longKey = nil
        let shard = pointee.shard
        shard.pointee.free.give(self)
        shard.leave()
    }

    /// Whether the node is the object of this key; the caller has a reference.
    @inline(__always)
    func isObject(_ key: UnsafeRawBufferPointer, _ hash: UInt64) -> Bool {
        guard object.pointee.hash == hash, object.pointee.keyCount == key.count else {
            return false
        }
        return Self.areEqual(self.key, key)
    }

    /// Eight bytes at a time: the C library's comparison would be a call for keys this short.
    @inline(__always)
    private static func areEqual(
        _ left: UnsafeRawBufferPointer,
        _ right: UnsafeRawBufferPointer
    ) -> Bool {
        var at = 0
        while at &+ 8 <= left.count {
            let a = left.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let b = right.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if a != b { return false }
            at &+= 8
        }
        while at < left.count {
            if left[at] != right[at] { return false }
            at &+= 1
        }
        return true
    }

    /// Notes a hit.
    ///
    /// Only the first three are written, so a hot object's line is not passed about for this; one
    /// that is lost to another reader's does not matter.
    @inline(__always)
    func noteUse() {
        let uses = pointee.uses.load(ordering: .relaxed)
        guard uses < Node.usesMax else { return }
        _ = pointee.uses.weakCompareExchange(
            expected: uses,
            desired: uses + 1,
            ordering: .relaxed
        )
    }
}
