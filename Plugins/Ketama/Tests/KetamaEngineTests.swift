import SluiceTestKit
import Testing

/// The built library in the real engine, named as the upstream's balancer and nowhere else.
struct KetamaEngineTests {
    private static func open(
        _ configuration: TestValue,
        _ versions: Engine.Versions
    ) throws -> Engine {
        var options = Engine.Options(versions)
        options.isBalancer = true
        options.peers = 5
        let engine = try Engine(library: Engine.libraryPath("Ketama"), configuration, options)
        for origin in engine.origins { origin.answer = { _ in .init(200) } }
        return engine
    }

    private static func peer(of engine: Engine, _ target: String) throws -> Int? {
        let before = engine.origins.map(\.requests.count)
        #expect(try engine.request("GET", target).response?.status == 200)
        return zip(before, engine.origins).enumerated()
            .first { $0.element.0 != $0.element.1.requests.count }?.offset
    }

    @Test(arguments: Engine.Versions.all)
    func `requests of one key meet one peer`(versions: Engine.Versions) throws {
        let engine = try Self.open(["key": "query:k"], versions)
        var peers: Set<Int> = []
        for number in 0..<20 {
            let first = try #require(try Self.peer(of: engine, "/a?k=\(number)"))
            #expect(try Self.peer(of: engine, "/b?x=1&k=\(number)") == first)
            peers.insert(first)
        }
        #expect(peers == Set(0..<5))
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a peer that refuses connections is gone around`(versions: Engine.Versions) throws {
        let engine = try Self.open(["key": "path"], versions)
        let first = try #require(try Self.peer(of: engine, "/a"))
        engine.origins[first].setListening(false)
        try engine.origins[first].closeConnections()
        let second = try #require(try Self.peer(of: engine, "/a"))
        #expect(second != first)
        #expect(try Self.peer(of: engine, "/a") == second)
        engine.origins[first].setListening(true)
        #expect(try Self.peer(of: engine, "/a") == first)
        try engine.close()
    }
}
