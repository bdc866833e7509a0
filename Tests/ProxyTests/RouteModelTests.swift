import Testing

@testable import Proxy

/// The table beside a walk over all routes.
struct RouteModelTests {
    private let names = [
        "a", "b.a", "c.b.a", "d.c.b.a", "e.a", "c.e.a", "x", "a.x", "b.x", "c.b.x", "ab.a",
    ]

    private func model(_ matches: [RouteMatch], _ host: String) -> Int? {
        matches.firstIndex { match in
            match.hosts.isEmpty
                || match.hosts.contains { pattern in
                    switch pattern {
                    case .exact(let name): name == host
                    case .suffix(let suffix): host.hasSuffix(suffix) && host != suffix
                    }
                }
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func `the table finds what a walk over all routes does`(seed: UInt64) {
        print("seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<40 {
            let patterns = names + names.map { "*." + $0 }
            let matches = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                RouteMatch.hosts(
                    (0..<[0, 1, 1, 2, 3, 5][Int.random(in: 0..<6, using: &random)]).map { _ in
                        patterns[Int.random(in: 0..<patterns.count, using: &random)]
                    }
                )
            }
            let routes = Routes(matches)
            for host in names + names.map({ "z." + $0 }) + ["zz", "z.zz"] {
                #expect(routes.match(host) == model(matches, host), "\(host) of \(matches)")
            }
        }
    }

    /// 10,000 routes with two hosts each, one for "*.example" and one for any host.
    private let thousands: [RouteMatch] = {
        let matches = (0..<10_000).map { index in
            let name = index % 10 == 0 ? "*.s\(index).example" : "h\(index).t\(index % 70).example"
            return RouteMatch.hosts([name, "alias-\(index).test"])
        }
        return matches + [.hosts(["*.example"]), RouteMatch()]
    }()

    @Test
    func `a host's list has only the routes that can match it`() {
        let twice = RouteHosts([.hosts(["b.a", "*.a", "b.a"]), RouteMatch(), .hosts(["*.b.a"])])
        #expect(twice.names == ["b.a", ".a", ".b.a"])
        #expect(twice.routes(of: "b.a") == [0, 1])
        #expect(twice.routes(of: ".b.a") == [0, 1, 2])
        let hosts = RouteHosts(thousands)
        #expect(hosts.names.count == 20_001)
        #expect(hosts.anyHost == [10_001])
        #expect(hosts.routes(of: "h9.t9.example") == [9, 10_000, 10_001])
        #expect(hosts.routes(of: ".s10.example") == [10, 10_000, 10_001])
        #expect(hosts.routes(of: "alias-7.test") == [7, 10_001])
        let entries = hosts.names.reduce(0) { $0 + hosts.routes(of: $1).count }
        #expect(entries == 10_000 * 3 + 10_000 * 2 + 2)
    }

    @Test
    func `thousands of hosts are compiled in little time, and all are found`() {
        var routes = Routes([])
        let time = ContinuousClock().measure { routes = Routes(thousands) }
        // Without optimization; a step per pair of names and routes takes more than a minute.
        #expect(time < .seconds(5))
        for index in stride(from: 0, to: 10_000, by: 7) {
            let host = index % 10 == 0 ? "x.s\(index).example" : "h\(index).t\(index % 70).example"
            #expect(routes.match(host) == index)
            #expect(routes.match("alias-\(index).test") == index)
        }
        #expect(routes.match("none.example") == 10_000)
        #expect(routes.match("example") == 10_001)
    }
}
