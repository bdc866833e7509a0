import Glibc
import Sys
import Testing

struct SyscallTests {
    @Test
    func `literal results equal the header's errnos`() {
        #expect(Syscall.wouldBlock == -Int(EAGAIN))
        #expect(Syscall.wouldBlock == -Int(EWOULDBLOCK))
        #expect(Syscall.inProgress == -Int(EINPROGRESS))
        #expect(Syscall.outOfDescriptors == -Int(EMFILE))
        #expect(Syscall.outOfDescriptorsInSystem == -Int(ENFILE))
        #expect(Syscall.connectionAborted == -Int(ECONNABORTED))
    }

    @Test
    func `receiving and sending report what the kernel says`() throws {
        let pair = try Connection(to: loopback())
        var byte: UInt8 = 0
        #expect(Syscall.receive(pair.server.number, &byte, 1) == Syscall.wouldBlock)
        #expect(send(pair.client.number, [1, 2, 3]) == 3)
        #expect(receive(pair.server.number, 3) == [1, 2, 3])
        Syscall.shutdownWrite(pair.client.number)
        #expect(wait(pair.server.number, for: POLLIN))
        #expect(Syscall.receive(pair.server.number, &byte, 1) == 0)
        #expect(send(pair.client.number, [1]) == -Int(EPIPE))
        #expect(Syscall.receive(-1, &byte, 1) == -Int(EBADF))
    }

    @Test
    func `a close after resetOnClose is a reset`() throws {
        let listener = try Socket.listen(loopback(), Socket.ListenOptions())
        let pair = try Connection(listener: listener.number)
        let copy = try Socket.duplicate(pair.client.number)
        #expect(Syscall.socketError(copy) == 0)
        let begun = try Socket.connect(try Socket.localAddress(listener.number)).descriptor
        #expect(wait(listener.number, for: POLLIN))
        var peer = SocketAddress()
        let accepted = FileDescriptor(
            owning: Int32(Socket.accept(listener.number, from: &peer))
        )
        Syscall.resetOnClose(begun)
        Syscall.close(begun)
        #expect(wait(accepted.number, for: POLLIN))
        #expect(Syscall.socketError(accepted.number) == Int(ECONNRESET))
        Syscall.close(copy)
    }

    @Test(arguments: 0...4)
    func `pieces are sent in order`(count: Int) throws {
        let pair = try Connection(to: loopback())
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: 16)
        defer { block.deallocate() }
        for index in 0..<16 { block[index] = UInt8(index) }
        var pieces = Pieces()
        var expected: [UInt8] = []
        for index in 0..<count {
            pieces.add(block + index * 4, index + 1)
            expected += (0...index).map { UInt8(index * 4 + $0) }
        }
        #expect(pieces.count == count)
        #expect(pieces.byteCount == expected.count)
        for index in 0..<count {
            #expect(pieces.piece(index).bytes == block + index * 4)
            #expect(pieces.piece(index).count == index + 1)
        }
        #expect(Syscall.send(pair.client.number, &pieces) == expected.count)
        #expect(receive(pair.server.number, expected.count) == expected)
    }

    @Test
    func `an empty piece is left out`() {
        let bytes: StaticString = "ab"
        var pieces = Pieces()
        pieces.add(bytes.utf8Start, 0)
        #expect(pieces.count == 0)
        for _ in 0..<4 {
            pieces.add(bytes.utf8Start, 1)
            pieces.add(bytes.utf8Start + 1, 0)
        }
        #expect(pieces.count == 4)
        #expect(pieces.byteCount == 4)
    }

    @Test func `a look leaves the bytes for the next read`() throws {
        let pair = try Connection(to: loopback())
        #expect(send(pair.client.number, [1, 2]) == 2)
        #expect(wait(pair.server.number, for: POLLIN))
        var block: [UInt8] = [0, 0, 0, 0]
        #expect(Syscall.peek(pair.server.number, &block, 1) == 1)
        #expect(Syscall.peek(pair.server.number, &block, 4) == 2)
        #expect(block == [1, 2, 0, 0])
        #expect(receive(pair.server.number, 2) == [1, 2])
        #expect(Syscall.peek(pair.server.number, &block, 4) == Syscall.wouldBlock)
    }

    @Test func `bytes that are held back come with the next ones, or alone after a while`() throws {
        let pair = try Connection(to: loopback())
        let bytes: [UInt8] = [1, 2]
        #expect(Syscall.sendMore(pair.client.number, bytes, 2) == 2)
        #expect(send(pair.client.number, [3]) == 1)
        #expect(receive(pair.server.number, 3) == [1, 2, 3])
        #expect(Syscall.sendMore(pair.client.number, bytes, 2) == 2)
        #expect(receive(pair.server.number, 2) == [1, 2])
    }
}
