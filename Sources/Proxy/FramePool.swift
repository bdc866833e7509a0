import HTTP
import Reactor

/// A worker's blocks for frames of HTTP/2, at an address that its connections can keep.
struct FramePool: ~Copyable {
    private let pool: UnsafeMutablePointer<BufferPool>

    init() {
        pool = .allocate(capacity: 1)
        pool.initialize(to: BufferPool())
    }

    deinit {
        pool.deinitialize(count: 1)
        pool.deallocate()
    }

    /// Where connections of this worker take blocks from; they must not outlive the pool.
    ///
    /// A block over the pool's largest comes from the heap: of heads that were queued all at once.
    var memory: H2Memory {
        H2Memory(
            context: UnsafeMutableRawPointer(pool),
            take: { context, count in
                guard let context, count <= BufferPool.sizes.3 else {
                    return .allocate(capacity: count)
                }
                // Safe: the context is the pool, which the worker alone touches.
                return context.assumingMemoryBound(to: BufferPool.self).pointee.take(count).bytes
            },
            give: { context, bytes, count in
                guard let context, count <= BufferPool.sizes.3 else {
                    bytes.deallocate()
                    return
                }
                // Safe: as above; `count` is what was asked for, which is a size of the pool.
                context.assumingMemoryBound(to: BufferPool.self).pointee.give(
                    Block(bytes: bytes, capacity: count)
                )
            }
        )
    }
}
