/// A shared library's file as the dynamic linker would see it: its segments, what it needs and what
/// it exports.
///
/// It runs nothing and trusts nothing: every offset and count of the file is checked against its
/// length, and what the linker would look at is read the way it does (System V ABI, "Program
/// Loading" and "Dynamic Linking"; the GNU hash table). Sections are not looked at: the linker does
/// not, either.
struct ELFImage: Sendable {
    /// What is wrong with the file, as the end of "FILE: ".
    struct Malformed: Error, Equatable, Sendable {
        var text: String
    }

    /// Program headers that are looked at; the linker makes about ten.
    static let segmentCountMax = 256
    /// Entries of the dynamic table that are looked at.
    static let dynamicCountMax = 4_096
    /// Bytes of a name in the file's tables of strings.
    static let nameBytesMax = 4_096
    /// Symbols of the dynamic table that are looked at.
    static let symbolCountMax = 1_048_576

    let bytes: [UInt8]
    private var segments: [Segment]
    private var dynamic: [DynamicEntry]

    struct Segment: Sendable {
        var kind: UInt32
        var flags: UInt32
        var offset: UInt64
        var address: UInt64
        var fileBytes: UInt64
        var memoryBytes: UInt64
    }

    struct DynamicEntry: Sendable {
        var tag: UInt64
        var value: UInt64
    }

    /// Reads the headers of a library for this machine.
    init(_ bytes: [UInt8]) throws(Malformed) {
        guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else {
            throw Malformed(text: "not a shared library (no ELF header)")
        }
        self.bytes = bytes
        segments = []
        dynamic = []
        try checkKind()
        segments = try readSegments()
        dynamic = try readDynamic()
        if flags1 & 0x0800_0000 != 0 {
            throw Malformed(text: "an executable, not a shared library")
        }
    }

    // MARK: What the linker would do

    /// Whether loading it would make the stack executable.
    ///
    /// A file that does not say gets an executable one.
    var wantsExecutableStack: Bool {
        guard let stack = segments.first(where: { $0.kind == Kind.stack }) else { return true }
        return stack.flags & 1 != 0
    }

    /// Whether loading it would write to its code.
    var hasTextRelocations: Bool {
        dynamic.contains {
            $0.tag == Tag.textRelocations || $0.tag == Tag.flags && $0.value & 4 != 0
        }
    }

    /// Names of the libraries that it needs.
    func needed() throws(Malformed) -> [String] {
        var names: [String] = []
        for entry in dynamic where entry.tag == Tag.needed {
            names.append(try dynamicString(entry.value))
        }
        return names
    }

    /// Names of the symbols that others can look up, without those that linkers add.
    func exports() throws(Malformed) -> [String] {
        var names: [String] = []
        for symbol in try symbols(try exportedRange() ?? 0..<0) {
            // Global, weak or unique; of default or protected visibility.
            guard [1, 2, Self.unique].contains(symbol.binding), symbol.isDefined,
                [0, 3].contains(symbol.visibility)
            else { continue }
            let name = try dynamicString(symbol.name)
            if !Self.linkerSymbols.contains(name) { names.append(name) }
        }
        return names
    }

    /// Names of the symbols that others bring, also those that may be missing.
    func imports() throws(Malformed) -> [String] {
        var names: [String] = []
        for symbol in try symbols(try importedRange()) where !symbol.isDefined && symbol.name > 0 {
            names.append(try dynamicString(symbol.name))
        }
        return names
    }

    /// Whether a symbol of it is the only one of its name in a process (`STB_GNU_UNIQUE`).
    func hasUniqueSymbols() throws(Malformed) -> Bool {
        try symbols(try exportedRange() ?? 0..<0).contains {
            $0.binding == Self.unique && $0.isDefined
        }
    }

    /// Whether it asks never to be unloaded (`DF_1_NODELETE`).
    var isNeverDeleted: Bool { flags1 & 0x8 != 0 }

    /// Bytes of address space that its segments span, in whole pages of 4 KiB.
    func mappedBytes() throws(Malformed) -> Int {
        var (first, last) = (Int.max, 0)
        for segment in segments where segment.kind == Kind.load {
            let start = try place(segment.address)
            first = min(first, start & ~4_095)
            let end = try sum(start, try place(segment.memoryBytes))
            last = max(last, (end + 4_095) & ~4_095)
        }
        return max(0, last - first)
    }

    /// `STB_GNU_UNIQUE`.
    private static let unique: UInt8 = 10

    private static let linkerSymbols: Set<String> = [
        "_init", "_fini", "_edata", "_end", "__bss_start",
    ]
}

// MARK: Reading the headers

extension ELFImage {
    private enum Kind {
        static let load: UInt32 = 1
        static let dynamic: UInt32 = 2
        static let stack: UInt32 = 0x6474_e551
    }

