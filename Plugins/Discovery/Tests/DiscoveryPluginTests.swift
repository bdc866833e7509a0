import Glibc
import SluiceSDK
import SluiceTestKit
import Testing

@testable import Discovery

/// The whole plugin on a host that the test plays: its clock, its threads and its catalog.
struct DiscoveryPluginTests {
    static let second: UInt64 = 1_000_000_000

    /// A file of its own for each test.
    final class TemporaryFile {
        let path: String

        init(_ text: String) throws {
            var name = Array("/tmp/discovery-XXXXXX".utf8CString)
            let descriptor = mkstemp(&name)
            try #require(descriptor >= 0)
            close(descriptor)
            path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            try write(text)
        }

        deinit { unlink(path) }

        func write(_ text: String) throws {
            let file = try #require(fopen(path, "w"))
            fputs(text, file)
            fclose(file)
        }
    }

    static func host(_ discovered: String...) -> FakeHost {
        let host = FakeHost()
        for name in discovered {
            host.setPeers(name, [])
            host.discovered.insert(name)
        }
        return host
    }

    static func fixture(_ source: TestValue, _ host: FakeHost) throws -> PluginFixture {
        try PluginFixture(
            DiscoveryPlugin.self,
            ["upstreams": ["web": source], "start_timeout": .measured("0ms", 0)],
            host: host
        )
    }

    /// Starts the worker, and lets time pass.
    static func pass(_ fixture: PluginFixture, seconds: UInt64 = 0) {
        _ = fixture.slot(0)
        fixture.advance(nanoseconds: seconds * second)
        while fixture.runJobs() > 0 {}
    }

    static func addresses(_ host: FakeHost) -> [String] { host.peers("web").map(\.address) }

    static func lines(_ host: FakeHost) -> [String] { host.log.map(\.line) }

    @Test func `a file is read before the worker starts, and when it changes`() throws {
        let file = try TemporaryFile("[\"10.0.0.2:80\", \"10.0.0.1:80\"]")
        let host = Self.host("web")
        let fixture = try Self.fixture(["file": .string(file.path)], host)
        try fixture.warm()
        #expect(Self.addresses(host) == ["10.0.0.1:80", "10.0.0.2:80"])
        Self.pass(fixture)
        let version = Self.lines(host).count
        for _ in 0..<5 { Self.pass(fixture, seconds: 1) }
        #expect(Self.lines(host).count == version)
        try file.write(
            "[{\"address\": \"10.0.0.3:80\", \"weight\": 3, \"backup\": true, \"draining\": true}]"
        )
        Self.pass(fixture, seconds: 1)
        let peer = try #require(host.peer("10.0.0.3:80"))
        #expect(peer.weight == 3)
        #expect(peer.isBackup)
        #expect(peer.isDraining)
        #expect(Self.addresses(host) == ["10.0.0.3:80"])
        #expect(host.misuses == [])
    }

    @Test func `a failure is told once and changes nothing`() throws {
        let file = try TemporaryFile("[\"10.0.0.1:80\"]")
        let host = Self.host("web")
        let fixture = try Self.fixture(["file": .string(file.path)], host)
        try fixture.warm()
        Self.pass(fixture)
        try file.write("[\"10.0.0.1:80\"")
        for _ in 0..<5 { Self.pass(fixture, seconds: 1) }
        let wanted = "upstream web: \(file.path):1: expected \",\" or \"]\"; it keeps its 1 peer"
        #expect(Self.lines(host).filter { $0 == wanted }.count == 1)
        #expect(Self.addresses(host) == ["10.0.0.1:80"])
        // The same again is no change, but no failure any more.
        try file.write("[\"10.0.0.1:80\"] ")
        Self.pass(fixture, seconds: 1)
        #expect(Self.lines(host).last == "upstream web: its source answers again")
    }

    @Test func `peers without a balancer or a bound too many are refused whole`() throws {
        let file = try TemporaryFile("[\"10.0.0.1:80\", \"10.0.0.2:80\", \"10.0.0.3:80\"]")
        let host = Self.host("web")
        let fixture = try Self.fixture(["file": .string(file.path), "max_peers": 2], host)
        try fixture.warm()
        Self.pass(fixture)
        #expect(Self.addresses(host) == [])
        let wanted = "upstream web: 3 peers; max_peers is 2; it has no peers"
        #expect(Self.lines(host).contains(wanted))
    }

