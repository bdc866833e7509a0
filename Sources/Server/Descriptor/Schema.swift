internal import PluginHost

/// A plugin's JSON Schema, compiled: the subset of 2020-12 that docs/plugin-configuration.md names.
struct CompiledSchema {
    var root: Schema
    /// The schemas of `$defs`, which `Schema.reference` counts.
    var definitions: [Schema] = []
}

/// One schema of a document.
///
/// What is nil or empty is not asked for.
final class Schema {
    /// The schema `false`, which nothing fits.
    var isNever = false
    var types: ValueTypes?
    /// Index in the document's definitions.
    var reference: Reference?
    /// The only values.
    var allowed: [ConfigurationTree.Node]?
    var format: ValueFormat?
    /// Given to whoever leaves the key out.
    var defaultValue: ConfigurationTree.Node?

    // MARK: Numbers

    var minimum: SchemaNumber?
    var maximum: SchemaNumber?
    var exclusiveMinimum: SchemaNumber?
    var exclusiveMaximum: SchemaNumber?
    /// 1 or more.
    var multipleOf: Int64?

    // MARK: Strings, arrays and objects

    /// Unicode scalars of a string.
    var length = Bounds()
    var itemCount = Bounds()
    var propertyCount = Bounds()
    var items: Schema?
    var areItemsUnique = false
    var properties: [(name: String, schema: Schema)] = []
    var required: [String] = []
    /// What members must be that `properties` does not name; nil allows anything.
    var additionalProperties: Schema?

    // MARK: Combinations

    var allOf: [Schema] = []
    var anyOf: [Schema] = []
    var oneOf: [Schema] = []
    var not: Schema?

    enum Reference: Equatable {
        case root
        case definition(Int)
    }

    /// Bounds of a count; both belong to the range.
    struct Bounds {
        var min: Int?
        var max: Int?
    }
}

/// A number of a schema or of a value.
enum SchemaNumber {
    case integer(Int64)
    case real(Double)

    static func < (left: SchemaNumber, right: SchemaNumber) -> Bool {
        if case .integer(let left) = left, case .integer(let right) = right { return left < right }
        return left.double < right.double
    }

    var text: String {
        switch self {
        case .integer(let value): "\(value)"
        case .real(let value): Int64(exactly: value).map { "\($0)" } ?? "\(value)"
        }
    }

    private var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value): value
        }
    }

    func isMultiple(of factor: Int64) -> Bool {
        switch self {
        // The remainder of two doubles is exact.
        case .real(let value): value.truncatingRemainder(dividingBy: Double(factor)) == 0
        case .integer(let value): value % factor == 0
        }
    }
}

/// The types that a value may have.
struct ValueTypes: OptionSet {
    var rawValue: UInt8

    static let null = ValueTypes(rawValue: 1)
    static let boolean = ValueTypes(rawValue: 2)
    static let integer = ValueTypes(rawValue: 4)
    static let number = ValueTypes(rawValue: 8)
    static let string = ValueTypes(rawValue: 16)
    static let array = ValueTypes(rawValue: 32)
    static let object = ValueTypes(rawValue: 64)

    /// As schemas write them, and as messages do.
    static let names: [(name: String, type: ValueTypes, text: String)] = [
        ("string", .string, "a string"), ("integer", .integer, "a whole number"),
        ("number", .number, "a number"), ("boolean", .boolean, "true or false"),
        ("array", .array, "a list"), ("object", .object, "an object"), ("null", .null, "null"),
    ]

    /// As in "a string or a list".
    ///
    /// - Parameter string: what a string is called, if it has a format.
    func text(string: String? = nil) -> String {
        Self.names.filter { name in
            // A number may be whole: one of the two is enough.
            contains(name.type) && !(name.type == .integer && contains(.number))
        }
        .map { $0.type == .string ? string ?? $0.text : $0.text }.joined(separator: " or ")
    }

    /// Whether a value has one of these types; a number without a fraction is whole.
    func matches(_ value: ConfigurationTree.Node) -> Bool {
        switch value {
        case .null: contains(.null)
        case .bool: contains(.boolean)
        case .integer: contains(.integer) || contains(.number)
        case .number(let number):
            contains(.number) || contains(.integer) && Int64(exactly: number) != nil
        case .string: contains(.string)
        case .array: contains(.array)
        case .object: contains(.object)
        }
    }
}

extension ConfigurationTree.Node {
    /// What the value is, for "expected ..., found ...".
    var kindText: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The value as JSON: equal values, and only these, have equal texts.
    var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): "\(value)"
        case .number(let value): SchemaNumber.real(value).text
        case .string(let value, _): Self.exact(value)
        case .array(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { Self.exact($0.key) + ": " + $0.value.text }.joined(separator: ", ")
                + "}"
        }
    }

    /// Unlike `quote`, of any length.
    private static func exact(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "\"") { shown, scalar in
            shown += scalar == "\"" ? "\\\"" : scalar.escaped(asASCII: false)
        } + "\""
    }

    /// The number; nil for any other value.
    var number: SchemaNumber? {
        switch self {
        case .integer(let value): .integer(value)
        case .number(let value): .real(value)
        default: nil
        }
    }
}

/// Whether two texts have the same bytes: `==` takes texts for equal that only look the same.
func isSame(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
