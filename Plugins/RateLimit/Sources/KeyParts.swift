import RateLimiting
import SluiceSDK

/// What requests that are counted together have in common: the client's network, a field, or
/// several such things.
///
/// Values are compared as they were sent, but for a host's case and port.
struct KeyParts: BitwiseCopyable {
    /// Words of a key.
    static let partsMax = 8
    /// Bytes of a host, beyond which its case counts.
    private static let hostBytesMax = 255

    enum Part: BitwiseCopyable {
        case clientIP
        case host
        case path
        case target
        case method
        case route
        case listener
        case fingerprint
        case field(FieldName)
        case cookie(Bytes)
        case query(Bytes)
        case attribute(BytesAttribute)
    }

    private let parts: List<Part>
    private let v4Bits: UInt64
    private let v6Bits: UInt64
    /// Whether requests without one of the values share a count; else they are not counted.
    private let sharesMissing: Bool

    /// Reads `key`, `ipv4_prefix`, `ipv6_prefix` and `if_missing`.
    init(_ rule: ConfigurationValue, _ host: Host) throws(PluginError) {
        var parts: [Part] = []
        if let key = try rule.member("key") {
            let words = key.isArray ? try key.array() : [key]
            guard words.count <= KeyParts.partsMax else {
                throw key.error("\(words.count) words; there may be up to \(KeyParts.partsMax)")
            }
            for word in words { parts.append(try KeyParts.part(word, host)) }
        } else {
            parts = [.clientIP]
        }
        self.parts = host.memory.list(parts)
        v4Bits = UInt64(try rule.integer("ipv4_prefix", in: 1...32) ?? 32)
        v6Bits = UInt64(try rule.integer("ipv6_prefix", in: 1...128) ?? 64)
        switch try rule.string("if_missing") ?? "skip" {
        case "skip": sharesMissing = false
        case "share": sharesMissing = true
        default: throw PluginError(path: rule.path + ".if_missing", "not \"skip\" or \"share\"")
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
        case "method": return .method
        case "route": return .route
        case "listener": return .listener
        case "client_fingerprint": return .fingerprint
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
            guard name.isToken else { throw value.error("no name of a cookie") }
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
            "no key: \"" + String(text) + "\"; there are client_ip, host, path, target, method, "
                + "route, listener, client_fingerprint, header:NAME, cookie:NAME, query:NAME and "
                + "attribute:NAME"
        )
    }

    // MARK: Requests

