import Proxy
import Testing

@testable import Server

/// Every key of the manifest: what it sets, its bounds, and what it refuses.
struct ManifestKeyTests {
    let fixture = ManifestFixture()

    private func listener(_ text: String) throws -> ListenerSettings {
        try #require(try fixture.parse(text).listeners.first)
    }

    private func upstream(_ text: String) throws -> UpstreamSettings {
        try #require(try fixture.parse(text).upstreams.first)
    }

    // MARK: Good values

    @Test func `sets the keys of the top and of the log`() throws {
        let settings = try fixture.parse(
            Sample.manifest(
                top: """
                    workers: 4, log: { level: "debug" }, chain: ["one", "two"],
                    "$schema": "manifest.schema.json",
                    """
            )
        )
        #expect(settings.workers == 4)
        #expect(settings.logLevel == .debug)
        #expect(settings.chain == ["one", "two"])
        #expect(try fixture.parse(Sample.manifest(top: "workers: \"auto\"")).workers == nil)
    }

    @Test(arguments: [
        ("error", LogLevel.error), ("warn", .warn), ("info", .info), ("debug", .debug),
    ])
    func `sets the level of the log`(word: String, level: LogLevel) throws {
        #expect(try fixture.parse(Sample.manifest("log", "level: '\(word)'")).logLevel == level)
    }

    @Test func `sets the keys of a listener`() throws {
        let made = try listener(
            Sample.manifest(
                listener: """
                    protocols: ["h1"], backlog: 16, mode: "0600", tcp_keepalive: "2m",
                    half_close: "abort",
                    limits: { head: "1KiB", fields: 7, target: 512, body: "2GiB", body_rate: "1KB",
                      requests: 5, connections: 6, connections_per_address: 8, buffer: "8KiB",
                      drain: "1MiB" },
                    timeouts: { head: "1s", body: "2s", idle: "3s", write: "4s", tunnel: "5s" },
                    """
            )
        )
        var expected = ListenerSettings(address: "0.0.0.0:8080")
        expected.backlog = 16
        expected.unixMode = 0o600
        expected.tcpKeepaliveSeconds = 120
        expected.halfClose = .abort
        expected.limits.headBytes = 1_024
        expected.limits.fields = 7
        expected.limits.targetBytes = 512
        expected.limits.bodyBytes = 2_147_483_648
        expected.limits.bodyRate = 1_000
        expected.limits.requests = 5
        expected.limits.connections = 6
        expected.limits.connectionsPerAddress = 8
        expected.limits.bufferBytes = 8_192
        expected.limits.drainBytes = 1_048_576
        expected.timeouts.head = 1_000
        expected.timeouts.body = 2_000
        expected.timeouts.idle = 3_000
        expected.timeouts.write = 4_000
        expected.timeouts.tunnel = 5_000
        #expect(made == expected)
    }

    @Test func `reads the words for no bound`() throws {
        let made = try listener(
            Sample.manifest(
                listener: """
                    tcp_keepalive: "none",
                    limits: { body: "none", body_rate: "none", connections: "auto",
                      connections_per_address: "none" },
                    """
            )
        )
        #expect(made.tcpKeepaliveSeconds == 0)
        #expect(made.limits.bodyBytes == nil)
        #expect(made.limits.bodyRate == 0)
        #expect(made.limits.connections == nil)
        #expect(made.limits.connectionsPerAddress == 0)
        let pool = try upstream(Sample.manifest("pool", "requests: 'none'")).pool
        #expect(pool.requests == 0)
    }

