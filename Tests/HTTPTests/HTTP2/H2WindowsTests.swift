import HTTP
import Testing

private typealias B = H2Bytes

/// Settings and windows (RFC 9113 §5.2, §6.5, §6.9).
struct H2WindowsTests {
    static let settings: [H2Case] = [
        H2Case(
            "unknown ones",
            B.settings([(0xFA, 1), (7, 9)]),
            events: ["settings"],
            output: ["SETTINGS ACK"]
        ),
        H2Case(
            "push 1 from a client",
            B.settings([(2, 1)]),
            events: ["settings"],
            output: ["SETTINGS ACK"]
        ),
        refused(
            "push 2",
            B.settings([(2, 2)]),
            "PROTOCOL_ERROR: SETTINGS_ENABLE_PUSH has a bad value",
            1
        ),
        H2Case(
            "push 1 from a server",
            .client,
            B.settings([(2, 1)]),
            events: ["error PROTOCOL_ERROR: SETTINGS_ENABLE_PUSH has a bad value"],
            output: ["GOAWAY 0 1"]
        ),
        H2Case(
            "push 0 from a server",
            .client,
            B.settings([(2, 0)]),
            events: ["settings"],
            output: ["SETTINGS ACK"]
        ),
        H2Case(
            "a window of 2^31-1",
            B.settings([(4, 0x7FFF_FFFF)]),
            events: ["settings"],
            output: ["SETTINGS ACK"]
        ),
        refused(
            "a window of 2^31",
            B.settings([(4, 0x8000_0000)]),
            "FLOW_CONTROL_ERROR: SETTINGS_INITIAL_WINDOW_SIZE is over 2^31-1",
            3
        ),
        refused(
            "frames of 16383",
            B.settings([(5, 16_383)]),
            "PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE is out of its range",
            1
        ),
        refused(
            "frames of 2^24",
            B.settings([(5, 16_777_216)]),
            "PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE is out of its range",
            1
        ),
        H2Case(
            "frames of 16384 and 2^24-1",
            B.settings([(5, 16_384), (5, 16_777_215)]),
            events: ["settings"],
            output: ["SETTINGS ACK"]
        ),
        refused(
            "extended CONNECT 2",
            B.settings([(8, 2)]),
            "PROTOCOL_ERROR: SETTINGS_ENABLE_CONNECT_PROTOCOL is bad",
            1
        ),
        H2Case(
            "extended CONNECT switched off",
            .client,
            B.settings([(8, 1)]),
            B.settings([(8, 0)]),
            events: ["settings", "error PROTOCOL_ERROR: SETTINGS_ENABLE_CONNECT_PROTOCOL is bad"],
            output: ["SETTINGS ACK", "GOAWAY 0 1"]
        ),
        refused(
            "no priorities, said later",
            B.settings([(9, 1)]),
            "PROTOCOL_ERROR: SETTINGS_NO_RFC7540_PRIORITIES is bad",
            1
        ),
        refused(
            "an ACK of nothing",
            B.settingsAck,
            "PROTOCOL_ERROR: SETTINGS with ACK, but none was sent",
            1
        ),
    ]

    private static func refused(_ name: String, _ bytes: [UInt8], _ error: String, _ code: Int)
        -> H2Case
    {
        H2Case(name, bytes, events: ["error " + error], output: ["GOAWAY 0 \(code)"])
    }

    static let windows: [H2Case] = [
        refused(
            "by 0 for the connection",
            B.window(0, 0),
            "PROTOCOL_ERROR: WINDOW_UPDATE by 0 for the connection",
            1
        ),
        H2Case("to 2^31-1", B.window(0, 0x7FFF_FFFF - 65_535), events: ["window of all"]),
        refused(
            "to 2^31",
            B.window(0, 0x7FFF_FFFF - 65_534),
            "FLOW_CONTROL_ERROR: the connection's window is over 2^31-1",
            3
        ),
        H2Case(
            "by 0 for a stream",
            B.headers(1),
            B.window(1, 0),
            events: ["headers 1 h new", "reset 1 PROTOCOL_ERROR"],
            output: ["RST_STREAM 1 1"]
        ),
        H2Case(
            "of a stream to 2^31-1 and one more",
            B.headers(1),
            B.window(1, 0x7FFF_FFFF - 65_535),
            B.window(1, 1),
            events: ["headers 1 h new", "window 1", "reset 1 FLOW_CONTROL_ERROR"],
            output: ["RST_STREAM 1 3"]
        ),
        H2Case(
            "made too large by a setting",
            B.headers(1),
            B.window(1, 1),
            B.settings([(4, 0x7FFF_FFFF)]),
            events: [
                "headers 1 h new", "window 1",
                "error FLOW_CONTROL_ERROR: SETTINGS makes a window larger than 2^31-1",
            ],
            output: ["GOAWAY 1 3"]
        ),
        H2Case(
            "of a stream, used up to the last byte and one more",
            B.headers(1),
            B.data(1, count: 16_384),
            B.data(1, count: 16_384),
            B.data(1, count: 16_384),
            B.data(1, count: 16_384),
            B.data(1, "x"),
            B.ping(),
            events: ["headers 1 h new", "data 1 65536 bytes", "reset 1 FLOW_CONTROL_ERROR"],
            output: ["RST_STREAM 1 3", "PING 7 ACK"]
        ),
    ]

