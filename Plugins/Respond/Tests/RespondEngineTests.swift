import SluiceTestKit
import Testing

/// The built library in the real engine.
struct RespondEngineTests {
    private static let library = Engine.libraryPath("Respond")

    @Test(arguments: Engine.Versions.all)
    func `an answer needs no origin and keeps the connection`(versions: Engine.Versions) throws {
        let engine = try Engine(
            library: Self.library,
            ["status": 203, "body": "hi\n"],
            Engine.Options(versions)
        )
        let exchange = try engine.connect()
        exchange.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        try engine.move()
        #expect(exchange.response?.status == 203)
        #expect(exchange.response?.text == "hi\n")
        let text = String(decoding: exchange.bytes, as: UTF8.self)
        #expect(text.components(of: "HTTP/1.1 203") == 2)
        #expect(text.components(of: "hi\n") == 1)
        #expect(!exchange.isClosed)
        #expect(engine.origin.requests.isEmpty)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a body that nobody wants is read and thrown away`(versions: Engine.Versions) throws {
        let engine = try Engine(
            library: Self.library,
            ["body": "hi\n"],
            Engine.Options(versions)
        )
        let exchange = try engine.request("POST", "/", body: .chunks(["some", "thing"]))
        #expect(exchange.response?.text == "hi\n")
        #expect(!exchange.isClosed)
        try engine.close()
    }
}

extension String {
    /// How often a text is in this one.
    fileprivate func components(of text: String) -> Int {
        let all = Array(utf8)
        let part = Array(text.utf8)
        guard all.count >= part.count else { return 0 }
        return (0...all.count - part.count)
            .filter { all[$0..<$0 + part.count].elementsEqual(part) }.count
    }
}
