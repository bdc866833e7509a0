import PluginHost

@testable import Proxy

/// A table of routes that are named by their numbers.
struct Routes {
    let table: RouteTable

    private static let chain = PhaseChain(global: [], route: [])

    init(_ matches: [RouteMatch], listeners: [String] = ["0.0.0.0:80"]) {
        let plans = matches.indices.map { index in
            RoutePlan(
                RouteSettings(name: "\(index)"),
                chain: Self.chain,
                upstream: nil,
                meter: Meter(workers: 1, words: RouteWords.count)
            )
        }
        table = RouteTable(plans, matches, listeners: listeners)
    }

    /// A table whose routes ask for hosts alone: "a.example", "*.example", or "" for any.
    init(hosts: [[String]]) {
        self.init(hosts.map { .hosts($0) })
    }

    /// The number of the route of a request.
    func match(_ request: Request, listener: Int = 0) -> Int? {
        guard let plan = table.match(request.message, listener: listener) else { return nil }
        let name = plan.pointee.name
        return Int(
            String(
                decoding: UnsafeBufferPointer(start: name.bytes, count: name.count),
                as: UTF8.self
            )
        )
    }

    func match(_ host: String, _ target: String = "/", method: String = "GET") -> Int? {
        match(Request(host, target, method: method))
    }
}

extension RouteMatch {
    /// - Parameter names: as in a manifest.
    static func hosts(_ names: [String]) -> RouteMatch {
        var match = RouteMatch()
        match.hosts = names.map { name in
            name.hasPrefix("*") ? .suffix(String(name.dropFirst())) : .exact(name)
        }
        return match
    }

    static func path(_ path: PathPattern) -> RouteMatch {
        var match = RouteMatch()
        match.path = path
        return match
    }

    static func methods(_ methods: [String]) -> RouteMatch {
        var match = RouteMatch()
        match.methods = methods
        return match
    }

    static func headers(_ headers: [HeaderPattern]) -> RouteMatch {
        var match = RouteMatch()
        match.headers = headers
        return match
    }

    static func listeners(_ listeners: [String]) -> RouteMatch {
        var match = RouteMatch()
        match.listeners = listeners
        return match
    }
}

/// A small generator that gives the same numbers for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}
