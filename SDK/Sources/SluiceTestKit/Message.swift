import CSluice
import SluiceSDK

/// The fields of a message as a test writes and reads them, pseudo-fields first.
public struct Message: Equatable, Sendable {
    /// One field; the name in lower case.
    public struct Field: Equatable, Sendable {
        /// In lower case.
        public var name: String
        /// As sent.
        public var value: String
    }

    /// All fields in order.
    public var fields: [Field]

    /// A message of these fields.
    public init(_ fields: [(String, String)] = []) {
        self.fields = fields.map { Field(name: $0.0.lowercased(), value: $0.1) }
    }

    /// The value of the first field of a name.
    public subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The values of all fields of a name.
    public func values(_ name: String) -> [String] {
        fields.filter { $0.name == name }.map(\.value)
    }

    /// The fields as the host lays them out.
    func layOut(in arena: Arena) -> UnsafePointer<sluice_headers> {
        let headers = arena.allocate(sluice_headers(), count: 1)
        headers.pointee.size = UInt32(MemoryLayout<sluice_headers>.size)
        headers.pointee.count = UInt32(fields.count)
        headers.pointee.status = UInt32(self[":status"] ?? "") ?? 0
        let place = arena.allocate(sluice_field(), count: fields.count)
        headers.pointee.fields = UnsafePointer(place)
        var seen: Set<UInt16> = []
        for (index, field) in fields.enumerated() {
            place[index] = field.layOut(in: arena)
            let id = place[index].id
            guard id != 0 else { continue }
            if !seen.insert(id).inserted {
                place[index].flags |= UInt16(SLUICE_FIELD_FLAG_REPEATED)
                continue
            }
            let bit = UInt64(1) << UInt64(id & 63)
            if id < 64 {
                headers.pointee.known_bits.0 |= bit
            } else {
                headers.pointee.known_bits.1 |= bit
            }
            withUnsafeMutableBytes(of: &headers.pointee.known_index) {
                $0.storeBytes(of: UInt16(index), toByteOffset: 2 * Int(id), as: UInt16.self)
            }
        }
        return UnsafePointer(headers)
    }
}

extension Message.Field {
    fileprivate func layOut(in arena: Arena) -> sluice_field {
        var field = sluice_field()
        let name = arena.slice(name)
        let value = arena.slice(value)
        field.name = name.ptr ?? Bytes.empty.start
        field.name_len = UInt32(name.len)
        field.value = value.ptr ?? Bytes.empty.start
        field.value_len = UInt32(value.len)
        field.id = FieldID(named: Bytes(name)).rawValue
        if self.name.hasPrefix(":") { field.flags |= UInt16(SLUICE_FIELD_FLAG_PSEUDO) }
        return field
    }
}

/// An edit as a test reads it.
public struct EditRecord: Equatable {
    /// A number of `SLUICE_EDIT_`.
    public var op: Int
    /// The name in lower case, also of a field that was named by its id.
    public var name: String
    /// The value.
    public var value: String
    /// The number that a change of status carries.
    public var id: Int

    init(_ edit: sluice_edit) {
        op = Int(edit.op)
        id = Int(edit.id)
        value = String(edit.value)
        let known = FieldID.name(FieldID(rawValue: UInt16(edit.id)))
        name = edit.id == 0 ? String(edit.name).lowercased() : String(known)
    }

    init(appending name: String, _ value: String) {
        op = Int(SLUICE_EDIT_APPEND)
        id = 0
        self.name = name.lowercased()
        self.value = value
    }
}

extension Message {
    /// Applies edits as `sluice/headers.h` says; false when one of them is refused, and then the
    /// message is as before.
    public mutating func apply(_ edits: [EditRecord]) -> Bool {
        var result = self
        for edit in edits {
            guard result.applyOne(edit) else { return false }
        }
        self = result
        return true
    }

    private mutating func applyOne(_ edit: EditRecord) -> Bool {
        guard edit.value.utf8.allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 }) else { return false }
        switch edit.op {
        case SLUICE_EDIT_SET_METHOD: return replace(":method", edit.value)
        case SLUICE_EDIT_SET_PATH:
            return edit.value.hasPrefix("/") && replace(":path", edit.value)
        case SLUICE_EDIT_SET_AUTHORITY: return replace(":authority", edit.value)
        case SLUICE_EDIT_SET_STATUS:
            return (200...599).contains(edit.id) && replace(":status", "\(edit.id)")
        default: break
        }
        guard isToken(edit.name), !reserved.contains(edit.name) else { return false }
        switch edit.op {
        case SLUICE_EDIT_SET:
            fields.removeAll { $0.name == edit.name }
            fields.append(Field(name: edit.name, value: edit.value))
        case SLUICE_EDIT_APPEND: fields.append(Field(name: edit.name, value: edit.value))
        case SLUICE_EDIT_ADD_IF_ABSENT:
            if self[edit.name] == nil { fields.append(Field(name: edit.name, value: edit.value)) }
        case SLUICE_EDIT_REMOVE: fields.removeAll { $0.name == edit.name }
        case SLUICE_EDIT_REMOVE_PREFIX: fields.removeAll { $0.name.hasPrefix(edit.name) }
        default: return false
        }
        return true
    }

    private mutating func replace(_ name: String, _ value: String) -> Bool {
        guard let index = fields.firstIndex(where: { $0.name == name }) else { return false }
        fields[index].value = value
        return true
    }

    private func isToken(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { utf8 in
            guard let start = utf8.baseAddress else { return false }
            return Bytes(start, count: utf8.count).isToken
        }
    }
}

private let reserved: Set<String> = [
    "connection", "content-length", "transfer-encoding", "upgrade", "keep-alive", "te", "trailer",
    "proxy-connection",
]
