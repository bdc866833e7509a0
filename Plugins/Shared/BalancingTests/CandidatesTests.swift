import SluiceTestKit
import Testing

/// Which peers a pick chooses, and in which order, whatever the balancer.
struct CandidatesTests {
    typealias TestPeer = BalancerFixture.TestPeer

    @Test(arguments: Balancers.allCases)
    func `so many peers are chosen as the configuration says`(balancer: Balancers) throws {
        let ten = [TestPeer](repeating: TestPeer(), count: 10)
        #expect(try balancer.table(ten).pick(hashKey: "k")?.count == 3)
        for count in [1, 2, 8] {
            let table = try balancer.table(ten, ["candidates": .integer(count)])
            for number in 0..<50 {
                let chosen = try #require(table.pick(hashKey: "\(number)"))
                #expect(Set(chosen).count == chosen.count)
                // A balancer that draws may meet fewer peers than that.
                #expect((1...count).contains(chosen.count))
                if count < 8 { #expect(chosen.count == count) }
            }
        }
        #expect(try balancer.table([TestPeer()]).pick(hashKey: "k") == [0])
        let all = try balancer.table([TestPeer(), TestPeer()], ["candidates": 8])
        #expect(all.pick(hashKey: "k").map { Set($0) } == [0, 1])
    }

    @Test(arguments: [0, 9, -1])
    func `there are one to eight`(count: Int) {
        for balancer in Balancers.allCases {
            #expect(
                balancer.refusal(["candidates": .integer(count)])
                    == "candidates: \(count) is not within 1 to 8"
            )
        }
    }

    @Test(arguments: Balancers.allCases)
    func `more candidates leave the peers their shares`(balancer: Balancers) throws {
        let peers = [5, 3, 1, 1].map { TestPeer(weight: $0) }
        let one = try balancer.table(peers, ["candidates": 1]).firsts(4, picks: 2_000)
        let four = try balancer.table(peers, ["candidates": 4]).firsts(4, picks: 2_000)
        switch balancer {
        // By the turns or the keys alone.
        case .roundRobin, .ketama, .maglev: #expect(one == four)
        default:
            for index in 0..<4 { #expect(abs(one[index] - four[index]) < 250, "\(one) \(four)") }
        }
    }

    /// A set of peers by chance, and how they are.
    private struct Scene {
        var peers: [TestPeer] = []
        var healthy: [Bool] = []
        var tried: Set<Int> = []
        var zone: String?

        init(_ numbers: inout SystemLike) {
            let count = 1 + Int(numbers.next() % 40)
            zone = numbers.next() % 2 == 0 ? "a" : nil
            let share = numbers.next() % 5
            for index in 0..<count {
                peers.append(
                    TestPeer(
                        weight: 1 + Int(numbers.next() % 9),
                        priority: Int(numbers.next() % 3),
                        zone: ["a", "b", nil][Int(numbers.next() % 3)],
                        isDraining: numbers.next() % 8 == 0
                    )
                )
                healthy.append(numbers.next() % 5 >= share)
                if numbers.next() % 6 == 0 { tried.insert(index) }
            }
        }
    }

    /// SplitMix64.
    struct SystemLike {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }
    }

    @Test(arguments: Balancers.allCases)
    func `the rules hold for sets by chance`(balancer: Balancers) throws {
        var numbers = SystemLike(state: 20_261_122)
        for round in 0..<200 {
            let scene = Scene(&numbers)
            var configuration: [String: TestValue] = ["candidates": 8]
            configuration["slow_start"] = .measured("10s", 10_000_000_000)
            if let zone = scene.zone { configuration["zone"] = .string(zone) }
            let table = try balancer.table(scene.peers, configuration)
            for (index, isHealthy) in scene.healthy.enumerated() {
                table.setHealthy(index, isHealthy)
            }
            let usable = scene.peers.indices.filter {
                !scene.peers[$0].isDraining && !scene.tried.contains($0)
            }
            let healthy = usable.filter { scene.healthy[$0] }
            for number in 0..<8 {
                let chosen = table.pick(tried: scene.tried, hashKey: "\(round)-\(number)") ?? []
                #expect(Set(chosen).count == chosen.count, "round \(round): \(chosen)")
                #expect(chosen.isEmpty == usable.isEmpty, "round \(round)")
                guard let first = chosen.first else { continue }
                // No unhealthy one before a healthy one, and none that is tried or draining.
                let best = healthy.isEmpty ? usable : healthy
                #expect(Set(chosen).isSubset(of: best), "round \(round): \(chosen)")
                // The first priority that has one.
                let priority = best.map { scene.peers[$0].priority }.min()
                #expect(scene.peers[first].priority == priority, "round \(round)")
                let order = chosen.map { scene.peers[$0].priority }
                #expect(order == order.sorted(), "round \(round): \(order)")
            }
        }
    }

    @Test(arguments: Balancers.allCases)
    func `a worker that the set does not know gets nothing`(balancer: Balancers) throws {
        let table = try balancer.table([TestPeer(), TestPeer()], workers: 2)
        #expect(table.pick(worker: 1, hashKey: "k")?.count == 2)
        #expect(table.pick(worker: 2, hashKey: "k") == nil)
    }

    @Test(arguments: Balancers.allCases)
    func `draining peers get nothing, even when there is no other`(balancer: Balancers) throws {
        let table = try balancer.table([TestPeer(isDraining: true), TestPeer()])
        #expect(table.firsts(2, picks: 50) == [0, 50])
        table.setHealthy(1, false)
        #expect(table.pick(hashKey: "k") == [1])
        #expect(table.pick(tried: [1], hashKey: "k") == nil)
        #expect(try balancer.table([TestPeer(isDraining: true)]).pick(hashKey: "k") == nil)
    }

    @Test(arguments: Balancers.allCases)
    func `a pick among very many peers of which one is healthy finds it`(
        balancer: Balancers
    ) throws {
        let table = try balancer.table([TestPeer](repeating: TestPeer(), count: 2_000))
        for index in 0..<2_000 where index != 1_234 { table.setHealthy(index, false) }
        for number in 0..<20 { #expect(table.pick(hashKey: "\(number)") == [1_234]) }
    }
}
