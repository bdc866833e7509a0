import SluiceSDK

/// The clients whose word about who is behind them is taken.
struct TrustedProxies {
    /// Blocks, which are compared one after the other.
    static let countMax = 256

    private let blocks: List<IPBlock>
    private let trustsUnix: Bool

    init(_ forwarded: ConfigurationValue?, _ host: Host) throws(PluginError) {
        var blocks: [IPBlock] = []
        var trustsUnix = false
        for entry in try forwarded?.array("trusted_proxies") ?? [] {
            let text = try entry.string()
            if text == "unix:" {
                trustsUnix = true
            } else {
                blocks.append(try entry.naming { () throws(PluginError) in try IPBlock(text) })
            }
        }
        if let forwarded, blocks.count > TrustedProxies.countMax {
            throw PluginError(
                path: forwarded.path + ".trusted_proxies",
                "\(blocks.count) blocks, but there is room for \(TrustedProxies.countMax)"
            )
        }
        self.blocks = host.memory.list(blocks)
        self.trustsUnix = trustsUnix
    }

    /// Whether the client of a request is one of them.
    func contains(_ facts: Facts) -> Bool {
        if blocks.isEmpty && !trustsUnix { return false }
        guard let address = facts.clientIP else { return trustsUnix }
        for block in blocks where block.contains(address) { return true }
        return false
    }
}
