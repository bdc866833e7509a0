/// Rules on the fields of a response: framing and connection.
enum ResponseRules {
    /// Applies the rules to a head whose lines are parsed, and returns the first that is broken.
    static func apply(
        _ base: UnsafePointer<UInt8>,
        fields: UnsafeMutablePointer<FieldSpan>,
        section: inout FieldSection,
        requestMethod: Method,
        tables: ParserTables,
        to head: inout ResponseHead
    ) -> HeadError? {
        let rules = FieldRules(base: base, fields: fields, tables: tables)
        if head.minorVersion == 1 { head.flags.insert(.keepAlive) }
        if let error = framing(rules, &section, requestMethod, &head) { return error }
        let upgrades = head.status == 101
        if let error = rules.applyConnection(&section, &head.flags, countsUpgrade: upgrades) {
            return error
        }
        if head.framing == .untilClose { head.flags.remove(.keepAlive) }
        return nil
    }

    /// How the body ends, in the order of RFC 9112 §6.3.
    ///
    /// Lengths are checked even where none counts.
    private static func framing(
        _ rules: FieldRules,
        _ section: inout FieldSection,
        _ requestMethod: Method,
        _ head: inout ResponseHead
    ) -> HeadError? {
        var framing = BodyFraming.untilClose
        if section.has(.transferEncoding) {
            guard head.minorVersion == 1 else { return .transferEncodingInHTTP10 }
            guard !section.has(.contentLength) else { return .contentLengthWithTransferEncoding }
            guard !section.repeats(.transferEncoding) else { return .badTransferEncoding }
            // RFC 9112 §6.1: never in these.
            guard head.status >= 200, head.status != 204 else { return .badTransferEncoding }
            switch rules.transferCoding(section.index(.transferEncoding)) {
            case .chunked: framing = .chunked
            case .unsupported: return .unsupportedTransferEncoding
            case .invalid: return .badTransferEncoding
            }
        } else if section.has(.contentLength) {
            guard !section.repeats(.contentLength) else { return .repeatedContentLength }
            let length = rules.contentLength(section.index(.contentLength))
            guard length >= 0 else { return .badContentLength }
            head.flags.insert(.hasContentLength)
            framing = length > 0 ? .length(length) : .none
        }
        head.framing = hasNoBody(head.status, requestMethod) ? .none : framing
        return nil
    }

    private static func hasNoBody(_ status: UInt16, _ requestMethod: Method) -> Bool {
        if status < 200 || status == 204 || status == 304 || requestMethod == .head { return true }
        return requestMethod == .connect && status < 300
    }
}
