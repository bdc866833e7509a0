import CSluice
import Synchronization
import Sys
import Testing

@testable import PluginHost

/// What a test defines.
private struct Definition {
    var name = "requests"
    var kind = SLUICE_METRIC_COUNTER
    var help = "Requests."
    var labels: [String] = []
    var seriesMax = 0
    var bounds: [Double] = []

    /// The result, the id and the reason.
    func define(
        in registry: MetricRegistry,
        _ instance: InstanceHandle = Host.instance("one", workerCount: 2)
    ) -> (result: Int32, id: UInt32, reason: String) {
        var metric = sluice_metric()
        metric.size = UInt32(MemoryLayout<sluice_metric>.size)
        metric.kind = UInt32(kind)
        metric.name = sluice_slice(permanent: name)
        metric.help = sluice_slice(permanent: help)
        metric.series_max = UInt32(seriesMax)
        metric.label_count = UInt32(labels.count)
        metric.bucket_count = UInt32(bounds.count)
        let names = labels.map { sluice_slice(permanent: $0) }
        var id: UInt32 = 0
        let made = names.withUnsafeBufferPointer { names in
            bounds.withUnsafeBufferPointer { bounds in
                metric.labels = names.baseAddress
                metric.buckets = bounds.baseAddress
                return PluginInstance.withErrorText { registry.define(instance, metric, &id, $0) }
            }
        }
        return (made.result, id, made.text)
    }
}

extension MetricRegistry {
    /// The series of these values; nil when it is refused.
    fileprivate func number(_ id: UInt32, _ values: [String] = []) -> UInt32? {
        let slices = values.map { sluice_slice(permanent: $0) }
        var number: UInt32 = 0
        let result = series(id, slices, UInt32(slices.count), &number)
        return result == SLUICE_OK ? number : nil
    }

    fileprivate var text: String {
        var text: [UInt8] = []
        let result = withUnsafeMutablePointer(to: &text) { address in
            var sink = sluice_sink()
            sink.context = UnsafeMutableRawPointer(address)
            sink.write = { context, bytes in
                context?.assumingMemoryBound(to: [UInt8].self).pointee
                    .append(
                        contentsOf: UnsafeBufferPointer(start: bytes.ptr, count: Int(bytes.len))
                    )
                return Int32(SLUICE_OK)
            }
            return MetricText.write(self, to: sink)
        }
        return result == SLUICE_OK ? String(decoding: text, as: UTF8.self) : "result \(result)"
    }
}

struct MetricsTests {
    private let registry = MetricRegistry()

    @Test
    func `all kinds are shown in the text format`() throws {
        let counter = Definition(labels: ["code", "method"]).define(in: registry)
        let gauge = Definition(name: "depth", kind: SLUICE_METRIC_GAUGE, help: "").define(
            in: registry
        )
        let times = Definition(
            name: "seconds",
            kind: SLUICE_METRIC_HISTOGRAM,
            help: "a\\b\nc \"d\"",
            bounds: [0.5, 1, 2.5]
        ).define(in: registry)
        let series = try #require(registry.number(counter.id, ["200", "GET"]))
        registry.add(series, 3)
        registry.add(series, 0)
        registry.add(try #require(registry.number(counter.id, ["404", "a\"\\\nb"])), 1)
        let depth = try #require(registry.number(gauge.id))
        registry.set(depth, 7)
        registry.add(depth, -9)
        let seconds = try #require(registry.number(times.id))
        for value in [0.25, 0.5, 0.75, 2.5, 100] { registry.observe(seconds, value) }
        #expect(
            registry.text == """
                # TYPE sluice_plugin_depth gauge
                sluice_plugin_depth{plugin="one"} -2
                # HELP sluice_plugin_requests Requests.
                # TYPE sluice_plugin_requests counter
                sluice_plugin_requests{plugin="one",code="200",method="GET"} 3
                sluice_plugin_requests{plugin="one",code="404",method="a\\"\\\\\\nb"} 1
                # HELP sluice_plugin_seconds a\\\\b\\nc "d"
                # TYPE sluice_plugin_seconds histogram
                sluice_plugin_seconds_bucket{plugin="one",le="0.5"} 2
                sluice_plugin_seconds_bucket{plugin="one",le="1"} 3
                sluice_plugin_seconds_bucket{plugin="one",le="2.5"} 4
                sluice_plugin_seconds_bucket{plugin="one",le="+Inf"} 5
                sluice_plugin_seconds_sum{plugin="one"} 104
                sluice_plugin_seconds_count{plugin="one"} 5

                """
        )
    }

