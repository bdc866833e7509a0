public import HTTP
public import Sys

/// A field that is not in the received bytes: added by a plugin or by the host.
public struct AddedField: BitwiseCopyable {
    public var name: UnsafePointer<UInt8>
    public var value: UnsafePointer<UInt8>
    public var nameLength: UInt16
    public var id: FieldID
    public var isDropped: Bool
    public var valueLength: UInt32

    @inlinable
    init(name: Slice, value: Slice, id: FieldID) {
        self.name = name.bytes
        self.value = value.bytes
        nameLength = UInt16(truncatingIfNeeded: name.count)
        self.id = id
        isDropped = false
        valueLength = UInt32(truncatingIfNeeded: value.count)
    }
}

/// Bytes of the request's arena, or of a text that never goes away.
public struct Slice {
    public var bytes: UnsafePointer<UInt8>
    public var count: Int

    @inlinable
    public init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// Bytes that a permanent `sluice_slice` holds.
    @inlinable
    public init(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
        guard let bytes else {
            self.init("")
            return
        }
        self.init(bytes, count)
    }

    @inlinable
    public init(_ text: StaticString) {
        bytes = text.utf8Start
        count = text.utf8CodeUnitCount
    }
}

/// The head of a request or response while it passes through: the bytes as they were received,
/// where each field stands in them, and what was changed.
///
/// A change never moves received bytes: a removed field is marked, an added one stands in a list.
/// Writing the head copies the runs that are left, so an untouched head is one copy.
public struct Message {
    public var head: UnsafePointer<UInt8>
    public var fields: UnsafeMutablePointer<FieldSpan>
    public var fieldCount = 0
    public var fieldsEnd = 0
    public var added: UnsafeMutablePointer<AddedField>?
    public var addedCount = 0
    @usableFromInline var addedCapacity = 0
    /// Bytes of the lines of added fields, also of those that were dropped since.
    @usableFromInline var addedBytes = 0
    /// Method of a request.
    public var method: Slice
    /// Path and query of a request.
    public var path: Slice
    /// Host and port of a request; empty where there is none.
    public var authority: Slice
    /// Whether `authority` differs from the Host field that was received.
    public var isAuthorityChanged = false
    public var isRequest: Bool
    /// Of a response, 100 to 999.
    public var status: UInt16 = 0
    /// Changes with every committed edit.
    public var epoch: UInt32 = 0

    /// Fields that may be added to one message.
    @inlinable public static var addedMax: Int { 256 }

    @inlinable
    public init(
        isRequest: Bool,
        head: UnsafePointer<UInt8>,
        fields: UnsafeMutablePointer<FieldSpan>
    ) {
        self.isRequest = isRequest
        self.head = head
        self.fields = fields
        method = Slice("")
        path = Slice("")
        authority = Slice("")
    }

    /// Adds a field whose bytes outlive the message.
    ///
    /// - Returns: false when there is no room for it.
    @inlinable
    public mutating func append(
        id: FieldID,
        name: Slice,
        value: Slice,
        arena: inout Arena
    ) -> Bool {
        guard reserve(1, &arena) else { return false }
        appendReserved(id: id, name: name, value: value)
        return true
    }

    /// Adds a field for which `reserve` made room.
    @inlinable
    mutating func appendReserved(id: FieldID, name: Slice, value: Slice) {
        guard let added else { return }
        added[addedCount] = AddedField(name: name, value: value, id: id)
        addedCount &+= 1
        addedBytes &+= name.count &+ value.count &+ 4
    }

    /// Replaces Content-Length.
    ///
    /// - Returns: false when there is no memory for it; the message has none then.
    public mutating func setContentLength(_ length: UInt64, arena: inout Arena) -> Bool {
        drop(.contentLength)
        guard reserve(1, &arena), let digits = arena.allocate(UInt8.self, count: 24) else {
            return false
        }
        let count = HeadWriter.writeDecimal(length, to: digits)
        let name = FieldNames.lowercaseName(.contentLength)
        appendReserved(
            id: .contentLength,
            name: Slice(name.0, name.1),
            value: Slice(digits, count)
        )
        return true
    }

