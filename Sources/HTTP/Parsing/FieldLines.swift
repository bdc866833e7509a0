/// What the field loop learned besides the spans.
struct FieldSection {
    /// Fields written.
    var count = 0
    /// Offset just after the last field line.
    var fieldsEnd = 0
    /// Offset just after the empty line.
    var byteCount = 0
    /// Bit n: a field with the special id n is present.
    var seen: UInt32 = 0
    /// Bit n: it is present more than once.
    var repeated: UInt32 = 0
    /// Index of the first field of each special id that is present.
    var first: InlineArray<10, UInt16> = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

    /// The first of the ids that the parser itself acts upon, host to expect: they stand in a row.
    static let specialBase = Int(FieldID.host.rawValue)
    static let specialCount = 10

    @inline(__always)  // One bit test.
    func has(_ id: FieldID) -> Bool {
        seen & FieldSection.bit(id) != 0
    }

    @inline(__always)  // One bit test.
    func repeats(_ id: FieldID) -> Bool {
        repeated & FieldSection.bit(id) != 0
    }

    @inline(__always)  // One load.
    func index(_ id: FieldID) -> Int {
        Int(first[Int(id.rawValue) &- FieldSection.specialBase])
    }

    @inline(__always)  // Folds to a constant.
    static func bit(_ id: FieldID) -> UInt32 {
        1 &<< UInt32(id.rawValue)
    }

    /// Notes that the field at `index` has a special id.
    @inline(__always)  // A store or two, a few times a head.
    mutating func note(_ id: Int, index: Int) {
        let bit: UInt32 = 1 &<< UInt32(truncatingIfNeeded: id)
        if seen & bit != 0 {
            repeated |= bit
        } else {
            seen |= bit
            first[id &- FieldSection.specialBase] = UInt16(truncatingIfNeeded: index)
        }
    }
}

/// Field lines up to and including the empty line (RFC 9112 §5), of a head or a trailer section.
enum FieldLines {
    /// Parses the lines from `start`.
    ///
    /// Nothing at or after `end` is read; `.incomplete` means that the empty line was not there.
    ///
    /// Safe: each index is compared with `end` before the byte is read, words through
    /// `word(_:end:)`; `fields` is written below `fieldsMax` only. `end` is at most 65,535, so
    /// every offset fits its 16 bits. Ids index `seen` and are below its count.
    static func parse(
        _ base: UnsafePointer<UInt8>,
        from start: Int,
        end: Int,
        fieldsMax: Int,
        fields: UnsafeMutablePointer<FieldSpan>,
        tables: ParserTables,
        into section: inout FieldSection
    ) -> HeadOutcome {
        var seen = InlineArray<128, UInt8>(repeating: 0)
        var at = start
        var count = 0
        while at < end {
            if base[at] <= Byte.space {
                section.count = count
                return endOfLines(base, at: at, end: end, into: &section)
            }
            guard count < fieldsMax else { return .invalid(.tooManyFields) }

            let first = base.word(at, end: end)
            let colon = colonOffset(base, first: first, from: at, end: end)
            guard colon < end, base[colon] == Byte.colon else {
                return badName(base, at: at, end: end, tables: tables)
            }
            let nameLength = colon &- at
            var flags: UInt8 = 0
            let id = tables.id(of: base + at, count: nameLength, first: first)
            if id == 0 {
                guard tables.isToken(base + at, count: nameLength) else {
                    return badName(base, at: at, end: end, tables: tables)
                }
            } else {
                flags = seen[unchecked: id]
                seen[unchecked: id] = FieldSpan.repeated
                if UInt(bitPattern: id &- FieldSection.specialBase) < FieldSection.specialCount {
                    section.note(id, index: count)
                }
            }

            guard colon &+ 2 < end else { return .incomplete }
            var valueStart = colon &+ 1
            if base[valueStart] == Byte.space { valueStart &+= 1 }
            if base[valueStart] <= Byte.space {
                valueStart = blanksEnd(base, from: valueStart, end: end)
            }
            let lineEnd = valueEnd(base, from: valueStart, end: end)
            guard lineEnd &+ 1 < end, base.pair(lineEnd) == Words.lineEnd else {
                return badLineEnd(base, at: lineEnd, end: end)
            }
            var trimmedEnd = lineEnd
            if base[lineEnd &- 1] <= Byte.space {
                trimmedEnd = blanksStart(base, from: valueStart, end: lineEnd)
            }
            fields[count] = FieldSpan(
                nameStart: UInt16(truncatingIfNeeded: at),
                nameLength: UInt16(truncatingIfNeeded: nameLength),
                valueStart: UInt16(truncatingIfNeeded: valueStart),
                valueLength: UInt16(truncatingIfNeeded: trimmedEnd &- valueStart),
                id: FieldID(rawValue: UInt8(truncatingIfNeeded: id)),
                flags: flags
            )
            count &+= 1
            at = lineEnd &+ 2
        }
        return .incomplete
    }

