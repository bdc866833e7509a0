import HTTP
import Testing

/// Names, and what plugins may write.
struct FieldNamesTests {
    private func id(_ name: String) -> FieldID {
        latin1(name).withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { FieldNames.id($0, count: buffer.count) } ?? .unknown
        }
    }

    private func check(
        _ text: String,
        _ body: (UnsafePointer<UInt8>, Int) -> Bool
    ) -> Bool {
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: text.unicodeScalars.count + 1)
        defer { block.deallocate() }
        let bytes = latin1(text)
        for (index, byte) in bytes.enumerated() { block[index] = byte }
        return body(block, bytes.count)
    }

    @Test
    func `each id has its lower-case name and is found by it`() {
        for (id, name) in FieldID.names {
            let (start, count) = FieldNames.lowercaseName(FieldID(rawValue: id))
            let found = text(UnsafeBufferPointer(start: start, count: count))
            #expect(found == name.description)
            #expect(self.id(found).rawValue == id)
            #expect(self.id(found.uppercased()).rawValue == id)
        }
        for id: UInt8 in [0, 7, 124, 127, 128, 255] {
            #expect(FieldNames.lowercaseName(FieldID(rawValue: id)).1 == 0)
        }
    }

    @Test
    func `a name with one byte changed is another name`() {
        for (id, name) in FieldID.names {
            let bytes = latin1(name.description)
            for index in bytes.indices {
                for flip: UInt8 in [0x01, 0x20, 0x40, 0x80] {
                    var changed = bytes
                    changed[index] ^= flip
                    let isLetter = (0x61...0x7A).contains(bytes[index])
                    let found = self.id(text(changed)).rawValue
                    #expect((found == id) == (isLetter && flip == 0x20), "\(text(changed))")
                }
            }
        }
    }

    @Test
    func `the empty name is unknown`() {
        #expect(check("") { FieldNames.id($0, count: $1) == .unknown })
    }

    @Test(arguments: [
        ("a", true), ("A-b.c~|", true), ("", false), ("a b", false), ("a:", false),
        ("a\u{E9}", false), ("\u{0}", false),
    ])
    func `tokens`(text: String, isToken: Bool) {
        #expect(check(text) { FieldNames.isToken($0, count: $1) } == isToken)
    }

    @Test(arguments: [
        ("", true), ("a", true), ("a b\tc", true), ("\u{E9}", true), (" a", false), ("a ", false),
        ("\ta", false), ("a\t", false), ("a\r", false), ("a\nb", false), ("a\u{0}b", false),
        ("a\u{7F}", false), (" ", false), ("a\u{1B}", false),
    ])
    func `values that may be written`(text: String, isValue: Bool) {
        #expect(check(text) { FieldNames.isFieldValue($0, count: $1) } == isValue)
    }

    @Test(arguments: [
        ("/", true), ("/a?b=c", true), ("/\u{E9}", true), ("", false), ("a", false), ("*", false),
        ("/a b", false), ("/a#b", false), ("/a\r", false), ("/\u{7F}", false),
    ])
    func `targets that may be written`(text: String, isTarget: Bool) {
        #expect(check(text) { FieldNames.isTarget($0, count: $1) } == isTarget)
    }

    @Test(arguments: [
        ("a", true), ("a.example:80", true), ("127.0.0.1", true), ("[::1]", true),
        ("[::ffff:1.2.3.4]:1", true), ("a_b-c~d", true), ("a!$&'()*+,;=b", true), ("a%2Eb", true),
        ("%41:1", true), ("a:", true), ("a:0", true), ("a:65535", true), ("", false), (":1", false),
        ("a:65536", false), ("a:99999", false), ("a:123456", false), ("a:1:2", false),
        ("a:x", false), ("a/", false), ("a@b", false), ("a b", false), ("a%2", false),
        ("a%", false), ("a%g0", false), ("[", false), ("[]", false), ("[:]", false),
        ("[1:2]", false), ("[::1", false), ("::1", false), ("[::1]a", false), ("[v1.a]", false),
        ("[fe80::1%251]", false), ("[:::::::::]", false), ("\u{E9}", false), ("abcd/", false),
        ("abcdefg/hijk", false), ("a\u{0}b", false), ("%", false), ("%4", false), ("%41%4", false),
    ])
    func `hosts`(text: String, isHost: Bool) {
        #expect(check(text) { FieldNames.isHost($0, count: $1) } == isHost)
    }

    @Test
    func `comparing ignores the case of letters alone`() {
        for (first, second, isSame) in [
            ("aBc-1", "AbC-1", true), ("", "", true), ("a", "ab", false), ("@", "`", false),
            ("[", "{", false), ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", true),
            ("abcdefgh-abcdefgh", "abcdefgh-abcdefgi", false), ("abcdefgh@", "abcdefgh`", false),
            ("ABCDEFG\u{DA}", "abcdefg\u{FA}", false), ("abcdefg\u{0}", "abcdefg ", false),
            ("\u{C9}", "\u{E9}", false), ("-", "\r", false),
        ] {
            let found = check(first) { start, count in
                check(second) { FieldNames.equalsIgnoringCase(start, count, $0, $1) }
            }
            #expect(found == isSame, "\(first) \(second)")
        }
    }

    @Test
    func `fields of the connection and of framing are the host's`() {
        let names = FieldID.names.filter { FieldNames.isConnectionField(FieldID(rawValue: $0.id)) }
        #expect(
            names.map { $0.name.description } == [
                "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade",
                "keep-alive", "proxy-connection",
            ]
        )
    }
}
