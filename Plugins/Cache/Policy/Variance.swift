/// What `Vary` makes of requests (RFC 9111 §4.1).
package enum Variance {
    /// Names that a response may vary by; one with more is not stored.
    package static let namesMax = 16
    /// Bytes of all names together.
    package static let nameBytesMax = 512
    /// Lists of names that an address is known to have had; with a new one the oldest goes.
    package static let listsMax = 4

    /// The codings of `Accept-Encoding` that clients accept in any order and quality are one set.
    ///
    /// - Parameter mask: of the lines before; 0 at first.
    /// - Returns: nil when a coding is none of those that are known: then the text itself counts.
    package static func codings(_ line: Text, _ mask: UInt8) -> UInt8? {
        var mask = mask
        for element in ListElements(line) {
            let end = element.firstIndex(of: 0x3B) ?? element.count
            let name = element[0..<end].trimmed
            guard let bit = bit(name), let quality = quality(element.dropFirst(end)) else {
                return nil
            }
            // "identity" is accepted anyway; that it is not counts.
            if bit == identityBit {
                if quality == 0 { mask |= bit }
            } else if quality > 0 {
                mask |= bit
            } else if bit == anyBit {
                mask |= identityBit
            }
        }
        return mask
    }

    private static let identityBit: UInt8 = 0x40
    private static let anyBit: UInt8 = 0x20

    private static func bit(_ name: Text) -> UInt8? {
        if name.equalsIgnoringCase("gzip") || name.equalsIgnoringCase("x-gzip") { return 1 }
        if name.equalsIgnoringCase("br") { return 2 }
        if name.equalsIgnoringCase("zstd") { return 4 }
        if name.equalsIgnoringCase("deflate") { return 8 }
        if name.equalsIgnoringCase("compress") { return 16 }
        if name.equalsIgnoringCase("identity") { return identityBit }
        if name == "*" { return anyBit }
        return nil
    }

    /// Thousandths of ";q=0.5"; 1,000 without; nil when it is malformed.
    private static func quality(_ parameters: Text) -> Int? {
        if parameters.isEmpty { return 1_000 }
        let text = parameters.dropFirst(1).trimmed
        guard text.count >= 3, lowered(text[0]) == 0x71, text[1] == 0x3D else { return nil }
        let value = text.dropFirst(2)
        guard value[0] == 0x30 || value[0] == 0x31, value.count <= 5 else { return nil }
        var thousandths = Int(value[0] - 0x30) * 1_000
        if value.count == 1 { return thousandths }
        guard value[1] == 0x2E else { return nil }
        var scale = 100
        for offset in 2..<value.count {
            guard value[offset] &- 0x30 < 10 else { return nil }
            thousandths += Int(value[offset] - 0x30) * scale
            scale /= 10
        }
        return thousandths <= 1_000 ? thousandths : nil
    }
}
