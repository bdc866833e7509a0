import SluiceTestKit
import Testing

@testable import Balancing

/// A peer that is new or healthy again gets its share by and by.
struct SlowStartTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private static let second: UInt64 = 1_000_000_000
    private let tenSeconds = TestValue.measured("10s", 10_000_000_000)

    /// The share of the first of two peers, in percent, after it was ill, at times of its start.
    private func shares(
        _ balancer: Balancers,
        _ value: TestValue,
        at seconds: [UInt64]
    ) throws -> [Int] {
        let plugin = try balancer.plugin(["slow_start": value])
        let peers = (1...2).map { TestPeer(address: "10.0.0.\($0):80") }
        let table = try #require(BalancerFixture(plugin, peers))
        plugin.advance(nanoseconds: Self.second)
        let before = table.firsts(2, picks: 1_000)
        #expect(before[0] > 350, "\(before)")
        table.setHealthy(0, false)
        #expect(table.firsts(2, picks: 100) == [0, 100])
        plugin.advance(nanoseconds: 3_600 * Self.second)
        table.setHealthy(0, true)
        _ = table.firsts(2, picks: 20)
        var now: UInt64 = 0
        return seconds.map { second in
            plugin.advance(nanoseconds: (second - now) * Self.second)
            now = second
            return table.firsts(2, picks: 2_000)[0] / 20
        }
    }

    @Test(arguments: Balancers.allCases)
    func `the share grows with the time`(balancer: Balancers) throws {
        let shares = try shares(balancer, tenSeconds, at: [0, 3, 6, 9, 11])
        #expect(shares[0] < 12, "\(shares)")
        #expect(shares[1] < shares[2] && shares[2] < shares[3], "\(shares)")
        #expect(shares[4] > 35, "\(shares)")
    }

    @Test
    func `an even share is a part of the whole`() throws {
        // Random: 10 %, then 50 % of the weight against a whole one.
        let shares = try shares(.random, tenSeconds, at: [0, 5, 11])
        #expect(abs(shares[0] - 9) < 4, "\(shares)")
        #expect(abs(shares[1] - 33) < 5, "\(shares)")
        #expect(abs(shares[2] - 50) < 5, "\(shares)")
    }

    @Test
    func `aggression and the least share`() throws {
        let value: TestValue = ["window": tenSeconds, "aggression": 2, "min_weight": 50]
        let shares = try shares(.random, value, at: [0, 5])
        // 50 %, and the root of a half.
        #expect(abs(shares[0] - 33) < 5, "\(shares)")
        #expect(abs(shares[1] - 41) < 5, "\(shares)")
    }

    @Test(arguments: Balancers.allCases)
    func `a peer that starts slowly is used when it is alone`(balancer: Balancers) throws {
        let plugin = try balancer.plugin(["slow_start": tenSeconds])
        let table = try #require(BalancerFixture(plugin, [TestPeer(), TestPeer(priority: 1)]))
        table.setHealthy(0, false)
        #expect(table.pick(hashKey: "k") == [1])
        table.setHealthy(0, true)
        for number in 0..<50 { #expect(table.pick(hashKey: "\(number)")?.first == 0) }
    }

    @Test(arguments: Balancers.allCases)
    func `a new peer of a later set starts slowly, and goes on in the next`(
        balancer: Balancers
    ) throws {
        let plugin = try balancer.plugin(["slow_start": tenSeconds])
        plugin.advance(nanoseconds: Self.second)
        let peers = (1...3).map { TestPeer(address: "10.0.0.\($0):80") }
        let first = try #require(BalancerFixture(plugin, Array(peers[..<2]), version: 1))
        // All are new to the first set, and so none is.
        #expect(first.firsts(2, picks: 200).allSatisfy { $0 > 50 })
        let second = try #require(BalancerFixture(plugin, peers, version: 2))
        let slow = second.firsts(3, picks: 1_000)
        #expect(slow[2] < 100 && slow[0] > 250, "\(slow)")
        plugin.advance(nanoseconds: 9 * Self.second)
        let third = try #require(BalancerFixture(plugin, peers.reversed(), version: 3))
        let later = third.firsts(3, picks: 1_000)
        #expect(later[0] > 200, "\(later)")
    }

    @Test
    func `a key that has come back stays`() throws {
        let plugin = try Balancers.ketama.plugin(["slow_start": tenSeconds])
        let table = try #require(
            BalancerFixture(plugin, [TestPeer](repeating: TestPeer(), count: 4))
        )
        let keys = (0..<400).map { "\($0)" }
        let whole = keys.map { table.pick(hashKey: $0)?.first }
        table.setHealthy(2, false)
        for key in keys { _ = table.pick(hashKey: key) }
        table.setHealthy(2, true)
        var back: Set<String> = []
        for _ in 0..<11 {
            let now = Set(keys.filter { table.pick(hashKey: $0)?.first == 2 })
            #expect(now.isSuperset(of: back))
            back = now
            plugin.advance(nanoseconds: Self.second)
        }
        #expect(keys.map { table.pick(hashKey: $0)?.first } == whole)
    }

    @Test
    func `powers are as they should be`() {
        #expect(abs(SlowStart.raise(0.25, to: 0.5) - 0.5) < 1e-9)
        #expect(abs(SlowStart.raise(0.5, to: 2) - 0.25) < 1e-9)
        #expect(abs(SlowStart.raise(0.5, to: 2.5) - 0.176_776_695) < 1e-8)
        #expect(abs(SlowStart.raise(0.5, to: 1 / 3.0) - 0.793_700_526) < 1e-8)
        #expect(SlowStart.raise(0, to: 0.1) == 0)
        #expect(SlowStart.raise(1, to: 10) == 1)
    }

    @Test(
        arguments: [
            (7, "slow_start: a duration is wanted, not a number"),
            (.measured("999ms", 999_000_000), "slow_start: is not within 1s to 1h"),
            (.measured("3601s", 3_601_000_000_000), "slow_start: is not within 1s to 1h"),
            ([:], "slow_start.window: is missing"),
            (
                ["window": .measured("2s", 2_000_000_000), "aggression": 0],
                "slow_start.aggression: is not within 0.1 to 10"
            ),
            (
                ["window": .measured("2s", 2_000_000_000), "min_weight": 0],
                "slow_start.min_weight: 0 is not within 1 to 100"
            ),
        ] as [(TestValue, String)]
    )
    func `refuses what it does not understand`(value: TestValue, line: String) {
        for balancer in Balancers.allCases {
            #expect(balancer.refusal(["slow_start": value]) == line)
        }
    }

    @Test(arguments: [("1s", 1_000_000_000), ("1h", 3_600_000_000_000)])
    func `takes what is at its bounds`(text: String, nanoseconds: Int) {
        for aggression in [0.1, 10] {
            let value: TestValue = [
                "window": .measured(text, nanoseconds), "aggression": .number(aggression),
                "min_weight": 100,
            ]
            #expect(Balancers.random.refusal(["slow_start": value]) == nil)
        }
    }
}
