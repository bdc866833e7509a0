import PluginHost
import Testing

@testable import Server

/// Rules that are not about one keyword: defaults, bounds, and schemas that are refused.
struct SchemaRuleTests {
    private func outcome(_ schema: String, _ value: String) throws -> [String] {
        try SchemaTests.outcome(schema, value)
    }

    // MARK: Defaults

    @Test(arguments: [
        ("{properties: {b: {default: 1}}}", "{}", "{\"b\": 1}"),
        ("{properties: {b: {default: 1}}}", "{b: 2}", "{\"b\": 2}"),
        // Keys stay sorted by their bytes.
        (
            "{properties: {b: {default: 1}, d: {default: 2}}}", "{a: 0, c: 0, e: 0}",
            "{\"a\": 0, \"b\": 1, \"c\": 0, \"d\": 2, \"e\": 0}"
        ),
        ("{properties: {a: {properties: {b: {default: 1}}}}}", "{}", "{}"),
        ("{properties: {a: {properties: {b: {default: 1}}}}}", "{a: {}}", "{\"a\": {\"b\": 1}}"),
        (
            "{properties: {a: {default: {}, properties: {b: {default: 1}}}}}", "{}",
            "{\"a\": {\"b\": 1}}"
        ),
        ("{items: {properties: {b: {default: 1}}}}", "[{}, {b: 2}]", "[{\"b\": 1}, {\"b\": 2}]"),
        ("{properties: {a: {$ref: '#/$defs/x'}}, $defs: {x: {default: 7}}}", "{}", "{\"a\": 7}"),
        (
            "{allOf: [{properties: {a: {default: 1}}}, {properties: {b: {default: 2}}}]}", "{}",
            "{\"a\": 1, \"b\": 2}"
        ),
        ("{anyOf: [{type: 'string'}, {properties: {a: {default: 1}}}]}", "{}", "{\"a\": 1}"),
        ("{oneOf: [{type: 'string'}, {properties: {a: {default: 1}}}]}", "{}", "{\"a\": 1}"),
        // What is refused leaves nothing behind.
        ("{not: {properties: {a: {default: 1}}, required: ['z']}}", "{}", "{}"),
        ("{anyOf: [{properties: {a: {default: 1}}, required: ['z']}, {}]}", "{}", "{}"),
    ])
    func `what was left out is filled in`(schema: String, value: String, filled: String) throws {
        #expect(try outcome(schema, value) == [filled])
    }

    @Test(arguments: [
        ("duration", "250ms", 250_000_000), ("duration", "2h", 7_200_000_000_000),
        ("size", "64KiB", 65_536), ("size", "1MB", 1_000_000), ("ip", "192.0.2.1", 0),
    ])
    func `the meaning of a format is handed on`(name: String, text: String, meaning: Int64) throws {
        let format = try #require(ValueFormat(rawValue: name))
        #expect(format.meaning(of: text) == meaning)
        var reader = ManifestReader(surroundings: ManifestFixture().surroundings, folder: ".")
        let schema = "{properties: {x: {default: '\(text)', format: '\(name)'}}}"
        let node = try JSON5Parser.parse(Array(schema.utf8))
        let document = try #require(SchemaCompiler.compile(node, &reader))
        var value = SchemaCheck.Value.object([])
        var check = SchemaCheck(document)
        check.check(&value)
        guard case .object(let members) = value,
            case .string(let filled, let number) = members[0].value
        else {
            Issue.record("\(value)")
            return
        }
        #expect((filled, number) == (text, meaning))
    }

    // MARK: Schemas that are refused

