/// The dynamic table of one direction of a connection (RFC 7541 §2.3.2 and §4).
///
/// The bytes of the entries stand in the order of their insertion, each in one piece, in a block
/// that grows with what is in it, up to the size that the table may have. Where the end of the
/// block is reached, what is left of the entries moves to its beginning: an entry counts 32 bytes
/// more than it takes in the block, so there is always room in the largest, and moves are rare.
/// Growing doubles, so a table that is warm allocates nothing.
///
/// Safe: memory belongs to the table alone and lives as long as it does. The entries' bytes lie
/// between `start` and `end`, which never pass `room`, and each of `count` entries has a slot of
/// its own, because there are never fewer slots. Pointers that are handed out hold until the next
/// change.
struct HPACKDynamicTable: ~Copyable {
    /// Bytes of the largest table that can be made: lengths are 16 bits wide.
    static let capacityMax = 65_536

    private struct Entry: BitwiseCopyable {
        /// Bytes inserted before this entry, modulo 2 to the 32nd.
        var position: UInt32
        var nameCount: UInt16
        var valueCount: UInt16
        var id: FieldID
    }

    /// The greatest value of `maximum`, and the most bytes of memory for names and values.
    let capacity: Int
    /// Size that the table may have now, in bytes.
    private(set) var maximum: Int
    /// Sum of the entries' sizes.
    private(set) var size = 0
    private(set) var count = 0
    /// Entries inserted so far, modulo 2 to the 32nd.
    private(set) var inserted: UInt32 = 0

    /// `room` bytes; none before the first entry.
    private var bytes: UnsafeMutablePointer<UInt8>?
    private var room = 0
    /// A power of two of slots, by the number of the entry.
    private var entries: UnsafeMutablePointer<Entry>?
    private var slotCount: UInt32 = 0
    /// Where the oldest entry begins, and where the next one will.
    private var start = 0
    private var end = 0
    /// The position of the block's first byte.
    private var base: UInt32 = 0

    /// Bytes and slots that the first entry takes.
    private static let roomMin = 256
    private static let slotsMin: UInt32 = 4

    /// A table of at most `capacity` bytes, 0 to `capacityMax`; it takes no memory yet.
    init(capacity: Int) {
        precondition(
            (0...HPACKDynamicTable.capacityMax).contains(capacity),
            "a table of \(capacity) bytes"
        )
        self.capacity = capacity
        maximum = capacity
    }

    deinit {
        bytes?.deallocate()
        entries?.deallocate()
    }

    /// Bytes of memory that the table holds.
    var memoryBytes: Int { room &+ Int(slotCount) &* MemoryLayout<Entry>.stride }

    /// Sets the size that the table may have, 0 to `capacity`, and evicts what no longer fits
    /// (RFC 7541 §4.3).
    mutating func setMaximum(_ maximum: Int) {
        precondition(maximum >= 0 && maximum <= capacity, "a table of \(maximum) bytes")
        self.maximum = maximum
        while size > maximum { evict() }
    }

    /// Empties the table.
    mutating func removeAll() {
        while count > 0 { evict() }
    }

    /// The entry of an index of 0 (the newest) to `count - 1`.
    @inline(__always)  // A few loads for a field that is indexed.
    func field(_ index: Int) -> HPACKField {
        guard let bytes, let entries else { preconditionFailure("entry \(index) of none") }
        let entry = entries[slot(inserted &- 1 &- UInt32(truncatingIfNeeded: index))]
        let name = UnsafePointer(bytes) + Int(entry.position &- base)
        return HPACKField(
            id: entry.id,
            name: name,
            nameCount: Int(entry.nameCount),
            value: name + Int(entry.nameCount),
            valueCount: Int(entry.valueCount)
        )
    }

