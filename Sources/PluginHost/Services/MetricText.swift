import CSluice
import Synchronization

/// The metrics of plugins as families.
enum MetricText {
    private static let prefix = "sluice_plugin_"

    static func write(_ registry: MetricRegistry, to writer: MetricWriter) {
        // A copy, so that the sink may take its time, and may even define metrics.
        let definitions = registry.definitions.withLock { $0 }
        var byName: [String: [MetricRegistry.Metric]] = [:]
        for metric in definitions.metrics where !metric.series.isEmpty {
            byName[metric.name, default: []].append(metric)
        }
        for (name, metrics) in byName.sorted(by: { $0.key < $1.key }) {
            guard let family = definitions.families[name] else { continue }
            let kind: MetricKind =
                switch Int(family.kind) {
                case SLUICE_METRIC_COUNTER: .counter
                case SLUICE_METRIC_GAUGE: .gauge
                default: .histogram
                }
            writer.family(prefix + name, kind, family.help)
            for metric in metrics {
                for series in metric.series {
                    write(series, of: metric, family, registry, to: writer)
                }
            }
        }
    }

    /// The metrics of one registry, as one text in format 0.0.4.
    static func write(_ registry: MetricRegistry, to sink: sluice_sink) -> Int32 {
        let writer = MetricWriter(.text, to: sink)
        write(registry, to: writer)
        return writer.finish()
    }

    private static func write(
        _ series: MetricRegistry.LabelledSeries,
        of metric: MetricRegistry.Metric,
        _ family: MetricRegistry.Family,
        _ registry: MetricRegistry,
        to writer: MetricWriter
    ) {
        let labels: MetricLabels =
            [("plugin", metric.instance)] + zip(family.labels, series.values).map { ($0, $1) }
        guard family.kind == SLUICE_METRIC_HISTOGRAM else {
            writer.sample(registry.value(series.number), labels)
            return
        }
        let (sum, buckets) = registry.histogram(series.number)
        writer.histogram(labels, bounds: family.bounds, counts: buckets, sum: sum)
    }
}
