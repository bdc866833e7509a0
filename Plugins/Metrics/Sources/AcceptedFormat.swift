import SluiceSDK

/// Which format a client takes, by its Accept (RFC 9110 §12.5.1).
///
/// OpenMetrics is given only to a client that names it, in a version that this is, and does not
/// like the older text better: whoever sends no such field, or "*/*" alone, as browsers and curl
/// do, gets what everybody can read. An element that is malformed offers nothing.
struct AcceptedFormat {
    /// Thousandths; 0 for what is not named.
    private var openMetrics = 0
    private var text = 0

    init() {}

    /// Reads all lines of the field.
    init(_ fields: Fields) {
        for field in fields where field.name.equalsIgnoringCase("accept") { read(field.value) }
    }

    /// Reads one line of the field.
    mutating func read(_ value: Bytes) {
        var rest = value
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.count
            readElement(rest.prefix(end))
            rest = rest.dropFirst(min(end + 1, rest.count))
        }
    }

    var format: MetricsFormat {
        openMetrics > 0 && openMetrics >= text ? .openMetrics : .text
    }

    private mutating func readElement(_ element: Bytes) {
        let end = element.firstIndex(of: UInt8(ascii: ";")) ?? element.count
        let type = element.prefix(end).trimmed
        var rest = element.dropFirst(end)
        var quality = 1_000
        var isKnown = true
        while !rest.isEmpty {
            rest = rest.dropFirst(1)
            let end = rest.firstIndex(of: UInt8(ascii: ";")) ?? rest.count
            let parameter = rest.prefix(end).trimmed
            rest = rest.dropFirst(end)
            let equals = parameter.firstIndex(of: UInt8(ascii: "=")) ?? parameter.count
            let name = parameter.prefix(equals)
            let value = parameter.dropFirst(min(equals + 1, parameter.count))
            if name.equalsIgnoringCase("q") {
                guard let given = AcceptedFormat.thousandths(value) else { return }
                quality = given
            } else if name.equalsIgnoringCase("version"), value != "1.0.0" {
                isKnown = false
            }
        }
        if type.equalsIgnoringCase("application/openmetrics-text"), isKnown {
            openMetrics = max(openMetrics, quality)
        } else if type.equalsIgnoringCase("text/plain") {
            text = max(text, quality)
        }
    }

    /// Of "0.5"; nil for what is no quality (RFC 9110 §12.4.2).
    private static func thousandths(_ text: Bytes) -> Int? {
        guard text.count >= 1, text.count <= 5, text[0] & 0xFE == UInt8(ascii: "0") else {
            return nil
        }
        var value = Int(text[0] - UInt8(ascii: "0")) * 1_000
        guard text.count > 1 else { return value }
        guard text[1] == UInt8(ascii: ".") else { return nil }
        var unit = 100
        for offset in 2..<text.count {
            let digit = text[offset] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value += Int(digit) * unit
            unit /= 10
        }
        return value <= 1_000 ? value : nil
    }
}
