import CCache
import CSluice
import CachePolicy

/// An object's head as it lies in a file: `ObjectHead` with lengths in the place of addresses.
///
/// All numbers are little-endian:
///
/// | offset | bytes | what |
/// |--:|--:|---|
/// | 0 | 4 | `version` |
/// | 4, 5, 6 | 1, 1, 2 | kind, whether `s-maxage` was there, flags |
/// | 8 | 4 | status |
/// | 12, 16, 20 | 4 each | fields, those that a 304 has, those before `content-type` |
/// | 24 | 4 | bytes of a marker's names |
/// | 28 | 4 | 0 |
/// | 32 | 8 | fingerprint of the rules that keys are made by |
/// | 40, 48 | 8, 8 | when it came: nanoseconds of the monotonic clock, seconds since 1970 |
/// | 56 to 80 | 8 each | initial age, lifetime, seconds behind it to be updated, and on errors |
/// | 88 | 8 | epoch of a marker |
/// | 96, 104 | 8, 8 | Last-Modified and Date in seconds since 1970 |
/// | 112 | 12 each | fields: id and flags (2, 2), bytes of the name and of the value (4, 4) |
/// | behind | | names of the marker, then name and value of each field |
enum DiskHead {
    static let version: UInt32 = 1
    static let fixedBytes = 112
    static let fieldBytes = 12

    /// Now, by the clock of each.
    struct Times {
        /// Nanoseconds.
        var monotonic: UInt64
        /// Nanoseconds since 1970.
        var wall: UInt64

        var wallSeconds: Int64 { Int64(wall / 1_000_000_000) }
    }

    /// How far both clocks may be apart, in seconds, for the finer one to be believed; and how far
    /// behind now an object may have come.
    static let clockSecondsMax: Int64 = 2

    // MARK: Writing

    /// Writes a head into memory of its own, which the caller frees; nil when there is none.
    static func write(_ object: ObjectRef, rules: UInt64) -> UnsafeMutableRawBufferPointer? {
        let head = object.head.pointee
        // Of a marker the newest list alone.
        let names = Text(head.names)
        let fields = object.isMarker ? UnsafeBufferPointer(start: nil, count: 0) : object.fields
        var count = fixedBytes + fields.count * fieldBytes + names.count
        for field in fields { count += Int(field.name_len) + Int(field.value_len) }
        guard let memory = cache_zeroed(count) else { return nil }
        let room = UnsafeMutableRawBufferPointer(start: memory, count: count)
        write(head, fields.count, names, rules, to: room)
        // Safe: the lengths were added up above.
        var place = fixedBytes
        var text = fixedBytes + fields.count * fieldBytes
        copy(names, to: room, &text)
        for field in fields {
            // Whether a name was there before is seen again.
            room.storeBytes(of: field.id.littleEndian, toByteOffset: place, as: UInt16.self)
            room.storeBytes(of: field.flags.littleEndian, toByteOffset: place + 2, as: UInt16.self)
            store(UInt32(field.name_len), room, place + 4)
            store(UInt32(field.value_len), room, place + 8)
            place += fieldBytes
            copy(field.nameText, to: room, &text)
            copy(field.valueText, to: room, &text)
        }
        return room
    }

    private static func write(
        _ head: ObjectHead,
        _ fieldCount: Int,
        _ names: Text,
        _ rules: UInt64,
        to room: UnsafeMutableRawBufferPointer
    ) {
        store(version, room, 0)
        room[4] = head.kind
        room[5] = head.isShared
        room.storeBytes(of: head.flags.littleEndian, toByteOffset: 6, as: UInt16.self)
        store(head.status, room, 8)
        store(UInt32(fieldCount), room, 12)
        store(head.notModifiedCount, room, 16)
        store(head.withoutTypeCount, room, 20)
        store(UInt32(names.count), room, 24)
        store(rules, room, 32)
        store(head.storedAt, room, 40)
        let numbers = [
            head.storedWall, head.initialAge, head.lifetime, head.staleWhileRevalidate,
            head.staleIfError, Int64(bitPattern: head.epoch), head.lastModified, head.date,
        ]
        for (index, number) in numbers.enumerated() { store(number, room, 48 + 8 * index) }
    }

