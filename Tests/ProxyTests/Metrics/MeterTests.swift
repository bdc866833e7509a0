import PluginHost
import Synchronization
import Testing

@testable import Proxy

struct MeterTests {
    @Test func `workers' rows are added up`() {
        let meter = Meter(workers: 3, words: RouteWords.count)
        #expect(meter.sums.allSatisfy { $0 == 0 })
        meter.row(0).add(5)
        meter.row(2).add(5, 7)
        meter.row(2).add(6, .max)
        #expect(meter.sums[5] == 8)
        #expect(meter.sums[6] == .max)
        #expect(meter.words(ofWorker: 2)[5] == 7)
        #expect(meter.words(ofWorker: 1)[5] == 0)
        #expect(meter.row(0) == meter.row(0))
        #expect(UInt(bitPattern: meter.row(1)) % 128 == 0)
    }

    @Test func `a value counts in the sum and in one bucket`() {
        let row = Meter(workers: 1, words: 64).row(0)
        for value in [UInt64(100_000), 100_001, 60_000_000_001] { row.observe(3, value, .times) }
        let words = (0..<64).map { row[$0].load(ordering: .relaxed) }
        #expect(words[3] == 60_000_200_002)
        #expect(words[4] == 1)
        #expect(words[5] == 1)
        #expect(words[4 + Buckets.times.count - 1] == 1)
        #expect(words.reduce(0, &+) == 60_000_200_005)
    }

    @Test func `names keep their meters, and what is beyond the bound is counted together`() {
        var table = TrafficMeters.Table<String>()
        var made = 0
        func meter(_ name: String) -> MeterRow {
            table.meter(name, most: 3, other: "other") {
                made += 1
                return Meter(workers: 1, words: 1)
            }.row(0)
        }
        let rows = ["a", "b", "c"].map(meter)
        #expect(Set(rows).count == 3)
        #expect(["a", "b", "c"].map(meter) == rows)
        let other = meter("d")
        #expect(!rows.contains(other))
        #expect(meter("e") == other)
        #expect(meter("a") == rows[0])
        #expect(made == 4)
        #expect(table.entries.map(\.key) == ["a", "b", "c", "other"])
    }

    @Test func `upstreams of one name have one load over all plans`() {
        let meters = TrafficMeters(workers: 2)
        #expect(meters.load(ofUpstream: "app").addActive(1) == 1)
        #expect(meters.load(ofUpstream: "app").active == 1)
        #expect(meters.load(ofUpstream: "b").active == 0)
        #expect(meters.route("r", upstream: "a").row(0) == meters.route("r", upstream: "a").row(0))
        #expect(meters.route("r", upstream: "a").row(0) != meters.route("r", upstream: nil).row(0))
    }
}
