package import Balancing
package import SluiceSDK

/// Chooses the least busy of a few peers that are drawn by chance, or of all.
package struct LeastConnectionsBalancer: StickyBalancer {
    package static let id: StaticString = "org.sluice.least-connections"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "The least busy peer, of a few drawn by chance or of all."
    package static let needs: HostTables = [.http]

    package typealias Worker = SessionNames

    /// What `choices` may be, unless it is "all".
    package static let choicesRange = 2...16

    package let common: CommonConfiguration
    private let host: Host
    private let history = PeerHistory()
    private let rule: LeastBusyRule

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(["choices", "measure"] + CommonConfiguration.keys)
        common = try CommonConfiguration(configuration, host)
        rule = LeastBusyRule(
            choices: try Self.choices(configuration),
            usesLatency: try Self.usesLatency(configuration)
        )
        self.host = host
    }

    /// Number of peers that are compared; nil for all.
    private static func choices(_ configuration: ConfigurationValue) throws(PluginError) -> Int? {
        guard let value = try configuration.member("choices") else { return 2 }
        guard value.isString else { return try value.integer(in: choicesRange) }
        guard try value.string() == "all" else {
            throw value.error("a whole number or \"all\" is wanted")
        }
        return nil
    }

    private static func usesLatency(_ configuration: ConfigurationValue) throws(PluginError) -> Bool
    {
        guard let value = try configuration.member("measure") else { return false }
        switch try value.string() {
        case "requests": return false
        case "latency": return true
        default: throw value.error("there are requests and latency")
        }
    }

    /// Prepares the draw.
    package func build(_ peers: PeerSet) throws(PluginError) -> LeastBusyTable {
        try LeastBusyTable(peers, rule, common, history, seed: host.random())
    }

    /// Takes the least busy peer that may be used.
    package func pick(from table: LeastBusyTable, _ pick: borrowing Pick) {
        table.choose(pick)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<LeastConnectionsBalancer>.create($0, $1, $2) }
        offer.check = { Export<LeastConnectionsBalancer>.check($0, $1) }
        offer.build = { Export<LeastConnectionsBalancer>.build($0, $1, $2) }
        offer.drop = { Export<LeastConnectionsBalancer>.drop($0, $1) }
        offer.pick = { Export<LeastConnectionsBalancer>.pick($0, $1, $2, $3) }
        offer.requestHeaders = {
            Export<LeastConnectionsBalancer>.requestHeaders($0, $1, $2, $3, $4)
        }
        offer.responseHeaders = {
            Export<LeastConnectionsBalancer>.responseHeaders($0, $1, $2, $3, $4)
        }
    }
}
