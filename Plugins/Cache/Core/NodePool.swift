internal import CTinyUFO
internal import Synchronization

/// The free nodes of a shard: taken under its lock, given back by any thread.
///
/// They are a stack (Treiber). Only one thread at a time takes, the one with the lock, so that the
/// top which it saw can't go and come back meanwhile.
struct FreeNodes: ~Copyable {
    /// The address of the first one; 0 for none.
    private let top = Atomic<UInt>(0)

    /// A free node; nil when all are in use.
    ///
    /// Under the lock.
    func take() -> Node.Pointer? {
        var known = top.load(ordering: .acquiring)
        // Safe: the address of a node, which stays one.
        while let node = Node.Pointer(bitPattern: known) {
            let (exchanged, original) = top.weakCompareExchange(
                expected: known,
                desired: UInt(bitPattern: node.links.pointee.next),
                successOrdering: .acquiring,
                failureOrdering: .acquiring
            )
            if exchanged { return node }
            known = original
        }
        return nil
    }

    /// Gives back a node that nobody refers to.
    func give(_ node: Node.Pointer) {
        var known = top.load(ordering: .relaxed)
        while true {
            node.links.pointee.next = Node.Pointer(bitPattern: known)
            let (exchanged, original) = top.weakCompareExchange(
                expected: known,
                desired: UInt(bitPattern: node),
                successOrdering: .releasing,
                failureOrdering: .relaxed
            )
            if exchanged { return }
            known = original
        }
    }
}

/// The memory of a shard's nodes, which grows and is freed as a whole.
///
/// Under the lock.
struct NodeChunks {
    /// Nodes that are allocated at once.
    static let nodesPerChunk = 64
    /// The first line of a chunk has the address of the chunk before it.
    static let chunkBytes = (nodesPerChunk + 1) * Node.strideBytes

    private var last: UnsafeMutableRawPointer?

    /// Adds a chunk of free nodes.
    ///
    /// - Returns: false when there is no memory.
    mutating func grow(_ free: borrowing FreeNodes, for shard: Shard.Pointer) -> Bool {
        guard let chunk = tinyufo_lines(Self.chunkBytes) else { return false }
        chunk.storeBytes(of: UInt(bitPattern: last), as: UInt.self)
        last = chunk
        for index in 1...Self.nodesPerChunk {
            // Safe: the chunk has room for as many beside its first line.
            free.give(Node.make(chunk + index * Node.strideBytes, for: shard))
        }
        return true
    }

    /// Frees all of them; nobody may have a node any more.
    mutating func destroy() {
        while let chunk = last {
            last = UnsafeMutableRawPointer(bitPattern: chunk.load(as: UInt.self))
            tinyufo_free(chunk)
        }
    }
}
