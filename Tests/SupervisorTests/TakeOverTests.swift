import Glibc
import Supervisor
import Synchronization
import Sys
import Testing

struct TakeOverMessageTests {
    @Test(
        arguments: [
            .ask, .sockets(total: 0), .sockets(total: 65_536), .taken(count: 70_000), .ready, .done,
            .refused(""), .refused("not now"),
        ] as [TakeOverMessage]
    )
    func `a message is read as it was written`(message: TakeOverMessage) throws {
        #expect(try TakeOverMessage(message.bytes) == message)
    }

    @Test
    func `the bytes are those of version 1`() {
        #expect(
            TakeOverMessage.sockets(total: 258).bytes
                == Array("SLTO".utf8) + [0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 1, 2]
        )
    }

    @Test
    func `a long reason is cut so that the message is read`() throws {
        let long = TakeOverMessage.refused(String(repeating: "x", count: 10_000)).bytes
        #expect(long.count == TakeOverMessage.bytesMax)
        guard case .refused(let reason) = try TakeOverMessage(long) else {
            Issue.record("another message")
            return
        }
        #expect(reason.utf8.count == TakeOverMessage.bytesMax - 12)
    }

    private func problem(_ bytes: [UInt8]) -> TakeOverMessage.Problem? {
        do throws(TakeOverMessage.Problem) {
            _ = try TakeOverMessage(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test
    func `what is not understood is refused`() {
        let good = TakeOverMessage.taken(count: 3).bytes
        #expect(problem([]) == .malformed)
        for count in 0..<good.count { #expect(problem(Array(good[..<count])) == .malformed) }
        #expect(problem(good + [0]) == .malformed)
        #expect(problem(Array("SLTP".utf8) + good[4...]) == .malformed)
        var other = good
        other[5] = 2
        #expect(problem(other) == .otherVersion(2))
        // A kind that there is not, and a body that the kind has not.
        for (kind, count) in [(0, 0), (7, 0), (1, 1), (2, 3), (4, 4)] {
            var bytes = TakeOverMessage.ask.bytes
            bytes[7] = UInt8(kind)
            bytes[11] = UInt8(count)
            #expect(problem(bytes + [UInt8](repeating: 0, count: count)) == .malformed)
        }
    }
}

/// A process that has sockets, on a thread.
private final class Host: Sendable {
    let path: String
    let sockets: [SharedDescriptor]
    let events = Mutex<[TakeOverHost.Event]>([])
    let prepared = Atomic<Int>(0)
    private let ends = Atomic<Bool>(false)
    private let thread = Mutex<PinnedThread?>(nil)

    init(_ folder: String, sockets: [SharedDescriptor], timeout: Int = 10_000) throws {
        path = folder + "/takeover.sock"
        self.sockets = sockets
        let listener = try MessageListener(path: path, mode: 0o600, replacing: false)
        let started = PinnedThread.start(name: "host") { [self] in run(listener, timeout) }
        thread.withLock { $0 = started }
    }

    private func run(_ listener: MessageListener, _ timeout: Int) {
        var host = TakeOverHost(listener, timeout: timeout)
        while !ends.load(ordering: .acquiring) {
            _ = Poll.readable(host.descriptors, milliseconds: 5)
            let new = host.turn(now: Clock.kernelNanoseconds()) {
                self.sockets
            } prepare: {
                self.prepared.add(1, ordering: .relaxed)
            }
            events.withLock { $0 += new }
        }
        host.close()
    }

    /// Waits until so many events have come; all of them.
    func events(_ count: Int) -> [TakeOverHost.Event] {
        for _ in 0..<2_000 {
            let events = events.withLock { $0 }
            if events.count >= count { return events }
            Process.sleep(milliseconds: 5)
        }
        return events.withLock { $0 }
    }

    func stop() {
        ends.store(true, ordering: .releasing)
        thread.withLock { $0?.join() }
    }
}

struct TakeOverTests {
    private let folder: String
    private let me = Process.id

    init() throws { folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-take-over-tests-") }

    private func remove() {
        for name in File.entries(folder) ?? [] { File.remove(folder + "/" + name) }
        File.removeFolder(folder)
    }

    private func listeners(_ count: Int) throws -> [SharedDescriptor] {
        let address = try #require(SocketAddress("127.0.0.1:0"))
        return try (0..<count).map { _ in
            SharedDescriptor(try Socket.listen(address, Socket.ListenOptions()))
        }
    }

    private func failure(_ path: String) -> String? {
        do throws(TakeOverFailure) {
            _ = try TakeOverGuest(path: path)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test(arguments: [0, 1, 64, 65, 300])
    func `all sockets come over, in batches, and are confirmed`(count: Int) throws {
        defer { remove() }
        let sockets = try listeners(count)
        let host = try Host(folder, sockets: sockets)
        defer { host.stop() }
        #expect(FileVersion(host.path)?.mode == 0o140_600)
        let guest = try TakeOverGuest(path: host.path)
        #expect(
            try guest.sockets.map(\.address.text)
                == sockets.map { try Socket.localAddress($0.number).text }
        )
        #expect(host.events(1) == [.began(process: me)])
        #expect(host.prepared.load(ordering: .relaxed) == 0)
        try guest.finish()
        #expect(host.events(2) == [.began(process: me), .handedOver(process: me)])
        #expect(host.prepared.load(ordering: .relaxed) == 1)
    }

    @Test
    func `a process that goes away before it serves changes nothing`() throws {
        defer { remove() }
        let host = try Host(folder, sockets: try listeners(3))
        defer { host.stop() }
        do { _ = try TakeOverGuest(path: host.path) }
        let failed = TakeOverHost.Event.failed(process: me, reason: "it closed the connection")
        #expect(host.events(2) == [.began(process: me), failed])
        // The next one may.
        try TakeOverGuest(path: host.path).finish()
        #expect(host.events(4).last == .handedOver(process: me))
    }

    @Test
    func `a process that does not serve in time is given up`() throws {
        defer { remove() }
        let host = try Host(folder, sockets: try listeners(1), timeout: 100)
        defer { host.stop() }
        let guest = try TakeOverGuest(path: host.path)
        let failed = TakeOverHost.Event.failed(process: me, reason: "it did not serve in time")
        #expect(host.events(2) == [.began(process: me), failed])
        #expect(throws: TakeOverFailure.self) { try guest.finish() }
        #expect(host.prepared.load(ordering: .relaxed) == 0)
    }

    @Test
    func `one at a time`() throws {
        defer { remove() }
        let host = try Host(folder, sockets: try listeners(1))
        defer { host.stop() }
        let guest = try TakeOverGuest(path: host.path)
        #expect(failure(host.path) == "it refused: another process is taking over")
        try guest.finish()
        #expect(host.events(2).last == .handedOver(process: me))
    }

    @Test
    func `nobody there, nobody asked`() {
        defer { remove() }
        #expect(
            failure(folder + "/none.sock") == "nobody can be asked: No such file or directory"
        )
    }

    @Test
    func `what is not understood ends the conversation`() throws {
        defer { remove() }
        let host = try Host(folder, sockets: try listeners(1))
        defer { host.stop() }
        var other = TakeOverMessage.ask.bytes
        other[5] = 9
        let cases: [([UInt8], String, String)] = [
            (other, "it speaks version 9, this process version 1", ""),
            (Array("GET / HTTP/1.1".utf8), "a message that is not understood", ""),
            (
                TakeOverMessage.ready.bytes, "it sent a message out of turn",
                "unexpected message"
            ),
        ]
        for (index, (bytes, reason, answer)) in cases.enumerated() {
            let connection = try MessageListener.connect(path: host.path)
            try DescriptorPassing.send(connection.number, bytes, [], waits: false)
            #expect(host.events(index + 1).last == .failed(process: me, reason: reason))
            let wanted = TakeOverMessage.refused(answer.isEmpty ? reason : answer)
            guard
                case .message(let reply, _) = try DescriptorPassing.receive(
                    connection.number,
                    bytesMax: TakeOverMessage.bytesMax,
                    waits: false
                )
            else {
                Issue.record("no answer to \(reason)")
                continue
            }
            #expect(try TakeOverMessage(reply) == wanted)
        }
    }

    @Test
    func `a guest that is left alone goes on alone`() throws {
        defer { remove() }
        let host = try Host(folder, sockets: try listeners(1))
        let guest = try TakeOverGuest(path: host.path)
        // As if the process had been killed: its file is gone, or nobody listens there.
        host.stop()
        try guest.finish()
    }

    @Test
    func `a path is taken from a process that listens only on purpose`() throws {
        defer { remove() }
        let path = folder + "/takeover.sock"
        let first = try MessageListener(path: path, mode: 0o600, replacing: false)
        #expect(throws: Errno.addressInUse) {
            try MessageListener(path: path, mode: 0o600, replacing: false)
        }
        // It was tried whether somebody answers.
        while first.accept() != nil {}
        let second = try MessageListener(path: path, mode: 0o600, replacing: true)
        // Its file is not the first one's to remove.
        first.remove()
        _ = try MessageListener.connect(path: path)
        while first.accept() != nil { Issue.record("the first one was reached") }
        #expect(second.accept() != nil)
        second.remove()
        #expect(File.entries(folder) == [])
    }
}
