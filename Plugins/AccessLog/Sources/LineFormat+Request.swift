import SluiceSDK

/// What a line says of the request's line, of fields and of attempts.
extension LineFormat {
    /// `GET /path HTTP/1.1`; of one that was refused by the parser, what came of its first line.
    func appendRequest(
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        to line: inout LineWriter
    ) -> Bool {
        let (record, fields) = (exchange.context, exchange.requestFields)
        let method = record.method(layout, fields)
        guard !method.isEmpty else {
            guard let begin = exchange.attribute(requestBegin) else { return false }
            appendURL(begin, to: &line)
            return true
        }
        line.append(method, as: escape)
        line.append(UInt8(ascii: " "))
        appendURL(record.target(layout, fields), to: &line)
        line.append(UInt8(ascii: " "))
        line.append(Line.version(exchange.facts))
        return true
    }

    func appendTarget(
        _ variable: Variable,
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        to line: inout LineWriter
    ) -> Bool {
        let (record, fields) = (exchange.context, exchange.requestFields)
        switch variable {
        case .requestMethod: return append(record.method(layout, fields), to: &line)
        case .host:
            let authority = record.authority(layout, fields)
            return append(authority[0..<LineFormat.hostCount(authority)], to: &line)
        default: break
        }
        let target = record.target(layout, fields)
        let mark = target.firstIndex(of: UInt8(ascii: "?")) ?? target.count
        switch variable {
        case .uri: return append(target[0..<mark], to: &line)
        case .args:
            guard mark + 1 < target.count else { return false }
            appendQuery(target[mark + 1..<target.count], to: &line)
        default:
            guard !target.isEmpty else { return false }
            appendURL(target, to: &line)
        }
        return true
    }

    /// Bytes of an authority before its port.
    private static func hostCount(_ authority: Bytes) -> Int {
        var at = authority.count
        while at > 0, authority[at - 1] &- 0x30 < 10 { at -= 1 }
        return at > 0 && authority[at - 1] == UInt8(ascii: ":") ? at - 1 : authority.count
    }

    // MARK: Queries

    /// A URL whose query may have what is not shown.
    private func appendURL(_ url: Bytes, to line: inout LineWriter) {
        guard !redacted.isEmpty, let mark = url.firstIndex(of: UInt8(ascii: "?")) else {
            line.append(url, as: escape)
            return
        }
        line.append(url[0..<mark + 1], as: escape)
        appendQuery(url[mark + 1..<url.count], to: &line)
    }

    /// `name=value` pairs, each with its value or what stands for one that is not shown.
    private func appendQuery(_ query: Bytes, to line: inout LineWriter) {
        guard !redacted.isEmpty else {
            line.append(query, as: escape)
            return
        }
        var rest = query
        while true {
            let end = rest.indices.first { isSeparator(rest[$0]) } ?? rest.count
            let pair = rest[0..<end]
            if let equals = pair.firstIndex(of: UInt8(ascii: "=")),
                isRedacted(pair[0..<equals])
            {
                line.append(pair[0..<equals + 1], as: escape)
                line.append(LineFormat.hidden)
            } else {
                line.append(pair, as: escape)
            }
            guard end < rest.count else { return }
            line.append(rest[end..<end + 1], as: escape)
            rest = rest[end + 1..<rest.count]
        }
    }

    /// A fragment of a Referer begins a part of its own, in which single-page sites keep tokens.
    private func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "&") || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "#")
            || byte == UInt8(ascii: "?")
    }

    private func isRedacted(_ name: Bytes) -> Bool {
        for wanted in redacted where LineFormat.isSame(name, wanted) { return true }
        return false
    }

    /// Whether a name says the same once its escapes are undone, in any case: an origin would take
    /// it for the same.
    static func isSame(_ name: Bytes, _ wanted: Bytes) -> Bool {
        var (at, place) = (0, 0)
        while at < name.count {
            guard place < wanted.count else { return false }
            var byte = name[at]
            at += 1
            if byte == UInt8(ascii: "%"), at + 1 < name.count, let high = hex(name[at]),
                let low = hex(name[at + 1])
            {
                byte = high << 4 | low
                at += 2
            }
            guard lowered(byte) == lowered(wanted[place]) else { return false }
            place += 1
        }
        return place == wanted.count
    }

    private static func hex(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    // MARK: Fields

    func appendField(
        _ item: Item,
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        to line: inout LineWriter
    ) -> Bool {
        switch item.variable {
        case .responseField:
            // What must not be shown was not kept.
            guard let value = exchange.context.field(Int(item.place), layout) else { return false }
            return append(value, to: &line)
        case .cookie:
            guard item.showsSecrets else { return false }
            return append(LineFormat.cookie(item.name, exchange.requestFields), to: &line)
        default: break
        }
        guard let field = exchange.requestFields.first(item.field), !field.value.isEmpty else {
            return false
        }
        if field.isSensitive, !item.showsSecrets {
            line.append(LineFormat.hidden)
        } else if item.field.id == .referer {
            appendURL(field.value, to: &line)
        } else {
            line.append(field.value, as: escape)
        }
        return true
    }

    /// The value of the first cookie of a name (RFC 6265 §4.2.1); empty when there is none.
    static func cookie(_ name: Bytes, _ fields: Fields) -> Bytes {
        for field in fields where field.id == .cookie {
            var rest = field.value
            while !rest.isEmpty {
                let end = rest.firstIndex(of: UInt8(ascii: ";")) ?? rest.count
                let pair = rest[0..<end].trimmed
                if let equals = pair.firstIndex(of: UInt8(ascii: "=")), pair[0..<equals] == name {
                    return pair[equals + 1..<pair.count]
                }
                rest = rest[min(end + 1, rest.count)..<rest.count]
            }
        }
        return .empty
    }

    // MARK: Attempts

    /// A value for each attempt, as nginx writes them: "10.0.0.1:80, 10.0.0.2:80".
    func appendAttempts(
        _ variable: Variable,
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        to line: inout LineWriter
    ) -> Bool {
        let record = exchange.context
        var index = 0
        while let (attempt, peer) = record.attempt(index, layout) {
            if index > 0 { line.append(", ") }
            index += 1
            switch variable {
            case .upstreamAddr: line.append(peer, as: escape)
            case .upstreamStatus where attempt.status == 0: line.append(LineFormat.absent)
            case .upstreamStatus: line.append(decimal: UInt64(attempt.status))
            case .upstreamConnectTime:
                let connected = attempt.isReused ? attempt.begin : attempt.connected
                append(from: attempt.begin, to: connected, &line)
            case .upstreamHeaderTime: append(from: attempt.begin, to: attempt.firstByte, &line)
            default:
                let end = attempt.end > 0 ? attempt.end : exchange.facts.nowNanoseconds
                append(from: attempt.begin, to: end, &line)
            }
        }
        return index > 0
    }

    private func append(from begin: UInt64, to end: UInt64, _ line: inout LineWriter) {
        if end == 0 {
            line.append(LineFormat.absent)
        } else {
            line.append(seconds: end > begin ? end &- begin : 0)
        }
    }
}
