/// An IP address as bits.
///
/// An IPv4 address that is written as IPv6 (::ffff:192.0.2.1) counts as IPv4.
public struct IPAddress: Equatable, BitwiseCopyable, Sendable {
    /// The upper 64 bits.
    public let high: UInt64
    /// The lower 64 bits; an IPv4 address is in the lowest 32, below ::ffff:0:0.
    public let low: UInt64

    /// An IPv6 address.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address, the first byte as the highest.
    @inlinable
    public init(v4: UInt32) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(v4))
    }

    /// The 128 bits; an IPv4 address is in the lowest 32, below ::ffff:0:0.
    @inlinable public var bits: (high: UInt64, low: UInt64) { (high, low) }

    /// Whether this is an IPv4 address.
    @inlinable public var isV4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// Reads "192.0.2.1" or "2001:db8::1" (RFC 4291 §2.2), without a zone; nil when it is neither.
    public init?(_ text: Bytes) {
        if let v4 = parseV4(text) {
            self.init(v4: v4)
        } else if let address = parseV6(text) {
            self = address
        } else {
            return nil
        }
    }
}

/// A block of addresses: "10.0.0.0/8", "2001:db8::/32", or one address.
public struct IPBlock: Equatable, BitwiseCopyable, Sendable {
    @usableFromInline let base: IPAddress
    @usableFromInline let highMask: UInt64
    @usableFromInline let lowMask: UInt64

    /// Reads an address with or without a length.
    ///
    /// - Throws: when it is none, when the length is too great, or when bits behind the length are
    ///   set: such a block is a slip of the pen more often than not.
    public init(_ text: Bytes) throws(PluginError) {
        let slash = text.firstIndex(of: 0x2F)
        guard let address = IPAddress(text.prefix(slash ?? text.count)) else {
            throw PluginError("no address or block: \"\(String(text))\"")
        }
        let least = address.isV4 ? 96 : 0
        var length = 128
        if let slash {
            let number = text.dropFirst(slash + 1).decimal
            guard let number, number <= UInt64(128 - least) else {
                throw PluginError("length over \(128 - least) bits: \"\(String(text))\"")
            }
            length = least + Int(number)
        }
        highMask = length >= 64 ? .max : ~(.max >> UInt64(length))
        lowMask = length <= 64 ? 0 : ~(UInt64.max >> UInt64(length - 64))
        base = address
        guard address.high & ~highMask == 0, address.low & ~lowMask == 0 else {
            throw PluginError("bits are set behind the length: \"\(String(text))\"")
        }
    }

    /// Whether the address lies in the block.
    @inlinable
    public func contains(_ address: IPAddress) -> Bool {
        address.high & highMask == base.high && address.low & lowMask == base.low
    }
}

/// Four decimal bytes without leading zeros, which some read as octal.
private func parseV4(_ text: Bytes) -> UInt32? {
    var address: UInt32 = 0
    var rest = text
    for part in 0..<4 {
        let end = part < 3 ? rest.firstIndex(of: 0x2E) : rest.count
        guard let end, end <= 3, let number = rest.prefix(end).decimal, number <= 255,
            end == 1 || rest[0] != 0x30
        else { return nil }
        address = address << 8 | UInt32(number)
        rest = rest.dropFirst(part < 3 ? end + 1 : end)
    }
    return address
}

/// Up to eight groups of hexadecimal digits, one run of zeros left out, the last two groups perhaps
/// written as IPv4.
private func parseV6(_ text: Bytes) -> IPAddress? {
    var groups = SIMD8<UInt16>()
    var count = 0
    var gap: Int?
    var rest = text
    if rest.hasPrefix("::") {
        gap = 0
        rest = rest.dropFirst(2)
    }
    while !rest.isEmpty {
        let end = rest.firstIndex(of: 0x3A) ?? rest.count
        if end == rest.count, count <= 6, let v4 = parseV4(rest) {
            groups[count] = UInt16(v4 >> 16)
            groups[count + 1] = UInt16(v4 & 0xFFFF)
            count += 2
            break
        }
        guard count < 8, let group = hexadecimal(rest.prefix(end)) else { return nil }
        groups[count] = group
        count += 1
        rest = rest.dropFirst(end)
        if rest.isEmpty { break }
        rest = rest.dropFirst(1)
        if rest.isEmpty { return nil }
        if rest[0] == 0x3A {
            guard gap == nil else { return nil }
            gap = count
            rest = rest.dropFirst(1)
        }
    }
    guard gap == nil ? count == 8 : count < 8 else { return nil }
    return assemble(groups, count: count, gap: gap ?? count)
}

/// The address of `count` groups, those from `gap` on moved to the end.
private func assemble(_ groups: SIMD8<UInt16>, count: Int, gap: Int) -> IPAddress {
    var halves = (high: UInt64(0), low: UInt64(0))
    for index in 0..<8 {
        let moved = index - (8 - count)
        let group = index < gap ? groups[index] : moved >= gap ? groups[moved] : 0
        if index < 4 {
            halves.high = halves.high << 16 | UInt64(group)
        } else {
            halves.low = halves.low << 16 | UInt64(group)
        }
    }
    return IPAddress(high: halves.high, low: halves.low)
}

/// One to four hexadecimal digits.
private func hexadecimal(_ digits: Bytes) -> UInt16? {
    guard digits.count >= 1, digits.count <= 4 else { return nil }
    var number: UInt16 = 0
    for offset in digits.indices {
        let byte = lowered(digits[offset])
        switch byte {
        case 0x30...0x39: number = number << 4 | UInt16(byte - 0x30)
        case 0x61...0x66: number = number << 4 | UInt16(byte - 0x61 + 10)
        default: return nil
        }
    }
    return number
}
