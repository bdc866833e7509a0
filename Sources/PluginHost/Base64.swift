/// Base64 (RFC 4648 §4), read strictly: whole groups, padding where it must be, no other byte.
public enum Base64 {
    private static let padding = UInt8(ascii: "=")

    /// The bytes that a text stands for; nil when it is no base64.
    public static func bytes(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var sextetCount = 0
        var paddingCount = 0
        for byte in text {
            if byte == padding {
                paddingCount += 1
                group <<= 6
            } else {
                // Nothing may follow the padding.
                guard paddingCount == 0, let sextet = sextet(byte) else { return nil }
                group = group << 6 | UInt32(sextet)
            }
            sextetCount += 1
            guard sextetCount % 4 == 0 else { continue }
            let three = [
                UInt8(group >> 16 & 0xff), UInt8(group >> 8 & 0xff), UInt8(group & 0xff),
            ]
            guard paddingCount <= 2 else { return nil }
            // Bits of a cut group that stand for nothing are zero (§3.5).
            guard three.suffix(paddingCount).allSatisfy({ $0 == 0 }) else { return nil }
            bytes += three.prefix(3 - paddingCount)
            group = 0
        }
        return bytes
    }

    private static func sextet(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
