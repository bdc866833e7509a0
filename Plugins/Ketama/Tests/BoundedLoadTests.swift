import Ketama
import SluiceTestKit
import Testing

/// `max_load`, which all balancers that hash have.
struct BoundedLoadTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private func table(_ peers: [TestPeer], maxLoad: TestValue) throws -> BalancerFixture {
        let plugin = try PluginFixture(KetamaBalancer.self, ["max_load": maxLoad])
        return try #require(BalancerFixture(plugin, peers))
    }

    private let four = [TestPeer](repeating: TestPeer(), count: 4)

    @Test
    func `a key leaves its peer at the bound, and comes back below it`() throws {
        let table = try table(four, maxLoad: 2)
        let first = try #require(table.pick(hashKey: "k")?.first)
        for index in 0..<4 { table.setInFlight(index, 10) }
        #expect(table.pick(hashKey: "k")?.first == first)
        // 30 elsewhere and n here: one more is within twice the mean of 30 + n + 1 while
        // n < (31 + n) / 2.
        table.setInFlight(first, 30)
        #expect(table.pick(hashKey: "k")?.first == first)
        table.setInFlight(first, 31)
        let second = try #require(table.pick(hashKey: "k")?.first)
        #expect(second != first)
        table.setInFlight(first, 30)
        #expect(table.pick(hashKey: "k")?.first == first)
    }

    @Test(arguments: [1.0, 1.25, 2.0])
    func `no peer gets more than its bound, even for one key`(maxLoad: Double) throws {
        let table = try table(four, maxLoad: .number(maxLoad))
        var counts = [0, 0, 0, 0]
        for total in 1...200 {
            let index = try #require(table.pick(hashKey: "hot")?.first)
            counts[index] += 1
            table.setInFlight(index, counts[index])
            let bound = (maxLoad * Double(total) / 4).rounded(.up)
            #expect(Double(counts[index]) <= bound, "\(counts)")
        }
    }

    @Test
    func `a heavier peer may have more`() throws {
        let table = try table([TestPeer(weight: 3), TestPeer()], maxLoad: 1)
        var counts = [0, 0]
        for _ in 0..<400 {
            let index = try #require(table.pick(hashKey: "hot")?.first)
            counts[index] += 1
            table.setInFlight(index, counts[index])
        }
        #expect(abs(counts[0] - 300) <= 1, "\(counts)")
    }

    @Test
    func `peers that are not healthy do not count`() throws {
        let table = try table(four, maxLoad: 1)
        for index in 1..<4 { table.setHealthy(index, false) }
        table.setInFlight(0, 1_000)
        for index in 1..<4 { table.setInFlight(index, 0) }
        #expect(table.pick(hashKey: "k")?.first == 0)
        // The mean of all four would let it have 250.
        table.setHealthy(1, true)
        #expect(table.pick(hashKey: "k")?.first == 1)
    }

    @Test
    func `a peer over its bound is better than none`() throws {
        let table = try table(four, maxLoad: 1)
        table.setInFlight(2, 1_000)
        #expect(table.pick(tried: [0, 1, 3], hashKey: "k") == [2])
    }

    @Test
    func `holds over more peers than one pick looks at`() throws {
        let count = 300
        let table = try table([TestPeer](repeating: TestPeer(), count: count), maxLoad: 1.5)
        var counts = [Int](repeating: 0, count: count)
        for _ in 0..<count * 20 {
            let index = try #require(table.pick(hashKey: "hot")?.first)
            counts[index] += 1
            table.setInFlight(index, counts[index])
        }
        #expect(counts.reduce(0, max) <= 30, "\(counts)")
        // What ends elsewhere is seen within a round of looks.
        for index in 0..<count { table.setInFlight(index, 0) }
        for _ in 0..<count { _ = table.pick(hashKey: "cold") }
        table.setInFlight(try #require(table.pick(hashKey: "hot")?.first), 5)
        #expect(table.pick(hashKey: "hot") != table.pick(tried: [], hashKey: "cold"))
    }
}
