package import Balancing
package import SluiceSDK

/// Gives requests of the same key to the same peer, by the table of the Maglev paper.
package struct MaglevBalancer: StickyBalancer {
    package static let id: StaticString = "org.sluice.maglev"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Consistent hashing by the table of the Maglev paper."
    package static let needs: HostTables = [.http]

    package typealias Worker = SessionNames

    package var common: CommonConfiguration { hashing.common }
    package var key: KeyRule? { hashing.key }

    private let hashing: HashingConfiguration
    private let size: Int
    private let host: Host
    private let history = PeerHistory()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(HashingConfiguration.keys + ["table_size"])
        hashing = try HashingConfiguration(configuration, host)
        size = try MaglevTable.size(configuration.member("table_size"))
        self.host = host
    }

    /// Fills the table.
    package func build(_ peers: PeerSet) throws(PluginError) -> HashedPeers<MaglevTable> {
        try HashedPeers(peers, hashing, history, seed: host.random()) {
            (peers, group) throws(PluginError) in
            try MaglevTable(peers, group, size: size)
        }
    }

    /// Takes the session's peer, or the peer of the key's slot.
    package func pick(from table: HashedPeers<MaglevTable>, _ pick: borrowing Pick) {
        table.choose(pick)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<MaglevBalancer>.create($0, $1, $2) }
        offer.check = { Export<MaglevBalancer>.check($0, $1) }
        offer.build = { Export<MaglevBalancer>.build($0, $1, $2) }
        offer.drop = { Export<MaglevBalancer>.drop($0, $1) }
        offer.pick = { Export<MaglevBalancer>.pick($0, $1, $2, $3) }
        offer.requestHeaders = { Export<MaglevBalancer>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<MaglevBalancer>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
