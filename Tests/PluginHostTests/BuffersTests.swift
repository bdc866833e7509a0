import CSluice
import Synchronization
import Testing

@testable import PluginHost

struct BuffersTests {
    private let core = CoreTable.functions.pointee
    private let header = MemoryLayout<sluice_buf>.size

    @Test(arguments: [
        (0, false), (1, true), (16_777_216, true), (16_777_217, false), (UInt64.max, false),
    ])
    func `a buffer's capacity is bounded`(capacity: UInt64, isGiven: Bool) throws {
        let buf = core.buf_new(Host.handle(), capacity)
        #expect((buf != nil) == isGiven)
        guard let buf else { return }
        #expect(buf.pointee.len == 0)
        #expect(buf.pointee.capacity == capacity)
        #expect(UInt(bitPattern: buf.pointee.data) % 16 == 0)
        buf.pointee.data[Int(capacity) - 1] = 1
        core.buf_release(buf)
    }

    @Test
    func `the budget holds to the byte, and comes back`() throws {
        let instance = Host.instance(memory: 1_000)
        let handle = instance.makeReference()
        #expect(core.buf_new(handle, UInt64(1_001 - header)) == nil)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 0)
        let buf = try #require(core.buf_new(handle, UInt64(1_000 - header)))
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 1_000)
        #expect(core.buf_new(handle, 1) == nil)
        #expect(core.buf_slice(buf, 0, 0) == nil)
        #expect(core.buf_wrap(handle, sluice_slice("x"), nil, nil) == nil)
        core.buf_release(buf)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 0)
        let again = try #require(core.buf_new(handle, 1))
        core.buf_release(again)
    }

    @Test
    func `a buffer lives until its last reference is gone`() throws {
        let instance = Host.instance()
        let buf = try #require(core.buf_new(instance.makeReference(), 10))
        core.buf_retain(buf)
        core.buf_release(buf)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == header + 10)
        core.buf_release(buf)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 0)
    }

    @Test
    func `a slice keeps the whole alive`() throws {
        let instance = Host.instance()
        let buf = try #require(core.buf_new(instance.makeReference(), 10))
        for index in 0..<10 { buf.pointee.data[index] = UInt8(index) }
        buf.pointee.len = 8
        let slice = try #require(core.buf_slice(buf, 2, 6))
        let inner = try #require(core.buf_slice(slice, 1, 5))
        core.buf_release(buf)
        core.buf_release(slice)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 2 * header + 10)
        #expect((inner.pointee.len, inner.pointee.capacity) == (5, 0))
        #expect(Array(UnsafeBufferPointer(start: inner.pointee.data, count: 5)) == [3, 4, 5, 6, 7])
        core.buf_release(inner)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: [
        (0, 8, true), (8, 0, true), (7, 1, true), (0, 9, false), (9, 0, false), (8, 1, false),
        (1, UInt64.max, false), (UInt64.max, 1, false),
    ])
    func `a slice is within the bytes that are there`(
        offset: UInt64,
        length: UInt64,
        isGiven: Bool
    ) throws {
        let buf = try #require(core.buf_new(Host.handle(), 16))
        buf.pointee.len = 8
        let slice = core.buf_slice(buf, offset, length)
        #expect((slice != nil) == isGiven)
        if let slice { core.buf_release(slice) }
        core.buf_release(buf)
    }

    @Test
    func `a length that is a lie reads nothing beyond the buffer`() throws {
        let buf = try #require(core.buf_new(Host.handle(), 16))
        buf.pointee.len = .max
        #expect(Buffers.bytes(of: buf)?.count == 16)
        #expect(core.buf_slice(buf, 0, 17) == nil)
        core.buf_release(buf)
    }

    @Test
    func `wrapped bytes are freed once, with the last reference`() throws {
        let count = Atomic<Int>(0)
        try withUnsafePointer(to: count) { address in
            let bytes = sluice_slice("bytes")
            let free: @convention(c) (UnsafeMutableRawPointer?) -> Void = { context in
                context?.assumingMemoryBound(to: Atomic<Int>.self).pointee
                    .wrappingAdd(1, ordering: .relaxed)
            }
            let context = UnsafeMutableRawPointer(mutating: address)
            let buf = try #require(core.buf_wrap(Host.handle(), bytes, free, context))
            #expect((buf.pointee.data == bytes.ptr, buf.pointee.len) == (true, 5))
            let slice = try #require(core.buf_slice(buf, 1, 2))
            core.buf_release(buf)
            #expect(count.load(ordering: .relaxed) == 0)
            core.buf_release(slice)
            #expect(count.load(ordering: .relaxed) == 1)
        }
    }

    @Test
    func `wrapping needs bytes`() throws {
        let none = sluice_slice(ptr: nil, len: 1)
        #expect(core.buf_wrap(Host.handle(), none, nil, nil) == nil)
        let empty = try #require(core.buf_wrap(Host.handle(), sluice_slice(), nil, nil))
        #expect(empty.pointee.len == 0)
        core.buf_release(empty)
    }

    @Test
    func `references of many threads are all counted`() throws {
        let instance = Host.instance()
        let buf = try #require(core.buf_new(instance.makeReference(), 100))
        // Safe: references may be taken on any thread.
        nonisolated(unsafe) let shared = buf
        Threads.run(8) { _ in
            let core = CoreTable.functions.pointee
            for _ in 0..<2_000 {
                core.buf_retain(shared)
                if let slice = core.buf_slice(shared, 0, 0) { core.buf_release(slice) }
                core.buf_release(shared)
            }
        }
        #expect(instance.memoryBytes.load(ordering: .relaxed) == header + 100)
        core.buf_release(buf)
        #expect(instance.memoryBytes.load(ordering: .relaxed) == 0)
    }
}
