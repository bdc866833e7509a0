/// Encodes the header blocks that one peer gets (RFC 7541).
///
/// One encoder belongs to each connection. Every block that it makes must reach the peer, and in
/// that order: the peer's decoder relies on what each of them left in the table.
///
/// Entries are found without a search: a slot by the hash of name and value holds the number of
/// the entry that was inserted last with that hash, and another by the name. Two fields that share
/// a slot cost compression and nothing else, because what is found is compared.
///
/// Safe: `slots` has `slotCount` elements, or is not there, and indices are reduced to it.
public struct HPACKEncoder: ~Copyable {
    /// Room that a field needs beside its name and value.
    public static let fieldOverheadBytes = 1 + 2 * HPACKInteger.encodedBytesMax
    /// Room that `begin` needs.
    public static let updateBytesMax = 2 * HPACKInteger.encodedBytesMax
    /// Values of unknown fields that are shorter are not put into the table: they say little, are
    /// soon guessed, and cost as many bytes as an index (RFC 7541 §7.1.3).
    public static let repeatedValueBytesMin = 8

    private static let fieldSlots = 128
    private static let seenSlots = 64
    private static let nameSlots = FieldID.count + 64
    private static let slotCount = fieldSlots + seenSlots + nameSlots

    private var table: HPACKDynamicTable
    /// `fieldSlots` numbers of entries by the field's hash, `seenSlots` parts of hashes of unknown
    /// fields, and `nameSlots` numbers of entries by the id or the hash of the name.
    ///
    /// Made for the first field, and again after `releaseIdleMemory`.
    private var slots: UnsafeMutablePointer<UInt32>?
    /// What the peer was told last.
    private var signalledBytes = HPACKDecoder.tableBytesDefault
    /// The smallest size since then.
    private var smallestBytes: Int

    /// Takes no memory yet.
    ///
    /// - Parameter tableBytesMax: the largest table to use, whatever the peer allows: 0 to 65,536.
    public init(tableBytesMax: Int = HPACKDecoder.tableBytesDefault) {
        table = HPACKDynamicTable(capacity: tableBytesMax)
        smallestBytes = HPACKDecoder.tableBytesDefault
        limitTable(HPACKDecoder.tableBytesDefault)
    }

    deinit {
        slots?.deallocate()
    }

    /// Gives back what the table's entries do not need; what they compress stays.
    ///
    /// For connections that have been idle for a while.
    public mutating func releaseIdleMemory() {
        table.compact()
        slots?.deallocate()
        slots = nil
    }

    /// Bytes of memory held beside the value itself.
    public var memoryBytes: Int {
        table.memoryBytes
            &+ (slots == nil ? 0 : HPACKEncoder.slotCount &* MemoryLayout<UInt32>.stride)
    }

    /// The slots, made of what is in the table when there are none.
    @inline(__always)  // One test for a field.
    private mutating func currentSlots() -> UnsafeMutablePointer<UInt32> {
        if let slots { return slots }
        return makeSlots()
    }

    @inline(never)
    private mutating func makeSlots() -> UnsafeMutablePointer<UInt32> {
        let made = UnsafeMutablePointer<UInt32>.allocate(capacity: HPACKEncoder.slotCount)
        made.initialize(repeating: 0, count: HPACKEncoder.slotCount)
        // The newest last, which is found first.
        for age in stride(from: table.count &- 1, through: 0, by: -1) {
            let field = table.field(age)
            let name = HPACKEncoder.nameSlot(field)
            let number = table.inserted &- 1 &- UInt32(truncatingIfNeeded: age)
            made[HPACKEncoder.fieldSlot(HPACKEncoder.hash(field, name: name))] = number
            made[HPACKEncoder.fieldSlots &+ HPACKEncoder.seenSlots &+ name] = number
        }
        slots = made
        return made
    }

