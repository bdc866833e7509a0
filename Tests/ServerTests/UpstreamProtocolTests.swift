import Proxy
import Testing

@testable import Server

/// The protocol that peers are spoken to in, and what goes with it.
struct UpstreamProtocolTests {
    let fixture = ManifestFixture()

    /// Rows of `ManifestKeyTests.bounds`.
    static let bounds: [(String, String, Int64, Int64, String)] = [
        ("upstream_http2", "max_concurrent_streams", 1, 65_536, ""),
        ("upstream_http2", "initial_stream_window", 16_384, 196_608, "B"),
        ("upstream_http2", "initial_connection_window", 65_535, 2_147_483_647, "B"),
        ("upstream_http2", "ping_interval", 1, 86_400_000, "ms"),
        ("upstream_http2", "ping_timeout", 1, 86_400_000, "ms"),
    ]

    @Test func `HTTP/1.1 is spoken when nothing is said`() throws {
        let upstream = try #require(try fixture.parse(Sample.manifest()).upstreams.first)
        #expect(upstream.speaks == .h1)
        #expect(upstream.http2 == UpstreamHTTP2Settings())
    }

    @Test(arguments: [
        ("protocol: 'h1'", UpstreamProtocol.h1), ("protocol: 'h1', tls: {}", .h1),
        ("protocol: 'h2c'", .h2c), ("protocol: 'h2', tls: {}", .h2),
        ("protocol: 'auto', tls: {}", .auto),
        ("protocol: 'h1', proxy_protocol: 'v2'", .h1),
        ("protocol: 'h2c', http2: {}", .h2c), ("protocol: 'auto', tls: {}, http2: {}", .auto),
    ])
    func `sets the protocol`(text: String, speaks: UpstreamProtocol) throws {
        let settings = try fixture.parse(Sample.manifest(upstream: text))
        #expect(settings.upstreams.first?.speaks == speaks)
    }

    @Test func `sets the keys of connections of HTTP/2`() throws {
        let settings = try fixture.parse(
            Sample.manifest(
                upstream: """
                    protocol: "h2c",
                    http2: { max_concurrent_streams: 7, initial_stream_window: "32KiB",
                      initial_connection_window: "1MiB", ping_interval: "5m", ping_timeout: "3s" },
                    """
            )
        )
        var expected = UpstreamHTTP2Settings()
        expected.streams = 7
        expected.streamWindowBytes = 32_768
        expected.connectionWindowBytes = 1_048_576
        expected.pingInterval = 300_000
        expected.pingTimeout = 3_000
        #expect(settings.upstreams.first?.http2 == expected)
    }

    @Test func `no pings are sent when nothing is said, or "none"`() throws {
        for text in ["ping_timeout: '1s'", "ping_interval: 'none'"] {
            let settings = try fixture.parse(Sample.manifest("upstream_http2", text))
            #expect(settings.upstreams.first?.http2.pingInterval == 0)
        }
    }

    @Test(arguments: [
        ("protocol: 'h2'", "protocol: needs tls; HTTP/2 in the clear is \"h2c\""),
        ("protocol: 'auto'", "protocol: needs tls, whose handshake chooses the protocol"),
        (
            "protocol: 'h2c', tls: {}",
            "protocol: is HTTP/2 in the clear; over tls it is \"h2\""
        ),
        (
            "protocol: 'h2c', proxy_protocol: 'v1'",
            "proxy_protocol: can't be with protocol \"h2c\", whose connections serve many clients"
        ),
        (
            "protocol: 'h2', tls: {}, proxy_protocol: 'v2'",
            "proxy_protocol: can't be with protocol \"h2\", whose connections serve many clients"
        ),
        (
            "protocol: 'auto', tls: {}, proxy_protocol: 'v2'",
            "proxy_protocol: can't be with protocol \"auto\", whose connections serve many clients"
        ),
        ("http2: {}", "http2: has no effect with protocol \"h1\""),
        (
            "protocol: 'h1', http2: { max_concurrent_streams: 1 }",
            "http2: has no effect with protocol \"h1\""
        ),
        ("protocol: 'h3'", "protocol: \"h3\" is not supported by this version of sluice"),
        (
            "protocol: 'http2'",
            "protocol: expected one of \"h1\", \"h2\", \"h2c\", \"auto\", found \"http2\""
        ),
        ("protocol: ['h2']", "protocol: expected one of \"h1\", \"h2\", \"h2c\", \"auto\", found"),
    ])
    func `refuses what does not fit`(text: String, problem: String) {
        let problems = fixture.problems(Sample.manifest(upstream: text))
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.hasPrefix("upstreams.app." + problem) == true, "\(problems)")
    }

    @Test func `each of two faults has its line`() {
        let problems = fixture.problems(
            Sample.manifest(upstream: "protocol: 'h2', proxy_protocol: 'v2'")
        )
        #expect(problems.count == 2)
    }
}
