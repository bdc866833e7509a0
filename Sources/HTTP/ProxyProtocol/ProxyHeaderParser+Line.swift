/// Version 1: a line of text (§2.1).
extension ProxyHeaderParser {
    /// Where the addresses' protocol begins: behind "PROXY ".
    private static let protocolStart = 6

    static func parseLine(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        into header: inout ProxyHeader
    ) -> ProxyHeaderOutcome {
        let most = min(count, ProxyHeaderLimits.lineBytesMax)
        var at = protocolStart
        while at < most {
            guard bytes[at] != Byte.lineFeed else { return .invalid(.badLineEnd) }
            guard bytes[at] == Byte.carriageReturn else {
                at &+= 1
                continue
            }
            guard at &+ 1 < most else { break }
            guard bytes[at &+ 1] == Byte.lineFeed else { return .invalid(.badLineEnd) }
            var made = ProxyHeader()
            made.byteCount = at &+ 2
            if let error = parseFields(bytes, end: at, into: &made) { return .invalid(error) }
            header = made
            return .complete
        }
        return most == ProxyHeaderLimits.lineBytesMax ? .invalid(.lineTooLong) : .incomplete
    }

    /// Reads what stands between "PROXY " and the line's end.
    private static func parseFields(
        _ bytes: UnsafePointer<UInt8>,
        end: Int,
        into header: inout ProxyHeader
    ) -> ProxyHeaderError? {
        var at = protocolStart
        if skip("UNKNOWN", bytes, &at, end: end) {
            // Whatever else stands on the line is to be ignored.
            return at == end || bytes[at] == Byte.space ? nil : .badProtocol
        }
        let isIPv4 = skip("TCP4 ", bytes, &at, end: end)
        guard isIPv4 || skip("TCP6 ", bytes, &at, end: end) else { return .badProtocol }
        guard let source = address(bytes, &at, end: end, isIPv4: isIPv4),
            let destination = address(bytes, &at, end: end, isIPv4: isIPv4)
        else { return .badAddress }
        header.client = .address
        header.source = source
        header.destination = destination
        guard let sourcePort = decimal(bytes, &at, end: end, most: 65_535),
            skip(" ", bytes, &at, end: end),
            let destinationPort = decimal(bytes, &at, end: end, most: 65_535), at == end
        else { return .badPort }
        header.source.port = UInt16(truncatingIfNeeded: sourcePort)
        header.destination.port = UInt16(truncatingIfNeeded: destinationPort)
        return nil
    }

    /// Steps over a text if it stands here.
    private static func skip(
        _ text: StaticString,
        _ bytes: UnsafePointer<UInt8>,
        _ at: inout Int,
        end: Int
    ) -> Bool {
        guard end &- at >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount where bytes[at &+ index] != text.utf8Start[index] {
            return false
        }
        at &+= text.utf8CodeUnitCount
        return true
    }

    /// A decimal number without leading zeroes, "to avoid any possible confusion with octal".
    private static func decimal(
        _ bytes: UnsafePointer<UInt8>,
        _ at: inout Int,
        end: Int,
        most: Int
    ) -> Int? {
        let start = at
        var value = 0
        while at < end, bytes[at] &- Byte.zero < 10 {
            value = value &* 10 &+ Int(bytes[at] &- Byte.zero)
            guard value <= most, at == start || bytes[start] != Byte.zero else { return nil }
            at &+= 1
        }
        return at > start ? value : nil
    }

    /// An address and the space behind it.
    private static func address(
        _ bytes: UnsafePointer<UInt8>,
        _ at: inout Int,
        end: Int,
        isIPv4: Bool
    ) -> ProxyEndpoint? {
        var textEnd = at
        while textEnd < end, bytes[textEnd] != Byte.space { textEnd &+= 1 }
        guard textEnd < end else { return nil }
        var endpoint = ProxyEndpoint()
        if isIPv4 {
            guard let number = ipv4(bytes, from: at, end: textEnd) else { return nil }
            endpoint.setIPv4(number)
        } else {
            guard let number = ipv6(bytes, from: at, end: textEnd) else { return nil }
            endpoint.number = number
        }
        at = textEnd &+ 1
        return endpoint
    }

    /// Exactly four numbers from 0 to 255.
    private static func ipv4(_ bytes: UnsafePointer<UInt8>, from: Int, end: Int) -> UInt32? {
        var at = from
        var number: UInt32 = 0
        for index in 0..<4 {
            if index > 0, !skip(".", bytes, &at, end: end) { return nil }
            guard let part = decimal(bytes, &at, end: end, most: 255) else { return nil }
            number = number << 8 | UInt32(truncatingIfNeeded: part)
        }
        return at == end ? number : nil
    }

    /// Groups of one to four hexadecimal digits, one "::" for one or more groups of zeroes, and the
    /// last two groups as IPv4 perhaps (RFC 4291 §2.2): that is how the system's own functions
    /// write IPv4-mapped addresses, and so how senders do.
    private static func ipv6(_ bytes: UnsafePointer<UInt8>, from: Int, end: Int) -> UInt128? {
        var at = from
        var count = 0
        var number: UInt128 = 0
        /// The groups in front of "::".
        var head: (number: UInt128, count: Int)?
        if skip("::", bytes, &at, end: end) { head = (0, 0) }
        while at < end {
            let start = at
            var group: UInt128 = 0
            while at < end, at &- start < 4, let digit = hexadecimal(bytes[at]) {
                group = group << 4 | UInt128(digit)
                at &+= 1
            }
            guard at > start, count < 8 else { return nil }
            if at < end, bytes[at] == UInt8(ascii: ".") {
                guard let last = ipv4(bytes, from: start, end: end) else { return nil }
                number = number << 32 | UInt128(last)
                count &+= 2
                break
            }
            number = number << 16 | group
            count &+= 1
            guard at < end else { break }
            if skip("::", bytes, &at, end: end) {
                guard head == nil else { return nil }
                head = (number, count)
                number = 0
            } else {
                guard skip(":", bytes, &at, end: end), at < end else { return nil }
            }
        }
        guard let head else { return count == 8 ? number : nil }
        return count < 8 ? head.number << (16 &* (8 &- head.count)) | number : nil
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        let digit = byte &- Byte.zero
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter &+ 10 : nil
    }
}
