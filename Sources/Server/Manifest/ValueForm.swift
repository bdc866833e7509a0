/// How a value of the manifest may look: what the schema and the reference are made from, and the
/// "expected ..." of messages.
indirect enum ValueForm: Sendable {
    case integer(ClosedRange<Int64>)
    /// In milliseconds.
    case duration(ClosedRange<Int64>)
    /// In bytes.
    case size(ClosedRange<Int64>)
    case text(TextForm)
    /// One of these strings.
    case words([String])
    /// Only `true`.
    case yes
    /// An object that sluice does not look into.
    case anyObject
    case list(of: ValueForm, count: ClosedRange<Int>)
    /// An object whose keys are chosen by the operator.
    case map(of: ValueForm, keys: TextForm, count: ClosedRange<Int>)
    case either([ValueForm])
    case table(TableDescription)

    /// As in "expected a duration such as \"2s\"".
    var expectedText: String {
        switch self {
        case .integer: "a whole number"
        case .duration: "a duration such as \"2s\""
        case .size: "a size such as \"64KiB\""
        case .text(let form): form.expected
        case .words(let words):
            (words.count > 1 ? "one of " : "") + words.map(quote).joined(separator: ", ")
        case .yes: "true"
        case .anyObject, .map, .table: "an object"
        case .list: "a list"
        case .either(let forms): forms.map(\.expectedText).joined(separator: " or ")
        }
    }

    /// A range as people write it; nil where a form has none.
    var rangeText: String? {
        switch self {
        case .integer(let range): Self.text(of: range) { Self.grouped($0) }
        case .duration(let range): Self.text(of: range) { Quantity.durationText($0) }
        case .size(let range): Self.text(of: range) { Quantity.sizeText($0) }
        default: nil
        }
    }

    private static func text(
        of range: ClosedRange<Int64>,
        _ write: (Int64) -> String
    ) -> String {
        range.count == 1
            ? write(range.lowerBound) : write(range.lowerBound) + " to " + write(range.upperBound)
    }

    /// "65,535": with a comma before every third digit from the right.
    private static func grouped(_ value: Int64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text += "," }
            text.append(digit)
        }
        return String(text.reversed())
    }
}

/// A string with a form of its own.
struct TextForm: Sendable {
    /// For the reference: "address".
    var name: String
    /// For messages: "an address such as \"0.0.0.0:8080\"".
    var expected: String
    /// For the schema: a regular expression that every good value matches; nil is any string.
    var pattern: String?

    init(_ name: String, expected: String, pattern: String? = nil) {
        self.name = name
        self.expected = expected
        self.pattern = pattern
    }
}

/// One key of the manifest, for the schema and the reference.
struct KeyDescription: Sendable {
    var name: String
    var form: ValueForm
    var isRequired: Bool
    /// The default as a manifest would write it; nil if leaving the key out has no such word.
    var defaultText: String?
    /// What it means, and what happens at its bound.
    var note: String
}

/// One object of the manifest, for the schema and the reference.
struct TableDescription: Sendable {
    /// Name in the schema and in the reference's markers: "listener".
    var id: String
    /// Where the object stands in a manifest, the heading of the reference: "listeners[]".
    var title: String
    var keys: [KeyDescription]
}
