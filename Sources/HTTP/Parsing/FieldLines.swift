/// What the field loop learned besides the spans.
struct FieldSection {
    /// Fields written.
    var count = 0
    /// Offset just after the last field line.
    var fieldsEnd = 0
    /// Offset just after the empty line.
    var byteCount = 0
    /// Bit n: a field with id n, below 64, is present.
    var seen: UInt64 = 0
    /// Bit n: it is present more than once.
    var repeated: UInt64 = 0
    /// Index of the first field of each special id.
    var first = InlineArray<10, UInt16>(repeating: 0)

    /// Ids from host to expect stand in a row: those that the parser itself acts upon.
    static let specialIDs: UInt64 = 0x3FF00

    @inline(__always)  // One bit test.
    func has(_ id: FieldID) -> Bool {
        seen & 1 &<< UInt64(id.rawValue) != 0
    }

    @inline(__always)  // One bit test.
    func repeats(_ id: FieldID) -> Bool {
        repeated & 1 &<< UInt64(id.rawValue) != 0
    }

    @inline(__always)  // One load.
    func index(_ id: FieldID) -> Int {
        Int(first[Int(id.rawValue) &- Int(FieldID.host.rawValue)])
    }
}

/// Field lines up to and including the empty line (RFC 9112 §5), of a head or a trailer section.
enum FieldLines {
    /// Parses the lines from `start`.
    ///
    /// Nothing at or after `end` is read; `.incomplete` means that the empty line was not there.
    ///
    /// Safe: each index is compared with `end` before the byte is read, words through
    /// `word(_:end:)`; `fields` is written below `fieldsMax` only. `end` is at most 65,535, so every
    /// offset fits its 16 bits.
    static func parse(
        _ base: UnsafePointer<UInt8>,
        from start: Int,
        end: Int,
        fieldsMax: Int,
        fields: UnsafeMutablePointer<FieldSpan>,
        tables: ParserTables,
        into section: inout FieldSection
    ) -> HeadOutcome {
        var at = start
        var count = 0
        var seenLow: UInt64 = 0
        var seenHigh: UInt64 = 0
        while at < end {
            if base[at] <= Byte.space {
                section.count = count
                section.seen = seenLow
                return endOfLines(base, at: at, end: end, into: &section)
            }
            guard count < fieldsMax else { return .invalid(.tooManyFields) }

            let first = base.word(at, end: end)
            var colon = at
            var hits = Words.zeroes(in: first ^ Words.each(Byte.colon))
            while hits == 0 {
                colon &+= 8
                guard colon < end else { return badName(base, at: at, end: end, tables: tables) }
                hits = Words.zeroes(in: base.word(colon, end: end) ^ Words.each(Byte.colon))
            }
            colon &+= Words.firstIndex(hits)
            let nameLength = colon &- at
            guard nameLength > 0 else { return .invalid(.badFieldName) }
            let id = tables.id(of: base + at, count: nameLength, first: first)

            var flags: UInt8 = 0
            if id == 0 {
                guard tables.all(ParserTables.token, base + at, count: nameLength) else {
                    return badName(base, at: at, end: end, tables: tables)
                }
            } else {
                let bit: UInt64 = 1 &<< UInt64(id)
                if id < 64 {
                    if seenLow & bit != 0 {
                        flags = FieldSpan.repeated
                        section.repeated |= bit
                    } else if bit & FieldSection.specialIDs != 0 {
                        section.first[Int(id) &- 8] = UInt16(truncatingIfNeeded: count)
                    }
                    seenLow |= bit
                } else {
                    if seenHigh & bit != 0 { flags = FieldSpan.repeated }
                    seenHigh |= bit
                }
            }

            var valueStart = colon &+ 1
            while valueStart < end, Byte.isBlank(base[valueStart]) { valueStart &+= 1 }
            let lineEnd = valueEnd(base, from: valueStart, end: end)
            guard lineEnd &+ 1 < end, base[lineEnd] == Byte.carriageReturn,
                base[lineEnd &+ 1] == Byte.lineFeed
            else { return badLineEnd(base, at: lineEnd, end: end) }
            var valueLength = lineEnd &- valueStart
            while valueLength > 0, Byte.isBlank(base[valueStart &+ valueLength &- 1]) {
                valueLength &-= 1
            }
            fields[count] = FieldSpan(
                nameStart: UInt16(truncatingIfNeeded: at),
                nameLength: UInt16(truncatingIfNeeded: nameLength),
                valueStart: UInt16(truncatingIfNeeded: valueStart),
                valueLength: UInt16(truncatingIfNeeded: valueLength),
                id: FieldID(rawValue: id),
                flags: flags
            )
            count &+= 1
            at = lineEnd &+ 2
        }
        return .incomplete
    }

