public import CSluice

/// A number that only grows: one series of a metric.
public struct Counter: BitwiseCopyable {
    @usableFromInline let series: Series

    /// Adds to it, without a lock; any thread.
    @inlinable
    public func add(_ amount: Int = 1) {
        series.core?.pointee.metric_add(series.number, Int64(amount))
    }
}

/// A number that is set, or goes up and down: one series of a metric.
public struct Gauge: BitwiseCopyable {
    @usableFromInline let series: Series

    /// Adds to it, also less than 0; any thread.
    @inlinable
    public func add(_ amount: Int) {
        series.core?.pointee.metric_add(series.number, Int64(amount))
    }

    /// Sets it; any thread.
    @inlinable
    public func set(_ value: Int) {
        series.core?.pointee.metric_set(series.number, Int64(value))
    }
}

/// Observations, counted by bucket: one series of a metric.
public struct Histogram: BitwiseCopyable {
    @usableFromInline let series: Series

    /// Counts one value, in the unit that the metric's name ends in; any thread.
    @inlinable
    public func observe(_ value: Double) {
        series.core?.pointee.metric_observe(series.number, value)
    }
}

/// What a counter, a gauge and a histogram are made of.
@usableFromInline
struct Series: BitwiseCopyable {
    // Nil while a configuration is checked: then nothing is counted.
    @usableFromInline let core: UnsafePointer<sluice_core>?
    @usableFromInline let number: UInt32

    init(_ metric: Metric, _ values: [Bytes]) throws(PluginError) {
        core = metric.core
        var number: UInt32 = 0
        if let core {
            let slices = values.map { $0.slice }
            let result = slices.withUnsafeBufferPointer { slices in
                core.pointee.metric_series(
                    metric.id,
                    slices.baseAddress,
                    UInt32(slices.count),
                    &number
                )
            }
            guard result == SLUICE_OK else {
                throw PluginError("a metric has other labels than \(values.count) values")
            }
        }
        self.number = number
    }
}

/// A metric with labels.
///
/// Its series are what is counted: look them up once and keep them.
public struct Metric: BitwiseCopyable {
    let core: UnsafePointer<sluice_core>?
    let id: UInt32
    let kind: UInt32

    /// The counter for these values of the labels, in the order of the labels.
    ///
    /// Beyond the bound on series, all share one whose labels say "other". On the control thread or
    /// a worker's.
    ///
    /// - Throws: when there are more or fewer values than labels, or the metric is no counter.
    public func counter(_ values: Bytes...) throws(PluginError) -> Counter {
        try expect(SLUICE_METRIC_COUNTER)
        return Counter(series: try Series(self, values))
    }

    /// The gauge for these values; as `counter`.
    ///
    /// - Throws: as `counter`.
    public func gauge(_ values: Bytes...) throws(PluginError) -> Gauge {
        try expect(SLUICE_METRIC_GAUGE)
        return Gauge(series: try Series(self, values))
    }

    /// The histogram for these values; as `counter`.
    ///
    /// - Throws: as `counter`.
    public func histogram(_ values: Bytes...) throws(PluginError) -> Histogram {
        try expect(SLUICE_METRIC_HISTOGRAM)
        return Histogram(series: try Series(self, values))
    }

    private func expect(_ wanted: some BinaryInteger) throws(PluginError) {
        guard kind == UInt32(truncatingIfNeeded: wanted) else {
            throw PluginError("a metric is of another kind")
        }
    }
}

extension Host {
    /// Defines a counter without labels; in `init`.
    ///
    /// - Parameters:
    ///   - name: `[a-z][a-z0-9_]*`, up to 100 bytes, as "denied_total"; shown with
    ///     "sluice_plugin_" before it.
    ///   - help: one line.
    /// - Throws: what is wrong with it.
    public func counter(_ name: Bytes, help: Bytes) throws(PluginError) -> Counter {
        try counters(name, help: help, labels: []).counter()
    }

    /// Defines a gauge without labels; as `counter`.
    ///
    /// - Throws: what is wrong with it.
    public func gauge(_ name: Bytes, help: Bytes) throws(PluginError) -> Gauge {
        try gauges(name, help: help, labels: []).gauge()
    }

    /// Defines a histogram without labels; as `counter`.
    ///
    /// - Parameters:
    ///   - name: as of `counter`.
    ///   - help: one line.
    ///   - buckets: upper bounds, rising, up to 64, without the infinite one.
    /// - Throws: what is wrong with it.
    public func histogram(
        _ name: Bytes,
        help: Bytes,
        buckets: [Double]
    ) throws(PluginError) -> Histogram {
        try histograms(name, help: help, labels: [], buckets: buckets).histogram()
    }

    /// Defines a counter with labels; in `init`.
    ///
    /// - Parameters:
    ///   - name: as of `counter`.
    ///   - help: one line.
    ///   - labels: names, up to 8.
    ///   - seriesMax: 1 to 10,000.
    /// - Throws: what is wrong with it.
    public func counters(
        _ name: Bytes,
        help: Bytes,
        labels: [Bytes],
        seriesMax: Int = 100
    ) throws(PluginError) -> Metric {
        try define(UInt32(SLUICE_METRIC_COUNTER), name, help, labels, seriesMax, [])
    }

