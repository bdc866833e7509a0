/// Rules for each field of a message, whatever its kind (RFC 9113 §8.2).
///
/// Safe: fields hold as many bytes as they say.
enum FieldBlockRules {
    /// Where a field stands.
    enum Section {
        case request, response, trailers
    }

    /// Why a field that is no pseudo-field may not stand in a section.
    static func error(_ field: HPACKField, in section: Section) -> FieldBlockError? {
        guard isName(field) else { return .badName }
        guard FieldNames.isFieldValue(field.value, count: field.valueCount) else {
            return .badValue
        }
        switch field.id {
        case .connection, .proxyConnection, .keepAlive, .transferEncoding, .upgrade:
            return .connectionField
        case .te:
            // RFC 9113 §8.2.2: in requests alone, and no more than this.
            guard section == .request else { return .connectionField }
            return FieldNames.equals(field.value, count: field.valueCount, "trailers")
                ? nil : .badTE
        default:
            return nil
        }
    }

    /// Whether a name is a token without upper-case letters (RFC 9113 §8.2.1).
    @inline(__always)  // A word or two for a known name.
    private static func isName(_ field: HPACKField) -> Bool {
        guard isLowercase(field.name, count: field.nameCount) else { return false }
        // A name that has an id is a token.
        return field.id != .unknown || FieldNames.isToken(field.name, count: field.nameCount)
    }

    static func isLowercase(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        var at = 0
        while at < count {
            let word = bytes.word(at, end: count)
            guard Words.lowercased(word) == word else { return false }
            at &+= 8
        }
        return true
    }

    /// Whether the bytes are a scheme (RFC 3986 §3.1).
    static func isScheme(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard count > 0, (bytes[0] | 0x20) &- 0x61 < 26 else { return false }
        var at = 1
        while at < count {
            let byte = bytes[at]
            let isGood =
                (byte | 0x20) &- 0x61 < 26 || byte &- Byte.zero < 10 || byte == 0x2B || byte == 0x2D
                || byte == 0x2E
            guard isGood else { return false }
            at &+= 1
        }
        return true
    }

    /// Whether the bytes are `host:port`, both needed (RFC 9113 §8.5).
    static func isTunnelTarget(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        let host = HostSyntax.hostLength(bytes, count: count, tables: ParserTables.shared)
        return host > 0 && count &- host >= 2
    }
}

/// Writes field lines until there is no more room.
///
/// Safe: nothing is written at or after `end`, for which `out` has room.
struct FieldLineWriter {
    let out: UnsafeMutablePointer<UInt8>
    /// Bytes that may be written.
    let end: Int
    /// Lines that may be written.
    let lineCountMax: Int
    private(set) var at = 0
    private(set) var lineCount = 0
    /// Something did not fit and was left out.
    private(set) var isFull = false
    var neverIndexed = FieldBlock.NeverIndexed()

    init(to out: UnsafeMutablePointer<UInt8>, end: Int, lineCountMax: Int) {
        self.out = out
        self.end = end
        self.lineCountMax = lineCountMax
    }

    mutating func append(_ bytes: UnsafePointer<UInt8>, count: Int) {
        guard count <= end &- at else {
            isFull = true
            return
        }
        at &+= HeadWriter.copy(bytes, count: count, to: out + at)
    }

    mutating func append(_ text: StaticString) {
        append(text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// Notes that something had to be left out.
    mutating func overflow() {
        isFull = true
    }

    /// Writes a field line.
    mutating func line(_ field: HPACKField) {
        if field.isNeverIndexed { neverIndexed.insert(lineCount) }
        append(field.name, count: field.nameCount)
        append(": ")
        append(field.value, count: field.valueCount)
        endLine()
    }

    /// Writes the end of a field line.
    mutating func endLine() {
        append("\r\n")
        lineCount &+= 1
        if lineCount > lineCountMax { isFull = true }
    }
}
