import Testing

@testable import Server

struct DescriptorTests {
    private static func text(_ more: String = "") -> String {
        "{\"abi\": \"0.2\", \"id\": \"org.example.a\", \"version\": \"1.0\"\(more)}"
    }

    private func lines(_ text: String) -> [String] {
        do throws(Descriptor.Failure) {
            _ = try Descriptor.parse(Array(text.utf8))
            return []
        } catch {
            return error.lines
        }
    }

    @Test func `three keys are enough`() throws {
        let descriptor = try Descriptor.parse(Array(Self.text().utf8))
        #expect(descriptor.abi == .init(major: 0, minor: 2))
        #expect(descriptor.id == "org.example.a")
        #expect(descriptor.version == "1.0")
        #expect(descriptor.hooks == nil && descriptor.roles == nil && descriptor.required == nil)
        #expect(descriptor.schema == nil)
        #expect(descriptor.misfit == nil)
    }

    @Test func `all keys are read`() throws {
        let descriptor = try Descriptor.parse(
            Array(
                Self.text(
                    """
                    , "description": "Does it.", "hooks": ["request_end", "request_headers"],
                    "roles": ["sluice.lb/1"], "required": ["sluice.core/1"], "optional": ["x/1"],
                    "attributes": {"produces": ["a.b"], "consumes": ["c.d", "e.f"]},
                    "config": {"properties": {"rate": {}}}
                    """
                ).utf8
            )
        )
        #expect(descriptor.summary == "Does it.")
        #expect(descriptor.hooks == ["request_end", "request_headers"])
        #expect(descriptor.roles == ["sluice.lb/1"])
        #expect(descriptor.required == ["sluice.core/1"])
        #expect(descriptor.optional == ["x/1"])
        #expect(descriptor.produces == ["a.b"])
        #expect(descriptor.consumes == ["c.d", "e.f"])
        #expect(descriptor.schema?.root.properties.map(\.name) == ["rate"])
    }

    @Test(arguments: [
        ("{", ["byte 1: expected a key, found the end of the text"]),
        ("[]", ["expected an object, found a list"]),
        (
            "{}",
            [
                "abi: this key is missing", "id: this key is missing",
                "version: this key is missing",
            ]
        ),
        (text(", \"hook\": []"), ["hook: unknown key; did you mean \"hooks\"?"]),
        (text(", \"id\": \"b\""), ["id: the key occurs twice"]),
        (
            text(", \"hooks\": [\"request_header\"]"),
            ["hooks[0]: there is no hook \"request_header\"; did you mean \"request_headers\"?"]
        ),
        (text(", \"roles\": \"sluice.lb/1\""), ["roles: expected a list, found a string"]),
        (text(", \"description\": \"a\\nb\""), ["description: expected one line"]),
        (
            text(", \"attributes\": {\"produces\": [\"a b\"]}"),
            ["attributes.produces[0]: expected 1 to 64 visible characters of ASCII, found \"a b\""]
        ),
        (
            text(", \"attributes\": {\"consume\": []}"),
            ["attributes.consume: unknown key; did you mean \"consumes\"?"]
        ),
        (text(", \"config\": true"), ["config: expected a schema, found true"]),
        (
            text(", \"config\": {\"properties\": {\"a\": {\"pattern\": \"x\"}}}"),
            ["config.properties.a.pattern: schemas of sluice do not have the keyword \"pattern\""]
        ),
        (
            "{\"abi\": \"1\", \"id\": \"\", \"version\": 1}",
            [
                "abi: expected a version of the plugin ABI such as \"0.2\", found \"1\"",
                "id: expected 1 to 100 visible characters of ASCII, found \"\"",
                "version: expected a string, found a number",
            ]
        ),
    ])
    func `what is wrong is named by its key`(text: String, expected: [String]) {
        #expect(lines(text) == expected)
    }

    @Test(arguments: [64, 65])
    func `lists and names are bounded`(count: Int) {
        let names = (0..<count).map { "\"n\($0)\"" }.joined(separator: ",")
        let tooMany = "\(count) entries are too many; at most 64 are possible"
        #expect(
            lines(Self.text(", \"required\": [\(names)]"))
                == (count > 64 ? ["required: " + tooMany] : [])
        )
        let name = String(repeating: "x", count: count)
        #expect(
            lines(Self.text(", \"attributes\": {\"produces\": [\"\(name)\"]}")).count
                == (count > 64 ? 1 : 0)
        )
    }

    @Test(arguments: [
        ("0.1", "is made for plugin ABI 0.1, a draft; this host has 0.2"),
        ("0.3", "needs plugin ABI 0.3, this host has 0.2"),
        ("1.0", "needs plugin ABI 1.0, this host has 0.2"),
        ("0.2", nil),
    ])
    func `the ABI must be this host's`(abi: String, misfit: String?) throws {
        let text = Self.text().replacing("0.2", with: abi)
        #expect(try Descriptor.parse(Array(text.utf8)).misfit == misfit)
    }

    @Test func `a table that the host does not have is named`() throws {
        let text = Self.text(", \"required\": [\"sluice.core/1\", \"sluice.dream/9\"]")
        #expect(
            try Descriptor.parse(Array(text.utf8)).misfit
                == "needs sluice.dream/9, which this host does not offer"
        )
    }
}
