/// What the framing and connection fields of a head mean, for requests and responses alike.
///
/// Safe: each function reads field values through spans that the field loop wrote, so they lie
/// within the head.
struct FieldRules {
    let base: UnsafePointer<UInt8>
    let fields: UnsafeMutablePointer<FieldSpan>
    let tables: ParserTables

    /// The greatest number of options in Connection fields.
    ///
    /// Each option is compared with each field of the head, so a head full of options would cost
    /// its sender little and us much.
    static let connectionOptionsMax = 32

    /// What Transfer-Encoding says (RFC 9112 §6.1).
    enum Coding {
        case chunked, unsupported, invalid
    }

    /// Bits that `connection` found.
    struct Options: OptionSet {
        var rawValue: UInt8
        static let close = Options(rawValue: 1)
        static let keepAlive = Options(rawValue: 2)
        static let upgrade = Options(rawValue: 4)
        static let invalid = Options(rawValue: 8)
    }

    @inline(__always)  // A pointer and a length.
    func value(_ index: Int) -> (start: UnsafePointer<UInt8>, count: Int) {
        (base + Int(fields[index].valueStart), Int(fields[index].valueLength))
    }

    /// Content-Length of a field, or -1: 1 to 19 digits whose number fits 63 bits (RFC 9110 §8.6).
    ///
    /// Lists of equal lengths are refused, which RFC 9112 §6.3 allows.
    func contentLength(_ index: Int) -> Int64 {
        let (text, count) = value(index)
        return FieldRules.contentLength(text, count: count)
    }

    /// The same of a value.
    static func contentLength(_ text: UnsafePointer<UInt8>, count: Int) -> Int64 {
        guard count > 0, count <= 19 else { return -1 }
        var length: UInt64 = 0
        var at = 0
        while at < count {
            let digit = text[at] &- Byte.zero
            guard digit < 10 else { return -1 }
            length = length &* 10 &+ UInt64(digit)
            at &+= 1
        }
        return length <= UInt64(Int64.max) ? Int64(truncatingIfNeeded: length) : -1
    }

    /// The coding that a lone Transfer-Encoding field names: `chunked` alone is understood, a list
    /// that ends with it is unsupported, and anything else frames nothing (RFC 9112 §6.1, §7).
    func transferCoding(_ index: Int) -> Coding {
        let (text, count) = value(index)
        if FieldNames.equals(text, count: count, "chunked") { return .chunked }
        var at = 0
        var isChunked = false
        while true {
            guard !isChunked else { return .invalid }
            while at < count, Byte.isBlank(text[at]) { at &+= 1 }
            let start = at
            while at < count, tables.has(ParserTables.token, text[at]) { at &+= 1 }
            guard at > start else { return .invalid }
            isChunked = FieldNames.equals(text + start, count: at &- start, "chunked")
            let nameEnd = at
            while at < count, text[at] != Byte.comma { at &+= 1 }
            if !endsElement(text, from: nameEnd, to: at, mayHaveParameters: !isChunked) {
                return .invalid
            }
            if at == count { return isChunked ? .unsupported : .invalid }
            at &+= 1
        }
    }

    /// Whether only white space follows a coding's name, or parameters where it may have them.
    private func endsElement(
        _ text: UnsafePointer<UInt8>,
        from: Int,
        to end: Int,
        mayHaveParameters: Bool
    ) -> Bool {
        var at = from
        while at < end, Byte.isBlank(text[at]) { at &+= 1 }
        return at == end || (mayHaveParameters && text[at] == Byte.semicolon)
    }

    /// Applies Connection and the fields that belong to it (RFC 9110 §7.6.1 and §7.8, RFC 9112
    /// §9.3).
    ///
    /// - Parameter countsUpgrade: Upgrade means something here: in an HTTP/1.1 request, in a 101.
    func applyConnection(
        _ section: inout FieldSection,
        _ flags: inout HeadFlags,
        countsUpgrade: Bool
    ) -> HeadError? {
        guard section.seen & FieldRules.droppedIDs != 0 else { return nil }
        flags.insert(.hasDropped)
        dropConnectionFields(&section)
        guard section.has(.connection) else { return nil }
        let options = connection(&section)
        guard !options.contains(.invalid) else { return .badConnection }
        if options.contains(.close) {
            flags.remove(.keepAlive)
        } else if options.contains(.keepAlive) {
            flags.insert(.keepAlive)
        }
        if countsUpgrade, options.contains(.upgrade), section.has(.upgrade) {
            guard isUpgradeValid(&section) else { return .badUpgrade }
            // RFC 9113 §3.1 retired `h2c` here. Passed on, it would give a client a connection to
            // an origin on which no request is looked at; ignored, it is an ordinary request.
            if !asksForHTTP2(&section) { flags.insert(.upgrade) }
        }
        return nil
    }

    /// Reads every Connection field, and marks the fields that they name as dropped (RFC 9110
    /// §7.6.1).
    ///
    /// A name that frames or routes the message makes it invalid.
    func connection(_ section: inout FieldSection) -> Options {
        var options: Options = []
        var optionCount = 0
        var index = section.index(.connection)
        let last = section.repeats(.connection) ? section.count &- 1 : index
        while index <= last {
            if fields[index].id == .connection {
                addOptions(index, fieldCount: section.count, total: &optionCount, to: &options)
            }
            index &+= 1
        }
        return options
    }

