import CSluice
import Synchronization

/// All metrics in the Prometheus text format 0.0.4.
enum MetricText {
    /// Bytes that are given to the sink at a time, about.
    static let runBytes = 65_536
    private static let prefix = "sluice_plugin_"

    /// Writes to a sink; its first result that is not OK ends it and is returned.
    static func write(_ registry: MetricRegistry, to sink: sluice_sink) -> Int32 {
        guard let write = sink.write else { return Int32(SLUICE_EINVAL) }
        // A copy, so that the sink may take its time, and may even define metrics.
        let definitions = registry.definitions.withLock { $0 }
        var byName: [String: [MetricRegistry.Metric]] = [:]
        for metric in definitions.metrics where !metric.series.isEmpty {
            byName[metric.name, default: []].append(metric)
        }
        var text: [UInt8] = []
        func flush() -> Int32 {
            defer { text.removeAll(keepingCapacity: true) }
            return text.withUnsafeBufferPointer { bytes in
                write(
                    sink.context,
                    sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count))
                )
            }
        }
        for (name, metrics) in byName.sorted(by: { $0.key < $1.key }) {
            guard let family = definitions.families[name] else { continue }
            appendHead(name, family, to: &text)
            for metric in metrics {
                for series in metric.series {
                    appendLines(registry, metric, family, series, to: &text)
                    if text.count >= runBytes {
                        let result = flush()
                        guard result == SLUICE_OK else { return result }
                    }
                }
            }
        }
        return text.isEmpty ? Int32(SLUICE_OK) : flush()
    }

    /// Gives a text that is made already to a sink.
    static func write(_ text: String, to sink: sluice_sink) -> Int32 {
        guard let write = sink.write else { return Int32(SLUICE_EINVAL) }
        return Array(text.utf8).withUnsafeBufferPointer { bytes in
            write(sink.context, sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count)))
        }
    }

    private static func appendHead(
        _ name: String,
        _ family: MetricRegistry.Family,
        to text: inout [UInt8]
    ) {
        let kind =
            switch Int(family.kind) {
            case SLUICE_METRIC_COUNTER: "counter"
            case SLUICE_METRIC_GAUGE: "gauge"
            default: "histogram"
            }
        if !family.help.isEmpty {
            text += "# HELP \(prefix)\(name) \(escaped(family.help, quotes: false))\n".utf8
        }
        text += "# TYPE \(prefix)\(name) \(kind)\n".utf8
    }

    private static func appendLines(
        _ registry: MetricRegistry,
        _ metric: MetricRegistry.Metric,
        _ family: MetricRegistry.Family,
        _ series: MetricRegistry.LabelledSeries,
        to text: inout [UInt8]
    ) {
        var labels = "plugin=\"\(escaped(metric.instance, quotes: true))\""
        for (label, value) in zip(family.labels, series.values) {
            labels += ",\(label)=\"\(escaped(value, quotes: true))\""
        }
        let name = prefix + metric.name
        guard family.kind == SLUICE_METRIC_HISTOGRAM else {
            text += "\(name){\(labels)} \(registry.value(series.number))\n".utf8
            return
        }
        let (sum, buckets) = registry.histogram(series.number)
        var count: UInt64 = 0
        for (index, observations) in buckets.enumerated() {
            count &+= observations
            let bound = index < family.bounds.count ? number(family.bounds[index]) : "+Inf"
            text += "\(name)_bucket{\(labels),le=\"\(bound)\"} \(count)\n".utf8
        }
        text += "\(name)_sum{\(labels)} \(number(sum))\n".utf8
        text += "\(name)_count{\(labels)} \(count)\n".utf8
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }

    /// "0.5", and "5" without a fraction.
    private static func number(_ value: Double) -> String {
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
