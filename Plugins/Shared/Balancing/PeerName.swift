public import SluiceSDK

/// What a session's cookie calls a peer: 128 bits that only who knows the secret can make of its
/// address.
///
/// The name is the first half of an HMAC-SHA256 (RFC 2104 §5 allows that), so it is its own
/// signature, and says nothing of the address. It is the same in every proxy with the secret.
@usableFromInline
struct PeerName: BitwiseCopyable {
    @usableFromInline let high: UInt64
    @usableFromInline let low: UInt64

    /// Characters of its text.
    static var textCount: Int { 22 }

    /// - Parameters:
    ///   - address: as in the manifest.
    ///   - key: of the secret.
    init(of address: Bytes, _ key: HMACSHA256) {
        // Codes of the same secret for something else are no names.
        let words = key.code(of: "sluice peer\n", address)
        high = UInt64(words[0]) << 32 | UInt64(words[1])
        low = UInt64(words[2]) << 32 | UInt64(words[3])
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The name that a text spells in base64url without padding (RFC 4648 §5); nil of another text,
    /// also of one whose last bits are not 0: a name has one text.
    @usableFromInline
    init?(_ text: Bytes) {
        guard text.count == Self.textCount else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var at = 0
        while at < Self.textCount {
            // Safe: the text has so many bytes.
            guard let digit = Self.value(of: text.start[at]) else { return nil }
            if at == Self.textCount - 1 {
                guard digit & 0xF == 0 else { return nil }
                high = high &<< 2 | low &>> 62
                low = low &<< 2 | digit &>> 4
            } else {
                high = high &<< 6 | low &>> 58
                low = low &<< 6 | digit
            }
            at &+= 1
        }
        self.high = high
        self.low = low
    }

    private static func value(of byte: UInt8) -> UInt64? {
        switch byte {
        case 0x41...0x5A: UInt64(byte - 0x41)
        case 0x61...0x7A: UInt64(byte - 0x61) + 26
        case 0x30...0x39: UInt64(byte - 0x30) + 52
        case 0x2D: 62
        case 0x5F: 63
        default: nil
        }
    }

    /// Appends the name's text.
    func write(to writer: inout Writer) {
        let digits = Bytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        for at in 0..<Self.textCount {
            let shift = 122 - 6 * at
            let digit =
                shift >= 64
                ? high >> UInt64(shift - 64)
                : shift > 0
                    ? (shift > 58 ? high << UInt64(64 - shift) : 0) | low >> UInt64(shift)
                    : low << UInt64(-shift)
            writer.append(digits[Int(digit & 63)])
        }
    }

    /// Whether both are the same, in the same time whatever they are.
    @usableFromInline
    static func == (left: PeerName, right: PeerName) -> Bool {
        (left.high ^ right.high) | (left.low ^ right.low) == 0
    }
}
