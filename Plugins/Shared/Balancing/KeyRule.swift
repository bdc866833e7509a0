public import SluiceSDK

/// What requests that belong together have in common, as a configuration says it: `"client_ip"`,
/// or several such words whose values are joined.
///
/// Bytes are compared as they were sent: nothing is decoded, and no case is changed but that of a
/// field's name.
public struct KeyRule: BitwiseCopyable {
    /// Bytes of a key, as many as the interface takes; of a longer one the rest does not count.
    public static var bytesMax: Int { 4_096 }
    /// Words of a rule.
    public static var partsMax: Int { 8 }

    @usableFromInline
    enum Part: BitwiseCopyable {
        case clientIP
        case host
        case path
        case target
        case field(FieldName)
        case cookie(Bytes)
        case query(Bytes)
        case attribute(BytesAttribute)
    }

    @usableFromInline let parts: List<Part>

    /// Reads the member `key` of a configuration; nil when there is none.
    ///
    /// - Throws: which word is wrong, and which there are.
    public init?(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        guard let key = try configuration.member("key") else { return nil }
        if key.isArray {
            let values = try key.array()
            guard values.count >= 1, values.count <= Self.partsMax else {
                throw key.error("\(values.count) entries; there may be 1 to \(Self.partsMax)")
            }
            var parts: [Part] = []
            for value in values { parts.append(try Self.part(value, host)) }
            self.parts = host.memory.list(parts)
        } else {
            parts = host.memory.list([try Self.part(key, host)])
        }
    }

    private static func part(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Part {
        let text = try value.string()
        switch text {
        case "client_ip": return .clientIP
        case "host": return .host
        case "path": return .path
        case "target": return .target
        default: break
        }
        guard let colon = text.firstIndex(of: 0x3A), colon + 1 < text.count else {
            throw unknown(value, text)
        }
        let name = text.dropFirst(colon + 1)
        switch text.prefix(colon) {
        case "header":
            return .field(try value.naming { () throws(PluginError) in try FieldName(named: name) })
        case "cookie":
            guard name.isToken else { throw value.error("no name of a cookie: \(quoted(name))") }
            return .cookie(name)
        case "query": return .query(name)
        case "attribute":
            return .attribute(
                try value.naming { () throws(PluginError) in try host.bytesAttribute(name) }
            )
        default: throw unknown(value, text)
        }
    }

    private static func unknown(_ value: ConfigurationValue, _ text: Bytes) -> PluginError {
        value.error(
            "no key: \(quoted(text)); there are client_ip, host, path, target, header:NAME, "
                + "cookie:NAME, query:NAME and attribute:NAME"
        )
    }

    private static func quoted(_ text: Bytes) -> String { "\"" + String(text) + "\"" }

    /// Sets what balancers hash to the key of a request; leaves it when the key is empty.
    public func apply<Owner: Plugin & ~Copyable>(_ exchange: borrowing Exchange<Owner>) {
        let key = key(exchange)
        guard !key.isEmpty else { return }
        // Where no balancer is asked any more there is nothing to be told.
        try? exchange.setHashKey(key)
    }

    /// The key of a request, up to `bytesMax` bytes; empty when there is none.
    func key<Owner: Plugin & ~Copyable>(_ exchange: borrowing Exchange<Owner>) -> Bytes {
        if parts.count == 1 {
            let key = value(parts[0], exchange)
            return key.prefix(min(key.count, Self.bytesMax))
        }
        var length = 0
        for part in parts { length += value(part, exchange).count }
        var writer = exchange.writer(capacity: min(length, Self.bytesMax))
        for part in parts {
            let value = value(part, exchange)
            let room = min(length, Self.bytesMax) - writer.count
            writer.append(value.prefix(min(value.count, room)))
        }
        return writer.bytes
    }

    private func value<Owner: Plugin & ~Copyable>(
        _ part: Part,
        _ exchange: borrowing Exchange<Owner>
    ) -> Bytes {
        let fields = exchange.requestFields
        switch part {
        case .clientIP: return exchange.facts.clientAddress
        case .host: return fields.authority
        case .path:
            let target = fields.target
            return target.prefix(target.firstIndex(of: 0x3F) ?? target.count)
        case .target: return fields.target
        case .field(let name): return fields[name] ?? .empty
        case .cookie(let name): return cookie(name, in: fields)
        case .query(let name): return argument(name, of: fields.target)
        case .attribute(let attribute): return exchange.attribute(attribute) ?? .empty
        }
    }
}

/// The value of the first cookie of a name (RFC 6265 §4.2.1); empty when there is none.
func cookie(_ name: Bytes, in fields: Fields) -> Bytes {
    guard fields.contains(.cookie) else { return .empty }
    for field in fields where field.id == .cookie {
        if let value = pair(named: name, in: field.value, separator: 0x3B) { return value }
    }
    return .empty
}

/// The value of the first argument of a name in a target's query, as sent; empty when there is
/// none.
func argument(_ name: Bytes, of target: Bytes) -> Bytes {
    guard let mark = target.firstIndex(of: 0x3F) else { return .empty }
    return pair(named: name, in: target.dropFirst(mark + 1), separator: 0x26) ?? .empty
}

/// The value of the first `name=value` in a list; nil when there is none.
private func pair(named name: Bytes, in list: Bytes, separator: UInt8) -> Bytes? {
    var rest = list
    while !rest.isEmpty {
        let end = rest.firstIndex(of: separator) ?? rest.count
        let entry = rest.prefix(end).trimmed
        if entry.count > name.count, entry.hasPrefix(name), entry[name.count] == 0x3D {
            return entry.dropFirst(name.count + 1)
        }
        rest = rest.dropFirst(min(end + 1, rest.count))
    }
    return nil
}
