import SluiceTestKit
import Testing

/// The own zone first, and others as far as it is not healthy.
struct ZoneTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private let peers = (0..<10).map { TestPeer(zone: $0 < 5 ? "a" : "b") }

    private func own(_ counts: [Int]) -> Int { counts[..<5].reduce(0, +) }

    @Test(arguments: Balancers.allCases)
    func `a healthy zone keeps its requests`(balancer: Balancers) throws {
        let table = try balancer.table(peers, ["zone": "a"])
        #expect(own(table.firsts(10, picks: 400)) == 400)
        // 80 percent are enough.
        table.setHealthy(0, false)
        #expect(own(table.firsts(10, picks: 400)) == 400)
        let other = try balancer.table(peers, ["zone": "b"])
        #expect(own(other.firsts(10, picks: 400)) == 0)
    }

    @Test(arguments: Balancers.allCases)
    func `what is missing to min_healthy goes to other zones`(balancer: Balancers) throws {
        let table = try balancer.table(peers, ["zone": ["own": "a", "min_healthy": 80]])
        for index in 0..<3 { table.setHealthy(index, false) }
        // 40 of the 80 percent that keep all.
        let counts = table.firsts(10, picks: 2_000)
        #expect(abs(own(counts) - 1_000) < 120, "\(counts)")
        #expect(counts[..<3] == [0, 0, 0])
        for index in 3..<5 { table.setHealthy(index, false) }
        #expect(own(table.firsts(10, picks: 200)) == 0)
        for index in 0..<5 { table.setHealthy(index, true) }
        // One pick to see it.
        _ = table.pick(hashKey: "k")
        #expect(own(table.firsts(10, picks: 200)) == 200)
    }

    @Test(arguments: Balancers.allCases)
    func `a zone stays when no other one is healthy`(balancer: Balancers) throws {
        let table = try balancer.table(peers, ["zone": "a"])
        for index in 1..<10 { table.setHealthy(index, false) }
        #expect(table.firsts(10, picks: 100)[0] == 100)
    }

    @Test
    func `the bounds of min_healthy`() throws {
        for percent in [0, 100] {
            let zone: TestValue = ["own": "a", "min_healthy": .integer(percent)]
            let table = try Balancers.roundRobin.table(peers, ["zone": zone])
            #expect(own(table.firsts(10, picks: 100)) == 100)
            table.setHealthy(0, false)
            let counts = table.firsts(10, picks: 1_000)
            // With 100 a fifth is missing, with 0 nothing.
            #expect(abs(own(counts) - (percent == 0 ? 1_000 : 800)) < 70, "\(counts)")
        }
    }

    @Test(arguments: Balancers.allCases)
    func `a priority comes before a zone, and backups last`(balancer: Balancers) throws {
        let table = try balancer.table(
            [
                TestPeer(priority: 1, zone: "a"), TestPeer(zone: "b"),
                TestPeer(priority: 65_536, zone: "a"),
            ],
            ["zone": "a"]
        )
        #expect(table.pick(hashKey: "k") == [1, 0, 2])
        table.setHealthy(1, false)
        #expect(table.pick(hashKey: "k") == [0, 2])
    }

    @Test
    func `a key that spills does so each time`() throws {
        for balancer in [Balancers.ketama, .maglev] {
            let table = try balancer.table(peers, ["zone": ["own": "a", "min_healthy": 100]])
            for index in 0..<2 { table.setHealthy(index, false) }
            // As many looks as the zone has members.
            _ = table.pick(hashKey: "k")
            let first = (0..<100).map { table.pick(hashKey: "\($0)")?.first }
            #expect(first == (0..<100).map { table.pick(hashKey: "\($0)")?.first })
            #expect(Set(first.compactMap { $0.map { $0 < 5 } }).count == 2)
        }
    }

    @Test(
        arguments: [
            (7, "zone: an object is wanted, not a number"),
            ("", "zone: no name of a zone"),
            ([:], "zone.own: is missing"),
            (["own": "a", "min_healthy": 101], "zone.min_healthy: 101 is not within 0 to 100"),
            (["own": "a", "healthy": 1], "zone.healthy: unknown key; there are own, min_healthy"),
        ] as [(TestValue, String)]
    )
    func `refuses what it does not understand`(value: TestValue, line: String) {
        for balancer in Balancers.allCases { #expect(balancer.refusal(["zone": value]) == line) }
    }
}
