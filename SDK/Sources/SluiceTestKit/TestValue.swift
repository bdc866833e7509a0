public import CSluice

/// A configuration as a literal: `["status": 204, "headers": [["name": "x", "value": "y"]]]`.
public indirect enum TestValue: Sendable, Equatable {
    /// null.
    case null
    /// true or false.
    case bool(Bool)
    /// A whole number.
    case integer(Int)
    /// Any other number.
    case number(Double)
    /// Text.
    case string(String)
    /// Text with a format of the plugin's schema, and what it means: "2s" is 2,000,000,000.
    case measured(String, Int)
    /// Values in order.
    case array([TestValue])
    /// Values by key.
    case object([String: TestValue])
}

extension TestValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// null.
    public init(nilLiteral: ()) { self = .null }
    /// true or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// Any other number.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// Values in order.
    public init(arrayLiteral elements: TestValue...) { self = .array(elements) }
    /// Values by key.
    public init(dictionaryLiteral elements: (String, TestValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}

extension TestValue {
    /// The value as the host lays it out, in the memory of an arena.
    public func layOut(in arena: Arena) -> UnsafePointer<sluice_value> {
        let place = arena.allocate(sluice_value(), count: 1)
        place.pointee = laidOut(in: arena)
        return UnsafePointer(place)
    }

    private func laidOut(in arena: Arena) -> sluice_value {
        var value = sluice_value()
        switch self {
        case .null: value.type = UInt32(SLUICE_VALUE_NULL)
        case .bool(let bool):
            value.type = UInt32(SLUICE_VALUE_BOOL)
            value.integer = bool ? 1 : 0
        case .integer(let integer):
            value.type = UInt32(SLUICE_VALUE_INT)
            value.integer = Int64(integer)
            value.number = Double(integer)
        case .number(let number):
            value.type = UInt32(SLUICE_VALUE_NUMBER)
            value.number = number
        case .string(let string):
            value.type = UInt32(SLUICE_VALUE_STRING)
            value.string = arena.slice(string)
        case .measured(let string, let meaning):
            value.type = UInt32(SLUICE_VALUE_STRING)
            value.string = arena.slice(string)
            value.integer = Int64(meaning)
        case .array(let elements):
            value.type = UInt32(SLUICE_VALUE_ARRAY)
            value.setChildren(elements.map { $0.laidOut(in: arena) }, arena)
        case .object(let members):
            value.type = UInt32(SLUICE_VALUE_OBJECT)
            let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            value.setChildren(
                sorted.map { member in
                    var child = member.value.laidOut(in: arena)
                    child.key = arena.slice(member.key)
                    return child
                },
                arena
            )
        }
        return value
    }
}

extension sluice_value {
    fileprivate mutating func setChildren(_ values: [sluice_value], _ arena: Arena) {
        count = UInt32(values.count)
        guard !values.isEmpty else { return }
        let place = arena.allocate(sluice_value(), count: values.count)
        for (index, value) in values.enumerated() { place[index] = value }
        children = UnsafePointer(place)
    }
}
