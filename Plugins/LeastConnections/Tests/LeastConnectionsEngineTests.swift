import SluiceTestKit
import Testing

/// The built library in the real engine, whose host counts the requests.
struct LeastConnectionsEngineTests {
    private static func open(
        _ configuration: TestValue,
        peers: Int,
        _ versions: Engine.Versions
    ) throws -> Engine {
        var options = Engine.Options(versions)
        options.isBalancer = true
        options.peers = peers
        return try Engine(library: Engine.libraryPath("LeastConnections"), configuration, options)
    }

    /// Twenty probes in a row went wrong.
    private struct Uneven: Error {}

    /// Two peers that are measured, with a request at each.
    ///
    /// One pick in 32 is a probe, which may go to the peer that has one already: begun anew then.
    private static func openWithOneEach(
        _ method: String,
        _ body: EngineBody,
        _ versions: Engine.Versions
    ) throws -> Engine {
        for _ in 0..<20 {
            let engine = try open(["measure": "latency"], peers: 2, versions)
            for _ in 0..<2 { try engine.request(method, "/", body: body) }
            if engine.origins.map(\.requests.count) == [1, 1] { return engine }
            try engine.close()
        }
        throw Uneven()
    }

    @Test(arguments: Engine.Versions.all)
    func `requests that wait are spread evenly`(versions: Engine.Versions) throws {
        let engine = try Self.open(["choices": "all"], peers: 4, versions)
        for _ in 0..<12 { try engine.request() }
        #expect(engine.origins.map(\.requests.count) == [3, 3, 3, 3])
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a peer whose requests hang gets no more of them than the rest`(versions: Engine.Versions)
        throws
    {
        let engine = try Self.open([:], peers: 2, versions)
        engine.origins[1].answer = { _ in .init(200) }
        for _ in 0..<40 { try engine.request() }
        // One waits there, and whoever is idle is less busy.
        #expect(engine.origins[0].requests.count == 1)
        #expect(engine.origins[1].requests.count == 39)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `the host measures how long peers take`(versions: Engine.Versions) throws {
        let engine = try Self.openWithOneEach("GET", .none, versions)
        try engine.advance(.milliseconds(10))
        try engine.origins[0].respond(200)
        try engine.advance(.seconds(10))
        try engine.origins[1].respond(200)
        // All of them wait at once: 20 times 10 ms is less than 10 s. The others are probes.
        for _ in 0..<20 { try engine.request() }
        #expect(engine.origins[0].requests.count > 14)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a request with a body does not count for the time`(versions: Engine.Versions) throws {
        let engine = try Self.openWithOneEach("POST", "x", versions)
        try engine.advance(.milliseconds(10))
        try engine.origins[0].respond(200)
        try engine.advance(.seconds(10))
        try engine.origins[1].respond(200)
        // Not measured, so they are compared by their requests.
        for _ in 0..<20 { try engine.request() }
        #expect(engine.origins.allSatisfy { $0.requests.count > 5 })
        try engine.close()
    }
}
