import Proxy
import TLS
import Testing

@testable import Server

/// The keys of TLS on both sides.
struct ManifestTLSTests {
    let fixture = ManifestFixture()

    /// Rows of `ManifestKeyTests.bounds`.
    static let bounds: [(String, String, Int64, Int64, String)] = [
        ("downstream_timeouts", "handshake", 1, 86_400_000, "ms"),
        ("tls", "tickets", 0, 8, ""), ("tls", "ticket_rotation", 60_000, 604_800_000, "ms"),
        ("tls", "reload_interval", 0, 86_400_000, "ms"), ("client_auth", "depth", 0, 16, ""),
        ("upstream_tls", "depth", 0, 16, ""),
    ]

    @Test func `sets the keys of a listener's TLS`() throws {
        let text = Sample.manifest(
            listener: """
                timeouts: { handshake: "3s" },
                tls: {
                  certificates: [
                    { certificate: "a.pem", key: "/keys/a.key", ocsp: "a.der" },
                    { certificate: "b.pem", key: "b.key" },
                  ],
                  min_version: "1.3", max_version: "1.3", ciphers: ["AES128-SHA"],
                  cipher_suites: ["TLS_AES_128_GCM_SHA256"], groups: ["X25519", "P-256"],
                  tickets: 0, ticket_rotation: "1h",
                  client_auth: { mode: "required", ca: "ca.pem", depth: 1 },
                  key_log: "keys.log", reload_interval: "none",
                },
                """
        )
        let listener = try #require(try fixture.parse(text).listeners.first)
        var expected = TLSServerSettings()
        expected.certificates = [
            .init(certificate: "/etc/sluice/a.pem", key: "/keys/a.key", ocsp: "/etc/sluice/a.der"),
            .init(certificate: "/etc/sluice/b.pem", key: "/etc/sluice/b.key"),
        ]
        expected.parameters.minVersion = .v1_3
        expected.parameters.maxVersion = .v1_3
        expected.parameters.ciphers = ["AES128-SHA"]
        expected.parameters.cipherSuites = ["TLS_AES_128_GCM_SHA256"]
        expected.parameters.groups = ["X25519", "P-256"]
        expected.tickets = 0
        expected.ticketRotation = 3_600_000
        expected.clientAuth.mode = .required
        expected.clientAuth.ca = "/etc/sluice/ca.pem"
        expected.clientAuth.depth = 1
        expected.keyLog = "/etc/sluice/keys.log"
        expected.reloadInterval = 0
        #expect(listener.tls == expected)
        #expect(listener.timeouts.handshake == 3_000)
    }

    @Test func `sets the keys of an upstream's TLS`() throws {
        let text = Sample.manifest(
            upstream: """
                tls: { ca: "ca.pem", depth: 2, server_name: "a.example", verify_name: "192.0.2.1",
                  certificate: "c.pem", key: "c.key", min_version: "1.2", max_version: "1.2",
                  resume: "off" },
                """
        )
        let upstream = try #require(try fixture.parse(text).upstreams.first)
        var expected = TLSClientSettings()
        expected.ca = "/etc/sluice/ca.pem"
        expected.depth = 2
        expected.serverName = "a.example"
        expected.verifyName = "192.0.2.1"
        expected.certificate = "/etc/sluice/c.pem"
        expected.key = "/etc/sluice/c.key"
        expected.parameters.maxVersion = .v1_2
        expected.resumes = false
        #expect(upstream.tls == expected)
        let none = try fixture.parse(Sample.manifest(upstream: "tls: { verify: 'none' }"))
        #expect(none.upstreams.first?.tls?.verify == false)
    }

    @Test func `an empty object is TLS with defaults, and no object is none`() throws {
        let with = try fixture.parse(Sample.manifest(upstream: "tls: {}")).upstreams.first
        #expect(with?.tls == TLSClientSettings())
        let without = try fixture.parse(Sample.manifest())
        #expect(without.upstreams.first?.tls == nil)
        #expect(without.listeners.first?.tls == nil)
    }

