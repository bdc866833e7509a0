import HTTP
import Testing

/// Field lines of heads (RFC 9112 §5).
struct FieldLinesTests {
    @Test(arguments: [
        ("X: y", "y"), ("X:y", "y"), ("X:", ""), ("X: ", ""), ("X: \t ", ""), ("X:\ty\t", "y"),
        ("X:  y z \t", "y z"), ("X: y\tz", "y\tz"), ("X: ", ""),
        ("X: \u{FF}\u{80}", "\u{FF}\u{80}"),
        ("X: \u{FF}~\u{FF}~", "\u{FF}~\u{FF}~"), ("X: a:b: c", "a:b: c"),
        (
            "X: 0123456789abcdef\t0123456789abcdef\u{E9}0123456789abcdef \t",
            "0123456789abcdef\t0123456789abcdef\u{E9}0123456789abcdef"
        ),
    ])
    func `white space around a value is no part of it`(line: String, value: String) {
        let parsed = get(line + "\r\n")
        #expect(parsed.outcome == .complete)
        #expect(parsed.fields.last?.value == value)
    }

    /// Values of each length have their end at each place in a word.
    @Test
    func `values of any length are found, at the end of a head and before more fields`() {
        for length in 0..<70 {
            let value = String(repeating: "v", count: length)
            let last = get("Name: \(value)\r\n")
            #expect(last.fields.last?.value == value)
            let middle = get("Name: \(value)\r\nOther-Name: x\r\n")
            #expect(middle.fields.map { $0.value } == ["a.example", value, "x"])
        }
    }

    @Test
    func `names of any length are found`() {
        for length in 1..<70 {
            let name = String(repeating: "n", count: length)
            let parsed = get("\(name): x\r\n")
            #expect(parsed.fields.last?.name == name)
            #expect(parsed.fields.last?.id == .unknown)
        }
    }

    /// Every byte in turn at different places of a value (RFC 9110 §5.5).
    @Test(arguments: [0, 1, 6, 7, 8, 15, 16, 23])
    func `a value may hold HTAB, visible characters, spaces and obs-text`(place: Int) {
        for byte in UInt8.min...UInt8.max {
            let before = [UInt8](repeating: 0x61, count: place)
            let bytes =
                latin1("GET / HTTP/1.1\r\nHost: a\r\nX: ") + before + [byte]
                + latin1("bcdefghijklmnopqrst\r\nY: z\r\n\r\n")
            let outcome = request(bytes).outcome
            switch byte {
            case 0x0A: #expect(outcome == .invalid(.bareLineFeed))
            case 0x0D: #expect(outcome == .invalid(.bareCarriageReturn))
            case 0x09, 0x20...0x7E, 0x80...: #expect(outcome == .complete, "byte \(byte)")
            default: #expect(outcome == .invalid(.badFieldValue), "byte \(byte)")
            }
        }
    }

    /// Every byte in turn within names, one of them known but for that byte (RFC 9110 §5.1).
    @Test(arguments: [("Fo", "o"), ("", "x"), ("Host", ""), ("Content", "Length"), ("Ac", "cept")])
    func `a name may hold token characters alone`(before: String, after: String) {
        let token = latin1("!#$%&'*+-.^_`|~")
        for byte in UInt8.min...UInt8.max where byte != 0x3A {
            let name = latin1(before) + [byte] + latin1(after)
            let bytes =
                latin1("GET / HTTP/1.0\r\nX: y\r\n") + name + latin1(": 1\r\nLast: x\r\n\r\n")
            let isLetter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            let isGood = isLetter || (0x30...0x39).contains(byte) || token.contains(byte)
            let outcome = request(bytes).outcome
            #expect((outcome == .complete) == isGood, "byte \(byte): \(outcome)")
        }
    }

    @Test(arguments: [
        ("Foo\r\n", HeadError.badFieldName), (": x\r\n", .badFieldName),
        ("F(o): x\r\n", .badFieldName), ("Fo o: x\r\n", .badFieldName),
        ("Host\u{FF}: x\r\n", .badFieldName), ("\u{1}: x\r\n", .badFieldName),
        ("Foo : x\r\n", .spaceBeforeColon), ("Foo \t: x\r\n", .spaceBeforeColon),
        ("Foo: x\r\n y\r\n", .obsoleteFolding), ("Foo: x\r\n\ty: z\r\n", .obsoleteFolding),
        ("Foo: x\u{0}\r\n", .badFieldValue), ("Foo: \u{7F}\r\n", .badFieldValue),
        ("Foo: x\nBar: y\r\n", .bareLineFeed), ("Foo\nBar: y\r\n", .bareLineFeed),
        ("\nFoo: x\r\n", .bareLineFeed), ("Foo: x\ry\r\n", .bareCarriageReturn),
        ("Fo\ro: x\r\n", .bareCarriageReturn), ("\rFoo: x\r\n", .bareCarriageReturn),
        ("Foo: x\r\r\n", .bareCarriageReturn), ("Foo:\rx\r\n", .bareCarriageReturn),
        ("Foo:\n\r\n", .bareLineFeed),
    ])
    func `a bad field line is refused`(lines: String, error: HeadError) {
        #expect(get(lines).outcome == .invalid(error))
        #expect(answer(lines).outcome == .invalid(error))
        #expect(trailers(lines + "\r\n").outcome == .invalid(error))
    }

    @Test
    func `white space before the first field is refused`() {
        #expect(
            request("GET / HTTP/1.1\r\n Host: a\r\n\r\n").outcome == .invalid(.obsoleteFolding)
        )
    }

    @Test
    func `a known field that comes again is marked`() {
        let parsed = get("Cookie: a\r\nX: 1\r\nCOOKIE: b\r\nX: 2\r\nVia: c\r\nvia: d\r\nDNT: 1\r\n")
        #expect(
            parsed.fields.map { $0.isRepeated } == [
                false, false, false, true, false, false, true, false,
            ]
        )
    }
}