    /// Defines a gauge with labels; as `counters`.
    ///
    /// - Throws: what is wrong with it.
    public func gauges(
        _ name: Bytes,
        help: Bytes,
        labels: [Bytes],
        seriesMax: Int = 100
    ) throws(PluginError) -> Metric {
        try define(UInt32(SLUICE_METRIC_GAUGE), name, help, labels, seriesMax, [])
    }

    /// Defines a histogram with labels; as `counters`.
    ///
    /// - Throws: what is wrong with it.
    public func histograms(
        _ name: Bytes,
        help: Bytes,
        labels: [Bytes],
        buckets: [Double],
        seriesMax: Int = 100
    ) throws(PluginError) -> Metric {
        try define(UInt32(SLUICE_METRIC_HISTOGRAM), name, help, labels, seriesMax, buckets)
    }

    private func define(
        _ kind: UInt32,
        _ name: Bytes,
        _ help: Bytes,
        _ labels: [Bytes],
        _ seriesMax: Int,
        _ buckets: [Double]
    ) throws(PluginError) -> Metric {
        guard let services else { return Metric(core: nil, id: 0, kind: kind) }
        let core = services.pointee.core
        var metric = sluice_metric()
        metric.size = UInt32(MemoryLayout<sluice_metric>.size)
        metric.kind = kind
        metric.name = name.slice
        metric.help = help.slice
        metric.label_count = UInt32(labels.count)
        metric.series_max = UInt32(seriesMax)
        metric.bucket_count = UInt32(buckets.count)
        var id: UInt32 = 0
        let slices = labels.map { $0.slice }
        var text = ErrorText()
        let result = slices.withUnsafeBufferPointer { slices in
            buckets.withUnsafeBufferPointer { buckets in
                metric.labels = slices.baseAddress
                metric.buckets = buckets.baseAddress
                return text.withBuffer {
                    core.pointee.metric_define(services.pointee.handle, &metric, &id, $0)
                }
            }
        }
        guard result == SLUICE_OK else {
            throw PluginError("metric \(String(name)): \(text.text)")
        }
        return Metric(core: core, id: id, kind: kind)
    }
}

/// How `Host.writeMetrics` writes.
public enum MetricsFormat: UInt32, Sendable {
    /// The Prometheus text format 0.0.4.
    case text = 0
    /// OpenMetrics 1.0; its text ends with the line "# EOF".
    case openMetrics = 1
}

extension Host {
    /// Writes what the host and all plugins have counted.
    ///
    /// Any thread.
    ///
    /// - Parameters:
    ///   - format: text, unless it says otherwise.
    ///   - write: takes a piece of about 64 KiB, valid until it returns; false ends it.
    /// - Throws: `unsupported` where the host has no `sluice.metrics/1`, or not this format;
    ///   `again` when `write` ended it.
    public func writeMetrics(
        _ format: MetricsFormat = .text,
        _ write: (Bytes) -> Bool
    ) throws(ServiceError) {
        guard let metrics = services?.pointee.metrics else { throw .unsupported }
        guard format == .text || metrics.pointee.write_as != nil else { throw .unsupported }
        // Safe: the host calls the closure only until `write` of the table has returned.
        let result = withoutActuallyEscaping(write) { write in
            var write = write
            return withUnsafeMutablePointer(to: &write) { place in
                var sink = sluice_sink()
                sink.size = UInt32(MemoryLayout<sluice_sink>.size)
                sink.context = UnsafeMutableRawPointer(place)
                sink.write = { context, bytes in
                    let write = context.unsafelyUnwrapped
                        .assumingMemoryBound(to: ((Bytes) -> Bool).self)
                    return write.pointee(Bytes(bytes)) ? 0 : Int32(SLUICE_EAGAIN)
                }
                guard format != .text, let writeAs = metrics.pointee.write_as else {
                    return metrics.pointee.write(&sink)
                }
                return writeAs(format.rawValue, &sink)
            }
        }
        try ServiceError.check(result)
    }
}

/// Room for one line that the host writes.
struct ErrorText {
    static let bytesMax = 256

    private(set) var text = ""

    mutating func withBuffer(_ body: (UnsafeMutablePointer<sluice_errbuf>) -> Int32) -> Int32 {
        let room = UnsafeMutablePointer<CChar>.allocate(capacity: ErrorText.bytesMax)
        defer { room.deallocate() }
        var buffer = sluice_errbuf()
        buffer.size = UInt32(MemoryLayout<sluice_errbuf>.size)
        buffer.cap = UInt32(ErrorText.bytesMax)
        buffer.ptr = room
        let result = body(&buffer)
        // Safe: the host wrote `len` bytes, at most as many as there is room for.
        let bytes = UnsafeRawPointer(room).assumingMemoryBound(to: UInt8.self)
        text = String(Bytes(bytes, count: min(Int(buffer.len), ErrorText.bytesMax)))
        return result
    }
}
