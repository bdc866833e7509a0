/// What a template can stand for.
public enum Placeholder: UInt8, BitwiseCopyable, Sendable {
    /// `{client_ip}`: the client's address as text, without its port.
    case clientIP
    /// `{host}`: the host that the client asked for, as sent, without its port.
    case host
    /// `{authority}`: the same with its port, if it was sent.
    case authority
    /// `{scheme}`: "https" or "http", by the client's connection.
    case scheme
    /// `{path}`: the path as sent, without the query.
    case path
    /// `{query}`: the query with its "?"; empty when there is none.
    case query
    /// `{request_id}`: the id that the plugin gives to the request.
    case requestID
    /// `{route}`: the route's name; empty before it is known.
    case route
    /// `{upstream}`: the upstream's name; empty before it is known.
    case upstream
    /// `{peer}`: the address of the attempt's peer; empty before it is known.
    case peer
    /// `{tls_version}`: "TLSv1.2" or "TLSv1.3"; empty without TLS, like all that follow.
    case tlsVersion
    /// `{tls_cipher}`: the cipher suite's name.
    case tlsCipher
    /// `{tls_server_name}`: the host in the client's hello; empty when it is no ASCII text.
    case tlsServerName
    /// `{client_subject}`: the subject of a client certificate that was verified; else empty.
    case clientSubject
    /// `{client_fingerprint}`: SHA-256 of that certificate in lower-case hexadecimal digits.
    case clientFingerprint

    /// The word between the braces.
    public var word: StaticString {
        switch self {
        case .clientIP: "client_ip"
        case .host: "host"
        case .authority: "authority"
        case .scheme: "scheme"
        case .path: "path"
        case .query: "query"
        case .requestID: "request_id"
        case .route: "route"
        case .upstream: "upstream"
        case .peer: "peer"
        case .tlsVersion: "tls_version"
        case .tlsCipher: "tls_cipher"
        case .tlsServerName: "tls_server_name"
        case .clientSubject: "client_subject"
        case .clientFingerprint: "client_fingerprint"
        }
    }
}

/// Text with placeholders, as "https://{host}{path}", compiled when the instance is made.
///
/// `{{` is a brace; a closing brace without an opening one is itself. Literal parts point into the
/// text, which must be the configuration's, and so live as long as the instance.
public struct Template: BitwiseCopyable {
    struct Part: BitwiseCopyable {
        let literal: Bytes
        let placeholder: Placeholder?
    }

    private let parts: List<Part>
    // The value when there is no placeholder.
    private let constant: Bytes?

    /// Compiles a text.
    ///
    /// - Parameters:
    ///   - text: of the configuration.
    ///   - allowed: placeholders that may occur.
    ///   - memory: the instance's.
    /// - Throws: when a placeholder is not among the allowed ones, or its brace is not closed.
    public init(
        _ text: Bytes,
        allowing allowed: [Placeholder],
        in memory: InstanceMemory
    ) throws(PluginError) {
        var parts: [Part] = []
        var start = 0
        var offset = 0
        while offset < text.count {
            guard text[offset] == 0x7B else {
                offset += 1
                continue
            }
            if offset + 1 < text.count, text[offset + 1] == 0x7B {
                // The first brace ends this literal, the second one is left out.
                parts.append(Part(literal: text[start..<offset + 1], placeholder: nil))
                offset += 2
                start = offset
                continue
            }
            if offset > start {
                parts.append(Part(literal: text[start..<offset], placeholder: nil))
            }
            let rest = text.dropFirst(offset + 1)
            guard let end = rest.firstIndex(of: 0x7D) else {
                throw PluginError("\"{\" is not closed; write \"{{\" for a brace")
            }
            let placeholder = try Template.placeholder(rest.prefix(end), allowed)
            parts.append(Part(literal: .empty, placeholder: placeholder))
            offset += end + 2
            start = offset
        }
        if start < text.count {
            parts.append(Part(literal: text.dropFirst(start), placeholder: nil))
        }
        self.parts = memory.list(parts)
        let isConstant = parts.allSatisfy { $0.placeholder == nil }
        switch parts.count {
        case 0: constant = .empty
        case 1 where isConstant: constant = parts[0].literal
        default: constant = isConstant ? memory.join(parts.map { $0.literal }) : nil
        }
    }

    /// Whether the value is the same for all requests.
    public var isConstant: Bool { constant != nil }