    @Test
    func `what does not fit the kind does nothing`() throws {
        let counter = try #require(registry.number(Definition().define(in: registry).id))
        registry.add(counter, -1)
        registry.set(counter, 5)
        registry.observe(counter, 1)
        #expect(registry.value(counter) == 0)
        let times = Definition(name: "t", kind: SLUICE_METRIC_HISTOGRAM, bounds: [1])
        let histogram = try #require(registry.number(times.define(in: registry).id))
        registry.add(histogram, 1)
        registry.set(histogram, 1)
        registry.observe(histogram, .nan)
        registry.observe(histogram, .infinity)
        #expect(registry.histogram(histogram).buckets == [0, 0])
        for number in [histogram + 1, 1_023, 1_024, 1_048_575, 1_048_576, UInt32.max] {
            registry.add(number, 1)
            registry.set(number, 1)
            registry.observe(number, 1)
        }
    }

    @Test
    func `an instance that comes later counts on`() throws {
        let first = Definition(labels: ["code"]).define(in: registry)
        registry.add(try #require(registry.number(first.id, ["200"])), 1)
        let again = Definition(labels: ["code"]).define(in: registry)
        #expect((again.result, again.id) == (Int32(SLUICE_OK), first.id))
        let series = try #require(registry.number(again.id, ["200"]))
        registry.add(series, 1)
        #expect(registry.value(series) == 2)
    }

    @Test
    func `instances share a name and nothing else`() throws {
        let one = Definition().define(in: registry)
        let two = Definition().define(in: registry, Host.instance("t\"wo"))
        #expect(one.id != two.id)
        registry.add(try #require(registry.number(two.id)), 2)
        registry.add(try #require(registry.number(one.id)), 1)
        let lines = registry.text.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("#") }.count == 2)
        #expect(
            lines[2...] == [
                "sluice_plugin_requests{plugin=\"one\"} 1",
                "sluice_plugin_requests{plugin=\"t\\\"wo\"} 2",
            ]
        )
    }

    @Test
    func `another definition of the same name is refused`() {
        #expect(Definition(labels: ["a"]).define(in: registry).result == SLUICE_OK)
        let histogram = Definition(name: "h", kind: SLUICE_METRIC_HISTOGRAM, bounds: [1])
        #expect(histogram.define(in: registry).result == SLUICE_OK)
        let refused: [(Definition, String)] = [
            (
                Definition(kind: SLUICE_METRIC_GAUGE, labels: ["a"]),
                "requests: it is of another kind already"
            ),
            (Definition(labels: ["b"]), "requests: it has other labels already: a"),
            (
                Definition(name: "h", kind: SLUICE_METRIC_HISTOGRAM, bounds: [2]),
                "h: it has other buckets already"
            ),
            (Definition(name: "h_sum"), "h_sum: a name that the metric h takes"),
            (
                Definition(name: "requests_total"),
                "requests_total: a name that the metric requests takes"
            ),
            (Definition(name: "hook_calls_total"), "hook_calls_total: a metric of the host's own"),
        ]
        for (definition, reason) in refused {
            let made = definition.define(in: registry, Host.instance("two"))
            #expect((made.result, made.reason) == (Int32(SLUICE_EINVAL), reason))
        }
        let taken = Definition(name: "x_count").define(in: registry)
        #expect(taken.result == SLUICE_OK)
        let clash = Definition(name: "x", kind: SLUICE_METRIC_HISTOGRAM).define(in: registry)
        #expect(clash.reason == "x: a name that the metric x_count takes")
    }

