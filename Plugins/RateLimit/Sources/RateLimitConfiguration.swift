import RateLimiting
import SluiceSDK

/// What the manifest says, compiled.
struct RateLimitConfiguration {
    static let rulesMax = 16
    static let bodyBytesMax = 16_384

    let rules: List<Rule>
    /// Networks that no rule limits.
    let allow: List<IPBlock>
    let body: Bytes
    let fields: LimitFields
    let policy: StoreDownPolicy
    /// Keeps the memory that rules count in.
    let blocks: RuleBlocks
    /// Nil without a store.
    let synchronizer: Synchronizer?

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(["rules", "allow", "body", "fields", "store"])
        blocks = try RuleBlocks(host)
        let store = try StoreReader(configuration, host)
        let list = try configuration.required("rules")
        let entries = try list.array()
        guard 1...Self.rulesMax ~= entries.count else {
            throw list.error("\(entries.count) rules; there may be 1 to \(Self.rulesMax)")
        }
        var reader = try RuleReader(host, blocks, store: store?.identity)
        var made: [Rule] = []
        for entry in entries { made.append(try reader.read(entry)) }
        rules = host.memory.list(made)
        allow = try networks("allow", of: configuration, host)
        body = try configuration.string("body") ?? "too many requests\n"
        guard body.count <= Self.bodyBytesMax else {
            throw PluginError(path: "body", "longer than \(Self.bodyBytesMax) bytes")
        }
        fields = try LimitFields(configuration, rules, host)
        policy = store?.policy ?? .local
        if let store {
            synchronizer = try Synchronizer(store, rules, host)
        } else {
            synchronizer = nil
        }
    }

    /// Whether a rule counts requests that are under way.
    var hasConcurrency: Bool { rules.contains { $0.inFlight != nil } }

    /// Whether a rule has requests wait.
    var hasDelay: Bool { rules.contains { $0.delay > 0 } }

    /// Whether no rule limits an address.
    @inline(__always)
    func isExempt(_ address: IPAddress?) -> Bool {
        if allow.isEmpty { return false }
        guard let address else { return false }
        for network in allow where network.contains(address) { return true }
        return false
    }
}
