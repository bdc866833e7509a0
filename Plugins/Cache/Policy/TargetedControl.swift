/// A targeted field, such as `CDN-Cache-Control` (RFC 9213): a dictionary of RFC 8941.
package enum TargetedControl {
    /// Adds the members of a line.
    ///
    /// Members that are not known, or not of their type, are left out (RFC 9213 §2.1). The last one
    /// of a name counts (RFC 8941 §3.2).
    ///
    /// - Returns: nil when the line is no dictionary: the field is then as if it were not there;
    ///   otherwise the number of members.
    package static func add(_ line: Text, to directives: inout ResponseDirectives) -> Int? {
        var parser = DictionaryParser(line)
        var found = directives
        var count = 0
        while true {
            switch parser.next() {
            case .end:
                directives = found
                return count
            case .failure: return nil
            case .member(let name, let value):
                count += 1
                keep(name, value, in: &found)
            }
        }
    }

    private static func keep(
        _ name: Text,
        _ value: DictionaryParser.Value,
        in directives: inout ResponseDirectives
    ) {
        if case .integer(let number) = value {
            let seconds = min(max(number, 0), ResponseDirectives.secondsMax)
            if name == "max-age" {
                directives.maxAge = seconds
            } else if name == "s-maxage" {
                directives.sharedMaxAge = seconds
            } else if name == "stale-while-revalidate" {
                directives.staleWhileRevalidate = seconds
            } else if name == "stale-if-error" {
                directives.staleIfError = seconds
            }
            return
        }
        guard let flag = flag(name) else { return }
        switch value {
        case .bool(true): directives.flags.insert(flag)
        case .bool(false): directives.flags.remove(flag)
        case .string(let text):
            guard !text.isEmpty else { return }
            if flag == .isPrivate { directives.flags.insert(.privateFields) }
            if flag == .noCache { directives.flags.insert(.noCacheFields) }
        case .integer, .other: break
        }
    }

    private static func flag(_ name: Text) -> ResponseDirectives.Flags? {
        if name == "no-store" { return .noStore }
        if name == "no-cache" { return .noCache }
        if name == "private" { return .isPrivate }
        if name == "public" { return .isPublic }
        if name == "must-revalidate" { return .mustRevalidate }
        if name == "proxy-revalidate" { return .proxyRevalidate }
        if name == "must-understand" { return .mustUnderstand }
        if name == "immutable" { return .immutable }
        return nil
    }
}

/// Reads a dictionary of structured fields (RFC 8941 §4.2.2).
struct DictionaryParser {
    enum Value {
        case integer(Int64)
        case bool(Bool)
        case string(Text)
        /// A token, decimal, byte sequence or inner list: nothing that a directive has.
        case other
    }

    enum Member {
        case member(Text, Value)
        case end
        case failure
    }

    private let text: Text
    private var at = 0
    private var isFirst = true

    init(_ text: Text) {
        self.text = text
        skip(tabs: false)
    }

    mutating func next() -> Member {
        if !isFirst {
            skip(tabs: true)
            if at == text.count { return .end }
            guard take(0x2C) else { return .failure }
            skip(tabs: true)
            // A comma must be followed by a member.
            if at == text.count { return .failure }
        }
        isFirst = false
        if at == text.count { return .end }
        guard let name = key() else { return .failure }
        var value = Value.bool(true)
        if take(0x3D) {
            guard let read = peek == 0x28 ? innerList() : bareItem() else { return .failure }
            value = read
        }
        guard parameters() else { return .failure }
        return .member(name, value)
    }

    private var peek: UInt8 { at < text.count ? text[at] : 0 }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skip(tabs: Bool) {
        while at < text.count, text[at] == 0x20 || (tabs && text[at] == 0x09) { at += 1 }
    }

    private mutating func key() -> Text? {
        let begin = at
        guard isLower(peek) || peek == 0x2A else { return nil }
        while at < text.count {
            let byte = text[at]
            guard
                isLower(byte) || isDigit(byte) || byte == 0x5F || byte == 0x2D || byte == 0x2E
                    || byte == 0x2A
            else { break }
            at += 1
        }
        return text[begin..<at]
    }

    private mutating func parameters() -> Bool {
        while take(0x3B) {
            skip(tabs: false)
            guard key() != nil else { return false }
            if take(0x3D), bareItem() == nil { return false }
        }
        return true
    }

    private mutating func innerList() -> Value? {
        at += 1
        while at < text.count {
            skip(tabs: false)
            if take(0x29) { return .other }
            guard bareItem() != nil, parameters(), peek == 0x20 || peek == 0x29 else { return nil }
        }
        return nil
    }

    private mutating func bareItem() -> Value? {
        switch peek {
        case 0x22: return quoted()
        case 0x3F:
            at += 1
            if take(0x31) { return .bool(true) }
            return take(0x30) ? .bool(false) : nil
        case 0x3A: return byteSequence()
        case 0x2D, 0x30...0x39: return number()
        case 0x2A, 0x41...0x5A, 0x61...0x7A:
            while at < text.count, isTokenByte(text[at]) || text[at] == 0x3A || text[at] == 0x2F {
                at += 1
            }
            return .other
        default: return nil
        }
    }

    private mutating func number() -> Value? {
        let isNegative = take(0x2D)
        let begin = at
        while isDigit(peek) { at += 1 }
        let digits = text[begin..<at]
        guard digits.count >= 1, digits.count <= 15 else { return nil }
        if take(0x2E) {
            let fraction = at
            while isDigit(peek) { at += 1 }
            guard digits.count <= 12, (1...3).contains(at - fraction) else { return nil }
            return .other
        }
        let number = digits.number(atMost: .max / 16) ?? 0
        return .integer(isNegative ? -number : number)
    }

    private mutating func quoted() -> Value? {
        at += 1
        let begin = at
        while at < text.count {
            let byte = text[at]
            if byte == 0x22 {
                at += 1
                return .string(text[begin..<at - 1])
            }
            if byte == 0x5C {
                at += 1
                guard peek == 0x22 || peek == 0x5C else { return nil }
            } else if byte < 0x20 || byte > 0x7E {
                return nil
            }
            at += 1
        }
        return nil
    }

    private mutating func byteSequence() -> Value? {
        at += 1
        while at < text.count {
            let byte = text[at]
            at += 1
            if byte == 0x3A { return .other }
            let isBase64 =
                isLower(byte) || isDigit(byte) || (byte &- 0x41 < 26) || byte == 0x2B
                || byte == 0x2F || byte == 0x3D
            if !isBase64 { return nil }
        }
        return nil
    }

    private func isLower(_ byte: UInt8) -> Bool { byte &- 0x61 < 26 }
    private func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
}
