/// Header blocks of HTTP/2 read as HTTP/1.1 heads, and the other way round (RFC 9113 §8).
///
/// A request or response that came over HTTP/2 is checked by the rules of RFC 9113 and written as
/// the head that HTTP/1.1 would have had, which `HeadParser` then parses. So whatever is behind it
/// (routing, plugins, an upstream that speaks HTTP/1.1) sees one form of a message, and a field
/// that no HTTP/1.1 parser would accept gets no further than here.
///
/// A head says nothing about the body: whether one follows is told by END_STREAM.
public enum FieldBlock {
    /// What reading a block led to.
    public enum Outcome: Equatable {
        case complete
        /// Over `HeadLimits`: 431 for a request, 502 for a response.
        ///
        /// The block was decoded to its end.
        case tooLarge
        /// A stream error of type PROTOCOL_ERROR (RFC 9113 §8.1.1); the connection goes on.
        case malformed(FieldBlockError)
        /// A connection error of type COMPRESSION_ERROR.
        case invalid(HPACKError)
    }

    /// What a request told besides its head.
    public struct Request {
        /// Bytes of the head, its empty line included.
        public var byteCount = 0
        /// Content-Length, or -1.
        public var contentLength: Int64 = -1
        /// CONNECT without `:protocol`: a tunnel (RFC 9113 §8.5).
        public var isConnect = false
        public var scheme = Scheme.none
        public var upgrade = Upgrade.none
        /// Of the Priority field; what is usual where there is none.
        public var priority = H2Priority()
        /// A Priority field was there: who sends none does not know of the scheme.
        public var hasPriority = false
        public var neverIndexed = NeverIndexed()

        public init() {}
    }

    /// What a response told besides its head.
    public struct Response {
        /// Bytes of the head, its empty line included.
        public var byteCount = 0
        /// 100 to 999, never 101.
        public var status: UInt16 = 0
        /// Content-Length, or -1.
        public var contentLength: Int64 = -1
        public var neverIndexed = NeverIndexed()

        public init() {}
    }

    /// `:scheme` of a request; CONNECT has none.
    public enum Scheme: UInt8, Sendable {
        case none, http, https, other
    }

    /// `:protocol` of an extended CONNECT (RFC 8441 §4).
    public enum Upgrade: UInt8, Sendable {
        case none, websocket, other
    }

    /// Field lines of a head that came as never indexed, and must be sent on in the same way
    /// (RFC 7541 §6.2.3).
    public struct NeverIndexed {
        private var bits = InlineArray<16, UInt64>(repeating: 0)

        /// Field lines that it can tell of: as many as `HeadLimits.fieldCountMax` allows.
        static let linesMax = 1_024

        init() {}

        /// Whether there are none.
        public var isEmpty: Bool {
            for word in 0..<bits.count where bits[word] != 0 { return false }
            return true
        }

        mutating func insert(_ line: Int) {
            guard line < NeverIndexed.linesMax else { return }
            bits[line &>> 6] |= 1 &<< UInt64(line & 63)
        }

        /// Marks the fields with `FieldSpan.neverIndexed`, once the head is parsed.
        ///
        /// Safe: `fields` has `count` elements.
        public func mark(_ fields: UnsafeMutablePointer<FieldSpan>, count: Int) {
            let count = min(count, NeverIndexed.linesMax)
            var word = 0
            while word &<< 6 < count {
                var rest = bits[word]
                while rest != 0 {
                    let line = word &<< 6 &+ rest.trailingZeroBitCount
                    if line < count { fields[line].flags |= FieldSpan.neverIndexed }
                    rest &= rest &- 1
                }
                word &+= 1
            }
        }
    }

    /// Room that the readers need in `out`: the head, and the values that wait for their place in
    /// it.
    @inlinable
    public static func readRoom(headBytesMax: Int) -> Int {
        2 &* headBytesMax
    }
}

/// Why a message is malformed (RFC 9113 §8.1.1).
public enum FieldBlockError: UInt8, Error, Equatable, CaseIterable, Sendable {
    case badName
    case badValue
    case connectionField
    case badTE
    case badContentLength
    case repeatedContentLength
    case unknownPseudoField
    case repeatedPseudoField
    case latePseudoField
    case pseudoFieldInTrailers
    case missingMethod
    case missingScheme
    case missingPath
    case missingAuthority
    case missingStatus
    case badMethod
    case badScheme
    case badPath
    case badAuthority
    case badStatus
    case repeatedHost
    case hostDiffers
    case connectTarget
    case unexpectedProtocol
    case badProtocol

    /// One line for the log.
    public var reason: StaticString {
        switch self {
        case .badName: "a field name is no token in lower case"
        case .badValue: "a field value holds a forbidden byte, or white space at an end"
        case .connectionField: "a field belongs to a connection of HTTP/1.1"
        case .badTE: "TE is other than trailers"
        case .badContentLength: "Content-Length is no number"
        case .repeatedContentLength: "Content-Length is present more than once"
        case .unknownPseudoField: "a pseudo-field is unknown or in the wrong message"
        case .repeatedPseudoField: "a pseudo-field is present more than once"
        case .latePseudoField: "a pseudo-field follows other fields"
        case .pseudoFieldInTrailers: "a pseudo-field stands in the trailer section"
        case .missingMethod: ":method is missing"
        case .missingScheme: ":scheme is missing"
        case .missingPath: ":path is missing"
        case .missingAuthority: ":authority and Host are missing"
        case .missingStatus: ":status is missing"
        case .badMethod: ":method is no token"
        case .badScheme: ":scheme is no scheme"
        case .badPath: ":path is no target in origin form"
        case .badAuthority: ":authority or Host is no host with an optional port"
        case .badStatus: ":status is no status of HTTP/2"
        case .repeatedHost: "Host is present more than once"
        case .hostDiffers: "Host and :authority differ"
        case .connectTarget: "CONNECT has :scheme or :path"
        case .unexpectedProtocol: ":protocol is not allowed here"
        case .badProtocol: ":protocol is no token"
        }
    }
}
