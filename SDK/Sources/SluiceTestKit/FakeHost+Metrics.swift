import CSluice

/// A metric that an instance has defined.
struct MetricRecord {
    let name: String
    let kind: UInt32
    let labels: [String]
    let seriesMax: Int
    var series: [[String]: SeriesRecord] = [:]
}

/// What was counted; found by a number.
final class SeriesRecord {
    let kind: UInt32
    var value: Int64 = 0
    var observations: [Double] = []

    init(kind: UInt32) { self.kind = kind }
}

/// Numbers of metrics and series: the functions that take them are told no host.
private enum Numbers {
    // Safe: read and written under the lock. Number n is the element before it, as 0 is none.
    nonisolated(unsafe) static var metrics: [(host: FakeHost, index: Int)] = []
    nonisolated(unsafe) static var series: [SeriesRecord] = []

    static func series(_ number: UInt32) -> SeriesRecord? {
        let index = Int(number) - 1
        return series.indices.contains(index) ? series[index] : nil
    }
}

extension FakeHost {
    /// The value of a counter or a gauge; nil when there is no such series.
    public func metric(_ name: String, _ labels: String...) -> Int? {
        locked { metrics.first { $0.name == name }?.series[labels].map { Int($0.value) } }
    }

    /// What a histogram was told, in order; nil when there is no such series.
    public func observations(_ name: String, _ labels: String...) -> [Double]? {
        locked { metrics.first { $0.name == name }?.series[labels]?.observations }
    }

