import SluiceTestKit
import Testing

/// The built library in the real engine, with its clock.
struct RateLimitEngineTests {
    private static let library = Engine.libraryPath("RateLimit")

    /// Tables of the host belong to the process: each test has a rule of its own.
    private func engine(
        _ rule: [String: TestValue],
        _ versions: Engine.Versions
    ) throws -> Engine {
        let rules: TestValue = [.object(rule)]
        let engine = try Engine(library: Self.library, ["rules": rules], Engine.Options(versions))
        engine.origin.answer = { _ in Engine.Origin.Answer(200, body: "ok") }
        return engine
    }

    private func name(_ name: String, _ versions: Engine.Versions) -> TestValue {
        .string("\(name)-\(versions.client)-\(versions.origin)")
    }

    private func status(_ engine: Engine) throws -> Int? {
        try engine.request("GET", "/").response?.status
    }

    @Test(arguments: Engine.Versions.all)
    func `a refused client is told when to come back, and is right then`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(
            ["name": name("back", versions), "algorithm": "token_bucket", "limit": 2, "burst": 1],
            versions
        )
        #expect(try status(engine) == 200)
        let refused = try engine.request("GET", "/")
        #expect(refused.response?.status == 429)
        #expect(refused.response?["retry-after"] == "1")
        #expect(refused.response?["ratelimit"]?.hasSuffix("\";r=0;t=1") == true)
        try engine.advance(.seconds(1))
        #expect(try status(engine) == 200)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a client that leaves while it waits gives its place back`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(
            [
                "name": name("leaves", versions), "algorithm": "token_bucket", "limit": 10,
                "burst": 1, "delay": "1s", "queue": 1,
            ],
            versions
        )
        #expect(try status(engine) == 200)
        let waiting = try engine.request("GET", "/")
        #expect(waiting.response == nil)
        #expect(try status(engine) == 429)
        waiting.close()
        try engine.move()
        let next = try engine.request("GET", "/")
        #expect(next.response == nil)
        // The one that left has used its turn up: this one's comes behind it.
        try engine.advance(.milliseconds(150))
        #expect(next.response == nil)
        try engine.advance(.milliseconds(100))
        #expect(next.response?.status == 200)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `requests under way make room however they end`(versions: Engine.Versions) throws {
        let engine = try engine(
            ["name": name("under", versions), "algorithm": "concurrency", "limit": 1],
            versions
        )
        engine.origin.answer = nil
        let first = try engine.request("GET", "/")
        #expect(try status(engine) == 429)
        first.close()
        try engine.move()
        engine.origin.answer = { _ in Engine.Origin.Answer(200, body: "ok") }
        #expect(try status(engine) == 200)
        #expect(try status(engine) == 200)
        try engine.close()
    }
}
