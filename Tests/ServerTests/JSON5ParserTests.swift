import Testing

@testable import Server

struct JSON5ParserTests {
    /// The content of a text, or its error as "LINE:COLUMN message".
    private func parse(_ text: String) -> String {
        parse(Array(text.utf8))
    }

    private func parse(_ bytes: [UInt8]) -> String {
        do throws(JSON5Parser.SyntaxError) {
            return Self.text(of: try JSON5Parser.parse(bytes))
        } catch {
            let place = TextPlaces(bytes).place(of: error.offset)
            return "\(place.line):\(place.column) \(error.message)"
        }
    }

    private static func text(of node: Node) -> String {
        switch node.content {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)d"
        case .string(let value): "<\(value)>"
        case .array(let elements): "[" + elements.map(text).joined(separator: " ") + "]"
        case .object(let members):
            "{" + members.map { $0.key + "=" + text(of: $0.value) }.joined(separator: " ") + "}"
        }
    }

    @Test(arguments: [
        ("null", "null"), ("true", "true"), ("false", "false"), ("[]", "[]"), ("{}", "{}"),
        ("[1,2,]", "[1 2]"), ("{a:1,}", "{a=1}"), ("{a:1,a:2}", "{a=1 a=2}"),
        ("{'a b':1,\"c\":2,$d_1:3}", "{a b=1 c=2 $d_1=3}"), ("{ä:1}", "{ä=1}"),
        ("{\\u0061\\u0031:1}", "{a1=1}"), ("{null:null}", "{null=null}"),
        ("// c\n{/* x * / */a:1}// y", "{a=1}"), ("/**/1/***/", "1"),
        ("\u{FEFF}\u{A0}\u{2003}\u{2028}\u{B}\u{C}1\r\n", "1"), ("// c\u{2029}1", "1"),
    ])
    func `parses values, keys and space`(text: String, expected: String) {
        #expect(parse(text) == expected)
    }

    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("+7", "7"), ("0x1F", "31"), ("-0Xff", "-255"), ("1.5", "1.5d"),
        (".5", "0.5d"), ("5.", "5.0d"), ("-.5e1", "-5.0d"), ("1e3", "1000.0d"),
        ("1E-2", "0.01d"), ("1e+2", "100.0d"), ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9.223372036854776e+18d"),
    ])
    func `parses numbers`(text: String, expected: String) {
        #expect(parse(text) == expected)
    }

    @Test(arguments: [
        ("''", "<>"), ("\"it's\"", "<it's>"), ("'\"'", "<\">"), ("'äöü€🙂'", "<äöü€🙂>"),
        ("'\\b\\f\\n\\r\\t\\v\\0'", "<\u{8}\u{C}\n\r\t\u{B}\0>"),
        ("'\\a\\'\\\"\\\\\\/'", "<a'\"\\/>"),
        ("'\\x41\\u00e4'", "<Aä>"), ("'\\ud83d\\ude42'", "<🙂>"), ("'a\\\nb'", "<ab>"),
        ("'a\\\r\nb'", "<ab>"), ("'a\\\u{2028}b'", "<ab>"), ("'a\u{2028}b'", "<a\u{2028}b>"),
    ])
    func `parses strings`(text: String, expected: String) {
        #expect(parse(text) == expected)
    }

    @Test(arguments: [
        ("", "1:1 expected a value, found the end of the text"),
        ("// c", "1:5 expected a value, found the end of the text"),
        ("{\n  a: 1\n  b: 2\n}", "3:3 expected \",\" or \"}\", found \"b\""),
        ("{a 1}", "1:4 expected \":\" after the key \"a\", found \"1\""),
        ("{a:}", "1:4 expected a value, found \"}\""),
        ("{a:1,,}", "1:6 expected a key, found \",\""),
        ("{my-key:1}", "1:4 expected \":\" after the key \"my\", found \"-\""),
        ("{1a:1}", "1:2 expected a key, found \"1\""),
        ("[1 2]", "1:4 expected \",\" or \"]\", found \"2\""),
        ("[1", "1:3 expected \",\" or \"]\", found the end of the text"),
        ("{a:1} x", "1:7 expected the end of the text, found \"x\""),
        ("{ä: 1 ä}", "1:7 expected \",\" or \"}\", found \"ä\""),
        ("{a: tru}", "1:5 expected a value, found tru; a string needs quotes"),
        ("{a: localhost:80}", "1:5 expected a value, found localhost; a string needs quotes"),
        ("{a: 10.0.0.1}", "1:5 not a number; a string needs quotes"),
        ("{a: 2s}", "1:5 not a number; a string needs quotes"),
        ("01", "1:1 not a number; a string needs quotes"),
        ("0x", "1:1 not a number; a string needs quotes"),
        ("-", "1:1 not a number; a string needs quotes"),
        (".", "1:1 not a number; a string needs quotes"),
        ("1e", "1:1 not a number; a string needs quotes"),
        ("--1", "1:1 not a number; a string needs quotes"),
        ("1e999", "1:1 the number is too large"),
        ("0x8000000000000000", "1:1 the number is too large"),
        ("-Infinity", "1:1 Infinity and NaN are not allowed"),
        ("NaN", "1:1 Infinity and NaN are not allowed"),
        ("'a\n'", "1:1 the string has no end in its line"),
        ("[\n 'a]", "2:2 the string has no end"),
        ("'\\", "1:1 the string has no end"),
        ("'a\u{1}'", "1:3 a control character in a string needs an escape"),
        ("'a\\01'", "1:3 an octal escape is not allowed"),
        ("'\\1'", "1:2 an octal escape is not allowed"),
        ("'\\x4'", "1:2 the escape needs 2 hex digits"),
        ("'\\ud83d'", "1:2 half of a surrogate pair"),
        ("'\\ud83d\\u0041'", "1:2 half of a surrogate pair"),
        ("{a\\x:1}", "1:3 expected \\u in a key"), ("{\\u0020:1}", "1:2 the key needs quotes"),
        ("1 /* x", "1:3 the comment has no end"), ("/ 1", "1:1 expected a comment, found \"/\""),
        ("{\u{7}}", "1:2 expected a key, found a control character"),
    ])
    func `says where a text is broken`(text: String, expected: String) {
        #expect(parse(text) == expected)
    }

    @Test(arguments: [
        [0x80], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80],
    ])
    func `refuses bytes that are not UTF-8`(bytes: [UInt8]) {
        #expect(parse(Array("[\n'ä".utf8) + bytes) == "2:3 the text is not valid UTF-8")
    }

    @Test func `bounds the depth of a text`() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        let most = JSON5Parser.depthMax
        #expect(parse(nested(most - 1)) == nested(most - 1))
        #expect(parse(nested(most)) == nested(most))
        #expect(parse(nested(most + 1)) == "1:65 more than 64 levels of nesting")
        #expect(
            parse(String(repeating: "{a:", count: 100_000))
                == "1:193 more than 64 levels of nesting"
        )
    }

    @Test func `never traps on a text that is cut`() {
        let text = Array(
            "{a: [1.5e3, 'x\\u0041\\\n', 0x1F], /* c */ \"b\": {c: true}, ä: -.5}// e".utf8
        )
        for count in 0...text.count { _ = parse(Array(text[..<count])) }
        for index in text.indices {
            for byte: UInt8 in [0, 0x0A, 0x22, 0x27, 0x2F, 0x5C, 0x7B, 0x7D, 0xC3, 0xFF] {
                var broken = text
                broken[index] = byte
                _ = parse(broken)
            }
        }
    }

    @Test func `knows the places of keys and values`() throws {
        let text = Array("{\n  ä: 1, b: [\n2]}".utf8)
        let root = try JSON5Parser.parse(text)
        let places = TextPlaces(text)
        guard case .object(let members) = root.content else {
            Issue.record("no object")
            return
        }
        #expect(places.place(of: root.offset) == TextPlace(line: 1, column: 1))
        #expect(members.map { places.place(of: $0.keyOffset).column } == [3, 9])
        #expect(members.map { places.place(of: $0.value.offset).column } == [6, 12])
        #expect(
            members[1].value.elements.map { places.place(of: $0.offset) }
                == [TextPlace(line: 3, column: 1)]
        )
        #expect(places.place(of: 1_000) == TextPlace(line: 3, column: 4))
    }
}
