package import Balancing
package import SluiceSDK

/// Chooses peers by chance, each as often as its weight says.
package struct RandomBalancer: StickyBalancer {
    package static let id: StaticString = "org.sluice.random"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString = "Weighted random choice of an upstream's peers."
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

    /// Prepares the draw.
    package func build(_ peers: PeerSet) throws(PluginError) -> RandomTable {
        try RandomTable(peers, common, history, seed: host.random())
    }

    /// Draws a peer that may be used.
    package func pick(from table: RandomTable, _ pick: borrowing Pick) {
        table.choose(pick)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<RandomBalancer>.create($0, $1, $2) }
        offer.check = { Export<RandomBalancer>.check($0, $1) }
        offer.build = { Export<RandomBalancer>.build($0, $1, $2) }
        offer.drop = { Export<RandomBalancer>.drop($0, $1) }
        offer.pick = { Export<RandomBalancer>.pick($0, $1, $2, $3) }
        offer.requestHeaders = { Export<RandomBalancer>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<RandomBalancer>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
