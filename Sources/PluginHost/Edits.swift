import CSluice
import HTTP
import Sys

/// Why a hook's edits were refused. None of them is then applied.
package enum EditError: UInt8, Error, Sendable {
    case unknownOperation
    case badName
    case badValue
    case connectionField
    case badTarget
    case badStatus
    case wrongMessage
    case tooMany
    case outOfMemory
}

/// Applying a hook's edits to a message, all or none.
enum Edits {
    /// Bytes of a value.
    private static let valueBytesMax = 65_535

    static func apply(
        _ edits: UnsafePointer<sluice_edits>, to message: inout Message, _ arena: inout Arena
    ) -> EditError? {
        let count = Int(edits.pointee.count)
        guard count <= Int(edits.pointee.capacity), let ops = edits.pointee.ops else {
            return .tooMany
        }
        for index in 0..<count {
            if let error = check(ops[index], message) { return error }
        }
        guard message.addedCount &+ count <= Message.addedMax else { return .tooMany }
        // All memory is taken before the first change, so that nothing is applied by half.
        var bytes = 0
        for index in 0..<count {
            bytes &+= (Int(ops[index].name.len) &+ 31) & ~15
            bytes &+= (Int(ops[index].value.len) &+ 31) & ~15
        }
        guard message.reserve(count, &arena), let block = arena.allocate(bytes) else {
            return .outOfMemory
        }
        var copies = Arena(block: block, count: bytes)
        for index in 0..<count {
            if let error = apply(ops[index], to: &message, &copies) { return error }
        }
        message.epoch &+= 1
        return nil
    }

    // MARK: Checking

    private static func check(_ edit: sluice_edit, _ message: Message) -> EditError? {
        let valueCount = Int(clamping: edit.value.len)
        guard valueCount <= valueBytesMax else { return .badValue }
        switch Int(edit.op) {
        case SLUICE_EDIT_SET, SLUICE_EDIT_APPEND, SLUICE_EDIT_ADD_IF_ABSENT:
            if let error = checkName(edit) { return error }
            return isValue(edit.value) ? nil : .badValue
        case SLUICE_EDIT_REMOVE:
            return checkName(edit)
        case SLUICE_EDIT_REMOVE_PREFIX:
            guard let name = edit.name.ptr, edit.name.len > 0, edit.name.len <= 256,
                FieldNames.isToken(name, count: Int(edit.name.len))
            else { return .badName }
            return nil
        case SLUICE_EDIT_SET_METHOD:
            guard message.isRequest else { return .wrongMessage }
            guard let value = edit.value.ptr, FieldNames.isToken(value, count: valueCount) else {
                return .badValue
            }
            return nil
        case SLUICE_EDIT_SET_PATH:
            guard message.isRequest else { return .wrongMessage }
            guard let value = edit.value.ptr, FieldNames.isTarget(value, count: valueCount) else {
                return .badTarget
            }
            return nil
        case SLUICE_EDIT_SET_AUTHORITY:
            guard message.isRequest else { return .wrongMessage }
            guard let value = edit.value.ptr, FieldNames.isHost(value, count: valueCount) else {
                return .badValue
            }
            return nil
        case SLUICE_EDIT_SET_STATUS:
            guard !message.isRequest else { return .wrongMessage }
            return 200...599 ~= edit.id ? nil : .badStatus
        default:
            return .unknownOperation
        }
    }

    private static func isValue(_ value: sluice_slice) -> Bool {
        guard value.len > 0 else { return true }
        guard let bytes = value.ptr else { return false }
        return FieldNames.isFieldValue(bytes, count: Int(value.len))
    }

    private static func checkName(_ edit: sluice_edit) -> EditError? {
        if edit.id != 0 {
            // Pseudo-fields have operations of their own; Host changes with the authority.
            guard edit.id >= UInt32(FieldID.host.rawValue), edit.id < UInt32(FieldID.count) else {
                return .badName
            }
            let id = FieldID(rawValue: UInt8(truncatingIfNeeded: edit.id))
            guard FieldNames.lowercaseName(id).1 > 0 else { return .badName }
            return isHosts(id) ? .connectionField : nil
        }
        guard let name = edit.name.ptr, edit.name.len > 0, edit.name.len <= 256,
            FieldNames.isToken(name, count: Int(edit.name.len))
        else { return .badName }
        return isHosts(FieldNames.id(name, count: Int(edit.name.len))) ? .connectionField : nil
    }

    /// Fields that only the host writes.
    private static func isHosts(_ id: FieldID) -> Bool {
        id == .host || FieldNames.isConnectionField(id)
    }

    // MARK: Applying

    private static func apply(
        _ edit: sluice_edit, to message: inout Message, _ arena: inout Arena
    ) -> EditError? {
        switch Int(edit.op) {
        case SLUICE_EDIT_SET:
            remove(edit, from: &message)
            return append(edit, to: &message, &arena)
        case SLUICE_EDIT_APPEND:
            return append(edit, to: &message, &arena)
        case SLUICE_EDIT_ADD_IF_ABSENT:
            return isPresent(edit, in: message) ? nil : append(edit, to: &message, &arena)
        case SLUICE_EDIT_REMOVE:
            remove(edit, from: &message)
            return nil
        case SLUICE_EDIT_REMOVE_PREFIX:
            removePrefix(edit, from: &message)
            return nil
        case SLUICE_EDIT_SET_STATUS:
            message.status = UInt16(truncatingIfNeeded: edit.id)
            return nil
        default:
            return setRequestLine(edit, of: &message, &arena)
        }
    }

    private static func setRequestLine(
        _ edit: sluice_edit, of message: inout Message, _ arena: inout Arena
    ) -> EditError? {
        guard let bytes = edit.value.ptr, let copy = arena.copy(bytes, Int(edit.value.len)) else {
            return .outOfMemory
        }
        let value = Slice(copy, Int(edit.value.len))
        switch Int(edit.op) {
        case SLUICE_EDIT_SET_METHOD: message.method = value
        case SLUICE_EDIT_SET_PATH: message.path = value
        default:
            message.authority = value
            message.isAuthorityChanged = true
            message.drop(.host)
        }
        return nil
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
                    message.head + Int(field.nameStart), Int(field.nameLength), name, count)
            {
                return true
            }
        }
        guard let added = message.added else { return false }
        for index in 0..<message.addedCount where !added[index].isDropped {
            if FieldNames.equalsIgnoringCase(
                added[index].name, Int(added[index].nameLength), name, count)
            {
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

    private static func append(
        _ edit: sluice_edit, to message: inout Message, _ arena: inout Arena
    ) -> EditError? {
        let id = id(of: edit)
        let name: Slice
        if edit.id != 0 {
            let known = FieldNames.lowercaseName(id)
            name = Slice(known.0, known.1)
        } else {
            guard let bytes = edit.name.ptr, let copy = arena.copy(bytes, Int(edit.name.len))
            else { return .outOfMemory }
            name = Slice(copy, Int(edit.name.len))
        }
        var value = Slice("")
        if edit.value.len > 0 {
            guard let bytes = edit.value.ptr, let copy = arena.copy(bytes, Int(edit.value.len))
            else { return .outOfMemory }
            value = Slice(copy, Int(edit.value.len))
        }
        return message.append(id: id, name: name, value: value, arena: &arena)
            ? nil : .outOfMemory
    }
}
