import CSluice
import HTTP
import Sys

/// Building the list of fields that plugins read (`sluice_headers`).
///
/// Built when the first hook of a phase needs it and again after edits; a request whose chain has
/// no such hook never pays for it.
struct HeaderView {
    /// An entry for each known id with everything but its value filled in; never freed.
    let templates: UnsafeMutablePointer<sluice_field>
    /// Where arrays stand in a view: looked up once, because a key path is not folded.
    private let bitsOffset = MemoryLayout<sluice_headers>.offset(of: \.known_bits) ?? 0
    private let indexOffset = MemoryLayout<sluice_headers>.offset(of: \.known_index) ?? 0

    init() {
        templates = .allocate(capacity: FieldID.count)
        templates.initialize(repeating: sluice_field(), count: FieldID.count)
        for (id, _) in FieldID.names {
            let id = FieldID(rawValue: id)
            let name = FieldNames.lowercaseName(id)
            var flags = 0
            if name.0[0] == UInt8(ascii: ":") { flags |= SLUICE_FIELD_FLAG_PSEUDO }
            if id == .authorization || id == .proxyAuthorization || id == .cookie
                || id == .setCookie
            {
                flags |= SLUICE_FIELD_FLAG_SENSITIVE
            }
            templates[Int(id.rawValue)] = sluice_field(
                name: name.0,
                value: name.0,
                name_len: UInt32(name.1),
                value_len: 0,
                id: UInt16(id.rawValue),
                flags: UInt16(flags),
                reserved: 0
            )
        }
    }

    /// The view of a message, built anew when it is not current.
    ///
    /// - Parameter secure: `sluice_facts.secure` of a request, which is all that its scheme says.
    /// - Returns: nil when the arena's bound is reached.
    @inline(__always)
    func make(
        _ message: inout Message,
        _ view: inout UnsafeMutablePointer<sluice_headers>?,
        _ isCurrent: inout Bool,
        _ arena: inout Arena,
        secure: UInt32 = 0
    ) -> UnsafeMutablePointer<sluice_headers>? {
        if isCurrent { return view }
        return build(&message, &view, &isCurrent, &arena, secure: secure)
    }

    @inline(never)
    private func build(
        _ message: inout Message,
        _ view: inout UnsafeMutablePointer<sluice_headers>?,
        _ isCurrent: inout Bool,
        _ arena: inout Arena,
        secure: UInt32
    ) -> UnsafeMutablePointer<sluice_headers>? {
        let countMax = message.fieldCount &+ message.addedCount &+ 4
        if view == nil {
            guard let memory = arena.allocate(MemoryLayout<sluice_headers>.stride) else {
                return nil
            }
            let new = memory.bindMemory(to: sluice_headers.self, capacity: 1)
            new.pointee.size = UInt32(MemoryLayout<sluice_headers>.size)
            new.pointee.reserved = (0, 0, 0, 0)
            view = new
        }
        guard let view,
            let memory = arena.allocate(countMax &* MemoryLayout<sluice_field>.stride)
        else { return nil }
        let list = memory.bindMemory(to: sluice_field.self, capacity: countMax)
        view.pointee.known_bits = (0, 0)
        view.pointee.epoch = message.epoch
        view.pointee.status = UInt32(message.status)
        var builder = Builder(
            templates: templates,
            list: list,
            indices: UnsafeMutableRawPointer(view) + indexOffset,
            bits: UnsafeMutableRawPointer(view) + bitsOffset
        )
        if message.isRequest {
            builder.add(known: .pseudoMethod, message.method)
            builder.add(known: .pseudoScheme, Slice("http"))
            // Put right behind: a choice in front would cost requests in the clear as well.
            if secure != 0 { builder.makeSecure(list + 1) }
            builder.add(known: .pseudoAuthority, message.authority)
            builder.add(known: .pseudoPath, message.path)
        } else if message.status != 0,
            let digits = arena.allocate(16)?.assumingMemoryBound(to: UInt8.self)
        {
            let count = HeadWriter.writeDecimal(UInt64(message.status), to: digits)
            builder.add(known: .pseudoStatus, Slice(digits, count))
        }
        guard builder.fields(of: &message, &arena) else { return nil }
        view.pointee.fields = UnsafePointer(list)
        view.pointee.count = UInt32(truncatingIfNeeded: builder.count)
        isCurrent = true
        return view
    }

