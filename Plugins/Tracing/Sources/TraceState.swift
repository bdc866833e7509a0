package import SluiceSDK

/// What other systems keep of a trace in `tracestate` (W3C Trace Context §3.3).
///
/// It is passed on as it came, or not at all: we add nothing of our own.
package enum TraceState {
    /// Members that a list may have (§3.3.1.1); more are refused as a whole.
    package static let membersMax = 32
    /// Bytes of all values together that are passed on (§3.3.1.5); more are refused.
    package static let bytesMax = 512
    /// Bytes of a key, and of a value (§3.3.1.3).
    package static let memberBytesMax = 256
    /// Bytes of the two parts of a key with "@".
    package static let tenantBytesMax = 241
    /// The second part.
    package static let systemBytesMax = 14

    /// Whether a request's `tracestate`, one or several fields, keeps to the rules.
    ///
    /// A list without a member counts as valid. Keys that occur twice do, too: those who read a
    /// list take the first (§3.3.1.1).
    package static func isValid(_ fields: Fields) -> Bool {
        guard let only = fields[.tracestate] else { return true }
        var check = TraceStateCheck()
        var count = 0
        for field in fields where field.id == .tracestate {
            count += 1
            guard check.add(field.value) else { return false }
        }
        return count > 0 || check.add(only)
    }
}

/// Goes through the values of a `tracestate`, one field after the other.
package struct TraceStateCheck {
    private var members = 0
    private var bytes = 0

    /// Nothing was added yet.
    package init() {}

    /// Adds one field's value; false when the list is not valid with it.
    package mutating func add(_ value: Bytes) -> Bool {
        // A comma stands between two fields.
        bytes += value.count + (bytes > 0 ? 1 : 0)
        guard bytes <= TraceState.bytesMax else { return false }
        var rest = value
        while true {
            let end = rest.firstIndex(of: 0x2C)
            let member = rest.prefix(end ?? rest.count).trimmed
            if !member.isEmpty {
                members += 1
                guard members <= TraceState.membersMax, isMember(member) else { return false }
            }
            guard let end else { return true }
            rest = rest.dropFirst(end + 1)
        }
    }

    private func isMember(_ member: Bytes) -> Bool {
        guard let equals = member.firstIndex(of: 0x3D) else { return false }
        return isKey(member.prefix(equals)) && isValue(member.dropFirst(equals + 1))
    }

    /// A key begins with a letter or, since level 2, with a digit; one "@" may stand in it
    /// (§3.3.1.3.1).
    private func isKey(_ key: Bytes) -> Bool {
        guard let at = key.firstIndex(of: 0x40) else {
            return isPart(key, most: TraceState.memberBytesMax, mayBeginWithDigit: true)
        }
        return isPart(key.prefix(at), most: TraceState.tenantBytesMax, mayBeginWithDigit: true)
            && isPart(
                key.dropFirst(at + 1),
                most: TraceState.systemBytesMax,
                mayBeginWithDigit: false
            )
    }

    private func isPart(_ part: Bytes, most: Int, mayBeginWithDigit: Bool) -> Bool {
        guard !part.isEmpty, part.count <= most else { return false }
        for offset in part.indices {
            switch part[offset] {
            case 0x61...0x7A: continue
            case 0x30...0x39:
                if offset == 0, !mayBeginWithDigit { return false }
            // "_", "-", "*", "/"
            case 0x5F, 0x2D, 0x2A, 0x2F:
                if offset == 0 { return false }
            default: return false
            }
        }
        return true
    }

    /// Printable characters but "," and "=", the last one no blank (§3.3.1.3.2).
    private func isValue(_ value: Bytes) -> Bool {
        guard !value.isEmpty, value.count <= TraceState.memberBytesMax else { return false }
        for offset in value.indices {
            let byte = value[offset]
            guard byte >= 0x20, byte <= 0x7E, byte != 0x2C, byte != 0x3D else { return false }
        }
        return value[value.count - 1] != 0x20
    }
}
