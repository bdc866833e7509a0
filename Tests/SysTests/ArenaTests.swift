import Sys
import Testing

struct ArenaTests {
    /// A macro can't call a mutating function; this can.
    private func need<T>(_ memory: T?) throws -> T { try #require(memory) }

    /// An arena over a block of `count` bytes.
    private func with(_ count: Int, _ body: (inout Arena, UnsafeMutableRawPointer) throws -> Void)
        rethrows
    {
        let block = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        defer { block.deallocate() }
        var arena = Arena(block: block, count: count)
        defer { arena.release() }
        try body(&arena, block)
    }

    @Test
    func `the first bytes are the owner's block`() throws {
        try with(64) { arena, block in
            #expect(arena.allocate(1) == block)
            #expect(arena.allocate(17) == block + 16)
            #expect(arena.allocate(16) == block + 48)
            let next = try need(arena.allocate(1))
            #expect(next < block || next >= block + 64)
        }
    }

    @Test(arguments: [1, 15, 16, 17, 100, 16_367, 16_368, 16_369, 100_000])
    func `memory is aligned and does not overlap`(count: Int) throws {
        try with(256) { arena, _ in
            var taken: [UnsafeMutableRawPointer] = []
            for index in 0..<4 {
                let memory = try need(arena.allocate(count))
                #expect(UInt(bitPattern: memory) % 16 == 0)
                memory.initializeMemory(as: UInt8.self, repeating: UInt8(index), count: count)
                taken.append(memory)
            }
            for (index, memory) in taken.enumerated() {
                let bytes = UnsafeRawBufferPointer(start: memory, count: count)
                #expect(bytes.allSatisfy { $0 == UInt8(index) })
            }
        }
    }

    @Test
    func `a large piece leaves the rest of the chunk in use`() throws {
        try with(16) { arena, _ in
            _ = arena.allocate(16)
            let small = try need(arena.allocate(16))
            _ = try need(arena.allocate(50_000))
            #expect(arena.allocate(16) == small + 16)
        }
    }

    @Test
    func `the heap's bytes are bounded`() throws {
        // A piece has 16 bytes before it that link the chunks.
        let most = Arena.heapBytesMax - 16
        for (count, fits) in [(most - 16, true), (most, true), (most + 1, false)] {
            with(16) { arena, _ in #expect((arena.allocate(count) != nil) == fits) }
        }
        try with(16) { arena, _ in
            _ = try need(arena.allocate(most - 16_384))
            #expect(arena.allocate(16_368) != nil)
            #expect(arena.allocate(16) == nil, "the last chunk is full")
        }
        with(32) { arena, block in
            #expect(arena.allocate(most + 1) == nil)
            #expect(arena.allocate(32) == block, "a refusal takes nothing")
        }
    }

    @Test
    func `typed memory has room for its values`() throws {
        try with(64) { arena, block in
            let words = try need(arena.allocate(UInt64.self, count: 8))
            #expect(UnsafeMutableRawPointer(words) == block)
            #expect(arena.allocate(1).map { $0 >= block + 64 || $0 < block } == true)
        }
    }

    @Test
    func `a copy has the bytes`() throws {
        try with(64) { arena, _ in
            let copy = try need(arena.copy([1, 2, 3], 3))
            #expect(Array(UnsafeBufferPointer(start: copy, count: 3)) == [1, 2, 3])
            #expect(arena.copy([], 0) != nil)
            #expect(arena.copy([1], Arena.heapBytesMax) == nil)
        }
    }

    @Test
    func `released chunks are given back once`() throws {
        try with(16) { arena, _ in
            for _ in 0..<10 { _ = try need(arena.allocate(10_000)) }
            arena.release()
            arena.release()
        }
    }
}
