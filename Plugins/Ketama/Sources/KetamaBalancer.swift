package import Balancing
package import SluiceSDK

/// Gives requests of the same key to the same peer, as nginx's `hash KEY consistent` does.
package struct KetamaBalancer: StickyBalancer {
    package static let id: StaticString = "org.sluice.ketama"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Consistent hashing on the ring of nginx's `hash KEY consistent`."
    package static let needs: HostTables = [.http]

    package typealias Worker = SessionNames

    /// What `points` may be.
    package static let pointsRange = 1...1_000

    package var common: CommonConfiguration { hashing.common }
    package var key: KeyRule? { hashing.key }

    private let hashing: HashingConfiguration
    private let points: Int
    private let host: Host
    private let history = PeerHistory()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(HashingConfiguration.keys + ["points"])
        hashing = try HashingConfiguration(configuration, host)
        points =
            try configuration.integer("points", in: Self.pointsRange) ?? KetamaRing.pointsOfNginx
        self.host = host
    }

    /// Places the peers on the ring.
    package func build(_ peers: PeerSet) throws(PluginError) -> HashedPeers<KetamaRing> {
        try HashedPeers(peers, hashing, history, seed: host.random()) {
            (peers, group) throws(PluginError) in
            try KetamaRing(peers, group, points: points)
        }
    }

    /// Takes the session's peer, or the peer that follows the key's hash on the ring.
    package func pick(from table: HashedPeers<KetamaRing>, _ pick: borrowing Pick) {
        table.choose(pick)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<KetamaBalancer>.create($0, $1, $2) }
        offer.check = { Export<KetamaBalancer>.check($0, $1) }
        offer.build = { Export<KetamaBalancer>.build($0, $1, $2) }
        offer.drop = { Export<KetamaBalancer>.drop($0, $1) }
        offer.pick = { Export<KetamaBalancer>.pick($0, $1, $2, $3) }
        offer.requestHeaders = { Export<KetamaBalancer>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<KetamaBalancer>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
