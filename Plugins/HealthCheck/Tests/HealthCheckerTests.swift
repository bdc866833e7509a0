import HealthCheck
import SluiceSDK
import SluiceTestKit
import Testing

/// The plugin on a host whose peers and time the test has.
struct HealthCheckerTests {
    private static let second: UInt64 = 1_000_000_000

    private func start(
        _ configuration: TestValue,
        _ addresses: [String] = ["192.0.2.1:80", "192.0.2.2:80"],
        workers: Int = 1
    ) throws -> PluginFixture {
        let host = FakeHost()
        host.setPeers("app", addresses.map { FakePeer($0) })
        let fixture = try PluginFixture(
            HealthChecker.self,
            configuration,
            host: host,
            workers: workers
        )
        for worker in 0..<workers { _ = fixture.slot(worker) }
        fixture.tellPeers("app", workers: workers)
        return fixture
    }

    private static func active(_ members: [String: TestValue] = [:]) -> TestValue {
        var all: [String: TestValue] = ["interval": .measured("1s", 1_000_000_000), "jitter": 0]
        all.merge(members) { $1 }
        return .object(["active": .object(all)])
    }

    private func pass(_ fixture: PluginFixture, seconds: Int) {
        for _ in 0..<(seconds * 10) {
            fixture.advance(nanoseconds: Self.second / 10)
            fixture.finishProbes()
        }
    }

    @Test func `checks each peer once an interval`() throws {
        let fixture = try start(Self.active(["path": "/health", "host": "a.example"]))
        fixture.host.probeAnswer = { _ in .response(status: 204) }
        pass(fixture, seconds: 5)
        #expect(8...12 ~= fixture.host.probes.count)
        let probe = try #require(fixture.host.probes.first)
        #expect(probe.method == "GET" && probe.path == "/health" && probe.speaks == 1)
        #expect(probe.authority == "a.example" && probe.timeoutNanoseconds == Self.second)
        #expect(fixture.host.peers("app").allSatisfy { $0.health == .healthy })
        #expect(fixture.host.misuses.isEmpty)
    }

