import Glibc
import Sys
import Testing

struct SocketTests {
    private func address(_ host: String) throws -> SocketAddress {
        try #require(SocketAddress(numericHost: host, port: 0))
    }

    @Test(arguments: ["127.0.0.1"] + (hasIPv6 ? ["::1", "::ffff:127.0.0.1"] : []))
    func `a connection over loopback carries bytes both ways`(host: String) throws {
        let listener = try Socket.listen(address(host), Socket.ListenOptions())
        let local = try Socket.localAddress(listener.number)
        #expect(local.port > 0)
        let pair = try Connection(listener: listener.number)
        #expect(pair.peer.port == (try Socket.localAddress(pair.client.number)).port)
        #expect(pair.peer.ip == local.ip)
        #expect(send(pair.client.number, [1, 2]) == 2)
        #expect(receive(pair.server.number, 2) == [1, 2])
        #expect(send(pair.server.number, [3]) == 1)
        #expect(receive(pair.client.number, 1) == [3])
    }

    @Test(.enabled(if: hasIPv6))
    func `an IPv6 listener for all takes IPv4 too, and names the peer as IPv4`() throws {
        let listener = try Socket.listen(address("::"), Socket.ListenOptions())
        let port = try Socket.localAddress(listener.number).port
        let target = try #require(SocketAddress(numericHost: "127.0.0.1", port: port))
        let client = FileDescriptor(owning: try Socket.connect(target).descriptor)
        #expect(wait(listener.number, for: POLLIN))
        var peer = SocketAddress()
        let server = FileDescriptor(owning: Int32(Socket.accept(listener.number, from: &peer)))
        #expect(server.number != client.number)
        #expect(peer.ip.text == "127.0.0.1")
    }

    @Test
    func `accepted connections have the options of the listener`() throws {
        var options = Socket.ListenOptions()
        options.keepaliveSeconds = 61
        let listener = try Socket.listen(address("127.0.0.1"), options)
        let pair = try Connection(listener: listener.number)
        #expect(option(pair.server.number, Int32(IPPROTO_TCP), TCP_NODELAY) == 1)
        #expect(option(pair.client.number, Int32(IPPROTO_TCP), TCP_NODELAY) == 1)
        #expect(option(pair.server.number, SOL_SOCKET, SO_KEEPALIVE) == 1)
        #expect(option(pair.server.number, Int32(IPPROTO_TCP), TCP_KEEPIDLE) == 61)
        #expect(fcntl(pair.server.number, F_GETFL) & O_NONBLOCK != 0)
        #expect(fcntl(pair.server.number, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(pair.client.number, F_GETFD) & FD_CLOEXEC != 0)
        options.keepaliveSeconds = 0
        let quiet = try Socket.listen(address("127.0.0.1"), options)
        #expect(option(quiet.number, SOL_SOCKET, SO_KEEPALIVE) == 0)
    }

    private func option(_ fd: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1
    }

    @Test
    func `a port is shared only when both sides say so`() throws {
        var options = Socket.ListenOptions()
        let first = try Socket.listen(address("127.0.0.1"), options)
        let taken = try Socket.localAddress(first.number)
        let second = try Socket.listen(taken, options)
        #expect(try Socket.localAddress(second.number).port == taken.port)
        options.reusePort = false
        #expect(code(taken, options) == EADDRINUSE)
    }

    @Test
    func `without a listener connecting is refused`() throws {
        var closed = SocketAddress()
        do {
            let listener = try Socket.listen(address("127.0.0.1"), Socket.ListenOptions())
            closed = try Socket.localAddress(listener.number)
        }
        let begun: (descriptor: Int32, established: Bool)
        do throws(Errno) {
            begun = try Socket.connect(closed)
        } catch {
            #expect(error.code == ECONNREFUSED)
            return
        }
        defer { Syscall.close(begun.descriptor) }
        #expect(wait(begun.descriptor, for: POLLOUT))
        #expect(Syscall.socketError(begun.descriptor) == Int(ECONNREFUSED))
    }

    @Test
    func `accepting without a client would block`() throws {
        let listener = try Socket.listen(address("127.0.0.1"), Socket.ListenOptions())
        var peer = SocketAddress()
        #expect(Socket.accept(listener.number, from: &peer) == Syscall.wouldBlock)
    }

    @Test
    func `a released descriptor stays open`() throws {
        let copy = FileDescriptor(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        let number = copy.release()
        #expect(fcntl(number, F_GETFD) >= 0)
        Syscall.close(number)
    }

    /// The errno of listening; 0 when it worked.
    private func code(_ address: SocketAddress, _ options: Socket.ListenOptions) -> Int32 {
        do throws(Errno) {
            _ = try Socket.listen(address, options)
            return 0
        } catch {
            return error.code
        }
    }
}