    /// Whether the value is that of one placeholder, which is not copied.
    public var isSinglePlaceholder: Bool { parts.count == 1 && parts[0].placeholder != nil }

    /// Whether a placeholder occurs.
    public func uses(_ placeholder: Placeholder) -> Bool {
        parts.contains { $0.placeholder == placeholder }
    }

    /// The value for a request.
    ///
    /// Allocates from the request's memory only when there are several parts; valid until the end
    /// of the request, or of the hook when it is a single placeholder.
    ///
    /// - Parameter requestID: what `{request_id}` stands for.
    @inlinable
    public func value<Owner: Plugin & ~Copyable>(
        _ exchange: borrowing Exchange<Owner>,
        requestID: Bytes = .empty
    ) -> Bytes {
        constantValue
            ?? join(
                Source(
                    fields: exchange.requestFields,
                    facts: exchange.facts,
                    requestID: requestID
                ),
                exchange.memory
            )
    }

    @usableFromInline var constantValue: Bytes? { constant }

    @usableFromInline
    func join(_ source: Source, _ memory: RequestMemory) -> Bytes {
        if parts.count == 1 { return source.bytes(of: parts[0]) }
        var room = 0
        for part in parts { room += source.room(for: part) }
        if room == 0 { return .empty }
        var writer = memory.writer(capacity: room)
        for part in parts { writer.append(source.bytes(of: part)) }
        return writer.bytes
    }

    private static func placeholder(
        _ word: Bytes,
        _ allowed: [Placeholder]
    ) throws(PluginError) -> Placeholder {
        for placeholder in allowed where Bytes(placeholder.word) == word { return placeholder }
        var list = ""
        for placeholder in allowed { list += (list.isEmpty ? "{" : ", {") + "\(placeholder.word)}" }
        throw PluginError("unknown placeholder {\(String(word))}; there are \(list)")
    }
}

/// Where the values of placeholders come from.
@usableFromInline
struct Source {
    let fields: Fields
    let facts: Facts
    let requestID: Bytes

    @usableFromInline
    init(fields: Fields, facts: Facts, requestID: Bytes) {
        self.fields = fields
        self.facts = facts
        self.requestID = requestID
    }

    /// Bytes that a part needs at most, without a search for where it ends.
    func room(for part: Template.Part) -> Int {
        switch part.placeholder {
        case .host: fields.authority.count
        case .path, .query: fields.target.count
        default: bytes(of: part).count
        }
    }

    func bytes(of part: Template.Part) -> Bytes {
        guard let placeholder = part.placeholder else { return part.literal }
        switch placeholder {
        case .clientIP: return facts.clientAddress
        case .host: return withoutPort(fields.authority)
        case .authority: return fields.authority
        case .scheme: return facts.scheme
        case .path:
            let target = fields.target
            return target.prefix(target.firstIndex(of: 0x3F) ?? target.count)
        case .query:
            let target = fields.target
            return target.dropFirst(target.firstIndex(of: 0x3F) ?? target.count)
        case .requestID: return requestID
        case .route: return facts.route
        case .upstream: return facts.upstream
        case .peer: return facts.peer
        case .tlsVersion: return tlsVersion
        case .tlsCipher: return facts.tls?.cipher ?? .empty
        case .tlsServerName: return text(facts.tls?.serverName, from: 0x21)
        case .clientSubject: return text(facts.tls?.clientSubject, from: 0x20)
        case .clientFingerprint: return facts.tls?.clientFingerprint ?? .empty
        }
    }

    private var tlsVersion: Bytes {
        switch facts.tls?.version {
        case 0x0303: "TLSv1.2"
        case 0x0304: "TLSv1.3"
        default: .empty
        }
    }

    /// What the client wrote, if it is ASCII without control characters; else nothing.
    ///
    /// With such bytes the host would refuse all edits of the hook, and a field that the client
    /// made up itself would stay in place of the one that replaces it.
    private func text(_ bytes: Bytes?, from least: UInt8) -> Bytes {
        guard let bytes else { return .empty }
        for offset in bytes.indices where bytes[offset] < least || bytes[offset] > 0x7E {
            return .empty
        }
        return bytes
    }

    /// The host of an authority: up to the colon, or an IPv6 address with its brackets.
    private func withoutPort(_ authority: Bytes) -> Bytes {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: 0x5D) {
            return authority.prefix(end + 1)
        }
        return authority.prefix(authority.firstIndex(of: 0x3A) ?? authority.count)
    }
}
