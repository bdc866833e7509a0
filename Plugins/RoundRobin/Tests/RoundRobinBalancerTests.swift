import RoundRobin
import SluiceTestKit
import Testing

/// Drives the balancer through the C tables that its library exports.
struct RoundRobinBalancerTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private func table(
        _ peers: [TestPeer],
        workers: Int = 1,
        version: UInt64 = 0
    ) throws -> BalancerFixture {
        let plugin = try PluginFixture(RoundRobinBalancer.self, workers: workers)
        return try #require(BalancerFixture(plugin, peers, workers: workers, version: version))
    }

    private func counts(_ table: BalancerFixture, _ peers: Int, picks: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: peers)
        for _ in 0..<picks {
            if let index = table.pick()?.first { counts[index] += 1 }
        }
        return counts
    }

    @Test
    func `offers the balancer's role and no hook`() throws {
        let plugin = try PluginFixture(RoundRobinBalancer.self)
        #expect(plugin.hookedPhases.isEmpty)
        #expect(plugin.contextByteCount == 0)
        #expect(plugin.table("sluice.lb/1") != nil)
        #expect(plugin.table("sluice.lb/2") == nil)
        #expect(plugin.table("sluice.lb/") == nil)
    }

    @Test
    func `picks peers in nginx's order, and behind each those that come next`() throws {
        let table = try table([TestPeer(weight: 50), TestPeer(weight: 10), TestPeer(weight: 10)])
        let picks = (0..<14).compactMap { _ in table.pick() }
        #expect(picks.map(\.first) == [0, 0, 1, 0, 2, 0, 0] + [0, 0, 1, 0, 2, 0, 0])
        #expect(picks[1...4] == [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1]])
    }

    @Test
    func `keeps the weights exactly over a cycle`() throws {
        let peers = [7, 3, 2, 1].map { TestPeer(weight: $0) }
        #expect(try counts(table(peers), 4, picks: 13 * 5) == [35, 15, 10, 5])
    }

    @Test
    func `keeps the weights of an order that is too long to keep`() throws {
        let weights = [65_535, 65_534, 3]
        let table = try table(weights.map { TestPeer(weight: $0) })
        #expect(counts(table, 3, picks: 131_072) == weights)
    }

    @Test
    func `a peer alone is always picked`() throws {
        let table = try table([TestPeer(weight: 65_535)])
        #expect((0..<5).map { _ in table.pick() } == [[0], [0], [0], [0], [0]])
    }

    @Test
    func `passes over peers that are not healthy, and the rest keep their shares`() throws {
        let table = try table([TestPeer(weight: 4), TestPeer(weight: 2), TestPeer(weight: 1)])
        table.setHealthy(0, false)
        #expect(counts(table, 3, picks: 300) == [0, 200, 100])
        table.setHealthy(0, true)
        #expect(counts(table, 3, picks: 700) == [400, 200, 100])
    }

    @Test
    func `passes over a peer that has nearly all turns of a long order`() throws {
        let table = try table([
            TestPeer(weight: 60_000), TestPeer(weight: 2), TestPeer(weight: 1),
        ])
        table.setHealthy(0, false)
        let counts = counts(table, 3, picks: 3_000)
        #expect(counts[0] == 0)
        #expect(abs(counts[1] - 2_000) < 150, "\(counts)")
    }

    @Test
    func `takes unhealthy peers when nothing else is left`() throws {
        let table = try table([TestPeer(), TestPeer(priority: 1)])
        table.setHealthy(0, false)
        table.setHealthy(1, false)
        #expect(table.pick() == [0])
        #expect(table.pick(tried: [0]) == [1])
        #expect(table.pick(tried: [0, 1]) == nil)
    }

    @Test
    func `does not pick a tried peer again`() throws {
        let table = try table([TestPeer(weight: 10), TestPeer(), TestPeer()])
        for _ in 0..<20 {
            let first = try #require(table.pick()?.first)
            let second = try #require(table.pick(tried: [first])?.first)
            let third = try #require(table.pick(tried: [first, second])?.first)
            #expect(Set([first, second, third]) == [0, 1, 2])
            #expect(table.pick(tried: [0, 1, 2]) == nil)
        }
    }

    @Test
    func `finds tried bits beyond the first word`() throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 130))
        let all = Set(0..<130)
        #expect(table.pick(tried: all.subtracting([129])) == [129])
        #expect(table.pick(tried: all.subtracting([64])) == [64])
        #expect(table.pick(tried: all) == nil)
    }

    @Test
    func `uses the first priority that has a usable peer`() throws {
        let table = try table([
            TestPeer(priority: 5), TestPeer(priority: 1), TestPeer(priority: 1),
            TestPeer(priority: 9),
        ])
        #expect(counts(table, 4, picks: 10) == [0, 5, 5, 0])
        table.setHealthy(1, false)
        #expect(counts(table, 4, picks: 10) == [0, 0, 10, 0])
        table.setHealthy(2, false)
        #expect(counts(table, 4, picks: 10) == [10, 0, 0, 0])
        #expect(table.pick(tried: [0]) == [3])
        #expect(table.pick(tried: [0, 3]).map { Set($0).isSubset(of: [1, 2]) } == true)
    }

    @Test(arguments: [0, 1, 7] as [UInt64])
    func `workers do not begin with the same peer`(version: UInt64) throws {
        let workers = 64
        let table = try table(
            [TestPeer](repeating: TestPeer(), count: 16),
            workers: workers,
            version: version
        )
        for round in 0..<4 {
            var counts = [Int](repeating: 0, count: 16)
            for worker in 0..<workers {
                counts[try #require(table.pick(worker: worker)?.first)] += 1
            }
            // 4 each would be even.
            #expect(counts.allSatisfy { (2...6).contains($0) }, "round \(round): \(counts)")
        }
    }

    @Test
    func `workers begin in proportion to the weights, also without an order`() throws {
        let weights = [40_000, 20_001, 10_000]
        let table = try table(weights.map { TestPeer(weight: $0) }, workers: 70)
        var total = [0, 0, 0]
        for round in 0..<4 {
            var counts = [0, 0, 0]
            for worker in 0..<70 { counts[try #require(table.pick(worker: worker)?.first)] += 1 }
            #expect(counts[1] > 5, "round \(round): \(counts)")
            for index in 0..<3 { total[index] += counts[index] }
        }
        #expect(abs(total[0] - 160) < 20 && abs(total[1] - 80) < 20, "\(total)")
    }

    @Test(arguments: [1, 2, 4, 8])
    func `any number of requests on any number of workers is spread evenly`(workers: Int) throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 10), workers: workers)
        var counts = [Int](repeating: 0, count: 10)
        for number in 0..<9_999 {
            counts[try #require(table.pick(worker: number % workers)?.first)] += 1
        }
        let most = counts.reduce(0, max)
        #expect(most - counts.reduce(most, min) <= workers, "\(counts)")
    }

    @Test
    func `refuses a worker that the set does not know`() throws {
        let table = try table([TestPeer()], workers: 2)
        #expect(table.pick(worker: 1) == [0])
        #expect(table.pick(worker: 2) == nil)
    }
}
