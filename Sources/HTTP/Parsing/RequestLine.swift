/// The request line (RFC 9112 §3), and one empty line before it (RFC 9112 §2.2).
///
/// Safe: each index is compared with `end` before its byte is read, words through `word(_:end:)`.
enum RequestLine {
    /// Parses up to and including the line's CRLF, and sets every member of `head` that comes from
    /// this line; `fieldsStart` tells where the next line begins.
    static func parse(
        _ base: UnsafePointer<UInt8>,
        end: Int,
        targetBytesMax: Int,
        tables: ParserTables,
        into head: inout RequestHead
    ) -> HeadOutcome {
        guard end > 0 else { return .incomplete }
        var at = 0
        if base[0] <= Byte.space {
            switch FieldLines.badLineEnd(base, at: 0, end: end) {
            case .invalid(.bareCarriageReturn) where base[1] == Byte.lineFeed: at = 2
            case .invalid(.badFieldValue): return .invalid(.badMethod)
            case let outcome: return outcome
            }
            guard at < end else { return .incomplete }
        }

        let first = base.word(at, end: end)
        let method = knownMethod(first)
        head.method = method.method
        var methodEnd = at &+ method.length
        if head.method == .other {
            methodEnd = at
            while methodEnd < end, tables.has(ParserTables.token, base[methodEnd]) {
                methodEnd &+= 1
            }
            guard methodEnd < end else { return .incomplete }
            guard methodEnd > at, base[methodEnd] == Byte.space else {
                return badMethod(base, at: methodEnd, isEmpty: methodEnd == at, end: end)
            }
        }
        head.methodStart = UInt16(truncatingIfNeeded: at)
        head.methodLength = UInt16(truncatingIfNeeded: methodEnd &- at)

        let start = methodEnd &+ 1
        let (targetEnd, query) = targetEnd(base, from: start, end: end)
        guard targetEnd &- start <= targetBytesMax else { return .invalid(.targetTooLong) }
        guard targetEnd < end else { return .incomplete }
        guard base[targetEnd] == Byte.space, targetEnd > start else {
            return badTarget(base, at: targetEnd, end: end)
        }
        if base[start] == Byte.slash, head.method != .connect {
            head.pathStart = UInt16(truncatingIfNeeded: start)
            head.pathLength = UInt16(truncatingIfNeeded: query &- start)
            head.targetLength = UInt16(truncatingIfNeeded: targetEnd &- start)
        } else {
            let isValid = Target.parse(
                base,
                from: start,
                query: query,
                end: targetEnd,
                tables: tables,
                into: &head
            )
            guard isValid else { return .invalid(.badTarget) }
        }
        return version(base, from: targetEnd &+ 1, end: end, into: &head)
    }

    /// The method that the word begins with, and the bytes before the space that follows it.
    ///
    /// Methods are case-sensitive (RFC 9110 §9.1).
    @inline(__always)  // One comparison for GET.
    private static func knownMethod(_ word: UInt64) -> (method: Method, length: Int) {
        if word & 0xFFFF_FFFF == 0x2054_4547 { return (.get, 3) }
        return otherMethod(word)
    }

    private static func otherMethod(_ word: UInt64) -> (method: Method, length: Int) {
        let spaces = Words.zeroes(in: word ^ Words.each(Byte.space))
        let length = Words.firstIndex(spaces)
        guard spaces != 0, length > 0 else { return (.other, 0) }
        return switch word & (~0 &>> UInt64(truncatingIfNeeded: 64 &- length &* 8)) {
        case 0x5453_4F50: (.post, length)
        case 0x4441_4548: (.head, length)
        case 0x54_5550: (.put, length)
        case 0x4554_454C_4544: (.delete, length)
        case 0x53_4E4F_4954_504F: (.options, length)
        case 0x48_4354_4150: (.patch, length)
        case 0x54_4345_4E4E_4F43: (.connect, length)
        case 0x45_4341_5254: (.trace, length)
        default: (.other, 0)
        }
    }

