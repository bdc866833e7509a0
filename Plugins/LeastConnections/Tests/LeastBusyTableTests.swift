import LeastConnections
import SluiceTestKit
import Testing

struct LeastBusyTableTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private func table(
        _ peers: [TestPeer],
        _ configuration: TestValue = [:],
        workers: Int = 1
    ) throws -> BalancerFixture {
        let plugin = try PluginFixture(
            LeastConnectionsBalancer.self,
            configuration,
            workers: workers
        )
        return try #require(BalancerFixture(plugin, peers, workers: workers))
    }

    private func counts(_ table: BalancerFixture, _ peers: Int, picks: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: peers)
        for _ in 0..<picks {
            if let index = table.pick()?.first { counts[index] += 1 }
        }
        return counts
    }

    /// Picks and never ends a request: how many each peer has in the end.
    private func load(_ table: BalancerFixture, _ peers: Int, picks: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: peers)
        for _ in 0..<picks {
            if let index = table.pick()?.first {
                counts[index] += 1
                table.setInFlight(index, counts[index])
            }
        }
        return counts
    }

    @Test
    func `of two peers the less busy one is always picked`() throws {
        let table = try table([TestPeer(), TestPeer()])
        table.setInFlight(0, 1)
        #expect(counts(table, 2, picks: 50) == [0, 50])
        table.setInFlight(1, 2)
        #expect(counts(table, 2, picks: 50) == [50, 0])
    }

    @Test
    func `with all as choices the least busy one is always picked`() throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 50), ["choices": "all"])
        for index in 0..<50 { table.setInFlight(index, index == 31 ? 4 : 5) }
        #expect(counts(table, 50, picks: 50)[31] == 50)
    }

    @Test
    func `two choices are far more even than chance`() throws {
        let two = load(try table([TestPeer](repeating: TestPeer(), count: 100)), 100, picks: 10_000)
        // By chance alone the greatest would be about 125.
        #expect(two.reduce(0, max) <= 104, "\(two)")
        let all = load(
            try table([TestPeer](repeating: TestPeer(), count: 100), ["choices": "all"]),
            100,
            picks: 10_000
        )
        #expect(all.allSatisfy { $0 == 100 }, "\(all)")
    }

    @Test(arguments: [2, "all"] as [TestValue])
    func `idle peers share by their weights, busy ones have load by them`(
        choices: TestValue
    ) throws {
        let weights = [5, 2, 1, 1, 1]
        let table = try table(weights.map { TestPeer(weight: $0) }, ["choices": choices])
        let idle = counts(table, 5, picks: 10_000)
        for (index, weight) in weights.enumerated() {
            #expect(abs(idle[index] - weight * 1_000) < 300, "\(idle)")
        }
        let busy = load(table, 5, picks: 1_000)
        for (index, weight) in weights.enumerated() {
            #expect(abs(busy[index] - weight * 100) <= 6 * weight, "\(busy)")
        }
    }

    @Test(arguments: [2, 16, "all"] as [TestValue])
    func `peers that cannot be used are passed over`(choices: TestValue) throws {
        let peers = [TestPeer](repeating: TestPeer(), count: 40) + [TestPeer(priority: 1)]
        let table = try table(peers, ["choices": choices])
        for index in 0..<39 { table.setHealthy(index, false) }
        table.setInFlight(39, 1_000)
        #expect(table.pick() == [39, 40])
        #expect(table.pick(tried: [39]) == [40])
        let ill = try #require(table.pick(tried: [39, 40])?.first)
        #expect(ill < 39)
        #expect(table.pick(tried: Set(0..<41)) == nil)
    }

    @Test
    func `with latencies a slow peer has to be less busy`() throws {
        let table = try table([TestPeer(), TestPeer()], ["measure": "latency"])
        table.setLatency(0, nanoseconds: 10_000_000)
        table.setLatency(1, nanoseconds: 40_000_000)
        table.setInFlight(0, 2)
        let fast = counts(table, 2, picks: 3_200)
        // One in 32 is a probe, half of them of the slow peer.
        #expect(fast[1] > 10 && fast[1] < 120, "\(fast)")
        table.setInFlight(0, 4)
        #expect(counts(table, 2, picks: 3_200)[0] < 120)
    }

    @Test
    func `a peer that was not measured is compared by its requests`() throws {
        let table = try table([TestPeer(), TestPeer()], ["measure": "latency"])
        table.setLatency(0, nanoseconds: 1_000)
        table.setInFlight(0, 1)
        #expect(counts(table, 2, picks: 320)[1] > 290)
        table.setInFlight(1, 2)
        #expect(counts(table, 2, picks: 320)[0] > 290)
    }

    @Test(
        arguments: [
            (["choices": 1], "choices: 1 is not within 2 to 16"),
            (["choices": 17], "choices: 17 is not within 2 to 16"),
            (["choices": "some"], "choices: a whole number or \"all\" is wanted"),
            (["measure": "time"], "measure: there are requests and latency"),
            (["choice": 2], "choice: unknown key; did you mean \"choices\"?"),
        ] as [(TestValue, String)]
    )
    func `refuses what it does not understand`(configuration: TestValue, line: String) {
        #expect(PluginFixture.refusal(LeastConnectionsBalancer.self, configuration) == line)
    }

    @Test
    func `refuses a worker that the set does not know`() throws {
        let table = try table([TestPeer()], workers: 2)
        #expect(table.pick(worker: 1) == [0])
        #expect(table.pick(worker: 2) == nil)
    }
}
