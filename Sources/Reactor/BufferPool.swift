/// A block of a pool.
public struct Block {
    public var bytes: UnsafeMutablePointer<UInt8>
    public var capacity: Int

    @inlinable
    public init(bytes: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.bytes = bytes
        self.capacity = capacity
    }
}

/// Byte blocks of four sizes for one worker: partial heads, bytes that a peer has not taken yet.
///
/// A connection holds a block only while it has such bytes. Freed blocks are kept for reuse up to
/// a bound; beyond it they go back to the system.
public struct BufferPool: ~Copyable {
    /// Sizes of blocks in bytes.
    public static let sizes = (4_096, 16_384, 65_536, 262_144)
    /// Free blocks kept of each size.
    private static let keptMax = (256, 64, 32, 16)

    private typealias FreeList = UnsafeMutableRawPointer?
    private var free: (FreeList, FreeList, FreeList, FreeList) = (nil, nil, nil, nil)
    private var freeCount = (0, 0, 0, 0)
    /// Bytes of all blocks that are out.
    public private(set) var bytesInUse = 0

    public init() {}

    deinit {
        for list in [free.0, free.1, free.2, free.3] {
            var block = list
            while let current = block {
                block = current.load(as: UnsafeMutableRawPointer?.self)
                current.deallocate()
            }
        }
    }

    /// A block of at least `count` bytes, 1 to 262,144.
    public mutating func take(_ count: Int) -> Block {
        precondition(count <= Self.sizes.3, "no block of \(count) bytes")
        let block =
            if count <= Self.sizes.0 {
                Self.take(Self.sizes.0, &free.0, &freeCount.0)
            } else if count <= Self.sizes.1 {
                Self.take(Self.sizes.1, &free.1, &freeCount.1)
            } else if count <= Self.sizes.2 {
                Self.take(Self.sizes.2, &free.2, &freeCount.2)
            } else {
                Self.take(Self.sizes.3, &free.3, &freeCount.3)
            }
        bytesInUse &+= block.capacity
        return block
    }

    private static func take(
        _ size: Int,
        _ list: inout UnsafeMutableRawPointer?,
        _ kept: inout Int
    ) -> Block {
        let memory: UnsafeMutableRawPointer
        if let first = list {
            list = first.load(as: UnsafeMutableRawPointer?.self)
            kept &-= 1
            memory = first
        } else {
            memory = .allocate(byteCount: size, alignment: 64)
        }
        return Block(bytes: memory.assumingMemoryBound(to: UInt8.self), capacity: size)
    }

    /// Takes a block back.
    public mutating func give(_ block: Block) {
        bytesInUse &-= block.capacity
        switch block.capacity {
        case Self.sizes.0: Self.give(block, &free.0, &freeCount.0, Self.keptMax.0)
        case Self.sizes.1: Self.give(block, &free.1, &freeCount.1, Self.keptMax.1)
        case Self.sizes.2: Self.give(block, &free.2, &freeCount.2, Self.keptMax.2)
        default: Self.give(block, &free.3, &freeCount.3, Self.keptMax.3)
        }
    }

    private static func give(
        _ block: Block,
        _ list: inout UnsafeMutableRawPointer?,
        _ kept: inout Int,
        _ keptMax: Int
    ) {
        let memory = UnsafeMutableRawPointer(block.bytes)
        guard kept < keptMax else {
            memory.deallocate()
            return
        }
        memory.storeBytes(of: list, as: UnsafeMutableRawPointer?.self)
        list = memory
        kept &+= 1
    }
}
