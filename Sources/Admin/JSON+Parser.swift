extension JSON {
    /// Bytes of a text, unless the reader says otherwise.
    package static let textBytesMax = 1_048_576
    /// Levels of arrays and objects; the parser recurses that deep.
    package static let depthMax = 64
    /// Bytes of a number: no 64-bit number that is written to be read back needs more than 24.
    package static let numberBytesMax = 64

    /// The first thing in a text that is not JSON, or is over a bound.
    package struct SyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
        /// From 1.
        package var line: Int
        /// From 1, in Unicode scalars.
        package var column: Int
        package var message: String

        package var description: String { "line \(line), column \(column): \(message)" }
    }

    /// Parses a whole text, strictly (RFC 8259).
    ///
    /// What the RFC leaves to the reader is refused where two readers could differ: a name that
    /// occurs twice in an object (also in another Unicode form, because the names of members
    /// compare so here), a number that 64 bits do not hold, half of a surrogate pair, a byte order
    /// mark, bytes that are not UTF-8.
    ///
    /// - Parameter bytesMax: a longer text is refused.
    /// - Throws: the first error of the text, with its place.
    package static func parse(
        _ bytes: [UInt8],
        bytesMax: Int = textBytesMax
    ) throws(SyntaxError) -> JSON {
        guard bytes.count <= bytesMax else {
            throw SyntaxError(
                line: 1,
                column: 1,
                message: "the text is longer than \(bytesMax) bytes"
            )
        }
        do throws(JSONParser.Failure) {
            return try JSONParser.parse(bytes)
        } catch {
            let before = bytes[..<error.offset]
            let newline = UInt8(ascii: "\n")
            let lineStart = before.lastIndex(of: newline).map { $0 + 1 } ?? 0
            // A scalar is counted by the byte that begins it.
            let scalars = before[lineStart...].count { $0 & 0b1100_0000 != 0b1000_0000 }
            throw SyntaxError(
                line: before.count { $0 == newline } + 1,
                column: scalars + 1,
                message: error.message
            )
        }
    }
}

/// Reads one text from its first byte to its last.
///
/// The bytes are valid UTF-8, and every offset where a piece begins or ends is that of an ASCII
/// byte or of an end.
private struct JSONParser {
    struct Failure: Error {
        var offset: Int
        var message: String
    }

    private let bytes: [UInt8]
    private var offset = 0
    private var depth = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func parse(_ bytes: [UInt8]) throws(Failure) -> JSON {
        if String(validating: bytes, as: UTF8.self) == nil {
            // The repaired text differs from the bytes first where they are broken.
            let repaired = String(decoding: bytes, as: UTF8.self).utf8
            let intact = zip(bytes, repaired).prefix { $0 == $1 }.count
            throw Failure(offset: intact, message: "the text is not valid UTF-8")
        }
        var parser = JSONParser(bytes)
        parser.skipSpace()
        let value = try parser.value()
        parser.skipSpace()
        guard parser.offset == bytes.count else { throw parser.unexpected("the end of the text") }
        return value
    }

    // MARK: Values