    @Test(arguments: [
        (
            "tls", "min_version: '1.3', max_version: '1.2'",
            "listeners[0].tls.min_version: larger than max_version, \"1.2\""
        ),
        (
            "tls", "min_version: '1.1'",
            "listeners[0].tls.min_version: expected one of \"1.2\", \"1.3\", found \"1.1\""
        ),
        (
            "tls", "ciphers: ['HIGH:!aNULL']",
            "listeners[0].tls.ciphers[0]: \"HIGH:!aNULL\" is not the name of one algorithm"
        ),
        ("tls", "key_log: ''", "listeners[0].tls.key_log: not a file name"),
        (
            "listener", "protocols: ['h1', 'h2']",
            "listeners[0].protocols[1]: needs tls; HTTP/2 in the clear is \"h2c\""
        ),
        (
            "tls", "}, protocols: ['h1', 'h2c'], limits: {",
            "listeners[0].protocols[1]: is HTTP/2 in the clear; over tls it is \"h2\""
        ),
        (
            "tls", "}, protocols: ['h2', 'h2'], limits: {",
            "listeners[0].protocols[1]: \"h2\" occurs twice"
        ),
        (
            "client_auth", "mode: 'optional'",
            "listeners[0].tls.client_auth.ca: this key is missing; mode \"optional\" needs it"
        ),
        (
            "client_auth", "ca: 'ca.pem'",
            "listeners[0].tls.client_auth.ca: nothing is verified without a mode; set mode too"
        ),
        (
            "upstream_tls", "certificate: 'c.pem'",
            "upstreams.app.tls.key: this key is missing; certificate needs it"
        ),
        (
            "upstream_tls", "key: 'c.key'",
            "upstreams.app.tls.certificate: this key is missing; key needs it"
        ),
        (
            "upstream_tls", "verify: 'none', ca: 'ca.pem'",
            "upstreams.app.tls.ca: nothing is verified with verify \"none\""
        ),
        (
            "upstream_tls", "verify: 'none', verify_name: 'a'",
            "upstreams.app.tls.verify_name: nothing is verified with verify \"none\""
        ),
        (
            "upstream_tls", "server_name: ''",
            "upstreams.app.tls.server_name: \"\" is not a host such as \"example.com\""
        ),
        (
            "upstream_tls", "verify_name: '*.example.com'",
            "upstreams.app.tls.verify_name: \"*.example.com\" is not a host such as"
                + " \"example.com\""
        ),
        (
            "upstream_tls", "server_name: 'a:443'",
            "upstreams.app.tls.server_name: \"a:443\" is not a host such as \"example.com\""
        ),
    ])
    func `refuses what can't be meant`(table: String, member: String, problem: String) {
        #expect(fixture.problems(Sample.manifest(table, member)) == [problem])
    }

    @Test func `a listener's TLS needs a certificate`() {
        #expect(
            fixture.problems(Sample.manifest(listener: "tls: {}"))
                == ["listeners[0].tls.certificates: this key is missing"]
        )
        #expect(
            fixture.problems(Sample.manifest(listener: "tls: { certificates: [] }"))
                == ["listeners[0].tls.certificates: at least 1 is needed"]
        )
    }

    @Test(arguments: [
        (
            "",
            [
                "upstreams.app.tls.verify_name: this key is missing; the peer"
                    + " unix:/etc/sluice/app.sock has no host to verify"
            ]
        ),
        ("server_name: 'a.example'", []), ("verify_name: 'a.example'", []), ("verify: 'none'", []),
    ])
    func `a peer without a host needs a name to verify`(member: String, expected: [String]) {
        let text = """
            { version: 1, listeners: [{ listen: ":1" }], routes: [{ upstream: "app" }],
              upstreams: { app: { peers: ["unix:app.sock"], tls: { \(member) } } } }
            """
        #expect(fixture.problems(text) == expected)
    }
}
