/// Memory of one request: taken piece by piece, given back all at once.
///
/// The first bytes are the owner's block; when they are used up, more comes from the heap in
/// chunks, up to a bound.
public struct Arena {
    @usableFromInline var next: UnsafeMutableRawPointer
    @usableFromInline var end: UnsafeMutableRawPointer
    /// Chunks of the heap; each begins with the address of the one before.
    private var chunks: UnsafeMutableRawPointer?
    private var heapBytes = 0

    /// Bytes of a chunk that small requests share.
    private static let chunkBytes = 16_384
    /// Bytes from the heap in all.
    public static let heapBytesMax = 524_288

    /// - Parameter block: outlives the arena, 16-byte aligned.
    public init(block: UnsafeMutableRawPointer, count: Int) {
        next = block
        end = block + count
    }

    /// Memory for `count` bytes, 16-byte aligned and not zeroed; nil when the bound is reached.
    @inlinable
    public mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        let rounded = (count &+ 15) & ~15
        guard rounded <= end - next else { return allocateSlowly(rounded) }
        let memory = next
        next = memory + rounded
        return memory
    }

    /// Memory for `count` values of a trivial type.
    @inlinable
    public mutating func allocate<T: BitwiseCopyable>(
        _ type: T.Type,
        count: Int
    ) -> UnsafeMutablePointer<T>? {
        allocate(count &* MemoryLayout<T>.stride)?.bindMemory(to: T.self, capacity: count)
    }

    /// A copy of bytes.
    public mutating func copy(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) -> UnsafeMutablePointer<UInt8>? {
        guard let memory = allocate(max(count, 1)) else { return nil }
        memory.copyMemory(from: bytes, byteCount: count)
        return memory.assumingMemoryBound(to: UInt8.self)
    }

    @usableFromInline
    mutating func allocateSlowly(_ count: Int) -> UnsafeMutableRawPointer? {
        let size = max(Self.chunkBytes, count &+ 16)
        guard count >= 0, heapBytes &+ size <= Self.heapBytesMax else { return nil }
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        chunk.storeBytes(of: chunks, as: UnsafeMutableRawPointer?.self)
        chunks = chunk
        heapBytes &+= size
        let memory = chunk + 16
        // A large piece has its chunk for itself; the rest of the current one stays in use.
        if size == Self.chunkBytes {
            next = memory + count
            end = chunk + size
        }
        return memory
    }

    /// Gives the heap's chunks back.
    ///
    /// The arena must not be used after.
    public mutating func release() {
        while let chunk = chunks {
            chunks = chunk.load(as: UnsafeMutableRawPointer?.self)
            chunk.deallocate()
        }
    }
}
