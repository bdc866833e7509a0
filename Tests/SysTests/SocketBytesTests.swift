import Glibc
import Sys
import Testing

struct SocketBytesTests {
    private let ends: (Int32, Int32)

    init() throws { ends = try Socket.pair() }

    private func close() {
        Syscall.close(ends.0)
        Syscall.close(ends.1)
    }

    @Test
    func `bytes are received up to a bound, and none at the end`() throws {
        #expect(throws: Errno.wouldBlock) { try Socket.receive(ends.1, bytesMax: 4) }
        #expect(try Socket.send(ends.0, [1, 2, 3, 4, 5], from: 0) == 5)
        #expect(try Socket.receive(ends.1, bytesMax: 4) == [1, 2, 3, 4])
        #expect(try Socket.receive(ends.1, bytesMax: 4) == [5])
        Syscall.shutdownWrite(ends.0)
        #expect(try Socket.receive(ends.1, bytesMax: 4) == [])
        close()
    }

    @Test
    func `bytes are sent from an offset until there is no room`() throws {
        #expect(try Socket.send(ends.0, [1, 2, 3], from: 2) == 1)
        #expect(try Socket.receive(ends.1, bytesMax: 4) == [3])
        let block = [UInt8](repeating: 7, count: 65_536)
        var sent = 0
        do throws(Errno) {
            while sent < 1 << 30 { sent += try Socket.send(ends.0, block, from: 0) }
        } catch {
            #expect(error == .wouldBlock)
        }
        #expect(sent > 0 && sent < 1 << 30)
        close()
    }

    @Test
    func `a peer that is gone is an error`() throws {
        Signals.ignorePipe()
        Syscall.close(ends.1)
        #expect(throws: Errno.brokenPipe) { try Socket.send(ends.0, [1], from: 0) }
        Syscall.close(ends.0)
    }

    @Test
    func `the peer of a Unix socket has the credentials of its process`() throws {
        let peer = try Socket.peerCredentials(ends.0)
        #expect(peer.process == Process.id)
        #expect(peer.user == Process.effectiveUser)
        #expect(peer.user == geteuid())
        #expect(peer.group == getegid())
        close()
        #expect(throws: Errno(EBADF)) { try Socket.peerCredentials(-1) }
    }
}