    private enum Tag {
        static let needed: UInt64 = 1
        static let hash: UInt64 = 4
        static let strings: UInt64 = 5
        static let symbols: UInt64 = 6
        static let stringBytes: UInt64 = 10
        static let textRelocations: UInt64 = 22
        static let flags: UInt64 = 30
        static let gnuHash: UInt64 = 0x6fff_fef5
        static let flags1: UInt64 = 0x6fff_fffb
    }

    /// Machines by their number, as far as anybody is likely to mix them up.
    private static let machines: [Int: String] = [
        3: "i386", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64",
        243: "riscv64", 258: "loongarch64",
    ]

    #if arch(x86_64)
        private static let machine = 62
    #elseif arch(arm64)
        private static let machine = 183
    #endif

    private func checkKind() throws(Malformed) {
        let width = try byte(4)
        guard width == 2 else {
            throw Malformed(
                text: "a \(width == 1 ? "32-bit" : "strange") library, not a 64-bit one"
            )
        }
        guard try byte(5) == 1 else {
            throw Malformed(text: "a big-endian library, not a little-endian one")
        }
        guard try byte(6) == 1 else {
            throw Malformed(text: "ELF version \(try byte(6)) instead of 1")
        }
        let machine = try half(18)
        guard machine == Self.machine else {
            let name = Self.machines[machine] ?? "machine \(machine)"
            let own = Self.machines[Self.machine] ?? "machine \(Self.machine)"
            throw Malformed(text: "built for \(name), this host is \(own)")
        }
        let kind = try half(16)
        guard kind == 3 else {
            let name = [1: "an object file", 2: "an executable", 4: "a core dump"][kind]
            throw Malformed(text: "\(name ?? "a file of ELF type \(kind)"), not a shared library")
        }
        // The header's last byte: whoever reads below it has no further look at the length.
        _ = try byte(63)
    }

    private func readSegments() throws(Malformed) -> [Segment] {
        let count = try half(56)
        guard count <= Self.segmentCountMax else {
            throw Malformed(
                text: "has \(count) segments, at most \(Self.segmentCountMax) are looked at"
            )
        }
        guard try half(54) == 56 else {
            throw Malformed(text: "a program header is not 56 bytes")
        }
        let table = try place(try long(32))
        var segments: [Segment] = []
        for index in 0..<count {
            let at = try sum(table, index * 56)
            let segment = Segment(
                kind: try word(at),
                flags: try word(at + 4),
                offset: try long(at + 8),
                address: try long(at + 16),
                fileBytes: try long(at + 32),
                memoryBytes: try long(at + 40)
            )
            // Pages that the linker maps beyond the file's end would raise SIGBUS.
            if segment.kind == Kind.load || segment.kind == Kind.dynamic {
                let end = try sum(try place(segment.offset), try place(segment.fileBytes))
                guard end <= bytes.count else { throw cut(end) }
            }
            segments.append(segment)
        }
        return segments
    }

    private func readDynamic() throws(Malformed) -> [DynamicEntry] {
        guard let segment = segments.first(where: { $0.kind == Kind.dynamic }) else {
            throw Malformed(text: "not a shared library (no dynamic table)")
        }
        let start = try place(segment.offset)
        let count = Int(segment.fileBytes / 16)
        guard count <= Self.dynamicCountMax else {
            throw Malformed(
                text: "has \(count) dynamic entries, at most \(Self.dynamicCountMax) are looked at"
            )
        }
        var entries: [DynamicEntry] = []
        for index in 0..<count {
            let tag = try long(start + index * 16)
            if tag == 0 { break }
            entries.append(DynamicEntry(tag: tag, value: try long(start + index * 16 + 8)))
        }
        return entries
    }

    private var flags1: UInt64 { value(of: Tag.flags1) ?? 0 }

    private func value(of tag: UInt64) -> UInt64? {
        dynamic.last { $0.tag == tag }?.value
    }

    private func dynamicString(_ at: UInt64) throws(Malformed) -> String {
        guard let table = value(of: Tag.strings), let size = value(of: Tag.stringBytes) else {
            throw Malformed(text: "its dynamic table has no strings")
        }
        let start = try offset(ofAddress: table)
        let end = try sum(start, try place(size))
        guard end <= bytes.count else { throw cut(end) }
        let from = try sum(start, try place(at))
        guard from < end else { throw Malformed(text: "a name is outside of the table of strings") }
        return try string(at: from, end: end)
    }

    private struct Symbol {
        /// Place of its name in the table of strings.
        var name: UInt64
        var binding: UInt8
        var visibility: UInt8
        var isDefined: Bool
    }

    private func symbols(_ range: Range<Int>) throws(Malformed) -> [Symbol] {
        guard let table = value(of: Tag.symbols), !range.isEmpty else { return [] }
        let first = try offset(ofAddress: table)
        var symbols: [Symbol] = []
        for index in range {
            let at = try sum(first, try product(index, 24))
            symbols.append(
                Symbol(
                    name: UInt64(try word(at)),
                    binding: try byte(at + 4) >> 4,
                    visibility: try byte(at + 5) & 3,
                    isDefined: try half(at + 6) != 0
                )
            )
        }
        return symbols
    }

