import Glibc
import Reactor
import Sys
import Testing

struct PipePoolTests {
    @Test
    func `there are as many pipes as the bound says`() throws {
        let limit = Process.raiseDescriptorLimit()
        try #require(limit > 2 * PipePool.countMax + 100, "too few descriptors to try it")
        var pool = PipePool()
        var pipes: [SplicePipe] = []
        while pipes.count <= PipePool.countMax, let pipe = pool.take() { pipes.append(pipe) }
        #expect(pipes.count == PipePool.countMax)
        let last = try need(pipes.popLast())
        pool.give(last, isEmpty: true)
        let again = pool.take()
        #expect(again?.readEnd == last.readEnd)
        let none = pool.take()
        #expect(none == nil)
        pool.give(last, isEmpty: false)
        let fresh = pool.take()
        #expect(fresh != nil, "a closed pipe makes room for a new one")
        for pipe in pipes + [fresh].compactMap({ $0 }) { pool.give(pipe, isEmpty: true) }
    }

    @Test
    func `an empty pipe is used again, the last one first`() throws {
        var pool = PipePool()
        let first = try need(pool.take())
        let second = try need(pool.take())
        pool.give(first, isEmpty: true)
        pool.give(second, isEmpty: true)
        #expect(try need(pool.take()).writeEnd == second.writeEnd)
        #expect(try need(pool.take()).writeEnd == first.writeEnd)
        pool.give(first, isEmpty: true)
        pool.give(second, isEmpty: true)
    }

    @Test
    func `a pipe that holds bytes is closed`() throws {
        var pool = PipePool()
        let pipe = try need(pool.take())
        let reader = dup(pipe.readEnd)
        defer { Syscall.close(reader) }
        #expect(write(pipe.writeEnd, "ab", 2) == 2)
        pool.give(pipe, isEmpty: false)
        var bytes: [UInt8] = [0, 0, 0]
        #expect(read(reader, &bytes, 3) == 2)
        #expect(read(reader, &bytes, 3) == 0, "nobody can write any more")
    }

    @Test
    func `kept pipes are closed with the pool`() throws {
        var reader: Int32 = -1
        do {
            var pool = PipePool()
            let pipe = try need(pool.take())
            reader = dup(pipe.readEnd)
            pool.give(pipe, isEmpty: true)
        }
        var byte: UInt8 = 0
        #expect(read(reader, &byte, 1) == 0)
        Syscall.close(reader)
    }

    /// A macro can't call a mutating function; this can.
    private func need(_ pipe: SplicePipe?) throws -> SplicePipe { try #require(pipe) }
}
