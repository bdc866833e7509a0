import CSluice
import Synchronization

/// Metrics of all plugins, by instance and name.
///
/// They live as long as the process, so an instance that takes another one's place counts on.
final class MetricRegistry: @unchecked Sendable {
    // Safe: `definitions` is locked, the rest is published by atomics and never freed.
    static let shared = MetricRegistry()

    /// Metrics of one instance.
    static let metricsPerInstanceMax = 256
    /// Series of a metric that does not say how many it may have.
    static let seriesMaxDefault = 100
    /// Series of the process.
    static let seriesTotalMax = 1_048_576
    /// Bytes of the name of a metric or a label, of a help text, and of a label's value, which is
    /// cut there.
    static let nameBytesMax = 100
    static let helpBytesMax = 1_000
    static let valueBytesMax = 128
    /// The value of every label of the series that all share beyond the bound.
    static let otherValue = "other"
    /// Names that the host itself has under the same prefix.
    static let ownNames: Set<String> = [
        "images", "image_bytes", "images_unmapped", "images_unmapped_total", "hook_calls",
        "hook_calls_total", "hook_errors", "hook_errors_total", "hook_duration_seconds",
    ]
    private static let chunkCount = 1_024

    /// What `add` and its like must know of a series.
    struct Series {
        var kind: UInt32
        /// Index of its first cell.
        ///
        /// A histogram's is the sum; the buckets follow.
        var cell: Int
        var bounds: UnsafePointer<Double>?
        var boundCount = 0
    }

    /// What metrics of one name have in common, whatever their instance.
    struct Family: @unchecked Sendable {
        // Safe: `boundsInMemory` is never changed and never freed.
        var kind: UInt32
        var help: String
        var labels: [String]
        var bounds: [Double]
        var boundsInMemory: UnsafePointer<Double>?
    }

    struct LabelledSeries: Sendable {
        var number: UInt32
        var values: [String]
    }

    /// One metric of one instance.
    struct Metric: Sendable {
        var instance: String
        var name: String
        var seriesMax: Int
        /// Those that were asked for, in that order.
        var series: [LabelledSeries] = []
        var numbers: [[String]: UInt32] = [:]
    }

    struct Definitions: Sendable {
        var families: [String: Family] = [:]
        var metrics: [Metric] = []
        /// Index of a metric by instance and name.
        var places: [[String]: Int] = [:]
        var perInstance: [String: Int] = [:]
        var seriesCount = 0
    }

    let definitions = Mutex(Definitions())
    let cells = MetricCells()
    /// A cell that nobody shows, for what there is no room to count.
    let nowhere: Int
    /// Addresses of chunks of `Series`.
    private let chunks: UnsafeMutablePointer<Atomic<UInt>>

    init() {
        let count = Self.seriesTotalMax / Self.chunkCount
        chunks = .allocate(capacity: count)
        for chunk in 0..<count { chunks.advanced(by: chunk).initialize(to: Atomic(0)) }
        nowhere = cells.take(1) ?? 0
    }

    // MARK: Series

    /// `metric_series` of the ABI.
    func series(
        _ id: UInt32,
        _ values: UnsafePointer<sluice_slice>?,
        _ count: UInt32,
        _ number: UnsafeMutablePointer<UInt32>
    ) -> Int32 {
        definitions.withLock { definitions in
            guard id >= 1, id <= definitions.metrics.count else { return Int32(SLUICE_EINVAL) }
            let at = Int(id) - 1
            let metric = definitions.metrics[at]
            guard let family = definitions.families[metric.name],
                Int(count) == family.labels.count, values != nil || count == 0
            else { return Int32(SLUICE_EINVAL) }
            let texts = (0..<Int(count)).map {
                values?[$0].text(bytesMax: Self.valueBytesMax) ?? ""
            }
            if let known = metric.numbers[texts] {
                number.pointee = known
                return Int32(SLUICE_OK)
            }
            let others = texts.map { _ in Self.otherValue }
            let other = metric.numbers[others]
            let isFull = metric.series.count - (other == nil ? 0 : 1) >= metric.seriesMax
            if isFull, let other {
                number.pointee = other
                return Int32(SLUICE_OK)
            }
            guard let made = makeSeries(family, &definitions) else { return Int32(SLUICE_ENOMEM) }
            let labels = isFull ? others : texts
            definitions.metrics[at].series.append(LabelledSeries(number: made, values: labels))
            definitions.metrics[at].numbers[labels] = made
            number.pointee = made
            return Int32(SLUICE_OK)
        }
    }