    @Test(arguments: [
        ("{pattern: '^a'}", "pattern: schemas of sluice do not have the keyword \"pattern\""),
        (
            "{minimun: 1}",
            "minimun: schemas of sluice do not have the keyword \"minimun\"; did you mean"
                + " \"minimum\"?"
        ),
        (
            "{properties: {a: {if: {}}}}",
            "properties.a.if: schemas of sluice do not have the keyword \"if\""
        ),
        (
            "{format: 'date'}",
            "format: schemas of sluice do not have the format \"date\"; there are duration, size,"
                + " address, ip, cidr, status, field-name"
        ),
        (
            "{type: 'int'}",
            "type: expected one of \"string\", \"integer\", \"number\", \"boolean\", \"array\","
                + " \"object\", \"null\", or a list of them"
        ),
        ("{minLength: -1}", "minLength: expected a whole number, 0 or more"),
        ("{multipleOf: 0}", "multipleOf: expected a whole number, 1 or more"),
        ("{multipleOf: 0.1}", "multipleOf: expected a whole number, 1 or more"),
        ("{minimum: '1'}", "minimum: expected a number, found a string"),
        ("{enum: []}", "enum: expected a list of values"),
        ("{uniqueItems: 1}", "uniqueItems: expected true or false, found a number"),
        ("{required: 'a'}", "required: expected a list, found a string"),
        ("{anyOf: []}", "anyOf: expected a list of schemas"),
        ("{items: [{}]}", "items: expected a schema, found a list"),
        ("{properties: {a: 1}}", "properties.a: expected a schema, found a number"),
        (
            "{$ref: 'other.json'}",
            "$ref: \"other.json\": only \"#\" and \"#/$defs/NAME\" can be referred to"
        ),
        (
            "{$ref: '#/$defs/rat', $defs: {rate: {}}}",
            "$ref: \"#/$defs/rat\": there is no such definition; did you mean \"rate\"?"
        ),
        ("{items: {$defs: {}}}", "items.$defs: stands only at the top of a schema"),
        (
            "{$schema: 'http://json-schema.org/draft-07/schema#'}",
            "$schema: expected \"https://json-schema.org/draft/2020-12/schema\""
        ),
        ("{$ref: '#'}", ": refers to itself"),
        (
            "{$ref: '#/$defs/a', $defs: {a: {anyOf: [{}, {$ref: '#/$defs/a'}]}}}",
            "$defs.a.anyOf[1]: refers to itself"
        ),
        (
            "{properties: {a: {default: 0, minimum: 1}}}",
            "properties.a.default: must be at least 1, is 0"
        ),
        (
            "{properties: {a: {default: {b: 1}, additionalProperties: false}}}",
            "properties.a.default: b: unknown key; there is none here"
        ),
        ("{type: 'object', type: 'array'}", "type: the key occurs twice"),
    ])
    func `a schema beyond the subset is refused by name`(schema: String, line: String) throws {
        #expect(try outcome(schema, "{}") == ["schema: " + line])
    }

    // MARK: Bounds

    @Test func `all problems are told, up to a bound`() throws {
        func count(_ length: Int) throws -> (kept: Int, omitted: Int) {
            var reader = ManifestReader(surroundings: ManifestFixture().surroundings, folder: ".")
            let node = try JSON5Parser.parse(Array("{items: {type: 'string'}}".utf8))
            let document = try #require(SchemaCompiler.compile(node, &reader))
            var value = SchemaCheck.Value.array(Array(repeating: .integer(1), count: length))
            var check = SchemaCheck(document)
            check.check(&value)
            return (check.problems.count, check.omittedCount)
        }
        #expect(try count(SchemaCheck.problemsMax) == (100, 0))
        #expect(try count(SchemaCheck.problemsMax + 1) == (100, 1))
    }

    @Test func `schemas that multiply are stopped`() throws {
        // Twenty definitions, each of which tries the next one twice.
        let definitions = (0..<20).map {
            "d\($0): {anyOf: [{$ref: '#/$defs/d\($0 + 1)'}, "
                + "{$ref: '#/$defs/d\($0 + 1)'}]}"
        }.joined(separator: ", ")
        let schema = "{$ref: '#/$defs/d0', $defs: {\(definitions), d20: {minimum: 1}}}"
        #expect(try outcome(schema, "1") == ["1"])
        #expect(
            try outcome(schema, "0") == ["too much to check: more than 1000000 steps"]
        )
    }

    @Test func `a default that never ends is stopped`() throws {
        let schema =
            "{properties: {a: {$ref: '#/$defs/x'}},"
            + " $defs: {x: {default: {}, properties: {b: {$ref: '#/$defs/x'}}}}}"
        let lines = try outcome(schema, "{}")
        #expect(lines.count == 1)
        #expect(lines[0].hasSuffix("the schema is more than 512 levels deep here"))
    }
}
