import HTTP
import Testing

private typealias B = H2Bytes

/// Each bound of `H2Limits` at its edge: what is allowed does nothing, one more ends the connection
/// with ENHANCE_YOUR_CALM.
struct H2BudgetsTests {
    struct Flood: CustomTestStringConvertible {
        var testDescription: String
        var limit: @Sendable (inout H2Limits) -> Void
        /// The bytes of a turn, 0 the first.
        var turn: @Sendable (Int) -> [UInt8]
        var reason: String
        var before: [UInt8] = []
    }

    /// With an allowance of 3 and two more each second.
    static let three = H2Allowance(burst: 3, perSecond: 2)

    static func id(_ turn: Int) -> UInt32 { UInt32(turn * 2 + 1) }

    static let floods: [Flood] = [
        Flood(
            testDescription: "Rapid Reset",
            limit: { $0.peerResets = three },
            turn: { B.headers(id($0)) + B.reset(id($0)) },
            reason: "too many streams were reset by the client"
        ),
        Flood(
            testDescription: "MadeYouReset by WINDOW_UPDATE",
            limit: { $0.ownResets = three },
            turn: { B.headers(id($0)) + B.window(id($0), 0) },
            reason: "too many streams had to be reset"
        ),
        Flood(
            testDescription: "MadeYouReset by DATA after the end",
            limit: { $0.ownResets = three },
            turn: { B.headers(id($0), "h", B.endHeaders | B.end) + B.data(id($0), "x") },
            reason: "too many streams had to be reset"
        ),
        Flood(
            testDescription: "MadeYouReset by PRIORITY",
            limit: { $0.ownResets = three },
            turn: { B.headers(id($0)) + B.priority(id($0), on: id($0)) },
            reason: "too many streams had to be reset"
        ),
        Flood(
            testDescription: "streams that do not end",
            limit: { $0.streams = three },
            turn: { B.headers(id($0)) },
            reason: "streams are opened faster than they end"
        ),
        Flood(
            testDescription: "SETTINGS",
            limit: { $0.settings = three },
            turn: { _ in B.settings() },
            reason: "a flood of SETTINGS frames"
        ),
        Flood(
            testDescription: "PING",
            limit: { $0.pings = three },
            turn: { _ in B.ping() },
            reason: "a flood of PING frames"
        ),
        Flood(
            testDescription: "PING with ACK",
            limit: { $0.pings = three },
            turn: { _ in B.ping(1, 1) },
            reason: "a flood of PING frames"
        ),
        Flood(
            testDescription: "PRIORITY",
            limit: { $0.priorities = three },
            turn: { _ in B.priority(1, on: 3) },
            reason: "a flood of PRIORITY frames"
        ),
        Flood(
            testDescription: "PRIORITY_UPDATE",
            limit: { $0.priorities = three },
            turn: { _ in B.priorityUpdate(1, "u=1") },
            reason: "a flood of PRIORITY_UPDATE frames"
        ),
        Flood(
            testDescription: "WINDOW_UPDATE",
            limit: { $0.windowUpdates = three },
            turn: { _ in B.window(0, 1) },
            reason: "a flood of WINDOW_UPDATE frames"
        ),
        Flood(
            testDescription: "WINDOW_UPDATE of a stream",
            limit: { $0.windowUpdates = three },
            turn: { _ in B.window(1, 1) },
            reason: "a flood of WINDOW_UPDATE frames",
            before: B.headers(1)
        ),
        Flood(
            testDescription: "unknown types",
            limit: { $0.unknownFrames = three },
            turn: { _ in B.frame(0xFA, 0, 0) },
            reason: "a flood of frames of unknown types"
        ),
        Flood(
            testDescription: "empty DATA",
            limit: { $0.emptyData = three },
            turn: { _ in B.data(1) },
            reason: "a flood of empty DATA frames",
            before: B.headers(1)
        ),
        Flood(
            testDescription: "DATA of padding",
            limit: { $0.emptyData = three },
            turn: { _ in B.frame(0, B.padded, 1, [1, 0]) },
            reason: "a flood of empty DATA frames",
            before: B.headers(1)
        ),
    ]