    /// The offset of the first byte that may not stand in a field value or a reason phrase
    /// (RFC 9110 §5.5), or `end`.
    ///
    /// The test finds bytes below SP and DEL; a byte after 0xFF may be found wrongly, so each one
    /// found is looked at again.
    @inline(__always)  // The hottest loop: inlined it keeps its constants in registers.
    static func valueEnd(_ base: UnsafePointer<UInt8>, from: Int, end: Int) -> Int {
        var at = from
        while true {
            let word = base.word(at, end: end)
            let hits =
                ((word &- Words.each(Byte.space)) | (word &+ Words.ones)) & ~word & Words.highs
            if hits == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstIndex(hits)
            guard at < end else { return end }
            let byte = base[at]
            if byte < Byte.space ? byte != Byte.tab : byte == Byte.delete { return at }
            at &+= 1
        }
    }

    /// A line that begins with a blank or a control character: the empty line, or an error.
    private static func endOfLines(
        _ base: UnsafePointer<UInt8>,
        at: Int,
        end: Int,
        into section: inout FieldSection
    ) -> HeadOutcome {
        switch base[at] {
        case Byte.carriageReturn:
            guard at &+ 1 < end else { return .incomplete }
            guard base[at &+ 1] == Byte.lineFeed else { return .invalid(.bareCarriageReturn) }
            section.fieldsEnd = at
            section.byteCount = at &+ 2
            return .complete
        case Byte.lineFeed: return .invalid(.bareLineFeed)
        case Byte.space, Byte.tab: return .invalid(.obsoleteFolding)
        default: return .invalid(.badFieldName)
        }
    }

    /// Why the bytes at `at` are not a field name and a colon, or that more are needed.
    @inline(never)  // Not on the way of a good head.
    private static func badName(
        _ base: UnsafePointer<UInt8>,
        at start: Int,
        end: Int,
        tables: ParserTables
    ) -> HeadOutcome {
        var at = start
        while at < end, tables.has(ParserTables.token, base[at]) { at &+= 1 }
        guard at < end else { return .incomplete }
        switch base[at] {
        case Byte.space, Byte.tab:
            while at < end, Byte.isBlank(base[at]) { at &+= 1 }
            guard at < end else { return .incomplete }
            return .invalid(base[at] == Byte.colon ? .spaceBeforeColon : .badFieldName)
        case Byte.carriageReturn:
            guard at &+ 1 < end else { return .incomplete }
            let isLineEnd = base[at &+ 1] == Byte.lineFeed
            return .invalid(isLineEnd ? .badFieldName : .bareCarriageReturn)
        case Byte.lineFeed: return .invalid(.bareLineFeed)
        default: return .invalid(.badFieldName)
        }
    }

    /// Why the value does not end with CRLF at `at`, or that more bytes are needed (RFC 9112 §2.2).
    @inline(never)  // Not on the way of a good head.
    static func badLineEnd(_ base: UnsafePointer<UInt8>, at: Int, end: Int) -> HeadOutcome {
        guard at < end else { return .incomplete }
        switch base[at] {
        case Byte.carriageReturn:
            return at &+ 1 < end ? .invalid(.bareCarriageReturn) : .incomplete
        case Byte.lineFeed: return .invalid(.bareLineFeed)
        default: return .invalid(.badFieldValue)
        }
    }
}
