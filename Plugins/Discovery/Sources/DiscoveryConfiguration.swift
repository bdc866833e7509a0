import SluiceSDK

/// Where the peers of an upstream come from.
enum PeerSource: Equatable {
    case dns(DNSSource)
    /// A path as the system needs it, and how often it is looked at.
    case file(path: String, interval: UInt64)
    case consul(ConsulSource, tokenFile: String?, interval: UInt64)

    /// What it is, for the log, and for knowing it again.
    var text: String {
        switch self {
        case .dns(let source):
            let kind: StaticString =
                switch source.kind {
                case .a: "a"
                case .aaaa: "aaaa"
                case .any: "any"
                case .service: "srv"
                }
            let name = String(decoding: source.name, as: UTF8.self)
            return "dns \(kind) \(name) \(source.port)"
        case .file(let path, _): return "file \(path)"
        case .consul(let source, _, _):
            return "consul " + String(decoding: source.path(index: 0), as: UTF8.self)
        }
    }
}

/// An upstream whose peers are discovered.
struct DiscoveredUpstream {
    /// As in the manifest.
    let name: Bytes
    let source: PeerSource
    let clock: RefreshClock.Settings
    /// A set of more peers is refused.
    let peersMax: Int
    /// Whether an answer without peers empties the set; else the last one stays.
    let clearsWhenEmpty: Bool
}

/// What the manifest says, compiled.
struct DiscoveryConfiguration {
    /// Upstreams of one instance.
    static let upstreamsMax = 256
    static let peersMax = 65_535
    static let resolversMax = ResolverSettings.serversMax

