import Glibc
import Sys
import Testing

struct UnixSocketTests {
    private let folder: TemporaryFolder
    private let path: String
    private let address: SocketAddress

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/s.sock"
        address = try #require(SocketAddress(unixPath: path))
    }

    @Test
    func `a connection over a Unix socket carries bytes`() throws {
        let pair = try Connection(to: address)
        #expect(pair.peer.isUnix)
        #expect(pair.peer.text == "unix:")
        #expect(pair.peer.ip.family == 0)
        #expect(send(pair.client.number, [1, 2]) == 2)
        #expect(receive(pair.server.number, 2) == [1, 2])
    }

    @Test(arguments: [0o600, 0o660, 0o666, 0o777] as [UInt32])
    func `the file has the mode asked for`(wanted: UInt32) throws {
        var options = Socket.ListenOptions()
        options.unixMode = wanted
        let listener = try Socket.listen(address, options)
        #expect(mode(of: path) == wanted)
        #expect(try Socket.localAddress(listener.number).text == "unix:" + path)
    }

    @Test
    func `the file of a process that is gone is replaced`() throws {
        do { _ = try Socket.listen(address, Socket.ListenOptions()) }
        #expect(File.exists(path))
        #expect(code() == 0)
    }

    @Test
    func `the file of a live listener is left alone`() throws {
        let listener = try Socket.listen(address, Socket.ListenOptions())
        #expect(code() == EADDRINUSE)
        #expect(try Connection(listener: listener.number).client.number >= 0)
    }

    @Test
    func `a live listener whose queue is full is left alone`() throws {
        var options = Socket.ListenOptions()
        options.backlog = 0
        let listener = try Socket.listen(address, options)
        var waiting: [Int32] = []
        defer { for fd in waiting { Syscall.close(fd) } }
        while waiting.count < 16, let begun = try? Socket.connect(address) {
            waiting.append(begun.descriptor)
        }
        #expect(!waiting.isEmpty && waiting.count < 16)
        #expect(code() == EADDRINUSE)
        #expect(listener.number >= 0)
    }

    @Test
    func `a file that is no socket is left alone`() throws {
        try File.writeNew(path, [1, 2, 3], mode: 0o600)
        #expect(code() == EADDRINUSE)
        #expect(File.read(path, bytesMax: 3) == [1, 2, 3])
    }

    @Test
    func `a folder that is not there is an error`() throws {
        let lost = try #require(SocketAddress(unixPath: folder.path + "/none/s.sock"))
        #expect(throws: Errno(ENOENT)) {
            _ = try Socket.listen(lost, Socket.ListenOptions()).number
        }
    }

    /// The errno of listening; 0 when it worked.
    private func code() -> Int32 {
        do throws(Errno) {
            _ = try Socket.listen(address, Socket.ListenOptions())
            return 0
        } catch {
            return error.code
        }
    }
}
