/// The static table (RFC 7541 Appendix A), and which fields the encoder puts into its own: one
/// block of memory, made once and never freed or changed.
///
/// Safe: written only by `init`, before anyone else can see it; indexed by 1 to `count`, or by an
/// id below `FieldID.count`.
struct HPACKStaticTable: @unchecked Sendable {
    static let count = 61

    static let shared = HPACKStaticTable()

    /// The entries from index 1 on; index 0 holds an empty field.
    let fields: UnsafePointer<HPACKField>
    /// By id: the first index with this name, or 0.
    let indices: UnsafePointer<UInt8>
    /// By id: how the encoder represents the field where no table holds it.
    let indexings: UnsafePointer<HPACKIndexing>

    private init() {
        let fields = UnsafeMutablePointer<HPACKField>.allocate(capacity: HPACKStaticTable.count + 1)
        let indices = UnsafeMutablePointer<UInt8>.allocate(capacity: FieldID.count)
        let indexings = UnsafeMutablePointer<HPACKIndexing>.allocate(capacity: FieldID.count)
        indices.initialize(repeating: 0, count: FieldID.count)
        indexings.initialize(repeating: .never, count: FieldID.count)
        fields.initialize(to: HPACKStaticTable.field("", ""))
        precondition(HPACKStaticTable.entries.count == HPACKStaticTable.count, "61 entries")
        for (place, entry) in HPACKStaticTable.entries.enumerated() {
            let field = HPACKStaticTable.field(entry.name, entry.value)
            (fields + place + 1).initialize(to: field)
            let id = Int(field.id.rawValue)
            if id != 0, indices[id] == 0 { indices[id] = UInt8(place + 1) }
        }
        for id in 0..<FieldID.count {
            indexings[id] = HPACKIndexing.of(FieldID(rawValue: UInt8(id)))
        }
        self.fields = UnsafePointer(fields)
        self.indices = UnsafePointer(indices)
        self.indexings = UnsafePointer(indexings)
    }

    private static func field(_ name: StaticString, _ value: StaticString) -> HPACKField {
        HPACKField(
            id: FieldNames.id(name.utf8Start, count: name.utf8CodeUnitCount),
            name: name.utf8Start,
            nameCount: name.utf8CodeUnitCount,
            value: value.utf8Start,
            valueCount: value.utf8CodeUnitCount
        )
    }

    private static let entries: [(name: StaticString, value: StaticString)] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
        (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
        (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
        (":status", "404"), (":status", "500"), ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
        ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""),
        ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
        ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
        ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""),
        ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
        ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
        ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
        ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""),
        ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""),
        ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
        ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ]
}

/// How the encoder represents a field that no table holds (RFC 7541 §6.2).
///
/// A field is worth an entry when the same value will come again on the connection before the
/// table has turned over. Values that change with each message (a date, a length, a path, a tag)
/// would only push the others out. Credentials are never indexed, whatever their length: a table
/// is a place where guesses can be tested (RFC 7541 §7.1.3).
enum HPACKIndexing: UInt8 {
    /// Literal with incremental indexing.
    case incremental
    /// The same, when the field was sent before on this connection.
    case whenRepeated
    /// Literal without indexing.
    case none
    /// Literal never indexed.
    case never

    /// The rule for a field.
    static func of(_ id: FieldID) -> HPACKIndexing {
        switch id {
        case .unknown: .whenRepeated
        case .authorization, .proxyAuthorization, .cookie, .setCookie: .never
        case .pseudoPath, .contentLength, .contentRange, .contentDigest, .contentLocation, .date,
            .age, .expires, .etag, .lastModified, .location, .referer, .range, .ifMatch,
            .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince, .ifRange, .retryAfter, .link,
            .forwarded, .xForwardedFor, .xRealIp, .xRequestId, .traceparent, .tracestate, .baggage,
            .b3, .wwwAuthenticate, .proxyAuthenticate, .cacheStatus, .cacheTag, .surrogateKey,
            .ratelimit, .ratelimitRemaining, .ratelimitReset, .secWebsocketKey,
            .secWebsocketAccept, .serverTiming, .grpcMessage, .grpcTimeout, .contentDisposition,
            .warning:
            .none
        default: .incremental
        }
    }
}
