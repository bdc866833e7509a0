import SluiceTestKit
import Testing

/// The built library in the real engine.
struct HeadersEngineTests {
    private static let library = Engine.libraryPath("Headers")

    @Test(arguments: Engine.Versions.all)
    func `origins are told who the client is, and responses are edited`(versions: Engine.Versions)
        throws
    {
        let engine = try Engine(
            library: Self.library,
            ["response": ["remove": ["server"], "set": [["name": "x-by", "value": "{route}"]]]],
            Engine.Options(versions)
        )
        let exchange = try engine.request("GET", "/", ["X-Forwarded-For": "6.6.6.6"])
        let request = try #require(engine.origin.requests.first)
        #expect(request["x-forwarded-for"] == "192.0.2.1")
        #expect(request["x-forwarded-host"] == "example.com")
        #expect(request["x-request-id"]?.utf8.count == 32)
        try engine.origin.respond(200, ["Server": "origin"], body: "hello")
        #expect(exchange.response?["server"] == nil)
        #expect(exchange.response?["x-by"] == "routes[0]")
        #expect(exchange.response?.text == "hello")
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a retry does not name the client twice`(versions: Engine.Versions) throws {
        var options = Engine.Options(versions)
        options.upstream = ["retries": ["attempts": 2]]
        let engine = try Engine(library: Self.library, [:], options)
        // The connection of the first request is kept, and closed while the second is sent on it.
        engine.origin.answer = { _ in .init(200) }
        try engine.request()
        engine.origin.answer = nil
        let exchange = try engine.request()
        try engine.origin.closeConnections()
        try engine.origin.respond(200)
        #expect(exchange.response?.status == 200)
        for request in engine.origin.requests {
            #expect(request["x-forwarded-for"] == "192.0.2.1")
        }
        try engine.close()
    }
}