    /// What the metrics of all hosts of the process are, in no format in particular: whoever shows
    /// the text passes it on.
    ///
    /// Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let metricsText: UnsafePointer<sluice_metrics> = {
        var metrics = sluice_metrics()
        metrics.size = UInt32(MemoryLayout<sluice_metrics>.size)
        metrics.write = {
            FakeHost.write(["# HELP sluice_plugin_x X.\n", "sluice_plugin_x 1\n"], $0)
        }
        metrics.write_as = { format, sink in
            switch Int(format) {
            case SLUICE_METRICS_TEXT:
                FakeHost.write(["# HELP sluice_plugin_x X.\n", "sluice_plugin_x 1\n"], sink)
            case SLUICE_METRICS_OPENMETRICS:
                FakeHost.write(["sluice_plugin_x 1\n", "# EOF\n"], sink)
            default: Int32(SLUICE_EINVAL)
            }
        }
        return place(metrics)
    }()

    private static func write(_ pieces: [String], _ sink: UnsafePointer<sluice_sink>?) -> Int32 {
        guard let sink, let write = sink.pointee.write else { return Int32(SLUICE_EINVAL) }
        for text in pieces {
            let arena = Arena()
            let result = write(sink.pointee.context, arena.slice(text))
            arena.poison()
            if result != SLUICE_OK { return result }
        }
        return Int32(SLUICE_OK)
    }

    static func addMetrics(to core: inout sluice_core) {
        core.metric_define = { host, metric, id, error in
            guard let metric, let id else { return Int32(SLUICE_EINVAL) }
            let host = FakeHost.of(host)
            guard host.expect(.control, in: "metric_define") else { return Int32(SLUICE_EINVAL) }
            let fault = host.fault(in: metric.pointee) ?? host.define(metric.pointee, id)
            guard let fault else { return Int32(SLUICE_OK) }
            FakeHost.write(fault, error)
            return Int32(SLUICE_EINVAL)
        }
        core.metric_series = { FakeHost.findSeries($0, $1, $2, $3) }
        core.metric_add = { number, value in
            locked {
                guard let series = Numbers.series(number), series.kind != SLUICE_METRIC_HISTOGRAM,
                    series.kind == SLUICE_METRIC_GAUGE || value >= 0
                else { return }
                series.value += value
            }
        }
        core.metric_set = { number, value in
            locked {
                guard let series = Numbers.series(number), series.kind == SLUICE_METRIC_GAUGE
                else { return }
                series.value = value
            }
        }
        core.metric_observe = { number, value in
            locked {
                guard let series = Numbers.series(number), series.kind == SLUICE_METRIC_HISTOGRAM
                else { return }
                series.observations.append(value)
            }
        }
    }

    private func fault(in metric: sluice_metric) -> String? {
        let name = String(metric.name)
        let letters = name.utf8.allSatisfy {
            $0 >= 97 && $0 <= 122 || $0 >= 48 && $0 <= 57 || $0 == 95
        }
        guard letters, let first = name.utf8.first, first >= 97, name.utf8.count <= 100 else {
            return "no name of a metric"
        }
        guard metric.label_count <= UInt32(SLUICE_METRIC_LABELS_MAX) else {
            return "more than \(SLUICE_METRIC_LABELS_MAX) labels"
        }
        guard metric.series_max <= UInt32(SLUICE_METRIC_SERIES_MAX) else {
            return "more than \(SLUICE_METRIC_SERIES_MAX) series"
        }
        let buckets = UnsafeBufferPointer(start: metric.buckets, count: Int(metric.bucket_count))
        guard buckets.count <= SLUICE_METRIC_BUCKETS_MAX,
            zip(buckets, buckets.dropFirst()).allSatisfy({ $0 < $1 })
        else { return "buckets do not rise, or are more than \(SLUICE_METRIC_BUCKETS_MAX)" }
        return nil
    }

    private func define(_ metric: sluice_metric, _ id: UnsafeMutablePointer<UInt32>) -> String? {
        let labels = (0..<Int(metric.label_count)).map { String(metric.labels[$0]) }
        let record = MetricRecord(
            name: String(metric.name),
            kind: metric.kind,
            labels: labels,
            seriesMax: metric.series_max == 0 ? 100 : Int(metric.series_max)
        )
        return locked {
            if let index = metrics.firstIndex(where: { $0.name == record.name }) {
                guard metrics[index].kind == record.kind, metrics[index].labels == labels else {
                    return "it has another kind or other labels already"
                }
                let known = Numbers.metrics.firstIndex { $0.host === self && $0.index == index }
                id.pointee = UInt32((known ?? -1) + 1)
                return nil
            }
            metrics.append(record)
            Numbers.metrics.append((self, metrics.count - 1))
            id.pointee = UInt32(Numbers.metrics.count)
            return nil
        }
    }

    private static func findSeries(
        _ id: UInt32,
        _ values: UnsafePointer<sluice_slice>?,
        _ count: UInt32,
        _ number: UnsafeMutablePointer<UInt32>?
    ) -> Int32 {
        var labels: [String] = []
        for index in 0..<Int(count) {
            if let values { labels.append(String(values[index])) }
        }
        return locked {
            guard Numbers.metrics.indices.contains(Int(id) - 1) else {
                return Int32(SLUICE_EINVAL)
            }
            let (host, index) = Numbers.metrics[Int(id) - 1]
            let metric = host.metrics[index]
            guard metric.labels.count == labels.count else { return Int32(SLUICE_EINVAL) }
            if metric.series[labels] == nil, metric.series.count >= metric.seriesMax {
                labels = labels.map { _ in "other" }
            }
            let series = metric.series[labels] ?? SeriesRecord(kind: metric.kind)
            host.metrics[index].series[labels] = series
            if let known = Numbers.series.firstIndex(where: { $0 === series }) {
                number?.pointee = UInt32(known + 1)
            } else {
                Numbers.series.append(series)
                number?.pointee = UInt32(Numbers.series.count)
            }
            return Int32(SLUICE_OK)
        }
    }

    private static func write(_ text: String, _ error: UnsafeMutablePointer<sluice_errbuf>?) {
        guard let error, let start = error.pointee.ptr else { return }
        let bytes = Array(text.utf8.prefix(Int(error.pointee.cap)))
        for (index, byte) in bytes.enumerated() { start[index] = CChar(bitPattern: byte) }
        error.pointee.len = UInt32(bytes.count)
    }
}
