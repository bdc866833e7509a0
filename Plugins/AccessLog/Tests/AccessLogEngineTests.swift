import SluiceTestKit
import Testing

/// The built library in the real engine.
struct AccessLogEngineTests {
    private static let library = Engine.libraryPath("AccessLog")
    private let folder = Folder()

    private func engine(
        _ template: String,
        _ versions: Engine.Versions = Engine.Versions()
    ) throws -> Engine {
        let configuration: TestValue = [
            "format": "template", "template": .string(template),
            "output": ["file": .string(folder.path + "/a.log")],
        ]
        let engine = try Engine(library: Self.library, configuration, Engine.Options(versions))
        engine.origin.answer = { _ in Engine.Origin.Answer(200, body: "hello") }
        return engine
    }

    @Test(arguments: Engine.Versions.all)
    func `a line says what the client got`(versions: Engine.Versions) throws {
        let engine = try engine("$request_method $uri $status $body_bytes_sent $outcome", versions)
        #expect(try engine.request("GET", "/a?b").response?.status == 200)
        try engine.close()
        #expect(folder.lines() == ["GET /a 200 5 complete"])
    }

    @Test(arguments: Engine.Versions.all)
    func `a client that leaves has a line, too`(versions: Engine.Versions) throws {
        let engine = try engine("$uri $status $outcome", versions)
        engine.origin.answer = nil
        let exchange = try engine.request("GET", "/left")
        exchange.close()
        try engine.move()
        try engine.close()
        #expect(folder.lines() == ["/left 499 client_gone"])
    }

    @Test func `what the parser refuses has a line with its begin`() throws {
        let engine = try engine("[$request] $request_method $status $outcome $reason")
        let exchange = try engine.connect()
        exchange.send("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n")
        try engine.move()
        #expect(exchange.response?.status == 400)
        try engine.close()
        let line = try #require(folder.lines().first)
        #expect(line.hasPrefix("[GET /a b HTTP/1.1] - 400 malformed "))
        #expect(!line.hasSuffix(" -"))
        #expect(folder.lines().count == 1)
    }
}
