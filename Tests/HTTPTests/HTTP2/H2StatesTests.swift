import HTTP
import Testing

private typealias B = H2Bytes

/// Each kind of frame in each state of a stream (RFC 9113 §5.1), and GOAWAY (§6.8).
struct H2StatesTests {
    static let idle: [H2Case] = [
        H2Case(
            "DATA",
            B.data(1, "x"),
            events: ["error PROTOCOL_ERROR: DATA on an idle stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "RST_STREAM",
            B.reset(1),
            events: ["error PROTOCOL_ERROR: RST_STREAM on an idle stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "WINDOW_UPDATE",
            B.window(1, 1),
            events: ["error PROTOCOL_ERROR: WINDOW_UPDATE on an idle stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PRIORITY is allowed",
            B.priority(1, on: 3),
            B.headers(1),
            events: ["headers 1 h new"]
        ),
        H2Case(
            "HEADERS to a client",
            .client,
            B.headers(1),
            events: ["error PROTOCOL_ERROR: HEADERS on an idle stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "DATA of an even id, which stays idle",
            B.headers(3),
            B.data(2, "x"),
            events: ["headers 3 h new", "error PROTOCOL_ERROR: DATA on an idle stream"],
            output: ["GOAWAY 3 1"]
        ),
    ]

    static let open: [H2Case] = [
        H2Case(
            "a request with content and trailers, and its response",
            steps: [
                .receive(B.headers(1) + B.data(1, "ab") + B.headers(1, "t", B.endHeaders | B.end)),
                .headers(1, end: false), .data(1, 3, end: false), .data(1, 0, end: true),
            ],
            events: ["headers 1 h new", "data 1 ab", "headers 1 t trailers end"],
            output: ["HEADERS 1 1", "DATA 1 3 END"]
        ),
        H2Case(
            "trailers that do not end the stream (§8.1)",
            B.headers(1),
            B.headers(1, "t"),
            B.ping(),
            events: ["headers 1 h new", "discarded 1 t", "reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1", "PING 7 ACK"]
        ),
        H2Case(
            "interim and final responses, content, trailers",
            .client,
            steps: [
                .open(end: true), .forgetOutput, .receive(B.headers(1, "100")),
                .receive(B.headers(1, "200")), .final(1),
                .receive(B.data(1, "x") + B.headers(1, "t", B.endHeaders | B.end)),
            ],
            events: [
                "headers 1 100", "headers 1 200", "data 1 x", "headers 1 t trailers end closed",
            ]
        ),
        H2Case(
            "content before a final response (§8.1)",
            .client,
            steps: [.open(end: true), .forgetOutput, .receive(B.data(1, "x") + B.ping())],
            events: ["reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1", "PING 7 ACK"]
        ),
        H2Case(
            "content shorter than its length (§8.1.1)",
            steps: [
                .receive(B.headers(1)), .expect(1, 3),
                .receive(B.data(1, "ab") + B.data(1, "", B.end)),
            ],
            events: ["headers 1 h new", "data 1 ab", "reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1"]
        ),
        H2Case(
            "content longer than its length",
            steps: [.receive(B.headers(1)), .expect(1, 3), .receive(B.data(1, "abcd", B.end))],
            events: ["headers 1 h new", "reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1"]
        ),
        H2Case(
            "content of its length, in two frames",
            steps: [
                .receive(B.headers(1)), .expect(1, 3),
                .receive(B.data(1, "ab") + B.data(1, "c", B.end)),
            ],
            events: ["headers 1 h new", "data 1 abc end"]
        ),
        H2Case(
            "trailers where content is missing",
            steps: [
                .receive(B.headers(1)), .expect(1, 3),
                .receive(B.data(1, "ab") + B.headers(1, "t", B.endHeaders | B.end)),
            ],
            events: ["headers 1 h new", "data 1 ab", "discarded 1 t", "reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1"]
        ),
    ]

    static let halfClosed: [H2Case] = [
        H2Case(
            "remote: DATA is a stream error",
            B.headers(1, "h", B.endHeaders | B.end),
            B.data(1, "x"),
            B.ping(),
            events: ["headers 1 h new end", "reset 1 STREAM_CLOSED"],
            output: ["RST_STREAM 1 5", "PING 7 ACK"]
        ),
        H2Case(
            "remote: HEADERS is a stream error, and the block is decoded",
            B.headers(1, "h", B.endHeaders | B.end),
            B.headers(1, "t", B.endHeaders | B.end),
            events: ["headers 1 h new end", "discarded 1 t", "reset 1 STREAM_CLOSED"],
            output: ["RST_STREAM 1 5"]
        ),
        H2Case(
            "remote: WINDOW_UPDATE, PRIORITY and RST_STREAM are taken",
            B.headers(1, "h", B.endHeaders | B.end),
            B.window(1, 1),
            B.priority(1, on: 3),
            B.reset(1, 8),
            events: ["headers 1 h new end", "window 1", "reset 1 CANCEL by peer"]
        ),
        H2Case(
            "local: content goes on and then closes",
            steps: [
                .receive(B.headers(1)), .headers(1, end: true), .forgetOutput,
                .receive(B.window(1, 1) + B.data(1, "x") + B.data(1, "y", B.end)),
            ],
            events: ["headers 1 h new", "window 1", "data 1 xy end closed"]
        ),
    ]

    static let closed: [H2Case] = [
        H2Case(
            "by both sides: WINDOW_UPDATE, RST_STREAM and PRIORITY may be late",
            steps: [
                .receive(B.headers(1, "h", B.endHeaders | B.end)), .headers(1, end: true),
                .forgetOutput, .receive(B.window(1, 1) + B.reset(1) + B.priority(1, on: 3)),
            ],
            events: ["headers 1 h new end"]
        ),
        H2Case(
            "by both sides: DATA is an error of the connection",
            steps: [
                .receive(B.headers(1, "h", B.endHeaders | B.end)), .headers(1, end: true),
                .forgetOutput, .receive(B.data(1, "x")),
            ],
            events: [
                "headers 1 h new end", "error STREAM_CLOSED: DATA on a stream that has ended",
            ],
            output: ["GOAWAY 1 5"]
        ),
        H2Case(
            "by both sides: HEADERS is an error of the connection",
            steps: [
                .receive(B.headers(1, "h", B.endHeaders | B.end)), .headers(1, end: true),
                .forgetOutput, .receive(B.headers(1)),
            ],
            events: [
                "headers 1 h new end", "error STREAM_CLOSED: HEADERS on a stream that has ended",
            ],
            output: ["GOAWAY 1 5"]
        ),
        H2Case(
            "by the peer's reset: what follows is a stream error, once",
            B.headers(1),
            B.reset(1, 8),
            B.headers(1, "t", B.endHeaders | B.end),
            B.data(1, "x"),
            events: ["headers 1 h new", "reset 1 CANCEL by peer", "discarded 1 t"],
            output: ["RST_STREAM 1 5"]
        ),
        H2Case(
            "by our reset: everything may be late, and blocks are decoded",
            steps: [
                .receive(B.headers(1)), .reset(1, .cancel),
                .receive(
                    B.data(1, "x") + B.headers(1, "t", B.endHeaders | B.end) + B.window(1, 1)
                        + B.reset(1) + B.ping()
                ),
            ],
            events: ["headers 1 h new", "discarded 1 t"],
            output: ["RST_STREAM 1 8", "PING 7 ACK"]
        ),
        H2Case(
            "by REFUSED_STREAM of a server",
            .client,
            steps: [.open(end: true), .forgetOutput, .receive(B.reset(1, 7))],
            events: ["reset 1 REFUSED_STREAM by peer unprocessed"]
        ),
    ]

    static let goAway: [H2Case] = [
        H2Case(
            "a client's unprocessed streams are given back",
            .client,
            steps: [
                .open(end: true), .open(end: true), .open(end: true), .forgetOutput,
                .receive(B.goAway(1, 0, debug: "bye") + B.headers(1)),
            ],
            events: [
                "goaway 1 NO_ERROR", "reset 3 REFUSED_STREAM by peer unprocessed",
                "reset 5 REFUSED_STREAM by peer unprocessed", "headers 1 h",
            ]
        ),
        H2Case(
            "in two steps",
            .client,
            steps: [
                .open(end: true), .open(end: true), .forgetOutput,
                .receive(B.goAway(0x7FFF_FFFF) + B.goAway(1)),
            ],
            events: [
                "goaway 2147483647 NO_ERROR", "goaway 1 NO_ERROR",
                "reset 3 REFUSED_STREAM by peer unprocessed",
            ]
        ),
        H2Case(
            "with a higher stream than before",
            .client,
            B.goAway(1),
            B.goAway(3),
            events: [
                "goaway 1 NO_ERROR",
                "error PROTOCOL_ERROR: GOAWAY with a higher stream than before",
            ],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "ours: streams after the first step are served, after the second refused",
            steps: [
                .receive(B.headers(1)), .beginShutdown, .beginShutdown, .receive(B.headers(3)),
                .finishShutdown, .finishShutdown,
                .receive(B.headers(5) + B.data(5, "x") + B.data(3, "y", B.end)),
            ],
            events: ["headers 1 h new", "headers 3 h new", "discarded 5 h", "data 3 y end"],
            output: ["GOAWAY 2147483647 0", "GOAWAY 3 0", "RST_STREAM 5 7"]
        ),
    ]

    static let priorities: [H2Case] = [
        H2Case(
            "PRIORITY on itself (§5.3.1 of RFC 7540)",
            B.headers(1),
            B.priority(1, on: 1),
            events: ["headers 1 h new", "reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1"]
        ),
        H2Case(
            "HEADERS on itself",
            B.frame(1, B.endHeaders | B.withPriority, 1, B.big(1) + [0] + latin1("h")),
            B.headers(3),
            events: ["discarded 1 h", "headers 3 h new"],
            output: ["RST_STREAM 1 1"]
        ),
        H2Case(
            "PRIORITY_UPDATE on a stream",
            B.frame(0x10, 0, 1, B.big(1)),
            events: ["error PROTOCOL_ERROR: PRIORITY_UPDATE on a stream"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PRIORITY_UPDATE for stream 0",
            B.priorityUpdate(0, "u=1"),
            events: [
                "error PROTOCOL_ERROR: PRIORITY_UPDATE for no stream that a client can open"
            ],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PRIORITY_UPDATE from a server",
            .client,
            B.priorityUpdate(1, "u=1"),
            events: ["error PROTOCOL_ERROR: PRIORITY_UPDATE from a server"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "PRIORITY_UPDATE of idle streams, and with a long value, is taken",
            B.priorityUpdate(1, "u=1"),
            B.headers(1),
            B.priorityUpdate(1, "u=1, x=" + String(repeating: "y", count: 300)),
            events: ["headers 1 h new"]
        ),
    ]

    @Test(arguments: idle) func `idle streams`(scene: H2Case) { scene.check() }
    @Test(arguments: open) func `open streams`(scene: H2Case) { scene.check() }
    @Test(arguments: halfClosed) func `half-closed streams`(scene: H2Case) { scene.check() }
    @Test(arguments: closed) func `closed streams`(scene: H2Case) { scene.check() }
    @Test(arguments: goAway) func `the last stream`(scene: H2Case) { scene.check() }
    @Test(arguments: priorities) func `priorities and their errors`(scene: H2Case) { scene.check() }

    @Test func `streams above the bound are refused and may come again`() {
        var settings = H2Settings.local(.server)
        settings.maxConcurrentStreams = 2
        let server = H2Endpoint.ready(.server, settings: settings)
        server.receive(B.headers(1) + B.headers(3, "h", B.endHeaders | B.end) + B.headers(5))
        #expect(server.takeEvents() == ["headers 1 h new", "headers 3 h new end", "discarded 5 h"])
        #expect(server.takeFrames() == ["RST_STREAM 5 7"])
        server.sendHeaders(3, end: true)
        server.receive(B.data(5, "late") + B.headers(7))
        #expect(server.takeEvents() == ["headers 7 h new"])
        #expect(server.streamCount == 2)
    }

    @Test func `ends are forgotten after 128 streams, and then frames are dropped`() {
        let server = H2Endpoint.ready(.server)
        for id in stride(from: UInt32(1), to: 2 * 128, by: 2) {
            server.receive(B.headers(id, "h", B.endHeaders | B.end))
            server.sendHeaders(id, end: true)
        }
        _ = server.takeEvents()
        // The last of the 128 pushes none out: the first is still known.
        let known = H2Endpoint.ready(.server)
        for id in stride(from: UInt32(1), to: 2 * 129, by: 2) {
            known.receive(B.headers(id, "h", B.endHeaders | B.end))
            known.sendHeaders(id, end: true)
        }
        _ = known.takeEvents()
        known.receive(B.data(1, "x"))
        #expect(known.takeEvents() == [])
        known.receive(B.headers(1))
        #expect(known.takeEvents() == ["discarded 1 h"])
        server.receive(B.data(1, "x"))
        #expect(
            server.takeEvents() == ["error STREAM_CLOSED: DATA on a stream that has ended"]
        )
    }

    @Test func `a drain is over when the last stream is, and its output is taken`() {
        let server = H2Endpoint.ready(.server)
        server.receive(B.headers(1, "h", B.endHeaders | B.end))
        server.connection.beginShutdown()
        server.connection.finishShutdown()
        #expect(!server.isDrained)
        server.sendHeaders(1, end: true)
        #expect(!server.isDrained)
        #expect(server.takeFrames() == ["GOAWAY 2147483647 0", "GOAWAY 1 0", "HEADERS 1 1 END"])
        #expect(server.isDrained)
    }

    @Test func `a client opens streams while the server allows`() {
        let client = H2Endpoint(.client)
        client.receive(B.settings([(3, 1)]))
        #expect(client.canOpenStream)
        #expect(client.open() == 1)
        #expect(!client.canOpenStream)
        client.connection.resetStream(1, .cancel)
        #expect(client.canOpenStream)
        client.receive(B.goAway(1))
        #expect(!client.canOpenStream)
        var limits = H2Limits()
        limits.ownStreamsMax = 2
        let bounded = H2Endpoint.ready(.client, limits: limits)
        bounded.open()
        #expect(bounded.canOpenStream)
        bounded.open()
        #expect(!bounded.canOpenStream)
        #expect(!H2Endpoint.ready(.server).canOpenStream)
    }

    @Test func `an event carries what the caller set`() {
        let server = H2Endpoint.ready(.server)
        var found: [UnsafeMutableRawPointer?] = []
        server.onEvent = { _, event in
            switch event {
            case .headers(let headers): found.append(headers.stream.user)
            case .data(let data): found.append(data.stream.user)
            case .streamReset(let reset): found.append(reset.stream.user)
            case .windowOpened(let stream): found.append(stream?.user)
            default: break
            }
        }
        let user = UnsafeMutableRawPointer(bitPattern: 0x1234)
        server.receive(B.headers(1))
        server.connection.setUser(1, user)
        server.receive(B.window(1, 1) + B.data(1, "x") + B.reset(1))
        #expect(found == [nil, user, user, user])
        server.receive(B.headers(3))
        #expect(found.last == .some(nil))
    }

    @Test func `the caller may end the connection, and find its streams`() {
        let server = H2Endpoint.ready(.server)
        server.receive(B.headers(1) + B.headers(3) + B.headers(5) + B.reset(3))
        server.connection.abort(.compressionError, reason: "a bad block")
        server.connection.abort(.internalError, reason: "later")
        #expect(server.takeFrames() == ["GOAWAY 5 9"])
        var found: [UInt32] = []
        server.connection.forEachStream { found.append($0.id) }
        #expect(found == [1, 5])
        // Nothing is sent any more.
        server.sendHeaders(1)
        #expect(server.sendData(1, count: 1) == 0)
        server.connection.resetStream(5, .cancel)
        server.connection.beginShutdown()
        #expect(server.takeFrames() == [])
        server.receive(B.ping())
        #expect(server.takeEvents().last == "error COMPRESSION_ERROR: a bad block")
    }
}
