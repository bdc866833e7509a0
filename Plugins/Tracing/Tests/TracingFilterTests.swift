import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

@testable import Tracing

/// The hooks, and what comes of them in batches.
struct TracingFilterTests {
    static let second: UInt64 = 1_000_000_000
    static let trace = "12345678901234567890123456789012"
    static let span = "1234567890123456"

    /// An instance with a collector that takes everything, unless the host has another.
    static func plugin(
        _ configuration: [String: TestValue] = [:],
        host given: FakeHost? = nil,
        workers: Int = 1
    ) throws -> PluginFixture {
        var all = configuration
        all["collector"] = "c"
        let host = given ?? FakeHost()
        host.upstreams = ["c"]
        if given == nil { host.answer = { _ in .response(status: 200) } }
        let plugin = try PluginFixture(
            TracingFilter.self,
            .object(all),
            host: host,
            workers: workers
        )
        for worker in 0..<workers { _ = plugin.slot(worker) }
        return plugin
    }

    /// A request with so many attempts, from its begin to its end.
    @discardableResult
    static func run(
        _ plugin: PluginFixture,
        _ request: RequestFixture = RequestFixture(),
        status: Int = 200,
        attempts: [AttemptResult] = [.response],
        worker: Int = 0
    ) -> RequestFixture {
        request.facts.time_start = plugin.host.nowNanoseconds
        plugin.requestHeaders(request, worker: worker)
        for (index, result) in attempts.enumerated() {
            request.facts.attempt = UInt32(index + 1)
            request.setFacts(route: "shop", upstream: "app", peer: "10.0.0.\(index + 1):80")
            plugin.host.nowNanoseconds += 1_000
            if result != .connect { plugin.upstreamRequest(request, worker: worker) }
            plugin.host.nowNanoseconds += 1_000
            request.facts.status = UInt32(result == .response ? status : 0)
            plugin.upstreamResult(request, result, worker: worker)
        }
        request.respond(status: status)
        plugin.responseHeaders(request, worker: worker)
        plugin.host.nowNanoseconds += 1_000
        plugin.requestEnd(request, worker: worker)
        return request
    }

    /// The spans that were sent since the last time.
    static func export(_ plugin: PluginFixture) throws -> [DecodedSpan] {
        let before = plugin.host.callouts.count
        plugin.advance(nanoseconds: 2 * second)
        plugin.finishCallouts()
        return try plugin.host.callouts.dropFirst(before).flatMap {
            try DecodedSpan.all($0.body)
        }
    }

    @Test func `a request and its attempts are spans of one trace`() throws {
        let plugin = try Self.plugin()
        let request = RequestFixture(
            "GET",
            "/a?b=c",
            fields: [
                ("traceparent", "00-\(Self.trace)-\(Self.span)-01"), ("tracestate", "a=1"),
            ]
        )
        Self.run(plugin, request, attempts: [.connect, .timeout, .response])
        let spans = try Self.export(plugin)
        #expect(spans.map(\.kind) == [2, 3, 3, 3])
        #expect(spans.allSatisfy { $0.traceID == Self.trace })
        #expect(spans[0].parent == Self.span && spans[0].name == "GET shop")
        #expect(spans[0].message.text(3) == "a=1")
        #expect(spans.dropFirst().allSatisfy { $0.parent == spans[0].id })
        #expect(Set(spans.map(\.id)).count == 4)
        let types = spans.map { $0.attributes["error.type"] }
        #expect(types == [nil, "connect", "timeout", nil])
        #expect(spans.map(\.isError) == [false, true, true, false])
        let resends = spans.map { $0.attributes["http.request.resend_count"] }
        #expect(resends == [nil, nil, "1", "2"])
        #expect(spans[3].attributes["server.address"] == "10.0.0.3")
        #expect(spans[3].attributes["server.port"] == "80")
        #expect(spans[0].flags == 0x301 && spans[1].flags == 0x101)
        // What the last peer got is the last span.
        #expect(request.request["traceparent"] == "00-\(Self.trace)-\(spans[3].id)-01")
        let host = plugin.host
        let left = request.attribute("trace.id", on: host)
        #expect(left == .bytes(Array(Self.trace.utf8)))
        #expect(request.attribute("span.id", on: host) == .bytes(Array(spans[0].id.utf8)))
        #expect(host.metric("tracing_spans_total", "exported") == 4)
        #expect(host.metric("tracing_requests_total", "sampled") == 1)
        #expect(host.misuses == [])
    }

    @Test func `times are those of the wall, in their order`() throws {
        let plugin = try Self.plugin()
        let begin = plugin.host.nowNanoseconds
        Self.run(plugin, attempts: [.response, .response])
        let spans = try Self.export(plugin)
        let start = try #require(spans[0].start)
        #expect(start > 1_700_000_000 * Self.second)
        #expect(spans.map { ($0.start ?? 0) - start } == [0, 1_000, 3_000])
        #expect(spans.map { ($0.end ?? 0) - start } == [5_000, 2_000, 5_000])
        #expect(plugin.host.nowNanoseconds > begin)
    }

