import Glibc
import Ketama
import LeastConnections
import Maglev
import Random
import RoundRobin
import SluiceTestKit
import Testing

/// The tables of docs/load-balancing.md: computed here, and the page must have the same numbers.
struct SpreadTests {
    private static let keyCount = 20_000

    private struct Named: Sendable {
        let name: String
        let plugin: @Sendable () throws -> PluginFixture
    }

    private static let hashing = [
        Named(name: "Ketama") { try PluginFixture(KetamaBalancer.self) },
        Named(name: "Maglev") { try PluginFixture(MaglevBalancer.self) },
    ]
    private static let all =
        hashing + [
            Named(name: "Random") { try PluginFixture(RandomBalancer.self) },
            Named(name: "LeastConnections") { try PluginFixture(LeastConnectionsBalancer.self) },
            Named(name: "RoundRobin") { try PluginFixture(RoundRobinBalancer.self) },
        ]

    /// The peers that the keys get, of which none ends its requests.
    private func choices(_ balancer: Named, _ peers: [BalancerFixture.TestPeer]) throws -> [Int] {
        let table = try #require(BalancerFixture(balancer.plugin(), peers))
        var inFlight = [Int](repeating: 0, count: peers.count)
        return try (0..<Self.keyCount).map { number in
            let index = try #require(table.pick(hashKey: "user-\(number)")?.first)
            inFlight[index] += 1
            table.setInFlight(index, inFlight[index])
            return index
        }
    }

    private func peers(_ count: Int) -> [BalancerFixture.TestPeer] {
        (0..<count).map { .init(address: "10.0.0.\($0 + 1):80") }
    }

    @Test
    func `the page says how evenly keys are spread`() throws {
        var rows: [String] = []
        for balancer in Self.all {
            var row = "| \(balancer.name) |"
            for count in [3, 10, 100] {
                var counts = [Int](repeating: 0, count: count)
                for index in try choices(balancer, peers(count)) { counts[index] += 1 }
                let ideal = Double(Self.keyCount) / Double(count)
                let least = percent(Double(counts.min() ?? 0) / ideal)
                row += " \(least) to \(percent(Double(counts.max() ?? 0) / ideal)) |"
            }
            rows.append(row)
        }
        try expectOnPage(rows)
    }

    @Test
    func `the page says how many keys move`() throws {
        var rows: [String] = []
        for count in [3, 10, 100] {
            var row = "| \(count) | \(percent(1 / Double(count + 1))) |"
            for balancer in Self.hashing {
                let before = try choices(balancer, peers(count))
                let after = try choices(balancer, peers(count + 1))
                let moved = zip(before, after).filter { $0 != $1 }.count
                row += " \(percent(Double(moved) / Double(Self.keyCount))) |"
            }
            rows.append(row)
        }
        try expectOnPage(rows)
    }

    /// As "12.3 %".
    private func percent(_ share: Double) -> String {
        let tenths = Int((share * 1_000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }

    private func expectOnPage(_ rows: [String]) throws {
        let page = try #require(readPage())
        for row in rows {
            let isThere = page.contains(row)
            #expect(isThere, "docs/load-balancing.md needs: \(row)")
        }
    }

    /// The text of docs/load-balancing.md.
    private func readPage() -> String? {
        let folder = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        guard let file = fopen("/" + folder + "/docs/load-balancing.md", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
