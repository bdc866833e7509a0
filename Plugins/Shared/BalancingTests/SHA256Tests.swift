import SluiceSDK
import Testing

@testable import Balancing

/// Against the vectors of FIPS 180-4 and RFC 4231.
struct SHA256Tests {
    private func withBytes<Result>(_ bytes: [UInt8], _ body: (Bytes) -> Result) -> Result {
        bytes.withUnsafeBufferPointer { buffer in
            body(buffer.baseAddress.map { Bytes($0, count: buffer.count) } ?? .empty)
        }
    }

    private func hex(_ words: SHA256.Words) -> String {
        words.indices.map { index in
            let digits = String(words[index], radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    private func sum(_ text: String) -> String {
        withBytes(Array(text.utf8)) { bytes in
            var state = SHA256()
            state.add(bytes)
            return hex(state.sum())
        }
    }

    @Test
    func `sums are those of the standard`() {
        #expect(
            sum("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )
        #expect(
            sum("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
        #expect(
            sum("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        )
        #expect(
            sum(String(repeating: "x", count: 1_000))
                == "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f"
        )
    }

    /// Where the padding fits into the last block, and where it does not.
    @Test(arguments: [
        (55, "9f4390f8d30c2dd9"), (56, "b35439a4ac6f0948"), (63, "7d3e74a05d7db15b"),
        (64, "ffe054fe7ae0cb6d"), (65, "635361c48bb9eab1"), (119, "31eba51c313a5c08"),
        (120, "2f3d335432c70b58"),
    ])
    func `lengths around a block`(count: Int, begin: String) {
        #expect(sum(String(repeating: "a", count: count)).hasPrefix(begin))
    }

    @Test(
        arguments: [
            (
                [UInt8](repeating: 0x0B, count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xAA, count: 131),
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ]
    )
    func `codes are those of RFC 4231`(key: [UInt8], text: String, code: String) {
        let mac = withBytes(key) { HMACSHA256(key: $0) }
        let bytes = Array(text.utf8)
        #expect(withBytes(bytes) { hex(mac.code(of: $0)) } == code)
        let halves = withBytes(bytes) { hex(mac.code(of: $0.prefix(3), $0.dropFirst(3))) }
        #expect(halves == code)
    }
}
