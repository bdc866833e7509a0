public import CSluice

/// One value of an instance's configuration, with its path for error messages.
///
/// The getters with a key read a member of an object: they give nil when it is absent or null, and
/// throw when it is of another type or out of range. What they give lives as long as the instance.
public struct ConfigurationValue {
    let value: UnsafePointer<sluice_value>

    /// The key, as in "request.set[2].name"; empty for the whole.
    public let path: String

    /// A value that the host gave, or a test made.
    public init(_ value: UnsafePointer<sluice_value>, path: String = "") {
        self.value = value
        self.path = path
    }

    /// An error about this value.
    public func error(_ message: String) -> PluginError { PluginError(path: path, message) }

    /// Runs something that does not know its key, and adds the path to what it throws.
    public func naming<Result>(
        _ body: () throws(PluginError) -> Result
    ) throws(PluginError) -> Result {
        do {
            return try body()
        } catch {
            throw error.path.isEmpty ? self.error(error.message) : error
        }
    }

    /// The text.
    public func string() throws(PluginError) -> Bytes {
        guard type == SLUICE_VALUE_STRING else { throw wrong("a string") }
        return Bytes(value.pointee.string)
    }

    /// The whole number, in a range.
    public func integer(in range: ClosedRange<Int>) throws(PluginError) -> Int {
        guard type == SLUICE_VALUE_INT else { throw wrong("a whole number") }
        let integer = Int(value.pointee.integer)
        guard range.contains(integer) else {
            throw error("\(integer) is not within \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    /// The nanoseconds of a text that the schema gives the format "duration".
    public func nanoseconds() throws(PluginError) -> Int {
        guard type == SLUICE_VALUE_STRING else { throw wrong("a duration") }
        return Int(value.pointee.integer)
    }

    /// The bytes of a text that the schema gives the format "size", or of a whole number.
    public func byteCount() throws(PluginError) -> Int {
        guard type == SLUICE_VALUE_STRING || type == SLUICE_VALUE_INT else {
            throw wrong("a size")
        }
        return Int(value.pointee.integer)
    }

    /// The number.
    public func number() throws(PluginError) -> Double {
        guard type == SLUICE_VALUE_INT || type == SLUICE_VALUE_NUMBER else {
            throw wrong("a number")
        }
        return value.pointee.number
    }

    /// The truth value.
    public func bool() throws(PluginError) -> Bool {
        guard type == SLUICE_VALUE_BOOL else { throw wrong("true or false") }
        return value.pointee.integer != 0
    }

    /// The elements of an array.
    public func array() throws(PluginError) -> [ConfigurationValue] {
        guard type == SLUICE_VALUE_ARRAY else { throw wrong("an array") }
        return (0..<count).map { index in
            ConfigurationValue(child(index), path: path + "[\(index)]")
        }
    }

    /// The members of an object, sorted by key.
    public func members() throws(PluginError) -> [(key: Bytes, value: ConfigurationValue)] {
        guard type == SLUICE_VALUE_OBJECT else { throw wrong("an object") }
        return (0..<count).map { index in
            let key = Bytes(child(index).pointee.key)
            return (key, ConfigurationValue(child(index), path: joined(String(key))))
        }
    }

    /// Whether this is `true` or `false`.
    public var isBool: Bool { type == SLUICE_VALUE_BOOL }

    /// Whether this is an object.
    public var isObject: Bool { type == SLUICE_VALUE_OBJECT }

    /// Whether this is a text.
    public var isString: Bool { type == SLUICE_VALUE_STRING }

    /// Whether this is an array.
    public var isArray: Bool { type == SLUICE_VALUE_ARRAY }

    private var type: Int { Int(value.pointee.type) }

    private var count: Int { Int(value.pointee.count) }

    private func child(_ index: Int) -> UnsafePointer<sluice_value> {
        // Safe: arrays and objects have `count` children.
        (value.pointee.children + index)
    }

    private func joined(_ key: String) -> String { path.isEmpty ? key : path + "." + key }

    private func wrong(_ wanted: String) -> PluginError {
        let found =
            switch type {
            case SLUICE_VALUE_NULL: "null"
            case SLUICE_VALUE_BOOL: "a truth value"
            case SLUICE_VALUE_INT, SLUICE_VALUE_NUMBER: "a number"
            case SLUICE_VALUE_STRING: "a string"
            case SLUICE_VALUE_ARRAY: "an array"
            default: "an object"
            }
        return error("\(wanted) is wanted, not \(found)")
    }
}

extension ConfigurationValue {
    /// A member of an object; nil when it is absent or null.
    ///
    /// - Throws: when this is no object.
    public func member(_ key: StaticString) throws(PluginError) -> ConfigurationValue? {
        guard isObject else { throw wrong("an object") }
        for index in 0..<count
        where Bytes(child(index).pointee.key) == Bytes(key)
            && child(index).pointee.type != UInt32(SLUICE_VALUE_NULL)
        {
            return ConfigurationValue(child(index), path: joined(String(Bytes(key))))
        }
        return nil
    }

    /// A member that must be there.
    public func required(_ key: StaticString) throws(PluginError) -> ConfigurationValue {
        guard let value = try member(key) else {
            throw PluginError(path: joined(String(Bytes(key))), "is missing")
        }
        return value
    }

    /// The text of a member.
    public func string(_ key: StaticString) throws(PluginError) -> Bytes? {
        try member(key)?.string()
    }

    /// The whole number of a member.
    public func integer(
        _ key: StaticString,
        in range: ClosedRange<Int>
    ) throws(PluginError) -> Int? {
        try member(key)?.integer(in: range)
    }

    /// The truth value of a member.
    public func bool(_ key: StaticString) throws(PluginError) -> Bool? {
        try member(key)?.bool()
    }

    /// The elements of a member; none when it is absent.
    public func array(_ key: StaticString) throws(PluginError) -> [ConfigurationValue] {
        try member(key)?.array() ?? []
    }

    /// Refuses an object with a key that is not among these, and names the nearest one.
    public func allowKeys(_ known: [StaticString]) throws(PluginError) {
        for member in try members() where !known.contains(where: { Bytes($0) == member.key }) {
            throw member.value.error(unknownKey(member.key, among: known))
        }
    }
}

private func unknownKey(_ key: Bytes, among known: [StaticString]) -> String {
    if known.isEmpty { return "unknown key; there is none here" }
    if let name = key.nearest(among: known) { return "unknown key; did you mean \"\(name)\"?" }
    var list = ""
    for name in known { list += (list.isEmpty ? "" : ", ") + "\(name)" }
    return "unknown key; there are \(list)"
}

extension Bytes {
    /// The name that was probably meant: the first of those that differ least, by two slips or a
    /// third of a long text at most.
    public func nearest(among known: [StaticString]) -> StaticString? {
        var best: (name: StaticString, distance: Int)?
        for name in known {
            let distance = editDistance(self, Bytes(name))
            if distance < best?.distance ?? Int.max { best = (name, distance) }
        }
        guard let best, best.distance <= max(2, count / 3) else { return nil }
        return best.name
    }
}

/// The number of bytes to insert, remove or replace to make one text of the other.
private func editDistance(_ left: Bytes, _ right: Bytes) -> Int {
    var row = Array(0...right.count)
    for (line, byte) in left.indices.map({ ($0 + 1, left[$0]) }) {
        var diagonal = row[0]
        row[0] = line
        for column in right.indices {
            let changed = diagonal + (byte == right[column] ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(changed, row[column] + 1, diagonal + 1)
        }
    }
    return row[right.count]
}
