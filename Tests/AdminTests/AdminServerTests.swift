import Synchronization
import Sys
import Testing

@testable import Admin

/// A server on a Unix socket or on TCP, whose handler tells what it was asked.
private final class Fixture: Sendable {
    let folder: String
    let address: String
    let token: AdminToken?
    let server: AdminServer

    init(
        isUnix: Bool = true,
        limits: AdminLimits = AdminLimits(),
        handler: @escaping AdminHandler = Fixture.echo
    ) throws {
        folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-admin-tests-")
        let token = isUnix ? nil : try AdminToken(Array("0123456789abcdef".utf8))
        self.token = token
        let wanted = isUnix ? "unix:" + folder + "/a.sock" : "127.0.0.1:0"
        let listening = try AdminServer.bind(try #require(SocketAddress(wanted)))
        address = try Socket.localAddress(listening.number).text
        let told = Told()
        server = try AdminServer.start(
            on: listening,
            token: token,
            limits: limits,
            logLevel: 0,
            answered: { request, _ in told.paths.withLock { $0.append(request.path) } },
            handler: handler
        )
        self.told = told
    }

    /// Paths of the answers that were sent.
    let told: Told

    final class Told: Sendable {
        let paths = Mutex<[String]>([])
    }

    static let echo: AdminHandler = { request in
        AdminResponse(
            200,
            [
                "method": .string(request.method), "path": .string(request.path),
                "body": request.body,
            ]
        )
    }

    deinit {
        File.remove(folder + "/a.sock")
        File.removeFolder(folder)
    }

    func client() throws -> AdminClient { try AdminClient(address, token: token) }

    /// A connection of a client that does as it likes.
    func connect() throws -> RawClient { try RawClient(try #require(SocketAddress(address))) }
}

/// A connection whose bytes a test writes itself.
private final class RawClient {
    let descriptor: FileDescriptor
    let poller: Epoll

    init(_ address: SocketAddress) throws {
        let begun = try Socket.connect(address)
        descriptor = FileDescriptor(owning: begun.descriptor)
        poller = try Epoll()
        try poller.add(connection: descriptor.number, token: 0)
    }

    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            do throws(Errno) {
                sent += try Socket.send(descriptor.number, bytes, from: sent)
            } catch {
                guard error == .wouldBlock else { return }
                _ = poller.wait(milliseconds: 10_000)
            }
        }
    }

    /// Everything until the end of the stream, or until nothing came for ten seconds.
    func receive() -> String {
        var bytes: [UInt8] = []
        while true {
            do throws(Errno) {
                let piece = try Socket.receive(descriptor.number, bytesMax: 4_096)
                if piece.isEmpty { return String(decoding: bytes, as: UTF8.self) }
                bytes += piece
            } catch {
                guard error == .wouldBlock, poller.wait(milliseconds: 10_000) > 0 else {
                    return String(decoding: bytes, as: UTF8.self) + "(\(error))"
                }
            }
        }
    }
}

struct AdminServerTests {
    private let get = "GET /v1/a HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test(arguments: [true, false])
    func `a request is answered over either family`(isUnix: Bool) throws {
        let fixture = try Fixture(isUnix: isUnix)
        let client = try fixture.client()
        for number in 0..<3 {
            let request = AdminRequest("POST", "/v1/x", ["number": .integer(Int64(number))])
            let response = try client.send(request, seconds: 10)
            #expect(response.status == 200)
            #expect(response.body["path"] == "/v1/x")
            #expect(response.body["body"] == request.body)
        }
        #expect(try client.send(AdminRequest("GET", "/v1/x"), seconds: 10).body["method"] == "GET")
        fixture.server.stop()
        #expect(fixture.told.paths.withLock { $0 } == ["/v1/x", "/v1/x", "/v1/x", "/v1/x"])
    }

    @Test func `the socket is for its user alone, also under an open umask`() throws {
        let fixture = try Fixture()
        let version = FileVersion(fixture.folder + "/a.sock")
        #expect(version.map { $0.mode & 0o777 } == 0o600)
        fixture.server.stop()
    }

    @Test func `a live socket is refused, a stale one replaced`() throws {
        let fixture = try Fixture()
        let address = try #require(SocketAddress(fixture.address))
        #expect(throws: Errno.addressInUse) { _ = try AdminServer.bind(address).number }
        fixture.server.stop()
        let next = try AdminServer.bind(address)
        #expect(try Socket.localAddress(next.number).text == fixture.address)
    }

    @Test func `a large body and a large answer pass`() throws {
        let fixture = try Fixture()
        let text = String(repeating: "ä", count: 500_000)
        let request = AdminRequest("POST", "/v1/x", ["text": .string(text)])
        let response = try fixture.client().send(request, seconds: 20)
        #expect(response.body["body"]?["text"]?.string == text)
        fixture.server.stop()
    }

