internal import Admin

/// Samples of the Prometheus text format, as the interface gives them.
struct MetricSamples: Equatable {
    struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    private(set) var samples: [Sample] = []

    /// Lines that are not samples are left out: the proxy may be newer than the command.
    init(_ text: String) {
        samples = text.split(separator: "\n").compactMap { Self.sample($0.utf8) }
    }

    /// The sum of a metric's samples by a label; all under "" without one.
    func sums(
        _ name: String,
        by label: ShownMetric.Label? = nil,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> [String: Double] {
        var sums: [String: Double] = [:]
        for sample in samples where sample.name == name && isWanted(sample.labels) {
            sums[label.map { sample.labels[$0.rawValue] ?? "" } ?? "", default: 0] += sample.value
        }
        return sums
    }

    /// The buckets of a histogram: the count of what is not above each bound, by rising bounds.
    func buckets(
        _ metric: ShownMetric,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> [(bound: Double, count: Double)] {
        var counts: [Double: Double] = [:]
        for sample in samples where sample.name == metric.rawValue + "_bucket" {
            guard isWanted(sample.labels), let bound = sample.labels["le"].flatMap(Self.number)
            else { continue }
            counts[bound, default: 0] += sample.value
        }
        return counts.sorted { $0.key < $1.key }.map { (bound: $0.key, count: $0.value) }
    }

    // MARK: Parsing

    /// `name{label="value",...} number`, with anything behind it.
    private static func sample(_ line: Substring.UTF8View) -> Sample? {
        var rest = line
        let name = take(&rest) { isName($0) }
        guard !name.isEmpty else { return nil }
        var labels: [String: String] = [:]
        if rest.first == UInt8(ascii: "{") {
            rest.removeFirst()
            while let byte = rest.first, byte != UInt8(ascii: "}") {
                let label = take(&rest) { isName($0) }
                guard !label.isEmpty, rest.starts(with: "=\"".utf8) else { return nil }
                rest.removeFirst(2)
                guard let value = quoted(&rest) else { return nil }
                labels[label] = value
                if rest.first == UInt8(ascii: ",") { rest.removeFirst() }
            }
            guard !rest.isEmpty else { return nil }
            rest.removeFirst()
        }
        guard rest.first == UInt8(ascii: " ") else { return nil }
        rest.removeFirst()
        guard let value = number(take(&rest) { $0 != UInt8(ascii: " ") }) else { return nil }
        return Sample(name: name, labels: labels, value: value)
    }

    private static func take(
        _ rest: inout Substring.UTF8View,
        while isPart: (UInt8) -> Bool
    ) -> String {
        let part = rest.prefix(while: isPart)
        rest = rest[part.endIndex...]
        return String(Substring(part))
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"):
            true
        default: false
        }
    }

    /// The value up to the closing quotation mark, which is taken too.
    private static func quoted(_ rest: inout Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { return nil }
                bytes.append(escaped == UInt8(ascii: "n") ? UInt8(ascii: "\n") : escaped)
            default: bytes.append(byte)
            }
        }
        return nil
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        case "NaN": .nan
        default: Double(text)
        }
    }
}
