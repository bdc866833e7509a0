public import CSluice

/// A configuration as plugins read it: a tree of `sluice_value` in memory that is never moved.
///
/// Built once per instance and kept for the life of the process, because a plugin may keep pointers
/// into it.
public enum ConfigurationTree {
    /// One node before it has an address.
    public indirect enum Node: Sendable {
        case null
        case bool(Bool)
        case integer(Int64)
        case number(Double)
        /// A text, and what its format means: nanoseconds, bytes, or 0.
        case string(String, meaning: Int64 = 0)
        case array([Node])
        case object([(key: String, value: Node)])
    }

    /// The tree of an object.
    public static func make(_ root: Node) -> UnsafePointer<sluice_value> {
        let value = UnsafeMutablePointer<sluice_value>.allocate(capacity: 1)
        value.initialize(to: convert(root, key: nil))
        return UnsafePointer(value)
    }

    private static func convert(_ node: Node, key: String?) -> sluice_value {
        var value = sluice_value()
        if let key { value.key = sluice_slice(permanent: key) }
        switch node {
        case .null:
            value.type = UInt32(SLUICE_VALUE_NULL)
        case .bool(let flag):
            value.type = UInt32(SLUICE_VALUE_BOOL)
            value.integer = flag ? 1 : 0
        case .integer(let number):
            value.type = UInt32(SLUICE_VALUE_INT)
            value.integer = number
            value.number = Double(number)
        case .number(let number):
            value.type = UInt32(SLUICE_VALUE_NUMBER)
            value.number = number
        case .string(let text, let meaning):
            value.type = UInt32(SLUICE_VALUE_STRING)
            value.integer = meaning
            value.string = sluice_slice(permanent: text)
        case .array(let children):
            value.type = UInt32(SLUICE_VALUE_ARRAY)
            setChildren(children.map { convert($0, key: nil) }, of: &value)
        case .object(let members):
            value.type = UInt32(SLUICE_VALUE_OBJECT)
            setChildren(members.map { convert($0.value, key: $0.key) }, of: &value)
        }
        return value
    }

    private static func setChildren(_ children: [sluice_value], of value: inout sluice_value) {
        guard !children.isEmpty else { return }
        let list = UnsafeMutablePointer<sluice_value>.allocate(capacity: children.count)
        list.initialize(from: children, count: children.count)
        value.count = UInt32(children.count)
        value.children = UnsafePointer(list)
    }
}

extension sluice_slice {
    /// A copy of a text that is never freed.
    public init(permanent text: String) {
        let bytes = Array(text.utf8)
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        copy.initialize(from: bytes, count: bytes.count)
        self.init(ptr: UnsafePointer(copy), len: UInt64(bytes.count))
    }

    /// The bytes as text; what is not UTF-8 is replaced.
    public var text: String {
        guard let ptr, len > 0 else { return "" }
        return String(
            decoding: UnsafeBufferPointer(start: ptr, count: Int(clamping: len)),
            as: UTF8.self
        )
    }
}
