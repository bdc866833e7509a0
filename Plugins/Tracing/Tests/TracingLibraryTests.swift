import SluiceSDK
import SluiceTestKit
import Testing

@testable import Tracing

/// The struct, and the library that is built of it, through the same fixture.
struct TracingLibraryTests {
    @Test(arguments: [false, true])
    func `does the same as a library`(isLibrary: Bool) throws {
        let host = FakeHost()
        host.upstreams = ["c"]
        host.answer = { _ in .response(status: 200) }
        let plugin =
            try isLibrary
            ? PluginFixture(
                library: PluginFixture.libraryPath("Tracing"),
                ["collector": "c"],
                host: host
            )
            : PluginFixture(TracingFilter.self, ["collector": "c"], host: host)
        #expect(plugin.id == "org.sluice.tracing")
        _ = plugin.slot(0)
        TracingFilterTests.run(plugin)
        let spans = try TracingFilterTests.export(plugin)
        #expect(spans.map(\.kind) == [2, 3])
        #expect(host.misuses == [])
    }
}
