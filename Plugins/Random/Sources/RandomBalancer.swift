package import SluiceSDK

/// Chooses peers by chance, each as often as its weight says.
package struct RandomBalancer: Balancer {
    package static let id: StaticString = "org.sluice.random"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString = "Weighted random choice of an upstream's peers."

    private let host: Host

    /// There is nothing to configure: any key is an error.
    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys([])
        self.host = host
    }

    /// Prepares the draw.
    package func build(_ peers: PeerSet) throws(PluginError) -> RandomTable {
        RandomTable(peers, seed: host.random())
    }

    /// Draws a peer that may be used.
    package func pick(from table: RandomTable, _ pick: borrowing Pick) {
        guard let index = table.draw(pick) else { return }
        pick.choose(index)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<RandomBalancer>.create($0, $1, $2) }
        offer.check = { Export<RandomBalancer>.check($0, $1) }
        offer.build = { Export<RandomBalancer>.build($0, $1, $2) }
        offer.drop = { Export<RandomBalancer>.drop($0, $1) }
        offer.pick = { Export<RandomBalancer>.pick($0, $1, $2, $3) }
    }
}