    @Test func `a text is a text`() throws {
        let fixture = try Fixture { _ in AdminResponse(200, "a 1\nb 2\n") }
        let response = try fixture.client().send(AdminRequest("GET", "/v1/metrics"), seconds: 10)
        #expect(response.body == "a 1\nb 2\n")
        fixture.server.stop()
    }

    @Test func `a client may close its side first, and the connection ends with the answer`() throws
    {
        let fixture = try Fixture()
        let client = try fixture.connect()
        try client.send(get)
        Syscall.shutdownWrite(client.descriptor.number)
        let text = client.receive()
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(text.contains("\r\nConnection: close\r\n"))
        #expect(text.hasSuffix("\"body\":null}\n"))
        fixture.server.stop()
    }

    @Test func `HEAD is answered without a body`() throws {
        let fixture = try Fixture { _ in .refusal(405, ["no"]) }
        let client = try fixture.connect()
        try client.send("HEAD /v1/a HTTP/1.1\r\nHost: x\r\n\r\n")
        let text = client.receive()
        #expect(text.hasPrefix("HTTP/1.1 405 "))
        #expect(text.hasSuffix("\r\n\r\n"))
        fixture.server.stop()
    }

    @Test func `a refusal reaches a client that still sends`() throws {
        let fixture = try Fixture(isUnix: false)
        let client = try fixture.connect()
        try client.send("POST /v1/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        try client.send(String(repeating: "x", count: 3_000_000))
        #expect(client.receive().hasPrefix("HTTP/1.1 401 Unauthorized\r\n"))
        fixture.server.stop()
    }

    @Test func `a slow request is refused after its time, and so is one that never begins`() throws
    {
        var limits = AdminLimits()
        limits.requestMilliseconds = 100
        let fixture = try Fixture(limits: limits)
        let slow = try fixture.connect()
        let silent = try fixture.connect()
        try slow.send(String(get.dropLast()))
        #expect(slow.receive().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(silent.receive().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(try fixture.client().send(AdminRequest("GET", "/v1/x"), seconds: 10).status == 200)
        fixture.server.stop()
        #expect(fixture.told.paths.withLock { $0 } == ["/v1/x"])
    }

    @Test func `the time of a call is not counted against those who wait for it`() throws {
        var limits = AdminLimits()
        limits.requestMilliseconds = 200
        let fixture = try Fixture(limits: limits) { request in
            if request.path == "/slow" { Process.sleep(milliseconds: 600) }
            return AdminResponse(200, [:])
        }
        let waiting = try fixture.connect()
        let slow = try fixture.connect()
        try waiting.send(String(get.dropLast()))
        try slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        Process.sleep(milliseconds: 50)
        try waiting.send("\r\n")
        #expect(slow.receive().hasPrefix("HTTP/1.1 200 "))
        #expect(waiting.receive().hasPrefix("HTTP/1.1 200 "))
        fixture.server.stop()
    }

    @Test func `connections have a bound`() throws {
        var limits = AdminLimits()
        limits.connections = 2
        let fixture = try Fixture(limits: limits)
        let one = try fixture.connect()
        let two = try fixture.connect()
        try one.send("G")
        try two.send("G")
        let three = try fixture.connect()
        let refused = three.receive()
        #expect(refused.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(refused.contains("there are 2 connections already"))
        try one.send(String(get.dropFirst()))
        #expect(one.receive().hasPrefix("HTTP/1.1 200 "))
        Syscall.shutdownWrite(one.descriptor.number)
        let four = try fixture.client()
        var status = 503
        for _ in 0..<1_000 where status == 503 {
            status = try four.send(AdminRequest("GET", "/v1/x"), seconds: 10).status
        }
        #expect(status == 200)
        fixture.server.stop()
    }

    @Test func `a server that is stopped closes everything`() throws {
        let fixture = try Fixture(isUnix: false)
        let client = try fixture.connect()
        try client.send("GET")
        fixture.server.stop()
        _ = client.receive()
        #expect(throws: AdminProblem.self) {
            try fixture.client().send(AdminRequest("GET", "/v1/x"), seconds: 10)
        }
    }

    @Test func `a client that is gone holds up nobody, and its answer counts as sent`() throws {
        let fixture = try Fixture()
        do {
            let client = try fixture.connect()
            try client.send(get)
        }
        do {
            let client = try fixture.connect()
            try client.send("GET /v1/a HT")
        }
        #expect(try fixture.client().send(AdminRequest("GET", "/b"), seconds: 10).status == 200)
        fixture.server.stop()
        #expect(fixture.told.paths.withLock { $0 } == ["/v1/a", "/b"])
    }
}
