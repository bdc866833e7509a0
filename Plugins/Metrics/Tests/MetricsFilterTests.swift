import Metrics
import SluiceSDK
import SluiceTestKit
import Testing

struct MetricsFilterTests {
    private static let openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    private static let text = "text/plain; version=0.0.4; charset=utf-8"

    private func plugin(_ configuration: [String: TestValue] = [:]) throws -> PluginFixture {
        try PluginFixture(MetricsFilter.self, .object(configuration))
    }

    /// The status of the answer when all work is done; nil when the request passes.
    private func status(_ plugin: PluginFixture, _ request: RequestFixture) -> String? {
        guard plugin.requestHeaders(request) == .suspend else {
            return request.response[":status"]
        }
        plugin.runJobs()
        #expect(plugin.resumed(request) == .respond)
        return request.response[":status"]
    }

    @Test func `the path has the metrics, and every other request goes on`() throws {
        let plugin = try plugin()
        let request = RequestFixture("GET", "/metrics?name=x")
        #expect(status(plugin, request) == "200")
        #expect(request.replyBody == "# HELP sluice_plugin_x X.\nsluice_plugin_x 1\n")
        #expect(request.response["content-type"] == Self.text)
        #expect(request.response["cache-control"] == "no-store")
        #expect(request.response["vary"] == "Accept")
        _ = plugin.requestEnd(request)
        for target in ["/", "/metrics/", "/metric", "/metricsx", "//metrics"] {
            #expect(plugin.requestHeaders(RequestFixture("GET", target)) == .next, "\(target)")
        }
    }

    @Test(arguments: [
        // What Prometheus 2.42 sends.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                + "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true
        ),
        ("application/openmetrics-text", true), ("APPLICATION/OpenMetrics-Text ; Q=0.1", true),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.5", true),
        ("application/openmetrics-text;q=0.499, text/plain;q=0.5", false),
        ("application/openmetrics-text;version=0.0.1", false),
        ("application/openmetrics-text;q=0", false), ("application/openmetrics-text;q=2", false),
        ("application/openmetrics-text;q=x", false), ("application/openmetrics-text;q=", false),
        ("application/openmetrics-textual", false), ("*/*", false), ("", false), (",;,;=", false),
        ("text/plain;version=0.0.4", false),
    ])
    func `OpenMetrics is for those who name it`(accept: String, isOpen: Bool) throws {
        let plugin = try plugin()
        let request = RequestFixture("GET", "/metrics", fields: [("accept", accept)])
        #expect(status(plugin, request) == "200")
        #expect(request.response["content-type"] == (isOpen ? Self.openMetrics : Self.text))
        #expect(request.replyBody?.hasSuffix("# EOF\n") == isOpen)
        _ = plugin.requestEnd(request)
    }

    @Test func `only the networks of the list are answered`() throws {
        let plugin = try plugin([
            "path": "/internal/metrics", "allow": ["10.0.0.0/8", "2001:db8::/32"],
        ])
        let seen = [
            ("10.255.0.1", "200"), ("11.0.0.0", "403"), ("2001:db8::1", "200"),
            ("2001:db9::1", "403"), ("unix:", "200"),
        ]
        for (client, expected) in seen {
            let request = RequestFixture("GET", "/internal/metrics", client: client)
            #expect(status(plugin, request) == expected, "\(client)")
            _ = plugin.requestEnd(request)
        }
        // Whoever is not answered is not told which methods there are.
        let other = RequestFixture("POST", "/internal/metrics", client: "192.0.2.1")
        #expect(status(plugin, other) == "403")
    }

    @Test func `other methods get 405 with the list`() throws {
        let request = RequestFixture("POST", "/metrics")
        #expect(status(try plugin(), request) == "405")
        #expect(request.response["allow"] == "GET, HEAD")
        #expect(status(try plugin(), RequestFixture("HEAD", "/metrics")) == "200")
    }

    @Test func `a worker has so many scrapes at a time and no more`() throws {
        let plugin = try plugin(["scrapes": 2])
        let requests = (0..<3).map { _ in RequestFixture("GET", "/metrics") }
        #expect(plugin.requestHeaders(requests[0]) == .suspend)
        #expect(plugin.requestHeaders(requests[1]) == .suspend)
        #expect(plugin.requestHeaders(requests[2]) == .respond)
        #expect(requests[2].response[":status"] == "503")
        #expect(requests[2].response["retry-after"] == "1")
        _ = plugin.requestEnd(requests[2])
        // One that waits and whose client goes away makes room, whatever its job does then.
        _ = plugin.requestEnd(requests[0])
        #expect(status(plugin, RequestFixture("GET", "/metrics")) == "200")
        plugin.runJobs()
        #expect(plugin.resumed(requests[1]) == .respond)
        _ = plugin.requestEnd(requests[1])
    }

    @Test(
        arguments: [
            (["path": "metrics"], "path"), (["path": "/a?b"], "path"), (["path": "/a b"], "path"),
            (["path": .string("/" + String(repeating: "a", count: 1_024))], "path"),
            (["allow": []], "allow"), (["allow": ["10.0.0.1/8"]], "allow[0]"),
            (["allow": ["10.0.0.0/8", "nobody"]], "allow[1]"),
            (["scrapes": 0], "scrapes"), (["scrapes": 65], "scrapes"), (["paths": "/a"], "paths"),
        ] as [([String: TestValue], String)]
    )
    func `what is wrong with a configuration is told by its key`(
        configuration: [String: TestValue],
        key: String
    ) throws {
        let error = #expect(throws: (any Error).self) { try plugin(configuration) }
        #expect("\(try #require(error))".contains(key))
    }

    @Test func `bounds of the configuration are within it`() throws {
        _ = try plugin([
            "path": .string("/" + String(repeating: "a", count: 1_023)), "scrapes": 64,
            "allow": .array([TestValue](repeating: "10.0.0.0/8", count: 256)),
        ])
        #expect(throws: (any Error).self) {
            try plugin(["allow": .array([TestValue](repeating: "10.0.0.0/8", count: 257))])
        }
    }
}
