/// The sections of an ELF file, read without trusting a byte of it.
///
/// Sans-I/O: the bytes come from whoever read the file. Every offset is checked before it is used;
/// what does not add up is an error, never a trap.
public struct ELFFile {
    private let bytes: [UInt8]
    /// Offset of the first section header.
    private let tableOffset: Int
    private let sectionCount: Int
    /// The bytes of the sections' names.
    private let names: Range<Int>

    /// Why a file's sections can't be read.
    public struct Malformed: Error, Equatable, Sendable, CustomStringConvertible {
        public var description: String

        init(_ description: String) { self.description = description }
    }

    /// Where a section's bytes stand in the file, and what they are.
    private struct Header {
        var type: UInt32
        var flags: UInt64
        var bytes: Range<Int>
    }

    // elf(5); the names are those of elf.h in words.
    private static let headerBytes = 64
    private static let sectionHeaderBytes = 64
    /// `SHT_NOBITS`: a section without bytes in the file.
    private static let typeWithoutBytes: UInt32 = 8
    /// `SHF_COMPRESSED`.
    private static let flagCompressed: UInt64 = 0x800
    /// `SHN_XINDEX`: the index is in the first section header.
    private static let indexElsewhere = 0xFFFF

    /// Reads the header and finds the table of sections.
    ///
    /// - Throws: for anything but a 64-bit little-endian ELF file, and for a table of sections that
    ///   does not lie within the file. A file without such a table has no sections.
    public init(_ bytes: [UInt8]) throws(Malformed) {
        self.bytes = bytes
        guard bytes.count >= Self.headerBytes, bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
            throw Malformed("no ELF header")
        }
        guard bytes[4] == 2, bytes[5] == 1 else {
            throw Malformed("not a 64-bit little-endian ELF file")
        }
        guard let tableOffset = Self.word(bytes, 0x28) else {
            throw Malformed("the section table is outside of the file")
        }
        guard tableOffset > 0 else {
            (self.tableOffset, sectionCount, names) = (0, 0, 0..<0)
            return
        }
        self.tableOffset = tableOffset
        guard Self.bits16(bytes, 0x3A) == Self.sectionHeaderBytes else {
            throw Malformed("section headers of \(Self.bits16(bytes, 0x3A)) bytes")
        }
        let first = Self.range(tableOffset, Self.sectionHeaderBytes, in: bytes)
        guard let first else { throw Malformed("the section table is outside of the file") }
        // With 65,280 sections or more, the numbers stand in the first section header.
        var count = Self.bits16(bytes, 0x3C)
        if count == 0 { count = Self.word(bytes, first.lowerBound + 0x20) ?? .max }
        var nameIndex = Self.bits16(bytes, 0x3E)
        if nameIndex == Self.indexElsewhere {
            nameIndex = Int(Self.bits32(bytes, first.lowerBound + 0x28))
        }
        let (size, overflows) = count.multipliedReportingOverflow(by: Self.sectionHeaderBytes)
        guard !overflows, Self.range(tableOffset, size, in: bytes) != nil else {
            throw Malformed("the section table is outside of the file")
        }
        sectionCount = count
        guard nameIndex > 0 else {
            names = 0..<0
            return
        }
        guard nameIndex < count else { throw Malformed("there is no section of names") }
        let header = Self.header(nameIndex, tableOffset, bytes)
        guard let header, header.type != Self.typeWithoutBytes else {
            throw Malformed("the section of names is outside of the file")
        }
        names = header.bytes
    }

    /// The bytes of all sections of a name, in the order of the file.
    ///
    /// - Throws: when one of them lies outside of the file, is compressed, or has no bytes in it.
    public func sections(named name: String) throws(Malformed) -> [ArraySlice<UInt8>] {
        let wanted = Array(name.utf8)
        var found: [ArraySlice<UInt8>] = []
        for index in 0..<sectionCount where hasName(wanted, index) {
            guard let header = Self.header(index, tableOffset, bytes) else {
                throw Malformed("the section \(name) is outside of the file")
            }
            guard header.type != Self.typeWithoutBytes else {
                throw Malformed("the section \(name) has no bytes in the file")
            }
            guard header.flags & Self.flagCompressed == 0 else {
                throw Malformed("the section \(name) is compressed")
            }
            found.append(bytes[header.bytes])
        }
        return found
    }

    private func hasName(_ name: [UInt8], _ index: Int) -> Bool {
        // Safe: the table lies within the file (`init`).
        let offset = Int(Self.bits32(bytes, tableOffset + index * Self.sectionHeaderBytes))
        guard offset < names.count, names.count - offset > name.count else { return false }
        let start = names.lowerBound + offset
        return bytes[start..<(start + name.count)].elementsEqual(name)
            && bytes[start + name.count] == 0
    }

    /// A header within the table; nil when its bytes are outside of the file.
    private static func header(_ index: Int, _ tableOffset: Int, _ bytes: [UInt8]) -> Header? {
        let start = tableOffset + index * sectionHeaderBytes
        let type = bits32(bytes, start + 4)
        guard let flags = LittleEndian.number(bytes, at: start + 8, 8),
            let offset = word(bytes, start + 0x18),
            let size = word(bytes, start + 0x20)
        else { return nil }
        let isEmpty = type == typeWithoutBytes
        guard let range = isEmpty ? 0..<0 : range(offset, size, in: bytes) else { return nil }
        return Header(
            type: type,
            flags: flags,
            bytes: range
        )
    }

    // MARK: Numbers

    /// A part of the file; nil when it is not wholly within.
    private static func range(_ offset: Int, _ size: Int, in bytes: [UInt8]) -> Range<Int>? {
        guard offset >= 0, size >= 0, offset <= bytes.count, size <= bytes.count - offset else {
            return nil
        }
        return offset..<(offset + size)
    }

    /// 64 bits that fit; nil when they don't, or are outside of the file.
    private static func word(_ bytes: [UInt8], _ offset: Int) -> Int? {
        LittleEndian.number(bytes, at: offset, 8).flatMap(Int.init(exactly:))
    }

    /// 32 bits within the file.
    private static func bits32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: LittleEndian.number(bytes, at: offset, 4) ?? 0)
    }

    /// 16 bits within the file.
    private static func bits16(_ bytes: [UInt8], _ offset: Int) -> Int {
        Int(LittleEndian.number(bytes, at: offset, 2) ?? 0)
    }
}

/// Numbers of a file whose bytes stand in the order of the least first.
enum LittleEndian {
    /// A number of `width` bytes, at most 8; nil when it is not wholly within.
    static func number(_ bytes: [UInt8], at start: Int, _ width: Int) -> UInt64? {
        guard start >= 0, start <= bytes.count - width else { return nil }
        var value: UInt64 = 0
        for index in (0..<width).reversed() { value = value << 8 | UInt64(bytes[start + index]) }
        return value
    }
}