    /// The offset of the first byte that may not stand in a target, or `end`; and that of the first
    /// `?` before it, or the same offset.
    @inline(__always)  // Called once; its two results stay in registers.
    private static func targetEnd(
        _ base: UnsafePointer<UInt8>,
        from: Int,
        end: Int
    ) -> (end: Int, query: Int) {
        var at = from
        var query = -1
        while true {
            let word = base.word(at, end: end)
            // High bits for `?`, for bytes up to `#`, DEL and most above 0x7F.
            var hits =
                ((word &- Words.each(Byte.hash + 1)) | (word &+ Words.ones)
                    | ((word ^ Words.each(Byte.question)) &- Words.ones)) & Words.highs
            while hits != 0 {
                let found = at &+ Words.firstIndex(hits)
                guard found < end else { return (end, query < 0 ? end : query) }
                let byte = base[found]
                if byte == Byte.question {
                    if query < 0 { query = found }
                } else if byte <= Byte.space || byte == Byte.hash || byte == Byte.delete {
                    return (found, query < 0 ? found : query)
                }
                hits &= hits &- 1
            }
            at &+= 8
        }
    }

    /// `HTTP/1.0` or `HTTP/1.1` and CRLF; a greater minor version counts as 1 (RFC 9110 §2.5).
    @inline(__always)  // Called once; two comparisons for a good line.
    private static func version(
        _ base: UnsafePointer<UInt8>,
        from: Int,
        end: Int,
        into head: inout RequestHead
    ) -> HeadOutcome {
        head.fieldsStart = UInt16(truncatingIfNeeded: from &+ 10)
        if from &+ 10 <= end, base.word(from) == Version.http11,
            base[from &+ 8] == Byte.carriageReturn, base[from &+ 9] == Byte.lineFeed
        {
            head.minorVersion = 1
            return .complete
        }
        switch Version.parse(base, from: from, end: end, minor: &head.minorVersion) {
        case .complete: break
        case .invalid(.badStatusLine): return .invalid(.badRequestLine)
        case let outcome: return outcome
        }
        guard from &+ 8 < end else { return .incomplete }
        switch base[from &+ 8] {
        case Byte.carriageReturn:
            guard from &+ 9 < end else { return .incomplete }
            let isLineEnd = base[from &+ 9] == Byte.lineFeed
            return isLineEnd ? .complete : .invalid(.bareCarriageReturn)
        case Byte.lineFeed: return .invalid(.bareLineFeed)
        default: return .invalid(.badRequestLine)
        }
    }

    /// Why there is no method followed by a space at the beginning of the line.
    private static func badMethod(
        _ base: UnsafePointer<UInt8>,
        at: Int,
        isEmpty: Bool,
        end: Int
    ) -> HeadOutcome {
        switch FieldLines.badLineEnd(base, at: at, end: end) {
        case .incomplete: .incomplete
        case .invalid(.bareLineFeed): .invalid(.bareLineFeed)
        case .invalid(.bareCarriageReturn) where base[at &+ 1] == Byte.lineFeed:
            .invalid(.badRequestLine)
        case .invalid(.bareCarriageReturn): .invalid(.bareCarriageReturn)
        default: .invalid(.badMethod)
        }
    }

    /// Why there is no target followed by a space: nothing before the space, a byte that may not
    /// stand there, or the end of the line.
    private static func badTarget(
        _ base: UnsafePointer<UInt8>,
        at: Int,
        end: Int
    ) -> HeadOutcome {
        switch base[at] {
        case Byte.space: return .invalid(.badRequestLine)
        case Byte.lineFeed: return .invalid(.bareLineFeed)
        case Byte.carriageReturn:
            guard at &+ 1 < end else { return .incomplete }
            let isLineEnd = base[at &+ 1] == Byte.lineFeed
            return .invalid(isLineEnd ? .badRequestLine : .bareCarriageReturn)
        default: return .invalid(.badTarget)
        }
    }
}

/// The protocol version in a start line (RFC 9112 §2.3).
enum Version {
    /// `HTTP/1.1`, its first byte lowest.
    static let http11: UInt64 = 0x312E_312F_5054_5448

    /// Parses `HTTP/x.y` at `from`; `.invalid(.badStatusLine)` when it is not of that form.
    ///
    /// A lower version than 1 and a higher one are unsupported.
    static func parse(
        _ base: UnsafePointer<UInt8>,
        from: Int,
        end: Int,
        minor: inout UInt8
    ) -> HeadOutcome {
        var at = 0
        while at < 8 {
            guard from &+ at < end else { return .incomplete }
            let byte = base[from &+ at]
            let isGood =
                switch at {
                case 5, 7: byte &- Byte.zero < 10
                default: UInt64(byte) == (http11 &>> UInt64(at &* 8)) & 0xFF
                }
            guard isGood else { return .invalid(.badStatusLine) }
            at &+= 1
        }
        guard base[from &+ 5] == Byte.zero &+ 1 else { return .invalid(.unsupportedVersion) }
        minor = base[from &+ 7] == Byte.zero ? 0 : 1
        return .complete
    }
}
