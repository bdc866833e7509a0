extension JSON5Parser {
    // MARK: Strings

    /// A string in single or double quotes (JSON5 §5).
    mutating func quoted() throws(SyntaxError) -> String {
        let start = offset
        let quote = peek()
        offset += 1
        var text = String.UnicodeScalarView()
        while let scalar = scalar() {
            switch scalar {
            case quote:
                offset += 1
                return String(text)
            case "\n", "\r":
                throw SyntaxError(offset: start, message: "the string has no end in its line")
            case "\\":
                if let escaped = try escape() { text.append(escaped) }
            case "\0"..<" ":
                throw SyntaxError(
                    offset: offset,
                    message: "a control character in a string needs an escape"
                )
            default:
                text.append(scalar)
                offset += UTF8.width(scalar)
            }
        }
        throw SyntaxError(offset: start, message: "the string has no end")
    }

    /// One escape of a string; nil for a line that goes on, and at the end of the text.
    private mutating func escape() throws(SyntaxError) -> Unicode.Scalar? {
        let start = offset
        offset += 1
        guard let scalar = scalar() else { return nil }
        offset += UTF8.width(scalar)
        switch scalar {
        case "b": return "\u{8}"
        case "f": return "\u{C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{B}"
        case "x": return Unicode.Scalar(UInt8(try hexadecimal(digits: 2, from: start)))
        case "u": return try unicodeEscape(from: start)
        case "\r":
            _ = take("\n")
            return nil
        case "0"..."9":
            let isNul = scalar == "0" && !("0"..."9" ~= peek() ?? " ")
            guard isNul else {
                throw SyntaxError(offset: start, message: "an octal escape is not allowed")
            }
            return "\0"
        default:
            return JSON5Parser.isLineEnd(scalar) ? nil : scalar
        }
    }

    /// The rest of "\u" and four digits, with a second escape where the first is half of a pair.
    private mutating func unicodeEscape(from start: Int) throws(SyntaxError) -> Unicode.Scalar {
        let first = try hexadecimal(digits: 4, from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, take("\\"), take("u") {
            let second = try hexadecimal(digits: 4, from: start)
            if 0xDC00...0xDFFF ~= second,
                let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            {
                return scalar
            }
        }
        throw SyntaxError(offset: start, message: "half of a surrogate pair")
    }

    private mutating func hexadecimal(
        digits: Int,
        from start: Int
    ) throws(SyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = peek().flatMap({ Character($0).hexDigitValue }) else {
                throw SyntaxError(offset: start, message: "the escape needs \(digits) hex digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }

    // MARK: Identifiers

    /// The identifier that begins here; empty where none does.
    mutating func identifier() throws(SyntaxError) -> String {
        var name = ""
        while let scalar = scalar() {
            let start = offset
            var next = scalar
            if scalar == "\\" {
                offset += 1
                guard take("u") else {
                    throw SyntaxError(offset: start, message: "expected \\u in a key")
                }
                next = try unicodeEscape(from: start)
            }
            guard JSON5Parser.isIdentifier(next, first: name.isEmpty) else {
                guard scalar != "\\" else {
                    throw SyntaxError(offset: start, message: "the key needs quotes")
                }
                return name
            }
            if scalar != "\\" { offset += UTF8.width(scalar) }
            name.unicodeScalars.append(next)
        }
        return name
    }

    private static func isIdentifier(_ scalar: Unicode.Scalar, first: Bool) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "$", "_": true
        case "0"..."9": !first
        case "\u{200C}", "\u{200D}": !first
        default:
            !scalar.isASCII
                && (first ? scalar.properties.isIDStart : scalar.properties.isIDContinue)
        }
    }

    // MARK: Numbers

    /// A number (JSON5 §6).
    mutating func number() throws(SyntaxError) -> Node.Content {
        let start = offset
        let isNegative = peek() == "-"
        if isNegative || peek() == "+" { offset += 1 }
        if let scalar = scalar(), scalar == "I" || scalar == "N" {
            throw SyntaxError(offset: start, message: "Infinity and NaN are not allowed")
        }
        let bad = SyntaxError(offset: start, message: "not a number; a string needs quotes")
        let content: Node.Content
        if peek() == "0", peek(1) == "x" || peek(1) == "X" {
            offset += 2
            let digits = takeText { Character($0).isHexDigit }
            guard !digits.isEmpty else { throw bad }
            guard let value = Int64((isNegative ? "-" : "") + digits, radix: 16) else {
                throw SyntaxError(offset: start, message: "the number is too large")
            }
            content = .integer(value)
        } else {
            content = try decimal(isNegative: isNegative, from: start)
        }
        if let next = scalar(), next == "." || JSON5Parser.isIdentifier(next, first: false) {
            throw bad
        }
        return content
    }

    private mutating func decimal(
        isNegative: Bool,
        from start: Int
    ) throws(SyntaxError) -> Node.Content {
        let bad = SyntaxError(offset: start, message: "not a number; a string needs quotes")
        let whole = takeText { "0"..."9" ~= $0 }
        guard whole.utf8.count <= 1 || !whole.hasPrefix("0") else { throw bad }
        var text = (isNegative ? "-" : "") + (whole.isEmpty ? "0" : whole)
        var isWhole = true
        if take(".") {
            isWhole = false
            let fraction = takeText { "0"..."9" ~= $0 }
            guard !whole.isEmpty || !fraction.isEmpty else { throw bad }
            text += "." + (fraction.isEmpty ? "0" : fraction)
        } else if whole.isEmpty {
            throw bad
        }
        if take("e") || take("E") {
            isWhole = false
            text += "e"
            if take("-") { text += "-" } else { _ = take("+") }
            let exponent = takeText { "0"..."9" ~= $0 }
            guard !exponent.isEmpty else { throw bad }
            text += exponent
        }
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            throw SyntaxError(offset: start, message: "the number is too large")
        }
        return .number(value)
    }

    private mutating func takeText(_ isMember: (Unicode.Scalar) -> Bool) -> String {
        let start = offset
        while let character = peek(), isMember(character) { offset += 1 }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }
}