    @Test(arguments: [
        ("a", true), ("a0_z", true), (String(repeating: "a", count: 100), true), ("", false),
        ("A", false), ("0a", false), ("_a", false), ("a-b", false), ("aB", false), ("ä", false),
        (String(repeating: "a", count: 101), false),
    ])
    func `names are plain`(name: String, isGood: Bool) {
        #expect((Definition(name: name).define(in: registry).result == SLUICE_OK) == isGood)
        let labelled = Definition(name: "x", labels: [name]).define(in: registry)
        #expect((labelled.result == SLUICE_OK) == isGood)
    }

    @Test
    func `bounds of a definition`() {
        let labels = (0..<9).map { "l\($0)" }
        let bounds = (0..<65).map(Double.init)
        let histogram = SLUICE_METRIC_HISTOGRAM
        let cases: [(Definition, Bool)] = [
            (Definition(name: "a", labels: Array(labels[..<8])), true),
            (Definition(name: "b", labels: labels), false),
            (Definition(name: "c", kind: histogram, bounds: Array(bounds[..<64])), true),
            (Definition(name: "d", kind: histogram, bounds: bounds), false),
            (Definition(name: "e", kind: histogram), true),
            (Definition(name: "f", kind: histogram, bounds: [1, 1]), false),
            (Definition(name: "g", kind: histogram, bounds: [.infinity]), false),
            (Definition(name: "h", bounds: [1]), false),
            (Definition(name: "i", seriesMax: 10_000), true),
            (Definition(name: "j", seriesMax: 10_001), false),
            (Definition(name: "k", help: String(repeating: "h", count: 1_000)), true),
            (Definition(name: "l", help: String(repeating: "h", count: 1_001)), false),
            (Definition(name: "m", labels: ["plugin"]), false),
            (Definition(name: "n", labels: ["le"]), false),
            (Definition(name: "o", labels: ["x", "x"]), false),
            (Definition(name: "p", kind: 0), false),
            (Definition(name: "q", kind: 4), false),
        ]
        for (definition, isGood) in cases {
            let made = definition.define(in: registry)
            #expect((made.result == SLUICE_OK) == isGood, "\(definition.name): \(made.reason)")
        }
    }

    @Test
    func `an instance has a bounded number of metrics`() {
        for index in 0..<256 {
            #expect(Definition(name: "m\(index)").define(in: registry).result == SLUICE_OK)
        }
        let over = Definition(name: "m256").define(in: registry)
        #expect((over.result, over.reason) == (Int32(SLUICE_ENOMEM), "m256: more than 256 metrics"))
        #expect(Definition(name: "m0").define(in: registry).result == SLUICE_OK)
        let other = Definition(name: "m256").define(in: registry, Host.instance("two"))
        #expect(other.result == SLUICE_OK)
    }

    // MARK: Series

    @Test(arguments: [(0, 100), (1, 1), (3, 3)])
    func `beyond the bound all share one series`(seriesMax: Int, most: Int) throws {
        let id = Definition(labels: ["a", "b"], seriesMax: seriesMax).define(in: registry).id
        let own = (0..<most).compactMap { registry.number(id, ["v\($0)", "x"]) }
        #expect(Set(own).count == most)
        let other = try #require(registry.number(id, ["over", "x"]))
        #expect(!own.contains(other))
        #expect(registry.number(id, ["more", "y"]) == other)
        #expect(registry.number(id, ["v0", "x"]) == own[0])
        registry.add(other, 5)
        let line = "sluice_plugin_requests{plugin=\"one\",a=\"other\",b=\"other\"} 5\n"
        #expect(registry.text.contains(line))
        #expect(registry.text.split(separator: "\n").count == 2 + most + 1)
    }

    @Test
    func `the values are those of the labels`() {
        let id = Definition(labels: ["a"]).define(in: registry).id
        #expect(registry.number(id, []) == nil)
        #expect(registry.number(id, ["1", "2"]) == nil)
        #expect(registry.number(0, ["1"]) == nil)
        #expect(registry.number(id + 1, ["1"]) == nil)
    }