    private mutating func value() throws(Failure) -> JSON {
        switch peek {
        case UInt8(ascii: "{"): return try nested { parser throws(Failure) in try parser.object() }
        case UInt8(ascii: "["): return try nested { parser throws(Failure) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: throw unexpected("a value")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(Failure) -> JSON {
        let text = word.description
        guard bytes[offset...].starts(with: text.utf8) else { throw unexpected("a value") }
        offset += text.utf8.count
        return value
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(Failure) -> JSON
    ) throws(Failure) -> JSON {
        guard depth < JSON.depthMax else {
            throw Failure(offset: offset, message: "more than \(JSON.depthMax) levels of nesting")
        }
        depth += 1
        defer { depth -= 1 }
        offset += 1
        skipSpace()
        return try body(&self)
    }

    private mutating func object() throws(Failure) -> JSON {
        var members: [JSON.Member] = []
        var names: Set<String> = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            let start = offset
            guard peek == UInt8(ascii: "\"") else { throw unexpected("a name in quotes") }
            let name = try string()
            guard names.insert(name).inserted else {
                throw Failure(
                    offset: start,
                    message: "the name \(JSON.string(name).text) occurs twice"
                )
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw unexpected("\":\"") }
            skipSpace()
            members.append(JSON.Member(name, try value()))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw unexpected("\",\" or \"}\"") }
            skipSpace()
        }
    }

    private mutating func array() throws(Failure) -> JSON {
        var elements: [JSON] = []
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw unexpected("\",\" or \"]\"") }
            skipSpace()
        }
    }

    // MARK: Strings (RFC 8259 §7)

    private mutating func string() throws(Failure) -> String {
        let start = offset
        offset += 1
        var text = ""
        while true {
            let run = bytes[offset...].prefix {
                $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            }
            text += String(decoding: run, as: UTF8.self)
            offset = run.endIndex
            switch peek {
            case UInt8(ascii: "\""):
                offset += 1
                return text
            case UInt8(ascii: "\\"):
                text.unicodeScalars.append(try escape())
            case nil: throw Failure(offset: start, message: "the string has no end")
            default:
                throw Failure(
                    offset: offset,
                    message: "a control character in a string needs an escape"
                )
            }
        }
    }

    private mutating func escape() throws(Failure) -> Unicode.Scalar {
        let start = offset
        offset += 1
        defer { offset += 1 }
        switch peek {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape(from: start)
        default: throw Failure(offset: start, message: "no such escape")
        }
    }

    /// The scalar of "\u" and four digits, or of two of these that are a surrogate pair; ends on
    /// the last digit.
    private mutating func unicodeEscape(from start: Int) throws(Failure) -> Unicode.Scalar {
        let first = try fourDigits(from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        let half = Failure(offset: start, message: "half of a surrogate pair")
        guard first < 0xdc00, bytes[(offset + 1)...].starts(with: "\\u".utf8) else { throw half }
        offset += 2
        let second = try fourDigits(from: start)
        guard 0xdc00...0xdfff ~= second,
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
        else { throw half }
        return scalar
    }

    /// The value of the four digits behind the current byte; ends on the last one.
    private mutating func fourDigits(from start: Int) throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            offset += 1
            guard let byte = peek,
                let digit = Character(Unicode.Scalar(byte)).hexDigitValue
            else {
                throw Failure(offset: start, message: "the escape needs four hex digits")
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    // MARK: Numbers (RFC 8259 §6)

    private mutating func number() throws(Failure) -> JSON {
        let start = offset
        let bad = Failure(offset: start, message: "not a number")
        if peek == UInt8(ascii: "-") { offset += 1 }
        let whole = digits()
        guard whole.count == 1 || (whole.count > 1 && whole.first != UInt8(ascii: "0")) else {
            throw bad
        }
        var isWhole = true
        if take(UInt8(ascii: ".")) {
            isWhole = false
            guard !digits().isEmpty else { throw bad }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isWhole = false
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            guard !digits().isEmpty else { throw bad }
        }
        guard offset - start <= JSON.numberBytesMax else {
            throw Failure(
                offset: start,
                message: "a number of more than \(JSON.numberBytesMax) bytes"
            )
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard !isWhole, let value = Double(text), value.isFinite else {
            throw Failure(offset: start, message: "the number does not fit 64 bits")
        }
        return .number(value)
    }

    private mutating func digits() -> ArraySlice<UInt8> {
        let run = bytes[offset...].prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        offset = run.endIndex
        return run
    }

    // MARK: Bytes

    /// The byte that comes next; nil at the end of the text.
    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
            offset += 1
        }
    }

    private func unexpected(_ expected: String) -> Failure {
        guard offset < bytes.count else {
            return Failure(
                offset: offset,
                message: "expected \(expected), found the end of the text"
            )
        }
        let rest = String(decoding: bytes[offset...].prefix(4), as: UTF8.self)
        let found = rest.unicodeScalars.first.map { JSON.string(String($0)).text } ?? ""
        return Failure(offset: offset, message: "expected \(expected), found \(found)")
    }
}
