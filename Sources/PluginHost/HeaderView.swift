import CSluice
import HTTP
import Sys

/// Building the list of fields that plugins read (`sluice_headers`).
///
/// Built when the first hook of a phase needs it and again after edits; a request whose chain has no
/// such hook never pays for it.
enum HeaderView {
    /// The view of a message, built anew when `current` is false.
    ///
    /// - Returns: nil when the arena's bound is reached.
    @inline(__always)
    static func make(
        _ message: inout Message, _ view: inout UnsafeMutablePointer<sluice_headers>?,
        _ isCurrent: inout Bool, _ arena: inout Arena
    ) -> UnsafeMutablePointer<sluice_headers>? {
        if isCurrent { return view }
        return build(&message, &view, &isCurrent, &arena)
    }

    private static func build(
        _ message: inout Message, _ view: inout UnsafeMutablePointer<sluice_headers>?,
        _ isCurrent: inout Bool, _ arena: inout Arena
    ) -> UnsafeMutablePointer<sluice_headers>? {
        let countMax = message.fieldCount &+ message.addedCount &+ 4
        if view == nil {
            view = arena.allocate(sluice_headers.self, count: 1)
            view?.initialize(to: sluice_headers())
        }
        guard let view, let list = arena.allocate(sluice_field.self, count: countMax) else {
            return nil
        }
        view.pointee.size = UInt32(MemoryLayout<sluice_headers>.size)
        view.pointee.epoch = message.epoch
        view.pointee.status = UInt32(message.status)
        view.pointee.known_bits = (0, 0)
        var builder = Builder(list: list, view: view)
        if message.isRequest {
            builder.pseudo(.pseudoMethod, message.method)
            builder.pseudo(.pseudoScheme, Slice("http"))
            builder.pseudo(.pseudoAuthority, message.authority)
            builder.pseudo(.pseudoPath, message.path)
        } else if let digits = arena.allocate(UInt8.self, count: 16) {
            let count = HeadWriter.writeDecimal(UInt64(message.status), to: digits)
            builder.pseudo(.pseudoStatus, Slice(digits, count))
        }
        guard builder.fields(of: message, &arena) else { return nil }
        view.pointee.fields = UnsafePointer(list)
        view.pointee.count = UInt32(truncatingIfNeeded: builder.count)
        isCurrent = true
        return view
    }

    private struct Builder {
        let list: UnsafeMutablePointer<sluice_field>
        let view: UnsafeMutablePointer<sluice_headers>
        var count = 0

        init(
            list: UnsafeMutablePointer<sluice_field>, view: UnsafeMutablePointer<sluice_headers>
        ) {
            self.list = list
            self.view = view
        }

        mutating func pseudo(_ id: FieldID, _ value: Slice) {
            let name = FieldNames.lowercaseName(id)
            add(
                id, Slice(name.0, name.1), value, flags: UInt16(SLUICE_FIELD_FLAG_PSEUDO))
        }

        /// Adds the fields that are not dropped; false when the arena's bound is reached.
        mutating func fields(of message: Message, _ arena: inout Arena) -> Bool {
            let fields = message.fields
            for index in 0..<message.fieldCount {
                let span = fields[index]
                if span.flags & FieldSpan.dropped != 0 { continue }
                let value = Slice(message.head + Int(span.valueStart), Int(span.valueLength))
                let name: Slice
                if span.id != .unknown {
                    let known = FieldNames.lowercaseName(span.id)
                    name = Slice(known.0, known.1)
                } else if let lowered = lowercase(
                    message.head + Int(span.nameStart), Int(span.nameLength), &arena)
                {
                    name = lowered
                } else {
                    return false
                }
                add(span.id, name, value, flags: 0)
            }
            guard let added = message.added else { return true }
            for index in 0..<message.addedCount where !added[index].isDropped {
                let field = added[index]
                guard let name = lowercase(field.name, Int(field.nameLength), &arena) else {
                    return false
                }
                add(field.id, name, Slice(field.value, Int(field.valueLength)), flags: 0)
            }
            return true
        }

        @inline(__always)
        private mutating func add(_ id: FieldID, _ name: Slice, _ value: Slice, flags: UInt16) {
            var flags = flags
            if id != .unknown {
                let bit: UInt64 = 1 << UInt64(id.rawValue & 63)
                let isHigh = id.rawValue >= 64
                let bits = isHigh ? view.pointee.known_bits.1 : view.pointee.known_bits.0
                if bits & bit != 0 {
                    flags |= UInt16(SLUICE_FIELD_FLAG_REPEATED)
                } else {
                    if isHigh {
                        view.pointee.known_bits.1 = bits | bit
                    } else {
                        view.pointee.known_bits.0 = bits | bit
                    }
                    // Safe: an array of 128 indices, and ids are under 128.
                    withUnsafeMutableBytes(of: &view.pointee.known_index) { indices in
                        indices.storeBytes(
                            of: UInt16(truncatingIfNeeded: count),
                            toByteOffset: Int(id.rawValue) &* 2, as: UInt16.self)
                    }
                }
                if Self.isSensitive(id) { flags |= UInt16(SLUICE_FIELD_FLAG_SENSITIVE) }
            }
            list[count] = sluice_field(
                name: name.bytes, value: value.bytes,
                name_len: UInt32(truncatingIfNeeded: name.count),
                value_len: UInt32(truncatingIfNeeded: value.count),
                id: UInt16(id.rawValue), flags: flags, reserved: 0)
            count &+= 1
        }

        @inline(__always)
        private static func isSensitive(_ id: FieldID) -> Bool {
            id == .authorization || id == .proxyAuthorization || id == .cookie || id == .setCookie
        }

        /// The name in lower case: itself when it has no upper case, else a copy.
        private func lowercase(
            _ name: UnsafePointer<UInt8>, _ count: Int, _ arena: inout Arena
        ) -> Slice? {
            var index = 0
            while index < count, !(name[index] &- 0x41 < 26) { index &+= 1 }
            if index == count { return Slice(name, count) }
            guard let copy = arena.copy(name, count) else { return nil }
            while index < count {
                if copy[index] &- 0x41 < 26 { copy[index] |= 0x20 }
                index &+= 1
            }
            return Slice(copy, count)
        }
    }
}
