import SluiceSDK
import SluiceTestKit
import Testing

@testable import Discovery

/// The struct, and the library that is built of it, through the same fixture.
struct DiscoveryLibraryTests {
    static func fixture(
        isLibrary: Bool,
        _ configuration: TestValue,
        _ host: FakeHost
    ) throws -> PluginFixture {
        try isLibrary
            ? PluginFixture(
                library: PluginFixture.libraryPath("Discovery"),
                configuration,
                host: host
            )
            : PluginFixture(DiscoveryPlugin.self, configuration, host: host)
    }

    @Test(arguments: [false, true])
    func `does the same as a library`(isLibrary: Bool) throws {
        let file = try DiscoveryPluginTests.TemporaryFile("[\"10.0.0.1:80\"]")
        let configuration: TestValue = ["upstreams": ["web": ["file": .string(file.path)]]]
        let host = DiscoveryPluginTests.host("web")
        let plugin = try Self.fixture(isLibrary: isLibrary, configuration, host)
        #expect(plugin.id == "org.sluice.discovery")
        #expect(plugin.hookedPhases == [])
        try plugin.warm()
        DiscoveryPluginTests.pass(plugin)
        try file.write("[\"10.0.0.2:80\", {\"address\": \"10.0.0.3:80\", \"zone\": \"a\"}]")
        DiscoveryPluginTests.pass(plugin, seconds: 1)
        #expect(host.peers("web").map(\.address) == ["10.0.0.2:80", "10.0.0.3:80"])
        #expect(host.peers("web").map(\.zone) == ["", "a"])
        let state = try plugin.exportState()
        let next = DiscoveryPluginTests.host("web")
        let after = try Self.fixture(isLibrary: isLibrary, configuration, next)
        try after.importState(state)
        try after.warm()
        #expect(next.peers("web").count == 2)
        #expect(host.misuses + next.misuses == [])
    }

    @Test func `a library refuses a configuration as the struct does`() {
        let wrong: TestValue = ["upstreams": ["web": [:]]]
        let refused = #expect(throws: PluginFixture.Refused.self) {
            _ = try PluginFixture(library: PluginFixture.libraryPath("Discovery"), wrong)
        }
        #expect(refused?.line == PluginFixture.refusal(DiscoveryPlugin.self, wrong))
        #expect(refused?.line == "upstreams.web: expected one of dns, file and consul")
    }

    @Test(
        arguments: [
            (["naem": 1], "naem: unknown key; there are upstreams"),
            (["resolvers": ["ns.example"]], "resolvers[0]: expected an IP address"),
            (
                ["resolvers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]],
                "resolvers: more than 3"
            ),
            (["attempts": 6], "attempts: 6 is not within 1 to 5"),
            (
                ["timeout": .measured("99ms", 99_000_000)],
                "timeout: expected a time of 100ms to 5000ms"
            ),
            (
                ["start_timeout": .measured("9s", 9_000_000_000)],
                "start_timeout: expected a time of"
            ),
            (["upstreams": 1], "upstreams: an object is wanted"),
            (["upstreams": ["a": ["file": ""]]], "upstreams.a.file: expected the path of a file"),
            (
                ["upstreams": ["a": ["dns": ["name": ".", "port": 80]]]],
                "upstreams.a.dns.name: expected a name"
            ),
            (
                ["upstreams": ["a": ["consul": ["upstream": "c", "service": ""]]]],
                "upstreams.a.consul.service: expected a name"
            ),
        ] as [(TestValue, String)]
    )
    func `what is refused names its key`(configuration: TestValue, wanted: String) {
        let line = PluginFixture.refusal(DiscoveryPlugin.self, configuration) ?? ""
        #expect(line.hasPrefix(wanted), "\(line)")
    }
}
