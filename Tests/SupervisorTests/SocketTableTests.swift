import Sys
import Testing

@testable import Supervisor

/// Sockets that another process made.
struct SocketTableTests {
    private func listener(_ text: String = "127.0.0.1:0") throws -> InheritedSocket {
        let address = try #require(SocketAddress(text))
        let socket = SharedDescriptor(try Socket.listen(address, Socket.ListenOptions()))
        return try InheritedSocket(socket)
    }

    private func order(_ address: String, count: Int) -> ListenOrder {
        ListenOrder(
            key: SocketKey(address: address, occurrence: 0),
            keepaliveSeconds: 0,
            mode: 0o660,
            count: count
        )
    }

    /// The sockets that a process is given.
    private func given(_ messages: [SupervisorMessage]) -> [SharedDescriptor] {
        messages.flatMap { message -> [SharedDescriptor] in
            guard case .sockets(_, _, let sockets, _) = message else { return [] }
            return sockets
        }
    }

    @Test
    func `they are used for the listener of their address, and none is bound beside them`() throws {
        let one = try listener()
        let two = try listener(one.address.text)
        var table = SocketTable()
        table.inherit([one, two])
        let sockets = given(table.answer(order(one.address.text, count: 5), 0, for: 1))
        #expect(sockets.map(\.number) == [one.descriptor.number, two.descriptor.number])
        #expect(table.all.count == 2)
    }

    @Test
    func `what no listener has is closed, and said`() throws {
        let used = try listener()
        let unused = try listener()
        var table = SocketTable()
        table.inherit([used, unused])
        _ = table.answer(order(used.address.text, count: 1), 0, for: 1)
        let closed = table.keepOnly(for: [1])
        #expect(closed == [unused.address.text])
        #expect(table.all.map(\.number) == [used.descriptor.number])
        let more = table.keepOnly(for: [1])
        #expect(more == [])
    }

    @Test
    func `the file of a Unix socket is another's until it is owned`() throws {
        let folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-socket-table-tests-")
        defer { File.removeFolder(folder) }
        let path = folder + "/s.sock"
        defer { File.remove(path) }
        let socket = try listener("unix:" + path)
        var table = SocketTable()
        table.inherit([socket])
        table.closeAll()
        #expect(File.exists(path))
        table.inherit([socket])
        table.giveAway()
        #expect(File.exists(path) && table.all.isEmpty)
        table.inherit([socket])
        table.ownFiles()
        table.closeAll()
        #expect(!File.exists(path))
    }
}
