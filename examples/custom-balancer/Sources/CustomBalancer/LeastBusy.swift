import SluiceSDK

/// Picks the peer with the fewest requests in flight, of the first priority that has a healthy one.
public struct LeastBusy: Balancer {
    public static let id: StaticString = "org.example.custom-balancer"
    public static let version: StaticString = "1.0.0"
    public static let summary: StaticString =
        "Picks the peer with the fewest requests, of the first priority that has one."

    private let host: Host

    public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
    }

    public func build(_ peers: PeerSet) throws(PluginError) -> RankedPeers { RankedPeers(peers) }

    public func pick(from table: RankedPeers, _ pick: borrowing Pick) {
        // Where the look at equally busy peers begins, so that they take turns.
        let turn = host.random()
        let index =
            table.leastBusy(pick, turn: turn, onlyHealthy: true)
            // Better a peer that is said to be ill than none.
            ?? table.leastBusy(pick, turn: turn, onlyHealthy: false)
        if let index { pick.choose(index) }
    }

    public static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.build = { Export<Self>.build($0, $1, $2) }
        offer.drop = { Export<Self>.drop($0, $1) }
        offer.pick = { Export<Self>.pick($0, $1, $2, $3) }
    }
}
