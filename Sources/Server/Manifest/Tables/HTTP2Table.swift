internal import Proxy

extension HTTP2Settings: Defaulted {
    static var defaults: Self { HTTP2Settings() }
}

/// `http2` of a listener.
extension Table where Root == HTTP2Settings {
    static let http2 = Table(
        "http2",
        at: "listeners[].http2",
        keys: [
            Key(
                "max_concurrent_streams",
                \.maxConcurrentStreams,
                .integer(1...65_535),
                "Requests of one connection at a time. Over it: REFUSED_STREAM."
            ),
            Key(
                "initial_stream_window",
                \.initialStreamWindow,
                .size(1...262_144),
                "Bytes of a request's body that a client may send before its upstream has taken"
                    + " some. Over it: FLOW_CONTROL_ERROR on the stream."
            ),
            Key(
                "initial_connection_window",
                \.initialConnectionWindow,
                .size(65_535...(1 << 30)),
                "The same for all requests of a connection together. Over it:"
                    + " FLOW_CONTROL_ERROR, and the connection ends."
            ),
            Key(
                "max_frame_size",
                \.maxFrameSize,
                .size(16_384...16_777_215),
                "Payload of a frame. Over it: FRAME_SIZE_ERROR, and the connection ends."
            ),
            Key(
                "header_table_size",
                \.headerTableSize,
                .size(0...65_536),
                "HPACK's dynamic table in each direction; towards the client no more than it"
                    + " allows. Over it: COMPRESSION_ERROR, and the connection ends."
            ),
            Key(
                "max_header_block",
                \.maxHeaderBlock,
                .size(1_024...65_536),
                "A request's head as it comes, compressed, over all its frames; `limits.head` is"
                    + " its bound after that. Over it: ENHANCE_YOUR_CALM, and the connection ends."
            ),
            Key(
                "max_continuation_frames",
                \.maxContinuationFrames,
                .integer(0...1_024),
                "CONTINUATION frames of one head. Over it: ENHANCE_YOUR_CALM, and the connection"
                    + " ends."
            ),
            Key(
                group: "floods",
                .http2Floods,
                "How often a client may do what costs the proxy more than itself; see"
                    + " [Floods](http2.md#floods). Beyond one of them: ENHANCE_YOUR_CALM, and the"
                    + " connection ends."
            ),
        ]
    )

    private static let http2Floods = Table(
        "http2_floods",
        at: "listeners[].http2.floods",
        keys: HTTP2Flood.allCases.map { flood in
            Key(group: flood.rawValue, allowance(of: flood), note(of: flood))
        }
    )

    private static func allowance(of flood: HTTP2Flood) -> Table {
        Table(
            "http2_floods_" + flood.rawValue,
            at: "listeners[].http2.floods." + flood.rawValue,
            keys: [
                Key("burst", \.[flood].burst, .integer(1...1_000_000), "So many at once."),
                Key(
                    "per_second",
                    \.[flood].perSecond,
                    .integer(0...1_000_000),
                    "So many more each second."
                ),
            ]
        )
    }

    private static func note(of flood: HTTP2Flood) -> String {
        switch flood {
        case .clientResets:
            "Streams that the client resets before their response ended (Rapid Reset)."
        case .serverResets:
            "Streams that had to be reset for what the client sent, refused ones included"
                + " (MadeYouReset)."
        case .streams: "Streams that are opened and do not end as they should."
        case .settings: "SETTINGS, with and without ACK."
        case .pings: "PING, with and without ACK."
        case .priorities: "PRIORITY and PRIORITY_UPDATE."
        case .windowUpdates: "WINDOW_UPDATE."
        case .unknownFrames: "Frames of unknown types."
        case .emptyData: "DATA without content that does not end its stream."
        case .lateFrames: "Frames on streams that are closed, where they may be under way."
        }
    }
}
