public import CSluice
import Synchronization

/// All metrics of the process: the host's own, and those of all plugins.
public enum Metrics {
    /// Who writes families of the host's, by a name of its own, in the order of these.
    private static let sources = Mutex<[String: @Sendable (MetricWriter) -> Void]>([:])

    private static let readers = Atomic<Bool>(false)

    /// Whether anybody can ask for them: only then workers count requests.
    ///
    /// True for good, once it is.
    public static var haveReader: Bool { readers.load(ordering: .relaxed) }

    /// There is an admin interface, or a plugin that needs `sluice.metrics/1`.
    public static func expectReader() { readers.store(true, ordering: .relaxed) }

    /// Has families written whenever somebody asks, in place of what this source wrote before.
    ///
    /// - Parameter write: called on any thread; takes no lock that is held for long.
    public static func setSource(
        _ name: String,
        _ write: @escaping @Sendable (MetricWriter) -> Void
    ) {
        sources.withLock { $0[name] = write }
    }

    /// Writes all metrics to a sink, in pieces of about 64 KiB. [any thread]
    ///
    /// - Returns: the first result of the sink that is not SLUICE_OK, which ended it.
    public static func write(_ format: MetricFormat, to sink: sluice_sink) -> Int32 {
        let writer = MetricWriter(format, to: sink)
        for source in sources.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            source.value(writer)
        }
        MetricText.write(.shared, to: writer)
        ImageRegistry.shared.write(to: writer)
        return writer.finish()
    }

    /// All metrics as one text. [any thread]
    public static func text(_ format: MetricFormat = .text) -> String {
        text { write(format, to: $0) }
    }

    /// What somebody writes to a sink.
    static func text(_ body: (sluice_sink) -> Int32) -> String {
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
            _ = body(sink)
            return runs.text
        }
    }

    private final class Runs {
        var text = ""
    }
}
