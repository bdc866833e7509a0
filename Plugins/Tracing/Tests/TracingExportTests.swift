import SluiceSDK
import SluiceTestKit
import Testing

@testable import Tracing

/// Batches: when they go, and what becomes of those that are not taken.
struct TracingExportTests {
    private static let second: UInt64 = 1_000_000_000

    private func plugin(
        _ configuration: [String: TestValue] = [:],
        host: FakeHost? = nil,
        workers: Int = 1
    ) throws -> PluginFixture {
        try TracingFilterTests.plugin(configuration, host: host, workers: workers)
    }

    private func requests(_ count: Int, _ plugin: PluginFixture, worker: Int = 0) {
        for _ in 0..<count { TracingFilterTests.run(plugin, worker: worker) }
    }

    /// Spans of the callouts that were made so far, each once.
    private func spans(_ plugin: PluginFixture) throws -> Set<String> {
        Set(try plugin.host.callouts.flatMap { try DecodedSpan.all($0.body).map(\.id) })
    }

    @Test func `a batch goes when it is full, and not before its time`() throws {
        let plugin = try plugin(["batch": ["size": 4]])
        requests(1, plugin)
        #expect(plugin.runPosted() == 0 && plugin.host.callouts.isEmpty)
        requests(1, plugin)
        #expect(plugin.runPosted() == 1 && plugin.host.callouts.count == 1)
        let callout = plugin.host.callouts[0]
        #expect(callout.method == "POST" && callout.path == "/v1/traces")
        #expect(callout.fields["content-type"] == "application/x-protobuf")
        #expect(callout.timeoutNanoseconds == 5 * Self.second && !callout.hasRequest)
        plugin.finishCallouts()
        requests(1, plugin)
        plugin.advance(nanoseconds: Self.second)
        #expect(plugin.host.callouts.count == 2)
        #expect(try spans(plugin).count == 6)
    }

    @Test func `one batch is under way at a time`() throws {
        let plugin = try plugin(["batch": ["size": 2]])
        requests(5, plugin)
        plugin.runPosted()
        plugin.advance(nanoseconds: 3 * Self.second)
        #expect(plugin.host.callouts.count == 1)
        for _ in 0..<5 { plugin.finishCallouts() }
        #expect(plugin.host.callouts.count == 5)
        #expect(try spans(plugin).count == 10)
    }

    @Test func `the queue has a bound, and a request's spans stay together`() throws {
        let plugin = try plugin(["batch": ["queue": 65, "size": 65]])
        plugin.host.answer = { _ in nil }
        requests(40, plugin)
        // 32 of them have two places each; the 65th place is for none of the others.
        #expect(plugin.host.metric("tracing_spans_total", "queue_full") == 16)
        plugin.advance(nanoseconds: Self.second)
        #expect(try spans(plugin).count == 64)
    }

    @Test(arguments: [429, 502, 503, 504])
    func `what may be tried again is the same batch`(status: Int) throws {
        let host = FakeHost()
        host.answer = { _ in .response(status: status) }
        let plugin = try plugin(host: host)
        requests(3, plugin)
        plugin.advance(nanoseconds: Self.second)
        plugin.finishCallouts()
        #expect(host.callouts.count == 1)
        requests(2, plugin)
        plugin.advance(nanoseconds: Self.second + 100_000_000)
        #expect(host.callouts.count == 2 && host.callouts[0].body == host.callouts[1].body)
        host.answer = { _ in .response(status: 200) }
        plugin.finishCallouts()
        plugin.advance(nanoseconds: Self.second)
        plugin.finishCallouts()
        #expect(try spans(plugin).count == 10)
        #expect(host.metric("tracing_spans_total", "exported") == 10)
        #expect(host.log.map(\.line).filter { $0.contains("can't be exported") }.count == 1)
        #expect(host.log.map(\.line).filter { $0.contains("exported again") }.count == 1)
    }

