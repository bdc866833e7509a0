import RateLimit
import SluiceSDK
import SluiceTestKit
import Testing

struct RateLimitFilterTests {
    static let second: UInt64 = 1_000_000_000

    private func plugin(
        _ rules: TestValue...,
        with others: [String: TestValue] = [:],
        host: FakeHost = FakeHost()
    ) throws -> PluginFixture {
        var configuration = others
        configuration["rules"] = .array(rules)
        return try PluginFixture(RateLimitFilter.self, .object(configuration), host: host)
    }

    /// How many of so many requests at once are let in.
    private func admitted(
        _ plugin: PluginFixture,
        of count: Int,
        _ request: () -> RequestFixture = { RequestFixture() }
    ) -> Int {
        (0..<count).filter { _ in plugin.requestHeaders(request()) == .next }.count
    }

    @Test func `a sliding window lets its limit in, and refuses the next with all that it knows`()
        throws
    {
        let plugin = try plugin(
            ["name": "api", "limit": 3, "window": .measured("10s", 10_000_000_000)],
            with: ["fields": "both"]
        )
        plugin.host.nowNanoseconds = 104 * Self.second
        for remaining in [2, 1, 0] {
            let request = RequestFixture()
            #expect(plugin.requestHeaders(request) == .next)
            request.respond(status: 200, fields: [("ratelimit", "\"other\";r=1")])
            #expect(plugin.responseHeaders(request) == .next)
            #expect(request.response.values("ratelimit") == ["\"api\";r=\(remaining);t=6"])
            #expect(request.response["ratelimit-policy"] == "\"api\";q=3;w=10")
            #expect(request.response["x-ratelimit-limit"] == "3")
            #expect(request.response["x-ratelimit-remaining"] == "\(remaining)")
            #expect(request.response["x-ratelimit-reset"] == "6")
        }
        let request = RequestFixture()
        #expect(plugin.requestHeaders(request) == .respond)
        #expect(request.response[":status"] == "429")
        #expect(request.replyBody == "too many requests\n")
        // The window ends in 6 s; a third of the next must pass until two of the three count.
        #expect(request.response["retry-after"] == "10")
        #expect(request.response["ratelimit"] == "\"api\";r=0;t=10")
        #expect(request.attribute("ratelimit.rule", on: plugin.host) == .bytes(Array("api".utf8)))
        #expect(
            request.attribute("ratelimit.decision", on: plugin.host)
                == .bytes(Array("refused".utf8))
        )
        plugin.host.nowNanoseconds += 10 * Self.second
        #expect(admitted(plugin, of: 3) == 1)
        #expect(plugin.host.metric("ratelimit_decisions_total", "api", "allowed") == 4)
        #expect(plugin.host.metric("ratelimit_decisions_total", "api", "refused") == 3)
    }

    @Test func `a token bucket gives its burst at once, then its rate`() throws {
        let plugin = try plugin([
            "name": "b", "algorithm": "token_bucket", "limit": 10, "burst": 4,
        ])
        #expect(admitted(plugin, of: 10) == 4)
        let request = RequestFixture()
        #expect(plugin.requestHeaders(request) == .respond)
        #expect(request.response["retry-after"] == "1")
        plugin.host.nowNanoseconds += 250_000_000
        #expect(admitted(plugin, of: 10) == 2)
        plugin.host.nowNanoseconds += 60 * Self.second
        #expect(admitted(plugin, of: 10) == 4)
    }

    @Test(arguments: [
        (1, 86_400_000_000_000), (5, 3_600_000_000_000), (7, 60_000_000_000),
        (1_000_000, 1_000_000_000),
    ])
    func `slow and fast rates are kept exactly`(limit: Int, window: Int) throws {
        let plugin = try plugin([
            "name": "b", "algorithm": "token_bucket", "limit": .integer(limit), "burst": 1,
            "window": .measured("", window),
        ])
        #expect(admitted(plugin, of: 2) == 1)
        let interval = UInt64(window / limit)
        plugin.host.nowNanoseconds += interval - interval / 1_000 - 1
        #expect(admitted(plugin, of: 1) == 0)
        plugin.host.nowNanoseconds += 2 * (interval / 1_000) + 2
        #expect(admitted(plugin, of: 2) == 1)
    }

    @Test func `a delayed request waits for its turn`() throws {
        let plugin = try plugin([
            "name": "q", "algorithm": "token_bucket", "limit": 10, "burst": 1,
            "delay": .measured("300ms", 300_000_000), "queue": 2,
        ])
        #expect(admitted(plugin, of: 1) == 1)
        let first = RequestFixture()
        let second = RequestFixture()
        #expect(plugin.requestHeaders(first) == .suspend)
        #expect(plugin.requestHeaders(second) == .suspend)
        // Refused for the queue, they use up no turn.
        #expect(admitted(plugin, of: 9) == 0)
        #expect(
            first.attribute("ratelimit.decision", on: plugin.host) == .bytes(Array("delayed".utf8))
        )
        // There is time for a third one, but two wait.
        #expect(plugin.requestHeaders(RequestFixture()) == .respond)
        plugin.advance(nanoseconds: 99_000_000)
        #expect(plugin.resumed(first) == nil)
        plugin.advance(nanoseconds: 2_000_000)
        #expect(plugin.resumed(first) == .next)
        #expect(plugin.resumed(second) == nil)
        // A client that goes while it waits leaves room.
        plugin.requestEnd(second)
        #expect(plugin.requestHeaders(RequestFixture()) == .suspend)
        #expect(plugin.host.metric("ratelimit_decisions_total", "q", "delayed") == 3)
    }

    @Test func `a request that would wait too long is refused`() throws {
        let plugin = try plugin([
            "name": "q", "algorithm": "token_bucket", "limit": 10, "burst": 1,
            "delay": .measured("200ms", 200_000_000),
        ])
        let verdicts = (0..<5).map { _ in plugin.requestHeaders(RequestFixture()) }
        #expect(verdicts == [.next, .suspend, .suspend, .respond, .respond])
    }

    @Test func `counts requests under way, and those that end make room`() throws {
        let plugin = try plugin(
            ["name": "c", "algorithm": "concurrency", "limit": 2, "status": 503],
            ["name": "r", "limit": 1_000]
        )
        let requests = (0..<3).map { _ in RequestFixture() }
        #expect(plugin.requestHeaders(requests[0]) == .next)
        #expect(plugin.requestHeaders(requests[1]) == .next)
        #expect(plugin.requestHeaders(requests[2]) == .respond)
        #expect(requests[2].response[":status"] == "503")
        #expect(requests[2].response["retry-after"] == "1")
        plugin.requestEnd(requests[2])
        #expect(admitted(plugin, of: 1) == 0)
        plugin.requestEnd(requests[0])
        #expect(admitted(plugin, of: 2) == 1)
    }

    @Test func `a request waits until another one under way ends`() throws {
        let plugin = try plugin([
            "name": "c", "algorithm": "concurrency", "limit": 1,
            "delay": .measured("1s", 1_000_000_000),
        ])
        let first = RequestFixture()
        let second = RequestFixture()
        let third = RequestFixture()
        #expect(plugin.requestHeaders(first) == .next)
        #expect(plugin.requestHeaders(second) == .suspend)
        #expect(plugin.requestHeaders(third) == .suspend)
        plugin.requestEnd(first)
        #expect(plugin.resumed(second) == .next)
        #expect(plugin.resumed(third) == nil)
        plugin.advance(nanoseconds: 1_001_000_000)
        #expect(plugin.resumed(third) == .respond)
        #expect(third.response[":status"] == "429")
        plugin.requestEnd(third)
        plugin.requestEnd(second)
        #expect(admitted(plugin, of: 2) == 1)
    }

    @Test func `a request that one rule refuses uses up nothing of another`() throws {
        let plugin = try plugin(
            ["name": "all", "key": [], "limit": 10],
            ["name": "under", "key": [], "algorithm": "concurrency", "limit": 10],
            ["name": "each", "algorithm": "token_bucket", "limit": 10, "burst": 3],
            ["name": "host", "algorithm": "token_bucket", "key": "host", "limit": 10, "burst": 5]
        )
        func from(_ client: String) -> () -> RequestFixture { { RequestFixture(client: client) } }
        #expect(admitted(plugin, of: 9, from("192.0.2.1")) == 3)
        #expect(admitted(plugin, of: 9, from("192.0.2.2")) == 2)
        // Were a refused one counted, "all" would be used up by now, and "each" of the second, too.
        let other = { RequestFixture(authority: "other.example", client: "192.0.2.2") }
        #expect(admitted(plugin, of: 9, other) == 1)
        let third = { RequestFixture(authority: "other.example", client: "192.0.2.3") }
        #expect(admitted(plugin, of: 9, third) == 3)
    }

    @Test func `a dry run refuses nobody and says what it would do`() throws {
        let plugin = try plugin(["name": "d", "limit": 1, "dry_run": true])
        #expect(admitted(plugin, of: 3) == 3)
        #expect(plugin.host.metric("ratelimit_decisions_total", "d", "allowed") == 1)
        #expect(plugin.host.metric("ratelimit_decisions_total", "d", "dry_run") == 2)
        let request = RequestFixture()
        _ = plugin.requestHeaders(request)
        #expect(
            request.attribute("ratelimit.decision", on: plugin.host)
                == .bytes(Array("dry_run".utf8))
        )
        #expect(!plugin.hookedPhases.contains(Int(Phase.responseHeaders.rawValue)))
    }

    @Test func `networks that are allowed are not counted`() throws {
        let plugin = try plugin(
            ["name": "a", "key": [], "limit": 1, "allow": ["192.0.2.0/24"]],
            with: ["allow": ["2001:db8::/32"]]
        )
        #expect(admitted(plugin, of: 5) == 5)
        #expect(admitted(plugin, of: 5) { RequestFixture(client: "2001:db8::1") } == 5)
        #expect(admitted(plugin, of: 5) { RequestFixture(client: "198.51.100.1") } == 1)
        #expect(plugin.host.metric("ratelimit_exempt_total") == 5)
    }

    @Test func `two instances of a name count in the same memory`() throws {
        let host = FakeHost()
        let rule: TestValue = ["name": "s", "limit": 3]
        let under: TestValue = ["name": "u", "algorithm": "concurrency", "key": [], "limit": 4]
        let old = try plugin(rule, under, host: host)
        let held = RequestFixture()
        #expect(old.requestHeaders(held) == .next)
        let next = try plugin(["name": "s", "limit": 4], under, host: host)
        #expect(admitted(next, of: 1) == 1)
        #expect(admitted(old, of: 1) == 1)
        // The limit is the newer instance's, the count that of both.
        #expect(admitted(next, of: 5) == 1)
        // What the old one holds comes back where it was counted.
        let other = { RequestFixture(client: "192.0.2.9") }
        #expect(admitted(next, of: 1, other) == 0)
        old.requestEnd(held)
        #expect(admitted(next, of: 2, other) == 1)
    }

    @Test func `a rule without its value limits nobody, and hooks only what it needs`() throws {
        let plugin = try plugin(["name": "s", "limit": 1, "key": "header:x"])
        #expect(admitted(plugin, of: 3) == 3)
        #expect(plugin.hookedPhases == [0, 8])
    }

    @Test func `tells how many keys there are`() throws {
        let plugin = try plugin(
            ["name": "s", "limit": 5],
            ["name": "c", "algorithm": "concurrency", "limit": 100]
        )
        for client in 1...50 {
            _ = plugin.requestHeaders(RequestFixture(client: "192.0.2.\(client)"))
        }
        plugin.advance(nanoseconds: 400_000_000)
        plugin.advance(nanoseconds: 4_600_000_000)
        plugin.runJobs()
        #expect(plugin.host.metric("ratelimit_keys", "s") == 0)
        #expect(plugin.host.metric("ratelimit_keys", "c") == 50)
    }
}
