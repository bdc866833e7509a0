import Headers
import SluiceTestKit
import Testing

struct HeadersConfigurationTests {
    @Test(
        arguments: [
            (
                ["set": [["name": "a b", "value": ""]]],
                "request.set[0].name: no name of a field: \"a b\""
            ),
            (
                ["set": [["name": "a", "value": ""], ["name": "Connection", "value": "x"]]],
                "request.set[1].name: Connection governs the connection and is the proxy's own"
            ),
            (
                ["remove": ["te"]],
                "request.remove[0]: te governs the connection and is the proxy's own"
            ),
            (["remove": ["host"]], "request.remove[0]: Host can be set, but not removed"),
            (
                ["add": [["name": "Host", "value": "a"]]],
                "request.add[0].name: Host can be set, but not added"
            ),
            (
                ["set": [["name": "a", "value": "b\r\nc"]]],
                "request.set[0].value: has a control character"
            ),
            (["set": [["name": "a"]]], "request.set[0].value: is missing"),
            (["set": ["a"]], "request.set[0]: an object is wanted, not a string"),
            (
                ["set": [["name": "a", "value": "{"]]],
                "request.set[0].value: \"{\" is not closed; write \"{{\" for a brace"
            ),
        ] as [(TestValue, String)]
    )
    func `names the key that is wrong`(request: TestValue, line: String) {
        #expect(PluginFixture.refusal(HeadersFilter.self, ["request": request]) == line)
    }

    @Test
    func `the peer is known in responses only, and the id only when there is one`() {
        let rule: TestValue = ["set": [["name": "a", "value": "{peer}"]]]
        #expect(
            PluginFixture.refusal(HeadersFilter.self, ["request": rule])?
                .hasPrefix("request.set[0].value: unknown placeholder {peer}; there are") == true
        )
        #expect(PluginFixture.refusal(HeadersFilter.self, ["response": rule]) == nil)
        let id: TestValue = ["set": [["name": "a", "value": "{request_id}"]]]
        #expect(PluginFixture.refusal(HeadersFilter.self, ["request": id]) == nil)
        #expect(
            PluginFixture.refusal(HeadersFilter.self, ["request": id, "request_id": false]) != nil
        )
    }

    @Test(
        arguments: [
            (["via": ""], "via: no host or pseudonym: \"\""),
            (["via": "a b"], "via: no host or pseudonym: \"a b\""),
            (
                ["request_id": ["header": "Upgrade"]],
                "request_id.header: Upgrade governs the connection and is the proxy's own"
            ),
            (["request_id": "x"], "request_id: an object is wanted, not a string"),
        ] as [(TestValue, String)]
    )
    func `refuses the rest`(configuration: TestValue, line: String) {
        #expect(PluginFixture.refusal(HeadersFilter.self, configuration) == line)
    }

    @Test
    func `bounds the rules of a side`() {
        func refusal(_ count: Int) -> String? {
            let rules = [TestValue](repeating: ["name": "a", "value": "b"], count: count)
            return PluginFixture.refusal(
                HeadersFilter.self,
                ["response": ["add": .array(rules)]]
            )
        }
        #expect(refusal(32) == nil)
        #expect(refusal(33) == "response: 33 edits, but there is room for 32")
    }
}
