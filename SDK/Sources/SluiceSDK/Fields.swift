public import CSluice

/// One field of a message.
///
/// Valid until the hook returns.
public struct Field {
    let field: UnsafePointer<sluice_field>

    /// The name in lower case; a pseudo-field's begins with a colon.
    public var name: Bytes {
        Bytes(field.pointee.name, count: Int(field.pointee.name_len))
    }

    /// The value.
    public var value: Bytes {
        Bytes(field.pointee.value, count: Int(field.pointee.value_len))
    }

    /// The id, or `unknown`.
    public var id: FieldID { FieldID(rawValue: field.pointee.id) }

    /// Whether this is :method, :path or another of them.
    public var isPseudo: Bool { has(SLUICE_FIELD_FLAG_PSEUDO) }

    /// Whether a field of the same known id comes before.
    public var isRepeated: Bool { has(SLUICE_FIELD_FLAG_REPEATED) }

    /// Whether the value holds credentials and must not be logged.
    public var isSensitive: Bool { has(SLUICE_FIELD_FLAG_SENSITIVE) }

    private func has(_ flag: some BinaryInteger) -> Bool {
        field.pointee.flags & UInt16(truncatingIfNeeded: flag) != 0
    }
}

/// All fields of one message, as they were before the running hook's edits.
///
/// Reading needs no call into the host. Valid until the hook returns.
public struct Fields {
    @usableFromInline let headers: UnsafePointer<sluice_headers>

    /// Fields that the host gave to a hook, or a test made.
    @inlinable public init(_ headers: UnsafePointer<sluice_headers>) { self.headers = headers }

    /// Number of fields, pseudo-fields included.
    @inlinable public var count: Int { Int(headers.pointee.count) }

    /// The fields as the host laid them out, for who copies them all.
    @inlinable
    public var list: UnsafeBufferPointer<sluice_field> {
        UnsafeBufferPointer(start: headers.pointee.fields, count: count)
    }

    /// The status of a response; 0 in a request.
    @inlinable public var status: Int { Int(headers.pointee.status) }

    /// Whether there is a field of this id.
    @inlinable
    public func contains(_ id: FieldID) -> Bool {
        let words = headers.pointee.known_bits
        let word = id.rawValue < 64 ? words.0 : words.1
        return (word &>> UInt64(id.rawValue & 63)) & 1 != 0
    }

    /// The value of the first field of this id; nil when there is none.
    @inlinable
    public subscript(id: FieldID) -> Bytes? {
        contains(id) ? value(at: firstIndex(id)) : nil
    }

    /// Whether there is a field of one of these ids.
    @inlinable
    public func contains(anyOf ids: FieldIDSet) -> Bool {
        let words = headers.pointee.known_bits
        return words.0 & ids.low | words.1 & ids.high != 0
    }

    /// The value of the first field of this name; nil when there is none.
    public subscript(name: FieldName) -> Bytes? {
        if name.id != .unknown { return self[name.id] }
        for field in self where name.matches(field) { return field.value }
        return nil
    }

    /// The first field of this name; nil when there is none.
    public func first(_ name: FieldName) -> Field? {
        if name.id != .unknown { return contains(name.id) ? self[firstIndex(name.id)] : nil }
        for field in self where name.matches(field) { return field }
        return nil
    }

    /// The field at an index, 0 up to `count`.
    public subscript(index: Int) -> Field {
        precondition(index >= 0 && index < count, "index outside of the fields")
        // Safe: the host gives `count` fields.
        return Field(field: headers.pointee.fields + index)
    }

    /// The value of the first field of this name, which is in lower case; nil when there is none.
    ///
    /// Compares names one after the other: use an id where there is one.
    public func first(named name: Bytes) -> Bytes? {
        for field in self where field.name == name { return field.value }
        return nil
    }

    /// The method of a request.
    @inlinable public var method: Bytes { self[.pseudoMethod] ?? .empty }

    /// Path and query of a request, as sent.
    @inlinable public var target: Bytes { self[.pseudoPath] ?? .empty }

    /// Host and port of a request, as sent; empty when the client sent none.
    @inlinable public var authority: Bytes { self[.pseudoAuthority] ?? .empty }

    @inlinable
    func firstIndex(_ id: FieldID) -> Int {
        // Safe: `known_index` is 128 words, 40 bytes into the struct (ABI/layout.txt has it); the
        // id is masked.
        let offset = 40 + 2 * Int(id.rawValue & 127)
        return Int(UnsafeRawPointer(headers).load(fromByteOffset: offset, as: UInt16.self))
    }

    @inlinable
    func value(at index: Int) -> Bytes {
        // Safe: the index came from `known_index` of an id that is present.
        let field = headers.pointee.fields + index
        return Bytes(field.pointee.value, count: Int(field.pointee.value_len))
    }
}

extension Fields: Sequence {
    /// Goes through fields in the order of the message.
    public struct Iterator: IteratorProtocol {
        var field: UnsafePointer<sluice_field>
        let end: UnsafePointer<sluice_field>

        /// The next field, or nil after the last.
        public mutating func next() -> Field? {
            guard field != end else { return nil }
            defer { field += 1 }
            return Field(field: field)
        }
    }

    /// Begins at the first field.
    public func makeIterator() -> Iterator {
        Iterator(field: headers.pointee.fields, end: headers.pointee.fields + count)
    }
}

/// A set of well-known fields, to ask for all of them at once.
public struct FieldIDSet: ExpressibleByArrayLiteral, Equatable, BitwiseCopyable, Sendable {
    @usableFromInline var low: UInt64 = 0
    @usableFromInline var high: UInt64 = 0

    /// The set of these ids.
    @inlinable
    public init(arrayLiteral ids: FieldID...) {
        for id in ids {
            let bit = UInt64(1) << UInt64(id.rawValue & 63)
            if id.rawValue < 64 { low |= bit } else { high |= bit }
        }
    }
}