    private func addOptions(
        _ index: Int,
        fieldCount: Int,
        total: inout Int,
        to options: inout Options
    ) {
        let (text, count) = value(index)
        // The usual value, without a walk through its bytes.
        if count > 0, id(of: text, count: count) == .keepAlive {
            options.insert(.keepAlive)
            return
        }
        var at = 0
        while at < count {
            while at < count, Byte.isBlank(text[at]) || text[at] == Byte.comma { at &+= 1 }
            guard at < count else { return }
            let start = at
            while at < count, tables.has(ParserTables.token, text[at]) { at &+= 1 }
            let length = at &- start
            while at < count, Byte.isBlank(text[at]) { at &+= 1 }
            total &+= 1
            let isElement = length > 0 && (at == count || text[at] == Byte.comma)
            guard isElement, total <= FieldRules.connectionOptionsMax else {
                options.insert(.invalid)
                return
            }
            options.formUnion(option(text + start, count: length, fieldCount: fieldCount))
        }
    }

    /// One connection option; any but the three known ones is the name of a field to drop.
    private func option(
        _ name: UnsafePointer<UInt8>,
        count: Int,
        fieldCount: Int
    ) -> Options {
        if FieldNames.equals(name, count: count, "close") { return .close }
        let id = id(of: name, count: count)
        switch id {
        case .keepAlive: return .keepAlive
        case .upgrade: return .upgrade
        case .host, .contentLength, .transferEncoding: return .invalid
        case .connection, .te, .proxyConnection: return []
        default: break
        }
        var index = 0
        while index < fieldCount {
            if fields[index].id == id {
                let isNamed =
                    id != .unknown
                    || FieldNames.equalsIgnoringCase(
                        base + Int(fields[index].nameStart),
                        Int(fields[index].nameLength),
                        name,
                        count
                    )
                if isNamed { fields[index].flags |= FieldSpan.dropped }
            }
            index &+= 1
        }
        return []
    }

    private func id(of name: UnsafePointer<UInt8>, count: Int) -> FieldID {
        let id = tables.id(of: name, count: count, first: name.word(0, end: count))
        return FieldID(rawValue: UInt8(truncatingIfNeeded: id))
    }

    /// Marks the fields that belong to this connection as dropped, whether Connection names them or
    /// not (RFC 9110 §7.6.1).
    func dropConnectionFields(_ section: inout FieldSection) {
        var ids = section.seen & FieldRules.droppedIDs
        guard ids & section.repeated == 0 else { return dropRepeatedConnectionFields(&section) }
        while ids != 0 {
            let index = section.index(
                FieldID(rawValue: UInt8(truncatingIfNeeded: ids.trailingZeroBitCount))
            )
            fields[index].flags |= FieldSpan.dropped
            ids &= ids &- 1
        }
    }

    private func dropRepeatedConnectionFields(_ section: inout FieldSection) {
        var index = 0
        while index < section.count {
            let id = fields[index].id
            if id.rawValue < 32, FieldSection.bit(id) & FieldRules.droppedIDs != 0 {
                fields[index].flags |= FieldSpan.dropped
            }
            index &+= 1
        }
    }

    /// The ids that `dropConnectionFields` drops, as bits.
    static var droppedIDs: UInt32 {
        FieldSection.bit(.connection) | FieldSection.bit(.keepAlive)
            | FieldSection.bit(.proxyConnection) | FieldSection.bit(.te)
            | FieldSection.bit(.transferEncoding) | FieldSection.bit(.upgrade)
    }

    /// Whether TE fields hold `trailers` (RFC 9110 §10.1.4).
    func acceptsTrailers(_ section: inout FieldSection) -> Bool {
        var index = section.index(.te)
        while index < section.count {
            if fields[index].id == .te, hasElement(index, "trailers") { return true }
            index &+= 1
        }
        return false
    }

    private func hasElement(_ index: Int, _ lowercase: StaticString) -> Bool {
        let (text, count) = value(index)
        var at = 0
        while at < count {
            while at < count, Byte.isBlank(text[at]) || text[at] == Byte.comma { at &+= 1 }
            let start = at
            while at < count, text[at] != Byte.comma { at &+= 1 }
            var end = at
            while end > start, Byte.isBlank(text[end &- 1]) { end &-= 1 }
            if FieldNames.equals(text + start, count: end &- start, lowercase) { return true }
        }
        return false
    }

    /// Whether each Upgrade field is a list of `name` or `name/version` with at least one element
    /// (RFC 9110 §7.8).
    func isUpgradeValid(_ section: inout FieldSection) -> Bool {
        var index = section.index(.upgrade)
        while index < section.count {
            if fields[index].id == .upgrade, !isProtocolList(index) { return false }
            index &+= 1
        }
        return true
    }

    /// Whether an Upgrade field names HTTP/2 in the clear.
    func asksForHTTP2(_ section: inout FieldSection) -> Bool {
        var index = section.index(.upgrade)
        while index < section.count {
            if fields[index].id == .upgrade, hasElement(index, "h2c") { return true }
            index &+= 1
        }
        return false
    }

    private func isProtocolList(_ index: Int) -> Bool {
        let (text, count) = value(index)
        var at = 0
        var elements = 0
        while true {
            while at < count, Byte.isBlank(text[at]) || text[at] == Byte.comma { at &+= 1 }
            guard at < count else { return elements > 0 }
            var start = at
            while at < count, tables.has(ParserTables.token, text[at]) { at &+= 1 }
            guard at > start else { return false }
            if at < count, text[at] == Byte.slash {
                at &+= 1
                start = at
                while at < count, tables.has(ParserTables.token, text[at]) { at &+= 1 }
                guard at > start else { return false }
            }
            while at < count, Byte.isBlank(text[at]) { at &+= 1 }
            guard at == count || text[at] == Byte.comma else { return false }
            elements &+= 1
        }
    }
}
