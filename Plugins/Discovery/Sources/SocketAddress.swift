import SluiceSDK

/// An IP address with a port.
struct SocketAddress: Equatable {
    let address: IPAddress
    let port: UInt16

    init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Reads "192.0.2.1:80" or "[2001:db8::1]:80"; nil for anything else, as a name or port 0.
    init?(_ text: Bytes) {
        let host: Bytes
        let digits: Bytes
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: 0x5D), end + 1 < text.count, text[end + 1] == 0x3A
            else { return nil }
            host = text[1..<end]
            digits = text.dropFirst(end + 2)
        } else {
            // What has more colons than one is an IPv6 address without brackets.
            guard let end = text.firstIndex(of: 0x3A) else { return nil }
            host = text.prefix(end)
            digits = text.dropFirst(end + 1)
        }
        guard digits.count <= 5, digits.isEmpty || digits[0] != 0x30, let port = digits.decimal,
            port > 0, port <= 65_535, let address = IPAddress(host)
        else { return nil }
        let isBracketed = text.hasPrefix("[")
        guard isBracketed == (host.firstIndex(of: 0x3A) != nil) else { return nil }
        self.init(address, UInt16(port))
    }

    /// "192.0.2.1:80", "[2001:db8::1]:80".
    var text: [UInt8] {
        let host = address.text
        let number = Array("\(port)".utf8)
        return address.isV4 ? host + [0x3A] + number : [0x5B] + host + [0x5D, 0x3A] + number
    }
}

extension IPAddress {
    /// The usual form: "192.0.2.1", or as RFC 5952 §4 has it, "2001:db8::1".
    var text: [UInt8] {
        if isV4 {
            let bytes = [24, 16, 8, 0].map { "\(low >> UInt64($0) & 0xFF)" }
            return Array((bytes[0] + "." + bytes[1] + "." + bytes[2] + "." + bytes[3]).utf8)
        }
        let groups = (0..<8).map { index in
            let half = index < 4 ? high : low
            return half >> UInt64(48 - 16 * (index & 3)) & 0xFFFF
        }
        let gap = Self.longestZeros(groups)
        var text: [UInt8] = []
        var index = 0
        while index < 8 {
            if gap.count > 1, index == gap.start {
                text += [0x3A, 0x3A]
                index += gap.count
                continue
            }
            if !text.isEmpty, text[text.count - 1] != 0x3A { text.append(0x3A) }
            text += Array(String(groups[index], radix: 16).utf8)
            index += 1
        }
        return text
    }

    /// The first of the longest runs of zeros.
    private static func longestZeros(_ groups: [UInt64]) -> (start: Int, count: Int) {
        var best = (start: 0, count: 0)
        var count = 0
        for (index, group) in groups.enumerated() {
            count = group == 0 ? count + 1 : 0
            if count > best.count { best = (start: index - count + 1, count: count) }
        }
        return best
    }
}

extension [UInt8] {
    /// Lends the bytes, for the time of the call.
    func withBytes<Result>(_ body: (Bytes) -> Result) -> Result {
        withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return body(.empty) }
            // Safe: the array lives until the call ends.
            return body(Bytes(start, count: buffer.count))
        }
    }

    /// A copy of bytes.
    init(_ bytes: Bytes) {
        self.init(UnsafeBufferPointer(start: bytes.start, count: bytes.count))
    }
}
