import CCacheDisk
import Testing

@testable import CacheDisk

struct FileHeaderTests {
    /// RFC 3720 §B.4, and the check value of the catalogue of CRCs.
    static let vectors: [(bytes: [UInt8], checksum: UInt32)] = [
        ([], 0),
        (Array("123456789".utf8), 0xe306_9283),
        ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
        ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
        (Array(0..<32), 0x46dd_794e),
        (Array((0..<32).reversed()), 0x113f_db5c),
    ]

    @Test(arguments: vectors.indices)
    func `checksums are CRC-32C`(index: Int) {
        let vector = Self.vectors[index]
        #expect(cachedisk_crc(0, vector.bytes, vector.bytes.count) == vector.checksum)
        #expect(cachedisk_crc_plain(0, vector.bytes, vector.bytes.count) == vector.checksum)
    }

    @Test func `a checksum goes on with the next piece`() {
        let bytes = noise(1, count: 100)
        let whole = cachedisk_crc(0, bytes, 100)
        for split in 0...100 {
            let first = cachedisk_crc(0, bytes, split)
            let rest = Array(bytes[split...])
            #expect(cachedisk_crc(first, rest, rest.count) == whole)
            #expect(cachedisk_crc_plain(first, rest, rest.count) == whole)
        }
    }

    private static func head(_ header: FileHeader) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(header.bodyOffset))
        bytes.withUnsafeMutableBytes { header.write(to: $0) }
        return bytes
    }

    private static func read(_ bytes: [UInt8]) -> FileHeader? {
        bytes.withUnsafeBytes { FileHeader($0) }
    }

    private static let header = FileHeader(
        id: 0x1234_5678_9abc_def0,
        keyCount: 5,
        metaCount: 7,
        bodyCount: 1 << 40,
        storedAt: 3,
        keepUntil: 4,
        bodyChecksum: 0xdead_beef
    )

    @Test func `a header is read as it was written`() throws {
        var bytes = Self.head(Self.header)
        let header = try #require(Self.read(bytes))
        #expect(header.id == 0x1234_5678_9abc_def0)
        #expect(header.keyCount == 5 && header.metaCount == 7)
        #expect(header.bodyOffset == 4_096 && header.bodyCount == 1 << 40)
        #expect(header.storedAt == 3 && header.keepUntil == 4)
        #expect(header.bodyChecksum == 0xdead_beef)
        #expect(bytes.prefix(12) == [0x53, 0x4c, 0x55, 0x49, 0x43, 0x45, 0x44, 0x4b, 1, 0, 0, 0])
        let isWhole = bytes.withUnsafeMutableBytes { header.isWhole(.init(rebasing: $0[..<108])) }
        #expect(isWhole)
    }

    @Test func `any other byte is seen`() {
        let bytes = Self.head(Self.header)
        for index in 0..<108 {
            var other = bytes
            other[index] ^= 0x10
            guard let header = Self.read(other) else { continue }
            let isWhole = other.withUnsafeMutableBytes {
                header.isWhole(.init(rebasing: $0[..<108]))
            }
            #expect(!isWhole, "byte \(index)")
        }
    }

    @Test(arguments: [
        (0, 0, 4_096), (4_000, 0, 4_096), (4_001, 0, 8_192), (2_000, 2_000, 4_096),
        (65_536, 262_144, 331_776),
    ])
    func `a body begins at a block`(keyCount: Int, metaCount: Int, offset: UInt64) throws {
        let header = FileHeader(id: 1, keyCount: keyCount, metaCount: metaCount)
        #expect(header.bodyOffset == offset)
        #expect(try #require(Self.read(Self.head(header))).bodyOffset == offset)
    }

    @Test func `lengths over the limits are none of ours`() {
        for (key, meta) in [(65_537, 0), (0, 262_145)] {
            #expect(Self.read(Self.head(FileHeader(id: 1, keyCount: key, metaCount: meta))) == nil)
        }
        var header = Self.header
        header.bodyCount = DiskStore.sizeMax
        #expect(Self.read(Self.head(header)) != nil)
        header.bodyCount += 1
        #expect(Self.read(Self.head(header)) == nil)
    }
}
