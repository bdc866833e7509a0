public import CSluice
import HTTP
public import Sys

/// What a cache answers with.
extension HookCall {
    /// What the last lookup, `admit` or `failed` answers with.
    public var cacheAnswer: UnsafePointer<sluice_cache_answer> { UnsafePointer(cache.answer) }

    func clearAnswer() {
        cache.answer.pointee = sluice_cache_answer()
        cache.answer.pointee.size = UInt32(MemoryLayout<sluice_cache_answer>.size)
        cache.answer.pointee.content_length = .max
    }

    /// Puts the fields of an answer into a response.
    ///
    /// Those that were stored are taken as they are, but for fields of the host; those that were
    /// made for this request are checked as the edits of a hook are.
    ///
    /// - Parameter copies: whether the plugin's memory is gone after the call.
    public func addFields(
        of answer: UnsafePointer<sluice_cache_answer>,
        to message: inout Message,
        _ arena: inout Arena,
        copies: Bool
    ) -> EditError? {
        let (stored, made) = (Int(answer.pointee.field_count), Int(answer.pointee.more_count))
        guard stored &+ made <= Message.addedMax else { return .tooMany }
        // One more for Content-Length.
        guard message.reserve(stored &+ made &+ 1, &arena) else { return .outOfMemory }
        if let error = add(answer.pointee.fields, stored, to: &message, &arena, false, copies) {
            return error
        }
        return add(answer.pointee.more, made, to: &message, &arena, true, copies)
    }

    private func add(
        _ fields: UnsafePointer<sluice_field>?,
        _ count: Int,
        to message: inout Message,
        _ arena: inout Arena,
        _ isMade: Bool,
        _ copies: Bool
    ) -> EditError? {
        guard count > 0 else { return nil }
        guard let fields else { return .badName }
        for index in 0..<count {
            if let error = add(fields + index, to: &message, &arena, isMade, copies) {
                return error
            }
        }
        return nil
    }

    /// - Parameter isMade: checks it as an edit.
    private func add(
        _ field: UnsafePointer<sluice_field>,
        to message: inout Message,
        _ arena: inout Arena,
        _ isMade: Bool,
        _ copies: Bool
    ) -> EditError? {
        guard let name = field.pointee.name, field.pointee.id < UInt16(FieldID.count),
            1...Edits.nameBytesMax ~= Int(field.pointee.name_len)
        else { return .badName }
        let id = FieldID(rawValue: UInt8(truncatingIfNeeded: field.pointee.id))
        let (nameCount, valueCount) = (Int(field.pointee.name_len), Int(field.pointee.value_len))
        // Pseudo-fields come before the first known name.
        guard id == .unknown || id.rawValue > FieldID.host.rawValue else { return .badName }
        if FieldNames.isConnectionField(id) { return .connectionField }
        guard valueCount <= Edits.valueBytesMax else { return .badValue }
        guard let value = valueCount == 0 ? name : field.pointee.value else { return .badValue }
        if isMade {
            guard FieldNames.isToken(name, count: nameCount) else { return .badName }
            guard FieldNames.isFieldValue(value, count: valueCount) else { return .badValue }
            if FieldNames.isConnectionField(FieldNames.id(name, count: nameCount)) {
                return .connectionField
            }
        }
        var slices = (Slice(name, nameCount), Slice(value, valueCount))
        if copies {
            guard let first = arena.copy(name, nameCount),
                let second = arena.copy(value, valueCount)
            else { return .outOfMemory }
            slices = (Slice(first, nameCount), Slice(second, valueCount))
        }
        message.appendReserved(id: id, name: slices.0, value: slices.1)
        return nil
    }
}
