package import Balancing
package import SluiceSDK

/// Chooses the peers of an upstream in turn, each as often as its weight says, spread smoothly.
package struct RoundRobinBalancer: StickyBalancer {
    package static let id: StaticString = "org.sluice.round-robin"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Smooth weighted round robin over an upstream's peers."
    package static let needs: HostTables = [.http]

    package typealias Worker = SessionNames

    package let common: CommonConfiguration
    private let host: Host
    private let history = PeerHistory()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(CommonConfiguration.keys)
        common = try CommonConfiguration(configuration, host)
        self.host = host
    }

    /// Works the order of the peers out.
    package func build(_ peers: PeerSet) throws(PluginError) -> RoundRobinTable {
        try RoundRobinTable(peers, common, history, seed: host.random())
    }

    /// Takes the next peer of the order that may be used.
    package func pick(from table: RoundRobinTable, _ pick: borrowing Pick) {
        table.choose(pick)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<RoundRobinBalancer>.create($0, $1, $2) }
        offer.check = { Export<RoundRobinBalancer>.check($0, $1) }
        offer.build = { Export<RoundRobinBalancer>.build($0, $1, $2) }
        offer.drop = { Export<RoundRobinBalancer>.drop($0, $1) }
        offer.pick = { Export<RoundRobinBalancer>.pick($0, $1, $2, $3) }
        offer.requestHeaders = { Export<RoundRobinBalancer>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<RoundRobinBalancer>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
