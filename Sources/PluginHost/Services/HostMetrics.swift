import CSluice
import Synchronization

/// Metrics that the host keeps of each plugin, among those of the plugin's own.
enum HostMetric: String {
    case faults = "faults_total"
    case skipped = "skipped_total"
    case circuits = "circuits_open"
    case hookCalls = "hook_calls_total"
    case hookErrors = "hook_errors_total"
    case hookTimes = "hook_duration_seconds"

    fileprivate var kind: Int {
        switch self {
        case .circuits: SLUICE_METRIC_GAUGE
        case .hookTimes: SLUICE_METRIC_HISTOGRAM
        default: SLUICE_METRIC_COUNTER
        }
    }

    fileprivate var labels: [String] {
        switch self {
        case .faults: ["kind"]
        case .skipped, .circuits: []
        case .hookCalls, .hookErrors, .hookTimes: ["phase"]
        }
    }

    /// Seconds: a hook takes microseconds, unless something is wrong.
    fileprivate var bounds: [Double] {
        self == .hookTimes
            ? [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 1e-2, 1e-1] : []
    }

    fileprivate var help: String {
        switch self {
        case .faults: "Faults of the plugin that the host noticed."
        case .skipped: "Requests that did not pass the plugin because its circuit was open."
        case .circuits: "Workers on which the plugin's circuit is open."
        case .hookCalls: "Calls of the plugin's hooks, by phase."
        case .hookErrors: "Calls of hooks that were faults, by phase."
        case .hookTimes: "Time of calls of hooks, of one request in \(HookSampling.period)."
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
            bounds: metric.bounds
        ).permanent()
        let placed = definitions.withLock { definitions -> UInt32? in
            cells.grow(workers: workers)
            let known = definitions.families[metric.rawValue]
            // A plugin was first to use the name, for something else.
            if let known,
                known.kind != family.kind || known.labels != family.labels
                    || known.bounds != family.bounds
            {
                return nil
            }
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
