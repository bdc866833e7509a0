import Proxy
import Testing

@testable import Server

/// The keys of HTTP/2.
struct ManifestHTTP2Tests {
    let fixture = ManifestFixture()

    /// Rows of `ManifestKeyTests.bounds`.
    static let bounds: [(String, String, Int64, Int64, String)] =
        [
            ("downstream_timeouts", "settings", 1, 86_400_000, "ms"),
            ("http2", "max_concurrent_streams", 1, 65_535, ""),
            ("http2", "initial_stream_window", 1, 262_144, "B"),
            ("http2", "initial_connection_window", 65_535, 1 << 30, "B"),
            ("http2", "max_frame_size", 16_384, 16_777_215, "B"),
            ("http2", "header_table_size", 0, 65_536, "B"),
            ("http2", "max_header_block", 1_024, 65_536, "B"),
            ("http2", "max_continuation_frames", 0, 1_024, ""),
        ]
        + HTTP2Flood.allCases.flatMap { flood in
            [
                ("http2_floods_" + flood.rawValue, "burst", 1, 1_000_000, ""),
                ("http2_floods_" + flood.rawValue, "per_second", 0, 1_000_000, ""),
            ]
        }

    @Test func `sets the keys of a listener's HTTP/2`() throws {
        let text = Sample.manifest(
            listener: """
                timeouts: { settings: "3s" },
                http2: { max_concurrent_streams: 5, initial_stream_window: "1KiB",
                  initial_connection_window: "2MiB", max_frame_size: "32KiB",
                  header_table_size: 0, max_header_block: "2KiB", max_continuation_frames: 3,
                  floods: { pings: { burst: 7 }, client_resets: { burst: 8, per_second: 9 } } },
                """
        )
        let listener = try #require(try fixture.parse(text).listeners.first)
        var expected = HTTP2Settings()
        expected.maxConcurrentStreams = 5
        expected.initialStreamWindow = 1_024
        expected.initialConnectionWindow = 2_097_152
        expected.maxFrameSize = 32_768
        expected.headerTableSize = 0
        expected.maxHeaderBlock = 2_048
        expected.maxContinuationFrames = 3
        let perSecond = expected[.pings].perSecond
        expected[.pings].burst = 7
        expected[.clientResets].burst = 8
        expected[.clientResets].perSecond = 9
        #expect(listener.http2 == expected)
        #expect(listener.http2[.pings].perSecond == perSecond)
        #expect(listener.timeouts.settings == 3_000)
    }

    @Test(arguments: HTTP2Flood.allCases)
    func `each flood has an allowance of its own`(flood: HTTP2Flood) throws {
        let id = "http2_floods_" + flood.rawValue
        let made = try #require(
            try fixture.parse(Sample.manifest(id, "burst: 321, per_second: 12")).listeners.first
        )
        for other in HTTP2Flood.allCases {
            let isDefault = made.http2[other] == HTTP2Settings()[other]
            #expect(isDefault == (other != flood), "\(other)")
        }
        #expect(made.http2[flood].burst == 321)
        #expect(made.http2[flood].perSecond == 12)
    }
}
