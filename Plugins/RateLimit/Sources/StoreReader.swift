import RateLimiting
import SluiceSDK

/// What requests are told while the store does not answer.
enum StoreDownPolicy: UInt8, BitwiseCopyable {
    /// Each machine by itself keeps the limit.
    case local
    /// The rule lets everything in.
    case allow
    /// The rule refuses everything with 503.
    case refuse
}

/// Which store it is.
struct StoreIdentity {
    /// What all machines hash keys with.
    let hashKey: KeyHash
    /// Another one for another address, prefix, password or database.
    let number: UInt64
}

/// Reads `store`.
struct StoreReader {
    /// 10 ms to 10 s.
    static let syncRange = 10_000_000...10_000_000_000
    /// 10 ms to 5 s: the host waits for a job of an instance that goes.
    static let timeoutRange = 10_000_000...5_000_000_000
    static let passwordBytesMax = 512
    static let prefixBytesMax = 64
    private static let keys: [StaticString] = [
        "address", "user", "password_file", "database", "prefix", "sync", "timeout", "on_down",
    ]

    let settings: StoreSettings
    /// "127.0.0.1:6379", for the log.
    let address: String
    let syncNanoseconds: UInt64
    let policy: StoreDownPolicy
    let prefix: Bytes

    init?(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        guard let store = try configuration.member("store") else { return nil }
        try store.allowKeys(StoreReader.keys)
        let address = try store.required("address")
        var settings = try StoreReader.settings(address)
        self.address = String(try address.string())
        settings.user = StoreReader.bytes(try store.string("user") ?? .empty)
        settings.database = try store.integer("database", in: 0...65_535) ?? 0
        if let file = try store.member("password_file") {
            settings.password = try file.naming { () throws(PluginError) in
                try StoreReader.password(try file.string(), host)
            }
        } else if let user = try store.member("user") {
            throw user.error("needs \"password_file\"")
        }
        syncNanoseconds =
            try StoreReader.duration(store, "sync", StoreReader.syncRange)
            ?? 100_000_000
        settings.timeoutNanoseconds =
            try StoreReader.duration(store, "timeout", StoreReader.timeoutRange) ?? 250_000_000
        prefix = try store.string("prefix") ?? "sluice"
        guard prefix.count <= StoreReader.prefixBytesMax, prefix.isToken else {
            throw PluginError(
                path: "store.prefix",
                "no token of up to \(StoreReader.prefixBytesMax) characters"
            )
        }
        switch try store.string("on_down") ?? "local" {
        case "local": policy = .local
        case "allow": policy = .allow
        case "refuse": policy = .refuse
        default: throw PluginError(path: "store.on_down", "not \"local\", \"allow\" or \"refuse\"")
        }
        self.settings = settings
    }

    /// What its rules need to know of it.
    var identity: StoreIdentity {
        let key = hashKey
        var hash = KeyedHash(key: key)
        var address = address
        address.withUTF8 { hash.add(UnsafeRawBufferPointer($0)) }
        hash.add(UInt64(settings.database))
        return StoreIdentity(hashKey: key, number: hash.finish())
    }

    /// What all machines hash keys with.
    ///
    /// It depends on the password, so that who does not know that can't look for keys that are the
    /// same; without one only on the prefix.
    private var hashKey: KeyHash {
        var hash = KeyedHash(key: KeyHash(low: 0x534c_5549_4345, high: 1))
        hash.add(UnsafeRawBufferPointer(start: prefix.start, count: prefix.count))
        settings.password.withUnsafeBytes { hash.add($0) }
        let low = hash.finish()
        var second = KeyedHash(key: KeyHash(low: low, high: 2))
        settings.password.withUnsafeBytes { second.add($0) }
        return KeyHash(low: low, high: second.finish())
    }

    private static func settings(
        _ value: ConfigurationValue
    ) throws(PluginError) -> StoreSettings {
        let text = try value.string()
        if text.hasPrefix("unix:") {
            let path = text.dropFirst(5)
            guard path.hasPrefix("/"), path.count < 108 else {
                throw value.error("no full path of a socket, of up to 107 bytes")
            }
            return StoreSettings(host: String(path), port: 0, isUnix: true)
        }
        var colon = text.count
        while colon > 0, text[colon - 1] != 0x3A { colon -= 1 }
        var host = text.prefix(max(0, colon - 1))
        if host.hasPrefix("["), host[host.count - 1] == 0x5D { host = host[1..<host.count - 1] }
        guard colon > 0, let port = text.dropFirst(colon).decimal, 1...65_535 ~= port,
            Machine.isAddress(String(host))
        else {
            throw value.error(
                "no address such as \"127.0.0.1:6379\", \"[::1]:6379\" or \"unix:/path\"; names "
                    + "are not looked up"
            )
        }
        return StoreSettings(host: String(host), port: UInt16(port), isUnix: false)
    }

    /// The first line of a file that nobody else may read.
    private static func password(_ path: Bytes, _ host: Host) throws(PluginError) -> [UInt8] {
        // Without a folder the configuration is only checked.
        guard let full = host.path(path) else { return [] }
        let contents = try host.memory.contents(of: full, limit: passwordBytesMax)
        if let mode = Machine.mode(of: String(full)), mode & 0o077 != 0 {
            throw PluginError("\(String(full)): others may read or write it; use chmod 600")
        }
        let password = contents.prefix(contents.firstIndex(of: 0x0A) ?? contents.count)
        guard !password.isEmpty else { throw PluginError("\(String(full)): has no password") }
        return bytes(password)
    }

    private static func bytes(_ bytes: Bytes) -> [UInt8] {
        [UInt8](UnsafeRawBufferPointer(start: bytes.start, count: bytes.count))
    }

    private static func duration(
        _ value: ConfigurationValue,
        _ key: StaticString,
        _ range: ClosedRange<Int>
    ) throws(PluginError) -> UInt64? {
        guard let member = try value.member(key) else { return nil }
        let nanoseconds = try member.nanoseconds()
        guard range.contains(nanoseconds) else {
            throw member.error(
                "not within \(range.lowerBound / 1_000_000) to \(range.upperBound / 1_000_000) ms"
            )
        }
        return UInt64(nanoseconds)
    }
}