    @Test(arguments: [127, 128, 129])
    func `a value is cut`(count: Int) throws {
        let id = Definition(labels: ["a"]).define(in: registry).id
        let value = String(repeating: "v", count: count)
        let series = try #require(registry.number(id, [value]))
        #expect(registry.number(id, [String(value.prefix(128))]) == series)
    }

    @Test
    func `a histogram's cells stand in one page`() throws {
        // 66 cells each: 15 of them leave room for less than one.
        let bounds = (0..<64).map(Double.init)
        let times = Definition(
            kind: SLUICE_METRIC_HISTOGRAM,
            labels: ["a"],
            bounds: bounds
        ).define(in: registry)
        for index in 0..<40 {
            let series = try #require(registry.number(times.id, ["\(index)"]))
            for bucket in 0...64 { registry.observe(series, Double(bucket)) }
        }
        for index in 0..<40 {
            let series = try #require(registry.number(times.id, ["\(index)"]))
            #expect(registry.histogram(series).buckets == [UInt64](repeating: 1, count: 65))
        }
    }

    // MARK: Threads

    @Test
    func `nothing that workers and others count is lost`() throws {
        let registry = registry
        let id = Definition().define(in: registry, Host.instance("one", workerCount: 4)).id
        let counter = try #require(registry.number(id))
        let gauge = try #require(
            registry.number(
                Definition(name: "g", kind: SLUICE_METRIC_GAUGE).define(in: registry).id
            )
        )
        let times = Definition(name: "t", kind: SLUICE_METRIC_HISTOGRAM, bounds: [1])
        let histogram = try #require(registry.number(times.define(in: registry).id))
        // Four workers of the instance, one that it does not know, and three other threads.
        Threads.run(8, as: { $0 < 5 ? .worker($0) : .other }) { _ in
            for index in 0..<10_000 {
                registry.add(counter, 2)
                registry.add(gauge, index % 2 == 0 ? 3 : -2)
                registry.observe(histogram, index % 2 == 0 ? 0.5 : 2)
            }
        }
        #expect(registry.value(counter) == 160_000)
        #expect(registry.value(gauge) == 40_000)
        let (sum, buckets) = registry.histogram(histogram)
        #expect(buckets == [40_000, 40_000])
        #expect(sum == 100_000)
    }

    @Test
    func `a gauge is what was set last, whoever set it`() throws {
        let registry = registry
        let id = Definition(kind: SLUICE_METRIC_GAUGE).define(in: registry).id
        let gauge = try #require(registry.number(id))
        for worker in 0..<2 {
            Threads.run(1, as: { _ in .worker(worker) }) { _ in registry.set(gauge, 10) }
        }
        #expect(registry.value(gauge) == 10)
    }

    // MARK: The sink

    @Test
    func `the sink's refusal ends the writing`() throws {
        let id = Definition().define(in: registry).id
        _ = registry.number(id)
        var sink = sluice_sink()
        #expect(MetricText.write(registry, to: sink) == SLUICE_EINVAL)
        sink.write = { _, _ in -77 }
        #expect(MetricText.write(registry, to: sink) == -77)
    }

    @Test
    func `the text comes in pieces`() throws {
        let id = Definition(labels: ["a"], seriesMax: 10_000).define(in: registry).id
        for index in 0..<5_000 { _ = registry.number(id, ["value \(index)"]) }
        var sizes: [Int] = []
        let result = withUnsafeMutablePointer(to: &sizes) { address in
            var sink = sluice_sink()
            sink.context = UnsafeMutableRawPointer(address)
            sink.write = { context, bytes in
                context?.assumingMemoryBound(to: [Int].self).pointee.append(Int(bytes.len))
                return Int32(SLUICE_OK)
            }
            return MetricText.write(registry, to: sink)
        }
        #expect(result == SLUICE_OK)
        #expect(sizes.count > 3)
        #expect(sizes.allSatisfy { $0 < MetricWriter.runBytes + 1_024 })
        #expect(sizes.reduce(0, +) == registry.text.utf8.count)
    }

    @Test
    func `nothing defined is an empty text`() {
        #expect(registry.text == "")
        _ = Definition().define(in: registry)
        #expect(registry.text == "")
    }
}
