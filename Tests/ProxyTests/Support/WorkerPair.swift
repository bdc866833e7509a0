import PluginHost
import Reactor
import Synchronization
import Sys
import Testing

@testable import Proxy

/// Two workers and an origin on one thread: each turn is taken by hand, so that a test says what
/// happens in between.
///
/// The tables of a process have a place for each worker by its index; these take the last ones,
/// which no other test uses.
final class WorkerPair {
    static let workerCount = 200

    let plan: Plan
    let mailboxes: [Mailbox<WorkerMessage>]
    /// The one that has idle connections, and the one that asks.
    let giver: TestWorker
    let asker: TestWorker
    private let folder: String
    private let listening: Int32
    private var ends: [Int32] = []

    init(_ change: (inout UpstreamSettings) -> Void = { _ in }) throws {
        folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-takeover-")
        let address = try #require(SocketAddress(unixPath: folder + "/origin"))
        listening = try Socket.listen(address, Socket.ListenOptions()).release()
        var settings = ProxySettings()
        settings.logLevel = .error
        settings.listeners = [ListenerSettings(address: "127.0.0.1:0")]
        var upstream = UpstreamSettings(name: "app")
        upstream.peers = [PeerSettings(address: "origin.test:80")]
        change(&upstream)
        settings.upstreams = [upstream]
        var route = RouteSettings(name: "all")
        route.upstream = "app"
        settings.routes = [route]
        plan = try Plan(
            settings,
            instances: [],
            addresses: [SocketAddress()],
            peerAddresses: [[address]],
            tls: TLSContexts(settings),
            tables: PlanTables(workerCount: Self.workerCount),
            descriptorLimit: 1_024
        )
        mailboxes = try (0..<Self.workerCount).map { _ throws(Errno) in try Mailbox() }
        giver = try TestWorker(Self.workerCount - 1, plan, mailboxes)
        asker = try TestWorker(Self.workerCount - 2, plan, mailboxes)
    }

    deinit {
        for end in ends { Syscall.close(end) }
        Syscall.close(listening)
        File.remove(folder + "/origin")
        File.removeFolder(folder)
    }

    /// A client of a worker that has sent a request.
    func request(_ worker: TestWorker) throws -> Int32 {
        let (ours, theirs) = try Socket.pair()
        ends.append(ours)
        send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ours)
        worker.worker.open(theirs, 0, SocketAddress())
        return ours
    }

    /// A connection that was made to the origin; nil when there is none.
    func accept() -> Int32? {
        var address = SocketAddress()
        let fd = Socket.accept(listening, from: &address)
        guard fd >= 0 else { return nil }
        ends.append(Int32(fd))
        return Int32(fd)
    }

    /// A worker's idle connection, which has served a request: the origin's end.
    func warm(_ worker: TestWorker) throws -> Int32 {
        let client = try request(worker)
        worker.turn()
        let origin = try #require(accept())
        answer(origin)
        worker.turn()
        #expect(received(client).hasPrefix("HTTP/1.1 200"))
        return origin
    }

    /// Answers a request that must have come.
    func answer(_ origin: Int32) {
        #expect(received(origin).hasPrefix("GET / HTTP/1.1\r\n"))
        send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", origin)
    }

    func send(_ text: String, _ fd: Int32) {
        let bytes = Array(text.utf8)
        #expect(Syscall.send(fd, bytes, bytes.count) == bytes.count)
    }

    /// What has come; empty when nothing has.
    func received(_ fd: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = Syscall.receive(fd, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    /// Whether the other side has closed.
    func isClosed(_ fd: Int32) -> Bool {
        var byte: UInt8 = 0
        return Syscall.receive(fd, &byte, 1) == 0
    }

    func close(_ fd: Int32) {
        ends.removeAll { $0 == fd }
        Syscall.close(fd)
    }
}

/// A worker whose loop is turned by hand.
final class TestWorker {
    var worker: Worker
    /// Milliseconds by which its clock is ahead of the begin.
    var elapsed: UInt64 = 0
    private let begin = Clock.monotonicNanoseconds()

    init(_ index: Int, _ plan: Plan, _ mailboxes: [Mailbox<WorkerMessage>]) throws {
        worker = Worker(
            index: index,
            plan: plan,
            listening: [],
            mailbox: mailboxes[index],
            mailboxes: mailboxes,
            poller: try Epoll()
        )
        try worker.start()
    }

    func turn() {
        let count = worker.wait(milliseconds: 0)
        worker.turn(events: count, now: begin + elapsed * 1_000_000)
    }

    var idle: Int { worker.pools[0].count }
    /// What other workers are told.
    var shown: UInt32 { worker.idleCounts[0].load(ordering: .relaxed) }
}
