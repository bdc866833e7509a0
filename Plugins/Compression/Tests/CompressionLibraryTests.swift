import Compression
import SluiceSDK
import SluiceTestKit
import Testing

/// The struct, and the library that is built of it, through the same fixture.
struct CompressionLibraryTests {
    @Test(arguments: [false, true])
    func `does the same as a library`(isLibrary: Bool) throws {
        let configuration: TestValue = [
            "encodings": ["gzip"], "min_length": .measured("0B", 0),
        ]
        let plugin =
            try isLibrary
            ? PluginFixture(library: PluginFixture.libraryPath("Compression"), configuration)
            : PluginFixture(CompressionFilter.self, configuration)
        #expect(plugin.id == "org.sluice.compression")
        let request = RequestFixture(fields: [("Accept-Encoding", "gzip")])
        #expect(plugin.requestHeaders(request) == .next)
        request.respond(status: 200, fields: [("Content-Type", "text/css")])
        #expect(plugin.responseHeaders(request) == .next)
        #expect(request.response["content-encoding"] == "gzip")
        #expect(plugin.responseBody(request, "", isEnd: true) == .next)
        // A member of gzip without a byte in it: level 5 leaves no trace in its head.
        #expect(
            request.output(.responseBody) == [
                0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ]
        )
        plugin.requestEnd(request)
        #expect(plugin.host.misuses == [])
    }
}
