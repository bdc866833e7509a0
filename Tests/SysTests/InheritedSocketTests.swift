import Glibc
import Sys
import Testing

struct InheritedSocketTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func problem(_ number: Int32) -> InheritedSocket.Problem? {
        do throws(InheritedSocket.Problem) {
            _ = try InheritedSocket.address(of: number)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["127.0.0.1:0", "[::1]:0", "unix"])
    func `a listening socket is taken with its address`(text: String) throws {
        let path = folder.path + "/s.sock"
        defer { unlink(path) }
        let wanted = try #require(SocketAddress(text == "unix" ? "unix:" + path : text))
        let listener = try Socket.listen(wanted, Socket.ListenOptions())
        let bound = try Socket.localAddress(listener.number).text
        let copy = dup(listener.number)
        // As they come: open over an execve, and blocking.
        #expect(fcntl(copy, F_SETFL, 0) == 0)
        defer { close(copy) }
        #expect(try InheritedSocket.address(of: copy).text == bound)
        #expect(fcntl(copy, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(copy, F_GETFL) & O_NONBLOCK != 0)
        var noDelay: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let got = getsockopt(copy, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, &size)
        #expect(text == "unix" || (got == 0 && noDelay == 1))
    }

    @Test
    func `what does not listen for streams is refused`() throws {
        #expect(problem(9_999) == .notOpen)
        let file = FileDescriptor(owning: open("/dev/null", O_RDONLY))
        #expect(problem(file.number) == .notSocket)
        let datagrams = FileDescriptor(
            owning: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        )
        #expect(problem(datagrams.number) == .notStream)
        let silent = FileDescriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        #expect(problem(silent.number) == .notListening)
        let nameless = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(nameless) }
        // A bind of the family alone takes an abstract name (unix(7)).
        var family = sa_family_t(AF_UNIX)
        let bound = withUnsafeBytes(of: &family) { bytes in
            bind(nameless, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, 2)
        }
        #expect(bound == 0 && listen(nameless, 1) == 0)
        #expect(problem(nameless) == .otherFamily)
    }

    @Test
    func `the other end of a Unix socket is known`() throws {
        let (one, two) = try Socket.pair()
        defer {
            close(one)
            close(two)
        }
        let peer = try Socket.peerCredentials(one)
        #expect(peer.process == getpid())
        #expect(peer.user == geteuid())
        #expect(peer.isTrusted)
    }
}
