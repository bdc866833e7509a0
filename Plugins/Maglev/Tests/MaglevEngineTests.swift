import SluiceSDK
import SluiceTestKit
import Testing

/// The built library: through the fixture, and in the real engine.
struct MaglevEngineTests {
    @Test func `the library hashes the key that it makes`() throws {
        let plugin = try PluginFixture(
            library: PluginFixture.libraryPath("Maglev"),
            ["key": "client_ip"]
        )
        #expect(plugin.id == "org.sluice.maglev")
        let request = RequestFixture(client: "192.0.2.7")
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.hashKey == "192.0.2.7")
    }

    @Test(arguments: Engine.Versions.all)
    func `requests of one key meet one peer`(versions: Engine.Versions) throws {
        var options = Engine.Options(versions)
        options.isBalancer = true
        options.peers = 5
        let engine = try Engine(
            library: Engine.libraryPath("Maglev"),
            ["key": "header:x-user"],
            options
        )
        for origin in engine.origins { origin.answer = { _ in .init(200) } }
        for user in 0..<20 {
            let before = engine.origins.map(\.requests.count)
            for _ in 0..<2 { try engine.request("GET", "/", ["X-User": "\(user)"]) }
            let added = zip(before, engine.origins).map { $1.requests.count - $0 }
            #expect(added.sorted() == [0, 0, 0, 0, 2])
        }
        #expect(engine.origins.allSatisfy { !$0.requests.isEmpty })
        try engine.close()
    }
}
