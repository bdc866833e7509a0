import Maglev
import SluiceTestKit
import Testing

struct MaglevTableTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private func table(
        _ peers: [TestPeer],
        _ configuration: TestValue = [:]
    ) throws -> BalancerFixture {
        let plugin = try PluginFixture(MaglevBalancer.self, configuration)
        return try #require(BalancerFixture(plugin, peers))
    }

    private func choices(_ table: BalancerFixture, _ keys: Int) -> [Int] {
        (0..<keys).map { table.pick(hashKey: "user-\($0)")?.first ?? -1 }
    }

    /// Each with an address of its own, so that they keep it in another order.
    private func peers(_ numbers: some Sequence<Int>, weight: Int = 1) -> [TestPeer] {
        numbers.map { TestPeer(weight: weight, address: "10.0.0.\($0):80") }
    }

    @Test
    func `peers of the same weight have the same share`() throws {
        var counts = [Int](repeating: 0, count: 10)
        for index in choices(try table(peers(0..<10)), 20_000) { counts[index] += 1 }
        // Slots differ by one at most, so this is the chance of the keys: 4 standard deviations.
        #expect(counts.allSatisfy { abs($0 - 2_000) < 170 }, "\(counts)")
    }

    @Test
    func `shares follow the weights`() throws {
        let table = try table([TestPeer(weight: 1), TestPeer(weight: 2), TestPeer(weight: 5)])
        var counts = [0, 0, 0]
        for index in choices(table, 8_000) { counts[index] += 1 }
        for (index, ideal) in [1_000, 2_000, 5_000].enumerated() {
            #expect(abs(counts[index] - ideal) < 180, "\(counts)")
        }
    }

    @Test
    func `a table is the same however the peers are listed`() throws {
        let order = [3, 0, 4, 1, 2]
        let listed = choices(try table(peers(0..<5)), 1_000)
        let shuffled = choices(try table(peers(order)), 1_000)
        #expect(listed == shuffled.map { order[$0] })
    }

    @Test(arguments: [2, 10, 100])
    func `one peer more moves little beside its own share`(count: Int) throws {
        let before = choices(try table(peers(0..<count)), 5_000)
        let after = choices(try table(peers(0...count)), 5_000)
        let moved = zip(before, after).filter { $0 != $1 }.count
        let ideal = 5_000.0 / Double(count + 1)
        #expect(Double(moved) > ideal * 0.8)
        // Of the other keys about one in twenty moves with a hundred slots a peer and more.
        #expect(Double(moved) < ideal * 1.3 + 250, "\(moved) for \(ideal)")
    }

    @Test
    func `the keys of a peer that cannot be used are spread over the others`() throws {
        let table = try table(peers(0..<5))
        let before = choices(table, 2_000)
        table.setHealthy(2, false)
        let after = choices(table, 2_000)
        #expect(zip(before, after).allSatisfy { $0 == $1 || $0 == 2 })
        #expect(Set(zip(before, after).filter { $0.0 == 2 }.map { $0.1 }) == [0, 1, 3, 4])
    }

    @Test
    func `goes through all peers, each once, when they fail one after the other`() throws {
        let table = try table(peers(0..<70))
        var tried: Set<Int> = []
        while let index = table.pick(tried: tried, hashKey: "k")?.first {
            #expect(tried.insert(index).inserted)
        }
        #expect(tried == Set(0..<70))
    }

    @Test
    func `very different weights fill the table too`() throws {
        let table = try table(
            [TestPeer(weight: 65_535)] + peers(1...200),
            ["table_size": 65_537]
        )
        let counts = choices(table, 10_000).reduce(into: [0, 0]) { $0[min($1, 1)] += 1 }
        #expect(counts[1] < 100, "\(counts)")
    }

    /// In their table two thirds of the first one's slots are followed by slots of the third.
    @Test
    func `keys of a peer that is gone are spread evenly over the others`() throws {
        let table = try table(
            [46_637, 46_639, 46_641, 46_643].map { TestPeer(address: "127.0.0.1:\($0)") }
        )
        let before = choices(table, 8_000)
        table.setHealthy(0, false)
        let after = choices(table, 8_000)
        var counts = [0, 0, 0, 0]
        for (old, new) in zip(before, after) {
            if old == 0 { counts[new] += 1 } else { #expect(old == new) }
        }
        let ideal = counts.reduce(0, +) / 3
        #expect(counts[0] == 0)
        #expect(counts[1...].allSatisfy { abs($0 - ideal) < 100 }, "\(counts)")
    }

    @Test
    func `max_load bounds a peer`() throws {
        let table = try table(peers(0..<4), ["max_load": 1.25])
        let first = try #require(table.pick(hashKey: "k")?.first)
        table.setInFlight(first, 100)
        #expect(table.pick(hashKey: "k")?.first != first)
        table.setInFlight(first, 0)
        #expect(table.pick(hashKey: "k")?.first == first)
    }

    @Test
    func `a table has a slot for each peer`() throws {
        let plugin = try PluginFixture(MaglevBalancer.self, ["table_size": 251])
        #expect(BalancerFixture.refusal(plugin, peers(0..<251)) == nil)
        #expect(
            BalancerFixture.refusal(plugin, peers(0..<252))
                == "252 peers in a table of 251 slots; set table_size to a prime of 100 times as "
                + "many"
        )
    }

    @Test(
        arguments: [
            (250, "table_size: 250 is not within 251 to 5000011"),
            (251, nil),
            (65_536, "table_size: 65536 is no prime number; the next one is 65537"),
            (5_000_011, nil),
            (5_000_012, "table_size: 5000012 is not within 251 to 5000011"),
        ] as [(Int, String?)]
    )
    func `bounds the size of the table`(size: Int, line: String?) {
        let refusal = PluginFixture.refusal(MaglevBalancer.self, ["table_size": .integer(size)])
        #expect(refusal == line)
    }
}