    /// Indices among which are all symbols that are not defined here.
    ///
    /// They stand before the first one that a GNU hash table has; the older kind of table has all.
    private func importedRange() throws(Malformed) -> Range<Int> {
        if let hash = value(of: Tag.hash) {
            let count = Int(try word(try offset(ofAddress: hash) + 4))
            guard count <= Self.symbolCountMax else { throw tooManySymbols(count) }
            return 0..<count
        }
        guard let hash = value(of: Tag.gnuHash) else { return 0..<0 }
        let count = Int(try word(try offset(ofAddress: hash) + 4))
        guard count <= Self.symbolCountMax else { throw tooManySymbols(count) }
        return 0..<count
    }

    /// Indices of the symbols that the linker finds by their names.
    private func exportedRange() throws(Malformed) -> Range<Int>? {
        if let hash = value(of: Tag.gnuHash) {
            return try gnuHashRange(try offset(ofAddress: hash))
        }
        guard let hash = value(of: Tag.hash) else { return nil }
        let count = Int(try word(try offset(ofAddress: hash) + 4))
        guard count <= Self.symbolCountMax else { throw tooManySymbols(count) }
        return 0..<count
    }

    /// The symbols of a GNU hash table, which are the last ones of the symbol table.
    ///
    /// A header, a filter, buckets with the first symbol of each chain, then a word for each symbol
    /// whose lowest bit ends a chain.
    private func gnuHashRange(_ table: Int) throws(Malformed) -> Range<Int>? {
        let bucketCount = Int(try word(table))
        let first = Int(try word(table + 4))
        let filterCount = Int(try word(table + 8))
        let buckets = try sum(try sum(table, 16), try product(filterCount, 8))
        let chains = try sum(buckets, try product(bucketCount, 4))
        guard bucketCount <= Self.symbolCountMax else { throw tooManySymbols(bucketCount) }
        var last = 0
        for index in 0..<bucketCount {
            last = max(last, Int(try word(buckets + index * 4)))
        }
        guard last >= first else { return nil }
        while try word(try sum(chains, try product(last - first, 4))) & 1 == 0 { last += 1 }
        guard last < Self.symbolCountMax else { throw tooManySymbols(last + 1) }
        return first..<(last + 1)
    }

    private func tooManySymbols(_ count: Int) -> Malformed {
        Malformed(text: "has \(count) symbols, at most \(Self.symbolCountMax) are looked at")
    }

    /// Where the file has what would stand at an address.
    private func offset(ofAddress address: UInt64) throws(Malformed) -> Int {
        for segment in segments where segment.kind == Kind.load {
            guard address >= segment.address else { continue }
            let into = address - segment.address
            if into < segment.fileBytes { return try place(segment.offset + into) }
        }
        throw Malformed(text: "a table is outside of its segments")
    }
}

// MARK: Numbers of the file

extension ELFImage {
    private func cut(_ end: Int) -> Malformed {
        Malformed(text: "cut short: it has \(bytes.count) bytes, its headers speak of \(end)")
    }

    private func byte(_ at: Int) throws(Malformed) -> UInt8 {
        guard at >= 0, at < bytes.count else { throw cut(at + 1) }
        return bytes[at]
    }

    private func half(_ at: Int) throws(Malformed) -> Int {
        Int(try number(at, 2))
    }

    private func word(_ at: Int) throws(Malformed) -> UInt32 {
        UInt32(truncatingIfNeeded: try number(at, 4))
    }

    private func long(_ at: Int) throws(Malformed) -> UInt64 {
        try number(at, 8)
    }

    /// A little-endian number of `width` bytes.
    private func number(_ at: Int, _ width: Int) throws(Malformed) -> UInt64 {
        guard let value = LittleEndian.number(bytes, at: at, width) else {
            throw cut(try sum(at, width))
        }
        return value
    }

    /// An offset or a length of the file that fits an `Int` with room to add to it.
    private func place(_ value: UInt64) throws(Malformed) -> Int {
        guard value <= UInt64(Int32.max) else {
            throw Malformed(text: "cut short: its headers speak of byte \(value)")
        }
        return Int(value)
    }

    private func sum(_ a: Int, _ b: Int) throws(Malformed) -> Int {
        let (value, overflows) = a.addingReportingOverflow(b)
        guard !overflows else { throw Malformed(text: "its headers have impossible numbers") }
        return value
    }

    private func product(_ a: Int, _ b: Int) throws(Malformed) -> Int {
        let (value, overflows) = a.multipliedReportingOverflow(by: b)
        guard !overflows else { throw Malformed(text: "its headers have impossible numbers") }
        return value
    }

    /// The text up to its NUL.
    private func string(at start: Int, end: Int) throws(Malformed) -> String {
        let limit = min(end, try sum(start, Self.nameBytesMax))
        guard let stop = bytes[start..<limit].firstIndex(of: 0) else {
            throw Malformed(text: "a name has no end within \(Self.nameBytesMax) bytes")
        }
        return String(decoding: bytes[start..<stop], as: UTF8.self)
    }
}
