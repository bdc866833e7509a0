/// Reads the header at the begin of a connection.
///
/// It is parsed from its first byte each time that more has come: it is short, and nearly always
/// comes at once (§2).
///
/// Safe: each index is compared with `count`, or with an end that is not over it, before its byte
/// is read.
public enum ProxyHeaderParser {
    /// - Parameters:
    ///   - bytes: the connection's first bytes.
    ///   - versions: those that are accepted.
    ///   - header: set when the outcome is `.complete`.
    /// - Returns: `.invalid` as soon as no further bytes could make a header; never `.incomplete`
    ///   with `ProxyHeaderLimits.bytesMax` bytes or more.
    public static func parse(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        versions: ProxyVersions,
        into header: inout ProxyHeader
    ) -> ProxyHeaderOutcome {
        guard count > 0 else { return .incomplete }
        let isText = bytes[0] == UInt8(ascii: "P")
        let start: StaticString =
            isText ? "PROXY " : "\u{0D}\u{0A}\u{0D}\u{0A}\u{00}\u{0D}\u{0A}QUIT\u{0A}"
        for index in 0..<min(count, start.utf8CodeUnitCount)
        where bytes[index] != start.utf8Start[index] {
            return .invalid(.noHeader)
        }
        guard count >= start.utf8CodeUnitCount else { return .incomplete }
        guard versions.contains(isText ? .v1 : .v2) else { return .invalid(.versionNotAccepted) }
        return isText
            ? parseLine(bytes, count: count, into: &header)
            : parseBinary(bytes, count: count, into: &header)
    }

    // MARK: Version 2

    /// Bytes in front of the addresses: signature, version and command, family, length (§2.2).
    static let fixedBytes = 16
    private static let checksumType: UInt8 = 3

    private static func parseBinary(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        into header: inout ProxyHeader
    ) -> ProxyHeaderOutcome {
        guard count > 12 else { return .incomplete }
        guard bytes[12] >> 4 == 2 else { return .invalid(.badVersion) }
        guard bytes[12] & 15 <= 1 else { return .invalid(.badCommand) }
        let isLocal = bytes[12] & 15 == 0
        guard count > 13 else { return .incomplete }
        let family = bytes[13] >> 4
        let transport = bytes[13] & 15
        // The family of LOCAL is ignored (§2.2).
        guard isLocal || family <= 3 && transport <= 2 else { return .invalid(.badFamily) }
        guard count >= fixedBytes else { return .incomplete }
        let end = fixedBytes &+ (Int(bytes[14]) << 8 | Int(bytes[15]))
        guard end <= ProxyHeaderLimits.bytesMax else { return .invalid(.tooLong) }
        var made = ProxyHeader()
        made.byteCount = end
        // What LOCAL and UNSPEC have behind the length is skipped: it has no form.
        guard !isLocal, family > 0, transport > 0 else {
            guard count >= end else { return .incomplete }
            header = made
            return .complete
        }
        let addressBytes = family == 1 ? 12 : family == 2 ? 36 : 216
        guard end &- fixedBytes >= addressBytes else { return .invalid(.addressesCut) }
        guard count >= end else { return .incomplete }
        if let error = checkTLVs(bytes, from: fixedBytes &+ addressBytes, end: end) {
            return .invalid(error)
        }
        if family == 3 {
            made.client = .unix
        } else {
            made.client = .address
            readAddresses(bytes + fixedBytes, isIPv4: family == 1, into: &made)
        }
        header = made
        return .complete
    }

    /// Safe: 12 bytes of IPv4, or 36 of IPv6, are there.
    private static func readAddresses(
        _ bytes: UnsafePointer<UInt8>,
        isIPv4: Bool,
        into header: inout ProxyHeader
    ) {
        let raw = UnsafeRawPointer(bytes)
        if isIPv4 {
            header.source.setIPv4(raw.loadUnaligned(as: UInt32.self).byteSwapped)
            header.destination.setIPv4(
                raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self).byteSwapped
            )
        } else {
            header.source.number = raw.loadUnaligned(as: UInt128.self).byteSwapped
            header.destination.number =
                raw.loadUnaligned(fromByteOffset: 16, as: UInt128.self).byteSwapped
        }
        let ports = isIPv4 ? 8 : 32
        header.source.port = UInt16(bytes[ports]) << 8 | UInt16(bytes[ports &+ 1])
        header.destination.port = UInt16(bytes[ports &+ 2]) << 8 | UInt16(bytes[ports &+ 3])
    }

    /// Walks over the type-length-value entries behind the addresses and checks the sum if one is
    /// there (§2.2.3); the others mean nothing here.
    private static func checkTLVs(
        _ bytes: UnsafePointer<UInt8>,
        from: Int,
        end: Int
    ) -> ProxyHeaderError? {
        var at = from
        var checksumAt: Int?
        while at < end {
            guard at &+ 3 <= end else { return .badTLV }
            let count = Int(bytes[at &+ 1]) << 8 | Int(bytes[at &+ 2])
            guard at &+ 3 &+ count <= end else { return .badTLV }
            if bytes[at] == checksumType {
                // A second one would have been summed with which of them zeroed?
                guard checksumAt == nil, count == 4 else { return .badChecksum }
                checksumAt = at &+ 3
            }
            at &+= 3 &+ count
        }
        guard let checksumAt else { return nil }
        let stated = UnsafeRawPointer(bytes + checksumAt).loadUnaligned(as: UInt32.self).byteSwapped
        var sum = CRC32C()
        sum.add(bytes, checksumAt)
        for _ in 0..<4 { sum.add(0) }
        sum.add(bytes + (checksumAt &+ 4), end &- checksumAt &- 4)
        return sum.value == stated ? nil : .badChecksum
    }
}

/// The sum of Castagnoli (RFC 4960, appendix B), a bit at a time: at most one short header a
/// connection is summed, and few have a sum at all.
struct CRC32C {
    private var state: UInt32 = 0xffff_ffff

    var value: UInt32 { ~state }

    mutating func add(_ byte: UInt8) {
        state ^= UInt32(byte)
        for _ in 0..<8 {
            // 0x1edc6f41, the polynomial, with its bits in reverse.
            state = state >> 1 ^ (state & 1 == 0 ? 0 : 0x82f6_3b78)
        }
    }

    /// Safe: reads `count` bytes.
    mutating func add(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        for index in 0..<count { add(bytes[index]) }
    }
}
