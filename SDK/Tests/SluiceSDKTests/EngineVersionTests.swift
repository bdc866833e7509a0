import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

/// The same tests, and the same picture for the plugin, whatever the proxy speaks on its two sides.
@Suite(.enabled(if: Engine.isAvailable), .serialized)
struct EngineVersionTests {
    private static func open(
        _ versions: Engine.Versions,
        listener: [String: TestValue] = [:],
        upstream: [String: TestValue] = [:]
    ) throws -> Engine {
        var options = Engine.Options(versions)
        options.listener = listener
        options.upstream = upstream
        return try Engine(hello: { Export<Witness>.hello($0, $1) }, [:], options)
    }

    /// A client's text and an origin's.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var request = "GET /a?b=c HTTP/1.1\r\nHost: test\r\nX-A: b\r\n\r\n"
        var response = "HTTP/1.1 200 OK\r\nX-O: p\r\nContent-Length: 5\r\n\r\nhello"
        var isHead = false
        var originCloses = false
        var clientLeaves = false
    }

    private static let post = "POST / HTTP/1.1\r\nHost: test\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\n"
    private static let chunks = "4\r\nsome\r\n5\r\nthing\r\n0\r\n"

    static let cases = [
        Case(testDescription: "a request without a body"),
        Case(testDescription: "a body", request: post + "Content-Length: 3\r\n\r\nhey"),
        Case(
            testDescription: "an empty body",
            request: post + "Content-Length: 0\r\n\r\n",
            response: ok + "Content-Length: 0\r\n\r\n"
        ),
        Case(
            testDescription: "chunks",
            request: post + "Transfer-Encoding: chunked\r\n\r\n\(chunks)\r\n",
            response: ok + "Transfer-Encoding: chunked\r\n\r\n\(chunks)\r\n"
        ),
        Case(
            testDescription: "trailers",
            request: post + "TE: trailers\r\nConnection: te\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunks + "X-Sum: 1\r\n\r\n",
            response: ok + "Transfer-Encoding: chunked\r\n\r\n\(chunks)X-Sum: 2\r\nX-Two: 3\r\n\r\n"
        ),
        Case(
            testDescription: "a body up to the end of the connection",
            response: ok + "\r\nsome",
            originCloses: true
        ),
        Case(
            testDescription: "HEAD",
            request: "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n",
            response: ok + "Content-Length: 5\r\n\r\n",
            isHead: true
        ),
        Case(testDescription: "no content", response: "HTTP/1.1 204 No Content\r\n\r\n"),
        Case(
            testDescription: "an interim response",
            response: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok
                + "Content-Length: 2\r\n\r\nok"
        ),
        Case(
            testDescription: "an origin that breaks off",
            response: ok + "Content-Length: 9\r\n\r\nsome",
            originCloses: true
        ),
        Case(testDescription: "an origin that gives up", response: "", originCloses: true),
        Case(testDescription: "a client that leaves", clientLeaves: true),
        Case(
            testDescription: "a client that leaves in its body",
            request: post + "Content-Length: 9\r\n\r\nsome",
            clientLeaves: true
        ),
    ]

    /// What the plugin was shown, and what the two sides of the test were.
    private struct Picture {
        var seen: [String] = []
        var asked: [String] = []
        var answered: [String] = []
        var hasClosed = false
    }

    private static func picture(_ scene: Case, _ versions: Engine.Versions) throws -> Picture {
        let engine = try open(versions, upstream: ["retries": ["attempts": 1]])
        let exchange = try engine.connect(isHead: scene.isHead)
        exchange.send(scene.request)
        try engine.move()
        var picture = Picture()
        if scene.clientLeaves {
            exchange.close()
            try engine.move()
        } else {
            let request = try #require(engine.origin.requests.first)
            picture.asked = lines(request)
            try engine.origin.respond(raw: scene.response, closes: scene.originCloses)
            let response = try #require(exchange.partialResponse)
            // The proxy's own Date is of the second in which it is made.
            picture.answered = lines(response).filter { !$0.hasPrefix("date: ") }
            // In HTTP/1.1 a response may end the connection, which HTTP/2 has not.
            picture.hasClosed = response.isComplete ? false : exchange.isClosed
        }
        picture.seen = engine.log.split(separator: "\n").compactMap { line in
            line.components(behind: "saw ").map { String($0) }
        }
        try engine.close()
        return picture
    }

    /// All that the two versions have in common.
    private static func lines(_ message: EngineMessage) -> [String] {
        // Framing, what belongs to a connection, and the field that names the version.
        let left: Set = ["transfer-encoding", "content-length", "connection", "te", "x-version"]
        let start = message.startLine.split(separator: " ")[..<2].joined(separator: " ")
        return [start, message.text, "\(message.isComplete)"]
            + message.fields.filter { !left.contains($0.name) }
            .map { "\($0.name): \($0.value)" }.sorted()
            + message.trailers.map { "trailer \($0.name): \($0.value)" }
    }

    @Test(arguments: cases)
    func `a plugin sees the same picture over both versions`(scene: Case) throws {
        let first = try Self.picture(scene, Engine.Versions())
        #expect(first.seen.first?.hasPrefix("request_headers") == true)
        #expect(first.seen.last?.hasPrefix("request_end") == true)
        for versions in Engine.Versions.all.dropFirst() {
            let other = try Self.picture(scene, versions)
            #expect(other.seen == first.seen, "\(versions)")
            #expect(other.asked == first.asked, "\(versions)")
            #expect(other.answered == first.answered, "\(versions)")
            #expect(other.hasClosed == first.hasClosed, "\(versions)")
        }
    }

    @Test(arguments: Engine.Versions.all)
    func `a plugin is told what the client speaks`(versions: Engine.Versions) throws {
        let engine = try Self.open(versions)
        try engine.request()
        let version = versions.client == .http2 ? "20" : "11"
        #expect(engine.origin.requests.first?["x-version"] == version)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a client that takes nothing holds the origin up`(versions: Engine.Versions) throws {
        let engine = try Self.open(versions)
        let exchange = try engine.request()
        exchange.isReading = false
        let body = [UInt8](repeating: 0x78, count: 4_000_000)
        try engine.origin.respond(200, body: .bytes(body))
        #expect(engine.counts.calls["request_end"] == nil)
        #expect(exchange.bytes.isEmpty)
        exchange.isReading = true
        try engine.move()
        #expect(exchange.response?.body.count == body.count)
        #expect(engine.counts.calls["request_end"] == 1)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `clients that wait together are answered one by one`(versions: Engine.Versions) throws {
        let engine = try Self.open(versions)
        let exchanges = try (0..<5).map { try engine.request("GET", "/\($0)") }
        #expect(engine.origin.requests.map(\.path) == (0..<5).map { "/\($0)" })
        for (index, exchange) in exchanges.enumerated() {
            #expect(exchange.response == nil)
            try engine.origin.respond(200, body: .pieces(["\(index)"]))
            #expect(exchange.response?.text == "\(index)")
        }
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `an origin that closes its connections is asked again on new ones`(
        versions: Engine.Versions
    ) throws {
        let engine = try Self.open(versions)
        engine.origin.answer = { _ in .init(200) }
        for _ in 0..<3 {
            #expect(try engine.request().response?.status == 200)
            try engine.origin.closeConnections()
        }
        #expect(engine.origin.requests.count == 3)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `an origin that leaves one request answers the others`(
        versions: Engine.Versions
    ) throws {
        let engine = try Self.open(versions, upstream: ["retries": ["attempts": 1]])
        let exchanges = try (0..<3).map { try engine.request("GET", "/\($0)") }
        try engine.origin.respond(raw: "", closes: true)
        #expect(exchanges[0].response?.status == 502)
        for exchange in exchanges.dropFirst() {
            #expect(exchange.response == nil)
            try engine.origin.respond(200)
            #expect(exchange.response?.status == 200)
        }
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a client that sends no more has its answer`(versions: Engine.Versions) throws {
        let engine = try Self.open(versions)
        let exchange = try engine.request("POST", "/", body: "hey")
        exchange.finish()
        try engine.move()
        try engine.origin.respond(200, body: "hello")
        #expect(exchange.response?.text == "hello")
        #expect(exchange.isClosed)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a client's requests follow each other on a connection`(
        versions: Engine.Versions
    ) throws {
        let engine = try Self.open(versions)
        engine.origin.answer = { .init(200, body: .pieces([$0.path])) }
        let exchange = try engine.connect()
        let head = " HTTP/1.1\r\nHost: a\r\n\r\n"
        exchange.send("GET /1\(head)GET /2\(head)")
        try engine.move()
        #expect(engine.origin.requests.map(\.path) == ["/1", "/2"])
        #expect(String(decoding: exchange.bytes, as: UTF8.self).hasSuffix("/2"))
        #expect(engine.counts.connections == 1)
        try engine.close()
    }

    // MARK: What is of HTTP/1.1 alone

    @Test func `text that HTTP/2 has no form for is a failure of the test`() throws {
        let engine = try Self.open(Engine.Versions(client: .http2))
        let exchange = try engine.connect()
        exchange.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        let failure = #expect(throws: Engine.Failure.self) { try engine.move() }
        let line = "the test's text cannot be sent over HTTP/2: HTTP/1.0 is another version"
        #expect(failure?.description == line)
        try engine.close()
        let other = try Self.open(Engine.Versions(origin: .http2))
        try other.request()
        let refused = #expect(throws: Engine.Failure.self) {
            try other.origin.respond(raw: "HTTP/1.1 200 OK\nX: y\n\n")
        }
        #expect(
            refused?.description.hasPrefix("the test's text cannot be sent over HTTP/2") == true
        )
        try other.close()
    }

    @Test func `a manifest without HTTP/2 is refused`() throws {
        let client = #expect(throws: Engine.Failure.self) {
            try Self.open(Engine.Versions(client: .http2), listener: ["protocols": ["h1"]])
        }
        let line = "listener 127.0.0.1:8080: clients that speak HTTP/2 need \"h2c\" in protocols"
        #expect(client?.description == line)
        let origin = #expect(throws: Engine.Failure.self) {
            try Self.open(Engine.Versions(origin: .http2), upstream: ["protocol": "h1"])
        }
        #expect(
            origin?.description
                == "upstream app: peers that speak HTTP/2 need protocol \"h2c\""
        )
        // Neither has kept the next one from its turn.
        try Self.open(Engine.Versions()).close()
    }
}

