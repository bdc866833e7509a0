/// Parses HTTP/1.1 and HTTP/1.0 heads and trailer sections, strictly (RFC 9112).
///
/// A head is parsed in one pass over bytes that stand in one piece, and nothing is copied: the
/// results are offsets. Where the bytes end too early the outcome is `.incomplete` and the caller
/// calls again with more; `HeadEndScanner` tells when that is worth it. A rule that the bytes so
/// far already break is reported at once, and more bytes never turn a refusal into anything else.
///
/// Only CRLF ends a line, and nothing that two readers could take differently is let through:
/// RFC 9112 allows a lenient reading of bare LF, folded lines and repeated lengths, and each of
/// them has been used to smuggle requests.
///
/// Safe: no byte is read at or after `count` or `headBytesMax`, whichever is less, and `fields` is
/// written below `fieldCountMax` only. Offsets fit 16 bits because `headBytesMax` does.
public enum HeadParser {
    /// Parses a request head at the beginning of `bytes`.
    ///
    /// On `.complete`, `head.byteCount` bytes belong to it and `fields[0..<head.fieldCount]` are
    /// written. On any other outcome the members of `head` mean nothing.
    public static func parseRequest(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        limits: HeadLimits,
        fields: UnsafeMutablePointer<FieldSpan>,
        into head: inout RequestHead
    ) -> HeadOutcome {
        precondition(limits.headBytesMax <= 65_535, "headBytesMax must fit 16 bits")
        let tables = ParserTables.shared
        let end = count < limits.headBytesMax ? count : limits.headBytesMax
        head = RequestHead()
        var section = FieldSection()
        let line = RequestLine.parse(
            bytes,
            end: end,
            targetBytesMax: limits.targetBytesMax,
            tables: tables,
            into: &head
        )
        guard line == .complete else {
            return unfinished(line, count: count, bytesMax: limits.headBytesMax)
        }
        let lines = FieldLines.parse(
            bytes,
            from: Int(head.fieldsStart),
            end: end,
            fieldsMax: limits.fieldCountMax,
            fields: fields,
            tables: tables,
            into: &section
        )
        guard lines == .complete else {
            return unfinished(lines, count: count, bytesMax: limits.headBytesMax)
        }
        head.fieldCount = UInt16(truncatingIfNeeded: section.count)
        head.fieldsEnd = UInt16(truncatingIfNeeded: section.fieldsEnd)
        head.byteCount = UInt16(truncatingIfNeeded: section.byteCount)
        if let error = RequestRules.apply(
            bytes,
            fields: fields,
            section: &section,
            tables: tables,
            to: &head
        ) {
            return .invalid(error)
        }
        return .complete
    }

    /// Parses a response head at the beginning of `bytes`; `requestMethod` is that of the request
    /// it answers, because HEAD and CONNECT change how the body is framed (RFC 9112 §6.3).
    ///
    /// The outcome is as for `parseRequest`.
    public static func parseResponse(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        limits: HeadLimits,
        fields: UnsafeMutablePointer<FieldSpan>,
        requestMethod: Method,
        into head: inout ResponseHead
    ) -> HeadOutcome {
        precondition(limits.headBytesMax <= 65_535, "headBytesMax must fit 16 bits")
        let tables = ParserTables.shared
        let end = count < limits.headBytesMax ? count : limits.headBytesMax
        head = ResponseHead()
        var section = FieldSection()
        let line = StatusLine.parse(bytes, end: end, into: &head)
        guard line == .complete else {
            return unfinished(line, count: count, bytesMax: limits.headBytesMax)
        }
        let lines = FieldLines.parse(
            bytes,
            from: Int(head.fieldsStart),
            end: end,
            fieldsMax: limits.fieldCountMax,
            fields: fields,
            tables: tables,
            into: &section
        )
        guard lines == .complete else {
            return unfinished(lines, count: count, bytesMax: limits.headBytesMax)
        }
        head.fieldCount = UInt16(truncatingIfNeeded: section.count)
        head.fieldsEnd = UInt16(truncatingIfNeeded: section.fieldsEnd)
        head.byteCount = UInt16(truncatingIfNeeded: section.byteCount)
        if let error = ResponseRules.apply(
            bytes,
            fields: fields,
            section: &section,
            requestMethod: requestMethod,
            tables: tables,
            to: &head
        ) {
            return .invalid(error)
        }
        return .complete
    }

    /// Parses a trailer section and its empty line (RFC 9112 §7.1.2), in the bounds that
    /// `ChunkLimits` sets.
    ///
    /// `fields` has room for `ChunkLimits.trailerFieldsMax` spans, whose offsets count from
    /// `bytes`.
    ///
    /// On `.complete`, `consumed` bytes belong to it, and fields that a trailer section may not
    /// carry are marked as dropped (RFC 9110 §6.5.1).
    public static func parseTrailers(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        fields: UnsafeMutablePointer<FieldSpan>,
        fieldCount: inout Int,
        consumed: inout Int
    ) -> HeadOutcome {
        let end = count < ChunkLimits.trailerBytesMax ? count : ChunkLimits.trailerBytesMax
        var section = FieldSection()
        fieldCount = 0
        consumed = 0
        let lines = FieldLines.parse(
            bytes,
            from: 0,
            end: end,
            fieldsMax: ChunkLimits.trailerFieldsMax,
            fields: fields,
            tables: ParserTables.shared,
            into: &section
        )
        guard lines == .complete else {
            return unfinished(lines, count: count, bytesMax: ChunkLimits.trailerBytesMax)
        }
        var index = 0
        while index < section.count {
            if FieldNames.isForbiddenInTrailers(fields[index].id) {
                fields[index].flags |= FieldSpan.dropped
            }
            index &+= 1
        }
        fieldCount = section.count
        consumed = section.byteCount
        return .complete
    }

    /// A section that does not end within its bound never will.
    @inline(never)  // Not on the way of a good head.
    private static func unfinished(
        _ outcome: HeadOutcome,
        count: Int,
        bytesMax: Int
    ) -> HeadOutcome {
        outcome == .incomplete && count >= bytesMax ? .invalid(.headTooLarge) : outcome
    }
}