    private struct Builder {
        let templates: UnsafeMutablePointer<sluice_field>
        let list: UnsafeMutablePointer<sluice_field>
        /// `known_index` of the view.
        let indices: UnsafeMutablePointer<UInt16>
        var count = 0
        /// `known_bits` of the view.
        let bits: UnsafeMutablePointer<UInt64>

        @inline(__always)
        init(
            templates: UnsafeMutablePointer<sluice_field>,
            list: UnsafeMutablePointer<sluice_field>,
            indices: UnsafeMutableRawPointer,
            bits: UnsafeMutableRawPointer
        ) {
            self.templates = templates
            self.list = list
            // Safe: arrays of two words and of 128 numbers inside the view.
            self.bits = bits.assumingMemoryBound(to: UInt64.self)
            self.indices = indices.assumingMemoryBound(to: UInt16.self)
        }

        @inline(__always)
        mutating func add(known id: FieldID, _ value: Slice) {
            let entry = list + count
            entry.pointee = templates[Int(id.rawValue)]
            entry.pointee.value = value.bytes
            entry.pointee.value_len = UInt32(truncatingIfNeeded: value.count)
            let word = bits + Int(id.rawValue &>> 6)
            let bit: UInt64 = 1 &<< UInt64(id.rawValue & 63)
            if word.pointee & bit != 0 {
                entry.pointee.flags |= UInt16(SLUICE_FIELD_FLAG_REPEATED)
            } else {
                word.pointee |= bit
                indices[Int(id.rawValue)] = UInt16(truncatingIfNeeded: count)
            }
            count &+= 1
        }

        @inline(__always)
        private mutating func add(unknown name: Slice, _ value: Slice) {
            list[count] = sluice_field(
                name: name.bytes,
                value: value.bytes,
                name_len: UInt32(truncatingIfNeeded: name.count),
                value_len: UInt32(truncatingIfNeeded: value.count),
                id: 0,
                flags: 0,
                reserved: 0
            )
            count &+= 1
        }

        /// Makes the scheme "https".
        @inline(never)
        func makeSecure(_ scheme: UnsafeMutablePointer<sluice_field>) {
            let text = Slice("https")
            scheme.pointee.value = text.bytes
            scheme.pointee.value_len = UInt32(text.count)
        }

        /// Adds the fields that are not dropped; false when the arena's bound is reached.
        @inline(__always)
        mutating func fields(of message: inout Message, _ arena: inout Arena) -> Bool {
            let fields = message.fields
            for index in 0..<message.fieldCount {
                let span = fields[index]
                if span.flags & FieldSpan.dropped != 0 { continue }
                let value = Slice(message.head + Int(span.valueStart), Int(span.valueLength))
                if span.id != .unknown {
                    add(known: span.id, value)
                } else {
                    let name = message.head + Int(span.nameStart)
                    guard let lower = Self.lowercase(name, Int(span.nameLength), &arena) else {
                        return false
                    }
                    add(unknown: lower, value)
                }
            }
            guard let added = message.added else { return true }
            for index in 0..<message.addedCount where !added[index].isDropped {
                let value = Slice(added[index].value, Int(added[index].valueLength))
                if added[index].id != .unknown {
                    add(known: added[index].id, value)
                } else {
                    let length = Int(added[index].nameLength)
                    guard let lower = Self.lowercase(added[index].name, length, &arena) else {
                        return false
                    }
                    add(unknown: lower, value)
                }
            }
            return true
        }

        /// The name in lower case: itself when it has no upper case, else a copy.
        private static func lowercase(
            _ name: UnsafePointer<UInt8>,
            _ count: Int,
            _ arena: inout Arena
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
