import CSluice
import HTTP
import Sys

/// Why a hook's edits were refused.
///
/// None of them is then applied.
public enum EditError: UInt8, Error, Sendable {
    case unknownOperation
    case badName
    case badValue
    case connectionField
    case badTarget
    case badStatus
    case wrongMessage
    case tooMany
    case outOfMemory
    /// The hook asked for something that its phase does not give (`SLUICE_ASK_*`), or a HOLD that
    /// no body hook could end.
    case badAsk
}

/// Applying a hook's edits to a message, all or none.
struct Edits {
    /// Names of the known ids, as in `HeaderView`.
    let names: UnsafeMutablePointer<sluice_field>

    /// Bytes of a name, and of a value.
    static let nameBytesMax = 256
    static let valueBytesMax = 65_535

    /// - Parameter known: `known_bits` of the view that the hook read: a field whose bit is not set
    ///   need not be looked for.
    func apply(
        _ edits: UnsafePointer<sluice_edits>,
        to message: inout Message,
        known: (UInt64, UInt64),
        _ arena: inout Arena
    ) -> EditError? {
        var known = known
        let count = Int(edits.pointee.count)
        guard count <= Int(edits.pointee.capacity), let ops = edits.pointee.ops else {
            return .tooMany
        }
        // All memory is taken before the first change, so that nothing is applied by half.
        var bytes = 0
        for index in 0..<count {
            if let error = check(ops + index, message.isRequest) { return error }
            bytes &+= Int(ops[index].value.len)
            // Only the name of an edit without an id was checked, and is copied.
            if ops[index].id == 0 {
                bytes &+= Int(min(ops[index].name.len, UInt64(Self.nameBytesMax)))
            }
        }
        guard message.addedCount &+ count <= Message.addedMax else { return .tooMany }
        guard message.reserve(count, &arena), let block = arena.allocate(bytes) else {
            return .outOfMemory
        }
        var copies = Copies(next: block.assumingMemoryBound(to: UInt8.self))
        for index in 0..<count { apply(ops + index, to: &message, &known, &copies) }
        message.epoch &+= 1
        return nil
    }

    /// Bytes of the field line that a SET, APPEND or ADD_IF_ABSENT may add.
    func lineBytesMax(of edit: sluice_edit) -> Int {
        let name =
            edit.id > 0 && edit.id < UInt32(FieldID.count)
            ? Int(names[Int(edit.id)].name_len)
            : Int(min(edit.name.len, UInt64(Self.nameBytesMax)))
        return name &+ Int(min(edit.value.len, UInt64(Self.valueBytesMax))) &+ 4
    }

    /// Memory for the names and values of one commit: as many bytes as they have.
    private struct Copies {
        var next: UnsafeMutablePointer<UInt8>

        @inline(__always)
        mutating func copy(_ slice: sluice_slice) -> Slice {
            guard let bytes = slice.ptr else { return Slice("") }
            let copy = next
            next += HeadWriter.copy(bytes, count: Int(slice.len), to: next)
            return Slice(copy, Int(slice.len))
        }
    }

    // MARK: Checking

    @inline(__always)
    private func check(_ edit: UnsafeMutablePointer<sluice_edit>, _ isRequest: Bool) -> EditError? {
        guard edit.pointee.value.len <= UInt64(Self.valueBytesMax) else { return .badValue }
        switch Int(edit.pointee.op) {
        case SLUICE_EDIT_SET, SLUICE_EDIT_APPEND, SLUICE_EDIT_ADD_IF_ABSENT:
            if let error = checkName(edit) { return error }
            return Self.isValue(edit.pointee.value) ? nil : .badValue
        case SLUICE_EDIT_REMOVE:
            return checkName(edit)
        default:
            return checkOther(edit.pointee, isRequest)
        }
    }

    private func checkOther(_ edit: sluice_edit, _ isRequest: Bool) -> EditError? {
        let count = Int(edit.value.len)
        switch Int(edit.op) {
        case SLUICE_EDIT_REMOVE_PREFIX:
            return Self.isToken(edit.name) ? nil : .badName
        case SLUICE_EDIT_SET_METHOD:
            guard isRequest else { return .wrongMessage }
            return Self.isToken(edit.value) ? nil : .badValue
        case SLUICE_EDIT_SET_PATH:
            guard isRequest else { return .wrongMessage }
            guard let value = edit.value.ptr, FieldNames.isTarget(value, count: count) else {
                return .badTarget
            }
            return nil
        case SLUICE_EDIT_SET_AUTHORITY:
            guard isRequest else { return .wrongMessage }
            guard let value = edit.value.ptr, FieldNames.isHost(value, count: count) else {
                return .badValue
            }
            return nil
        case SLUICE_EDIT_SET_STATUS:
            guard !isRequest else { return .wrongMessage }
            return 200...599 ~= edit.id ? nil : .badStatus
        default:
            return .unknownOperation
        }
    }

    private static func isToken(_ name: sluice_slice) -> Bool {
        guard let bytes = name.ptr, name.len > 0, name.len <= UInt64(nameBytesMax)
        else { return false }
        return FieldNames.isToken(bytes, count: Int(name.len))
    }

    private static func isValue(_ value: sluice_slice) -> Bool {
        guard value.len > 0 else { return true }
        guard let bytes = value.ptr else { return false }
        return FieldNames.isFieldValue(bytes, count: Int(value.len))
    }

