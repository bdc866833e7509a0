/// The frame types that are known (RFC 9113 §6, RFC 9218 §7.1).
enum FrameType: UInt8 {
    case data = 0x0
    case headers = 0x1
    case priority = 0x2
    case rstStream = 0x3
    case settings = 0x4
    case pushPromise = 0x5
    case ping = 0x6
    case goAway = 0x7
    case windowUpdate = 0x8
    case continuation = 0x9
    case priorityUpdate = 0x10
}

/// Flags of frames (RFC 9113 §6); undefined ones are ignored (§4.1).
enum FrameFlags {
    static let acknowledgement: UInt8 = 0x1
    static let endStream: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let priority: UInt8 = 0x20
}

/// The nine bytes before each payload (RFC 9113 §4.1).
struct FrameHeader {
    static let byteCount = 9
    /// The highest stream identifier; the bit above is reserved and ignored (RFC 9113 §4.1).
    static let streamMask: UInt32 = 0x7FFF_FFFF

    /// Bytes of the payload: 0 to 2^24 - 1.
    var length: Int
    var type: UInt8
    var flags: UInt8
    var stream: UInt32

    init(length: Int, type: FrameType, flags: UInt8, stream: UInt32) {
        self.length = length
        self.type = type.rawValue
        self.flags = flags
        self.stream = stream
    }

    /// From its first five bytes and its last four, as big-endian numbers.
    init(front: UInt64, stream: UInt32) {
        length = Int(truncatingIfNeeded: front &>> 16)
        type = UInt8(truncatingIfNeeded: front &>> 8)
        flags = UInt8(truncatingIfNeeded: front)
        self.stream = stream & Self.streamMask
    }

    /// Safe: `bytes` has nine bytes.
    init(_ bytes: UnsafePointer<UInt8>) {
        let front = UInt64(bytes.bigEndian32(at: 0)) &<< 8 | UInt64(bytes[4])
        self.init(front: front, stream: bytes.bigEndian32(at: 5))
    }

    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }

    /// Safe: `out` has room for nine bytes.
    func write(to out: UnsafeMutablePointer<UInt8>) {
        out.storeBigEndian(UInt32(truncatingIfNeeded: length) &<< 8 | UInt32(type), at: 0)
        out[4] = flags
        out.storeBigEndian(stream, at: 5)
    }
}

extension UnsafePointer where Pointee == UInt8 {
    /// Four bytes, the first of them highest; all must be in bounds.
    @inline(__always)  // One load and a swap.
    func bigEndian32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt32.self))
    }

    /// Two bytes, the first of them higher; both must be in bounds.
    @inline(__always)  // One load and a swap.
    func bigEndian16(at offset: Int) -> UInt16 {
        UInt16(bigEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt16.self))
    }
}

extension UnsafeMutablePointer where Pointee == UInt8 {
    /// Stores a number with its highest byte first; its bytes must be in bounds.
    @inline(__always)  // A swap and one store.
    func storeBigEndian<Number: FixedWidthInteger & BitwiseCopyable>(
        _ number: Number,
        at offset: Int
    ) {
        UnsafeMutableRawPointer(self + offset)
            .storeBytes(of: number.bigEndian, as: Number.self)
    }
}
