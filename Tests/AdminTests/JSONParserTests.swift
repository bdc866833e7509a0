import Testing

@testable import Admin

struct JSONParserTests {
    /// What a text is, written again; or its error.
    private func read(_ bytes: [UInt8]) -> String {
        do throws(JSON.SyntaxError) {
            return try JSON.parse(bytes).text
        } catch {
            return error.description
        }
    }

    private func read(_ text: String) -> String { read(Array(text.utf8)) }

    @Test(arguments: [
        ("null", "null"), (" true\r\n", "true"), ("\tfalse ", "false"), ("[]", "[]"), ("{}", "{}"),
        ("[ 1 , [ ] , { } ]", "[1,[],{}]"), ("{ \"a\" : 1 , \"b\" : [ ] }", "{\"a\":1,\"b\":[]}"),
        ("{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"), ("{\"\":0}", "{\"\":0}"),
        ("0", "0"), ("-0", "0"), ("-7", "-7"), ("1.50", "1.5"), ("1e3", "1000.0"),
        ("-1.5E-2", "-0.015"), ("0e0", "0.0"), ("1E+2", "100.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("\"\"", "\"\""), ("\"äöü€🙂\"", "\"äöü€🙂\""), ("\"\u{7f}\"", "\"\\u007f\""),
        (#""\"\\\/\b\f\n\r\t""#, #""\"\\/\u0008\u000c\n\r\t""#),
        (#""\u0041\u00e4\u20AC""#, "\"Aä€\""), (#""\ud83d\uDE42""#, "\"🙂\""),
        (#""\u0000""#, #""\u0000""#),
    ])
    func `reads every kind of value`(text: String, expected: String) {
        #expect(read(text) == expected)
    }

    @Test(arguments: [
        ("", "1, column 1: expected a value, found the end of the text"),
        (" \n ", "2, column 2: expected a value, found the end of the text"),
        ("nul", "1, column 1: expected a value, found \"n\""),
        ("True", "1, column 1: expected a value, found \"T\""),
        ("nulll", "1, column 5: expected the end of the text, found \"l\""),
        ("1 2", "1, column 3: expected the end of the text, found \"2\""),
        ("{} {}", "1, column 4: expected the end of the text, found \"{\""),
        ("[1,]", "1, column 4: expected a value, found \"]\""),
        ("[,1]", "1, column 2: expected a value, found \",\""),
        ("[1 2]", "1, column 4: expected \",\" or \"]\", found \"2\""),
        ("[1", "1, column 3: expected \",\" or \"]\", found the end of the text"),
        ("[", "1, column 2: expected a value, found the end of the text"),
        ("{\"a\":1,}", "1, column 8: expected a name in quotes, found \"}\""),
        ("{a:1}", "1, column 2: expected a name in quotes, found \"a\""),
        ("{'a':1}", "1, column 2: expected a name in quotes, found \"'\""),
        ("{\"a\"}", "1, column 5: expected \":\", found \"}\""),
        ("{\"a\":}", "1, column 6: expected a value, found \"}\""),
        ("{\"a\":1", "1, column 7: expected \",\" or \"}\", found the end of the text"),
        ("{\"ä\":1 ü}", "1, column 8: expected \",\" or \"}\", found \"ü\""),
        ("{\n \"a\":1,\n \"a\":2}", "3, column 2: the name \"a\" occurs twice"),
        (#"{"a":1,"\u0061":2}"#, "1, column 8: the name \"a\" occurs twice"),
        ("{\"\u{e4}\":1,\"a\u{308}\":2}", "1, column 8: the name \"a\u{308}\" occurs twice"),
        ("// c\n1", "1, column 1: expected a value, found \"/\""),
        ("\u{feff}1", "1, column 1: expected a value, found \"\u{feff}\""),
        ("\u{a0}1", "1, column 1: expected a value, found \"\u{a0}\""),
        ("\u{b}1", "1, column 1: expected a value, found \"\\u000b\""),
        ("\0", "1, column 1: expected a value, found \"\\u0000\""),
        ("NaN", "1, column 1: expected a value, found \"N\""),
        ("-Infinity", "1, column 1: not a number"), ("-", "1, column 1: not a number"),
        ("+1", "1, column 1: expected a value, found \"+\""),
        (".5", "1, column 1: expected a value, found \".\""),
        ("01", "1, column 1: not a number"), ("-01", "1, column 1: not a number"),
        ("1.", "1, column 1: not a number"), ("1.e1", "1, column 1: not a number"),
        ("1e", "1, column 1: not a number"), ("1e+", "1, column 1: not a number"),
        ("1e-+1", "1, column 1: not a number"),
        ("0x10", "1, column 2: expected the end of the text, found \"x\""),
        ("1_000", "1, column 2: expected the end of the text, found \"_\""),
        ("9223372036854775808", "1, column 1: the number does not fit 64 bits"),
        ("1e400", "1, column 1: the number does not fit 64 bits"),
        ("\"a", "1, column 1: the string has no end"),
        ("\"a\\\"", "1, column 1: the string has no end"),
        ("\"a\\", "1, column 3: no such escape"),
        ("\"\n\"", "1, column 2: a control character in a string needs an escape"),
        ("\"\u{1f}\"", "1, column 2: a control character in a string needs an escape"),
        (#""\x41""#, "1, column 2: no such escape"), (#""\'""#, "1, column 2: no such escape"),
        (#""\u12""#, "1, column 2: the escape needs four hex digits"),
        (#""\u+123""#, "1, column 2: the escape needs four hex digits"),
        (#""\u12é4""#, "1, column 2: the escape needs four hex digits"),
        ("\"\\u123", "1, column 2: the escape needs four hex digits"),
        (#""\ud83d""#, "1, column 2: half of a surrogate pair"),
        (#""\ud83dx""#, "1, column 2: half of a surrogate pair"),
        (#""\ude42\ud83d""#, "1, column 2: half of a surrogate pair"),
        (#""\ud83d\ud83d""#, "1, column 2: half of a surrogate pair"),
        (#""\ud83d\u12""#, "1, column 2: the escape needs four hex digits"),
        (#""\ud83d\n""#, "1, column 2: half of a surrogate pair"),
    ])
    func `refuses what is not JSON, with its place`(text: String, expected: String) {
        #expect(read(text) == "line " + expected)
    }

    @Test(
        arguments: [
            ([0x22, 0xff, 0x22], 2), ([0x22, 0xc3, 0x22], 2), ([0x22, 0xc0, 0x80, 0x22], 2),
            ([0x22, 0xed, 0xa0, 0x80, 0x22], 2), ([0x80], 1),
            ([0x22, 0xf5, 0x80, 0x80, 0x80, 0x22], 2),
        ] as [([UInt8], Int)]
    )
    func `refuses bytes that are not UTF-8`(bytes: [UInt8], column: Int) {
        #expect(read(bytes) == "line 1, column \(column): the text is not valid UTF-8")
    }

    @Test func `nesting has a bound`() {
        let most = JSON.depthMax
        let deepest = String(repeating: "[", count: most) + String(repeating: "]", count: most)
        #expect(read(deepest) == deepest)
        let deeper = "[" + deepest + "]"
        #expect(read(deeper) == "line 1, column \(most + 1): more than \(most) levels of nesting")
        let objects = String(repeating: "{\"a\":", count: 100_000)
        #expect(read(objects).hasSuffix("more than \(most) levels of nesting"))
    }

    @Test func `levels that have ended do not count`() {
        let pairs = "[" + Array(repeating: "[]", count: 1_000).joined(separator: ",") + "]"
        #expect(read(pairs) == pairs)
    }

    @Test func `the text has a bound`() {
        let most = JSON.textBytesMax
        let longest = "\"" + String(repeating: "a", count: most - 2) + "\""
        #expect(read(longest) == longest)
        #expect(
            read(longest + " ") == "line 1, column 1: the text is longer than \(most) bytes"
        )
    }

    @Test func `a number has a bound`() {
        let most = JSON.numberBytesMax
        let longest = "0." + String(repeating: "0", count: most - 3) + "1"
        #expect(read(longest) == "\(Double(longest) ?? 0)")
        #expect(
            read("0" + longest.dropFirst() + "1")
                == "line 1, column 1: a number of more than \(most) bytes"
        )
    }

    @Test func `what is written is read back`() throws {
        let value: JSON = [
            "a": .null, "b": [true, false], "c": -7, "d": .number(0.1), "e": .number(1e300),
            "f": ["g": "q\"\\\n\t\r\u{1}\u{7f}ü🙂/"], "h": [], "i": .object([]),
        ]
        #expect(try JSON.parse(Array(value.text.utf8)) == value)
    }

    @Test func `any cut of a text is refused`() {
        let text = Array(#"{"a":[1.5e3,"\ud83d\ude42ü",null,{"b":true}]}"#.utf8)
        #expect(!read(text).hasPrefix("line"))
        for end in text.indices { #expect(read(Array(text[..<end])).hasPrefix("line 1, column ")) }
    }
}
