import HTTP
import Testing

private typealias B = H2Bytes

/// Frames by themselves: sizes, ids, padding, header blocks in pieces (RFC 9113 §4, §6).
struct H2FramesTests {
    static let sizes: [H2Case] = [
        H2Case(
            "RST_STREAM of 3",
            B.headers(1),
            B.frame(3, 0, 1, [0, 0, 8]),
            events: [
                "headers 1 h new", "error FRAME_SIZE_ERROR: RST_STREAM of a length other than 4",
            ],
            output: ["GOAWAY 1 6"]
        ),
        H2Case(
            "PING of 9",
            B.frame(6, 0, 0, [UInt8](repeating: 0, count: 9)),
            events: ["error FRAME_SIZE_ERROR: PING of a length other than 8"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "WINDOW_UPDATE of 5",
            B.frame(8, 0, 0, [0, 0, 0, 1, 1]),
            events: ["error FRAME_SIZE_ERROR: WINDOW_UPDATE of a length other than 4"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "SETTINGS of 5",
            B.frame(4, 0, 0, [0, 0, 0, 0, 1]),
            events: [
                "error FRAME_SIZE_ERROR: SETTINGS of a length that is no multiple of 6"
            ],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "SETTINGS with ACK and a payload",
            B.frame(4, 1, 0, [0, 0, 0, 0, 0, 1]),
            events: ["error FRAME_SIZE_ERROR: SETTINGS with ACK and a payload"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "GOAWAY of 7",
            B.frame(7, 0, 0, [0, 0, 0, 0, 0, 0, 0]),
            events: ["error FRAME_SIZE_ERROR: GOAWAY shorter than 8"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "PRIORITY_UPDATE of 3",
            B.frame(0x10, 0, 0, [0, 0, 1]),
            events: ["error FRAME_SIZE_ERROR: PRIORITY_UPDATE shorter than 4"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "PRIORITY of 4 on an open stream: a stream error",
            B.headers(1),
            B.frame(2, 0, 1, [0, 0, 0, 0]),
            B.ping(),
            events: ["headers 1 h new", "reset 1 FRAME_SIZE_ERROR"],
            output: ["RST_STREAM 1 6", "PING 7 ACK"]
        ),
        H2Case(
            "PRIORITY of 6 on an idle stream: RST_STREAM may not be sent",
            B.frame(2, 0, 1, [0, 0, 0, 0, 0, 0]),
            events: ["error FRAME_SIZE_ERROR: a faulty frame on an idle stream"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "the largest frame",
            B.headers(1),
            B.data(1, count: 16_384),
            events: ["headers 1 h new", "data 1 16384 bytes"]
        ),
        H2Case(
            "one byte more",
            B.headers(1),
            B.data(1, count: 16_385),
            events: [
                "headers 1 h new",
                "error FRAME_SIZE_ERROR: a frame is longer than SETTINGS_MAX_FRAME_SIZE",
            ],
            output: ["GOAWAY 1 6"]
        ),
        H2Case(
            "HEADERS too short for a priority",
            B.frame(1, B.endHeaders | B.withPriority, 1, [0, 0, 0, 0]),
            events: ["error FRAME_SIZE_ERROR: HEADERS too short for its flags"],
            output: ["GOAWAY 0 6"]
        ),
        H2Case(
            "padded DATA without a byte",
            B.headers(1),
            B.data(1, "", B.padded),
            events: ["headers 1 h new", "error FRAME_SIZE_ERROR: DATA too short for its flags"],
            output: ["GOAWAY 1 6"]
        ),
    ]

    static let ids: [H2Case] = [
        H2Case(
            "DATA on 0",
            B.data(0, "x"),
            events: ["error PROTOCOL_ERROR: DATA on stream 0"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "HEADERS on 0",
            B.headers(0),
            events: ["error PROTOCOL_ERROR: HEADERS on a stream that a client cannot open"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "HEADERS on an even id",
            B.headers(2),
            events: ["error PROTOCOL_ERROR: HEADERS on a stream that a client cannot open"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "ids that go down",
            B.headers(5),
            B.headers(3),
            events: [
                "headers 5 h new",
                "error PROTOCOL_ERROR: HEADERS on a stream below one that was opened",
            ],
            output: ["GOAWAY 5 1"]
        ),
        H2Case(
            "DATA on an id that was passed over",
            B.headers(5),
            B.data(3, "x"),
            events: [
                "headers 5 h new", "error STREAM_CLOSED: DATA on a stream that has ended",
            ],
            output: ["GOAWAY 5 5"]
        ),
        H2Case(
            "RST_STREAM on 0",
            B.reset(0),
            events: ["error PROTOCOL_ERROR: RST_STREAM on stream 0"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PING on a stream",
            B.frame(6, 0, 1, [UInt8](repeating: 0, count: 8)),
            events: ["error PROTOCOL_ERROR: PING on a stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "SETTINGS on a stream",
            B.frame(4, 0, 1),
            events: ["error PROTOCOL_ERROR: SETTINGS on a stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "GOAWAY on a stream",
            B.frame(7, 0, 1, [UInt8](repeating: 0, count: 8)),
            events: ["error PROTOCOL_ERROR: GOAWAY on a stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PRIORITY on 0",
            B.priority(0, on: 3),
            events: ["error PROTOCOL_ERROR: PRIORITY on stream 0"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "CONTINUATION by itself",
            B.headers(1),
            B.continuation(1),
            events: [
                "headers 1 h new", "error PROTOCOL_ERROR: CONTINUATION outside of a header block",
            ],
            output: ["GOAWAY 1 1"]
        ),
        H2Case(
            "the reserved bit is ignored (§4.1)",
            B.headers(1 | 1 << 31),
            B.window(1 | 1 << 31, 5 | 1 << 31),
            events: ["headers 1 h new", "window 1"]
        ),
        H2Case(
            "unknown types and flags are ignored (§4.1, §5.5)",
            B.frame(0xFA, 0xFF, 77, [1, 2, 3]),
            B.headers(1, "h", B.endHeaders | 0xD0 & ~B.withPriority),
            B.frame(0xFB, 0, 0),
            B.ping(),
            events: ["headers 1 h new"],
            output: ["PING 7 ACK"]
        ),
        H2Case(
            "PUSH_PROMISE to a client",
            .client,
            B.frame(5, 4, 1, B.big(2) + [1]),
            events: ["error PROTOCOL_ERROR: PUSH_PROMISE though push is off"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PUSH_PROMISE to a server",
            B.frame(5, 4, 1, B.big(2) + [1]),
            events: ["error PROTOCOL_ERROR: PUSH_PROMISE though push is off"],
            output: ["GOAWAY 0 1"]
        ),
    ]

    static let padding: [H2Case] = [
        H2Case(
            "DATA, of which padding is not passed on",
            B.headers(1),
            B.frame(0, B.padded, 1, [3] + latin1("ab") + [0, 0, 0]),
            B.frame(0, B.padded | B.end, 1, [0] + latin1("cd")),
            events: ["headers 1 h new", "data 1 abcd end"]
        ),
        H2Case(
            "DATA of padding alone",
            B.headers(1),
            B.frame(0, B.padded | B.end, 1, [2, 0, 0]),
            events: ["headers 1 h new", "data 1  end"]
        ),
        H2Case(
            "DATA with as much padding as there is payload",
            B.headers(1),
            B.frame(0, B.padded, 1, [3, 0, 0]),
            events: [
                "headers 1 h new", "error PROTOCOL_ERROR: padding of DATA is longer than the frame",
            ],
            output: ["GOAWAY 1 1"]
        ),
        H2Case(
            "HEADERS with padding and priority",
            B.frame(
                1,
                B.endHeaders | B.padded | B.withPriority | B.end,
                1,
                [2, 0, 0, 0, 0, 9] + latin1("block") + [0, 0]
            ),
            events: ["headers 1 block new end"]
        ),
        H2Case(
            "HEADERS, all of it padding",
            B.frame(1, B.endHeaders | B.padded, 1, [2, 0, 0]),
            events: ["headers 1  new"]
        ),
        H2Case(
            "HEADERS with too much padding",
            B.frame(1, B.endHeaders | B.padded, 1, [3, 0, 0]),
            events: ["error PROTOCOL_ERROR: padding of HEADERS is longer than the frame"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "HEADERS whose padding takes the priority",
            B.frame(1, B.endHeaders | B.padded | B.withPriority, 1, [1, 0, 0, 0, 0, 0]),
            events: [
                "error PROTOCOL_ERROR: padding of HEADERS leaves no room for its fields"
            ],
            output: ["GOAWAY 0 1"]
        ),
    ]

    static let blocks: [H2Case] = [
        H2Case(
            "a block in three frames",
            B.headers(1, "one,", B.end),
            B.continuation(1, "two,"),
            B.continuation(1, "three", B.endHeaders),
            B.headers(3, "next"),
            events: ["headers 1 one,two,three new end", "headers 3 next new"]
        ),
        H2Case(
            "a padded first frame",
            B.frame(1, B.padded, 1, [3] + latin1("one,") + [0, 0, 0]),
            B.continuation(1, "two", B.endHeaders),
            events: ["headers 1 one,two new"]
        ),
        H2Case(
            "an empty block in two frames",
            B.headers(1, "", 0),
            B.continuation(1, "", B.endHeaders),
            events: ["headers 1  new"]
        ),
        H2Case(
            "DATA in a block",
            B.headers(1, "a", 0),
            B.data(1, "x"),
            events: [
                "error PROTOCOL_ERROR: a frame other than CONTINUATION in a header block"
            ],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "an unknown frame in a block (§5.5)",
            B.headers(1, "a", 0),
            B.frame(0xFA, 0, 0),
            events: [
                "error PROTOCOL_ERROR: a frame other than CONTINUATION in a header block"
            ],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "CONTINUATION of another stream",
            B.headers(1, "a", 0),
            B.continuation(3, "b", B.endHeaders),
            events: [
                "error PROTOCOL_ERROR: a frame other than CONTINUATION in a header block"
            ],
            output: ["GOAWAY 0 1"]
        ),
    ]

    @Test(arguments: sizes) func `sizes of frames`(scene: H2Case) { scene.check() }
    @Test(arguments: ids) func `streams that frames stand on`(scene: H2Case) { scene.check() }
    @Test(arguments: padding) func `padding is not content`(scene: H2Case) { scene.check() }
    @Test(arguments: blocks) func `header blocks in pieces`(scene: H2Case) { scene.check() }

    @Test func `a server wants the preface and then SETTINGS`() {
        let cases: [([UInt8], String)] = [
            (latin1("GET / HTTP/1.1\r\n"), "no HTTP/2 connection preface"),
            (Array(B.preface.dropLast()) + [0], "no HTTP/2 connection preface"),
            (B.preface + B.ping(), "the first frame is not SETTINGS"),
            (B.preface + B.settingsAck, "the first frame is not SETTINGS"),
        ]
        for (bytes, reason) in cases {
            for pieces in [Int.max, 1] {
                let server = H2Endpoint(.server)
                _ = server.takeOutput()
                server.receive(bytes, pieces: pieces)
                #expect(server.takeEvents() == ["error PROTOCOL_ERROR: \(reason)"])
                #expect(server.takeFrames() == ["GOAWAY 0 1"])
                server.receive(B.start)
                #expect(server.takeEvents() == ["error PROTOCOL_ERROR: \(reason)"])
                #expect(server.takeFrames() == [])
            }
        }
    }

    @Test func `the first frames of both roles`() {
        var settings = H2Settings.local(.server)
        settings.isConnectProtocolEnabled = true
        let server = H2Endpoint(.server, settings: settings)
        #expect(
            server.takeFrames() == [
                "SETTINGS 3=128 4=65536 8=1 9=1", "WINDOW_UPDATE 0 983041",
            ]
        )
        server.receive(B.start, pieces: 1)
        #expect(server.takeEvents() == ["settings"])
        #expect(server.takeFrames() == ["SETTINGS ACK"])
        let client = H2Endpoint(.client)
        #expect(
            client.takeFrames() == ["preface", "SETTINGS 2=0 4=65536", "WINDOW_UPDATE 0 983041"]
        )
        client.receive(B.ping())
        #expect(
            client.takeEvents() == ["error PROTOCOL_ERROR: the first frame is not SETTINGS"]
        )
    }

    @Test func `codes have names`() {
        #expect(H2ErrorCode.enhanceYourCalm.name.description == "ENHANCE_YOUR_CALM")
        #expect(H2ErrorCode.http11Required.name.description == "HTTP_1_1_REQUIRED")
        #expect(H2ErrorCode(rawValue: 14).name.description == "unknown error code")
    }
}
