import CustomBalancer
import SluiceSDK
import SluiceTestKit
import Testing

struct LeastBusyTests {
    private func table(_ priorities: [Int]) throws -> BalancerFixture {
        let plugin = try PluginFixture(LeastBusy.self)
        let peers = priorities.map { BalancerFixture.TestPeer(priority: $0) }
        return try #require(BalancerFixture(plugin, peers))
    }

    @Test
    func `picks the peer with the fewest requests`() throws {
        let table = try table([0, 0, 0])
        for (index, count) in [5, 2, 3].enumerated() { table.setInFlight(index, count) }
        for _ in 0..<20 { #expect(table.pick() == [1]) }
        table.setInFlight(1, 4)
        #expect(table.pick() == [2])
    }

    @Test
    func `equally busy peers take turns`() throws {
        let table = try table([0, 0, 0, 0])
        table.setInFlight(2, 1)
        var counts = [0, 0, 0, 0]
        for _ in 0..<400 { counts[try #require(table.pick()?.first)] += 1 }
        #expect(counts[2] == 0)
        for index in [0, 1, 3] { #expect(counts[index] > 40) }
    }

    @Test
    func `an idle peer of a later priority does not count`() throws {
        let table = try table([7, 0, 7, 0])
        table.setInFlight(1, 100)
        table.setInFlight(3, 99)
        #expect(table.pick() == [3])
        table.setHealthy(3, false)
        #expect(table.pick() == [1])
        table.setHealthy(1, false)
        table.setInFlight(0, 1)
        #expect(table.pick() == [2])
    }

    @Test
    func `peers that were tried are passed over`() throws {
        let table = try table([0, 0, 1])
        table.setInFlight(0, 1)
        #expect(table.pick(tried: [1]) == [0])
        #expect(table.pick(tried: [0, 1]) == [2])
        #expect(table.pick(tried: [0, 1, 2]) == nil)
    }

    @Test
    func `an ill peer is better than none, but not one that was tried`() throws {
        let table = try table([0, 1])
        table.setHealthy(0, false)
        table.setHealthy(1, false)
        #expect(table.pick() == [0])
        #expect(table.pick(tried: [0]) == [1])
        #expect(table.pick(tried: [0, 1]) == nil)
    }

    @Test
    func `has peers beyond a word of bits`() throws {
        let table = try table([Int](repeating: 0, count: 130))
        for index in 0..<130 where index != 129 { table.setInFlight(index, 1) }
        #expect(table.pick() == [129])
        #expect(try #require(table.pick(tried: [129])?.first) < 129)
    }
}
