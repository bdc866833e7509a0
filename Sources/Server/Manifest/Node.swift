/// A value of a JSON5 text, with the place where it stands.
///
/// Objects keep the order and the duplicates of the text, so that a reader of the tree can complain
/// about them by place; values are otherwise final.
struct Node: Sendable, Equatable {
    var content: Content
    /// Offset of the value's first byte in the text.
    var offset: Int

    indirect enum Content: Sendable, Equatable {
        case null
        case bool(Bool)
        /// A number without fraction and exponent that fits.
        case integer(Int64)
        case number(Double)
        case string(String)
        case array([Node])
        case object([Member])
    }

    struct Member: Sendable, Equatable {
        var key: String
        var keyOffset: Int
        var value: Node
    }

    /// The first member with this key; nil also for a value that is no object.
    func member(_ key: String) -> Node? {
        guard case .object(let members) = content else { return nil }
        return members.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }

    /// The elements of an array; empty for any other value.
    var elements: [Node] {
        guard case .array(let elements) = content else { return [] }
        return elements
    }

    /// What the value is, for "expected ..., found ...".
    var kindText: String {
        switch content {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
