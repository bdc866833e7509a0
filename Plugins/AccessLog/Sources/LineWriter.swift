import SluiceSDK

/// Writes one line into memory of a bounded size; what does not fit is cut, and a mark says so.
///
/// Whole units only: an escape sequence or a character of several bytes is written or left out.
struct LineWriter {
    /// How bytes of clients are written.
    enum Escape: UInt8, BitwiseCopyable, Sendable {
        /// `"`, `\`, control characters and bytes from 0x7f on as `\xXX`, as nginx does.
        case text
        /// As in a JSON string; bytes that are no UTF-8 as `\u00XX`.
        case json
    }

    /// What a cut line of text ends with.
    static var textMark: Bytes { "..." }
    /// What a cut JSON object ends with.
    static var jsonMark: Bytes { ",\"cut\":true}" }
    static var textReserve: Int { textMark.count }
    /// The mark, and the quotation mark of the value that was cut.
    static var jsonReserve: Int { jsonMark.count + 1 }

    private let start: UnsafeMutablePointer<UInt8>
    /// Bytes that the line may have before its mark.
    private let limit: Int
    private(set) var count = 0
    /// Something did not fit; nothing is written any more.
    private(set) var isCut = false

    /// - Parameters:
    ///   - start: `capacity` bytes, which outlive the writer.
    ///   - reserve: bytes kept for the mark.
    init(start: UnsafeMutablePointer<UInt8>, capacity: Int, reserve: Int) {
        precondition(capacity > reserve, "no room for a line")
        self.start = start
        limit = capacity - reserve
    }

    var bytes: Bytes { Bytes(UnsafePointer(start), count: count) }

