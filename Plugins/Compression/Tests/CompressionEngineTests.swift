import SluiceTestKit
import Testing

/// The built library in the real engine.
struct CompressionEngineTests {
    private static let library = Engine.libraryPath("Compression")

    @Test(arguments: Engine.Versions.all)
    func `responses are encoded, and sent without a length`(versions: Engine.Versions) throws {
        let engine = try Engine(
            library: Self.library,
            ["encodings": ["gzip"]],
            Engine.Options(versions)
        )
        let body = String(repeating: "a line of text\n", count: 1_000)
        let exchange = try engine.request("GET", "/", ["Accept-Encoding": "gzip"])
        try engine.origin.respond(200, ["Content-Type": "text/plain"], body: .pieces([body]))
        let response = try #require(exchange.response)
        #expect(response["content-encoding"] == "gzip")
        #expect(response["content-length"] == nil)
        #expect(response.isComplete)
        #expect(response.body.starts(with: [0x1F, 0x8B]))
        #expect(response.body.count < 1_000)
        let other = try engine.request()
        try engine.origin.respond(200, ["Content-Type": "text/plain"], body: .pieces([body]))
        #expect(other.response?.text == body)
        #expect(other.response?["vary"] == "Accept-Encoding")
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a request that is no gzip is refused`(versions: Engine.Versions) throws {
        let engine = try Engine(
            library: Self.library,
            ["decode_requests": true],
            Engine.Options(versions)
        )
        let exchange = try engine.request(
            "POST",
            "/",
            ["Content-Encoding": "gzip"],
            body: "hello"
        )
        #expect(exchange.response?.status == 400)
        let unknown = try engine.request("POST", "/", ["Content-Encoding": "x"], body: "hello")
        #expect(unknown.response?.status == 415)
        try engine.close()
    }
}