    @Test(arguments: [CalloutAnswer.failed, .timeout])
    func `a collector that does not answer is asked again`(answer: CalloutAnswer) throws {
        let host = FakeHost()
        host.answer = { _ in answer }
        let plugin = try plugin(
            ["batch": ["give_up": .measured("1h", 3_600 * 1_000_000_000)]],
            host: host
        )
        requests(1, plugin)
        for _ in 0..<600 {
            plugin.advance(nanoseconds: Self.second)
            plugin.finishCallouts()
        }
        // 1 + 2 + 4 + 8 + 16 + 30 …, each between a half of it and all.
        #expect(20...50 ~= host.callouts.count)
        #expect(Set(host.callouts.map(\.body)).count == 1)
    }

    @Test(arguments: [400, 401, 404, 413, 500, 501, 301])
    func `what is refused is dropped, and what comes after goes on`(status: Int) throws {
        let host = FakeHost()
        host.answer = { _ in .response(status: status) }
        let plugin = try plugin(host: host)
        requests(1, plugin)
        plugin.advance(nanoseconds: Self.second)
        plugin.finishCallouts()
        host.answer = { _ in .response(status: 200) }
        requests(1, plugin)
        plugin.advance(nanoseconds: Self.second)
        plugin.finishCallouts()
        #expect(host.callouts.count == 2)
        #expect(host.metric("tracing_spans_total", "failed") == 2)
        #expect(host.metric("tracing_spans_total", "exported") == 2)
        #expect(host.metric("tracing_exports_total", "refused") == 1)
    }

    @Test func `Retry-After is waited for`() throws {
        let host = FakeHost()
        host.answer = { _ in .response(status: 503, fields: Message([("retry-after", "7")])) }
        let plugin = try plugin(host: host)
        requests(1, plugin)
        plugin.advance(nanoseconds: Self.second)
        plugin.finishCallouts()
        plugin.advance(nanoseconds: 7 * Self.second - 1)
        #expect(host.callouts.count == 1)
        plugin.advance(nanoseconds: 1_100_000_000)
        #expect(host.callouts.count == 2)
    }

    @Test func `a result that never comes does not stop exports`() throws {
        let plugin = try plugin()
        plugin.host.answer = { _ in nil }
        requests(1, plugin)
        plugin.advance(nanoseconds: Self.second)
        #expect(plugin.host.callouts.count == 1)
        // The host has lost it.
        plugin.host.forgetCallouts()
        plugin.host.answer = { _ in .response(status: 200) }
        plugin.advance(nanoseconds: 15 * Self.second)
        #expect(plugin.host.callouts.count == 1)
        plugin.advance(nanoseconds: 3 * Self.second)
        plugin.finishCallouts()
        #expect(plugin.host.callouts.count == 2)
        #expect(plugin.host.metric("tracing_spans_total", "exported") == 2)
    }

    @Test func `an upstream that is gone is waited for`() throws {
        let plugin = try plugin()
        plugin.host.upstreams = []
        requests(1, plugin)
        plugin.advance(nanoseconds: Self.second)
        #expect(plugin.host.callouts.isEmpty)
        plugin.host.upstreams = ["c"]
        plugin.advance(nanoseconds: 2 * Self.second)
        plugin.finishCallouts()
        #expect(plugin.host.metric("tracing_spans_total", "exported") == 2)
    }

    @Test func `the end of the process sends all`() throws {
        let plugin = try plugin(["batch": ["size": 3]])
        requests(4, plugin)
        plugin.drain()
        while plugin.finishCallouts() > 0 {}
        #expect(try spans(plugin).count == 8)
        #expect(plugin.host.callouts.count == 3)
        #expect(plugin.host.callouts[0].timeoutNanoseconds == 3 * Self.second)
    }

    @Test func `what is left moves to the next instance`() throws {
        let host = FakeHost()
        host.answer = { _ in nil }
        let old = try plugin(host: host, workers: 2)
        requests(3, old)
        requests(2, old, worker: 1)
        // A batch is under way, and nobody has said that it was taken.
        old.advance(nanoseconds: Self.second)
        let rest = try old.exportRest()
        let next = try plugin(workers: 2)
        try next.importRest(rest)
        next.advance(nanoseconds: Self.second)
        next.finishCallouts()
        #expect(try spans(next) == spans(old))
        #expect(try spans(next).count == 10)
        #expect(try old.exportRest().isEmpty)
        #expect(old.host.misuses == [] && next.host.misuses == [])
    }

