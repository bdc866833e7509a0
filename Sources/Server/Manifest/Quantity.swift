/// Durations and sizes as the manifest writes them: a whole number and a unit.
enum Quantity {
    /// Units of a duration in milliseconds, the largest first.
    static let durationUnits: [(name: String, factor: Int64)] = [
        ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
    ]
    /// Units of a size in bytes, the largest first.
    static let sizeUnits: [(name: String, factor: Int64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000),
        ("B", 1),
    ]

    /// Milliseconds of "250ms", "2s", "5m" or "1h"; nil for anything else.
    static func milliseconds(_ text: String) -> Int64? { value(of: text, units: durationUnits) }

    /// Bytes of "512B", "64KiB", "64KB" and so on; nil for anything else.
    static func bytes(_ text: String) -> Int64? { value(of: text, units: sizeUnits) }

    /// Hundredths of a number with at most two digits behind its point and this unit, as "12.5%" is
    /// 1,250; nil for anything else.
    static func hundredths(_ text: String, unit: String) -> Int? {
        guard text.hasSuffix(unit) else { return nil }
        let parts = text.dropLast(unit.count).split(
            separator: ".",
            omittingEmptySubsequences: false
        )
        let isPlain = parts.allSatisfy { part in
            1...4 ~= part.utf8.count && part.allSatisfy { $0.isASCII && $0.isWholeNumber }
        }
        guard isPlain, 1...2 ~= parts.count, let whole = Int(parts[0]) else { return nil }
        guard parts.count == 2 else { return whole * 100 }
        guard let fraction = Int(parts[1]), parts[1].utf8.count <= 2 else { return nil }
        return whole * 100 + (parts[1].utf8.count == 1 ? fraction * 10 : fraction)
    }

    /// The shortest way to write a duration exactly.
    static func durationText(_ milliseconds: Int64) -> String {
        milliseconds == 0 ? "0s" : text(of: milliseconds, units: durationUnits)
    }

    /// The shortest way to write a size exactly in binary units.
    static func sizeText(_ bytes: Int64) -> String {
        text(of: bytes, units: sizeUnits.filter { $0.name.hasSuffix("iB") || $0.name == "B" })
    }

    private static func value(of text: String, units: [(name: String, factor: Int64)]) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
        guard let number = Int64(digits),
            let unit = units.first(where: { $0.name == text[digits.endIndex...] })
        else { return nil }
        let (value, overflows) = number.multipliedReportingOverflow(by: unit.factor)
        return overflows ? nil : value
    }

    private static func text(of value: Int64, units: [(name: String, factor: Int64)]) -> String {
        let fitting = units.first { value != 0 && value % $0.factor == 0 } ?? units[units.count - 1]
        return "\(value / fitting.factor)\(fitting.name)"
    }
}