    /// Appends bytes of the configuration or of the proxy, as they are: all or nothing.
    @inline(__always)
    mutating func append(_ bytes: Bytes) {
        guard !isCut, bytes.count <= limit &- count else {
            isCut = true
            return
        }
        // Safe: there is room for all of them.
        (start + count).update(from: bytes.start, count: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        guard !isCut, count < limit else {
            isCut = true
            return
        }
        start[count] = byte
        count &+= 1
    }

    /// Appends the mark; there is room for it.
    mutating func mark(_ mark: Bytes) {
        // Safe: `reserve` bytes are left behind `limit`.
        (start + count).update(from: mark.start, count: mark.count)
        count &+= mark.count
    }

    /// Takes back what was written from this count on.
    mutating func rewind(to earlier: Int) { count = earlier }

    /// Whether so many bytes fit; when not, the line is cut here.
    mutating func makeRoom(_ length: Int) -> Bool {
        if length > limit &- count { isCut = true }
        return !isCut
    }

    /// Appends a quotation mark behind a value, also behind one that was cut.
    mutating func close() {
        // Safe: `jsonReserve` has a byte for it.
        start[count] = UInt8(ascii: "\"")
        count &+= 1
    }

    // MARK: Numbers

    /// Digits of a decimal number, with leading zeroes up to `width`.
    mutating func append(decimal number: UInt64, width: Int = 1) {
        var length = width
        var bound: UInt64 = 1
        for _ in 0..<width { bound &*= 10 }
        while number >= bound, length < 20 {
            length &+= 1
            let (next, over) = bound.multipliedReportingOverflow(by: 10)
            if over { break }
            bound = next
        }
        guard !isCut, length <= limit &- count else {
            isCut = true
            return
        }
        var rest = number
        var at = count &+ length
        while at > count {
            at &-= 1
            start[at] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count &+= length
    }

    /// Nanoseconds as seconds with three decimals, not rounded: "1.234".
    mutating func append(seconds nanoseconds: UInt64) {
        let milliseconds = nanoseconds / 1_000_000
        append(decimal: milliseconds / 1_000)
        append(UInt8(ascii: "."))
        append(decimal: milliseconds % 1_000, width: 3)
    }

    // MARK: Bytes of clients

    /// Appends bytes of somebody else, escaped, as far as they fit.
    mutating func append(_ bytes: Bytes, as escape: Escape) {
        guard !isCut else { return }
        // Safe: offsets stay below `count` of the bytes.
        let from = bytes.start
        var at = 0
        while at < bytes.count {
            let run = LineWriter.plainRun(from + at, bytes.count &- at)
            if run > 0 {
                let taken = min(run, limit &- count)
                (start + count).update(from: from + at, count: taken)
                count &+= taken
                guard taken == run else {
                    isCut = true
                    return
                }
                at &+= run
                continue
            }
            var length = 1
            switch escape {
            case .text: escapeText(from[at])
            case .json: length = escapeJSON(from + at, bytes.count &- at)
            }
            if isCut { return }
            at &+= length
        }
    }

    /// Bytes at the begin that are visible ASCII or spaces, and neither `"` nor `\`.
    @inline(__always)
    static func plainRun(_ from: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let high: UInt64 = 0x8080_8080_8080_8080
        let raw = UnsafeRawPointer(from)
        var at = 0
        while at &+ 8 <= count {
            // Safe: eight bytes are left.
            let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            // A byte below 0x20 borrows; one that equals a pattern becomes zero, and borrows too.
            // Where a borrow goes on into the next byte, the first one found is still right.
            let control = (word &- ones &* 0x20) & ~word
            let quote = word ^ (ones &* 0x22)
            let slash = word ^ (ones &* 0x5C)
            let delete = word ^ (ones &* 0x7F)
            let found =
                (control | word | ((quote &- ones) & ~quote) | ((slash &- ones) & ~slash)
                    | ((delete &- ones) & ~delete)) & high
            if found != 0 { return at &+ found.trailingZeroBitCount &>> 3 }
            at &+= 8
        }
        while at < count {
            let byte = from[at]
            if byte < 0x20 || byte >= 0x7F || byte == 0x22 || byte == 0x5C { return at }
            at &+= 1
        }
        return at
    }

    private mutating func put(_ unit: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8), _ length: Int) {
        guard length <= limit &- count else {
            isCut = true
            return
        }
        // Safe: there is room for the unit.
        withUnsafeBytes(of: unit) { bytes in
            for index in 0..<length { start[count &+ index] = bytes[index] }
        }
        count &+= length
    }

    private mutating func escapeText(_ byte: UInt8) {
        let (high, low) = (
            LineWriter.digit(byte >> 4, upper: true), LineWriter.digit(byte & 15, upper: true)
        )
        put((UInt8(ascii: "\\"), UInt8(ascii: "x"), high, low, 0, 0), 4)
    }

    /// Writes one unit.
    ///
    /// - Returns: bytes that it stands for.
    private mutating func escapeJSON(_ from: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let byte = from[0]
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
            put((UInt8(ascii: "\\"), byte, 0, 0, 0, 0), 2)
            return 1
        }
        let length = LineWriter.sequenceLength(from, count)
        if length > 1 {
            // Safe: the sequence's bytes are there.
            put((byte, from[1], length > 2 ? from[2] : 0, length > 3 ? from[3] : 0, 0, 0), length)
            return length
        }
        let (high, low) = (
            LineWriter.digit(byte >> 4, upper: false), LineWriter.digit(byte & 15, upper: false)
        )
        let zero = UInt8(ascii: "0")
        put((UInt8(ascii: "\\"), UInt8(ascii: "u"), zero, zero, high, low), 6)
        return 1
    }

    private static func digit(_ value: UInt8, upper: Bool) -> UInt8 {
        value < 10
            ? UInt8(ascii: "0") &+ value
            : (upper ? UInt8(ascii: "A") : UInt8(ascii: "a")) &+ value &- 10
    }

    /// Bytes of a well-formed UTF-8 sequence of two to four bytes (RFC 3629 §4); else 0.
    static func sequenceLength(_ from: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let lead = from[0]
        let length =
            switch lead {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        guard length > 0, length <= count else { return 0 }
        let second: ClosedRange<UInt8> =
            switch lead {
            case 0xE0: 0xA0...0xBF
            case 0xED: 0x80...0x9F
            case 0xF0: 0x90...0xBF
            case 0xF4: 0x80...0x8F
            default: 0x80...0xBF
            }
        guard second.contains(from[1]) else { return 0 }
        for index in 2..<max(length, 2) where from[index] & 0xC0 != 0x80 { return 0 }
        return length
    }
}
