internal import CCacheDisk

/// What an object's file begins with: 96 bytes, all numbers little-endian.
///
/// The key and the metadata follow, then zeros up to a multiple of a block, then the body. It is
/// written last, and says how long everything is, so a file that is not whole is seen to be.
///
/// | offset | bytes | what |
/// |--:|--:|---|
/// | 0 | 8 | `magic` |
/// | 8 | 4 | `version` |
/// | 12 | 4 | checksum of the header, with 0 here, the key and the metadata |
/// | 16 | 8 | id, as in the file's name |
/// | 24, 28 | 4, 4 | bytes of the key and of the metadata |
/// | 32, 40 | 8, 8 | where the body begins, and its bytes |
/// | 48, 56 | 8, 8 | seconds since 1970: when it was stored, until when it is of use (0: always) |
/// | 64 | 4 | checksum of the body |
/// | 68 | 4 | 0 |
/// | 72 | 8 | nanoseconds since 1970: since when it is stale by order; 0: it is not |
/// | 80 | 16 | 0 |
struct FileHeader: BitwiseCopyable {
    /// "SLUICEDK".
    static let magic: UInt64 = 0x4B44_4543_4955_4C53
    static let version: UInt32 = 1
    static let byteCount = 96
    private static let checksumOffset = 12

    var id: UInt64
    var keyCount: Int
    var metaCount: Int
    var bodyCount: UInt64 = 0
    var storedAt: UInt64 = 0
    var keepUntil: UInt64 = 0
    var bodyChecksum: UInt32 = 0
    var staleSince: UInt64 = 0

    /// Where the body begins.
    var bodyOffset: UInt64 {
        let head = UInt64(Self.byteCount + keyCount + metaCount)
        return Blocks.count(bytes: head) * DiskStore.blockBytes
    }

    /// Bytes of the file.
    var fileCount: UInt64 { bodyOffset + bodyCount }

    /// Writes the header before a key and metadata that are in the buffer already.
    ///
    /// - Parameter head: `bodyOffset` bytes.
    func write(to head: UnsafeMutableRawBufferPointer) {
        head.storeBytes(of: Self.magic.littleEndian, as: UInt64.self)
        head.storeBytes(of: Self.version.littleEndian, toByteOffset: 8, as: UInt32.self)
        head.storeBytes(of: 0, toByteOffset: Self.checksumOffset, as: UInt32.self)
        head.storeBytes(of: id.littleEndian, toByteOffset: 16, as: UInt64.self)
        head.storeBytes(of: UInt32(keyCount).littleEndian, toByteOffset: 24, as: UInt32.self)
        head.storeBytes(of: UInt32(metaCount).littleEndian, toByteOffset: 28, as: UInt32.self)
        head.storeBytes(of: bodyOffset.littleEndian, toByteOffset: 32, as: UInt64.self)
        head.storeBytes(of: bodyCount.littleEndian, toByteOffset: 40, as: UInt64.self)
        head.storeBytes(of: storedAt.littleEndian, toByteOffset: 48, as: UInt64.self)
        head.storeBytes(of: keepUntil.littleEndian, toByteOffset: 56, as: UInt64.self)
        head.storeBytes(of: bodyChecksum.littleEndian, toByteOffset: 64, as: UInt32.self)
        for offset in 68..<Self.byteCount { head[offset] = 0 }
        head.storeBytes(of: staleSince.littleEndian, toByteOffset: 72, as: UInt64.self)
        let count = Self.byteCount + keyCount + metaCount
        let checksum = cachedisk_crc(0, head.baseAddress, count)
        head.storeBytes(
            of: checksum.littleEndian,
            toByteOffset: Self.checksumOffset,
            as: UInt32.self
        )
    }

    /// Whether the checksum is right.
    ///
    /// - Parameter bytes: the header, the key and the metadata.
    func isWhole(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        let known = bytes.loadUnaligned(fromByteOffset: Self.checksumOffset, as: UInt32.self)
        bytes.storeBytes(of: 0, toByteOffset: Self.checksumOffset, as: UInt32.self)
        let checksum = cachedisk_crc(0, bytes.baseAddress, bytes.count)
        bytes.storeBytes(of: known, toByteOffset: Self.checksumOffset, as: UInt32.self)
        return UInt32(littleEndian: known) == checksum
    }
}

