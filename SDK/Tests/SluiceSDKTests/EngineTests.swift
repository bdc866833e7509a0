import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

/// A plugin through the real engine, with the host's library that `SLUICE_ENGINE` names.
///
/// Left out where there is none: the SDK is also tested by itself.
@Suite(.enabled(if: Engine.isAvailable), .serialized)
struct EngineTests {
    private static func open(
        _ configuration: TestValue = [:],
        _ versions: Engine.Versions = Engine.Versions(),
        upstream: [String: TestValue] = [:]
    ) throws -> Engine {
        var options = Engine.Options(versions)
        options.upstream = upstream
        return try Engine(hello: { Export<Marker>.hello($0, $1) }, configuration, options)
    }

    @Test(arguments: Engine.Versions.all)
    func `a request passes the plugin on its way to the origin and back`(versions: Engine.Versions)
        throws
    {
        let engine = try Self.open([:], versions)
        let exchange = try engine.request("POST", "/a", ["x-a": "b"], body: .pieces(["he", "y"]))
        let request = try #require(engine.origin.requests.first)
        #expect(request.path == "/a")
        #expect(request["x-a"] == "b")
        #expect(request["x-marked"] == "192.0.2.1")
        #expect(request.text == "hey")
        #expect(exchange.response == nil)
        try engine.origin.respond(201, ["x-o": "p"], body: .chunks(["one ", "two"]))
        #expect(exchange.response?.status == 201)
        #expect(exchange.response?["x-o"] == "p")
        #expect(exchange.response?.text == "one two")
        #expect(engine.counts.calls["request_headers"] == 1)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `time passes only when the test says so`(versions: Engine.Versions) throws {
        let engine = try Self.open([:], versions, upstream: ["timeouts": ["first_byte": "5s"]])
        let exchange = try engine.request()
        try engine.advance(.milliseconds(4_900))
        #expect(exchange.response == nil)
        try engine.advance(.milliseconds(200))
        #expect(exchange.response?.status == 504)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `an origin refuses, closes, and answers by itself`(versions: Engine.Versions) throws {
        let engine = try Self.open([:], versions)
        engine.origin.setListening(false)
        #expect(try engine.request().response?.status == 502)
        engine.origin.setListening(true)
        let cut = try engine.request()
        try engine.origin.respond(
            raw: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            closes: true
        )
        #expect(cut.partialResponse?.text == "short")
        #expect(cut.isClosed)
        #expect(cut.response == nil)
        engine.origin.answer = { .init(200, body: .pieces([$0.path])) }
        #expect(try engine.request("GET", "/again").response?.text == "/again")
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a body arrives the same in every chunking`(versions: Engine.Versions) throws {
        let engine = try Self.open([:], versions)
        let body = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try engine.everyChunking(of: body, ofResponse: false) == body)
        #expect(try engine.everyChunking(of: body, ofResponse: true) == body)
        try engine.close()
    }

    @Test func `a refused configuration says why`() throws {
        #expect(throws: Engine.Failure.self) { try Self.open(["mark": 5]) }
        // And the next one has its turn.
        try Self.open(["mark": "x-other"]).close()
    }

    @Test func `a second engine of a thread is refused in place of waiting for ever`() throws {
        let engine = try Self.open()
        #expect(throws: Engine.Failure.self) { try Self.open() }
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `what a client leaves behind is gone at the end`(versions: Engine.Versions) throws {
        let engine = try Self.open([:], versions)
        let exchange = try engine.connect()
        exchange.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhal")
        try engine.move()
        #expect(engine.origin.partialRequest?.text == "hal")
        #expect(engine.counts.connections == 1)
        exchange.close()
        try engine.move()
        #expect(engine.counts.connections == 0)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a wait ends by the clock, or by whoever is first`(versions: Engine.Versions) throws {
        let engine = try Self.open(["waits": 300], versions)
        let late = try engine.request()
        #expect(engine.counts.waiting == 1)
        try engine.advance(.milliseconds(290))
        #expect(engine.origin.requests.isEmpty)
        try engine.advance(.milliseconds(30))
        #expect(engine.origin.requests.first?["x-marked"] == "deadline")
        try engine.origin.respond(200)
        #expect(try engine.resumeAll() == 1)
        #expect(late.response?["x-marked"] == "resumed")
        #expect(engine.counts.resumptions == 2)
        #expect(try engine.resumeAll() == 0)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `clients leave at every wait of a scenario`(versions: Engine.Versions) throws {
        let rounds = try Engine.cancelEverywhere {
            try Self.open(["waits": 300], versions)
        } _: { engine in
            let exchange = try engine.request()
            try engine.resumeAll()
            try engine.origin.respond(200)
            try engine.resumeAll()
            if !exchange.hasLeft { #expect(exchange.response?.status == 200) }
        }
        #expect(rounds == 2)
    }

    @Test(arguments: Engine.Versions.all)
    func `a scenario without a wait is run once`(versions: Engine.Versions) throws {
        let rounds = try Engine.cancelEverywhere {
            try Self.open([:], versions)
        } _: { engine in
            try engine.request()
            try engine.origin.respond(200)
        }
        #expect(rounds == 0)
    }
}

/// Marks requests with the client's address, and lets heads wait.
struct Marker: RequestHeadersHook, ResponseHeadersHook, ResumedHook {
    static let id: StaticString = "test.marker"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Marks requests."

    private let mark: FieldName
    private let waits: Int

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(["mark", "waits"])
        mark = try FieldName(named: try configuration.string("mark") ?? "x-marked")
        waits = try configuration.integer("waits", in: 0...60_000) ?? 0
    }

    func requestHeaders(_ exchange: borrowing Exchange<Marker>) -> Verdict {
        exchange.edits.set(mark, exchange.facts.clientAddress)
        return wait(exchange)
    }

    func responseHeaders(_ exchange: borrowing Exchange<Marker>) -> Verdict { wait(exchange) }

    func resumed(_ exchange: borrowing Exchange<Marker>) -> Verdict {
        let isDeadline = exchange.resumeReason == .deadline
        exchange.edits.set(mark, isDeadline ? "deadline" : "resumed")
        return .next
    }

    private func wait(_ exchange: borrowing Exchange<Marker>) -> Verdict {
        guard waits > 0 else { return .next }
        let time = UInt64(waits) * 1_000_000
        guard (try? exchange.suspend(nanoseconds: time)) != nil else { return .error }
        return .suspend
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
        offer.resumed = { Export<Self>.resumed($0, $1, $2, $3, $4) }
    }
}