    /// The offset of the first colon, or of a byte over 0x7F before it, which no name has; `end` or
    /// more where neither is found.
    ///
    /// `first` is the word at `from`.
    @inline(__always)  // Called once; a call would cost more than the scan of a usual name.
    private static func colonOffset(
        _ base: UnsafePointer<UInt8>,
        first: UInt64,
        from: Int,
        end: Int
    ) -> Int {
        var at = from
        var hits = ((first ^ Words.each(Byte.colon)) &- Words.ones) & Words.highs
        while hits == 0 {
            at &+= 8
            guard at &+ 8 <= end else {
                guard at < end else { return end }
                let word = UnsafePointer.tailWord(base, from: at, end: end)
                hits = ((word ^ Words.each(Byte.colon)) &- Words.ones) & Words.highs
                return hits == 0 ? end : at &+ Words.firstIndex(hits)
            }
            hits = ((base.word(at) ^ Words.each(Byte.colon)) &- Words.ones) & Words.highs
        }
        return at &+ Words.firstIndex(hits)
    }

    /// The offset of the first byte that may not stand in a field value or a reason phrase
    /// (RFC 9110 §5.5), or `end`.
    ///
    /// Sixteen bytes at a time up to the usual CR; anything else unusual is left to the exact scan,
    /// as a tail call, so that this function needs no saved registers.
    @inline(never)  // As a call it has registers for its constants, which the field loop has not.
    static func valueEnd(_ base: UnsafePointer<UInt8>, from: Int, end: Int) -> Int {
        var at = from
        while at &+ 16 <= end {
            let low = base.word(at)
            let high = base.word(at &+ 8)
            // High bits for bytes below SP and DEL, and for most above 0x7F.
            let lowMarks = ((low &- Words.each(Byte.space)) | (low &+ Words.ones)) & Words.highs
            let highMarks = ((high &- Words.each(Byte.space)) | (high &+ Words.ones)) & Words.highs
            if lowMarks | highMarks == 0 {
                at &+= 16
                continue
            }
            at &+= lowMarks != 0 ? Words.firstIndex(lowMarks) : 8 &+ Words.firstIndex(highMarks)
            return base[at] == Byte.carriageReturn ? at : exactValueEnd(base, from: at, end: end)
        }
        return exactValueEnd(base, from: at, end: end)
    }

    /// As `valueEnd`, for values with HTAB or bytes over 0x7F, and for the last bytes.
    @inline(never)  // Keeps its calls out of `valueEnd`.
    private static func exactValueEnd(
        _ base: UnsafePointer<UInt8>,
        from: Int,
        end: Int
    ) -> Int {
        var at = from
        while true {
            let word = base.word(at, end: end)
            let marks = (word &- Words.each(Byte.space)) | (word &+ Words.ones)
            let hits = marks & ~word & Words.highs
            guard hits != 0 else {
                at &+= 8
                continue
            }
            at &+= Words.firstIndex(hits)
            guard at < end else { return end }
            // The byte after 0xFF may have been found wrongly.
            let byte = base[at]
            if byte < Byte.space ? byte != Byte.tab : byte == Byte.delete { return at }
            at &+= 1
        }
    }

    @inline(never)  // Only for more or other white space than one SP.
    private static func blanksEnd(_ base: UnsafePointer<UInt8>, from: Int, end: Int) -> Int {
        var at = from
        while at < end, Byte.isBlank(base[at]) { at &+= 1 }
        return at
    }

    @inline(never)  // Only where white space follows a value.
    private static func blanksStart(_ base: UnsafePointer<UInt8>, from: Int, end: Int) -> Int {
        var at = end
        while at > from, Byte.isBlank(base[at &- 1]) { at &-= 1 }
        return at
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
