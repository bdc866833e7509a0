import Proxy
import Testing

@testable import Server

struct AttributeGraphTests {
    private static let uses: [String: AttributeGraph.Use] = [
        "auth": .init(produces: ["x.user"]),
        "limit": .init(consumes: ["x.user"]),
        "ring": .init(consumes: ["x.user", "x.shard"]),
        "both": .init(produces: ["x.shard"], consumes: ["x.shard"]),
    ]

    /// The lines for a global chain and one route.
    private func lines(
        _ chain: [String],
        _ route: [String] = [],
        balancer: String? = nil,
        name: String = "routes[0]"
    ) -> [String] {
        var settings = ProxySettings()
        settings.chain = chain
        var upstream = UpstreamSettings(name: "app")
        upstream.balancer = balancer
        settings.upstreams = [upstream]
        var entry = RouteSettings(name: name)
        entry.chain = route
        entry.upstream = "app"
        settings.routes = [entry]
        return AttributeGraph.problems(settings, Self.uses)
    }

    @Test func `a producer that comes before is found`() {
        #expect(lines(["auth", "limit"]) == [])
        #expect(lines(["auth"], ["limit"]) == [])
        #expect(lines([], ["auth", "other", "limit"]) == [])
        #expect(lines(["both"]) == [])
        #expect(lines(["auth"], ["both"], balancer: "ring") == [])
        #expect(lines(["unknown"]) == [])
    }

    @Test func `a consumer without one is named, with whoever could help`() {
        let what = "plugin \"limit\" consumes the attribute \"x.user\","
        let late = " but \"auth\", which produces it, comes later"
        #expect(lines(["limit", "auth"]) == ["chain[0]: " + what + late])
        #expect(lines([], ["limit", "auth"]) == ["routes[0].chain[0]: " + what + late])
        #expect(
            lines(["limit"], ["auth"])
                == ["chain[0]: " + what + " but \"auth\", which produces it, is not on the chain"]
        )
        #expect(
            lines([], ["limit", "auth"], name: "api")
                == ["routes[0].chain[0]: " + what + late + " on route \"api\""]
        )
    }

    @Test func `a balancer reads what the whole chain set`() {
        let what = "routes[0].upstream: plugin \"ring\" consumes the attribute "
        #expect(
            lines(["auth"], balancer: "ring") == [
                what + "\"x.shard\", but \"both\", which produces it, is not on the chain"
            ]
        )
    }
}
