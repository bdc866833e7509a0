/// The header with which one proxy tells the next whose connection it carries (HAProxy's
/// `proxy-protocol.txt`, of 2020-03-05; the sections below are its own).
public struct ProxyHeader: Equatable, Sendable {
    /// Bytes of the whole header; what follows belongs to the connection.
    public var byteCount = 0
    public var client = Client.connection
    /// The client, and the address that it connected to; both of one family before IPv4-mapped
    /// addresses were taken for IPv4.
    ///
    /// Only with `client == .address`.
    public var source = ProxyEndpoint()
    public var destination = ProxyEndpoint()

    public init() {}

    /// Who the client is.
    public enum Client: UInt8, Sendable {
        /// The ends of the connection itself: LOCAL, UNKNOWN and UNSPEC.
        case connection
        /// `source`.
        case address
        /// The client of a Unix socket, which has no address.
        case unix
    }
}

/// An end of a connection.
public struct ProxyEndpoint: Equatable, Sendable {
    /// The address as its bytes stand in memory, in network order: an IPv4 address is in the first
    /// four bytes, and the rest is zero.
    public var low: UInt64 = 0
    public var high: UInt64 = 0
    /// In host order.
    public var port: UInt16 = 0
    /// 4, 6, or 0 for none.
    public var family: UInt8 = 0

    public init() {}

    public init(low: UInt64, high: UInt64, family: UInt8, port: UInt16) {
        self.low = low
        self.high = high
        self.family = family
        self.port = port
    }

    /// `::ffff:0:0/96`: IPv4 addresses within IPv6 (RFC 4291 §2.5.5.2).
    private static let mappedPrefix: UInt128 = 0xffff

    /// The address as a number of 128 bits; an IPv4 address as IPv6 has it.
    var number: UInt128 {
        get {
            family == 4
                ? Self.mappedPrefix << 32 | UInt128(UInt32(truncatingIfNeeded: low).byteSwapped)
                : UInt128(low.byteSwapped) << 64 | UInt128(high.byteSwapped)
        }
        set {
            if newValue >> 32 == Self.mappedPrefix {
                // One client has one address, however the sender's socket looks.
                setIPv4(UInt32(truncatingIfNeeded: newValue))
                return
            }
            family = 6
            low = UInt64(truncatingIfNeeded: newValue >> 64).byteSwapped
            high = UInt64(truncatingIfNeeded: newValue).byteSwapped
        }
    }

    /// - Parameter number: the first byte highest.
    mutating func setIPv4(_ number: UInt32) {
        family = 4
        low = UInt64(number.byteSwapped)
        high = 0
    }
}

/// Versions of the header.
public struct ProxyVersions: OptionSet, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A line of text (§2.1).
    public static let v1 = ProxyVersions(rawValue: 1)
    /// Binary (§2.2).
    public static let v2 = ProxyVersions(rawValue: 2)
}

/// Bounds of a header that is read.
public enum ProxyHeaderLimits {
    /// Bytes of a version 1 line with its CRLF (§2.1).
    public static let lineBytesMax = 107
    /// Bytes of a whole version 2 header.
    ///
    /// The specification counts on 536, one segment (§2). Senders that pass on names of
    /// certificates go over that, so that the bound is the one of nginx.
    public static let bytesMax = 4_096
}

/// What a parser found.
public enum ProxyHeaderOutcome: Equatable, Sendable {
    case complete
    /// So far it is good, and more must come.
    case incomplete
    case invalid(ProxyHeaderError)
}

/// Why a header was refused.
public enum ProxyHeaderError: UInt8, Error, CaseIterable, Sendable {
    case noHeader
    case versionNotAccepted
    case lineTooLong
    case badLineEnd
    case badProtocol
    case badAddress
    case badPort
    case badVersion
    case badCommand
    case badFamily
    case addressesCut
    case tooLong
    case badTLV
    case badChecksum

    /// For the log.
    public var text: StaticString {
        switch self {
        case .noHeader: "the connection does not begin with one"
        case .versionNotAccepted: "its version is not among proxy_protocol.versions"
        case .lineTooLong: "no CRLF in the first 107 bytes"
        case .badLineEnd: "a CR or LF that is not a CRLF"
        case .badProtocol: "the protocol is not TCP4, TCP6 or UNKNOWN"
        case .badAddress: "an address that is not of the protocol's form"
        case .badPort: "a port that is not a number from 0 to 65535"
        case .badVersion: "the binary header is not of version 2"
        case .badCommand: "the command is not LOCAL or PROXY"
        case .badFamily: "the family or the transport is not one of version 2"
        case .addressesCut: "the length is less than the family's addresses"
        case .tooLong: "longer than 4096 bytes"
        case .badTLV: "a TLV does not end where the header ends"
        case .badChecksum: "the CRC32C does not match"
        }
    }
}
