import CSluice

/// The metrics of all plugins.
public enum Metrics {
    /// In the Prometheus text format 0.0.4. [any thread]
    public static var text: String {
        let runs = Runs()
        var sink = sluice_sink()
        sink.size = UInt32(MemoryLayout<sluice_sink>.size)
        // Safe: `runs` outlives the call, which keeps nothing.
        sink.context = Unmanaged.passUnretained(runs).toOpaque()
        sink.write = { context, run in
            guard let context else { return Int32(SLUICE_EINVAL) }
            Unmanaged<Runs>.fromOpaque(context).takeUnretainedValue().text += run.text
            return Int32(SLUICE_OK)
        }
        return withExtendedLifetime(runs) {
            _ = MetricText.write(.shared, to: sink)
            return runs.text + ImageRegistry.shared.metricText()
        }
    }

    private final class Runs {
        var text = ""
    }
}