extension FileHeader {
    /// The header that bytes are; nil if they are none of ours.
    ///
    /// The checksum is not looked at, as it is of the key and the metadata as well.
    ///
    /// - Parameter bytes: `byteCount` or more.
    init?(_ bytes: UnsafeRawBufferPointer) {
        func number(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func long(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        guard long(0) == Self.magic, number(8) == Self.version else { return nil }
        id = long(16)
        keyCount = Int(number(24))
        metaCount = Int(number(28))
        bodyCount = long(40)
        storedAt = long(48)
        keepUntil = long(56)
        bodyChecksum = number(64)
        staleSince = long(72)
        guard keyCount <= DiskStore.keyBytesMax, metaCount <= DiskStore.metaBytesMax,
            bodyCount <= DiskStore.bodyBytesLimit, long(32) == bodyOffset
        else { return nil }
    }
}

/// Whole blocks.
enum Blocks {
    static func count(bytes: UInt64) -> UInt64 {
        (bytes + DiskStore.blockBytes - 1) / DiskStore.blockBytes
    }
}

/// The head of a file in memory: header, key and metadata.
struct Head: BitwiseCopyable {
    let header: FileHeader
    let memory: UnsafeMutableRawPointer

    // Safe: the memory has as many bytes as the header says.

    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory + FileHeader.byteCount, count: header.keyCount)
    }

    var meta: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: memory + FileHeader.byteCount + header.keyCount,
            count: header.metaCount
        )
    }

    func free() { cachedisk_free(memory) }

    /// What came of reading a head.
    enum Reading {
        case read(Head)
        /// Not a file of ours, or not all of it.
        case torn
        case failed(DiskError)
    }

    /// Reads and checks the head of an open file; the caller frees it.
    static func readBlocking(_ file: Int32, id: UInt64) -> Reading {
        let length = cachedisk_length(file)
        guard length >= 0 else { return .failed(DiskError(.read, Int32(length))) }
        let first = Int(DiskStore.blockBytes)
        guard length >= first else { return .torn }
        guard let memory = cachedisk_allocate(first) else { return .failed(.noMemory) }
        if let error = fill(memory, from: 0, to: first, file) {
            cachedisk_free(memory)
            return error
        }
        guard let header = FileHeader(UnsafeRawBufferPointer(start: memory, count: first)),
            header.id == id, header.fileCount == UInt64(length)
        else {
            cachedisk_free(memory)
            return .torn
        }
        return finish(header, memory, file)
    }

    /// Reads what does not fit into the first block, and checks all.
    private static func finish(
        _ header: FileHeader,
        _ first: UnsafeMutableRawPointer,
        _ file: Int32
    ) -> Reading {
        let count = FileHeader.byteCount + header.keyCount + header.metaCount
        guard let memory = cachedisk_allocate(count) else {
            cachedisk_free(first)
            return .failed(.noMemory)
        }
        let known = min(count, Int(DiskStore.blockBytes))
        memory.copyMemory(from: first, byteCount: known)
        cachedisk_free(first)
        if let error = fill(memory, from: known, to: count, file) {
            cachedisk_free(memory)
            return error
        }
        guard header.isWhole(UnsafeMutableRawBufferPointer(start: memory, count: count)) else {
            cachedisk_free(memory)
            return .torn
        }
        return .read(Head(header: header, memory: memory))
    }

    private static func fill(
        _ memory: UnsafeMutableRawPointer,
        from start: Int,
        to end: Int,
        _ file: Int32
    ) -> Reading? {
        guard end > start else { return nil }
        let result = cachedisk_read(file, memory + start, end - start, UInt64(start))
        if result == 0 { return nil }
        return result == CACHEDISK_SHORT ? .torn : .failed(DiskError(.read, result))
    }

    private static let pieceBytes = 262_144

    /// Whether the body is as it was written: reads all of it.
    func verifyBlocking(_ file: Int32) -> Reading {
        guard let piece = cachedisk_allocate(Self.pieceBytes) else { return .failed(.noMemory) }
        defer { cachedisk_free(piece) }
        var checksum: UInt32 = 0
        var at: UInt64 = 0
        while at < header.bodyCount {
            let count = Int(min(header.bodyCount - at, UInt64(Self.pieceBytes)))
            let result = cachedisk_read(file, piece, count, header.bodyOffset + at)
            if result == CACHEDISK_SHORT { return .torn }
            guard result == 0 else { return .failed(DiskError(.read, result)) }
            checksum = cachedisk_crc(checksum, piece, count)
            at += UInt64(count)
        }
        return checksum == header.bodyChecksum ? .read(self) : .torn
    }
}