    @inline(__always)
    private func checkName(_ edit: UnsafeMutablePointer<sluice_edit>) -> EditError? {
        let id = edit.pointee.id
        if id == 0 { return checkUnknownName(edit.pointee) }
        // Pseudo-fields have operations of their own; Host changes with the authority.
        guard id >= UInt32(FieldID.host.rawValue), id < UInt32(FieldID.count),
            names[Int(id)].name_len > 0
        else { return .badName }
        return Self.isHosts(FieldID(rawValue: UInt8(truncatingIfNeeded: id)))
            ? .connectionField : nil
    }

    private func checkUnknownName(_ edit: sluice_edit) -> EditError? {
        guard let name = edit.name.ptr, Self.isToken(edit.name) else { return .badName }
        return Self.isHosts(FieldNames.id(name, count: Int(edit.name.len)))
            ? .connectionField : nil
    }

    /// Fields that only the host writes.
    private static func isHosts(_ id: FieldID) -> Bool {
        id == .host || FieldNames.isConnectionField(id)
    }

    // MARK: Applying

    @inline(__always)
    private func apply(
        _ edit: UnsafeMutablePointer<sluice_edit>,
        to message: inout Message,
        _ known: inout (UInt64, UInt64),
        _ copies: inout Copies
    ) {
        let bit: UInt64 = 1 &<< UInt64(edit.pointee.id & 63)
        switch Int(edit.pointee.op) {
        case SLUICE_EDIT_SET:
            if edit.pointee.id != 0 {
                if (edit.pointee.id < 64 ? known.0 : known.1) & bit != 0 {
                    message.drop(FieldID(rawValue: UInt8(truncatingIfNeeded: edit.pointee.id)))
                }
            } else {
                Self.remove(edit.pointee, from: &message)
            }
        case SLUICE_EDIT_APPEND: break
        case SLUICE_EDIT_ADD_IF_ABSENT:
            if Self.isPresent(edit.pointee, in: message) { return }
        default:
            applyOther(edit.pointee, to: &message, &copies)
            return
        }
        let id = append(edit, to: &message, &copies)
        if id.rawValue < 64 {
            known.0 |= 1 &<< UInt64(id.rawValue)
        } else {
            known.1 |= 1 &<< UInt64(id.rawValue & 63)
        }
    }

    private func applyOther(
        _ edit: sluice_edit,
        to message: inout Message,
        _ copies: inout Copies
    ) {
        switch Int(edit.op) {
        case SLUICE_EDIT_REMOVE: Self.remove(edit, from: &message)
        case SLUICE_EDIT_REMOVE_PREFIX: Self.removePrefix(edit, from: &message)
        case SLUICE_EDIT_SET_STATUS: message.status = UInt16(truncatingIfNeeded: edit.id)
        case SLUICE_EDIT_SET_METHOD: message.method = copies.copy(edit.value)
        case SLUICE_EDIT_SET_PATH: message.path = copies.copy(edit.value)
        default:
            message.authority = copies.copy(edit.value)
            message.isAuthorityChanged = true
            message.drop(.host)
        }
    }

    @inline(__always)
    private func append(
        _ edit: UnsafeMutablePointer<sluice_edit>,
        to message: inout Message,
        _ copies: inout Copies
    ) -> FieldID {
        let name: Slice
        let id: FieldID
        if edit.pointee.id != 0 {
            let known = names + Int(edit.pointee.id)
            id = FieldID(rawValue: UInt8(truncatingIfNeeded: edit.pointee.id))
            name = Slice(known.pointee.name, Int(known.pointee.name_len))
        } else {
            id = Self.id(of: edit.pointee)
            name = copies.copy(edit.pointee.name)
        }
        message.appendReserved(id: id, name: name, value: copies.copy(edit.pointee.value))
        return id
    }

    private static func id(of edit: sluice_edit) -> FieldID {
        if edit.id != 0 { return FieldID(rawValue: UInt8(truncatingIfNeeded: edit.id)) }
        guard let name = edit.name.ptr else { return .unknown }
        return FieldNames.id(name, count: Int(edit.name.len))
    }

    private static func isPresent(_ edit: sluice_edit, in message: Message) -> Bool {
        let id = id(of: edit)
        if id != .unknown { return message.has(id) }
        guard let name = edit.name.ptr else { return false }
        let count = Int(edit.name.len)
        for index in 0..<message.fieldCount {
            let field = message.fields[index]
            if field.id == .unknown, field.flags & FieldSpan.dropped == 0,
                FieldNames.equalsIgnoringCase(
                    message.head + Int(field.nameStart),
                    Int(field.nameLength),
                    name,
                    count
                )
            {
                return true
            }
        }
        guard let added = message.added else { return false }
        for index in 0..<message.addedCount where !added[index].isDropped {
            if FieldNames.equalsIgnoringCase(
                added[index].name,
                Int(added[index].nameLength),
                name,
                count
            ) {
                return true
            }
        }
        return false
    }

    private static func remove(_ edit: sluice_edit, from message: inout Message) {
        let id = id(of: edit)
        if id != .unknown {
            message.drop(id)
            return
        }
        guard let name = edit.name.ptr else { return }
        let count = Int(edit.name.len)
        message.drop { FieldNames.equalsIgnoringCase($0, $1, name, count) }
    }

    /// Removes by prefix, but never a field that only the host writes.
    private static func removePrefix(_ edit: sluice_edit, from message: inout Message) {
        guard let prefix = edit.name.ptr else { return }
        let count = Int(edit.name.len)
        message.drop { name, nameCount in
            nameCount >= count && FieldNames.equalsIgnoringCase(name, count, prefix, count)
                && !isHosts(FieldNames.id(name, count: nameCount))
        }
    }
}
