import CachePolicy
import SluiceSDK
import TinyUFO

/// What an instance was told to do.
struct CacheConfiguration {
    /// Bytes, 1 MiB or more.
    let memoryBytes: Int
    /// Nil without one.
    let disk: DiskConfiguration?
    /// Bytes of a body that is stored.
    let objectBytesMax: Int
    /// Bytes of a body that memory takes.
    let memoryObjectMax: Int
    /// Bytes of a body from which on it goes to the disk; `Int.max` without one.
    let diskObjectMin: Int
    let key: KeyRules
    /// Nanoseconds that a request waits for another one's fetch; 0: it never does.
    let lockWait: UInt64
    /// Nanoseconds that a fetch keeps others from fetching.
    let lockAge: UInt64
    /// Seconds, where a response says nothing.
    let staleWhileRevalidate: Int64
    /// Likewise.
    let staleIfError: Int64
    /// Seconds for each status from 200 on, -1 for none.
    let lifetimes: List<Int64>
    let storesCookies: Bool
    /// Ranges that are served in one answer; 0: the field is not looked at.
    let rangesMax: Int
    let purgeNetworks: List<IPBlock>
    /// A token or quoted-string; empty to leave `Cache-Status` out.
    let statusName: Bytes
    let heuristic: Freshness.Heuristic
    let bypass: BypassRules

