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
    /// The value is a dictionary of structured fields (RFC 9651 §3.2). Members that are not known,
    /// or have a value out of range, are ignored, as RFC 9218 §4 asks; so is a whole value that is
    /// no list of `key` or `key=value`. A priority is a hint, and no reason to refuse a request.
    ///
    /// Safe: reads `bytes[0..<count]` only.
    public init(parsing bytes: UnsafePointer<UInt8>, count: Int) {
        var read = H2Priority()
        var at = 0
        while at < count {
            while at < count, Byte.isBlank(bytes[at]) { at &+= 1 }
            let start = at
            while at < count, bytes[at] != Byte.comma { at &+= 1 }
            var end = at
            while end > start, Byte.isBlank(bytes[end &- 1]) { end &-= 1 }
            guard end > start else { return }
            read.take(bytes + start, count: end &- start)
            at &+= 1
        }
        self = read
    }

    /// Takes one member of the dictionary; a later one replaces an earlier one.
    ///
    /// Safe: reads `member[0..<count]`; `count` is at least 1.
    private mutating func take(_ member: UnsafePointer<UInt8>, count: Int) {
        switch member[0] {
        case 0x75:  // u
            guard count == 3, member[1] == Byte.equals else { return }
            let digit = member[2] &- Byte.zero
            if digit <= 7 { urgency = digit }
        case 0x69:  // i
            if count == 1 {
                isIncremental = true
            } else if count == 4, member[1] == Byte.equals, member[2] == Byte.question {
                let digit = member[3] &- Byte.zero
                if digit <= 1 { isIncremental = digit == 1 }
            }
        default:
            return
        }
    }
}
