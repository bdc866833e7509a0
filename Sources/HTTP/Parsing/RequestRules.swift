/// Rules on the fields of a request: authority, framing, connection, expectation.
enum RequestRules {
    /// Applies the rules to a head whose lines are parsed, and returns the first that is broken.
    static func apply(
        _ base: UnsafePointer<UInt8>,
        fields: UnsafeMutablePointer<FieldSpan>,
        section: inout FieldSection,
        tables: ParserTables,
        to head: inout RequestHead
    ) -> HeadError? {
        let rules = FieldRules(base: base, fields: fields, tables: tables)
        if let error = host(rules, &section, &head) { return error }
        if head.minorVersion == 1 { head.flags.insert(.keepAlive) }
        // Most requests have Host and none of the others.
        guard section.seen & ~FieldSection.bit(.host) != 0 else { return nil }
        if let error = framing(rules, &section, &head) { return error }
        let upgrades = head.minorVersion == 1
        if let error = rules.applyConnection(&section, &head.flags, countsUpgrade: upgrades) {
            return error
        }
        if section.has(.expect), head.minorVersion == 1 {
            let (text, count) = rules.value(section.index(.expect))
            guard !section.repeats(.expect), FieldNames.equals(text, count: count, "100-continue")
            else { return .badExpect }
            head.flags.insert(.expectContinue)
        }
        if section.has(.te), rules.acceptsTrailers(&section) { head.flags.insert(.acceptsTrailers) }
        // RFC 9110 §9.3.8.
        if head.method == .trace, head.framing != .none { return .bodyNotAllowed }
        return nil
    }

    /// Exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0, and the same authority as the
    /// target's where that has one (RFC 9112 §3.2, RFC 9110 §7.2).
    ///
    /// RFC 9112 §3.2.2 would have us ignore Host for an absolute target; a request in which the two
    /// differ is refused, because whatever is behind us may look at the other one.
    private static func host(
        _ rules: FieldRules,
        _ section: inout FieldSection,
        _ head: inout RequestHead
    ) -> HeadError? {
        guard section.has(.host) else { return head.minorVersion == 1 ? .missingHost : nil }
        guard !section.repeats(.host) else { return .repeatedHost }
        let (text, count) = rules.value(section.index(.host))
        guard HostSyntax.hostLength(text, count: count, tables: rules.tables) > 0 else {
            return .badHost
        }
        guard head.authorityLength > 0 else {
            head.authorityStart = UInt16(truncatingIfNeeded: text - rules.base)
            head.authorityLength = UInt16(truncatingIfNeeded: count)
            return nil
        }
        let isSame = FieldNames.equalsIgnoringCase(
            text,
            count,
            rules.base + Int(head.authorityStart),
            Int(head.authorityLength)
        )
        return isSame ? nil : .badHost
    }

    /// A request without Content-Length and Transfer-Encoding has no body (RFC 9112 §6.3).
    private static func framing(
        _ rules: FieldRules,
        _ section: inout FieldSection,
        _ head: inout RequestHead
    ) -> HeadError? {
        if section.has(.transferEncoding) {
            guard head.minorVersion == 1 else { return .transferEncodingInHTTP10 }
            guard !section.has(.contentLength) else { return .contentLengthWithTransferEncoding }
            guard !section.repeats(.transferEncoding) else { return .badTransferEncoding }
            switch rules.transferCoding(section.index(.transferEncoding)) {
            case .chunked: head.framing = .chunked
            case .unsupported: return .unsupportedTransferEncoding
            case .invalid: return .badTransferEncoding
            }
        } else if section.has(.contentLength) {
            guard !section.repeats(.contentLength) else { return .repeatedContentLength }
            let length = rules.contentLength(section.index(.contentLength))
            guard length >= 0 else { return .badContentLength }
            head.flags.insert(.hasContentLength)
            if length > 0 { head.framing = .length(length) }
        }
        return nil
    }
}
