/// A run of bytes of a field, which somebody else owns: a pointer and a count.
///
/// It must not be kept beyond the life of what it points to; a literal lives for ever.
package struct Text: BitwiseCopyable, ExpressibleByStringLiteral {
    package let start: UnsafePointer<UInt8>
    package let count: Int

    @inline(__always)
    package init(_ start: UnsafePointer<UInt8>, count: Int) {
        self.start = start
        self.count = count
    }

    package init(stringLiteral literal: StaticString) {
        self.init(literal.utf8Start, count: literal.utf8CodeUnitCount)
    }

    package static var empty: Text { "" }
    package var isEmpty: Bool { count == 0 }

    @inline(__always)
    package subscript(offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < count, "offset outside of the text")
        return start[offset]
    }

    @inline(__always)
    package subscript(range: Range<Int>) -> Text {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside")
        // Safe: the range lies in the text.
        return Text(start + range.lowerBound, count: range.count)
    }

    package func dropFirst(_ length: Int) -> Text { self[length..<count] }

    /// Without spaces and tabs at both ends (OWS, RFC 9110 §5.6.3).
    package var trimmed: Text {
        var lower = 0
        var upper = count
        while lower < upper, start[lower] == 0x20 || start[lower] == 0x09 { lower += 1 }
        while upper > lower, start[upper - 1] == 0x20 || start[upper - 1] == 0x09 { upper -= 1 }
        return self[lower..<upper]
    }

    package func hasPrefix(_ other: Text) -> Bool {
        count >= other.count && self[0..<other.count] == other
    }

    package func firstIndex(of byte: UInt8) -> Int? {
        for offset in 0..<count where start[offset] == byte { return offset }
        return nil
    }

    /// Whether the bytes are the same when `A` to `Z` count as `a` to `z`.
    package func equalsIgnoringCase(_ other: Text) -> Bool {
        guard count == other.count else { return false }
        for offset in 0..<count where lowered(start[offset]) != lowered(other.start[offset]) {
            return false
        }
        return true
    }

    /// Whether the bytes are a token (RFC 9110 §5.6.2).
    package var isToken: Bool {
        for offset in 0..<count where !isTokenByte(start[offset]) { return false }
        return count > 0
    }

    /// The number that decimal digits alone spell, at most `most`; nil when it is none.
    ///
    /// Also what would not fit is `most` (RFC 9111 §1.2.2).
    package func number(atMost most: Int64) -> Int64? {
        guard count > 0 else { return nil }
        var number: Int64 = 0
        for offset in 0..<count {
            let digit = Int64(start[offset]) - 0x30
            guard (0..<10).contains(digit) else { return nil }
            if number < most { number = min(number * 10 + digit, most) }
        }
        return number
    }
}

extension Text: Equatable {
    package static func == (left: Text, right: Text) -> Bool {
        guard left.count == right.count else { return false }
        for offset in 0..<left.count where left.start[offset] != right.start[offset] {
            return false
        }
        return true
    }
}

/// `A` to `Z` as `a` to `z`.
@inline(__always)
package func lowered(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

/// Whether a byte may stand in a token (tchar, RFC 9110 §5.6.2).
func isTokenByte(_ byte: UInt8) -> Bool {
    // Bit n is set when 0x20 + n, 0x40 + n, 0x60 + n is one of !#$%&'*+-.^_`|~, a digit or a
    // letter.
    switch byte >> 5 {
    case 1: (0x03FF_6CFA as UInt32) >> UInt32(byte & 31) & 1 == 1
    case 2: (0xC7FF_FFFE as UInt32) >> UInt32(byte & 31) & 1 == 1
    case 3: (0x57FF_FFFF as UInt32) >> UInt32(byte & 31) & 1 == 1
    default: false
    }
}

/// The elements of a list in a field's value (RFC 9110 §5.6.1); empty ones are left out.
///
/// A comma in a quoted string parts nothing. A quotation that does not end goes to the end.
package struct ListElements: Sequence, IteratorProtocol {
    private var rest: Text

    package init(_ value: Text) { rest = value }

    package mutating func next() -> Text? {
        while !rest.isEmpty {
            var end = 0
            var isQuoted = false
            while end < rest.count {
                let byte = rest.start[end]
                if isQuoted {
                    if byte == 0x5C { end += 1 } else if byte == 0x22 { isQuoted = false }
                } else if byte == 0x22 {
                    isQuoted = true
                } else if byte == 0x2C {
                    break
                }
                end += 1
            }
            end = Swift.min(end, rest.count)
            let element = rest[0..<end].trimmed
            rest = rest.dropFirst(Swift.min(end + 1, rest.count))
            if !element.isEmpty { return element }
        }
        return nil
    }
}
