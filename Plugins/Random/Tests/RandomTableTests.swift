import Random
import SluiceTestKit
import Testing

struct RandomTableTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private func table(_ peers: [TestPeer], workers: Int = 1) throws -> BalancerFixture {
        let plugin = try PluginFixture(RandomBalancer.self, workers: workers)
        return try #require(BalancerFixture(plugin, peers, workers: workers))
    }

    private func counts(
        _ table: BalancerFixture,
        _ peers: Int,
        picks: Int,
        tried: Set<Int> = []
    ) -> [Int] {
        var counts = [Int](repeating: 0, count: peers)
        for _ in 0..<picks {
            if let index = table.pick(tried: tried)?.first { counts[index] += 1 }
        }
        return counts
    }

    @Test(arguments: [[1, 1, 1, 1], [7, 3, 2, 1], [1, 65_535], [1], [5, 5, 1]])
    func `shares follow the weights`(weights: [Int]) throws {
        let table = try table(weights.map { TestPeer(weight: $0) })
        let counts = counts(table, weights.count, picks: 20_000)
        let sum = weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            let share = Double(weight) / Double(sum)
            let deviation = (20_000 * share * (1 - share)).squareRoot()
            #expect(abs(Double(counts[index]) - 20_000 * share) <= 4 * deviation + 1, "\(counts)")
        }
    }

    @Test
    func `peers that cannot be used leave the others their shares`() throws {
        let table = try table([TestPeer(weight: 4), TestPeer(weight: 2), TestPeer(weight: 1)])
        table.setHealthy(0, false)
        let healthy = counts(table, 3, picks: 3_000)
        #expect(healthy[0] == 0 && abs(healthy[1] - 2_000) < 120, "\(healthy)")
        let untried = counts(table, 3, picks: 100, tried: [1])
        #expect(untried == [0, 0, 100])
        #expect(counts(table, 3, picks: 100, tried: [1, 2]) == [100, 0, 0])
        #expect(table.pick(tried: [0, 1, 2]) == nil)
    }

    @Test
    func `finds the few usable peers of very many, by their weights`() throws {
        var peers = [TestPeer](repeating: TestPeer(weight: 100), count: 1_000)
        peers[700] = TestPeer(weight: 3)
        peers[999] = TestPeer(weight: 1)
        let table = try table(peers)
        for index in 0..<999 where index != 700 { table.setHealthy(index, false) }
        let counts = counts(table, 1_000, picks: 1_000)
        #expect(counts[700] + counts[999] == 1_000)
        #expect(abs(counts[700] - 750) < 60, "\(counts[700])")
    }

    @Test
    func `uses the first priority that has a usable peer`() throws {
        let table = try table([TestPeer(priority: 1), TestPeer(), TestPeer(priority: 2)])
        #expect(counts(table, 3, picks: 10) == [0, 10, 0])
        table.setHealthy(1, false)
        #expect(counts(table, 3, picks: 10) == [10, 0, 0])
        #expect(counts(table, 3, picks: 10, tried: [0]) == [0, 0, 10])
        #expect(counts(table, 3, picks: 10, tried: [0, 2]) == [0, 10, 0])
    }

    @Test
    func `workers draw each for itself`() throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 16), workers: 64)
        var counts = [Int](repeating: 0, count: 16)
        for worker in 0..<64 { counts[try #require(table.pick(worker: worker)?.first)] += 1 }
        #expect(counts.reduce(0, max) < 14, "\(counts)")
        #expect(table.pick(worker: 64) == nil)
    }

    @Test
    func `there is only what all balancers have`() {
        #expect(
            PluginFixture.refusal(RandomBalancer.self, ["seed": 1])
                == "seed: unknown key; there are candidates, slow_start, sticky, zone"
        )
    }

    @Test(arguments: Engine.Versions.all)
    func `the library serves in the real engine`(versions: Engine.Versions) throws {
        var options = Engine.Options(versions)
        options.isBalancer = true
        options.peers = 3
        let engine = try Engine(library: Engine.libraryPath("Random"), [:], options)
        for origin in engine.origins { origin.answer = { _ in .init(200) } }
        engine.origins[1].setListening(false)
        for _ in 0..<60 { #expect(try engine.request().response?.status == 200) }
        #expect(engine.origins[1].requests.isEmpty)
        #expect(engine.origins[0].requests.count > 10 && engine.origins[2].requests.count > 10)
        try engine.close()
    }
}
