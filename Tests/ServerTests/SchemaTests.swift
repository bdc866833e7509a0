import Testing

@testable import Server

struct SchemaTests {
    /// What is wrong with a value, or the value as the plugin gets it.
    static func outcome(_ schema: String, _ value: String) throws -> [String] {
        var reader = ManifestReader(surroundings: ManifestFixture().surroundings, folder: ".")
        let node = try JSON5Parser.parse(Array(schema.utf8))
        guard let document = SchemaCompiler.compile(node, &reader) else {
            return reader.problems.map { "schema: \($0.path): \($0.message)" }
        }
        let root = try JSON5Parser.parse(Array(value.utf8))
        var configuration = reader.configuration(of: root).node
        var check = SchemaCheck(document)
        check.check(&configuration)
        return check.problems.isEmpty ? [configuration.text] : check.problems.map(\.line)
    }

    /// A row: schema, value, and the line of its only problem; "" for none.
    typealias Row = (schema: String, value: String, line: String)

    static let scalars: [Row] = [
        ("{}", "{a: [1, 'x', null]}", ""),
        ("true", "5", ""),
        ("false", "5", "is not allowed here"),
        ("{type: 'string'}", "'a'", ""),
        ("{type: 'string'}", "1", "expected a string, found a number"),
        ("{type: 'boolean'}", "false", ""),
        ("{type: 'boolean'}", "'true'", "expected true or false, found a string"),
        ("{type: 'integer'}", "5", ""),
        ("{type: 'integer'}", "5.0", ""),
        ("{type: 'integer'}", "5.5", "expected a whole number, found a number"),
        ("{type: 'number'}", "5", ""),
        ("{type: 'number'}", "5.5", ""),
        ("{type: 'number'}", "true", "expected a number, found true"),
        ("{type: 'null'}", "null", ""),
        ("{type: 'null'}", "0", "expected null, found a number"),
        ("{type: 'array'}", "{}", "expected a list, found an object"),
        ("{type: 'object'}", "[]", "expected an object, found a list"),
        ("{type: ['string', 'array']}", "[]", ""),
        ("{type: ['string', 'array']}", "5", "expected a string or a list, found a number"),
        ("{type: ['integer', 'number']}", "'x'", "expected a number, found a string"),
        ("{enum: ['a', 'b']}", "'b'", ""),
        ("{enum: ['a', 'b']}", "'c'", "expected one of \"a\", \"b\", found \"c\""),
        ("{enum: [1, null, {x: [2]}]}", "{x: [2.0]}", ""),
        ("{enum: ['1']}", "1", "expected \"1\", found 1"),
        ("{const: 5}", "5.0", ""),
        ("{const: 5}", "6", "expected 5, found 6"),
        ("{const: [1]}", "[1, 2]", "expected [1], found [1, 2]"),
        ("{minimum: 1}", "1", ""),
        ("{minimum: 1}", "0", "must be at least 1, is 0"),
        ("{minimum: 1}", "'no number'", ""),
        ("{minimum: 0.5}", "0.25", "must be at least 0.5, is 0.25"),
        ("{maximum: 10}", "10", ""),
        ("{maximum: 10}", "10.5", "must be at most 10, is 10.5"),
        ("{exclusiveMinimum: 0}", "0.001", ""),
        ("{exclusiveMinimum: 0}", "0", "must be more than 0, is 0"),
        ("{exclusiveMaximum: 1}", "0.999", ""),
        ("{exclusiveMaximum: 1}", "1", "must be less than 1, is 1"),
        ("{multipleOf: 5}", "-10", ""),
        ("{multipleOf: 5}", "7", "must be a multiple of 5, is 7"),
        ("{multipleOf: 2}", "4.5", "must be a multiple of 2, is 4.5"),
        (
            "{maximum: 9223372036854775806}", "9223372036854775807",
            "must be at most 9223372036854775806, is 9223372036854775807"
        ),
        ("{minLength: 1}", "'é'", ""),
        ("{minLength: 1}", "''", "must have at least 1 character, has 0"),
        ("{minLength: 2}", "'é'", "must have at least 2 characters, has 1"),
        ("{maxLength: 2}", "'abc'", "must have at most 2 characters, has 3"),
        ("{maxLength: 2}", "'ab'", ""),
    ]