    private func makeSeries(_ family: Family, _ definitions: inout Definitions) -> UInt32? {
        let isHistogram = family.kind == SLUICE_METRIC_HISTOGRAM
        // The sum, a cell for each bound, and one for what is above all of them.
        let cellCount = isHistogram ? family.bounds.count + 2 : 1
        let number = definitions.seriesCount
        guard number < Self.seriesTotalMax, let cell = cells.take(cellCount) else { return nil }
        let place = number % Self.chunkCount
        if place == 0 {
            let chunk = UnsafeMutablePointer<Series>.allocate(capacity: Self.chunkCount)
            chunk.initialize(repeating: Series(kind: 0, cell: 0), count: Self.chunkCount)
            chunks[number / Self.chunkCount].store(UInt(bitPattern: chunk), ordering: .releasing)
        }
        guard let series = series(UInt32(number)) else { return nil }
        series.pointee = Series(
            kind: family.kind,
            cell: cell,
            bounds: family.boundsInMemory,
            boundCount: family.bounds.count
        )
        definitions.seriesCount += 1
        return UInt32(number)
    }

    /// What a number names.
    ///
    /// One that was never given out is of no kind, so nothing comes of it.
    @inline(__always)
    func series(_ number: UInt32) -> UnsafeMutablePointer<Series>? {
        guard number < UInt32(Self.seriesTotalMax) else { return nil }
        let chunk = chunks[Int(number) / Self.chunkCount].load(ordering: .acquiring)
        return UnsafeMutablePointer<Series>(bitPattern: chunk)?
            .advanced(by: Int(number) % Self.chunkCount)
    }

    // MARK: Values, from any thread

    /// `metric_add` of the ABI.
    @inline(__always)
    func add(_ number: UInt32, _ value: Int64) {
        guard let series = series(number) else { return }
        switch Int(series.pointee.kind) {
        case SLUICE_METRIC_COUNTER where value >= 0:
            cells.update(series.pointee.cell) { $0 &+ UInt64(bitPattern: value) }
        case SLUICE_METRIC_GAUGE:
            // A gauge that some add to and some set needs one place.
            cells.updateCommon(series.pointee.cell) { $0 &+ UInt64(bitPattern: value) }
        default: return
        }
    }

    /// `metric_set` of the ABI.
    func set(_ number: UInt32, _ value: Int64) {
        guard let series = series(number), series.pointee.kind == SLUICE_METRIC_GAUGE else {
            return
        }
        cells.updateCommon(series.pointee.cell) { _ in UInt64(bitPattern: value) }
    }

    /// `metric_observe` of the ABI.
    func observe(_ number: UInt32, _ value: Double) {
        guard let series = series(number), series.pointee.kind == SLUICE_METRIC_HISTOGRAM,
            value.isFinite
        else { return }
        var bucket = 0
        if let bounds = series.pointee.bounds {
            while bucket < series.pointee.boundCount, value > bounds[bucket] { bucket += 1 }
        }
        cells.update(series.pointee.cell) { (Double(bitPattern: $0) + value).bitPattern }
        cells.update(series.pointee.cell + 1 + bucket) { $0 &+ 1 }
    }

    /// The value of a counter or gauge.
    func value(_ number: UInt32) -> Int64 {
        guard let series = series(number) else { return 0 }
        return Int64(bitPattern: cells.words(series.pointee.cell).reduce(0, &+))
    }

    /// The sum of a histogram, and its observations by bucket.
    func histogram(_ number: UInt32) -> (sum: Double, buckets: [UInt64]) {
        guard let series = series(number) else { return (0, []) }
        let cell = series.pointee.cell
        let sum = cells.words(cell).reduce(0) { $0 + Double(bitPattern: $1) }
        let buckets = (0...series.pointee.boundCount).map {
            cells.words(cell + 1 + $0).reduce(0, &+)
        }
        return (sum, buckets)
    }
}

extension sluice_slice {
    /// The first bytes as text; what is not UTF-8 is replaced.
    func text(bytesMax: Int) -> String {
        sluice_slice(ptr: ptr, len: min(len, UInt64(bytesMax))).text
    }
}