extension Substring {
    /// What follows a text.
    fileprivate func components(behind text: String) -> Substring? {
        let (all, part) = (Array(utf8), Array(text.utf8))
        guard all.count >= part.count else { return nil }
        return (0...all.count - part.count)
            .first { all[$0..<$0 + part.count].elementsEqual(part) }
            .map { Substring(String(decoding: all[($0 + part.count)...], as: UTF8.self)) }
    }
}

/// Writes down all that it is shown of an exchange.
struct Witness: RequestHeadersHook, RequestBodyHook, ResponseHeadersHook, ResponseBodyHook,
    LocalReplyHook, RequestEndHook
{
    static let id: StaticString = "test.witness"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Writes down what it sees."

    struct Context: BitwiseCopyable {
        var requestBytes = 0
        var responseBytes = 0
    }

    private let host: Host
    private let mark: FieldName

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
        mark = try FieldName(named: "x-version")
    }

    func requestHeaders(_ exchange: borrowing Exchange<Witness>) -> Verdict {
        let fields = exchange.fields
        saw("request_headers \(String(fields.method)) \(String(fields.target))", fields)
        exchange.edits.set(mark, "\(exchange.facts.httpVersion)" == "20" ? "20" : "11")
        return .next
    }

    func requestBody(_ exchange: borrowing Exchange<Witness>) -> Verdict {
        exchange.context.requestBytes += exchange.chunk.data.count
        if exchange.chunk.isEnd {
            saw("request_body \(exchange.context.requestBytes)", exchange.chunk.trailers)
        }
        return .next
    }

    func responseHeaders(_ exchange: borrowing Exchange<Witness>) -> Verdict {
        saw("response_headers \(exchange.facts.status)", exchange.fields)
        return .next
    }

    func responseBody(_ exchange: borrowing Exchange<Witness>) -> Verdict {
        exchange.context.responseBytes += exchange.chunk.data.count
        if exchange.chunk.isEnd {
            saw("response_body \(exchange.context.responseBytes)", exchange.chunk.trailers)
        }
        return .next
    }

    func localReply(_ exchange: borrowing Exchange<Witness>) -> Verdict {
        saw("local_reply \(exchange.facts.status)", exchange.fields)
        return .next
    }

    func requestEnd(_ exchange: borrowing Exchange<Witness>) {
        let facts = exchange.facts
        saw("request_end status=\(facts.status) outcome=\(facts.outcome)", nil)
    }

    private func saw(_ text: String, _ fields: Fields?) {
        var line = "saw " + text
        if let fields {
            for field in fields { line += " \(String(field.name)):\(String(field.value))" }
        }
        host.log(.info) { line }
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.requestBody = { Export<Self>.requestBody($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
        offer.responseBody = { Export<Self>.responseBody($0, $1, $2, $3, $4) }
        offer.localReply = { Export<Self>.localReply($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<Self>.requestEnd($0, $1, $2, $3, $4) }
    }
}