    private static func store<Number: FixedWidthInteger>(
        _ number: Number,
        _ room: UnsafeMutableRawBufferPointer,
        _ offset: Int
    ) {
        room.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }

    private static func copy(
        _ text: Text,
        to room: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        for index in 0..<text.count { room[offset + index] = text[index] }
        offset += text.count
    }

    // MARK: Reading

    /// The numbers of a head that lies in a file, and its fields, as far as they make sense.
    struct View {
        private let bytes: UnsafeRawBufferPointer
        let rules: UInt64
        let fieldCount: Int
        let names: Text
        private let textOffset: Int

        /// Nil for what no head looks like, or one of another version.
        init?(_ bytes: UnsafeRawBufferPointer) {
            guard bytes.count >= fixedBytes, Self.number(bytes, 0, UInt32.self) == version else {
                return nil
            }
            self.bytes = bytes
            rules = Self.number(bytes, 32, UInt64.self)
            let fields = Self.number(bytes, 12, UInt32.self)
            let namesBytes = Int(Self.number(bytes, 24, UInt32.self))
            guard fields <= UInt32(ObjectHead.fieldsMax) else { return nil }
            fieldCount = Int(fields)
            let namesOffset = fixedBytes + fieldCount * fieldBytes
            guard namesBytes <= bytes.count - min(namesOffset, bytes.count),
                namesOffset <= bytes.count
            else { return nil }
            names = Text(
                UnsafeRawBufferPointer(
                    rebasing: bytes[namesOffset..<namesOffset + namesBytes]
                )
            )
            textOffset = namesOffset + namesBytes
            guard isWhole() else { return nil }
        }

        /// Whether the texts of all fields are there, and nothing else is.
        private func isWhole() -> Bool {
            var left = bytes.count - textOffset
            for index in 0..<fieldCount {
                let (name, value) = lengths(index)
                guard name > 0, name <= left, value <= left - name else { return false }
                left -= name + value
            }
            return left == 0
        }

        private func lengths(_ index: Int) -> (name: Int, value: Int) {
            let place = fixedBytes + index * fieldBytes
            return (
                Int(Self.number(bytes, place + 4, UInt32.self)),
                Int(Self.number(bytes, place + 8, UInt32.self))
            )
        }

        var isMarker: Bool { bytes[4] == ObjectHead.Kind.marker.rawValue }
        var epoch: UInt64 { Self.number(bytes, 88, UInt64.self) }

        func number(_ offset: Int) -> UInt32 { Self.number(bytes, offset, UInt32.self) }
        func long(_ offset: Int) -> Int64 { Self.number(bytes, offset, Int64.self) }
        func byte(_ offset: Int) -> UInt8 { bytes[offset] }
        func short(_ offset: Int) -> UInt16 { Self.number(bytes, offset, UInt16.self) }

        private static func number<Number: FixedWidthInteger>(
            _ bytes: UnsafeRawBufferPointer,
            _ offset: Int,
            _ type: Number.Type
        ) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
        }

        /// Shows the fields, in their order, as long as the closure says true.
        func forEachField(_ body: (sluice_field) -> Bool) {
            var text = textOffset
            for index in 0..<fieldCount {
                let (name, value) = lengths(index)
                // Safe: `isWhole` has seen that they are there.
                let start = bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
                var field = sluice_field()
                field.id = short(fixedBytes + index * fieldBytes)
                field.flags = short(fixedBytes + index * fieldBytes + 2)
                field.name = start + text
                field.name_len = UInt32(name)
                field.value = start + text + name
                field.value_len = UInt32(value)
                text += name + value
                guard body(field) else { return }
            }
        }

        /// Whether one of its tags is this one.
        func hasTag(_ tag: Text) -> Bool {
            var isFound = false
            forEachField { field in
                isFound = field.hasTag(tag)
                return !isFound
            }
            return isFound
        }
    }
}
