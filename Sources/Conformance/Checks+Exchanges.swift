import CSluice
import Engine
import PluginHost
import Synchronization
import Sys

/// Requests through the real engine.
extension CheckContext {
    /// A request and what the origin answers.
    struct Scenario {
        var name: String
        var request: [UInt8]
        var answer: [UInt8]

        init(_ name: String, _ request: String, _ answer: String) {
            self.name = name
            self.request = Wire.bytes(request)
            self.answer = Wire.bytes(answer)
        }
    }

    static let ok =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n"
        + "hello world\n"

    /// Requests and responses of all kinds.
    static let scenarios: [Scenario] = {
        let post = "POST /a?b=c HTTP/1.1\r\nHost: example.com\r\n"
        let get = "GET / HTTP/1.1\r\nHost: example.com\r\n"
        let many = (0..<80).map { "x-field-\($0): \($0)\r\n" }.joined()
        return [
            Scenario("a GET", get + "\r\n", ok),
            Scenario("a HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", ok.replacingBody()),
            Scenario("a GET of HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ok),
            Scenario("a GET with 80 fields", get + many + "\r\n", ok),
            Scenario("empty values", get + "Cookie:\r\nAccept-Encoding: \r\n\r\n", ok),
            Scenario("bytes over 127", get + "x-a: \u{e4}\u{20ac}\r\n\r\n", ok),
            Scenario(
                "the same fields twice",
                get + "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: junk\r\nVia: 1.1 a\r\n\r\n",
                ok
            ),
            Scenario(
                "a long target",
                "GET /\(String(repeating: "a", count: 8_000)) HTTP/1.1\r\n"
                    + "Host: a\r\n\r\n",
                ok
            ),
            Scenario("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ok),
            Scenario("a POST", post + "Content-Length: 5\r\n\r\nhello", ok),
            Scenario("a POST of nothing", post + "Content-Length: 0\r\n\r\n", ok),
            Scenario(
                "a chunked POST with trailers",
                post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
                ok
            ),
            Scenario(
                "100-continue",
                post + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
                ok
            ),
            Scenario("a 204", get + "\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
            Scenario("a 304", get + "\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
            Scenario("a 500", get + "\r\n", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
            Scenario(
                "a chunked response",
                get + "\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n"
            ),
            Scenario("interim responses", get + "\r\n", "HTTP/1.1 103 Hints\r\n\r\n" + ok),
            Scenario("a malformed response", get + "\r\n", "HTTP/9.9 nothing\r\n\r\n"),
            Scenario("a malformed request", get + "Bad Name: x\r\n\r\n", ok),
            Scenario("two requests at once", get + "\r\n" + get + "\r\n", ok),
        ]
    }()

    func checkExchanges(_ views: HookProbe.Views) throws {
        log.step("open the engine")
        let scene = try Scene(self, Scene.Options(views: views))
        for scenario in Self.scenarios {
            log.step(scenario.name)
            scene.answer = scenario.answer
            try scene.request(scenario.request)
            try waitForThreads(scene)
            try expect(
                !scene.received.isEmpty || scene.isClosed,
                "\(scenario.name): the client gets no answer"
            )
        }
        log.step("an origin that refuses connections")
        for peer in 0..<scene.engine.peerCount {
            scene.cutOrigin()
            try scene.engine.setListening(false, peer: peer)
        }
        try scene.request(Self.scenarios[0].request)
        try waitForThreads(scene)
        try expect(!scene.received.isEmpty || scene.isClosed, "a 502: the client gets no answer")
        try scene.close()
    }

    /// Waits for what the plugin's threads, timers and waits do, so that the request goes on.
    func waitForThreads(_ scene: Scene) throws {
        // A minute is the host's bound for a wait, an hour that of a tunnel.
        for _ in 0..<70 where scene.received.isEmpty && !scene.isClosed {
            if scene.engine.waitCount > 0 { _ = scene.engine.wait(milliseconds: 2) }
            try scene.move()
            guard scene.received.isEmpty, !scene.isClosed else { return }
            scene.engine.advance(1_000_000_000)
            try scene.move()
        }
    }

    // MARK: Bodies

    /// A body in which no place looks like another.
    private static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: 32 + ($0 &* 7 &+ $0 / 91) % 91) }
    }

    func checkBodies() throws {
        let phases: [Phase] = [.requestBody, .upstreamBody, .responseBody]
        log.step("create an instance")
        let instance = try makeInstance()
        let hasBodyHook = phases.contains { instance.hook($0) != nil }
        instance.destroy()
        guard hasBodyHook else {
            throw ConformanceCheck.Skipped.because("the plugin has no body hooks")
        }
        for isSlow in [false, true] {
            log.step("open the engine")
            let scene = try Scene(self, Scene.Options(bufferBytes: isSlow ? 4_096 : 262_144))
            for count in [0, 1, 2, 50, 1_000, 200_000] {
                try checkRequestBody(scene, Self.pattern(count), isSlow: isSlow)
                try checkResponseBody(scene, Self.pattern(count), isSlow: isSlow)
            }
            try scene.close()
        }
    }

    /// Pieces from the whole to single bytes; small ones of small bodies only.
    private func sizes(_ count: Int) -> [Int] {
        var numbers = numbers(UInt64(count))
        let all = [
            1, 2, 3, 7, 64, 1_000, 4_096, 65_536, Int.random(in: 1...5_000, using: &numbers),
        ]
        return [max(count, 1)] + all.filter { $0 < count && count / $0 <= 2_000 }
    }

    private func checkRequestBody(_ scene: Scene, _ body: [UInt8], isSlow: Bool) throws {
        var first: [UInt8]??
        for size in sizes(body.count) {
            for isChunked in [false, true] {
                let name =
                    "a request's body of \(body.count) bytes in pieces of \(size)"
                    + (isChunked ? ", chunked" : "")
                log.step(name)
                let framing =
                    isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(body.count)"
                scene.answer = Wire.bytes(Self.ok)
                scene.answerPiece = nil
                let before = scene.arrived.count
                try scene.connect()
                scene.send(Wire.bytes("POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n"))
                try scene.move()
                let wire = isChunked ? Wire.chunked(body, piece: size) : body
                for start in stride(from: 0, to: wire.count, by: size) {
                    scene.send(Array(wire[start..<min(start + size, wire.count)]))
                    try scene.move()
                }
                try waitForThreads(scene)
                let output = scene.arrived.count > before ? scene.arrived[before] : nil
                try compare(output, &first, name)
            }
        }
    }

    private func checkResponseBody(_ scene: Scene, _ body: [UInt8], isSlow: Bool) throws {
        var first: [UInt8]??
        for size in sizes(body.count) {
            for isChunked in [false, true] {
                let name =
                    "a response's body of \(body.count) bytes in pieces of \(size)"
                    + (isChunked ? ", chunked" : "") + (isSlow ? ", to a slow client" : "")
                log.step(name)
                let framing =
                    isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(body.count)"
                let wire = isChunked ? Wire.chunked(body, piece: size) : body
                scene.answer = Wire.bytes("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n") + wire
                scene.answerPiece = size
                scene.isReading = !isSlow
                try scene.request(Wire.bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
                scene.isReading = true
                try scene.move()
                try waitForThreads(scene)
                let end = Wire.headEnd(scene.received)
                let output = end.flatMap { Wire.body(scene.received, from: $0)?.body }
                try compare(output, &first, name)
            }
        }
    }

    /// The whole body comes first; nil is a body that did not arrive.
    private func compare(_ output: [UInt8]?, _ first: inout [UInt8]??, _ name: String) throws {
        guard let whole = first else {
            first = .some(output)
            return
        }
        guard output != whole else { return }
        guard let output, let whole else {
            throw CheckFailure(
                output == nil
                    ? "\(name) does not arrive, but in one piece it does"
                    : "\(name) arrives, but in one piece it does not"
            )
        }
        let at =
            zip(output, whole).enumerated().first { $1.0 != $1.1 }?.offset
            ?? min(output.count, whole.count)
        throw CheckFailure(
            "\(name) comes out as \(output.count) bytes that differ from byte \(at) on; in one "
                + "piece it is \(whole.count) bytes"
        )
    }

    // MARK: Leaving

    func checkLeaving() throws {
        let scenarios = [Self.scenarios[0], Self.scenarios[9], Self.scenarios[11]]
        for scenario in scenarios {
            for who in ["client", "origin"] {
                log.step("open the engine")
                let scene = try Scene(self)
                var isOver = false
                var turns = 0
                while !isOver, turns < 200 {
                    log.step("\(scenario.name): the \(who) leaves after \(turns) turns")
                    scene.answer = scenario.answer
                    scene.answerPiece = 7
                    try scene.connect()
                    scene.send(scenario.request)
                    for _ in 0..<turns where !isOver { isOver = !scene.step() }
                    if who == "client" { scene.leave() } else { scene.cutOrigin() }
                    try scene.move()
                    scene.leave()
                    try scene.move()
                    turns += 1
                }
                try scene.close()
            }
        }
    }

    // MARK: Waits

    func checkWaits() throws {
        var hasWaits = false
        for how in ["its time is over", "somebody else ends it first", "its client leaves"] {
            log.step("open the engine")
            let scene = try Scene(self)
            for scenario in Self.scenarios {
                log.step("\(scenario.name): \(how)")
                scene.answer = scenario.answer
                scene.answerPiece = nil
                try scene.request(scenario.request)
                var rounds = 0
                while scene.engine.waitCount > 0, rounds < 1_000 {
                    hasWaits = true
                    rounds += 1
                    switch how {
                    case "its time is over": scene.engine.advance(61_000_000_000)
                    case "its client leaves": scene.leave()
                    default: _ = scene.engine.resumeAll(payload: 0)
                    }
                    try scene.move()
                }
                try expect(rounds < 1_000, "\(scenario.name): a request waits again and again")
                // What the plugin does to a wait that is over must do nothing.
                _ = scene.engine.wait(milliseconds: 2)
                scene.engine.advance(2_000_000_000)
                try scene.move()
            }
            if hasWaits { Sys.Process.sleep(milliseconds: 100) }
            try scene.move()
            try scene.close()
        }
        if !hasWaits { throw ConformanceCheck.Skipped.because("no hook of the plugin waited") }
    }

    // MARK: Neighbours

    func checkNeighbours() throws {
        for status in [UInt16(500), 0] {
            log.step("open the engine")
            let scene = try Scene(
                self,
                Scene.Options(hasNeighbours: true, failureStatus: status)
            )
            for phase in Phase.allCases {
                for scenario in Self.scenarios {
                    log.step("\(scenario.name): the neighbours fail in \(phase.name)")
                    Neighbour.failing.store(1 << UInt64(phase.rawValue), ordering: .relaxed)
                    scene.answer = scenario.answer
                    scene.answerPiece = nil
                    try scene.request(scenario.request)
                    try waitForThreads(scene)
                    try expect(
                        !scene.received.isEmpty || scene.isClosed,
                        "\(scenario.name): no answer when a neighbour fails in \(phase.name)"
                    )
                }
            }
            Neighbour.failing.store(0, ordering: .relaxed)
            try scene.close()
        }
    }
}

extension String {
    /// A message without the bytes behind its head.
    fileprivate func replacingBody() -> String {
        guard let end = Wire.headEnd(Array(utf8)) else { return self }
        return String(decoding: Array(utf8)[..<end], as: UTF8.self)
    }
}
