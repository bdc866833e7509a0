import Hello
import SluiceSDK
import SluiceTestKit
import Testing

struct GreeterTests {
    /// The field of a response, by a plugin with this configuration.
    private func field(_ configuration: TestValue) throws -> String? {
        let plugin = try PluginFixture(Greeter.self, configuration)
        let request = RequestFixture()
        request.respond(status: 200, fields: [("x-hello", "from the origin")])
        #expect(plugin.responseHeaders(request) == .next)
        #expect(request.response.values("x-hello").count == 1)
        return request.response["x-hello"]
    }

    @Test
    func `says hello in the words of its configuration`() throws {
        #expect(try field(["greeting": "good morning"]) == "good morning")
    }

    @Test
    func `has words of its own`() throws {
        #expect(try field([:]) == "hello from Swift")
    }

    @Test
    func `a greeting is a string`() {
        #expect(PluginFixture.refusal(Greeter.self, ["greeting": 7]) != nil)
    }

    @Test
    func `edits without room are an error`() throws {
        let plugin = try PluginFixture(Greeter.self)
        let request = RequestFixture()
        request.respond(status: 200)
        request.editCapacity = 0
        #expect(plugin.responseHeaders(request) == .error)
    }
}
