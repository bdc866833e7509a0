import Headers
import SluiceSDK
import SluiceTestKit
import Testing

/// The struct, and the library that is built of it, through the same fixture.
struct HeadersLibraryTests {
    @Test(arguments: [false, true])
    func `does the same as a library`(isLibrary: Bool) throws {
        let configuration: TestValue = [
            "request": ["set": [["name": "x-path", "value": "{path}"]]],
            "request_id": ["echo": true],
        ]
        let plugin =
            try isLibrary
            ? PluginFixture(library: PluginFixture.libraryPath("Headers"), configuration)
            : PluginFixture(HeadersFilter.self, configuration)
        #expect(plugin.id == "org.sluice.headers")
        let request = RequestFixture("GET", "/a?b")
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.request["x-path"] == "/a")
        request.respond(status: 200)
        #expect(plugin.responseHeaders(request) == .next)
        #expect(request.response["x-request-id"]?.count == 32)
        #expect(request.response["x-request-id"] == request.request["x-request-id"])
        plugin.requestEnd(request)
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `a library refuses a configuration as the struct does`() {
        let refused = #expect(throws: PluginFixture.Refused.self) {
            _ = try PluginFixture(library: PluginFixture.libraryPath("Headers"), ["via": 7])
        }
        #expect(refused?.line == PluginFixture.refusal(HeadersFilter.self, ["via": 7]))
        #expect(refused?.line == "via: a string is wanted, not a number")
        #expect(throws: PluginFixture.NotOpened.self) {
            _ = try PluginFixture(library: "/nowhere.so")
        }
    }
}
