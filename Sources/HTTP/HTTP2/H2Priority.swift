/// How urgent a response is (RFC 9218 §4).
public struct H2Priority: Equatable, Sendable {
    /// 0 to 7, 0 first.
    public var urgency: UInt8 = 3
    /// Whether the client can use parts of it, so that it may share the connection with others.
    public var isIncremental = false

    public init(urgency: UInt8 = 3, isIncremental: Bool = false) {
        precondition(urgency <= 7, "urgency \(urgency) is over 7")
        self.urgency = urgency
        self.isIncremental = isIncremental
    }

    /// Reads a Priority field's value, or that of a PRIORITY_UPDATE frame (RFC 9218 §4 and §7.1).
    ///
    /// Safe: reads `bytes[0..<count]` only.
    public init(parsing bytes: UnsafePointer<UInt8>, count: Int) {
        self.init()
        update(bytes, count: count)
    }

    /// Applies a field value: a dictionary of structured fields (RFC 9651 §3.2), of which `u`
    /// and `i` count.
    ///
    /// Members that are not understood are passed over. A value that is no dictionary changes
    /// nothing, as RFC 9218 §4 has it.
    ///
    /// Safe: reads `count` bytes.
    public mutating func update(_ bytes: UnsafePointer<UInt8>, count: Int) {
        var found = self
        var at = 0
        while at < count, bytes[at] == Byte.space { at &+= 1 }
        while at < count {
            let key = bytes[at]
            let end = H2Priority.keyEnd(bytes, from: at, end: count)
            guard end > at else { return }
            let hasOneLetter = end &- at == 1
            at = end
            var value = at
            if at < count, bytes[at] == Byte.equals {
                at &+= 1
                value = at
            }
            guard let memberEnd = H2Priority.memberEnd(bytes, from: at, end: count),
                memberEnd > value || value == end
            else { return }
            let bare = H2Priority.bareEnd(bytes, from: value, end: memberEnd)
            if hasOneLetter { found.set(key, bytes + value, count: bare &- value) }
            at = memberEnd
            while at < count, Byte.isBlank(bytes[at]) { at &+= 1 }
            guard at < count else { break }
            guard bytes[at] == Byte.comma else { return }
            at &+= 1
            while at < count, Byte.isBlank(bytes[at]) { at &+= 1 }
            // A comma at the end is an error of the whole dictionary.
            guard at < count else { return }
        }
        self = found
    }

    /// A value of no bytes is that of a key alone: true.
    private mutating func set(_ key: UInt8, _ value: UnsafePointer<UInt8>, count: Int) {
        switch key {
        case 0x75:
            if count == 1, value[0] &- Byte.zero < 8 { urgency = value[0] &- Byte.zero }
        case 0x69:
            if count == 0 || (count == 2 && value[0] == Byte.question) {
                guard count == 0 || value[1] &- Byte.zero < 2 else { return }
                isIncremental = count == 0 || value[1] == Byte.zero &+ 1
            }
        default: break
        }
    }

    /// The end of a key: a letter or `*`, then letters, digits, `_`, `-`, `.` and `*`.
    private static func keyEnd(
        _ bytes: UnsafePointer<UInt8>,
        from: Int,
        end: Int
    ) -> Int {
        var at = from
        while at < end {
            let byte = bytes[at]
            let isStart = byte &- 0x61 < 26 || byte == Byte.asterisk
            let isLater =
                byte &- Byte.zero < 10 || byte == 0x5F || byte == 0x2D || byte == 0x2E
            guard isStart || (at > from && isLater) else { break }
            at &+= 1
        }
        return at
    }

    /// Where a member ends: at a comma or white space outside of strings and inner lists; nil
    /// where one of those does not end.
    private static func memberEnd(
        _ bytes: UnsafePointer<UInt8>,
        from: Int,
        end: Int
    ) -> Int? {
        var at = from
        var isString = false
        var isList = false
        while at < end {
            let byte = bytes[at]
            if isString {
                if byte == Byte.backslash { at &+= 1 }
                if byte == Byte.quote { isString = false }
            } else if byte == Byte.quote {
                isString = true
            } else if byte == 0x28 || byte == 0x29 {
                isList = byte == 0x28
            } else if !isList, byte == Byte.comma || Byte.isBlank(byte) {
                // Parameters may have blanks before them.
                guard Byte.isBlank(byte), at > from, bytes[at &- 1] == Byte.semicolon else {
                    return at
                }
            }
            at &+= 1
        }
        return isString || isList ? nil : end
    }

    /// The end of a bare item: where its parameters begin.
    private static func bareEnd(
        _ bytes: UnsafePointer<UInt8>,
        from: Int,
        end: Int
    ) -> Int {
        var at = from
        while at < end, bytes[at] != Byte.semicolon { at &+= 1 }
        return at
    }
}