    static let memoryRange = 1_048_576...1_099_511_627_776
    /// Parts of an answer are two a range, and one more.
    static let rangesLimit = 31
    static let lifetimeSecondsMax = 31_536_000
    private static let keys: [StaticString] = [
        "memory", "storage", "max_object", "key", "lock", "stale", "negative", "ttl", "set_cookie",
        "ranges",
        "purge", "status_field", "heuristic", "bypass",
    ]

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        try value.allowKeys(Self.keys)
        let storage = try StorageConfiguration(value, host)
        memoryBytes = storage.memoryBytes
        disk = storage.disk
        // A shard bounds an object, and an object that takes all of one drives all others out.
        let shardMost = Self.shardBytes(memoryBytes) / 2
        let memoryMost = min(16_777_216, shardMost)
        let diskMost = (disk?.size ?? 0) / 4
        let most = max(shardMost, diskMost)
        objectBytesMax =
            try Self.size("max_object", of: value, in: 1_024...most)
            ?? max(memoryMost, min(1_073_741_824, diskMost))
        memoryObjectMax = min(objectBytesMax, disk == nil ? shardMost : memoryMost)
        let beyondMemory = memoryObjectMax + 1
        diskObjectMin = disk.map { $0.objectBytesMin ?? beyondMemory } ?? .max
        if disk != nil, diskObjectMin > beyondMemory {
            throw PluginError(
                path: "storage.disk.min_object",
                "\(diskObjectMin) bytes are more than memory takes, which is \(memoryObjectMax)"
            )
        }
        key = try KeyRules(value.member("key"), host)
        let lock = try value.member("lock")
        try lock?.allowKeys(["wait", "age"])
        lockWait = UInt64(
            try Self.nanoseconds("wait", of: lock, in: 0...60_000_000_000) ?? 5_000_000_000
        )
        lockAge = UInt64(
            try Self.nanoseconds("age", of: lock, in: 1_000_000...600_000_000_000)
                ?? 30_000_000_000
        )
        let stale = try value.member("stale")
        try stale?.allowKeys(["while_revalidate", "if_error"])
        staleWhileRevalidate = try Self.seconds("while_revalidate", of: stale) ?? 0
        staleIfError = try Self.seconds("if_error", of: stale) ?? 0
        lifetimes = try Self.lifetimes(value, host)
        switch try value.string("set_cookie") ?? "never" {
        case "never": storesCookies = false
        case "store": storesCookies = true
        default: throw PluginError(path: "set_cookie", "not \"never\" or \"store\"")
        }
        let ranges = try value.member("ranges")
        try ranges?.allowKeys(["max"])
        rangesMax = try ranges?.integer("max", in: 0...Self.rangesLimit) ?? 16
        purgeNetworks = try Self.networks(value.member("purge"), host)
        statusName = try Self.statusName(value, host)
        let heuristic = try value.member("heuristic")
        try heuristic?.allowKeys(["percent", "max"])
        self.heuristic = Freshness.Heuristic(
            percent: Int64(try heuristic?.integer("percent", in: 0...100) ?? 10),
            most: try Self.seconds("max", of: heuristic) ?? 86_400
        )
        bypass = try BypassRules(value.member("bypass"), host)
    }

    /// Bytes of a part of the store.
    private static func shardBytes(_ memory: Int) -> Int {
        let shards = TinyUFO.Configuration(memoryBytes: memory, workerCount: 1).shardCount
        return memory / shards
    }

    static func size(
        _ key: StaticString,
        of value: ConfigurationValue,
        in range: ClosedRange<Int>
    ) throws(PluginError) -> Int? {
        guard let member = try value.member(key) else { return nil }
        let bytes = try member.byteCount()
        guard range.contains(bytes) else {
            throw member.error(
                "\(bytes) bytes are not within \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return bytes
    }

    private static func nanoseconds(
        _ key: StaticString,
        of value: ConfigurationValue?,
        in range: ClosedRange<Int>
    ) throws(PluginError) -> Int? {
        guard let member = try value?.member(key) else { return nil }
        let nanoseconds = try member.nanoseconds()
        guard range.contains(nanoseconds) else {
            throw member.error(
                "not within \(range.lowerBound / 1_000_000)ms to \(range.upperBound / 1_000_000)ms"
            )
        }
        return nanoseconds
    }

    /// Whole seconds, as HTTP counts them; a part of one is one.
    private static func seconds(
        _ key: StaticString,
        of value: ConfigurationValue?
    ) throws(PluginError) -> Int64? {
        try value?.member(key).map { member throws(PluginError) in try seconds(member) }
    }

    private static func seconds(_ member: ConfigurationValue) throws(PluginError) -> Int64 {
        let seconds = (try member.nanoseconds() + 999_999_999) / 1_000_000_000
        guard (0...lifetimeSecondsMax).contains(seconds) else {
            throw member.error("not within 0s to 8760h")
        }
        return Int64(seconds)
    }

    private static func lifetimes(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> List<Int64> {
        var lifetimes = [Int64](repeating: -1, count: 400)
        for (key, range) in [("negative" as StaticString, 400...599), ("ttl", 200...599)] {
            guard let member = try value.member(key) else { continue }
            for (name, time) in try member.members() {
                guard let status = name.decimal, name.count == 3, range.contains(Int(status)) else {
                    throw time.error(
                        "no status from \(range.lowerBound) to \(range.upperBound)"
                    )
                }
                guard status != 206, status != 304 else { throw time.error("is never stored") }
                lifetimes[Int(status) - 200] = try seconds(time)
            }
        }
        return host.memory.list(lifetimes)
    }

    /// Seconds that responses of a status are fresh for when they don't say.
    func lifetime(_ status: Int) -> Int64? {
        guard (200..<600).contains(status), lifetimes[status - 200] >= 0 else { return nil }
        return lifetimes[status - 200]
    }

    private static func networks(
        _ value: ConfigurationValue?,
        _ host: Host
    ) throws(PluginError) -> List<IPBlock> {
        try value?.allowKeys(["allow"])
        var blocks: [IPBlock] = []
        for element in try value?.array("allow") ?? [] {
            blocks.append(
                try element.naming { () throws(PluginError) in try IPBlock(element.string()) }
            )
        }
        guard blocks.count <= 256 else { throw PluginError(path: "purge.allow", "more than 256") }
        return host.memory.list(blocks)
    }

    private static func statusName(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Bytes {
        guard let member = try value.member("status_field") else { return "Sluice" }
        let name = try member.string()
        guard name.count <= 64 else { throw member.error("more than 64 characters") }
        if name.isEmpty { return name }
        // A token of RFC 8941 begins with a letter or "*"; a string is of printable ASCII.
        if name.isToken, (name[0] | 0x20) &- 0x61 < 26 || name[0] == 0x2A { return name }
        for offset in name.indices
        where name[offset] < 0x20 || name[offset] > 0x7E || name[offset] == 0x22
            || name[offset] == 0x5C
        {
            throw member.error("a character that has no place in a name")
        }
        return host.memory.join(["\"", name, "\""])
    }
}

/// Requests that go past the cache.
struct BypassRules {
    /// Fields: a request with one of them goes past.
    let headers: List<FieldName>
    /// Cookies, likewise.
    let cookies: List<Bytes>
    /// Beginnings of paths, likewise.
    let paths: List<Bytes>

    var isEmpty: Bool { headers.isEmpty && cookies.isEmpty && paths.isEmpty }

    init(_ value: ConfigurationValue?, _ host: Host) throws(PluginError) {
        try value?.allowKeys(["headers", "cookies", "paths"])
        var headers: [FieldName] = []
        for element in try value?.array("headers") ?? [] {
            headers.append(
                try element.naming { () throws(PluginError) in
                    try FieldName(named: element.string())
                }
            )
        }
        self.headers = host.memory.list(headers)
        var cookies: [Bytes] = []
        for element in try value?.array("cookies") ?? [] {
            let name = try element.string()
            guard name.isToken else { throw element.error("no name of a cookie") }
            cookies.append(name)
        }
        self.cookies = host.memory.list(cookies)
        var paths: [Bytes] = []
        for element in try value?.array("paths") ?? [] {
            let path = try element.string()
            guard path.hasPrefix("/") else { throw element.error("does not begin with \"/\"") }
            paths.append(path)
        }
        self.paths = host.memory.list(paths)
        guard headers.count <= 64, cookies.count <= 64, paths.count <= 256 else {
            throw PluginError(path: "bypass", "more than 64 names or 256 paths")
        }
    }

    func matches(_ fields: Fields) -> Bool {
        for name in headers where fields[name] != nil { return true }
        for name in cookies where KeyRules.cookie(Text(name), fields) != nil { return true }
        let target = fields.target
        for path in paths where target.hasPrefix(path) { return true }
        return false
    }
}