    static let groups: [Row] = [
        ("{minItems: 1}", "[]", "must have at least 1 entry, has 0"),
        ("{minItems: 2}", "[1, 2]", ""),
        ("{maxItems: 2}", "[1, 2, 3]", "must have at most 2 entries, has 3"),
        ("{uniqueItems: true}", "[1, '1', {a: 1}, {a: 2}]", ""),
        ("{uniqueItems: true}", "[1, 2, 1.0]", "[2]: is the same as entry 0"),
        ("{uniqueItems: false}", "[1, 1]", ""),
        ("{items: {type: 'integer'}}", "[1, 'a']", "[1]: expected a whole number, found a string"),
        ("{items: false}", "[]", ""),
        ("{items: false}", "[1]", "[0]: is not allowed here"),
        ("{minProperties: 1}", "{}", "must have at least 1 key, has 0"),
        ("{maxProperties: 1}", "{a: 1, b: 2}", "must have at most 1 key, has 2"),
        ("{required: ['a']}", "{a: null}", ""),
        ("{required: ['a']}", "{b: 1}", "a: this key is missing"),
        (
            "{properties: {a: {type: 'string'}}}", "{a: 1, b: 2}",
            "a: expected a string, found a number"
        ),
        (
            "{properties: {a: {properties: {b: {items: {const: 1}}}}}}", "{a: {b: [1, 2]}}",
            "a.b[1]: expected 1, found 2"
        ),
        (
            "{properties: {rate: {}}, additionalProperties: false}", "{rte: 1}",
            "rte: unknown key; did you mean \"rate\"?"
        ),
        (
            "{properties: {rate: {}, burst: {}}, additionalProperties: false}", "{workers: 1}",
            "workers: unknown key; there are rate, burst"
        ),
        ("{additionalProperties: false}", "{a: 1}", "a: unknown key; there is none here"),
        (
            "{properties: {a: {}}, additionalProperties: {type: 'string'}}", "{a: 1, b: 2}",
            "b: expected a string, found a number"
        ),
        ("{properties: {a: false}}", "{a: 1}", "a: is not allowed here"),
        (
            "{additionalProperties: {minimum: 1}}", "{'a b': 0}",
            "[\"a b\"]: must be at least 1, is 0"
        ),
    ]

    static let combinations: [Row] = [
        ("{allOf: [{minimum: 1}, {maximum: 3}]}", "2", ""),
        ("{allOf: [{minimum: 1}, {maximum: 3}]}", "4", "must be at most 3, is 4"),
        ("{anyOf: [{type: 'string'}, {type: 'array'}]}", "[]", ""),
        (
            "{anyOf: [{type: 'string'}, {type: 'array'}]}", "1",
            "expected a string or a list, found a number"
        ),
        (
            "{anyOf: [{type: 'boolean'}, {type: 'object', required: ['a']}]}", "{}",
            "a: this key is missing"
        ),
        (
            "{anyOf: [{format: 'ip'}, {const: 'unix:'}]}", "'x'",
            "expected an IP address such as \"192.0.2.1\" or \"unix:\", found \"x\""
        ),
        ("{anyOf: [{minimum: 5}, {required: ['a']}]}", "1", ""),
        (
            "{anyOf: [{required: ['a']}, {required: ['b'], maxProperties: 1}]}", "{c: 1}",
            "fits none of 2 forms: a: this key is missing; or: b: this key is missing"
        ),
        ("{oneOf: [{minimum: 5}, {maximum: 1}]}", "0", ""),
        (
            "{oneOf: [{minimum: 5}, {maximum: 9}]}", "7",
            "fits 2 forms of which it must have exactly one"
        ),
        (
            "{oneOf: [{type: 'string'}, {type: 'null'}]}", "1",
            "expected a string or null, found a number"
        ),
        ("{not: {type: 'string'}}", "1", ""),
        ("{not: {type: 'string'}}", "''", "has a form that is not allowed"),
        ("{not: {required: ['a', 'b']}}", "{a: 1}", ""),
        ("{not: {required: ['a', 'b']}}", "{a: 1, b: 2}", "\"a\" and \"b\" exclude each other"),
        (
            "{properties: {a: {$ref: '#/$defs/p'}}, $defs: {p: {minimum: 1}}}", "{a: 0}",
            "a: must be at least 1, is 0"
        ),
        ("{type: 'object', additionalProperties: {$ref: '#'}}", "{a: {b: {}}}", ""),
        (
            "{type: 'object', additionalProperties: {$ref: '#'}}", "{a: {b: 1}}",
            "a.b: expected an object, found a number"
        ),
        (
            "{$ref: '#/$defs/a', $defs: {a: {minimum: 1}}, maximum: 3}", "4",
            "must be at most 3, is 4"
        ),
        (
            "{title: 't', description: 'd', examples: [1], $comment: 'c',"
                + " $schema: 'https://json-schema.org/draft/2020-12/schema'}", "1", ""
        ),
    ]