    /// Makes room for `count` more added fields; false when there is none.
    @inlinable
    public mutating func reserve(_ count: Int, _ arena: inout Arena) -> Bool {
        guard addedCount &+ count > addedCapacity else { return true }
        let capacity = max(8, addedCapacity &* 2, addedCount &+ count)
        guard addedCount &+ count <= Self.addedMax,
            let list = arena.allocate(AddedField.self, count: capacity)
        else { return false }
        if let added { list.update(from: added, count: addedCount) }
        added = list
        addedCapacity = capacity
        return true
    }

    /// Whether a field of this known id is there and not dropped.
    @inlinable
    public func has(_ id: FieldID) -> Bool {
        for index in 0..<fieldCount
        where fields[index].id == id && fields[index].flags & FieldSpan.dropped == 0 {
            return true
        }
        for index in 0..<addedCount {
            if let added, added[index].id == id, !added[index].isDropped { return true }
        }
        return false
    }

    /// The value of the first received field of this id, dropped or not.
    @inlinable
    public func received(_ id: FieldID) -> Slice? {
        for index in 0..<fieldCount where fields[index].id == id {
            return Slice(head + Int(fields[index].valueStart), Int(fields[index].valueLength))
        }
        return nil
    }

    /// Marks all fields of this known id as removed.
    @inlinable
    public mutating func drop(_ id: FieldID) {
        for index in 0..<fieldCount where fields[index].id == id {
            fields[index].flags |= FieldSpan.dropped
        }
        for index in 0..<addedCount {
            guard let added, added[index].id == id else { continue }
            added[index].isDropped = true
        }
    }

    /// Marks what asks for a part of a representation, or for none of it, as removed: a request
    /// that fills a cache must not ask for that (RFC 9110 §13.1, §14.2).
    public mutating func dropConditions() {
        drop(.range)
        drop(.ifRange)
        drop(.ifMatch)
        drop(.ifNoneMatch)
        drop(.ifModifiedSince)
        drop(.ifUnmodifiedSince)
    }

    /// Marks all fields that `matches` says as removed; it gets the name as received.
    @inlinable
    public mutating func drop(where matches: (UnsafePointer<UInt8>, Int) -> Bool) {
        for index in 0..<fieldCount
        where matches(head + Int(fields[index].nameStart), Int(fields[index].nameLength)) {
            fields[index].flags |= FieldSpan.dropped
        }
        for index in 0..<addedCount {
            guard let added, matches(added[index].name, Int(added[index].nameLength)) else {
                continue
            }
            added[index].isDropped = true
        }
    }

    /// Bytes that `writeFields` may write.
    @inlinable
    public var fieldBytesMax: Int { fieldsEnd &+ addedBytes }

    /// Writes all field lines that are left; returns their length.
    @inlinable
    public func writeFields(to out: UnsafeMutablePointer<UInt8>) -> Int {
        var at = HeadWriter.copyFields(
            head,
            fields,
            count: fieldCount,
            fieldsEnd: fieldsEnd,
            to: out
        )
        guard let added else { return at }
        for index in 0..<addedCount where !added[index].isDropped {
            let field = added[index]
            at &+= HeadWriter.copy(field.name, count: Int(field.nameLength), to: out + at)
            out[at] = UInt8(ascii: ":")
            out[at &+ 1] = UInt8(ascii: " ")
            at &+= 2
            at &+= HeadWriter.copy(field.value, count: Int(field.valueLength), to: out + at)
            out[at] = UInt8(ascii: "\r")
            out[at &+ 1] = UInt8(ascii: "\n")
            at &+= 2
        }
        return at
    }
}
