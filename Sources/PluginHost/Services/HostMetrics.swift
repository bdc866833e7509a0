import CSluice
import Synchronization

/// Metrics that the host keeps of each plugin, among those of the plugin's own.
enum HostMetric: String {
    case faults = "faults_total"
    case skipped = "skipped_total"
    case circuits = "circuits_open"

    fileprivate var kind: Int { self == .circuits ? SLUICE_METRIC_GAUGE : SLUICE_METRIC_COUNTER }

    fileprivate var labels: [String] { self == .faults ? ["kind"] : [] }

    fileprivate var help: String {
        switch self {
        case .faults: "Faults of the plugin that the host noticed."
        case .skipped: "Requests that did not pass the plugin because its circuit was open."
        case .circuits: "Workers on which the plugin's circuit is open."
        }
    }
}

extension MetricRegistry {
    /// The series of a metric of the host; none that counts when there is no room for it.
    ///
    /// - Parameters:
    ///   - instance: the plugin's name.
    ///   - value: of its label, where it has one.
    func hostSeries(
        _ metric: HostMetric,
        of instance: String,
        _ value: String?,
        workers: Int
    ) -> UInt32 {
        let family = Family(
            kind: UInt32(metric.kind),
            help: metric.help,
            labels: metric.labels,
            bounds: []
        )
        let placed = definitions.withLock { definitions -> UInt32? in
            cells.grow(workers: workers)
            let known = definitions.families[metric.rawValue]
            // A plugin was first to use the name, for something else.
            if let known, known.kind != family.kind || known.labels != family.labels { return nil }
            if known == nil { definitions.families[metric.rawValue] = family }
            let key = [instance, metric.rawValue]
            if definitions.places[key] == nil {
                definitions.places[key] = definitions.metrics.count
                definitions.metrics.append(
                    Metric(
                        instance: instance,
                        name: metric.rawValue,
                        seriesMax: Self.seriesMaxDefault
                    )
                )
            }
            return definitions.places[key].map { UInt32($0) + 1 }
        }
        guard let placed else { return .max }
        var number = UInt32.max
        var text = value ?? ""
        _ = text.withUTF8 { bytes in
            withUnsafePointer(
                to: sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count))
            ) { series(placed, $0, value == nil ? 0 : 1, &number) }
        }
        return number
    }
}
