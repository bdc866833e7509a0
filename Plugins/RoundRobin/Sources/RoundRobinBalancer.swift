package import SluiceSDK

/// Chooses the peers of an upstream in turn, each as often as its weight says, spread smoothly.
package struct RoundRobinBalancer: Balancer, ~Copyable {
    package static let id: StaticString = "org.sluice.round-robin"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Smooth weighted round robin over an upstream's peers."

    /// There is nothing to configure: any key is an error.
    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
    }

    /// Works the order of the peers out.
    package func build(_ peers: PeerSet) throws(PluginError) -> RoundRobinTable {
        RoundRobinTable(peers)
    }

    /// Takes the next peer of the order that may be used.
    package func pick(from table: RoundRobinTable, _ pick: borrowing Pick) {
        guard let index = table.next(pick) else { return }
        pick.choose(index)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<RoundRobinBalancer>.create($0, $1, $2) }
        offer.check = { Export<RoundRobinBalancer>.check($0, $1) }
        offer.build = { Export<RoundRobinBalancer>.build($0, $1, $2) }
        offer.drop = { Export<RoundRobinBalancer>.drop($0, $1) }
        offer.pick = { Export<RoundRobinBalancer>.pick($0, $1, $2, $3) }
    }
}
