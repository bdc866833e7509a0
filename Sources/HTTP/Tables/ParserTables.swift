/// Look-up tables of the parsers: one block of memory, made once and never freed or changed.
///
/// A parser takes `shared` once per call and passes it on, because a `static let` costs a check at
/// each use. Known field names are found by a hash of their first and last eight bytes, which
/// `build` makes free of collisions; the entry found is then compared in words, so that a hit also
/// proves that every byte of the name is a token character.
///
/// Safe: the block is written only by `init`, before anyone else can see it, and every index into
/// it is a byte value, a slot number of `slotBits` bits, or an id below `FieldID.count`.
struct ParserTables: @unchecked Sendable {
    /// Classes of a byte, to be tested with the masks below.
    let classes: UnsafePointer<UInt8>

    private static let hexOffset = 256
    private static let slotsOffset = 512
    private static let slotBits = 10
    private static let entriesOffset = slotsOffset + (1 << slotBits) * 2
    private static let entryBytes = 64
    private static let lengthsOffset = entriesOffset + FieldID.count * entryBytes
    private static let namesOffset = lengthsOffset + FieldID.count
    private static let byteCount = namesOffset + FieldID.count * 8

    /// tchar (RFC 9110 §5.6.2).
    static let token: UInt8 = 1
    /// Unreserved characters and sub-delims: a registered name without `%` (RFC 3986 §3.2.2).
    static let hostName: UInt8 = 2
    /// HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5).
    static let value: UInt8 = 4
    /// What a request target may hold: VCHAR and obs-text without `#`.
    ///
    /// More than RFC 3986 allows, because clients send such bytes and the origin must see them as
    /// they came.
    static let target: UInt8 = 8
    /// DIGIT.
    static let digit: UInt8 = 16
    /// HEXDIG in any case, `:` and `.`: what stands inside `[` and `]`.
    static let address: UInt8 = 32

    static let shared = ParserTables()

    private init() {
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: ParserTables.byteCount,
            alignment: 64
        )
        block.initializeMemory(as: UInt8.self, repeating: 0, count: ParserTables.byteCount)
        classes = UnsafePointer(block.assumingMemoryBound(to: UInt8.self))
        for byte in 0..<256 {
            block.storeBytes(
                of: ParserTables.classes(of: UInt8(byte)),
                toByteOffset: byte,
                as: UInt8.self
            )
            block.storeBytes(
                of: ParserTables.hexDigit(UInt8(byte)),
                toByteOffset: ParserTables.hexOffset + byte,
                as: UInt8.self
            )
        }
        for (id, name) in FieldID.names {
            ParserTables.store(name, id: id, in: block)
        }
    }

    /// 0 to 15 for a hexadecimal digit of any case, 255 for any other byte.
    @inline(__always)  // One load in the chunk-size loop.
    func hexValue(_ byte: UInt8) -> UInt8 {
        classes[ParserTables.hexOffset &+ Int(byte)]
    }

    @inline(__always)  // One load and one test a byte in the scalar loops.
    func has(_ classMask: UInt8, _ byte: UInt8) -> Bool {
        classes[Int(byte)] & classMask != 0
    }

    /// Whether all bytes are of the class; true for none.
    func all(_ classMask: UInt8, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        var at = 0
        // Four at a time: names that are not known are rarely shorter.
        while at &+ 4 <= count {
            let common =
                classes[Int(bytes[at])] & classes[Int(bytes[at &+ 1])]
                & classes[Int(bytes[at &+ 2])] & classes[Int(bytes[at &+ 3])]
            guard common & classMask != 0 else { return false }
            at &+= 4
        }
        while at < count {
            guard has(classMask, bytes[at]) else { return false }
            at &+= 1
        }
        return true
    }

    @inline(never)  // For names that are not known, and methods.
    func isToken(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        count > 0 && all(ParserTables.token, bytes, count: count)
    }

    /// The id of a name, or 0.
    ///
    /// `first` holds the name's first eight bytes, zeroes or anything else after a shorter one.
    @inline(__always)  // Inside the field loop: a call would spill its registers at each field.
    func id(of name: UnsafePointer<UInt8>, count: Int, first: UInt64) -> Int {
        var head = first
        var last: UInt64 = 0
        if count <= 8 {
            head &= ~0 &>> UInt64(truncatingIfNeeded: 64 &- (count &* 8))
        } else {
            last = name.word(count &- 8)
        }
        let raw = UnsafeRawPointer(classes)
        let slot = raw.load(
            fromByteOffset: ParserTables.slotsOffset
                &+ ParserTables.slot(head: head, last: last, count: count) &* 2,
            as: UInt16.self
        )
        let id = Int(slot & 0xFF)
        let entry = raw + (ParserTables.entriesOffset &+ id &* ParserTables.entryBytes)
        guard Int(slot &>> 8) == count, ParserTables.equals(head, entry, at: 0),
            ParserTables.equals(last, entry, at: 16)
        else { return 0 }
        guard count > 16 else { return id }
        return ParserTables.middleEquals(name, entry, count: count) ? id : 0
    }

    /// The lower-case text of a name; empty for an id that is not in the table.
    func name(of id: FieldID) -> (UnsafePointer<UInt8>, Int) {
        guard id.rawValue < FieldID.count else { return (classes, 0) }
        let raw = UnsafeRawPointer(classes)
        let index = Int(id.rawValue)
        let address = raw.load(
            fromByteOffset: ParserTables.namesOffset + index * 8,
            as: UInt.self
        )
        let count = raw.load(fromByteOffset: ParserTables.lengthsOffset + index, as: UInt8.self)
        return (UnsafePointer(bitPattern: address) ?? classes, Int(count))
    }
}