    static let formats: [Row] = [
        ("{format: 'duration'}", "'250ms'", ""),
        (
            "{format: 'duration'}", "'1 s'",
            "expected a duration such as \"2s\", found \"1 s\""
        ),
        (
            "{format: 'duration'}", "'9999999999h'",
            "expected a duration such as \"2s\", found \"9999999999h\""
        ),
        (
            "{type: 'string', format: 'duration'}", "5",
            "expected a duration such as \"2s\", found a number"
        ),
        ("{type: ['string', 'integer'], format: 'size'}", "5", ""),
        ("{format: 'size'}", "'64KiB'", ""),
        ("{format: 'size'}", "'64K'", "expected a size such as \"64KiB\", found \"64K\""),
        ("{format: 'address'}", "'[::1]:80'", ""),
        ("{format: 'address'}", "'example.com:80'", ""),
        (
            "{format: 'address'}", "'192.0.2.1'",
            "expected an address such as \"192.0.2.1:80\", found \"192.0.2.1\""
        ),
        ("{format: 'ip'}", "'2001:db8::1'", ""),
        (
            "{format: 'ip'}", "'1.2.3'",
            "expected an IP address such as \"192.0.2.1\", found \"1.2.3\""
        ),
        ("{format: 'cidr'}", "'10.0.0.0/32'", ""),
        ("{format: 'cidr'}", "'::/0'", ""),
        (
            "{format: 'cidr'}", "'10.0.0.0/33'",
            "expected a block of addresses such as \"10.0.0.0/8\", found \"10.0.0.0/33\""
        ),
        (
            "{format: 'cidr'}", "'::/08'",
            "expected a block of addresses such as \"10.0.0.0/8\", found \"::/08\""
        ),
        (
            "{format: 'cidr'}", "'10.0.0.0'",
            "expected a block of addresses such as \"10.0.0.0/8\", found \"10.0.0.0\""
        ),
        ("{format: 'status'}", "599", ""),
        ("{format: 'status'}", "600", "expected a status of 100 to 599, found 600"),
        ("{format: 'status'}", "99", "expected a status of 100 to 599, found 99"),
        ("{format: 'field-name'}", "'X-Test'", ""),
        (
            "{format: 'field-name'}", "'a b'",
            "expected the name of a field such as \"x-request-id\", found \"a b\""
        ),
    ]

    @Test(arguments: scalars + groups + combinations + formats)
    func `a value fits its schema, or the reason is said`(row: Row) throws {
        let expected = row.line.isEmpty ? nil : [row.line]
        let outcome = try Self.outcome(row.schema, row.value)
        if let expected {
            #expect(outcome == expected, "\(row.schema) of \(row.value)")
        } else {
            let value = try JSON5Parser.parse(Array(row.value.utf8))
            var reader = ManifestReader(surroundings: ManifestFixture().surroundings, folder: ".")
            #expect(
                outcome == [reader.configuration(of: value).node.text],
                "\(row.schema) of \(row.value)"
            )
        }
    }
}