    @Test func `more attempts than there are places have ids and no spans`() throws {
        let plugin = try Self.plugin()
        let most = RequestTrace.attemptsMax
        let request = RequestFixture()
        Self.run(plugin, request, attempts: Array(repeating: .response, count: most + 3))
        let spans = try Self.export(plugin)
        #expect(spans.count == 1 + most)
        #expect(spans[0].attributes["sluice.attempts"] == "\(most + 3)")
        let last = try #require(request.request["traceparent"])
        #expect(!spans.contains { last.contains($0.id) })
    }

    @Test func `what is not recorded costs no span, but for what fails or is slow`() throws {
        let plugin = try Self.plugin([
            "sampling": ["ratio": 0, "slow": .measured("1s", 1_000_000_000)]
        ])
        Self.run(plugin)
        Self.run(plugin, status: 499)
        #expect(try Self.export(plugin).isEmpty)
        Self.run(plugin, status: 500)
        let reset = RequestFixture()
        reset.facts.outcome = UInt32(SLUICE_OUTCOME_RESET)
        Self.run(plugin, reset)
        let slow = RequestFixture()
        slow.facts.time_start = plugin.host.nowNanoseconds
        plugin.requestHeaders(slow)
        plugin.host.nowNanoseconds += Self.second
        slow.facts.status = 200
        plugin.requestEnd(slow)
        let spans = try Self.export(plugin).filter { $0.kind == 2 }
        let causes = spans.map { $0.attributes["sluice.exported_for"] }
        #expect(causes == ["error", "error", "slow"])
        #expect(spans[1].attributes["error.type"] == "reset" && spans[1].isError)
        #expect(spans.allSatisfy { $0.flags == 0x102 })
        #expect(plugin.host.metric("tracing_requests_total", "no") == 2)
        #expect(plugin.host.metric("tracing_requests_total", "error") == 2)
        #expect(plugin.host.metric("tracing_requests_total", "slow") == 1)
    }

    @Test func `errors can be left alone`() throws {
        let plugin = try Self.plugin(["sampling": ["ratio": 0, "on_error": false]])
        Self.run(plugin, status: 503)
        #expect(try Self.export(plugin).isEmpty)
    }

    @Test func `a cache has a span, until a peer is asked or the end`() throws {
        let plugin = try Self.plugin()
        let hit = RequestFixture()
        hit.facts.cache_status = 3
        Self.run(plugin, hit, attempts: [])
        let miss = RequestFixture()
        miss.facts.cache_status = 2
        Self.run(plugin, miss)
        let spans = try Self.export(plugin)
        #expect(spans.map(\.kind) == [2, 1, 2, 1, 3])
        let states = spans.map { $0.attributes["sluice.cache.status"] }
        #expect(states == ["hit", "hit", "miss", "miss", nil])
        #expect(spans[1].name == "cache" && spans[1].parent == spans[0].id)
        #expect(spans[1].end == spans[0].end && spans[3].end == spans[4].start)
    }

