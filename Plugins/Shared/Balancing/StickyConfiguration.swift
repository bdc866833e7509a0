public import SluiceSDK

/// Keeps a client with its peer by a cookie (RFC 6265), whatever the balancer.
///
/// The cookie is set when the peer of a response is not the one that the request's cookie names:
/// in the first response, and when the peer is gone, ill, or failed for the request. It is set
/// anew, too, when a secret that is no longer the first has made it.
public struct StickyConfiguration: BitwiseCopyable {
    /// Names of its keys.
    static var keys: [StaticString] {
        [
            "cookie", "secrets", "path", "domain", "max_age", "secure", "http_only", "same_site",
            "draining",
        ]
    }
    /// Files of secrets: the first makes names, the others are known, too.
    static var secretsRange: ClosedRange<Int> { 1...4 }
    /// Bytes of a secret: as many as SHA-256 has bits of security for, up to any passphrase.
    static var secretBytes: ClosedRange<Int> { 32...1_024 }
    /// Bytes of the cookie's name, path and domain.
    static var textBytesMax: Int { 256 }

    /// Of the secrets, the one that makes names first.
    let keys: List<HMACSHA256>
    let mark: SessionMark
    /// Whether sessions stay with a peer that is draining.
    let keepsDraining: Bool
    private let name: Bytes
    /// "NAME=".
    private let prefix: Bytes
    /// What follows the value, where the client's connection is not TLS, and where it is.
    private let suffix: Bytes
    private let suffixOfTLS: Bytes

    /// Reads `sticky`.
    ///
    /// - Throws: which key is wrong, or why a secret can't be read.
    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        try value.allowKeys(Self.keys)
        let attributes = try CookieAttributes(value)
        name = attributes.name
        prefix = host.memory.join([attributes.name, "="])
        suffix = host.memory.copy(attributes.text(isSecure: attributes.secure == .always))
        suffixOfTLS = host.memory.copy(attributes.text(isSecure: attributes.secure != .never))
        keepsDraining = try value.bool("draining") ?? true
        let secrets = try value.required("secrets")
        let files = try secrets.array()
        guard Self.secretsRange.contains(files.count) else {
            throw secrets.error("\(files.count) entries; there may be 1 to 4")
        }
        var keys: [HMACSHA256] = []
        for file in files { keys.append(HMACSHA256(key: try Self.secret(file, host))) }
        self.keys = host.memory.list(keys)
        mark = SessionMark(keys[0], host.memory)
    }

    /// The secret of a file, without the line's end behind it; nothing while files are not read.
    private static func secret(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Bytes {
        let name = try value.string()
        guard !name.isEmpty else { throw value.error("no name of a file") }
        if host.isChecking { return .empty }
        guard let path = name.hasPrefix("/") ? name : host.path(name) else {
            throw value.error("a path from the root is wanted, as there is no folder")
        }
        var secret = try value.naming { () throws(PluginError) in
            try host.memory.secret(of: path, limit: secretBytes.upperBound + 2)
        }
        while secret.count > 0, [0x0A, 0x0D].contains(secret[secret.count - 1]) {
            secret = secret.prefix(secret.count - 1)
        }
        guard secretBytes.contains(secret.count) else {
            throw value.error(
                "\(String(path)): \(secret.count) bytes; a secret has \(secretBytes.lowerBound) to "
                    + "\(secretBytes.upperBound)"
            )
        }
        return secret
    }

    /// Tells the pick which peer the request's cookie names, in front of the key to hash.
    ///
    /// - Parameter rule: what makes that key; nil where nothing is hashed.
    public func apply<Owner: Plugin & ~Copyable>(
        _ exchange: borrowing Exchange<Owner>,
        _ rule: KeyRule? = nil
    ) {
        let text = cookie(name, in: exchange.requestFields)
        guard PeerName(text) != nil else {
            rule?.apply(exchange)
            return
        }
        let key = rule?.key(exchange) ?? .empty
        let fixed = SessionMark.byteCount + PeerName.textCount
        let rest = key.prefix(min(key.count, KeyRule.bytesMax - fixed))
        var writer = exchange.writer(capacity: fixed + rest.count)
        writer.append(mark.bytes)
        writer.append(text)
        writer.append(rest)
        // Where no balancer is asked any more there is nothing to be told.
        try? exchange.setHashKey(writer.bytes)
    }

    /// Sets the cookie of a response whose peer is not the one that the request's cookie names.
    public func keep<Owner: Plugin & ~Copyable>(_ exchange: borrowing Exchange<Owner>)
    where Owner.Worker == SessionNames {
        let address = exchange.facts.peer
        // Nobody has answered, or the proxy itself.
        if exchange.isLocal || address.isEmpty { return }
        let name = exchange.worker.name(of: address, keys[0])
        if let known = PeerName(cookie(self.name, in: exchange.requestFields)), known == name {
            return
        }
        let end = exchange.facts.isSecure ? suffixOfTLS : suffix
        var writer = exchange.writer(capacity: prefix.count + PeerName.textCount + end.count)
        writer.append(prefix)
        name.write(to: &writer)
        writer.append(end)
        exchange.edits.append(FieldID.setCookie, writer.bytes)
    }
}

/// The names of peers that a worker has met: so that one is not made anew for each response.
///
/// Each address has one place, which it may share with others: then they take turns.
public struct SessionNames: BitwiseCopyable {
    private struct Entry: BitwiseCopyable {
        /// The hash of the address, never 0; 0 of an empty place.
        var address: UInt64 = 0
        var name = PeerName(high: 0, low: 0)
    }

    private static var count: Int { 64 }

    private var entries = InlineArray<64, Entry>(repeating: Entry())

    /// No names.
    public init() {}

    /// The name of a peer.
    ///
    /// Two addresses are told apart by 64 bits of a hash: they are the manifest's, not a client's.
    mutating func name(of address: Bytes, _ key: HMACSHA256) -> PeerName {
        let hash = hash(of: address) | 1
        let place = Int(truncatingIfNeeded: hash >> 32) & (Self.count - 1)
        if entries[place].address == hash { return entries[place].name }
        let name = PeerName(of: address, key)
        entries[place] = Entry(address: hash, name: name)
        return name
    }
}
