import Reactor
import Testing

struct BufferPoolTests {
    @Test(arguments: [
        (0, 4_096), (1, 4_096), (4_095, 4_096), (4_096, 4_096), (4_097, 16_384),
        (16_383, 16_384), (16_384, 16_384), (16_385, 65_536), (65_535, 65_536),
        (65_536, 65_536), (65_537, 262_144), (262_143, 262_144), (262_144, 262_144),
    ])
    func `a block is of the least size that is enough`(count: Int, capacity: Int) {
        var pool = BufferPool()
        let block = pool.take(count)
        #expect(block.capacity == capacity)
        #expect(UInt(bitPattern: block.bytes) % 64 == 0)
        block.bytes.update(repeating: 1, count: capacity)
        #expect(pool.bytesInUse == capacity)
        pool.give(block)
        #expect(pool.bytesInUse == 0)
    }

    @Test
    func `a block given back is the next of its size`() {
        var pool = BufferPool()
        let small = pool.take(1)
        let large = pool.take(65_536)
        #expect(pool.bytesInUse == 4_096 + 65_536)
        pool.give(small)
        pool.give(large)
        #expect(pool.bytesInUse == 0)
        let again = pool.take(40_000)
        #expect(again.bytes == large.bytes)
        let other = pool.take(4_096)
        #expect(other.bytes == small.bytes)
        #expect(pool.bytesInUse == 4_096 + 65_536)
        pool.give(again)
        pool.give(other)
    }

    @Test(arguments: [(4_096, 256), (16_384, 64), (65_536, 32), (262_144, 16)])
    func `free blocks are kept up to a bound`(size: Int, keptMax: Int) {
        var pool = BufferPool()
        let blocks = (0...keptMax).map { _ in pool.take(size) }
        #expect(pool.bytesInUse == size * (keptMax + 1))
        for block in blocks { pool.give(block) }
        #expect(pool.bytesInUse == 0)
        // The last one given came first if it were kept.
        let next = pool.take(size)
        #expect(next.bytes == blocks[keptMax - 1].bytes)
        pool.give(next)
    }
}
