import SluiceTestKit
import Testing

/// The built library in the real engine, with its clock.
struct CacheEngineTests {
    private func engine(
        _ versions: Engine.Versions,
        _ members: [String: TestValue] = [:]
    ) throws -> Engine {
        var configuration: [String: TestValue] = [
            "memory": "8MiB", "purge": ["allow": ["192.0.2.1"]],
        ]
        for (name, value) in members { configuration[name] = value }
        return try Engine(
            library: Engine.libraryPath("Cache"),
            .object(configuration),
            Engine.Options(versions)
        )
    }

    private func isHit(_ exchange: Engine.Exchange) -> Bool {
        exchange.response?["cache-status"]?.contains("; hit") == true
    }

    @Test(arguments: Engine.Versions.all)
    func `a miss is stored, and hits have its bytes and its age`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(versions)
        let body = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
        let first = try engine.request("GET", "/a")
        try engine.origin.respond(200, ["Cache-Control": "max-age=60"], body: .bytes(body))
        #expect(first.response?["cache-status"] == "Sluice; fwd=uri-miss; fwd-status=200; stored")
        try engine.advance(.seconds(7))
        for _ in 0..<2 {
            let hit = try engine.request("GET", "/a")
            #expect(isHit(hit))
            #expect(hit.response?["age"] == "7")
            #expect(hit.response?.body == body)
        }
        let other = try engine.request("GET", "/b")
        #expect(other.response == nil)
        try engine.origin.respond(200, ["Cache-Control": "no-store"], body: "b")
        #expect(engine.origin.requests.count == 2)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `what is stale is validated, and a 304 makes it fresh`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(versions)
        let stored: KeyValuePairs = ["Cache-Control": "max-age=60", "ETag": "\"1\""]
        try engine.request("GET", "/a")
        try engine.origin.respond(200, stored, body: "one")
        try engine.advance(.seconds(61))
        let stale = try engine.request("GET", "/a")
        #expect(stale.response == nil)
        #expect(engine.origin.requests.last?["if-none-match"] == "\"1\"")
        try engine.origin.respond(304, stored, body: .none)
        #expect(stale.response?.status == 200)
        #expect(stale.response?.text == "one")
        #expect(isHit(try engine.request("GET", "/a")))
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `many ask at once, and the origin is asked once`(versions: Engine.Versions) throws {
        let engine = try engine(versions)
        let clients = try (0..<5).map { _ in try engine.request("GET", "/a") }
        #expect(engine.origin.requests.count == 1)
        try engine.origin.respond(200, ["Cache-Control": "max-age=60"], body: "one")
        for client in clients { #expect(client.response?.text == "one") }
        #expect(engine.origin.requests.count == 1)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a body that outgrows the bound is whole for all who read along`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(versions, ["max_object": "100KiB"])
        let body = [UInt8]((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 11) })
        let clients = try (0..<3).map { _ in try engine.request("GET", "/a") }
        try engine.origin.respond(
            200,
            ["Cache-Control": "max-age=60"],
            body: .split(body, size: 10_007, isChunked: true)
        )
        for client in clients { #expect(client.response?.body == body) }
        #expect(engine.origin.requests.count == 1)
        // The next ones know that it can't be stored.
        let next = try (0..<2).map { _ in try engine.request("GET", "/a") }
        #expect(engine.origin.requests.count == 3)
        for _ in next {
            try engine.origin.respond(200, ["Cache-Control": "max-age=60"], body: "small")
        }
        #expect(isHit(try engine.request("GET", "/a")))
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a purge makes the next request a miss`(versions: Engine.Versions) throws {
        let engine = try engine(versions)
        engine.origin.answer = { _ in
            Engine.Origin.Answer(200, ["Cache-Control": "max-age=60"], body: "one")
        }
        try engine.request("GET", "/a")
        try engine.request("GET", "/b")
        #expect(try engine.request("PURGE", "/a").response?.status == 200)
        #expect(try engine.request("PURGE", "/c").response?.status == 404)
        #expect(!isHit(try engine.request("GET", "/a")))
        #expect(isHit(try engine.request("GET", "/a")))
        #expect(isHit(try engine.request("GET", "/b")))
        #expect(engine.origin.requests.count == 3)
        try engine.close()
    }
}
