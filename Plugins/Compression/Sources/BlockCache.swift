/// Memory for Brotli, which has no way to begin anew with the memory that it has.
///
/// Blocks that it frees are kept, by powers of two, and given out again. Of one worker, as the
/// streams that it belongs to.
final class BlockCache {
    /// Bytes that are kept at most.
    static let idleBytesMax = 8 << 20
    /// Before each block lies which list it belongs to, in as much as keeps the block aligned.
    private static let headBytes = 16
    /// Lists are of blocks of 2^n bytes, head included, for n below this; longer ones are not kept.
    private static let listCount = 23

    private struct Head {
        var list: Int
        var next: UnsafeMutablePointer<Head>?
    }

    private let lists: UnsafeMutablePointer<UnsafeMutablePointer<Head>?>
    private(set) var idleBytes = 0

    init() {
        lists = .allocate(capacity: Self.listCount)
        lists.initialize(repeating: nil, count: Self.listCount)
    }

    deinit {
        for list in 0..<Self.listCount {
            while let head = lists[list] {
                lists[list] = head.pointee.next
                UnsafeMutableRawPointer(head).deallocate()
            }
        }
        lists.deallocate()
    }

    /// What the functions below are given.
    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    /// Brotli's `brotli_alloc_func`.
    static let allocate:
        @convention(c) (UnsafeMutableRawPointer?, Int) -> UnsafeMutableRawPointer? = {
            context,
            size in
            guard let context else { return nil }
            // Safe: the pool that owns the cache outlives its streams.
            return Unmanaged<BlockCache>.fromOpaque(context)._withUnsafeGuaranteedRef {
                $0.take(size)
            }
        }

    /// Brotli's `brotli_free_func`.
    static let free: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = {
        context,
        block in
        guard let context, let block else { return }
        // Safe: as above.
        Unmanaged<BlockCache>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.give(block) }
    }

    func take(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size >= 0, size <= Int.max >> 2 else { return nil }
        let count = size + Self.headBytes
        let list = Int.bitWidth - (count - 1).leadingZeroBitCount
        if list < Self.listCount, let head = lists[list] {
            lists[list] = head.pointee.next
            idleBytes -= 1 << list
            return UnsafeMutableRawPointer(head) + Self.headBytes
        }
        let bytes = list < Self.listCount ? 1 << list : count
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: bytes,
            alignment: Self.headBytes
        )
        memory.bindMemory(to: Head.self, capacity: 1).initialize(to: Head(list: list))
        return memory + Self.headBytes
    }

    func give(_ block: UnsafeMutableRawPointer) {
        // Safe: `take` put a head before the block.
        let head = (block - Self.headBytes).assumingMemoryBound(to: Head.self)
        let list = head.pointee.list
        guard list < Self.listCount, idleBytes + (1 << list) <= Self.idleBytesMax else {
            return UnsafeMutableRawPointer(head).deallocate()
        }
        idleBytes += 1 << list
        head.pointee.next = lists[list]
        lists[list] = head
    }
}
