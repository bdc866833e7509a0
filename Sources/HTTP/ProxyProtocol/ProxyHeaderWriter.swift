/// Writes the header that a connection to a peer begins with.
///
/// Safe: `out` has room for `bytesMax` bytes.
public enum ProxyHeaderWriter {
    /// Bytes that may be written: the longest line of version 1; version 2 needs 52.
    public static let bytesMax = ProxyHeaderLimits.lineBytesMax

    /// Writes version 1 (§2.1) and returns its bytes.
    ///
    /// UNKNOWN when one of the ends has no address. IPv6 when the families differ, and then IPv4 as
    /// IPv6 maps it.
    public static func writeLine(
        source: ProxyEndpoint,
        destination: ProxyEndpoint,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        guard source.family != 0, destination.family != 0 else {
            return HeadWriter.copy("PROXY UNKNOWN\r\n", to: out)
        }
        let isIPv4 = source.family == 4 && destination.family == 4
        var at = HeadWriter.copy(isIPv4 ? "PROXY TCP4 " : "PROXY TCP6 ", to: out)
        at &+= writeAddress(source.number, isIPv4: isIPv4, to: out + at)
        at &+= writeAddress(destination.number, isIPv4: isIPv4, to: out + at)
        at &+= HeadWriter.writeDecimal(UInt64(source.port), to: out + at)
        out[at] = Byte.space
        at &+= 1
        at &+= HeadWriter.writeDecimal(UInt64(destination.port), to: out + at)
        return at &+ HeadWriter.copy("\r\n", to: out + at)
    }

    /// Writes version 2 (§2.2) and returns its bytes: PROXY over TCP.
    ///
    /// The family is UNSPEC when one of the ends has no address; else as in version 1.
    public static func writeBinary(
        source: ProxyEndpoint,
        destination: ProxyEndpoint,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        guard source.family != 0, destination.family != 0 else {
            return writeFixed(command: 1, family: 0, addressBytes: 0, to: out)
        }
        let isIPv4 = source.family == 4 && destination.family == 4
        var at = writeFixed(
            command: 1,
            family: isIPv4 ? 0x11 : 0x21,
            addressBytes: isIPv4 ? 12 : 36,
            to: out
        )
        let raw = UnsafeMutableRawPointer(out)
        if isIPv4 {
            raw.storeBytes(
                of: UInt32(truncatingIfNeeded: source.low),
                toByteOffset: at,
                as: UInt32.self
            )
            raw.storeBytes(
                of: UInt32(truncatingIfNeeded: destination.low),
                toByteOffset: at &+ 4,
                as: UInt32.self
            )
            at &+= 8
        } else {
            raw.storeBytes(of: source.number.byteSwapped, toByteOffset: at, as: UInt128.self)
            raw.storeBytes(
                of: destination.number.byteSwapped,
                toByteOffset: at &+ 16,
                as: UInt128.self
            )
            at &+= 32
        }
        raw.storeBytes(of: source.port.byteSwapped, toByteOffset: at, as: UInt16.self)
        raw.storeBytes(of: destination.port.byteSwapped, toByteOffset: at &+ 2, as: UInt16.self)
        return at &+ 4
    }

    /// Writes version 2 of a connection that no client has asked for: LOCAL.
    public static func writeLocal(to out: UnsafeMutablePointer<UInt8>) -> Int {
        writeFixed(command: 0, family: 0, addressBytes: 0, to: out)
    }

    private static func writeFixed(
        command: UInt8,
        family: UInt8,
        addressBytes: UInt8,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let count = HeadWriter.copy(
            "\u{0D}\u{0A}\u{0D}\u{0A}\u{00}\u{0D}\u{0A}QUIT\u{0A}",
            to: out
        )
        out[count] = 0x20 | command
        out[count &+ 1] = family
        out[count &+ 2] = 0
        out[count &+ 3] = addressBytes
        return count &+ 4
    }

    /// Writes an address and the space behind it.
    private static func writeAddress(
        _ number: UInt128,
        isIPv4: Bool,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let count = isIPv4 ? writeIPv4(number, to: out) : writeIPv6(number, to: out)
        out[count] = Byte.space
        return count &+ 1
    }

    private static func writeIPv4(_ number: UInt128, to out: UnsafeMutablePointer<UInt8>) -> Int {
        var at = 0
        for index in 0..<4 {
            if index > 0 {
                out[at] = UInt8(ascii: ".")
                at &+= 1
            }
            let part = UInt64(truncatingIfNeeded: number >> (24 &- 8 &* index)) & 255
            at &+= HeadWriter.writeDecimal(part, to: out + at)
        }
        return at
    }

    /// Writes the recommended text (RFC 5952 §4), but without dots in mapped addresses: the
    /// specification has hexadecimal groups only.
    private static func writeIPv6(_ number: UInt128, to out: UnsafeMutablePointer<UInt8>) -> Int {
        let gap = longestZeroes(number)
        var at = 0
        var index = 0
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                at &+= HeadWriter.copy("::", to: out + at)
                index = gap.upperBound
                continue
            }
            if index > 0, index != gap.upperBound || gap.isEmpty {
                out[at] = Byte.colon
                at &+= 1
            }
            let value = group(number, index)
            var shift = value > 0xfff ? 12 : value > 0xff ? 8 : value > 0xf ? 4 : 0
            while shift >= 0 {
                let digit = UInt8(truncatingIfNeeded: value >> UInt16(shift)) & 15
                out[at] = digit &+ (digit < 10 ? Byte.zero : 0x61 - 10)
                at &+= 1
                shift &-= 4
            }
            index &+= 1
        }
        return at
    }

    /// The first of the longest runs of two or more groups of zeroes.
    private static func longestZeroes(_ number: UInt128) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for index in 0..<8 {
            guard group(number, index) == 0 else {
                start = index &+ 1
                continue
            }
            if index &+ 1 &- start > max(1, longest.count) { longest = start..<(index &+ 1) }
        }
        return longest
    }

    /// A group of an IPv6 address, the first one 0.
    private static func group(_ number: UInt128, _ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: number >> (112 &- 16 &* index))
    }
}
