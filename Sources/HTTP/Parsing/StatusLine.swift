/// The status line of a response (RFC 9112 §4).
///
/// Safe: each index is compared with `end` before its byte is read.
enum StatusLine {
    /// Parses up to and including the line's CRLF; `fieldsStart` tells where the next line begins.
    ///
    /// A missing space after the code is let through where no reason follows: servers leave it out,
    /// and nothing depends on it.
    static func parse(
        _ base: UnsafePointer<UInt8>,
        end: Int,
        into head: inout ResponseHead
    ) -> HeadOutcome {
        if end >= 9, base.word(0) == Version.http11 {
            head.minorVersion = 1
        } else {
            let outcome = Version.parse(base, from: 0, end: end, minor: &head.minorVersion)
            guard outcome == .complete else { return outcome }
        }
        guard end > 8 else { return .incomplete }
        guard base[8] == Byte.space else { return .invalid(.badStatusLine) }
        var status: UInt16 = 0
        var at = 9
        while at < 12 {
            guard at < end else { return .incomplete }
            let digit = base[at] &- Byte.zero
            guard digit < 10 else { return .invalid(.badStatusLine) }
            status = status &* 10 &+ UInt16(digit)
            at &+= 1
        }
        guard status >= 100 else { return .invalid(.badStatusLine) }
        head.status = status
        guard at < end else { return .incomplete }
        if base[at] == Byte.space {
            at &+= 1
        } else if base[at] > Byte.space {
            return .invalid(.badStatusLine)
        }
        let lineEnd = FieldLines.valueEnd(base, from: at, end: end)
        head.reasonStart = UInt16(truncatingIfNeeded: at)
        head.reasonLength = UInt16(truncatingIfNeeded: lineEnd &- at)
        guard lineEnd &+ 1 < end, base[lineEnd] == Byte.carriageReturn,
            base[lineEnd &+ 1] == Byte.lineFeed
        else {
            let outcome = FieldLines.badLineEnd(base, at: lineEnd, end: end)
            return outcome == .invalid(.badFieldValue) ? .invalid(.badStatusLine) : outcome
        }
        guard lineEnd == at || base[at &- 1] == Byte.space else {
            return .invalid(.badStatusLine)
        }
        head.fieldsStart = UInt16(truncatingIfNeeded: lineEnd &+ 2)
        return .complete
    }
}