extension ParserTables {
    /// The words between the first and the last eight bytes of a name of 17 to 32 bytes.
    private static func middleEquals(
        _ name: UnsafePointer<UInt8>,
        _ entry: UnsafeRawPointer,
        count: Int
    ) -> Bool {
        guard equals(name.word(8), entry, at: 32) else { return false }
        return count <= 24 || equals(name.word(16), entry, at: 48)
    }

    /// Whether eight bytes equal those of an entry but for the case of letters: the entry holds
    /// lower-case bytes and a mask with bit 5 of each letter.
    @inline(__always)  // Three instructions.
    private static func equals(_ word: UInt64, _ entry: UnsafeRawPointer, at offset: Int) -> Bool {
        word | entry.load(fromByteOffset: offset &+ 8, as: UInt64.self)
            == entry.load(fromByteOffset: offset, as: UInt64.self)
    }

    @inline(__always)  // One multiplication.
    private static func slot(head: UInt64, last: UInt64, count: Int) -> Int {
        let mixed =
            ((head ^ last) | Words.each(Byte.space)) &+ UInt64(truncatingIfNeeded: count)
        return Int(truncatingIfNeeded: (mixed &* hashFactor) &>> UInt64(64 - slotBits))
    }

    /// Found by trying odd numbers until the known names had a slot each.
    private static let hashFactor: UInt64 = 0x15C0_CDD5_9836_404D

    private static func store(_ name: StaticString, id: UInt8, in block: UnsafeMutableRawPointer) {
        let text = name.utf8Start
        let count = name.utf8CodeUnitCount
        precondition(count > 0 && count <= 32, "a known field name must have 1 to 32 bytes")
        let head = UnsafePointer.tailWord(text, from: 0, end: min(count, 8))
        let last = count <= 8 ? 0 : text.word(count - 8)
        let slot = slotsOffset + slot(head: head, last: last, count: count) * 2
        precondition(
            block.load(fromByteOffset: slot, as: UInt16.self) == 0,
            "two field names share a slot; choose another hash factor"
        )
        block.storeBytes(of: UInt16(count) << 8 | UInt16(id), toByteOffset: slot, as: UInt16.self)
        let words = [head, last, count > 16 ? text.word(8) : 0, count > 24 ? text.word(16) : 0]
        for (index, word) in words.enumerated() {
            let offset = entriesOffset + Int(id) * entryBytes + index * 16
            // Among the bytes of known names only letters have bit 6.
            let letters = (word & Words.each(0x40)) >> 1
            block.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
            block.storeBytes(of: letters, toByteOffset: offset + 8, as: UInt64.self)
        }
        block.storeBytes(of: UInt8(count), toByteOffset: lengthsOffset + Int(id), as: UInt8.self)
        block.storeBytes(
            of: UInt(bitPattern: text),
            toByteOffset: namesOffset + Int(id) * 8,
            as: UInt.self
        )
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: 255
        }
    }

    private static func classes(of byte: UInt8) -> UInt8 {
        var classes: UInt8 = 0
        let isAlphanumeric =
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
            || (0x61...0x7A).contains(byte)
        if isAlphanumeric || contains("!#$%&'*+-.^_`|~", byte) { classes |= token }
        if isAlphanumeric || contains("-._~!$&'()*+,;=", byte) { classes |= hostName }
        if byte == 0x09 || (byte >= 0x20 && byte != 0x7F) { classes |= value }
        if byte > 0x20 && byte != 0x7F && byte != 0x23 { classes |= target }
        if (0x30...0x39).contains(byte) { classes |= digit }
        if hexDigit(byte) != 255 || byte == 0x3A || byte == 0x2E { classes |= address }
        return classes
    }

    private static func contains(_ text: StaticString, _ byte: UInt8) -> Bool {
        for index in 0..<text.utf8CodeUnitCount where text.utf8Start[index] == byte {
            return true
        }
        return false
    }
}
