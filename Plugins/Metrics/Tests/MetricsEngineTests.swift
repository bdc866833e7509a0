import SluiceTestKit
import Testing

/// The built library in the real engine.
struct MetricsEngineTests {
    private static let library = Engine.libraryPath("Metrics")

    @Test(arguments: Engine.Versions.all)
    func `metrics are served, and other requests go to the origin`(
        versions: Engine.Versions
    ) throws {
        let engine = try Engine(library: Self.library, [:], Engine.Options(versions))
        let exchange = try engine.connect()
        exchange.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try engine.wait { exchange.response != nil })
        #expect(exchange.response?.status == 200)
        #expect(exchange.response?["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        let text = try #require(exchange.response?.text)
        #expect(text.contains("\n# TYPE sluice_plugin_images gauge\n"))
        #expect(text.hasSuffix("\n"))
        #expect(engine.origin.requests.isEmpty)
        let other = try engine.request("GET", "/other")
        try engine.origin.respond(200)
        #expect(other.response?.status == 200)
        #expect(engine.origin.requests.count == 1)
        try engine.close()
    }

    @Test func `a client that leaves takes its text with it`() throws {
        let engine = try Engine(library: Self.library, ["scrapes": 1], Engine.Options())
        for _ in 0..<20 {
            let gone = try engine.connect()
            gone.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            try engine.move()
            gone.close()
            try engine.move()
        }
        let exchange = try engine.connect()
        exchange.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try engine.wait { exchange.response != nil })
        #expect(exchange.response?.status == 200)
        try engine.close()
    }
}