    @Test func `a set moves to the instance that comes after`() throws {
        let file = try TemporaryFile("[\"10.0.0.1:80\"]")
        let before = try Self.fixture(["file": .string(file.path)], Self.host("web"))
        try before.warm()
        let state = try before.exportState()
        unlink(file.path)
        let host = Self.host("web")
        let after = try Self.fixture(["file": .string(file.path)], host)
        try after.importState(state)
        try after.warm()
        #expect(Self.addresses(host) == ["10.0.0.1:80"])
        // Of another source nothing is taken.
        let other = Self.host("web")
        let elsewhere = try Self.fixture(["file": .string(file.path + "2")], other)
        try elsewhere.importState(state)
        try elsewhere.warm()
        #expect(Self.addresses(other) == [])
    }

    @Test func `an upstream must be there, and be discovered`() throws {
        let host = Self.host("other")
        host.setPeers("web", [FakePeer("10.0.0.1:80")])
        let missing = "upstreams.web: the manifest's upstream lacks discovery: true"
        do {
            _ = try Self.fixture(["file": "/nowhere"], host)
            Issue.record("it was made")
        } catch let refused as PluginFixture.Refused {
            #expect(refused.line == missing)
        }
    }

    // MARK: Catalog

    static let consul: TestValue = ["consul": ["upstream": "consul", "service": "api"]]

    static func answer(_ address: String, index: Int) -> CalloutAnswer {
        .response(
            status: 200,
            fields: Message([("x-consul-index", "\(index)")]),
            body: "[\(ConsulTests.entry(address))]"
        )
    }

    @Test func `a catalog is asked again with the index of its answer`() throws {
        let host = Self.host("web")
        host.upstreams.insert("consul")
        var answers = [Self.answer("10.0.0.1", index: 5)]
        host.answer = { _ in answers.isEmpty ? nil : answers.removeFirst() }
        let fixture = try Self.fixture(Self.consul, host)
        try fixture.warm()
        Self.pass(fixture)
        #expect(host.callouts.map(\.path) == ["/v1/health/service/api?passing=1"])
        #expect(fixture.finishCallouts() == 1)
        Self.pass(fixture)
        #expect(host.callouts.count == 1)
        Self.pass(fixture, seconds: 1)
        #expect(Self.addresses(host) == ["10.0.0.1:80"])
        #expect(host.callouts.last?.path == "/v1/health/service/api?passing=1&index=5&wait=50000ms")
        #expect(host.callouts.last?.timeoutNanoseconds == 54_625_000_000)
        // It does not answer in time: asked again after a pause, and for an answer at once.
        fixture.advance(nanoseconds: 55 * Self.second)
        Self.pass(fixture, seconds: 2)
        #expect(host.callouts.count == 3)
        #expect(host.callouts.last?.path == "/v1/health/service/api?passing=1")
        let wanted = "upstream web: the catalog does not answer; it keeps its 1 peer"
        #expect(Self.lines(host).contains(wanted))
        #expect(host.misuses == [])
    }

    @Test func `answers that fail are asked for later and later`() throws {
        let host = Self.host("web")
        host.upstreams.insert("consul")
        host.answer = { _ in .response(status: 500, body: "") }
        let fixture = try Self.fixture(Self.consul, host)
        var times: [UInt64] = []
        Self.pass(fixture)
        for _ in 0..<200 {
            if fixture.finishCallouts() > 0 { times.append(host.nowNanoseconds / Self.second) }
            Self.pass(fixture, seconds: 1)
        }
        let pauses = zip(times, times.dropFirst()).map { $1 - $0 }
        for (pause, least) in zip(pauses, [1, 2, 4, 8, 16, 30, 30] as [UInt64]) {
            // Up to a tenth later by chance, and up to a second by the test's own steps.
            #expect(pause >= least && pause <= least + least / 10 + 1)
        }
        #expect(pauses.count >= 7)
    }

    @Test func `an older instance lets the newer one ask`() throws {
        let file = try TemporaryFile("[\"10.0.0.1:80\"]")
        let host = Self.host("web")
        let older = try Self.fixture(["file": .string(file.path)], host)
        try older.warm()
        Self.pass(older)
        var newer: PluginFixture? = try Self.fixture(["file": .string(file.path)], host)
        newer.map { Self.pass($0) }
        try file.write("[\"10.0.0.2:80\"]")
        Self.pass(older, seconds: 20)
        #expect(Self.addresses(host) == ["10.0.0.1:80"])
        // The newer one was a trial: it ends, and the older one goes on.
        newer = nil
        Self.pass(older, seconds: 6)
        Self.pass(older, seconds: 1)
        #expect(Self.addresses(host) == ["10.0.0.2:80"])
    }
}
