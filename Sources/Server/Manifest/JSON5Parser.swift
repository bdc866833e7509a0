/// Parses a JSON5 text (https://spec.json5.org) into a tree that knows its places.
///
/// Foundation's `JSONDecoder` reads JSON5 too, but on Linux it tells neither where a text is broken
/// nor that a key occurs twice, and it triples the size of a statically linked executable.
///
/// Differences from the specification: `Infinity`, `NaN` and lone surrogates are refused, because
/// no setting and no plugin can use them.
struct JSON5Parser {
    /// Levels of arrays and objects; the parser and the readers of its tree recurse that deep.
    static let depthMax = 64

    /// The first thing in a text that is not JSON5.
    struct SyntaxError: Error, Equatable {
        var offset: Int
        var message: String
    }

    let bytes: [UInt8]
    var offset = 0
    private var depth = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Parses a whole text.
    ///
    /// - Throws: the first error of the text, also for bytes that are not UTF-8.
    static func parse(_ bytes: [UInt8]) throws(SyntaxError) -> Node {
        if String(validating: bytes, as: UTF8.self) == nil {
            // The repaired text differs from the bytes first where they are broken.
            let repaired = String(decoding: bytes, as: UTF8.self).utf8
            let intact = zip(bytes, repaired).prefix { $0 == $1 }.count
            throw SyntaxError(offset: intact, message: "the text is not valid UTF-8")
        }
        var parser = JSON5Parser(bytes)
        try parser.skipSpace()
        let root = try parser.value()
        try parser.skipSpace()
        if parser.offset < bytes.count {
            throw parser.unexpected("the end of the text")
        }
        return root
    }

    // MARK: Values

    private mutating func value() throws(SyntaxError) -> Node {
        let start = offset
        let content: Node.Content =
            switch peek() {
            case "{": try nested { parser throws(SyntaxError) in try parser.object() }
            case "[": try nested { parser throws(SyntaxError) in try parser.array() }
            case "\"", "'": .string(try quoted())
            case "+", "-", ".": try number()
            case let digit? where "0"..."9" ~= digit: try number()
            default: try word()
            }
        return Node(content: content, offset: start)
    }

    private mutating func nested(
        _ body: (inout JSON5Parser) throws(SyntaxError) -> Node.Content
    ) throws(SyntaxError) -> Node.Content {
        guard depth < JSON5Parser.depthMax else {
            throw SyntaxError(
                offset: offset,
                message: "more than \(JSON5Parser.depthMax) levels of nesting"
            )
        }
        depth += 1
        defer { depth -= 1 }
        return try body(&self)
    }

    private mutating func object() throws(SyntaxError) -> Node.Content {
        offset += 1
        var members: [Node.Member] = []
        while true {
            try skipSpace()
            if take("}") { return .object(members) }
            let keyOffset = offset
            let key = try self.key()
            try skipSpace()
            guard take(":") else { throw unexpected("\":\" after the key \"\(key)\"") }
            try skipSpace()
            let value = try self.value()
            members.append(.init(key: key, keyOffset: keyOffset, value: value))
            try skipSpace()
            if take(",") { continue }
            guard take("}") else { throw unexpected("\",\" or \"}\"") }
            return .object(members)
        }
    }

    private mutating func array() throws(SyntaxError) -> Node.Content {
        offset += 1
        var elements: [Node] = []
        while true {
            try skipSpace()
            if take("]") { return .array(elements) }
            elements.append(try value())
            try skipSpace()
            if take(",") { continue }
            guard take("]") else { throw unexpected("\",\" or \"]\"") }
            return .array(elements)
        }
    }

    private mutating func key() throws(SyntaxError) -> String {
        if peek() == "\"" || peek() == "'" { return try quoted() }
        let name = try identifier()
        guard !name.isEmpty else { throw unexpected("a key") }
        return name
    }

    private mutating func word() throws(SyntaxError) -> Node.Content {
        let start = offset
        switch try identifier() {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "": throw unexpected("a value")
        case "Infinity", "NaN":
            throw SyntaxError(offset: start, message: "Infinity and NaN are not allowed")
        case let other:
            throw SyntaxError(
                offset: start,
                message: "expected a value, found \(other); a string needs quotes"
            )
        }
    }

    // MARK: Space

    /// Skips white space, line ends and comments.
    private mutating func skipSpace() throws(SyntaxError) {
        while let scalar = scalar() {
            if scalar == "/" {
                try skipComment()
            } else if JSON5Parser.isSpace(scalar) {
                offset += UTF8.width(scalar)
            } else {
                return
            }
        }
    }

    private mutating func skipComment() throws(SyntaxError) {
        let start = offset
        if peek(1) == "/" {
            while let scalar = scalar(), !JSON5Parser.isLineEnd(scalar) {
                offset += UTF8.width(scalar)
            }
            return
        }
        guard peek(1) == "*" else { throw unexpected("a comment") }
        offset += 2
        while offset < bytes.count {
            if peek() == "*", peek(1) == "/" {
                offset += 2
                return
            }
            offset += 1
        }
        throw SyntaxError(offset: start, message: "the comment has no end")
    }

    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar == " " || "\t"..."\r" ~= scalar }
        return scalar == "\u{FEFF}" || isLineEnd(scalar)
            || scalar.properties.generalCategory == .spaceSeparator
    }

    static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "\n" || scalar == "\r" || scalar == "\u{2028}" || scalar == "\u{2029}"
    }

    // MARK: Bytes

    /// A byte that is not read yet; nil at the end of the text and where it is not ASCII.
    func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        guard offset + ahead < bytes.count, bytes[offset + ahead] < 0x80 else { return nil }
        return Unicode.Scalar(bytes[offset + ahead])
    }

    /// Reads an ASCII character if it comes next.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek() == character else { return false }
        offset += 1
        return true
    }

    /// The scalar that begins at the current byte; nil at the end of the text.
    func scalar() -> Unicode.Scalar? {
        guard offset < bytes.count else { return nil }
        let first = bytes[offset]
        if first < 0x80 { return Unicode.Scalar(first) }
        let width = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var bits = UInt32(first) & (0x7F >> UInt32(width))
        for byte in bytes[(offset + 1)..<(offset + width)] {
            bits = bits << 6 | UInt32(byte & 0x3F)
        }
        return Unicode.Scalar(bits)
    }

    func unexpected(_ expected: String) -> SyntaxError {
        guard let scalar = scalar() else {
            return SyntaxError(
                offset: offset,
                message: "expected \(expected), found the end of the text"
            )
        }
        let found =
            scalar.properties.generalCategory == .control
            ? "a control character" : "\"\(Character(scalar))\""
        return SyntaxError(offset: offset, message: "expected \(expected), found \(found)")
    }
}
