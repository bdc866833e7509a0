import HTTP
import Testing

/// The Huffman code of strings (RFC 7541 §5.2 and Appendix B).
struct HuffmanTests {
    /// Decodes into memory of the size that is asked for; nil where the string is refused.
    private func decoded(_ bytes: [UInt8]) -> [UInt8]? {
        let room = Huffman.decodedBytesMax(bytes.count)
        let out = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
        defer { out.deallocate() }
        let count = withExactCopy(bytes) { Huffman.decode($0, count: bytes.count, to: out) }
        precondition(count <= room, "\(count) bytes where \(room) fit")
        return count < 0 ? nil : (0..<count).map { out[$0] }
    }

    private func encoded(_ bytes: [UInt8]) -> [UInt8] {
        withExactCopy(bytes) { text in
            let room = Huffman.encodedBytes(text, count: bytes.count)
            let out = UnsafeMutablePointer<UInt8>.allocate(capacity: max(room, 1))
            defer { out.deallocate() }
            let count = Huffman.encode(text, count: bytes.count, to: out)
            precondition(count == room, "\(count) bytes written, \(room) promised")
            return (0..<count).map { out[$0] }
        }
    }

    @Test(arguments: [
        ("www.example.com", "f1e3 c2e5 f23a 6ba0 ab90 f4ff"), ("no-cache", "a8eb 1064 9cbf"),
        ("custom-key", "25a8 49e9 5ba9 7d7f"), ("custom-value", "25a8 49e9 5bb8 e8b4 bf"),
        ("302", "6402"), ("307", "640e ff"), ("private", "aec3 771a 4b"), ("gzip", "9bd9 ab"),
        ("Mon, 21 Oct 2013 20:13:21 GMT", "d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff"),
        ("", ""), ("\u{0}", "ffc7"), ("\u{A}", "ffff fff3"), ("\u{FF}", "ffff fbbf"),
    ])
    func `the strings of Appendix C and the ends of the table`(plain: String, code: String) {
        #expect(encoded(latin1(plain)) == hex(code))
        #expect(decoded(hex(code)) == latin1(plain))
    }

    @Test
    func `every byte comes back, alone and beside every other`() {
        for first in UInt8.min...UInt8.max {
            #expect(decoded(encoded([first])) == [first])
            let isEachPairSame = (UInt8.min...UInt8.max).allSatisfy { second in
                let pair = [first, second, 0x61]
                return decoded(encoded(pair)) == pair
            }
            #expect(isEachPairSame)
        }
    }

    /// Padding is at most seven bits, all ones.
    @Test(arguments: [
        // `0` has the code 00000.
        ("07", true), ("06", false), ("03", false), ("00", false),
        // Eight bits of padding, after a byte and alone.
        ("07ff", false), ("ff", false), ("ffff", false), ("ffffff", false),
        // `X` has eight bits, so none of padding follows.
        ("fc", true), ("fcff", false),
        // The end of the string in full, alone and after a byte, and one bit short of it.
        ("ffffffff", false), ("07ffffffff", false), ("3fffffff", false), ("fffffffc", false),
        // A code of 13 bits that stops after 12.
        ("fff0", false), ("ff", false), ("ffc7", true), ("ffc6", false),
    ])
    func `padding and the end of the string are strict`(code: String, isGood: Bool) {
        #expect((decoded(hex(code)) != nil) == isGood)
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `random strings come back`(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        for _ in 0..<2_000 {
            let isText = Bool.random(using: &random)
            let range: ClosedRange<UInt8> = isText ? 0x20...0x7E : 0...255
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                UInt8.random(in: range, using: &random)
            }
            let code = encoded(bytes)
            #expect(decoded(code) == bytes)
            // What is cut short is refused or is a shorter text, never a longer one.
            for end in 0..<code.count {
                if let cut = decoded(Array(code[..<end])) {
                    #expect(bytes.starts(with: cut))
                }
            }
        }
    }

    @Test(arguments: [UInt64(4), 5, 6])
    func `random bytes are refused or have one code`(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        var accepted = 0
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            guard let text = decoded(bytes) else { continue }
            accepted += 1
            #expect(encoded(text) == bytes)
        }
        #expect(accepted > 500)
    }
}
