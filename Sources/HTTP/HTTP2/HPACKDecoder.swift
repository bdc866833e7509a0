/// Decodes the header blocks that one peer sends (RFC 7541 §3).
///
/// One decoder belongs to each connection, and sees every block of it in order: the peer's encoder
/// relies on what each of them left in the table. A block is handed in whole.
public struct HPACKDecoder: ~Copyable {
    /// Bytes of the table that both sides begin with (RFC 9113 §6.5.2).
    public static let tableBytesDefault = 4_096
    /// Bytes of the largest table that can be made.
    public static let tableBytesMax = HPACKDynamicTable.capacityMax
    /// Size updates that a block may begin with: the smallest size in the meantime and the last one
    /// (RFC 7541 §4.2).
    public static let sizeUpdatesMax = 2

    private var table: HPACKDynamicTable
    /// What SETTINGS_HEADER_TABLE_SIZE allows the peer now, in bytes.
    private var tableBytesLimit = HPACKDecoder.tableBytesDefault
    /// The peer has been told a smaller size than the table has, and must confirm it.
    private var needsSizeUpdate = false

    /// Takes no memory yet.
    ///
    /// - Parameter tableBytesMax: the greatest SETTINGS_HEADER_TABLE_SIZE that we will send, 0 to
    ///   65,536. The table has `tableBytesDefault` even where it is smaller, because the peer may
    ///   use them until it has acknowledged less.
    public init(tableBytesMax: Int = HPACKDecoder.tableBytesDefault) {
        table = HPACKDynamicTable(capacity: max(tableBytesMax, HPACKDecoder.tableBytesDefault))
        table.setMaximum(HPACKDecoder.tableBytesDefault)
    }

    /// Bytes that the table's entries count now.
    public var tableBytes: Int { table.size }

    /// Gives back what the table's entries do not need.
    ///
    /// For connections that have been idle for a while.
    public mutating func releaseIdleMemory() { table.compact() }

    /// Bytes of memory held beside the value itself.
    public var memoryBytes: Int { table.memoryBytes }

    /// Room that `decode` needs for a block of `blockBytes`.
    public static func scratchBytes(
        blockBytes: Int,
        tableBytesMax: Int = HPACKDecoder.tableBytesDefault
    ) -> Int {
        // A name and a value, or a name of the table and a value.
        Huffman.decodedBytesMax(blockBytes) &+ 2 &+ max(tableBytesMax, tableBytesDefault)
    }