    /// The key of a request; nil when one of the values is missing and such requests do not count.
    ///
    /// - Parameter hashing: how.
    @inline(__always)
    func hash(_ exchange: borrowing Exchange<RateLimitFilter>, _ hashing: Hashing) -> KeyHash? {
        if parts.count == 1 {
            return withValue(parts[0], exchange) { $0.map { hashing.hash($0) } }
        }
        return withUnsafeTemporaryAllocation(of: KeyHash.self, capacity: KeyParts.partsMax) {
            room in
            // Safe: there are at most `partsMax` parts, and as many hashes are read as are written.
            guard let start = room.baseAddress else { return nil }
            for index in 0..<parts.count {
                let hash = withValue(parts[index], exchange) { $0.map { hashing.hash($0) } }
                guard let hash else { return nil }
                (start + index).initialize(to: hash)
            }
            let bytes = UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self)
            return hashing.hash(
                Bytes(bytes, count: parts.count * MemoryLayout<KeyHash>.stride)
            )
        }
    }

    @inline(__always)
    private func withValue<Result>(
        _ part: Part,
        _ exchange: borrowing Exchange<RateLimitFilter>,
        _ body: (Bytes?) -> Result
    ) -> Result {
        let fields = exchange.requestFields
        var value: Bytes?
        switch part {
        case .clientIP:
            guard let address = exchange.facts.clientIP else {
                return body(sharesMissing ? .empty : nil)
            }
            // Safe: the bytes are the two words', until `body` returns.
            return withUnsafeBytes(of: network(address)) {
                let start = $0.baseAddress.unsafelyUnwrapped
                return body(Bytes(start.assumingMemoryBound(to: UInt8.self), count: 16))
            }
        case .host: return withHost(fields.authority, body)
        case .path:
            let target = fields.target
            value = target.prefix(target.firstIndex(of: 0x3F) ?? target.count)
        case .target: value = fields.target
        case .method: value = fields.method
        case .route: value = exchange.facts.route
        case .listener: value = exchange.facts.localAddress
        case .fingerprint: value = exchange.facts.tls?.clientFingerprint
        case .field(let name): value = fields[name]
        case .cookie(let name): value = cookie(name, in: fields)
        case .query(let name): value = argument(name, of: fields.target)
        case .attribute(let attribute): value = exchange.attribute(attribute)
        }
        if let present = value, present.isEmpty { value = nil }
        return body(value ?? (sharesMissing ? .empty : nil))
    }

    /// The address without the bits behind the prefix.
    @inline(__always)
    private func network(_ address: IPAddress) -> (UInt64, UInt64) {
        let (high, low) = address.bits
        if address.isV4 { return (high, low & ~(UInt64(0xFFFF_FFFF) >> v4Bits)) }
        let highMask: UInt64 = v6Bits >= 64 ? .max : ~(.max >> v6Bits)
        let lowMask: UInt64 = v6Bits <= 64 ? 0 : ~(UInt64.max >> (v6Bits - 64))
        return (high & highMask, low & lowMask)
    }

    /// A host is the same in any case, and on any port (RFC 9110 §4.2.3).
    private func withHost<Result>(_ authority: Bytes, _ body: (Bytes?) -> Result) -> Result {
        var host = authority.prefix(authority.firstIndex(of: 0x3A) ?? authority.count)
        if authority.hasPrefix("["), let end = authority.firstIndex(of: 0x5D) {
            host = authority.prefix(end + 1)
        }
        guard !host.isEmpty else { return body(sharesMissing ? .empty : nil) }
        guard host.count <= KeyParts.hostBytesMax else { return body(host) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: KeyParts.hostBytesMax) {
            // Safe: there is room for all bytes of the host.
            let start = $0.baseAddress.unsafelyUnwrapped
            for offset in host.indices {
                let byte = host[offset]
                (start + offset).initialize(to: byte &- 0x41 < 26 ? byte | 0x20 : byte)
            }
            return body(Bytes(UnsafePointer(start), count: host.count))
        }
    }
}

/// How keys become numbers.
enum Hashing: BitwiseCopyable {
    /// By the host's hash, whose key is the process's.
    case process(SharedBuckets)
    /// By one that is the same on all machines with a store in common.
    case machines(KeyHash)

    @inline(__always)
    func hash(_ bytes: Bytes) -> KeyHash {
        switch self {
        case .process(let table):
            let key = table.key(of: bytes)
            return KeyHash(low: key.low, high: key.high)
        case .machines(let key):
            var hash = KeyedHash(key: key)
            hash.add(UnsafeRawBufferPointer(start: bytes.start, count: bytes.count))
            // 0 stands for no key.
            let low = max(1, hash.finish())
            // Another 64 bits of the same, for the rows of a sketch.
            return KeyHash(low: low, high: (low ^ low >> 32) &* 0x9e37_79b9_7f4a_7c15)
        }
    }
}

/// The value of the first cookie of a name (RFC 6265 §4.2.1); nil when there is none.
private func cookie(_ name: Bytes, in fields: Fields) -> Bytes? {
    guard fields.contains(.cookie) else { return nil }
    for field in fields where field.id == .cookie {
        if let value = pair(named: name, in: field.value, separator: 0x3B) { return value }
    }
    return nil
}

/// The value of the first argument of a name in a target's query, as sent; nil when there is none.
private func argument(_ name: Bytes, of target: Bytes) -> Bytes? {
    guard let mark = target.firstIndex(of: 0x3F) else { return nil }
    return pair(named: name, in: target.dropFirst(mark + 1), separator: 0x26)
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
