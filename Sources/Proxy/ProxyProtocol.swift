import HTTP
package import Sys

/// Headers of the PROXY protocol that a listener's connections begin with.
package struct ProxyProtocolSettings: Sendable, Equatable {
    /// Who may connect at all: 1 to 256 entries.
    ///
    /// Others are refused, since a header of theirs could not be believed, and without one they
    /// would pass for a trusted proxy.
    package var trusted: [TrustedSender] = []
    /// Those that are accepted: one or both.
    package var versions = ProxyProtocolVersion.allCases

    package init() {}
}

/// A proxy that may say who its client is.
package enum TrustedSender: Sendable, Equatable {
    case network(IPNetwork)
    /// Whoever may open a Unix socket's file.
    case unix
}

/// Versions of the PROXY protocol.
package enum ProxyProtocolVersion: String, Sendable, Equatable, CaseIterable {
    case v1
    case v2
}

/// What workers read of `ProxyProtocolSettings`.
struct ProxyProtocolPlan {
    private let networks: UnsafeMutablePointer<IPNetwork>
    private let networkCount: Int
    private let trustsUnix: Bool
    let versions: ProxyVersions

    init(_ settings: ProxyProtocolSettings) {
        let list = settings.trusted.compactMap { sender -> IPNetwork? in
            if case .network(let network) = sender { network } else { nil }
        }
        networkCount = list.count
        // For as long as the plan: for ever.
        networks = .allocate(capacity: max(list.count, 1))
        for (index, network) in list.enumerated() {
            networks.advanced(by: index).initialize(to: network)
        }
        trustsUnix = settings.trusted.contains(.unix)
        versions = settings.versions.reduce(into: []) { $0.insert($1 == .v1 ? .v1 : .v2) }
    }

    /// Whether a connection of this address may bring a header; looks through at most 256 networks.
    func trusts(_ ip: IPAddress) -> Bool {
        if ip.family == 0 { return trustsUnix }
        for index in 0..<networkCount where networks[index].contains(ip) { return true }
        return false
    }
}

extension IPAddress {
    init(_ end: ProxyEndpoint) {
        self.init()
        low = end.low
        high = end.high
        family = end.family
    }
}

extension ProxyEndpoint {
    init(_ ip: IPAddress, port: UInt16) {
        self.init(low: ip.low, high: ip.high, family: ip.family, port: port)
    }

    /// The end of a socket; without an address for a Unix socket.
    init(_ address: borrowing SocketAddress) {
        self.init(address.ip, port: address.port)
    }
}