    @Test(arguments: settings) func `values of settings`(scene: H2Case) { scene.check() }
    @Test(arguments: windows) func `sizes of windows`(scene: H2Case) { scene.check() }

    @Test func `the window of the connection is used up to the last byte`() {
        var settings = H2Settings.local(.server)
        settings.initialWindowSize = 1 << 20
        var limits = H2Limits()
        limits.connectionWindowBytes = 65_535
        let server = H2Endpoint.ready(.server, settings: settings, limits: limits)
        server.receive(B.headers(1) + B.headers(3))
        for _ in 0..<3 { server.receive(B.data(1, count: 16_384)) }
        server.receive(B.data(3, count: 16_383))
        _ = server.takeEvents()
        #expect(server.takeFrames() == [])
        server.receive(B.data(3, "x"))
        #expect(
            server.takeEvents() == ["error FLOW_CONTROL_ERROR: DATA beyond the connection's window"]
        )
    }

    @Test func `windows open when half of them was passed on`() {
        let server = H2Endpoint.ready(.server)
        server.receive(B.headers(1) + B.data(1, count: 16_384) + B.data(1, count: 16_384))
        server.connection.consume(1, 32_767)
        #expect(server.takeFrames() == [])
        server.connection.consume(1, 1)
        #expect(server.takeFrames() == ["WINDOW_UPDATE 1 32768"])
        // What is padding is passed on at once, and counts as any other byte.
        server.receive(B.frame(0, B.padded, 1, [255] + [UInt8](repeating: 0, count: 255)))
        server.receive(
            B.data(1, count: 16_384) + B.data(1, count: 16_128) + B.data(1, count: 16_384)
        )
        server.connection.consume(1, 32_511)
        #expect(server.takeFrames() == [])
        server.connection.consume(1, 1)
        #expect(server.takeFrames() == ["WINDOW_UPDATE 1 32768"])
    }

    @Test func `what a closed stream holds is given back to the connection`() {
        var limits = H2Limits()
        limits.connectionWindowBytes = 65_536
        let server = H2Endpoint.ready(.server, limits: limits)
        // By a reset of either side, by END_STREAM of both, and what comes after a reset.
        server.receive(B.headers(1) + B.data(1, count: 16_384))
        server.connection.resetStream(1, .cancel)
        server.receive(B.data(1, count: 16_383))
        #expect(server.takeFrames() == ["RST_STREAM 1 8"])
        server.receive(B.data(1, "x"))
        #expect(server.takeFrames() == ["WINDOW_UPDATE 0 32768"])
        server.receive(B.headers(3) + B.data(3, count: 16_384) + B.reset(3))
        server.receive(B.headers(5) + B.data(5, count: 16_384, B.end))
        #expect(server.takeFrames() == [])
        server.sendHeaders(5, end: true)
        #expect(server.takeFrames() == ["HEADERS 5 1 END", "WINDOW_UPDATE 0 32768"])
        // Nothing is given back twice.
        server.connection.consume(5, 16_384)
        #expect(server.takeFrames() == [])
    }

    @Test func `a stream that is reset amid a frame gives back all of it once`() {
        var limits = H2Limits()
        limits.connectionWindowBytes = 65_536
        let server = H2Endpoint.ready(.server, limits: limits)
        let frame = B.data(1, count: 16_384)
        server.receive(B.headers(1))
        server.receive(Array(frame[..<100]))
        server.connection.resetStream(1, .cancel)
        server.receive(Array(frame[100...]))
        server.receive(B.headers(3) + B.data(3, count: 16_383))
        server.connection.consume(3, 16_383)
        #expect(server.takeFrames() == ["RST_STREAM 1 8"])
        server.receive(B.data(3, "x"))
        server.connection.consume(3, 1)
        #expect(server.takeFrames() == ["WINDOW_UPDATE 0 32768"])
    }

    @Test func `a small window holds once it is acknowledged`() {
        var settings = H2Settings.local(.server)
        settings.initialWindowSize = 1_000
        let server = H2Endpoint(.server, settings: settings)
        server.receive(B.start + B.headers(1) + B.data(1, count: 16_384))
        #expect(server.takeEvents() == ["settings", "headers 1 h new", "data 1 16384 bytes"])
        server.receive(B.settingsAck + B.data(1, "x") + B.headers(3) + B.data(3, count: 1_001))
        #expect(
            server.takeEvents() == [
                "settings acknowledged", "reset 1 FLOW_CONTROL_ERROR", "headers 3 h new",
                "reset 3 FLOW_CONTROL_ERROR",
            ]
        )
    }

    @Test func `content is cut by windows, frame size and room`() {
        let server = H2Endpoint.ready(.server)
        server.receive(B.headers(1, "h", B.endHeaders | B.end) + B.headers(3))
        #expect(server.sendData(1, count: 20_000) == 20_000)
        #expect(server.takeFrames() == ["DATA 1 16384", "DATA 1 3616"])
        // 61,440 bytes of output: three frames and what is left.
        #expect(server.sendData(1, count: 45_535, end: true) == 45_535)
        #expect(server.sendData(3, count: 20_000) == 0)
        server.receive(B.window(0, 100_000))
        #expect(server.sendData(3, count: 70_000) == 61_440 - 45_535 - 3 * 9 - 9)
        #expect(server.takeOutput().count == 61_440)
        #expect(!server.isOpen(1))
        #expect(server.sendData(1, count: 1) == 0)
    }

    @Test func `a setting moves the windows of open streams, below zero too`() {
        let server = H2Endpoint.ready(.server)
        server.receive(B.headers(1))
        server.connection.setWantsToWrite(1, true)
        #expect(server.sendData(1, count: 100) == 100)
        server.receive(B.settings([(4, 50)]))
        #expect(server.nextToSend() == nil)
        #expect(server.sendData(1, count: 1) == 0)
        server.receive(B.window(1, 50))
        #expect(server.sendData(1, count: 1) == 0)
        server.receive(B.window(1, 1))
        #expect(server.nextToSend() == 1)
        #expect(server.sendData(1, count: 9) == 1)
        server.receive(B.settings([(4, 60)]))
        #expect(server.sendData(1, count: 11, end: true) == 10)
        #expect(
            server.takeFrames() == [
                "DATA 1 100", "SETTINGS ACK", "DATA 1 1", "SETTINGS ACK", "DATA 1 10",
            ]
        )
        // The end by itself needs no window.
        #expect(server.sendData(1, [], end: true) == 0)
        #expect(server.takeFrames() == ["DATA 1 0 END"])
    }

    @Test func `a block is cut by the peer's frame size`() {
        let server = H2Endpoint.ready(.server)
        server.receive(B.headers(1) + B.settings([(5, 20_000)]) + B.headers(3))
        _ = server.takeOutput()
        server.sendHeaders(1, String(repeating: "b", count: 20_000))
        server.sendHeaders(3, String(repeating: "b", count: 40_001), end: true)
        #expect(
            server.takeFrames() == [
                "HEADERS 1 20000", "HEADERS 3 20000 END MORE", "CONTINUATION 3 20000 MORE",
                "CONTINUATION 3 1",
            ]
        )
    }

    @Test func `a PING measures the round trip`() {
        let client = H2Endpoint.ready(.client)
        #expect(client.sendPing(now: 100))
        #expect(!client.sendPing(now: 101))
        #expect(client.takeFrames() == ["PING 1"])
        client.now = 130
        client.receive(B.ping(9, 1))
        #expect(client.takeEvents() == [])
        #expect(client.pingSentAt == 100)
        client.receive(B.ping(1, 1) + B.ping(1, 1))
        #expect(client.takeEvents() == ["ping 30 ms"])
        #expect(client.pingSentAt == nil)
    }
}
