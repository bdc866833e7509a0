/// A range of IP addresses that have their first bits in common (RFC 4632 §3.1).
public struct IPNetwork: Equatable, Hashable, Sendable {
    /// The first address of the range.
    public let address: IPAddress
    /// Bits in common: 0 to 32 for IPv4, 0 to 128 for IPv6.
    public let prefixBits: Int
    private let lowMask: UInt64
    private let highMask: UInt64

    /// - Parameters:
    ///   - bytes: 4 or 16, in network order.
    ///   - prefixBits: nil is all of them: a single address.
    /// - Returns: nil when the bits behind the prefix are not all zero, or a count is out of range.
    public init?(_ bytes: [UInt8], prefixBits: Int? = nil) {
        let prefixBits = prefixBits ?? bytes.count * 8
        guard bytes.count == 4 || bytes.count == 16, 0...(bytes.count * 8) ~= prefixBits else {
            return nil
        }
        var address = IPAddress()
        address.family = bytes.count == 4 ? 4 : 6
        for (index, byte) in bytes.enumerated() {
            // The first byte lowest: as the address stands in memory.
            if index < 8 {
                address.low |= UInt64(byte) << UInt64(index * 8)
            } else {
                address.high |= UInt64(byte) << UInt64(index * 8 - 64)
            }
        }
        lowMask = Self.mask(bits: min(prefixBits, 64))
        highMask = Self.mask(bits: max(prefixBits - 64, 0))
        guard address.low & ~lowMask == 0, address.high & ~highMask == 0 else { return nil }
        self.address = address
        self.prefixBits = prefixBits
    }

    /// The first bits of eight bytes in network order.
    private static func mask(bits: Int) -> UInt64 {
        // Shifting by 64 gives zero.
        (UInt64.max << UInt64(64 - bits)).bigEndian
    }

    /// Whether an address is in the range; one of the other family, or none, is not.
    public func contains(_ ip: IPAddress) -> Bool {
        ip.family == address.family && ip.low & lowMask == address.low
            && ip.high & highMask == address.high
    }

    /// "192.0.2.0/24".
    public var text: String { "\(address.text)/\(prefixBits)" }
}