    @Test func `sets the keys of a plugin`() throws {
        let digest = String(repeating: "0aF9", count: 16)
        let settings = try fixture.parse(
            Sample.manifest(
                plugin: """
                    sha256: "\(digest)", on_error: "open", memory: "1GiB",
                    config: { b: [1, 1.5, "x", null, true], a: {}, B: { "ä": -1 } },
                    """
            )
        )
        let made = try #require(settings.plugins.first)
        #expect(made.name == "one")
        #expect(made.sha256 == digest.lowercased())
        #expect(made.onError == .open)
        #expect(made.memoryBytes == 1 << 30)
        #expect(
            made.configuration
                == .object([
                    .init(key: "B", value: .object([.init(key: "ä", value: .integer(-1))])),
                    .init(key: "a", value: .object([])),
                    .init(
                        key: "b",
                        value: .array([.integer(1), .number(1.5), .string("x"), .null, .bool(true)])
                    ),
                ])
        )
    }

    @Test func `sets the keys of an upstream and its peers`() throws {
        let made = try upstream(
            """
            { version: 1, listeners: [{ listen: ":1" }], routes: [{ upstream: "app" }],
              plugins: { lb: { library: "libLB.so" } },
              upstreams: { app: {
                balancer: "lb", protocol: "h1", host: "Example.com:81",
                peers: ["a:1", { address: "unix:b", weight: 2, priority: 3 }],
                timeouts: { connect: "1s", first_byte: "2s", read: "3s", write: "4s", idle: "5s" },
                retries: { attempts: 4, replay: "2KiB" }, pool: { idle_per_peer: 0, requests: 9 },
              } } }
            """
        )
        var expected = UpstreamSettings(name: "app")
        expected.balancer = "lb"
        expected.hostOverride = "Example.com:81"
        expected.peers = [
            PeerSettings(address: "a:1"), PeerSettings(address: "unix:/etc/sluice/b"),
        ]
        expected.peers[1].weight = 2
        expected.peers[1].priority = 3
        expected.timeouts.connect = 1_000
        expected.timeouts.firstByte = 2_000
        expected.timeouts.read = 3_000
        expected.timeouts.write = 4_000
        expected.timeouts.idle = 5_000
        expected.retries.attempts = 4
        expected.retries.replayBytes = 2_048
        expected.pool.idlePerPeer = 0
        expected.pool.requests = 9
        #expect(made == expected)
    }

    @Test func `sets the keys of a route`() throws {
        let settings = try fixture.parse(
            Sample.manifest(
                route: """
                    name: "api", chain: ["two"],
                    match: { host: ["a.example", "*.B.example"], path: "/api/*",
                      method: ["GET", "HEAD"], headers: { "X-Key": "v", accept: true } },
                    """
            )
        )
        var expected = RouteSettings(name: "api")
        expected.upstream = "app"
        expected.chain = ["two"]
        expected.match.hosts = [.exact("a.example"), .suffix(".b.example")]
        expected.match.path = .prefix("/api/")
        expected.match.methods = ["GET", "HEAD"]
        expected.match.headers = [
            HeaderPattern(name: "x-key", value: "v"), HeaderPattern(name: "accept", value: nil),
        ]
        #expect(settings.routes == [expected])
        let one = try fixture.parse(Sample.manifest("match", "host: 'a', method: 'GET'")).routes[0]
        #expect(one.match.hosts == [.exact("a")])
        #expect(one.match.methods == ["GET"])
    }

    @Test func `leaves what is not written at its default`() throws {
        let settings = try fixture.parse(Sample.manifest())
        var upstream = UpstreamSettings(name: "app")
        upstream.peers = [PeerSettings(address: "192.0.2.1:80")]
        var route = RouteSettings(name: "routes[0]")
        route.upstream = "app"
        var expected = ProxySettings()
        expected.listeners = [ListenerSettings(address: "0.0.0.0:8080")]
        expected.plugins = [
            PluginSettings(name: "one", libraryPath: "/usr/bin/libOne.so"),
            PluginSettings(name: "two", libraryPath: "/usr/bin/libTwo.so"),
        ]
        expected.upstreams = [upstream]
        expected.routes = [route]
        #expect(settings == expected)
    }

    @Test func `empty groups are defaults`() throws {
        let text = Sample.manifest(
            top: "log: {}, chain: []",
            listener: "limits: {}, timeouts: {}",
            plugin: "config: {}",
            upstream: "timeouts: {}, retries: {}, pool: {}",
            route: "match: {}, chain: []"
        )
        #expect(try fixture.parse(text) == fixture.parse(Sample.manifest()))
    }

    @Test(arguments: ReferenceDocument.tables.map(\.id))
    func `a default that is written is the default`(id: String) throws {
        let table = try #require(ReferenceDocument.tables.first { $0.id == id })
        // Keys that the sample manifest has already.
        let present = ["plugins", "upstreams", "peers"]
        for key in table.keys where !present.contains(key.name) {
            guard let text = key.defaultText else { continue }
            let with = try fixture.parse(Sample.manifest(id, "\(key.name): \(text)"))
            #expect(try with == fixture.parse(Sample.manifest(id, "")), "\(id).\(key.name)")
        }
    }

    // MARK: Bounds

    /// Table, key, least and greatest value; the unit of values behind them.
    static let bounds: [(String, String, Int64, Int64, String)] =
        [
            ("manifest", "workers", 1, 256, ""),
            ("take_over", "timeout", 1_000, 3_600_000, "ms"),
            ("listener", "backlog", 1, 65_535, ""),
            ("listener", "tcp_keepalive", 0, 32_400, "s"),
            ("limits", "head", 256, 65_535, "B"), ("limits", "fields", 1, 1_024, ""),
            ("limits", "target", 1, 65_000, "B"), ("limits", "body", 0, 512 << 40, "B"),
            ("limits", "body_rate", 0, 1 << 30, "B"), ("limits", "requests", 1, 1_000_000_000, ""),
            ("limits", "connections", 1, 1_048_576, ""),
            ("limits", "connections_per_address", 0, 1_048_576, ""),
            ("limits", "buffer", 4_096, 262_144, "B"), ("limits", "drain", 0, 16_777_216, "B"),
            ("limits", "body_buffer", 4_096, 16_777_216, "B"),
            ("limits", "hold", 4_096, 1_048_576, "B"),
            ("downstream_timeouts", "head", 1, 86_400_000, "ms"),
            ("downstream_timeouts", "body", 1, 86_400_000, "ms"),
            ("downstream_timeouts", "idle", 1, 86_400_000, "ms"),
            ("downstream_timeouts", "write", 1, 86_400_000, "ms"),
            ("downstream_timeouts", "tunnel", 1, 86_400_000, "ms"),
            ("downstream_timeouts", "suspend", 1, 86_400_000, "ms"),
            ("plugin", "memory", 65_536, 1 << 40, "B"),
            ("peer", "weight", 1, 65_535, ""), ("peer", "priority", 0, 65_535, ""),
            ("upstream_timeouts", "connect", 1, 86_400_000, "ms"),
            ("upstream_timeouts", "first_byte", 1, 86_400_000, "ms"),
            ("upstream_timeouts", "read", 1, 86_400_000, "ms"),
            ("upstream_timeouts", "write", 1, 86_400_000, "ms"),
            ("upstream_timeouts", "idle", 1, 86_400_000, "ms"),
            ("retries", "attempts", 1, 16, ""), ("retries", "replay", 0, 1_048_576, "B"),
            ("pool", "idle_per_peer", 0, 65_535, ""), ("pool", "requests", 0, 1_000_000_000, ""),
        ] + ManifestTLSTests.bounds + ManifestHTTP2Tests.bounds
        + UpstreamProtocolTests.bounds + IntegrityKeyTests.bounds + LifecycleKeyTests.bounds
        + FailoverKeyTests.bounds

    @Test(arguments: bounds)
    func `keeps the bounds of a key`(
        table: String,
        key: String,
        low: Int64,
        high: Int64,
        unit: String
    ) {
        func problems(_ value: Int64) -> [String] {
            let text = unit.isEmpty ? "\(value)" : "\"\(value)\(unit)\""
            return fixture.problems(Sample.manifest(table, "\(key): \(text)"))
        }
        for value in [low, low + 1, high - 1, high] { #expect(problems(value) == []) }
        for value in low == 0 ? [high + 1] : [low - 1, high + 1] {
            let found = problems(value)
            #expect(found.count == 1)
            #expect(found.first?.hasPrefix("\(Sample.path(table))\(key): \(value)") == true)
            #expect(found.first?.contains(" is out of range; expected ") == true)
        }
        if unit != "s" && unit != "ms" {
            let below = fixture.problems(Sample.manifest(table, "\(key): \(low - 1)"))
            #expect(below.first?.contains("\(low - 1) is out of range") == true)
        }
    }

    @Test func `the bounds of all keys are tested`() {
        var ranged: Set<String> = []
        for table in ReferenceDocument.tables {
            for key in table.keys where Self.hasRange(key.form) {
                ranged.insert("\(table.id) \(key.name)")
            }
        }
        // Only 1 is in the range of the version.
        ranged.remove("manifest version")
        #expect(ranged == Set(Self.bounds.map { "\($0.0) \($0.1)" }))
    }

    private static func hasRange(_ form: ValueForm) -> Bool {
        if case .either(let forms) = form { return forms.contains(where: hasRange) }
        return form.rangeText != nil
    }

    // MARK: Wrong types

    @Test(arguments: ReferenceDocument.tables.map(\.id))
    func `refuses a value of the wrong type for each key`(id: String) throws {
        let table = try #require(ReferenceDocument.tables.first { $0.id == id })
        // The sample manifest has these already; a second one would be a duplicate.
        let present = [
            "version", "listeners", "plugins", "upstreams", "routes", "listen",
            "library", "peers", "upstream", "address", "certificates", "certificate", "key",
        ]
        for key in table.keys where !present.contains(key.name) {
            for wrong in ["[[]]", "null", "false"] {
                let problems = fixture.problems(Sample.manifest(id, "\(key.name): \(wrong)"))
                #expect(problems.count == 1, "\(id).\(key.name): \(wrong)")
                let problem = problems.first ?? ""
                #expect(problem.hasPrefix(Sample.path(id) + key.name), "\(problem)")
                #expect(
                    problem.contains(": expected ") && problem.contains(", found "),
                    "\(problem)"
                )
            }
        }
    }

    @Test(arguments: [
        ("{version: '1'}", "version: expected a whole number, found a string"),
        (
            "{version: 1.0}",
            "version: expected a whole number, found one with a fraction or an exponent"
        ),
        ("{version: 2}", "version: 2 is out of range; expected 1"),
        ("{listeners: {}}", "listeners: expected a list, found an object"),
        ("{listeners: []}", "listeners: at least 1 is needed"),
        ("{listeners: [':80']}", "listeners[0]: expected an object, found a string"),
        (
            "{listeners: [{listen: 80}]}",
            "listeners[0].listen: expected an address such as \"0.0.0.0:8080\", found a number"
        ),
        ("{plugins: []}", "plugins: expected an object, found a list"),
        ("{plugins: {a: 'a.so'}}", "plugins.a: expected an object, found a string"),
        (
            "{plugins: {a: {library: 1}}}",
            "plugins.a.library: expected the name of a library's file such as"
                + " \"libHeaders.so\", found a number"
        ),
        ("{upstreams: 'a'}", "upstreams: expected an object, found a string"),
        ("{upstreams: {a: {peers: 'a:1'}}}", "upstreams.a.peers: expected a list, found a string"),
        ("{upstreams: {a: {peers: {}}}}", "upstreams.a.peers: expected a list, found an object"),
        (
            "{upstreams: {a: {peers: [1]}}}",
            "upstreams.a.peers[0]: expected an address such as \"192.0.2.1:80\", or an"
                + " object with one, found a number"
        ),
        (
            "{upstreams: {a: {peers: [{address: 1}]}}}",
            "upstreams.a.peers[0].address: expected an address such as \"192.0.2.1:80\","
                + " found a number"
        ),
        ("{routes: {}}", "routes: expected a list, found an object"),
        (
            "{routes: [{upstream: 1}]}",
            "routes[0].upstream: expected the name of an upstream, found a number"
        ),
        ("[]", "expected an object, found a list"),
    ])
    func `refuses a wrong type of what a manifest needs`(text: String, problem: String) {
        #expect(fixture.problems(text).contains(problem))
    }

    // MARK: Words, units and forms

    @Test(arguments: [
        ("manifest", "workers: '4'", "workers: expected \"auto\" or a whole number, found \"4\""),
        (
            "log", "level: 'warning'",
            "log.level: expected one of \"error\", \"warn\", \"info\", \"debug\", found \"warning\""
        ),
        (
            "listener", "protocols: ['h3']",
            "listeners[0].protocols[0]: \"h3\" is not supported by this version of sluice"
        ),
        (
            "listener", "protocols: ['spdy']",
            "listeners[0].protocols[0]: expected one of \"h1\", \"h2\", \"h2c\","
                + " found \"spdy\""
        ),
        ("listener", "protocols: []", "listeners[0].protocols: at least 1 is needed"),
        (
            "listener", "mode: '0888'",
            "listeners[0].mode: expected an octal string such as \"0660\", found \"0888\""
        ),
        (
            "listener", "mode: '01777'",
            "listeners[0].mode: expected an octal string such as \"0660\", found \"01777\""
        ),
        (
            "listener", "mode: '+77'",
            "listeners[0].mode: expected an octal string such as \"0660\", found \"+77\""
        ),
        (
            "listener", "mode: 660",
            "listeners[0].mode: expected an octal string such as \"0660\", found a number"
        ),
        (
            "listener", "tcp_keepalive: '1500ms'",
            "listeners[0].tcp_keepalive: expected whole seconds"
        ),
        (
            "downstream_timeouts", "head: 10",
            "listeners[0].timeouts.head: expected a duration such as \"2s\", found a number"
        ),
        (
            "downstream_timeouts", "head: '10'",
            "listeners[0].timeouts.head: expected a duration such as \"2s\", found \"10\";"
                + " a duration is a whole number and one of ms, s, m, h"
        ),
        (
            "limits", "head: '64K'",
            "listeners[0].limits.head: expected a size such as \"64KiB\", found \"64K\"; a"
                + " size is a whole number and one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
        ),
        (
            "limits", "head: 'none'",
            "listeners[0].limits.head: expected a size such as \"64KiB\", found \"none\"; a"
                + " size is a whole number and one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
        ),
        (
            "limits", "body: true",
            "listeners[0].limits.body: expected \"none\" or a size such as \"64KiB\", found true"
        ),
        (
            "limits", "fields: 1.5",
            "listeners[0].limits.fields: expected a whole number, found one with a fraction"
                + " or an exponent"
        ),
        (
            "plugin", "sha256: 'abc'",
            "plugins.one.sha256: expected the 64 hex digits that sha256sum prints"
        ),
        (
            "plugin", "on_error: 'closed:200'",
            "plugins.one.on_error: expected \"open\" or \"closed:STATUS\" with a status of"
                + " 400 to 599, found \"closed:200\""
        ),
        (
            "upstream", "protocol: 'h3'",
            "upstreams.app.protocol: \"h3\" is not supported by this version of sluice"
        ),
        (
            "upstream", "host: 'a b'",
            "upstreams.app.host: \"a b\" is not a host such as \"example.com:8080\""
        ),
        (
            "upstream", "host: 'unix:/a'",
            "upstreams.app.host: \"unix:/a\" is not a host such as \"example.com:8080\""
        ),
        (
            "upstream", "host: '*.a'",
            "upstreams.app.host: \"*.a\" is not a host such as \"example.com:8080\""
        ),
        (
            "route", "name: 'a b'",
            "routes[0].name: a name has 1 to 64 of A-Z a-z 0-9 _ . - and does not begin with . or -"
        ),
        ("match", "host: []", "routes[0].match.host: at least 1 is needed"),
        (
            "match", "host: ['a:1']",
            "routes[0].match.host[0]: a host is matched without its port, and IPv6 in brackets"
        ),
        ("match", "path: 'a'", "routes[0].match.path: a path begins with \"/\""),
        (
            "match", "path: '/a*'",
            "routes[0].match.path: \"*\" stands only at the end, behind a \"/\""
        ),
        (
            "match", "method: 'get'",
            "routes[0].match.method: methods are upper case; did you mean \"GET\"?"
        ),
        (
            "match", "headers: {a: false}",
            "routes[0].match.headers.a: expected a value or true, found false"
        ),
        (
            "match", "headers: {'a b': true}",
            "routes[0].match.headers[\"a b\"]: \"a b\" is not the name of a header field"
        ),
        (
            "match", "headers: {a: ' b'}",
            "routes[0].match.headers.a: a value has no control characters and no white"
                + " space around it"
        ),
        (
            "match", "headers: {a: true, A: true}",
            "routes[0].match.headers.A: the field occurs twice"
        ),
    ])
    func `says what is wrong with a value`(table: String, member: String, problem: String) {
        #expect(fixture.problems(Sample.manifest(table, member)) == [problem])
    }
}
