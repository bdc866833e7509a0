/// What a request's `Range` comes to, for a representation of a known length (RFC 9110 §14).
package struct ByteRanges: BitwiseCopyable {
    /// Bytes from an offset on.
    package struct Part: Equatable, BitwiseCopyable, Sendable {
        package var offset: UInt64
        /// 1 or more.
        package var length: UInt64

        package init(offset: UInt64, length: UInt64) {
            self.offset = offset
            self.length = length
        }
    }

    package enum Outcome: Equatable, Sendable {
        /// The field is not served: another unit, malformed, or more than is good (RFC 9110
        /// §14.2); the answer is the whole.
        case whole
        /// No range has a byte: 416.
        case unsatisfiable
        /// So many parts were written, 1 or more.
        case parts(Int)
    }

    /// Reads the field's value.
    ///
    /// Ranges that overlap, and those that are together longer than the whole, ask for more work
    /// than the whole is; they are served as the whole.
    ///
    /// - Parameters:
    ///   - value: "bytes=0-99,200-".
    ///   - length: of the representation.
    ///   - room: where the parts go, in the order of the request.
    ///   - most: ranges that are served, at most the room's.
    package static func parse(
        _ value: Text,
        length: UInt64,
        into room: UnsafeMutablePointer<Part>,
        most: Int
    ) -> Outcome {
        guard let equals = value.firstIndex(of: 0x3D),
            value[0..<equals].equalsIgnoringCase("bytes")
        else { return .whole }
        var count = 0
        var asked = 0
        var total: UInt64 = 0
        for element in ListElements(value.dropFirst(equals + 1)) {
            asked += 1
            guard asked <= most, let range = range(element) else { return .whole }
            guard let part = part(range, length: length) else { continue }
            total += part.length
            guard total <= length, !overlaps(part, room, count) else { return .whole }
            // Safe: there is room for `most` parts.
            room[count] = part
            count += 1
        }
        if asked == 0 { return .whole }
        return count == 0 ? .unsatisfiable : .parts(count)
    }

    private enum Range {
        case from(UInt64, through: UInt64)
        case suffix(UInt64)
    }

    /// "0-99", "200-" or "-50"; nil when it is none of them.
    private static func range(_ text: Text) -> Range? {
        guard let dash = text.firstIndex(of: 0x2D) else { return nil }
        let first = text[0..<dash]
        let last = text.dropFirst(dash + 1)
        if first.isEmpty { return number(last).map { .suffix($0) } }
        guard let begin = number(first) else { return nil }
        if last.isEmpty { return .from(begin, through: .max) }
        guard let end = number(last), end >= begin else { return nil }
        return .from(begin, through: end)
    }

    private static func part(_ range: Range, length: UInt64) -> Part? {
        switch range {
        case .from(let begin, let end):
            guard begin < length else { return nil }
            return Part(offset: begin, length: min(end, length - 1) - begin + 1)
        case .suffix(let count):
            let count = min(count, length)
            return count == 0 ? nil : Part(offset: length - count, length: count)
        }
    }

    private static func overlaps(
        _ part: Part,
        _ others: UnsafeMutablePointer<Part>,
        _ count: Int
    ) -> Bool {
        for index in 0..<count {
            let other = others[index]
            if part.offset < other.offset + other.length,
                other.offset < part.offset + part.length
            {
                return true
            }
        }
        return false
    }

    private static func number(_ text: Text) -> UInt64? {
        text.number(atMost: .max / 16).map { UInt64($0) }
    }
}
