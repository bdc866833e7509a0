import SluiceTestKit
import Testing

/// The built library in the real engine, with its clock.
struct RateLimitEngineTests {
    private static let library = Engine.libraryPath("RateLimit")

    private func engine(
        _ rule: TestValue,
        _ versions: Engine.Versions,
        answers: Bool = true
    ) throws -> Engine {
        let engine = try Engine(library: Self.library, ["rules": [rule]], Engine.Options(versions))
        if answers { engine.origin.answer = { _ in Engine.Origin.Answer(200, body: "ok") } }
        return engine
    }

    private func status(_ engine: Engine) throws -> Int? {
        try engine.request("GET", "/").response?.status
    }

    @Test(arguments: Engine.Versions.all)
    func `a refused client is told when to come back, and is right then`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(
            ["name": "a", "algorithm": "token_bucket", "limit": 2, "burst": 1],
            versions
        )
        #expect(try status(engine) == 200)
        let refused = try engine.request("GET", "/")
        #expect(refused.response?.status == 429)
        #expect(refused.response?["retry-after"] == "1")
        #expect(refused.response?["ratelimit"] == "\"a\";r=0;t=1")
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
                "name": "a", "algorithm": "token_bucket", "limit": 10, "burst": 1, "delay": "1s",
                "queue": 1,
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
            ["name": "c", "algorithm": "concurrency", "limit": 1],
            versions,
            answers: false
        )
        let first = try engine.request("GET", "/")
        #expect(try status(engine) == 429)
        first.close()
        try engine.move()
        for _ in 0..<2 {
            let next = try engine.request("GET", "/")
            #expect(next.response == nil)
            try engine.origin.respond(200, body: "ok")
            #expect(next.response?.status == 200)
        }
        try engine.close()
    }
}