    /// Bytes that the table's entries count now.
    public var tableBytes: Int { table.size }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE has come, in bytes; 4,096 until then (RFC 9113
    /// §6.5.2).
    ///
    /// The next block tells the peer what became of it.
    public mutating func setTableLimit(_ bytes: UInt32) {
        limitTable(Int(bytes))
    }

    private mutating func limitTable(_ bytes: Int) {
        let size = min(bytes, table.capacity)
        table.setMaximum(size)
        smallestBytes = min(smallestBytes, size)
    }

    /// Begins a new connection with the same memory.
    public mutating func reset() {
        table.removeAll()
        slots?.update(repeating: 0, count: HPACKEncoder.slotCount)
        signalledBytes = HPACKDecoder.tableBytesDefault
        smallestBytes = HPACKDecoder.tableBytesDefault
        limitTable(HPACKDecoder.tableBytesDefault)
    }

    /// Begins a block: writes the size updates that are due (RFC 7541 §4.2), and returns their
    /// length.
    ///
    /// Safe: `out` has room for `updateBytesMax` bytes.
    public mutating func begin(to out: UnsafeMutablePointer<UInt8>) -> Int {
        let size = table.maximum
        guard smallestBytes != signalledBytes || size != signalledBytes else { return 0 }
        var written = 0
        if smallestBytes < size, smallestBytes < signalledBytes {
            written = HPACKInteger.encode(smallestBytes, prefix: 0x1F, pattern: 0x20, to: out)
        }
        if size != signalledBytes || written > 0 {
            written &+= HPACKInteger.encode(size, prefix: 0x1F, pattern: 0x20, to: out + written)
        }
        signalledBytes = size
        smallestBytes = size
        return written
    }

    /// Encodes a field, whose name is in lower case, and returns its length.
    ///
    /// Safe: `out` has room for its bytes and `fieldOverheadBytes`.
    public mutating func encode(
        _ field: HPACKField,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let statics = HPACKStaticTable.shared
        let id = Int(field.id.rawValue)
        let rule = field.isNeverIndexed ? .never : statics.indexings[id]
        return encode(field, indexing: rule, statics, to: out)
    }

    /// As above, by a given rule.
    mutating func encode(
        _ field: HPACKField,
        indexing: HPACKIndexing,
        _ statics: HPACKStaticTable = .shared,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let slots = currentSlots()
        let name = HPACKEncoder.nameSlot(field)
        var nameIndex = Int(statics.indices[Int(field.id.rawValue)])
        if indexing == .never {
            if nameIndex == 0 { nameIndex = dynamicName(field, slot: name, slots) }
            return literal(field, nameIndex, pattern: 0x10, prefix: 0x0F, to: out)
        }
        if nameIndex != 0, let index = staticMatch(field, from: nameIndex, statics) {
            return HPACKInteger.encode(index, prefix: 0x7F, pattern: 0x80, to: out)
        }
        let hash = HPACKEncoder.hash(field, name: name)
        if indexing != .none, let index = dynamicMatch(field, hash: hash, slots) {
            return HPACKInteger.encode(index, prefix: 0x7F, pattern: 0x80, to: out)
        }
        if nameIndex == 0 { nameIndex = dynamicName(field, slot: name, slots) }
        guard isInserted(field, indexing, hash: hash, slots) else {
            return literal(field, nameIndex, pattern: 0, prefix: 0x0F, to: out)
        }
        let written = literal(field, nameIndex, pattern: 0x40, prefix: 0x3F, to: out)
        slots[HPACKEncoder.fieldSlot(hash)] = table.inserted
        slots[HPACKEncoder.fieldSlots &+ HPACKEncoder.seenSlots &+ name] = table.inserted
        table.insert(field)
        return written
    }

    /// The index of an entry of the static table with this value: `index` is the first with this
    /// name, and those with a value stand in a row.
    private func staticMatch(
        _ field: HPACKField,
        from index: Int,
        _ statics: HPACKStaticTable
    ) -> Int? {
        var index = index
        while index <= HPACKStaticTable.count, statics.fields[index].id == field.id {
            let entry = statics.fields[index]
            // An entry without a value stands for the name alone.
            if entry.valueCount > 0, HPACKEncoder.isSame(entry.value, entry.valueCount, field) {
                return index
            }
            index &+= 1
        }
        return nil
    }

    /// The index of an entry of the dynamic table that is this very field.
    private func dynamicMatch(
        _ field: HPACKField,
        hash: UInt64,
        _ slots: UnsafeMutablePointer<UInt32>
    ) -> Int? {
        let age = table.inserted &- 1 &- slots[HPACKEncoder.fieldSlot(hash)]
        guard age < UInt32(truncatingIfNeeded: table.count) else { return nil }
        let entry = table.field(Int(age))
        guard HPACKEncoder.isSameName(entry, field),
            HPACKEncoder.isSame(entry.value, entry.valueCount, field)
        else { return nil }
        return Int(age) &+ HPACKStaticTable.count &+ 1
    }

    /// The index of an entry of the dynamic table with this name, or 0.
    private func dynamicName(
        _ field: HPACKField,
        slot: Int,
        _ slots: UnsafeMutablePointer<UInt32>
    ) -> Int {
        let at = HPACKEncoder.fieldSlots &+ HPACKEncoder.seenSlots &+ slot
        let age = table.inserted &- 1 &- slots[at]
        guard age < UInt32(truncatingIfNeeded: table.count),
            HPACKEncoder.isSameName(table.field(Int(age)), field)
        else { return 0 }
        return Int(age) &+ HPACKStaticTable.count &+ 1
    }

    /// Whether the field gets an entry.
    ///
    /// One of more than half the table would push out more than it is worth.
    private func isInserted(
        _ field: HPACKField,
        _ indexing: HPACKIndexing,
        hash: UInt64,
        _ slots: UnsafeMutablePointer<UInt32>
    ) -> Bool {
        guard field.size <= table.maximum &>> 1 else { return false }
        switch indexing {
        case .incremental: return true
        case .none, .never: return false
        case .whenRepeated: break
        }
        guard field.valueCount >= HPACKEncoder.repeatedValueBytesMin else { return false }
        let slot = HPACKEncoder.fieldSlots &+ Int(hash &>> 58)
        let mark = UInt32(truncatingIfNeeded: hash)
        let isRepeated = slots[slot] == mark
        slots[slot] = mark
        return isRepeated
    }

    private func literal(
        _ field: HPACKField,
        _ nameIndex: Int,
        pattern: UInt8,
        prefix: UInt8,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        var at = HPACKInteger.encode(nameIndex, prefix: prefix, pattern: pattern, to: out)
        if nameIndex == 0 {
            at &+= HPACKEncoder.string(field.name, field.nameCount, to: out + at)
        }
        at &+= HPACKEncoder.string(field.value, field.valueCount, to: out + at)
        return at
    }

    /// Writes a string (RFC 7541 §5.2), in the Huffman code where that is shorter.
    private static func string(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let encoded = Huffman.encodedBytes(bytes, count: count)
        if encoded < count {
            let at = HPACKInteger.encode(encoded, prefix: 0x7F, pattern: 0x80, to: out)
            return at &+ Huffman.encode(bytes, count: count, to: out + at)
        }
        let at = HPACKInteger.encode(count, prefix: 0x7F, pattern: 0, to: out)
        return at &+ HeadWriter.copy(bytes, count: count, to: out + at)
    }

    // MARK: Hashes and comparisons

    /// The slot of a name: its id, or one after the ids by the hash of its ends.
    @inline(__always)  // One test for a known name.
    private static func nameSlot(_ field: HPACKField) -> Int {
        let id = Int(field.id.rawValue)
        guard id == 0 else { return id }
        let hash = mixed(field.name, field.nameCount, seed: 0)
        return FieldID.count &+ Int(hash &>> 58)
    }

    @inline(__always)  // Two loads and three multiplications.
    private static func hash(_ field: HPACKField, name: Int) -> UInt64 {
        mixed(field.value, field.valueCount, seed: UInt64(truncatingIfNeeded: name))
    }

    /// A hash of the first and last eight bytes and the length.
    @inline(__always)  // For `hash` and `nameSlot`.
    private static func mixed(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        seed: UInt64
    ) -> UInt64 {
        let first = bytes.word(0, end: count)
        let last = count > 8 ? bytes.word(count &- 8) : 0
        var hash = (first ^ seed) &* 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ hash &>> 29 ^ last) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash &>> 32 ^ UInt64(truncatingIfNeeded: count)) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash &>> 31
    }

    @inline(__always)  // One mask.
    private static func fieldSlot(_ hash: UInt64) -> Int {
        Int(hash & UInt64(fieldSlots - 1))
    }

    @inline(__always)  // One comparison for a known name.
    private static func isSameName(_ entry: HPACKField, _ field: HPACKField) -> Bool {
        guard entry.id == field.id else { return false }
        return entry.id != .unknown
            || isSame(entry.name, entry.nameCount, field.name, field.nameCount)
    }

    @inline(__always)  // For the one below.
    private static func isSame(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ field: HPACKField
    ) -> Bool {
        isSame(bytes, count, field.value, field.valueCount)
    }

    private static func isSame(
        _ first: UnsafePointer<UInt8>,
        _ firstCount: Int,
        _ second: UnsafePointer<UInt8>,
        _ secondCount: Int
    ) -> Bool {
        guard firstCount == secondCount else { return false }
        var at = 0
        while at < firstCount {
            guard first.word(at, end: firstCount) == second.word(at, end: firstCount) else {
                return false
            }
            at &+= 8
        }
        return true
    }
}