    /// Inserts a field after evicting what has to go; one that is larger than the table empties it
    /// (RFC 7541 §4.4).
    ///
    /// The field's bytes are not the table's own.
    mutating func insert(_ field: HPACKField) {
        guard field.size <= maximum else { return removeAll() }
        while size &+ field.size > maximum { evict() }
        let length = field.nameCount &+ field.valueCount
        if end &+ length > room || bytes == nil { makeRoom(length) }
        if count == Int(slotCount) { resizeSlots(max(slotCount &* 2, Self.slotsMin)) }
        guard let bytes, let entries else { preconditionFailure("no memory was taken") }
        entries[slot(inserted)] = Entry(
            position: base &+ UInt32(truncatingIfNeeded: end),
            nameCount: UInt16(truncatingIfNeeded: field.nameCount),
            valueCount: UInt16(truncatingIfNeeded: field.valueCount),
            id: field.id
        )
        _ = HeadWriter.copy(field.name, count: field.nameCount, to: bytes + end)
        _ = HeadWriter.copy(
            field.value,
            count: field.valueCount,
            to: bytes + (end &+ field.nameCount)
        )
        end &+= length
        size &+= field.size
        count &+= 1
        inserted &+= 1
    }

    /// Gives memory back that the entries do not need.
    ///
    /// For connections that are idle: what is inserted next takes some again.
    mutating func compact() {
        guard count > 0 else {
            bytes?.deallocate()
            entries?.deallocate()
            (bytes, entries, room, slotCount) = (nil, nil, 0, 0)
            base &+= UInt32(truncatingIfNeeded: end)
            (start, end) = (0, 0)
            return
        }
        if room > end &- start { resize(max(end &- start, 1)) }
        var slots = Self.slotsMin
        while slots < UInt32(truncatingIfNeeded: count) { slots &*= 2 }
        if slots < slotCount { resizeSlots(slots) }
    }

    private func slot(_ number: UInt32) -> Int { Int(number & (slotCount &- 1)) }

    private mutating func evict() {
        guard let entries else { preconditionFailure("no entry to evict") }
        let oldest = entries[slot(inserted &- UInt32(truncatingIfNeeded: count))]
        let length = Int(oldest.nameCount) &+ Int(oldest.valueCount)
        start &+= length
        size &-= length &+ HPACKField.overheadBytes
        count &-= 1
    }

    /// Makes room for `length` bytes behind the entries: by a move where that frees half of the
    /// block or it is the largest, else in a larger one.
    private mutating func makeRoom(_ length: Int) {
        let needed = end &- start &+ length
        if needed <= room &>> 1 || room == capacity, bytes != nil { return moveToStart() }
        var larger = max(room, Self.roomMin)
        while larger < needed { larger &*= 2 }
        if larger == room { larger &*= 2 }
        // Safe: the entries and this one are not larger than the table.
        resize(max(min(larger, capacity), needed, 1))
    }

    private mutating func moveToStart() {
        guard let bytes else { return }
        // The two ranges may overlap.
        UnsafeMutableRawPointer(bytes)
            .copyMemory(from: UnsafeRawPointer(bytes + start), byteCount: end &- start)
        base &+= UInt32(truncatingIfNeeded: start)
        end &-= start
        start = 0
    }

    /// Safe: `size` is at least what the entries take.
    private mutating func resize(_ size: Int) {
        moveToStart()
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        if let bytes {
            block.update(from: bytes, count: end)
            bytes.deallocate()
        }
        bytes = block
        room = size
    }

    /// Safe: `slots` is a power of two, and at least `count`.
    private mutating func resizeSlots(_ slots: UInt32) {
        let block = UnsafeMutablePointer<Entry>.allocate(capacity: Int(slots))
        if let entries {
            for back in 0..<UInt32(truncatingIfNeeded: count) {
                let number = inserted &- 1 &- back
                block[Int(number & (slots &- 1))] = entries[slot(number)]
            }
            entries.deallocate()
        }
        entries = block
        slotCount = slots
    }
}
