import SluiceSDK

/// Replaces a text in the bodies of responses, chunk by chunk.
public struct Rewriter: RequestHeadersHook, ResponseHeadersHook, ResponseBodyHook {
    public static let id: StaticString = "org.example.body-rewriter"
    public static let version: StaticString = "1.0.0"
    public static let summary: StaticString = "Replaces a text in the bodies of responses."

    /// How far a body has come; zeroes at its begin.
    public typealias Context = Progress

    private let pattern: Pattern
    private let replacement: Bytes
    private let contentTypes: List<Bytes>
    private let releasesAtFlush: Bool
    private let asksPlain: Bool
    private let validators: List<FieldName>

    public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let find = try configuration.required("find")
        pattern = try find.naming { () throws(PluginError) in
            try Pattern(try find.string(), host.memory)
        }
        replacement = try configuration.required("replace").string()
        var types: [Bytes] = []
        for type in try configuration.array("content_types") { types.append(try type.string()) }
        contentTypes = host.memory.list(types.isEmpty ? ["text/html"] : types)
        releasesAtFlush = try configuration.string("at_flush") == "release"
        asksPlain = try configuration.bool("ask_plain") ?? true
        // What names these very bytes, and is wrong for others: the strong validator (RFC 9110
        // §8.8.1) and the digests (RFC 9530, and those that it made obsolete).
        validators = host.memory.list([
            FieldName(.etag), FieldName(.contentDigest), try FieldName(named: "repr-digest"),
            try FieldName(named: "digest"), try FieldName(named: "content-md5"),
        ])
    }

    /// A part of a body can't be rewritten, nor one that is compressed: asks for neither.
    public func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        exchange.edits.remove(.acceptEncoding)
        exchange.edits.remove(.range)
        exchange.edits.remove(.ifRange)
        return .next
    }

    public func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        guard mayRewrite(exchange.fields) else { return .detach }
        for name in validators { exchange.edits.remove(name) }
        // A range that is asked for later would be one of other bytes.
        exchange.edits.set(.acceptRanges, "none")
        // Also for HEAD: its answer has the fields that the one to GET would have.
        exchange.setBodyPolicy(.unknown)
        return .next
    }

    public func responseBody(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let chunk = exchange.chunk
        let endsHere = chunk.isEnd || releasesAtFlush && chunk.isFlush
        var pass = Pass(
            pattern: pattern,
            replacement: replacement,
            data: chunk.data,
            output: exchange.output,
            progress: exchange.context
        )
        let isDone = pass.run(letsGo: endsHere)
        exchange.context = pass.progress
        return isDone ? .next : exchange.more(consumed: pass.consumed)
    }

    /// Hooks that the configuration needs not cost nothing.
    public func narrow(_ offer: inout Offer) {
        if !asksPlain { offer.requestHeaders = nil }
    }

    public static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
        offer.responseBody = { Export<Self>.responseBody($0, $1, $2, $3, $4) }
    }

    // MARK: What is rewritten

    private func mayRewrite(_ fields: Fields) -> Bool {
        // A part does not show the matches that lie across its ends.
        guard fields.status != 206, let type = fields[.contentType] else { return false }
        let end = type.firstIndex(of: UInt8(ascii: ";")) ?? type.count
        let name = type.prefix(end).trimmed
        guard contentTypes.contains(where: { $0.equalsIgnoringCase(name) }) else { return false }
        guard fields.contains(anyOf: [.contentEncoding, .cacheControl]) else { return true }
        for field in fields {
            switch field.id {
            case .contentEncoding where !field.value.equalsIgnoringCase("identity"): return false
            // RFC 9110 §7.7: a proxy must not transform what says so.
            case .cacheControl where hasMember(field.value, "no-transform"): return false
            default: break
            }
        }
        return true
    }

    /// Whether a list of elements between commas has this one.
    private func hasMember(_ list: Bytes, _ member: Bytes) -> Bool {
        var rest = list
        while true {
            let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.count
            if rest.prefix(end).trimmed.equalsIgnoringCase(member) { return true }
            if end == rest.count { return false }
            rest = rest.dropFirst(end + 1)
        }
    }
}