    @Test func `a rest that nobody wrote is refused`() throws {
        let plugin = try plugin()
        requests(2, plugin)
        let rest = try plugin.exportRest()
        let next = try self.plugin()
        for broken in [
            [1, 2, 3], Array(rest.dropLast()), Array(rest.dropFirst()), rest + [0],
            Array(rest.prefix(8)) + [255, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]] {
            #expect(throws: PluginFixture.Refused.self) { try next.importRest(broken) }
        }
        // A length of a text that is over its bound.
        var long = rest
        long[16 + 116] = 255
        #expect(throws: PluginFixture.Refused.self) { try next.importRest(long) }
        next.advance(nanoseconds: Self.second)
        #expect(next.host.callouts.isEmpty)
    }

    @Test func `the next instance takes as many as it has room for`() throws {
        let old = try plugin(["batch": ["queue": 200, "size": 200]])
        requests(100, old)
        let rest = try old.exportRest()
        let small = try plugin(["batch": ["queue": 64, "size": 64]])
        try small.importRest(rest)
        #expect(small.host.metric("tracing_spans_total", "queue_full") == 200)
        let large = try plugin(["batch": ["queue": 200, "size": 200]])
        try large.importRest(rest)
        large.advance(nanoseconds: Self.second)
        large.finishCallouts()
        #expect(large.host.metric("tracing_spans_total", "exported") == 200)
    }

    @Test func `a batch keeps below what the host takes`() throws {
        for encoding in ["protobuf", "json"] {
            let plugin = try plugin([
                "encoding": .string(encoding), "batch": ["size": 4_096, "queue": 4_096],
            ])
            // Every byte of these is six in JSON.
            let agent = String(repeating: "\u{1}", count: 500)
            for _ in 0..<2_000 {
                let request = RequestFixture(
                    "GET",
                    "/" + String(repeating: "\"", count: 600),
                    fields: [("user-agent", agent)]
                )
                TracingFilterTests.run(plugin, request)
            }
            for _ in 0..<20 {
                plugin.advance(nanoseconds: Self.second)
                plugin.finishCallouts()
            }
            #expect(plugin.host.callouts.allSatisfy { $0.body.count <= 1 << 20 })
            #expect(plugin.host.callouts.count > 1)
            #expect(plugin.host.metric("tracing_spans_total", "exported") == 4_000)
        }
    }

    @Test func `JSON has ids in hexadecimal and large numbers as text`() throws {
        let plugin = try plugin(["encoding": "json", "service": "a\"b"])
        let request = RequestFixture(
            "GET",
            "/\"\\\u{7}é",
            fields: [
                ("traceparent", "00-\(TracingFilterTests.trace)-\(TracingFilterTests.span)-01")
            ]
        )
        TracingFilterTests.run(plugin, request, status: 502)
        plugin.advance(nanoseconds: Self.second)
        let text = String(decoding: plugin.host.callouts[0].body, as: UTF8.self)
        #expect(
            text.hasPrefix(
                "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
                    + "\"value\":{\"stringValue\":\"a\\\"b\"}},"
            )
        )
        #expect(text.contains("{\"traceId\":\"\(TracingFilterTests.trace)\",\"spanId\":\""))
        #expect(text.contains("\"parentSpanId\":\"\(TracingFilterTests.span)\""))
        #expect(text.contains("\"url.path\",\"value\":{\"stringValue\":\"/\\\"\\\\\\u0007é\"}"))
        #expect(text.contains("\"http.response.status_code\",\"value\":{\"intValue\":\"502\"}"))
        #expect(text.contains("\"status\":{\"code\":2}"))
        #expect(text.hasSuffix("}]}]}]}"))
        #expect(plugin.host.callouts[0].fields["content-type"] == "application/json")
    }
}
