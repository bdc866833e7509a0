import SluiceSDK

/// What the manifest says, compiled.
struct MetricsConfiguration {
    /// Bytes of `path`.
    static let pathBytesMax = 1_024
    /// Networks in `allow`, which are looked at one after the other.
    static let allowMax = 256
    /// Scrapes that one worker may have under way, by default and at most.
    static let scrapesDefault = 4
    static let scrapesMax = 64

    let path: Bytes
    /// Nil when everybody is answered.
    private let allow: List<IPBlock>?
    /// Scrapes that one worker has under way at most.
    let scrapes: Int

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(["path", "allow", "scrapes"])
        path = try MetricsConfiguration.readPath(configuration) ?? "/metrics"
        scrapes =
            try configuration.integer("scrapes", in: 1...MetricsConfiguration.scrapesMax)
            ?? MetricsConfiguration.scrapesDefault
        allow = try MetricsConfiguration.readAllow(configuration, host)
    }

    private static func readPath(
        _ configuration: ConfigurationValue
    ) throws(PluginError) -> Bytes? {
        guard let value = try configuration.member("path") else { return nil }
        let path = try value.string()
        guard path.hasPrefix("/"), path.count <= pathBytesMax else {
            throw value.error("begins with \"/\", and has up to \(pathBytesMax) bytes")
        }
        for offset in path.indices {
            guard path[offset] > 0x20, path[offset] < 0x7F, path[offset] != 0x3F,
                path[offset] != 0x23
            else { throw value.error("no path: of ASCII, without blanks, \"?\" and \"#\"") }
        }
        return path
    }

    private static func readAllow(
        _ configuration: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> List<IPBlock>? {
        guard let value = try configuration.member("allow") else { return nil }
        let entries = try value.array()
        guard !entries.isEmpty, entries.count <= allowMax else {
            throw value.error("\(entries.count) networks are not within 1 to \(allowMax)")
        }
        var blocks: [IPBlock] = []
        for entry in entries {
            let text = try entry.string()
            blocks.append(
                try entry.naming { () throws(PluginError) in try IPBlock(text) }
            )
        }
        return host.memory.list(blocks)
    }

    /// Whether a client may see the metrics.
    ///
    /// - Parameter address: nil of a client on a Unix socket, whose file says who may connect.
    func allows(_ address: IPAddress?) -> Bool {
        guard let allow, let address else { return true }
        for block in allow where block.contains(address) { return true }
        return false
    }

    /// Whether a request is for the metrics: a query is not looked at.
    func isMetrics(_ target: Bytes) -> Bool {
        let end = target.firstIndex(of: 0x3F) ?? target.count
        return target.prefix(end) == path
    }
}
