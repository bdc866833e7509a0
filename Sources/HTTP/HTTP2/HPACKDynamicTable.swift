/// The dynamic table of one direction of a connection (RFC 7541 §2.3.2 and §4).
///
/// The bytes of the entries stand in the order of their insertion, each in one piece, in a block as
/// large as the table may be. Where the end of the block is reached, what is left of the entries
/// moves to its beginning: an entry counts 32 bytes more than it takes in the block, so there is
/// always room, and moves are rare.
///
/// Safe: memory belongs to the table alone and lives as long as it does. The entries' bytes lie
/// between `start` and `end`, which never pass `capacity`, and at most `capacity / 32` entries
/// exist, so each has a slot of its own. Pointers that are handed out hold until the next change.
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

    /// Bytes of memory for names and values: the greatest value of `maximum`.
    let capacity: Int
    /// Size that the table may have now, in bytes.
    private(set) var maximum: Int
    /// Sum of the entries' sizes.
    private(set) var size = 0
    private(set) var count = 0
    /// Entries inserted so far, modulo 2 to the 32nd.
    private(set) var inserted: UInt32 = 0

    private let bytes: UnsafeMutablePointer<UInt8>
    private let entries: UnsafeMutablePointer<Entry>
    private let slotMask: UInt32
    /// Where the oldest entry begins, and where the next one will.
    private var start = 0
    private var end = 0
    /// The position of the block's first byte.
    private var base: UInt32 = 0

    /// Takes the memory of a table of at most `capacity` bytes, 0 to `capacityMax`.
    init(capacity: Int) {
        precondition(
            (0...HPACKDynamicTable.capacityMax).contains(capacity),
            "a table of \(capacity) bytes"
        )
        self.capacity = capacity
        maximum = capacity
        bytes = .allocate(capacity: max(capacity, 1))
        var slots = 1
        while slots < capacity / HPACKField.overheadBytes { slots *= 2 }
        slotMask = UInt32(slots - 1)
        entries = .allocate(capacity: slots)
    }

    deinit {
        bytes.deallocate()
        entries.deallocate()
    }

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
        let entry = entries[Int((inserted &- 1 &- UInt32(truncatingIfNeeded: index)) & slotMask)]
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
        if end &+ length > capacity { moveToStart() }
        entries[Int(inserted & slotMask)] = Entry(
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

    private mutating func evict() {
        let oldest = entries[Int((inserted &- UInt32(truncatingIfNeeded: count)) & slotMask)]
        let length = Int(oldest.nameCount) &+ Int(oldest.valueCount)
        start &+= length
        size &-= length &+ HPACKField.overheadBytes
        count &-= 1
    }

    private mutating func moveToStart() {
        // The two ranges may overlap.
        UnsafeMutableRawPointer(bytes)
            .copyMemory(from: UnsafeRawPointer(bytes + start), byteCount: end &- start)
        base &+= UInt32(truncatingIfNeeded: start)
        end &-= start
        start = 0
    }
}
