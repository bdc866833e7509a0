import CSluice

/// How metrics are written.
public enum MetricFormat: UInt32, Sendable, CaseIterable {
    /// The Prometheus text format 0.0.4.
    case text = 0
    /// OpenMetrics 1.0, whose text ends with a line "# EOF".
    case openMetrics = 1

    /// What a response says of it.
    public var contentType: String {
        switch self {
        case .text: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}

/// What a metric is.
public enum MetricKind: String, Sendable {
    /// Only grows; its name ends in "_total".
    case counter
    case gauge
    case histogram
    /// Always 1: its labels say something; its name ends in "_info".
    case info
}

/// Labels of a series, in the order in which they are shown.
public typealias MetricLabels = [(name: String, value: String)]

/// Writes families of metrics, one after the other, to a sink.
///
/// What is asked of it after the sink has refused a piece does nothing.
public final class MetricWriter {
    /// Bytes that are given to the sink at a time, about.
    static let runBytes = 65_536

    private let format: MetricFormat
    private let sink: sluice_sink
    private var text: [UInt8] = []
    /// Names of the family's samples, without what the kind of sample adds.
    private var name = ""
    private var suffix = ""
    /// The first result of the sink that is not SLUICE_OK.
    public private(set) var result = Int32(SLUICE_OK)

    init(_ format: MetricFormat, to sink: sluice_sink) {
        self.format = format
        self.sink = sink
        if sink.write == nil { result = Int32(SLUICE_EINVAL) }
        text.reserveCapacity(Self.runBytes + 4_096)
    }

    // MARK: Families and their samples

    /// Begins a family; its samples follow.
    ///
    /// - Parameters:
    ///   - name: with all that the kind asks for, as "sluice_http_requests_total".
    ///   - help: one line; empty for none.
    public func family(_ name: String, _ kind: MetricKind, _ help: String) {
        self.name = name
        suffix = ""
        var family = name
        if format == .openMetrics {
            // There the name of the family is without what its samples' names end with.
            switch kind {
            case .counter:
                if name.hasSuffix("_total") { family.removeLast("_total".utf8.count) }
                self.name = family
                suffix = "_total"
            case .info:
                if name.hasSuffix("_info") { family.removeLast("_info".utf8.count) }
                self.name = family
                suffix = "_info"
            case .gauge, .histogram: break
            }
        }
        let shown = format == .text && kind == .info ? "gauge" : kind.rawValue
        if !help.isEmpty { append("# HELP \(family) \(escapedHelp(help))\n") }
        append("# TYPE \(family) \(shown)\n")
        if format == .openMetrics, kind != .info,
            let unit = ["seconds", "bytes"].first(where: { family.hasSuffix("_" + $0) })
        {
            append("# UNIT \(family) \(unit)\n")
        }
    }

    /// A sample of a counter or gauge.
    public func sample(_ value: some BinaryInteger, _ labels: MetricLabels = []) {
        line(suffix, Self.text(of: labels), "\(value)")
    }

    /// A sample of a counter or gauge with a fraction.
    public func sample(_ value: Double, _ labels: MetricLabels = []) {
        line(suffix, Self.text(of: labels), number(value))
    }

    /// A series of a histogram.
    ///
    /// - Parameters:
    ///   - bounds: rising; the last bucket, above all of them, has none.
    ///   - counts: observations of each bucket alone, one more than bounds.
    public func histogram(
        _ labels: MetricLabels = [],
        bounds: [Double],
        counts: [UInt64],
        sum: Double
    ) {
        let shown = Self.text(of: labels)
        var count: UInt64 = 0
        for (index, observations) in counts.enumerated() {
            count &+= observations
            let bound = index < bounds.count ? number(bounds[index]) : "+Inf"
            let comma = shown.isEmpty ? "" : ","
            line("_bucket", "\(shown)\(comma)le=\"\(bound)\"", "\(count)")
        }
        line("_sum", shown, number(sum))
        line("_count", shown, "\(count)")
    }

    private func line(_ suffix: String, _ labels: String, _ value: String) {
        append(
            labels.isEmpty
                ? "\(name)\(suffix) \(value)\n" : "\(name)\(suffix){\(labels)} \(value)\n"
        )
        if text.count >= Self.runBytes { flush() }
    }

    private func append(_ line: String) {
        if result == SLUICE_OK { text += line.utf8 }
    }

    private func flush() {
        guard result == SLUICE_OK, !text.isEmpty, let write = sink.write else { return }
        result = text.withUnsafeBufferPointer { bytes in
            write(sink.context, sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count)))
        }
        text.removeAll(keepingCapacity: true)
    }

    /// Ends the text, and gives the sink what is left.
    func finish() -> Int32 {
        if format == .openMetrics { append("# EOF\n") }
        flush()
        return result
    }

    // MARK: Texts

    /// `plugin="one",code="200"`: values as both formats have them.
    static func text(of labels: MetricLabels) -> String {
        labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",")
    }

    private func escapedHelp(_ text: String) -> String {
        // OpenMetrics escapes quotes there as well.
        Self.escaped(text, quotes: format == .openMetrics)
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            // Prometheus takes a NUL for the end of the text; none of the others is of any use.
            case "\0"..."\u{1F}", "\u{7F}": out += "\u{FFFD}"
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }

    /// "0.5"; a whole number is "5", and in OpenMetrics "5.0".
    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let text = value.description
        guard format == .text, text.hasSuffix(".0") else { return text }
        return String(text.dropLast(2))
    }
}