    @Test func `a call of a hook that took long has a span`() throws {
        let plugin = try Self.plugin()
        let request = RequestFixture()
        let start = plugin.host.nowNanoseconds
        request.addSlowHook(of: "auth", phase: 0, start: start, end: start + 1_000_000)
        request.addSlowHook(of: "auth", phase: 4, start: start, end: start + 999_999)
        request.addSlowHook(
            of: "store",
            phase: 1,
            start: start + 1_000,
            end: start + 9_000_000,
            busy: 2_000,
            waits: 2
        )
        request.addSlowHook(of: "gate", phase: 9, start: start + 2_000, end: 0, waits: 1)
        Self.run(plugin, request)
        #expect(request.slowHookThreshold == 1_000_000)
        let spans = try Self.export(plugin)
        #expect(spans.map(\.kind) == [2, 3, 1, 1, 1])
        let hooks = Array(spans.dropFirst(2))
        #expect(
            hooks.map(\.name) == [
                "plugin auth/request_headers", "plugin store/cache_lookup",
                "plugin gate/response_body",
            ]
        )
        #expect(hooks.allSatisfy { $0.parent == spans[0].id && !$0.isError })
        let begin = try #require(spans[0].start)
        #expect(hooks.map { ($0.start ?? 0) - begin } == [0, 1_000, 2_000])
        // The one that waited to the request's end ends with what the loop's clock says.
        #expect(hooks.map { ($0.end ?? 0) - begin } == [1_000_000, 9_000_000, 3_000])
        #expect(spans[0].end == hooks[1].end)
        #expect(
            hooks[1].attributes == [
                "sluice.plugin": "store", "sluice.phase": "cache_lookup",
                "sluice.hook.busy_ns": "2000", "sluice.hook.waits": "2",
            ]
        )
        #expect(hooks.map { $0.attributes["sluice.cancelled"] } == [nil, nil, "true"])
        #expect(plugin.host.misuses == [])
    }

    @Test(
        arguments: [
            (["slow_hook": .measured("0s", 0)], nil),
            (["slow_hook": .measured("20us", 20_000)], 20_000),
            (["sampling": ["ratio": 0]], nil),
            (["sampling": ["ratio": 0, "slow": .measured("1s", 1_000_000_000)]], 1_000_000),
        ] as [([String: TestValue], UInt64?)]
    )
    func `hooks are timed for what may be exported with them`(
        configuration: [String: TestValue],
        threshold: UInt64?
    ) throws {
        let plugin = try Self.plugin(configuration)
        let request = Self.run(plugin)
        #expect(request.slowHookThreshold == threshold)
    }

    @Test func `a hook that blocks makes its request a slow one`() throws {
        let plugin = try Self.plugin([
            "sampling": ["ratio": 0, "slow": .measured("1s", 1_000_000_000)]
        ])
        let request = RequestFixture()
        let start = plugin.host.nowNanoseconds
        request.addSlowHook(of: "auth", phase: 8, start: start, end: start + Self.second)
        Self.run(plugin, request)
        let spans = try Self.export(plugin)
        #expect(spans[0].attributes["sluice.exported_for"] == "slow")
        #expect(spans.last?.name == "plugin auth/response_headers")
    }

    @Test func `an attempt that another has beaten is no error`() throws {
        let plugin = try Self.plugin()
        Self.run(plugin, attempts: [.abandoned, .response])
        let spans = try Self.export(plugin)
        #expect(spans[1].attributes["sluice.cancelled"] == "true" && !spans[1].isError)
        #expect(spans[1].attributes["error.type"] == nil)
    }

    @Test func `a request that no hook saw has a span`() throws {
        let plugin = try Self.plugin()
        let request = RequestFixture()
        request.facts.status = 400
        request.facts.outcome = UInt32(SLUICE_OUTCOME_MALFORMED)
        plugin.requestEnd(request)
        let spans = try Self.export(plugin)
        #expect(spans.count == 1 && !spans[0].isError)
        #expect(spans[0].attributes["sluice.outcome"] == "malformed")
    }

    @Test func `responses say their trace when they are to`() throws {
        let plugin = try Self.plugin(["response": ["traceresponse", "server_timing"]])
        let request = Self.run(plugin)
        let spans = try Self.export(plugin)
        let own = "00-\(spans[0].traceID)-\(spans[0].id)-03"
        #expect(request.response["traceresponse"] == own)
        #expect(request.response["server-timing"] == "traceparent;desc=\"\(own)\"")
        let quiet = try Self.plugin()
        #expect(Self.run(quiet).response.fields.map(\.name) == [":status"])
    }

    @Test(
        arguments: [
            ("a=1", "a=1"), ("", nil), ("token=abc", "token=REDACTED"),
            ("a=1&token=abc&b=2", "a=1&token=REDACTED&b=2"), ("TOKEN=abc", "TOKEN=REDACTED"),
            ("%74oken=abc", "%74oken=REDACTED"),
            ("%54%4f%4B%45%6e=abc", "%54%4f%4B%45%6e=REDACTED"),
            ("token", "token"), ("token=", "token=REDACTED"), ("tokens=1", "tokens=1"),
            ("token=a=b", "token=REDACTED"), ("&&token=a&&", "&&token=REDACTED&&"),
            ("X-Goog-Signature=1&sig=2", "X-Goog-Signature=REDACTED&sig=REDACTED"),
            ("mine=1&Mine=2&min=3", "mine=REDACTED&Mine=REDACTED&min=3"),
            ("%7=1&%zz=2&token%=3", "%7=1&%zz=2&token%=3"),
        ] as [(String, String?)]
    )
    func `values that may be secrets are replaced`(query: String, expected: String?) throws {
        let plugin = try Self.plugin(["redact": ["mine"]])
        Self.run(plugin, RequestFixture("GET", "/?" + query))
        #expect(try Self.export(plugin)[0].attributes["url.query"] == expected)
    }

    @Test func `a query is kept or dropped as a whole`() throws {
        for (rule, expected) in [("keep", "token=a"), ("drop", nil)] {
            let plugin = try Self.plugin(["query": .string(rule)])
            Self.run(plugin, RequestFixture("GET", "/?token=a"))
            #expect(try Self.export(plugin)[0].attributes["url.query"] == expected)
        }
    }

    @Test(
        arguments: [
            ("example.com", "example.com", nil), ("example.com:8080", "example.com", "8080"),
            ("[2001:db8::1]:443", "2001:db8::1", "443"), ("[::1]", "::1", nil), ("a:", "a:", nil),
        ] as [(String, String, String?)]
    )
    func `a host is an address and a port`(host: String, address: String, port: String?) throws {
        let plugin = try Self.plugin()
        Self.run(plugin, RequestFixture("QUERY", "/", authority: host))
        let said = try Self.export(plugin)[0].attributes
        #expect(said["server.address"] == address && said["server.port"] == port)
        #expect(said["http.request.method"] == "_OTHER")
        #expect(said["http.request.method_original"] == "QUERY")
    }
}