    let upstreams: [DiscoveredUpstream]
    /// What stands in place of the machine's settings; nil for each that does not.
    let resolvers: [SocketAddress]
    let resolvConf: String
    let timeoutNanoseconds: UInt64?
    let attempts: Int?
    /// How long a start waits for the first answers of name servers.
    let startNanoseconds: UInt64

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys([
            "upstreams", "resolvers", "resolv_conf", "timeout", "attempts", "start_timeout",
        ])
        resolvers = try Self.resolvers(configuration)
        resolvConf = try Self.path(configuration, "resolv_conf", host) ?? "/etc/resolv.conf"
        timeoutNanoseconds = try Self.time(configuration, "timeout", 100_000_000...5_000_000_000)
        attempts = try configuration.integer(
            "attempts",
            in: 1...ResolverSettings.attemptsMax
        )
        startNanoseconds =
            try Self.time(configuration, "start_timeout", 0...8_000_000_000) ?? 3_000_000_000
        var upstreams: [DiscoveredUpstream] = []
        if let list = try configuration.member("upstreams") {
            for (name, value) in try list.members() {
                upstreams.append(try Self.upstream(name, value, host))
            }
            guard upstreams.count <= Self.upstreamsMax else {
                throw list.error("more than \(Self.upstreamsMax) upstreams")
            }
        }
        self.upstreams = upstreams
    }

    /// Whom to ask: the manifest's words first, then those of the machine.
    func settings(_ resolvConf: [UInt8]) -> ResolverSettings {
        var settings = ResolverSettings(resolvConf: resolvConf)
        if !resolvers.isEmpty { settings.servers = resolvers }
        if let timeoutNanoseconds { settings.timeoutNanoseconds = timeoutNanoseconds }
        if let attempts { settings.attempts = attempts }
        return settings
    }

    private static func resolvers(
        _ configuration: ConfigurationValue
    ) throws(PluginError) -> [SocketAddress] {
        var resolvers: [SocketAddress] = []
        for value in try configuration.array("resolvers") {
            let text = try value.string()
            if let server = SocketAddress(text) {
                resolvers.append(server)
            } else if let address = IPAddress(text) {
                resolvers.append(SocketAddress(address, ResolverSettings.port))
            } else {
                throw value.error("expected an IP address, or one with a port: \"10.0.0.2:53\"")
            }
        }
        guard resolvers.count <= resolversMax else {
            throw PluginError(path: "resolvers", "more than \(resolversMax)")
        }
        return resolvers
    }

    private static func upstream(
        _ name: Bytes,
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> DiscoveredUpstream {
        try value.allowKeys([
            "dns", "file", "consul", "retry", "retry_max", "jitter", "max_peers", "on_empty",
        ])
        let dns = try value.member("dns")
        let file = try value.member("file")
        let consul = try value.member("consul")
        var clock = RefreshClock.Settings()
        let source: PeerSource
        switch (dns, file, consul) {
        case (let dns?, nil, nil): source = .dns(try Self.dns(dns, &clock))
        case (nil, let file?, nil): source = try Self.file(file, host)
        case (nil, nil, let consul?): source = try Self.consul(consul, name, host)
        default: throw value.error("expected one of dns, file and consul")
        }
        let retry = try time(value, "retry", 100_000_000...3_600_000_000_000)
        clock.retryLeast = retry ?? clock.retryLeast
        let retryMax = try time(value, "retry_max", 100_000_000...3_600_000_000_000)
        clock.retryMost = retryMax ?? max(clock.retryMost, clock.retryLeast)
        guard clock.retryLeast <= clock.retryMost else {
            throw value.error("retry is longer than retry_max")
        }
        if let jitter = try value.integer("jitter", in: 0...100) {
            clock.jitterPercent = UInt64(jitter)
        }
        return DiscoveredUpstream(
            name: name,
            source: source,
            clock: clock,
            peersMax: try value.integer("max_peers", in: 1...peersMax) ?? 1_000,
            clearsWhenEmpty: try clears(value)
        )
    }

    private static func clears(_ value: ConfigurationValue) throws(PluginError) -> Bool {
        guard let word = try value.member("on_empty") else { return false }
        let text = try word.string()
        if text == "clear" { return true }
        guard text == "keep" else { throw word.error("expected \"keep\" or \"clear\"") }
        return false
    }

    // MARK: Sources

    private static func dns(
        _ value: ConfigurationValue,
        _ clock: inout RefreshClock.Settings
    ) throws(PluginError) -> DNSSource {
        try value.allowKeys(["name", "port", "type", "min_ttl", "max_ttl", "negative_ttl"])
        let name = try value.required("name")
        let text = [UInt8](try name.string())
        // The search list may make it too long; that is seen when it is asked for.
        guard let known = DomainName(text: text), known != .root else {
            throw name.error("expected a name such as \"app.example\", up to 253 bytes")
        }
        guard text.withBytes({ IPAddress($0) }) == nil else {
            throw name.error("an address needs no discovery: it is a peer of the manifest")
        }
        let kind = try kind(value)
        let port = try value.integer("port", in: 1...65_535)
        guard (port == nil) == (kind == .service) else {
            let path = value.path.isEmpty ? "port" : value.path + ".port"
            let reason =
                port == nil ? "is missing; only SRV brings one" : "SRV brings its own; leave it out"
            throw PluginError(path: path, reason)
        }
        let range: ClosedRange<UInt64> = 1_000_000_000...86_400_000_000_000
        clock.least = try time(value, "min_ttl", range) ?? clock.least
        clock.most = try time(value, "max_ttl", range) ?? max(clock.most, clock.least)
        clock.negativeMost =
            try time(value, "negative_ttl", range) ?? max(clock.negativeMost, clock.least)
        guard clock.least <= clock.most, clock.least <= clock.negativeMost else {
            throw value.error("min_ttl is longer than max_ttl or negative_ttl")
        }
        return DNSSource(name: text, kind: kind, port: UInt16(port ?? 0))
    }

    private static func kind(_ value: ConfigurationValue) throws(PluginError) -> DNSSource.Kind {
        guard let word = try value.member("type") else { return .any }
        let text = try word.string()
        if text == "any" { return .any }
        if text == "a" { return .a }
        if text == "aaaa" { return .aaaa }
        if text == "srv" { return .service }
        throw word.error("expected \"a\", \"aaaa\", \"any\" or \"srv\"")
    }

    private static func file(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> PeerSource {
        var place = value
        var interval: UInt64 = 1_000_000_000
        if value.isObject {
            try value.allowKeys(["path", "interval"])
            place = try value.required("path")
            let range: ClosedRange<UInt64> = 100_000_000...3_600_000_000_000
            interval = try time(value, "interval", range) ?? interval
        }
        let path = try place.string()
        guard !path.isEmpty else { throw place.error("expected the path of a file") }
        return .file(path: String(host.path(path) ?? path), interval: interval)
    }

    private static func consul(
        _ value: ConfigurationValue,
        _ upstream: Bytes,
        _ host: Host
    ) throws(PluginError) -> PeerSource {
        try value.allowKeys([
            "upstream", "service", "tag", "datacenter", "token_file", "zone_key", "wait",
            "min_interval",
        ])
        let catalog = try value.required("upstream")
        guard try !catalog.string().isEmpty, try catalog.string() != upstream else {
            throw catalog.error("expected another upstream, of Consul's own addresses")
        }
        let service = try value.required("service")
        guard try !service.string().isEmpty else { throw service.error("expected a name") }
        let second: UInt64 = 1_000_000_000
        let source = ConsulSource(
            upstream: [UInt8](try catalog.string()),
            service: [UInt8](try service.string()),
            tag: [UInt8](try value.string("tag") ?? .empty),
            datacenter: [UInt8](try value.string("datacenter") ?? .empty),
            zoneKey: [UInt8](try value.string("zone_key") ?? .empty),
            waitNanoseconds: try time(value, "wait", second...(55 * second)) ?? 50 * second
        )
        guard source.path(index: .max).count <= 2_048 else {
            throw value.error("service, tag and datacenter are longer than 2,048 bytes together")
        }
        let least: UInt64 = second / 10
        return .consul(
            source,
            tokenFile: try path(value, "token_file", host),
            interval: try time(value, "min_interval", least...(600 * second)) ?? second
        )
    }

    // MARK: Values

    private static func time(
        _ value: ConfigurationValue,
        _ key: StaticString,
        _ range: ClosedRange<UInt64>
    ) throws(PluginError) -> UInt64? {
        guard let member = try value.member(key) else { return nil }
        let time = UInt64(max(0, try member.nanoseconds()))
        guard range.contains(time) else {
            let (least, most) = (range.lowerBound / 1_000_000, range.upperBound / 1_000_000)
            throw member.error("expected a time of \(least)ms to \(most)ms")
        }
        return time
    }

    private static func path(
        _ value: ConfigurationValue,
        _ key: StaticString,
        _ host: Host
    ) throws(PluginError) -> String? {
        guard let member = try value.member(key) else { return nil }
        let path = try member.string()
        guard !path.isEmpty else { throw member.error("expected the path of a file") }
        return String(host.path(path) ?? path)
    }
}
