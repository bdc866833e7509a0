package import HTTP
package import Sys

/// A field that is not in the received bytes: added by a plugin or by the host.
package struct AddedField: BitwiseCopyable {
    package var name: UnsafePointer<UInt8>
    package var value: UnsafePointer<UInt8>
    package var nameLength: UInt16
    package var id: FieldID
    package var isDropped: Bool
    package var valueLength: UInt32
}

/// Bytes of the request's arena, or of a text that never goes away.
package struct Slice {
    package var bytes: UnsafePointer<UInt8>
    package var count: Int

    package init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// Bytes that a permanent `sluice_slice` holds.
    package init(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
        guard let bytes else {
            self.init("")
            return
        }
        self.init(bytes, count)
    }

    package init(_ text: StaticString) {
        bytes = text.utf8Start
        count = text.utf8CodeUnitCount
    }
}

/// The head of a request or response while it passes through: the bytes as they were received,
/// where each field stands in them, and what was changed.
///
/// A change never moves received bytes: a removed field is marked, an added one stands in a list.
/// Writing the head copies the runs that are left, so an untouched head is one copy.
package struct Message {
    package var head: UnsafePointer<UInt8>
    package var fields: UnsafeMutablePointer<FieldSpan>
    package var fieldCount = 0
    package var fieldsEnd = 0
    package var added: UnsafeMutablePointer<AddedField>?
    package var addedCount = 0
    private var addedCapacity = 0
    /// Method of a request.
    package var method: Slice
    /// Path and query of a request.
    package var path: Slice
    /// Host and port of a request; empty where there is none.
    package var authority: Slice
    /// Whether `authority` differs from the Host field that was received.
    package var isAuthorityChanged = false
    package var isRequest: Bool
    /// Of a response, 100 to 999.
    package var status: UInt16 = 0
    /// Changes with every committed edit.
    package var epoch: UInt32 = 0

    /// Fields that may be added to one message.
    package static let addedMax = 256

    package init(
        isRequest: Bool, head: UnsafePointer<UInt8>, fields: UnsafeMutablePointer<FieldSpan>
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
    package mutating func append(
        id: FieldID, name: Slice, value: Slice, arena: inout Arena
    ) -> Bool {
        guard reserve(1, &arena) else { return false }
        appendReserved(id: id, name: name, value: value)
        return true
    }

    /// Adds a field for which `reserve` made room.
    @inline(__always)
    mutating func appendReserved(id: FieldID, name: Slice, value: Slice) {
        guard let added else { return }
        added[addedCount] = AddedField(
            name: name.bytes, value: value.bytes,
            nameLength: UInt16(truncatingIfNeeded: name.count), id: id, isDropped: false,
            valueLength: UInt32(truncatingIfNeeded: value.count))
        addedCount &+= 1
    }

    /// Makes room for `count` more added fields; false when there is none.
    package mutating func reserve(_ count: Int, _ arena: inout Arena) -> Bool {
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
    package func has(_ id: FieldID) -> Bool {
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
    package func received(_ id: FieldID) -> Slice? {
        for index in 0..<fieldCount where fields[index].id == id {
            return Slice(head + Int(fields[index].valueStart), Int(fields[index].valueLength))
        }
        return nil
    }

    /// Marks all fields of this known id as removed.
    @inline(__always)
    package mutating func drop(_ id: FieldID) {
        for index in 0..<fieldCount where fields[index].id == id {
            fields[index].flags |= FieldSpan.dropped
        }
        for index in 0..<addedCount {
            guard let added, added[index].id == id else { continue }
            added[index].isDropped = true
        }
    }

    /// Marks all fields that `matches` says as removed; it gets the name as received.
    package mutating func drop(where matches: (UnsafePointer<UInt8>, Int) -> Bool) {
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
    package var fieldBytesMax: Int {
        var count = fieldsEnd
        for index in 0..<addedCount {
            guard let added else { break }
            count &+= Int(added[index].nameLength) &+ Int(added[index].valueLength) &+ 4
        }
        return count
    }

    /// Writes all field lines that are left; returns their length.
    package func writeFields(to out: UnsafeMutablePointer<UInt8>) -> Int {
        var at = HeadWriter.copyFields(
            head, fields, count: fieldCount, fieldsEnd: fieldsEnd, to: out)
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
