import Sys
import TLS
import Testing

struct Ed25519Tests {
    /// RFC 8032 §7.1, tests 1 and 3.
    private static let vectors: [(key: String, message: String, signature: String)] = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ]

    private static func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.count, by: 2).compactMap { at in
            UInt8(hex.dropFirst(at).prefix(2), radix: 16)
        }
    }

    @Test(arguments: 0..<vectors.count)
    func `accepts what its owner signed, and not one bit else`(index: Int) throws {
        let vector = Self.vectors[index]
        let key = try Ed25519Key(bytes: Self.bytes(vector.key))
        let message = Self.bytes(vector.message)
        let signature = Self.bytes(vector.signature)
        #expect(key.accepts(signature, of: message))
        #expect(!key.accepts(signature, of: message + [0]))
        for bit in 0..<(8 * signature.count) {
            var other = signature
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!key.accepts(other, of: message))
        }
        for count in [0, 63, 65] {
            let other = Array((signature + [0]).prefix(count))
            #expect(!key.accepts(other, of: message))
        }
        let stranger = try Ed25519Key(bytes: Self.bytes(Self.vectors[1 - index].key))
        #expect(!stranger.accepts(signature, of: message))
    }

    @Test(arguments: [0, 31, 33])
    func `a key has 32 bytes`(count: Int) {
        #expect(throws: TLSFailure(["no Ed25519 key: 32 bytes are wanted"])) {
            _ = try Ed25519Key(bytes: [UInt8](repeating: 1, count: count))
        }
    }

    @Test
    func `reads a key from a file, and says what is wrong with it`() throws {
        let certificates = try Certificates()
        let path = certificates.path("key.pem")
        func lines(_ text: String) throws -> [String] {
            File.remove(path)
            try File.writeNew(path, Array(text.utf8), mode: 0o600)
            do throws(TLSFailure) {
                _ = try Ed25519Key(file: path)
                return []
            } catch {
                return error.lines
            }
        }
        // The public key of RFC 8410 §10.1, and one of the curve P-256.
        let good = """
            -----BEGIN PUBLIC KEY-----
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
            -----END PUBLIC KEY-----

            """
        let other = """
            -----BEGIN PUBLIC KEY-----
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
            6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
            -----END PUBLIC KEY-----

            """
        #expect(try lines(good) == [])
        #expect(try lines(other) == ["\(path): a key of another kind than Ed25519"])
        let none = ["\(path): has no public key in PEM form (-----BEGIN PUBLIC KEY-----)"]
        #expect(try lines("") == none)
        #expect(try lines(String(good.dropFirst())) == none)
        File.remove(path)
        #expect(throws: TLSFailure(["\(path): No such file or directory"])) {
            _ = try Ed25519Key(file: path)
        }
    }
}
