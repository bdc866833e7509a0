import SluiceTestKit
import Testing

/// The built library in the real engine.
struct RoundRobinEngineTests {
    private static func open(weights: [Int], _ versions: Engine.Versions) throws -> Engine {
        var options = Engine.Options(versions)
        options.isBalancer = true
        options.peers = weights.count
        options.peer = weights.map { ["weight": .integer($0)] }
        let engine = try Engine(library: Engine.libraryPath("RoundRobin"), [:], options)
        for origin in engine.origins { origin.answer = { _ in .init(200) } }
        return engine
    }

    @Test(arguments: Engine.Versions.all)
    func `peers take turns by weight`(versions: Engine.Versions) throws {
        let engine = try Self.open(weights: [3, 1], versions)
        for _ in 0..<40 { #expect(try engine.request().response?.status == 200) }
        #expect(engine.origins.map(\.requests.count) == [30, 10])
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a peer that refuses connections is gone around`(versions: Engine.Versions) throws {
        let engine = try Self.open(weights: [1, 1, 1], versions)
        engine.origins[1].setListening(false)
        for _ in 0..<12 { #expect(try engine.request().response?.status == 200) }
        #expect(engine.origins[1].requests.isEmpty)
        #expect(engine.origins[0].requests.count + engine.origins[2].requests.count == 12)
        engine.origins[1].setListening(true)
        for _ in 0..<12 { try engine.request() }
        #expect(!engine.origins[1].requests.isEmpty)
        try engine.close()
    }
}