    @Test func `a peer that fails goes down after the third check, and is logged once`() throws {
        let fixture = try start(Self.active())
        fixture.host.probeAnswer = { probe in
            probe.address == "192.0.2.1:80" ? .response(status: 503) : .response(status: 200)
        }
        pass(fixture, seconds: 2)
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
        pass(fixture, seconds: 4)
        let peer = try #require(fixture.host.peer("192.0.2.1:80"))
        #expect(peer.health == .unhealthy && !peer.isUsed && peer.reason == "status 503")
        #expect(fixture.host.peer("192.0.2.2:80")?.health == .healthy)
        let lines = fixture.host.log.filter { $0.line.contains("192.0.2.1:80") }
        #expect(
            lines.map(\.line) == ["upstream app: peer 192.0.2.1:80 is unhealthy: status 503"]
        )
        fixture.host.probeAnswer = { _ in .response(status: 200) }
        pass(fixture, seconds: 4)
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
    }

    @Test func `failures say in which step`() throws {
        let fixture = try start(Self.active(["fall": 1]))
        fixture.host.probeAnswer = { _ in
            .failed(step: 1, isTimeout: false, reason: "Connection refused")
        }
        pass(fixture, seconds: 2)
        #expect(fixture.host.peer("192.0.2.1:80")?.reason == "connect: Connection refused")
    }

    @Test func `no check begins while one of the same peer runs`() throws {
        let fixture = try start(Self.active(["timeout": .measured("30s", 30 * Int(Self.second))]))
        pass(fixture, seconds: 10)
        #expect(fixture.host.probes.count == 2)
    }

    @Test func `peers are spread over workers, each checked by one`() throws {
        let addresses = (1...8).map { "192.0.2.\($0):80" }
        let fixture = try start(Self.active(), addresses, workers: 4)
        fixture.host.probeAnswer = { _ in .response(status: 200) }
        pass(fixture, seconds: 3)
        for address in addresses {
            let workers = Set(fixture.host.probes.filter { $0.address == address }.map(\.worker))
            #expect(workers.count == 1)
        }
        #expect(Set(fixture.host.probes.map(\.worker)) == [0, 1, 2, 3])
    }

    @Test func `a peer that comes later is checked, and one that goes is not`() throws {
        let fixture = try start(Self.active())
        fixture.host.probeAnswer = { _ in .response(status: 200) }
        pass(fixture, seconds: 2)
        fixture.host.setPeers("app", [FakePeer("192.0.2.2:80"), FakePeer("192.0.2.3:80")])
        fixture.tellPeers("app")
        let before = fixture.host.probes.count
        pass(fixture, seconds: 3)
        #expect(
            Set(fixture.host.probes.dropFirst(before).map(\.address))
                == ["192.0.2.2:80", "192.0.2.3:80"]
        )
    }

    @Test func `a result of a peer that has gone is no harm`() throws {
        let fixture = try start(Self.active(["fall": 1]))
        fixture.advance(nanoseconds: Self.second)
        fixture.host.setPeers("app", [])
        fixture.tellPeers("app")
        fixture.host.probeAnswer = { _ in .response(status: 500) }
        #expect(fixture.finishProbes() == 2)
        #expect(fixture.host.log.isEmpty)
    }

    @Test func `unhealthy at first`() throws {
        let fixture = try start(Self.active(["initial": "unhealthy", "rise": 1]))
        #expect(fixture.host.peers("app").allSatisfy { $0.health == .unhealthy })
        #expect(fixture.host.peers("app").allSatisfy { $0.reason == "not checked yet" })
        fixture.host.probeAnswer = { _ in .response(status: 200) }
        pass(fixture, seconds: 2)
        #expect(fixture.host.peers("app").allSatisfy { $0.health == .healthy })
    }

    @Test func `only upstreams that are named`() throws {
        let configuration = TestValue.object([
            "upstreams": .array(["other"]), "active": .object([:]),
        ])
        let fixture = try start(configuration)
        pass(fixture, seconds: 3)
        #expect(fixture.host.probes.isEmpty)
    }

    @Test func `a check of gRPC`() throws {
        let fixture = try start(Self.active(["type": "grpc", "service": "a.B", "fall": 1]))
        fixture.host.probeAnswer = { _ in
            .response(
                status: 200,
                body: [0, 0, 0, 0, 2, 8, 1],
                trailers: Message([("grpc-status", "0")])
            )
        }
        pass(fixture, seconds: 2)
        let probe = try #require(fixture.host.probes.first)
        #expect(probe.method == "POST" && probe.speaks == 2)
        #expect(probe.path == "/grpc.health.v1.Health/Check")
        #expect(probe.fields["content-type"] == "application/grpc")
        #expect(probe.body == GRPCHealth.request("a.B"))
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
        // A message without content: the status is in the head.
        fixture.host.probeAnswer = { _ in
            .response(status: 200, fields: Message([("grpc-status", "12")]))
        }
        pass(fixture, seconds: 2)
        #expect(fixture.host.peer("192.0.2.1:80")?.reason == "grpc-status 12")
    }

    // MARK: Requests

    private func request(
        _ fixture: PluginFixture,
        _ address: String,
        status: Int,
        _ result: AttemptResult = .response
    ) {
        let request = RequestFixture()
        request.peerID = fixture.host.peer(address)?.id ?? 0
        request.setStatus(status)
        fixture.upstreamResult(request, result)
    }

    private static func passive(_ members: [String: TestValue] = [:]) -> TestValue {
        .object(["passive": .object(members)])
    }

    @Test func `errors in a row eject, a success between them does not`() throws {
        let fixture = try start(Self.passive(["consecutive": 3]))
        for status in [500, 502, 200, 500, 503] {
            request(fixture, "192.0.2.1:80", status: status)
        }
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
        request(fixture, "192.0.2.1:80", status: 500)
        let peer = try #require(fixture.host.peer("192.0.2.1:80"))
        #expect(peer.health == .ejected && peer.reason == "3 errors in a row")
        // The other one stays: half of two may not both go.
        for _ in 0..<5 { request(fixture, "192.0.2.2:80", status: 500) }
        #expect(fixture.host.peer("192.0.2.2:80")?.health == .healthy)
        pass(fixture, seconds: 29)
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .ejected)
        pass(fixture, seconds: 2)
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
    }

    @Test func `an attempt that another has beaten is neither an error nor a success`() throws {
        let fixture = try start(Self.passive(["consecutive": 2]))
        for _ in 0..<5 { request(fixture, "192.0.2.1:80", status: 0, .abandoned) }
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
        request(fixture, "192.0.2.1:80", status: 0, .timeout)
        request(fixture, "192.0.2.1:80", status: 0, .abandoned)
        request(fixture, "192.0.2.1:80", status: 0, .timeout)
        #expect(fixture.host.peer("192.0.2.1:80")?.reason == "2 errors in a row")
    }

    @Test func `a second ejection is longer`() throws {
        let fixture = try start(
            Self.passive(["consecutive": 1, "eject": .measured("10s", 10 * Int(Self.second))])
        )
        request(fixture, "192.0.2.1:80", status: 500)
        pass(fixture, seconds: 11)
        request(fixture, "192.0.2.1:80", status: 500)
        pass(fixture, seconds: 15)
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .ejected)
        pass(fixture, seconds: 6)
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
    }

    @Test func `a rate over a window ejects`() throws {
        let fixture = try start(Self.passive(["consecutive": 0, "rate": 50, "requests": 10]))
        for turn in 0..<9 { request(fixture, "192.0.2.1:80", status: turn % 2 == 0 ? 500 : 200) }
        #expect(fixture.host.peer("192.0.2.1:80")?.health == .healthy)
        request(fixture, "192.0.2.1:80", status: 500)
        #expect(fixture.host.peer("192.0.2.1:80")?.reason == "6 errors of 10 requests")
    }

    @Test func `panic uses all, and says so once`() throws {
        let configuration = TestValue.object([
            "panic": 60,
            "active": .object(["interval": .measured("1s", 1_000_000_000), "fall": 1, "rise": 1]),
        ])
        let fixture = try start(configuration)
        fixture.host.probeAnswer = { probe in
            probe.address == "192.0.2.1:80" ? .response(status: 500) : .response(status: 200)
        }
        pass(fixture, seconds: 3)
        let peer = try #require(fixture.host.peer("192.0.2.1:80"))
        #expect(peer.health == .unhealthy && peer.isUsed)
        let panics = fixture.host.log.filter { $0.line.contains("panic:") }
        #expect(panics.count == 1)
        fixture.host.probeAnswer = { _ in .response(status: 200) }
        pass(fixture, seconds: 3)
        #expect(fixture.host.log.contains { $0.line.contains("panic is over") })
    }

    @Test func `without passive there is no hook`() throws {
        #expect(try start(Self.active()).hookedPhases.isEmpty)
        #expect(try start(Self.passive()).hookedPhases.count == 1)
    }

    @Test(arguments: [
        (TestValue.object([:]), "active or passive is needed"),
        (.object(["active": .object(["type": "udp"])]), "none of the words"),
        (.object(["active": .object(["path": "a"])]), "begins with"),
        (.object(["active": .object(["type": "tcp", "body": "a"])]), "has no meaning"),
        (.object(["active": .object(["service": "a"])]), "has no meaning"),
        (.object(["active": .object(["status": .array(["99-100"])])]), "a status or a range"),
        (.object(["active": .object(["rise": 0])]), "0 is not within 1 to 100"),
        (.object(["passive": .object(["consecutive": 0])]), "are both 0"),
        (.object(["panic": 101, "active": .object([:])]), "101 is not within 0 to 100"),
    ])
    func `refuses a configuration`(configuration: TestValue, reason: String) {
        let refused = #expect(throws: PluginFixture.Refused.self) { try start(configuration) }
        #expect(refused?.line.contains(reason) == true, "\(refused?.line ?? "")")
    }
}
