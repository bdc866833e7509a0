import Ketama
import SluiceSDK
import SluiceTestKit
import Testing

/// The struct, and the library that is built of it, through the same C tables.
struct KetamaBalancerTests {
    private func fixture(
        _ isLibrary: Bool,
        _ configuration: TestValue
    ) throws -> PluginFixture {
        try isLibrary
            ? PluginFixture(library: PluginFixture.libraryPath("Ketama"), configuration)
            : PluginFixture(KetamaBalancer.self, configuration)
    }

    @Test(arguments: [false, true])
    func `makes the key that it then hashes`(isLibrary: Bool) throws {
        let plugin = try fixture(isLibrary, ["key": "query:k"])
        #expect(plugin.hookedPhases == [0])
        #expect(plugin.contextByteCount == 0)
        let request = RequestFixture("GET", "/?k=user-1")
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.hashKey == "user-1")
        let peers = [BalancerFixture.TestPeer](repeating: .init(), count: 10)
        let table = try #require(BalancerFixture(plugin, peers))
        let first = table.pick(hashKey: "user-1")
        #expect(first != nil && table.pick(hashKey: "user-1") == first)
        #expect(plugin.host.misuses == [])
    }

    @Test(arguments: [false, true])
    func `without a rule it has no hook`(isLibrary: Bool) throws {
        let plugin = try fixture(isLibrary, [:])
        #expect(plugin.hookedPhases == [])
        #expect(plugin.table("sluice.lb/1") != nil)
    }

    @Test(
        arguments: [
            (["key": "ip"], "key: no key: \"ip\"; there are client_ip, host, path, target,"),
            (["key": "header:"], "key: no key: \"header:\"; there are"),
            (["key": "query"], "key: no key: \"query\"; there are"),
            (["key": 7], "key: a string is wanted, not a number"),
            (["key": []], "key: 0 entries; there may be 1 to 8"),
            (["key": ["path", "x"]], "key[1]: no key: \"x\"; there are"),
            (["key": ["header:a b"]], "key[0]: no name of a field: \"a b\""),
            (["key": "cookie:a b"], "key: no name of a cookie: \"a b\""),
            (["key": "header:connection"], "key: connection governs the connection"),
            (["key": ["path"], "keys": 1], "keys: unknown key; did you mean \"key\"?"),
            (["max_load": 0.9], "max_load: is not within 1 to 100"),
            (["max_load": 100.1], "max_load: is not within 1 to 100"),
            (["max_load": "2"], "max_load: a number is wanted, not a string"),
            (["points": 0], "points: 0 is not within 1 to 1000"),
            (["points": 1_001], "points: 1001 is not within 1 to 1000"),
        ] as [(TestValue, String)]
    )
    func `refuses what it does not understand`(configuration: TestValue, line: String) {
        let refusal = PluginFixture.refusal(KetamaBalancer.self, configuration)
        #expect(refusal?.hasPrefix(line) == true, "\(refusal ?? "taken")")
    }

    @Test(arguments: [["max_load": 1, "points": 1], ["max_load": 100, "points": 1_000]])
    func `takes what is at its bounds`(configuration: TestValue) {
        #expect(PluginFixture.refusal(KetamaBalancer.self, configuration) == nil)
    }
}