    @Test(arguments: floods)
    func `an allowance is used up, and comes back with time`(flood: Flood) {
        var limits = H2Limits()
        flood.limit(&limits)
        let server = H2Endpoint(.server, limits: limits)
        let isSettings = flood.testDescription == "SETTINGS"
        server.receive(B.start + flood.before)
        // The first SETTINGS and, in two scenes, the first stream are of the budget too.
        var turn = 0
        for _ in 0..<(isSettings ? 2 : 3) {
            server.receive(flood.turn(turn))
            turn += 1
        }
        #expect(server.failure == nil)
        // Half a second brings one back, and not a thousandth before.
        server.now = 500
        server.receive(flood.turn(turn))
        turn += 1
        #expect(server.failure == nil)
        server.now = 999
        server.receive(flood.turn(turn))
        #expect(server.failure?.code == .enhanceYourCalm)
        #expect(server.failure?.reason.description == flood.reason)
        #expect(server.takeFrames().last?.hasPrefix("GOAWAY") == true)
        #expect(server.takeEvents().last == "error ENHANCE_YOUR_CALM: \(flood.reason)")
    }

    @Test func `streams that end as they should pay for resets and for being opened`() {
        var limits = H2Limits()
        limits.peerResets = H2Allowance(burst: 2, perSecond: 0)
        limits.streams = H2Allowance(burst: 3, perSecond: 0)
        let server = H2Endpoint.ready(.server, limits: limits)
        var id: UInt32 = 1
        for turn in 0..<50 {
            server.receive(B.headers(id, "h", B.endHeaders | B.end))
            server.sendHeaders(id, end: true)
            id += 2
            // Two of them are never paid back.
            if turn == 10 || turn == 20 {
                server.receive(B.headers(id) + B.reset(id))
                id += 2
            }
        }
        #expect(server.failure == nil)
        server.receive(B.headers(id) + B.reset(id))
        #expect(server.failure == nil)
        server.receive(B.headers(id + 2))
        #expect(
            server.failure?.reason.description
                == "streams are opened faster than they end"
        )
    }

    @Test func `a client that has its response may reset what it still sends`() {
        var limits = H2Limits()
        limits.peerResets = H2Allowance(burst: 1, perSecond: 0)
        let server = H2Endpoint.ready(.server, limits: limits)
        for id in stride(from: UInt32(1), to: 21, by: 2) {
            server.receive(B.headers(id))
            server.sendHeaders(id, end: true)
            server.receive(B.reset(id))
        }
        #expect(server.failure == nil)
    }

    @Test func `resets that the caller makes because of the peer count, others do not`() {
        var limits = H2Limits()
        limits.ownResets = H2Allowance(burst: 1, perSecond: 0)
        let server = H2Endpoint.ready(.server, limits: limits)
        for (id, code) in [
            (1, H2ErrorCode.cancel), (3, .internalError), (5, .noError), (7, .protocolError),
        ] {
            server.receive(B.headers(UInt32(id)))
            server.connection.resetStream(UInt32(id), code)
            server.receive([])
            #expect(server.failure == nil)
        }
        server.receive(B.headers(9))
        server.connection.resetStream(9, .protocolError)
        server.receive([])
        #expect(server.failure?.code == .enhanceYourCalm)
    }

    @Test func `streams beyond the bound count as resets that had to be sent`() {
        var limits = H2Limits()
        limits.ownResets = H2Allowance(burst: 2, perSecond: 0)
        var settings = H2Settings.local(.server)
        settings.maxConcurrentStreams = 1
        let server = H2Endpoint.ready(.server, settings: settings, limits: limits)
        server.receive(B.headers(1) + B.headers(3) + B.headers(5))
        #expect(server.failure == nil)
        server.receive(B.headers(7))
        #expect(server.failure?.code == .enhanceYourCalm)
    }

    @Test func `late frames are counted`() {
        var limits = H2Limits()
        limits.lateFrames = H2Allowance(burst: 3, perSecond: 0)
        let server = H2Endpoint.ready(.server, limits: limits)
        server.receive(B.headers(1))
        server.connection.resetStream(1, .cancel)
        server.receive(B.data(1, "x") + B.headers(1) + B.reset(1))
        #expect(server.failure == nil)
        server.receive(B.data(1))
        #expect(
            server.failure?.reason.description == "a flood of frames on closed streams"
        )
    }

    @Test func `what is sent pays for PING and WINDOW_UPDATE`() {
        var limits = H2Limits()
        limits.pings = H2Allowance(burst: 1, perSecond: 0)
        limits.windowUpdates = H2Allowance(burst: 1, perSecond: 0)
        let server = H2Endpoint.ready(.server, limits: limits)
        server.receive(B.headers(1))
        for _ in 0..<20 {
            server.receive(B.window(0, 1) + B.ping())
            server.sendData(1, count: 250)
        }
        #expect(server.failure == nil)
        server.receive(B.window(0, 1) + B.window(0, 1))
        #expect(server.failure?.reason.description == "a flood of WINDOW_UPDATE frames")
    }

    @Test func `small content pays for both windows, but not what a window cut short`() {
        var limits = H2Limits()
        limits.windowUpdates = H2Allowance(burst: 4, perSecond: 0)
        let server = H2Endpoint.ready(.server, limits: limits)
        server.receive(B.headers(1))
        for _ in 0..<20 {
            server.sendData(1, count: 1)
            server.receive(B.window(0, 1) + B.window(1, 1))
        }
        #expect(server.failure == nil)
        // Now the windows are used up, and opened byte by byte for a content that is not short.
        while server.sendData(1, count: 16_384) == 16_384 {
            server.connection.consumeOutput(server.outputCount)
        }
        for _ in 0..<2 {
            server.receive(B.window(0, 1) + B.window(1, 1))
            #expect(server.sendData(1, count: 100) == 1)
        }
        #expect(server.failure == nil)
        server.receive(B.window(0, 1))
        #expect(server.failure?.reason.description == "a flood of WINDOW_UPDATE frames")
    }

    @Test func `answers that are not read are bounded`() {
        var limits = H2Limits()
        limits.controlBytesMax = 256
        // 15 answers of 17 bytes.
        let server = H2Endpoint.ready(.server, limits: limits)
        for _ in 0..<15 { server.receive(B.ping()) }
        #expect(server.failure == nil)
        #expect(server.outputCount == 255)
        server.receive(B.ping())
        #expect(
            server.takeEvents() == [
                "error ENHANCE_YOUR_CALM: control frames are asked for and not read"
            ]
        )
        #expect(server.outputCount == 255 + 17)

        // Who reads them, also in parts, goes on.
        let read = H2Endpoint.ready(.server, limits: limits)
        for _ in 0..<60 {
            read.receive(B.ping())
            if read.outputCount > 100 { read.connection.consumeOutput(50) }
        }
        #expect(read.failure == nil)
    }

    @Test func `header blocks are bounded in bytes, frames and empty frames`() {
        var limits = H2Limits()
        limits.headerBlockBytesMax = 10
        limits.continuationFramesMax = 3
        limits.emptyFragmentsMax = 2
        let good: [[UInt8]] = [
            B.headers(1, "0123456789"),
            B.headers(1, "01234", 0) + B.continuation(1, "56789", B.endHeaders),
            B.headers(1, "0", 0) + B.continuation(1, "1") + B.continuation(1, "2")
                + B.continuation(1, "3", B.endHeaders),
            B.headers(1, "", 0) + B.continuation(1, "") + B.continuation(1, "2", B.endHeaders),
            B.frame(
                1,
                B.endHeaders | B.padded,
                1,
                [20] + latin1("0123456789") + [UInt8](repeating: 0, count: 20)
            ),
        ]
        let bad: [([UInt8], String)] = [
            (B.headers(1, "0123456789a"), "a header block is too large"),
            (B.headers(1, String(repeating: "0", count: 300)), "a header block is too large"),
            (
                B.headers(1, "01234", 0) + B.continuation(1, "56789a", B.endHeaders),
                "a header block is too large"
            ),
            (
                B.headers(1, "0", 0) + B.continuation(1, "1") + B.continuation(1, "2")
                    + B.continuation(1, "3") + B.continuation(1, "4", B.endHeaders),
                "a header block has too many CONTINUATION frames"
            ),
            (
                B.headers(1, "", 0) + B.continuation(1, "") + B.continuation(1, ""),
                "a header block has too many empty frames"
            ),
        ]
        for pieces in [Int.max, 1] {
            for bytes in good {
                let server = H2Endpoint.ready(.server, limits: limits)
                server.receive(bytes, pieces: pieces)
                #expect(server.failure == nil)
                #expect(server.takeEvents().count == 1)
            }
            for (bytes, reason) in bad {
                let server = H2Endpoint.ready(.server, limits: limits)
                server.receive(bytes, pieces: pieces)
                #expect(server.takeEvents() == ["error ENHANCE_YOUR_CALM: \(reason)"])
            }
        }
    }

    @Test func `entries of SETTINGS are bounded`() {
        let server = H2Endpoint.ready(.server)
        let entries = [(UInt16, UInt32)](repeating: (4, 100), count: 32)
        server.receive(B.settings(entries))
        #expect(server.takeEvents() == ["settings"])
        server.receive(B.settings(entries + [(4, 100)]))
        #expect(server.takeEvents() == ["error ENHANCE_YOUR_CALM: SETTINGS has too many entries"])
    }
}
