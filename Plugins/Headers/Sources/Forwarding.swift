import SluiceSDK

/// Tells the origin who the client is, and what it asked for.
///
/// What an untrusted client says of itself is removed: X-Forwarded-* as a whole, also names that we
/// never set (an origin may believe X-Forwarded-User), X-Real-IP, and Forwarded. What a trusted
/// proxy says is kept, and its own address appended.
struct Forwarding {
    private let setsXForwarded: Bool
    private let setsForwarded: Bool
    private let appendsPort: Bool

    /// Fields of an untrusted client that are not replaced but removed.
    private let unwanted: FieldIDSet
    private let otherClaims: FieldIDSet = [.xRealIp, .forwarded]

    init(_ value: ConfigurationValue?) throws(PluginError) {
        let mode = try value?.string("mode") ?? "x-forwarded"
        setsXForwarded = mode == "x-forwarded" || mode == "both"
        setsForwarded = mode == "rfc7239" || mode == "both"
        guard setsXForwarded || setsForwarded || mode == "off" else {
            throw PluginError(
                path: "forwarded.mode",
                "no mode: \"\(String(mode))\"; there are x-forwarded, rfc7239, both and off"
            )
        }
        appendsPort = try value?.bool("append_port") ?? false
        unwanted =
            setsXForwarded
            ? [.xForwardedPort]
            : [.xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort]
    }

    /// Whether there is anything to do.
    var isOn: Bool { setsXForwarded || setsForwarded }

    func apply(_ exchange: borrowing Exchange<HeadersFilter>, isTrusted: Bool) {
        guard isOn else { return }
        if !isTrusted { removeClaims(exchange) }
        if setsXForwarded { setXForwarded(exchange, isTrusted: isTrusted) }
        if setsForwarded { setForwarded(exchange, isTrusted: isTrusted) }
    }

    private func removeClaims(_ exchange: borrowing Exchange<HeadersFilter>) {
        let fields = exchange.fields
        let edits = exchange.edits
        if fields.contains(anyOf: unwanted) || hasUnknownClaim(fields) {
            edits.removeAll(withPrefix: "x-forwarded-")
        }
        guard fields.contains(anyOf: otherClaims) else { return }
        edits.remove(.xRealIp)
        if !setsForwarded { edits.remove(.forwarded) }
    }

    /// Whether there is an X-Forwarded- field without an id.
    private func hasUnknownClaim(_ fields: Fields) -> Bool {
        for field in fields
        where field.id == .unknown && field.name.hasPrefix("x-forwarded-") {
            return true
        }
        return false
    }

    private func setXForwarded(
        _ exchange: borrowing Exchange<HeadersFilter>,
        isTrusted: Bool
    ) {
        let fields = exchange.fields
        let facts = exchange.facts
        let edits = exchange.edits
        if facts.clientFamily == 0 {
            // A Unix socket has no address to tell.
            if !isTrusted && fields.contains(.xForwardedFor) { edits.remove(.xForwardedFor) }
        } else if !isTrusted && !appendsPort {
            edits.set(.xForwardedFor, facts.clientAddress)
        } else {
            edits.set(.xForwardedFor, chain(exchange, isTrusted: isTrusted))
        }
        if !isTrusted || !fields.contains(.xForwardedProto) {
            edits.set(.xForwardedProto, facts.scheme)
        }
        guard !isTrusted || !fields.contains(.xForwardedHost) else { return }
        let authority = fields.authority
        if !authority.isEmpty {
            edits.set(.xForwardedHost, authority)
        } else if fields.contains(.xForwardedHost) {
            edits.remove(.xForwardedHost)
        }
    }

    /// X-Forwarded-For with the client at its end, in one field: there are origins that only read
    /// the first or the last one.
    private func chain(
        _ exchange: borrowing Exchange<HeadersFilter>,
        isTrusted: Bool
    ) -> Bytes {
        let facts = exchange.facts
        let kept = isTrusted ? joinedCount(exchange.fields, .xForwardedFor) : 0
        var writer = exchange.writer(capacity: kept + facts.clientAddress.count + 8)
        if kept > 0 { join(exchange.fields, .xForwardedFor, &writer) }
        if appendsPort {
            appendNode(facts, &writer)
        } else {
            writer.append(facts.clientAddress)
        }
        return writer.bytes
    }

    private func setForwarded(
        _ exchange: borrowing Exchange<HeadersFilter>,
        isTrusted: Bool
    ) {
        let facts = exchange.facts
        let authority = exchange.fields.authority
        let kept = isTrusted ? joinedCount(exchange.fields, .forwarded) : 0
        // for="[...]:12345";host="...";proto=https, each byte of the host perhaps escaped.
        let room = kept + facts.clientAddress.count + 2 * authority.count + 40
        var writer = exchange.writer(capacity: room)
        if kept > 0 { join(exchange.fields, .forwarded, &writer) }
        writer.append("for=")
        if facts.clientFamily == 0 {
            writer.append("unknown")
        } else if facts.clientFamily == 4 && !appendsPort {
            writer.append(facts.clientAddress)
        } else {
            // A colon or a bracket is no token (RFC 7239 §6).
            writer.append(0x22)
            appendNode(facts, &writer)
            writer.append(0x22)
        }
        if !authority.isEmpty {
            writer.append(";host=")
            if authority.isToken {
                writer.append(authority)
            } else {
                writer.append(quoted: authority)
            }
        }
        writer.append(";proto=")
        writer.append(facts.scheme)
        exchange.edits.set(.forwarded, writer.bytes)
    }

    /// The client's address, an IPv6 one in brackets, and its port if that is asked for.
    private func appendNode(_ facts: Facts, _ writer: inout Writer) {
        if facts.clientFamily == 6 {
            writer.append(0x5B)
            writer.append(facts.clientAddress)
            writer.append(0x5D)
        } else {
            writer.append(facts.clientAddress)
        }
        guard appendsPort else { return }
        writer.append(0x3A)
        writer.append(decimal: UInt64(facts.clientPort))
    }

    /// Bytes of all values of a field, each with ", " behind it.
    private func joinedCount(_ fields: Fields, _ id: FieldID) -> Int {
        guard fields.contains(id) else { return 0 }
        var count = 0
        for field in fields where field.id == id { count += field.value.count + 2 }
        return count
    }

    private func join(_ fields: Fields, _ id: FieldID, _ writer: inout Writer) {
        for field in fields where field.id == id && !field.value.isEmpty {
            writer.append(field.value)
            writer.append(", ")
        }
    }
}
