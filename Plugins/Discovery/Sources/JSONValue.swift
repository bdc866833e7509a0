import SluiceSDK

/// A JSON text that others wrote (RFC 8259), read strictly.
indirect enum JSONValue: Equatable {
    /// Levels of arrays and objects.
    static let depthMax = 32
    /// Members of an object: each new key is compared with those before it.
    static let membersMax = 1_024

    case null
    case bool(Bool)
    /// A whole number.
    case integer(Int)
    /// A number that is not whole, or too great for an integer.
    case number
    case string([UInt8])
    case array([JSONElement])
    case object([JSONMember])

    /// The member of an object; nil when it is absent or null.
    func member(_ key: StaticString) -> JSONElement? {
        guard case .object(let members) = self else { return nil }
        for member in members where member.key.withBytes({ $0 == Bytes(key) }) {
            return member.element.value == .null ? nil : member.element
        }
        return nil
    }

    /// What kind of value it is, for a message.
    var kind: StaticString {
        switch self {
        case .null: "null"
        case .bool: "a truth value"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// A value with the line that it begins on.
struct JSONElement: Equatable {
    let value: JSONValue
    let line: Int
}

/// A member of an object.
struct JSONMember: Equatable {
    let key: [UInt8]
    let element: JSONElement
}

/// What is wrong with a text, and where.
struct JSONFault: Error, Equatable {
    /// From 1.
    let line: Int
    let message: String

    init(_ line: Int, _ message: String) {
        self.line = line
        self.message = message
    }
}

/// Reads a text from its first byte to its last.
struct JSONReader {
    private let bytes: [UInt8]
    private var offset = 0
    private var line = 1

    /// Reads one value, and nothing behind it.
    static func read(_ bytes: [UInt8]) throws(JSONFault) -> JSONElement {
        var reader = JSONReader(bytes: bytes)
        let element = try reader.element(depth: 0)
        reader.skipBlanks()
        guard reader.offset == bytes.count else { throw reader.fault("something behind the end") }
        return element
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func fault(_ message: String) -> JSONFault { JSONFault(line, message) }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
            if byte == 0x0A { line += 1 }
            offset += 1
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        offset += 1
        return true
    }

    private mutating func element(depth: Int) throws(JSONFault) -> JSONElement {
        skipBlanks()
        let start = line
        guard let byte = next else { throw fault("the text ends too early") }
        let value: JSONValue
        switch byte {
        case 0x7B: value = .object(try members(depth: depth))
        case 0x5B: value = .array(try elements(depth: depth))
        case 0x22: value = .string(try string())
        case 0x2D, 0x30...0x39: value = try number()
        default: value = try word()
        }
        return JSONElement(value: value, line: start)
    }

    private mutating func members(depth: Int) throws(JSONFault) -> [JSONMember] {
        guard depth < JSONValue.depthMax else { throw fault("nested too deeply") }
        offset += 1
        var members: [JSONMember] = []
        skipBlanks()
        if take(0x7D) { return members }
        while true {
            skipBlanks()
            guard next == 0x22 else { throw fault("expected a key in quotes") }
            let key = try string()
            guard !members.contains(where: { $0.key == key }) else {
                throw fault("the key \"\(String(decoding: key, as: UTF8.self))\" is there twice")
            }
            guard members.count < JSONValue.membersMax else {
                throw fault("an object of more than \(JSONValue.membersMax) keys")
            }
            skipBlanks()
            guard take(0x3A) else { throw fault("expected \":\" behind a key") }
            members.append(JSONMember(key: key, element: try element(depth: depth + 1)))
            skipBlanks()
            if take(0x7D) { return members }
            guard take(0x2C) else { throw fault("expected \",\" or \"}\"") }
        }
    }

    private mutating func elements(depth: Int) throws(JSONFault) -> [JSONElement] {
        guard depth < JSONValue.depthMax else { throw fault("nested too deeply") }
        offset += 1
        var elements: [JSONElement] = []
        skipBlanks()
        if take(0x5D) { return elements }
        while true {
            elements.append(try element(depth: depth + 1))
            skipBlanks()
            if take(0x5D) { return elements }
            guard take(0x2C) else { throw fault("expected \",\" or \"]\"") }
        }
    }

    private mutating func word() throws(JSONFault) -> JSONValue {
        let words: [(text: StaticString, value: JSONValue)] = [
            ("null", .null), ("true", .bool(true)), ("false", .bool(false)),
        ]
        for (text, value) in words {
            let length = Bytes(text).count
            if offset + length <= bytes.count,
                Array(bytes[offset..<(offset + length)]).withBytes({ $0 == Bytes(text) })
            {
                offset += length
                return value
            }
        }
        throw fault("expected a value")
    }

    private mutating func number() throws(JSONFault) -> JSONValue {
        let isNegative = take(0x2D)
        let start = offset
        var number: Int? = 0
        while let digit = next.map({ $0 &- 0x30 }), digit < 10 {
            offset += 1
            if let known = number {
                let (product, isOver) = known.multipliedReportingOverflow(by: 10)
                let (sum, isTooGreat) = product.addingReportingOverflow(Int(digit))
                number = isOver || isTooGreat ? nil : sum
            }
        }
        guard offset > start, offset - start == 1 || bytes[start] != 0x30 else {
            throw fault("a number that is misspelt")
        }
        var isWhole = true
        if take(0x2E) {
            isWhole = false
            try digits()
        }
        if next == 0x65 || next == 0x45 {
            isWhole = false
            offset += 1
            if next == 0x2B || next == 0x2D { offset += 1 }
            try digits()
        }
        guard isWhole, let number else { return .number }
        return .integer(isNegative ? -number : number)
    }

    private mutating func digits() throws(JSONFault) {
        let start = offset
        while let byte = next, byte &- 0x30 < 10 { offset += 1 }
        guard offset > start else { throw fault("a number that is misspelt") }
    }
}

extension JSONReader {
    private mutating func string() throws(JSONFault) -> [UInt8] {
        offset += 1
        var text: [UInt8] = []
        while let byte = next {
            offset += 1
            switch byte {
            case 0x22: return text
            case 0x5C: try escape(&text)
            case 0..<0x20: throw fault("a control character in a string")
            default: text.append(byte)
            }
        }
        throw fault("a string without an end")
    }

    private mutating func escape(_ text: inout [UInt8]) throws(JSONFault) {
        guard let byte = next else { throw fault("a string without an end") }
        offset += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: text.append(byte)
        case 0x62: text.append(0x08)
        case 0x66: text.append(0x0C)
        case 0x6E: text.append(0x0A)
        case 0x72: text.append(0x0D)
        case 0x74: text.append(0x09)
        case 0x75:
            var code = try hexadecimal()
            if code >> 10 == 0x36 {
                // The first half of a pair.
                guard take(0x5C), take(0x75) else { throw fault("half of a pair in a string") }
                let second = try hexadecimal()
                guard second >> 10 == 0x37 else { throw fault("half of a pair in a string") }
                code = 0x10000 + (code & 0x3FF) << 10 + second & 0x3FF
            }
            guard let scalar = Unicode.Scalar(code) else {
                throw fault("half of a pair in a string")
            }
            text += Array(String(Character(scalar)).utf8)
        default: throw fault("an unknown escape in a string")
        }
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next else { throw fault("a string without an end") }
            let small = byte | 0x20
            if byte &- 0x30 < 10 {
                code = code << 4 | UInt32(byte - 0x30)
            } else if small &- 0x61 < 6 {
                code = code << 4 | UInt32(small - 0x61 + 10)
            } else {
                throw fault("an escape without four digits")
            }
            offset += 1
        }
        return code
    }
}
