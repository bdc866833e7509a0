import Glibc
import Sys
import Testing

struct SplicePipeTests {
    @Test
    func `bytes go from one connection to another through the pipe`() throws {
        let source = try Connection(to: loopback())
        let sink = try Connection(to: loopback())
        let pipe = try SplicePipe()
        defer { pipe.close() }
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(Syscall.send(source.client.number, bytes, bytes.count) == bytes.count)
        var moved = 0
        while moved < bytes.count {
            #expect(wait(source.server.number, for: POLLIN))
            let taken = Syscall.splice(
                from: source.server.number,
                to: pipe.writeEnd,
                bytes.count - moved
            )
            try #require(taken > 0)
            try #require(
                Syscall.splice(from: pipe.readEnd, to: sink.client.number, taken) == taken
            )
            moved += taken
        }
        #expect(receive(sink.server.number, bytes.count) == bytes)
        let more = Syscall.splice(from: source.server.number, to: pipe.writeEnd, 1)
        #expect(more == Syscall.wouldBlock)
    }

    @Test
    func `a pipe holds what it says, and no more`() throws {
        let pipe = try SplicePipe()
        defer { pipe.close() }
        #expect(pipe.capacity >= 4_096)
        #expect(pipe.capacity <= SplicePipe.bytesWanted)
        let page = [UInt8](repeating: 1, count: 4_096)
        var held = 0
        while write(pipe.writeEnd, page, page.count) == page.count { held += page.count }
        #expect(errno == EAGAIN)
        #expect(held == pipe.capacity)
    }

    @Test
    func `a closed pipe is closed at both ends`() throws {
        let source = try Connection(to: loopback())
        let pipe = try SplicePipe()
        pipe.close()
        #expect(Syscall.splice(from: source.server.number, to: -1, 1) == -Int(EBADF))
    }
}
