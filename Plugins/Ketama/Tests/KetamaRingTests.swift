import Ketama
import SluiceSDK
import SluiceTestKit
import Testing

struct KetamaRingTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private func table(
        _ peers: [TestPeer],
        _ configuration: TestValue = [:],
        workers: Int = 1
    ) throws -> BalancerFixture {
        let plugin = try PluginFixture(KetamaBalancer.self, configuration, workers: workers)
        return try #require(BalancerFixture(plugin, peers, workers: workers))
    }

    private func choices(_ table: BalancerFixture, _ keys: Int) -> [Int] {
        (0..<keys).map { table.pick(hashKey: "user-\($0)")?.first ?? -1 }
    }

    /// What nginx 1.22.1 answered for the keys user-0, user-1 and so on, with `hash $arg_k
    /// consistent` and the peers of `nginxPeers`.
    private static let nginxChoices = """
        01110424244010142442203412124421130214321322444431041142142124440123223122122414
        33111243220101101012141404141111442211141111131212111111122244020111114212222123
        21121412101221214433214104421313121211421400434431141314114104031101011414411014
        11421131242111113421211134311114114001311141421124131111111421113433113112314110
        12431110214444010341113442110211341212411404214211422444224444442034410214224412
        12410220242114413311131114224024444313141132114342034010141111124424411142241410
        41121114004444311421042302111022111111124011142414124412144201134301314211021214
        11112132411411224121031211112124140144102141040413112110410111040431424440414442
        42140014442410042224330114224234311111344142211443140113414232343114413111124442
        22111442214141111312441111441111121134411414141413410113230114320411232113112411
        22414421442141341111411301111314214141241412412401121121101111044442411342441011
        24314004113104041120141142131414114433114411132112210432144014020112104241311111
        0421113121241241241113114141114214113244
        """
    private static let nginxPeers = [
        TestPeer(address: "127.0.0.1:18101"), TestPeer(weight: 5, address: "127.0.0.1:18102"),
        TestPeer(weight: 2, address: "127.0.0.2:18101"), TestPeer(address: "[::1]:18103"),
        TestPeer(weight: 3, address: "unix:/tmp/app.sock"),
    ]

    @Test
    func `chooses as nginx does`() throws {
        let expected = Self.nginxChoices.compactMap { $0.wholeNumberValue }
        #expect(expected.count == 1_000)
        #expect(choices(try table(Self.nginxPeers), 1_000) == expected)
    }

    @Test
    func `the first of two peers at one place of the ring has it`() throws {
        // All places are the same: the same address twice, which no manifest may have.
        let twins = [TestPeer(address: "a:1"), TestPeer(address: "a:1")]
        #expect(Set(choices(try table(twins), 100)) == [0])
    }

    @Test
    func `shares follow the weights`() throws {
        let table = try table([TestPeer(weight: 1), TestPeer(weight: 2), TestPeer(weight: 5)])
        var counts = [0, 0, 0]
        for index in choices(table, 8_000) { counts[index] += 1 }
        for (index, ideal) in [1_000, 2_000, 5_000].enumerated() {
            #expect(abs(counts[index] - ideal) < 400, "\(counts)")
        }
    }

    // From 103 peers on a ring is sorted in another way.
    @Test(arguments: [2, 10, 102, 200])
    func `one peer more moves its own share and nothing else`(count: Int) throws {
        let before = choices(try table([TestPeer](repeating: TestPeer(), count: count)), 5_000)
        let after = choices(try table([TestPeer](repeating: TestPeer(), count: count + 1)), 5_000)
        let moved = zip(before, after).filter { $0 != $1 }
        #expect(moved.allSatisfy { $0.1 == count })
        let ideal = 5_000.0 / Double(count + 1)
        #expect(abs(Double(moved.count) - ideal) < ideal * 0.35, "\(moved.count) for \(ideal)")
    }

    @Test
    func `the keys of a peer that cannot be used are spread over the others`() throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 5))
        let before = choices(table, 2_000)
        table.setHealthy(2, false)
        let after = choices(table, 2_000)
        #expect(zip(before, after).allSatisfy { $0 == $1 || $0 == 2 })
        #expect(Set(zip(before, after).filter { $0.0 == 2 }.map { $0.1 }) == [0, 1, 3, 4])
        table.setHealthy(2, true)
        #expect(choices(table, 2_000) == before)
    }

    @Test
    func `goes through all peers, each once, when they fail one after the other`() throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 70))
        var tried: Set<Int> = []
        while let index = table.pick(tried: tried, hashKey: "k")?.first {
            #expect(tried.insert(index).inserted)
        }
        #expect(tried == Set(0..<70))
    }

    @Test
    func `the second choice of a key is that of the ring without its first`() throws {
        let all = try table([TestPeer](repeating: TestPeer(), count: 4))
        for number in 0..<200 {
            let key = "user-\(number)"
            let first = try #require(all.pick(hashKey: key)?.first)
            let second = all.pick(tried: [first], hashKey: key)
            all.setHealthy(first, false)
            #expect(all.pick(hashKey: key) == second)
            all.setHealthy(first, true)
        }
    }

    @Test
    func `finds the one usable peer of very many`() throws {
        let table = try table([TestPeer](repeating: TestPeer(), count: 1_000))
        for index in 0..<1_000 where index != 700 { table.setHealthy(index, false) }
        #expect(table.pick(hashKey: "k") == [700])
        // The choice among the ill is as steady as that among the healthy.
        let next = table.pick(tried: [700], hashKey: "k")
        #expect(next != nil && next != [700] && table.pick(tried: [700], hashKey: "k") == next)
    }

    @Test
    func `a later priority has a ring of its own`() throws {
        let table = try table([TestPeer(), TestPeer(priority: 1), TestPeer(priority: 1)])
        #expect(Set(choices(table, 100)) == [0])
        table.setHealthy(0, false)
        #expect(Set(choices(table, 100)) == [1, 2])
        table.setHealthy(1, false)
        table.setHealthy(2, false)
        #expect(Set(choices(table, 100)) == [0])
    }

    @Test
    func `without a key peers are chosen by chance, by their weights`() throws {
        let table = try table([TestPeer(), TestPeer(weight: 3)])
        for key in [nil, ""] {
            var counts = [0, 0]
            for _ in 0..<4_000 { counts[try #require(table.pick(hashKey: key)?.first)] += 1 }
            #expect(abs(counts[1] - 3_000) < 300, "\(counts)")
        }
    }

    @Test
    func `refuses a worker that the set does not know`() throws {
        let table = try table([TestPeer()], workers: 2)
        #expect(table.pick(worker: 1, hashKey: "k") == [0])
        #expect(table.pick(worker: 2, hashKey: "k") == nil)
    }

    @Test
    func `bounds the points of a ring`() throws {
        #expect(throws: Never.self) { try KetamaRing.checkSize(KetamaRing.pointsMax) }
        #expect(throws: PluginError.self) { try KetamaRing.checkSize(KetamaRing.pointsMax + 1) }
        let plugin = try PluginFixture(KetamaBalancer.self, ["points": 1_000])
        #expect(
            BalancerFixture.refusal(plugin, [TestPeer(weight: 16_778)])
                == "a ring of 16778000 points: the sum of the weights times points may be "
                + "16777216; use smaller weights, or set points"
        )
    }
}