    /// The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE, at most the `tableBytesMax` of
    /// `init`.
    ///
    /// Where it is smaller than the table, the next block must begin with a size update
    /// (RFC 9113 §4.3.1).
    public mutating func tableSizeAcknowledged(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= table.capacity, "a table of \(bytes) bytes")
        tableBytesLimit = bytes
        needsSizeUpdate = bytes < table.maximum
    }

    /// Begins a new connection with the same memory.
    public mutating func reset() {
        table.removeAll()
        table.setMaximum(HPACKDecoder.tableBytesDefault)
        tableBytesLimit = HPACKDecoder.tableBytesDefault
        needsSizeUpdate = false
    }

    /// Decodes a block and hands its fields to the sink.
    ///
    /// After `.invalid` the decoder is of no more use. An empty block is complete.
    ///
    /// Safe: reads `count` bytes of the block; `scratch` has room for `scratchBytes` of the block's
    /// length, which is checked once.
    public mutating func decode(
        _ block: UnsafePointer<UInt8>,
        count: Int,
        scratch: UnsafeMutablePointer<UInt8>,
        scratchCount: Int,
        limits: HPACKLimits,
        into sink: inout some HPACKSink
    ) -> HPACKOutcome {
        let needed = HPACKDecoder.scratchBytes(blockBytes: count, tableBytesMax: table.capacity)
        precondition(scratchCount >= needed, "scratch of \(scratchCount) bytes for \(needed)")
        var reader = HPACKReader(bytes: block, count: count, scratch: scratch)
        if let error = readSizeUpdates(&reader) { return .invalid(error) }
        var listBytes = 0
        var fieldCount = 0
        var isTooLarge = false
        while reader.at < count {
            let first = block[reader.at]
            let isIndexed = first & 0x80 != 0
            let isInserted = first & 0xC0 == 0x40
            let field =
                isIndexed
                ? indexedField(&reader)
                : literalField(&reader, first: first, isInserted: isInserted)
            guard let field else { return .invalid(reader.error) }
            listBytes &+= field.size
            fieldCount &+= 1
            if listBytes > limits.listBytesMax || fieldCount > limits.fieldCountMax {
                isTooLarge = true
            }
            if !isTooLarge { sink.take(field) }
            // The sink was first: the bytes of a name that the table held are gone after this.
            if isInserted { insert(field, &reader) }
        }
        return isTooLarge ? .tooLarge : .complete
    }

    /// The size updates at the beginning of a block (RFC 7541 §4.2 and §6.3).
    private mutating func readSizeUpdates(_ reader: inout HPACKReader) -> HPACKError? {
        var updates = 0
        while reader.at < reader.count, reader.bytes[reader.at] & 0xE0 == 0x20 {
            guard updates < HPACKDecoder.sizeUpdatesMax else { return .tooManySizeUpdates }
            updates &+= 1
            guard let size = reader.integer(prefix: 0x1F) else { return reader.error }
            guard size <= tableBytesLimit else { return .sizeUpdateOverLimit }
            table.setMaximum(size)
            needsSizeUpdate = false
        }
        return needsSizeUpdate ? .missingSizeUpdate : nil
    }

    /// A field of one of the tables (RFC 7541 §6.1).
    @inline(__always)  // Most fields of a connection that has warmed up.
    private func indexedField(_ reader: inout HPACKReader) -> HPACKField? {
        guard let index = reader.integer(prefix: 0x7F) else { return nil }
        return entry(index, &reader)
    }

    /// The entry of an index, from 1 on, in both tables (RFC 7541 §2.3.3).
    @inline(__always)  // Two comparisons.
    private func entry(_ index: Int, _ reader: inout HPACKReader) -> HPACKField? {
        if index &- 1 < HPACKStaticTable.count, index > 0 {
            return reader.statics.fields[index]
        }
        let place = index &- HPACKStaticTable.count &- 1
        guard place >= 0, place < table.count else {
            reader.error = .badIndex
            return nil
        }
        return table.field(place)
    }

    /// A literal, of which `first` is the first byte (RFC 7541 §6.2).
    private func literalField(
        _ reader: inout HPACKReader,
        first: UInt8,
        isInserted: Bool
    ) -> HPACKField? {
        guard isInserted || first & 0x20 == 0 else {
            reader.error = .lateSizeUpdate
            return nil
        }
        reader.scratchUsed = 0
        guard let index = reader.integer(prefix: isInserted ? 0x3F : 0x0F) else { return nil }
        var field: HPACKField
        if index == 0 {
            guard let (name, count) = reader.string() else { return nil }
            let id = FieldNames.id(name, count: count)
            field = HPACKField(id: id, name: name, nameCount: count, value: name, valueCount: 0)
        } else {
            guard let found = entry(index, &reader) else { return nil }
            field = found
        }
        guard let (value, count) = reader.string() else { return nil }
        field.value = value
        field.valueCount = count
        field.isNeverIndexed = first & 0xF0 == 0x10
        return field
    }

    private mutating func insert(_ field: HPACKField, _ reader: inout HPACKReader) {
        var field = field
        // The name may be the table's own, and its entry may have to go (RFC 7541 §4.4). A larger
        // field than the table has room for only empties it, so the copy is bounded.
        if field.size <= table.maximum {
            field.name = reader.kept(field.name, count: field.nameCount)
        }
        table.insert(field)
    }
}

/// Reads integers and strings of one block.
///
/// Safe: `at` never passes `count`. `scratch` has room for all strings of the block, decoded, and
/// for one name of the table, as `HPACKDecoder.scratchBytes` counts them.
struct HPACKReader {
    let bytes: UnsafePointer<UInt8>
    let count: Int
    let scratch: UnsafeMutablePointer<UInt8>
    let statics = HPACKStaticTable.shared
    var at = 0
    /// Bytes of the scratch memory that the current field uses.
    var scratchUsed = 0
    /// Why the last call returned nil.
    var error = HPACKError.truncated

    init(bytes: UnsafePointer<UInt8>, count: Int, scratch: UnsafeMutablePointer<UInt8>) {
        self.bytes = bytes
        self.count = count
        self.scratch = scratch
    }

    /// An integer whose first bits are those below the mask `prefix`.
    ///
    /// `at` is below `count`.
    @inline(__always)  // Two comparisons.
    mutating func integer(prefix: UInt8) -> Int? {
        let value = HPACKInteger.decode(bytes, count: count, at: &at, prefix: prefix)
        guard value < 0 else { return value }
        error = value == HPACKInteger.truncated ? .truncated : .integerTooLong
        return nil
    }

    /// A string (RFC 7541 §5.2): in the block, or decoded in the scratch memory.
    mutating func string() -> (UnsafePointer<UInt8>, Int)? {
        guard at < count else {
            error = .truncated
            return nil
        }
        let isHuffman = bytes[at] & 0x80 != 0
        guard let length = integer(prefix: 0x7F) else { return nil }
        guard length <= count &- at else {
            error = .truncated
            return nil
        }
        let text = bytes + at
        at &+= length
        guard isHuffman else { return (text, length) }
        let out = scratch + scratchUsed
        let decoded = Huffman.decode(text, count: length, to: out)
        guard decoded >= 0 else {
            error = .badHuffman
            return nil
        }
        scratchUsed &+= decoded
        return (UnsafePointer(out), decoded)
    }

    /// A copy of a name in the scratch memory, where it outlives the table's entries.
    mutating func kept(_ name: UnsafePointer<UInt8>, count: Int) -> UnsafePointer<UInt8> {
        let out = scratch + scratchUsed
        scratchUsed &+= HeadWriter.copy(name, count: count, to: out)
        return UnsafePointer(out)
    }
}
