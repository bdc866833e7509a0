public import SluiceSDK

/// CRC-32 as zlib and nginx compute it: polynomial 0xEDB88320, reflected (ISO 3309, RFC 1952 §8).
///
/// Eight bytes at a time, by eight tables of 1 KiB each.
public struct CRC32: BitwiseCopyable {
    @usableFromInline let tables: UnsafeMutablePointer<UInt32>

    /// Makes the tables.
    public init() {
        tables = .allocate(capacity: 8 * 256)
        // Safe: all indices stay below 8 * 256.
        for byte in 0..<256 {
            var rest = UInt32(byte)
            for _ in 0..<8 { rest = rest & 1 == 0 ? rest >> 1 : rest >> 1 ^ 0xEDB8_8320 }
            (tables + byte).initialize(to: rest)
        }
        for place in 256..<8 * 256 {
            let before = tables[place - 256]
            (tables + place).initialize(to: before >> 8 ^ tables[Int(before & 0xFF)])
        }
    }

    /// Frees the tables.
    public func deallocate() { tables.deallocate() }

    /// The state before the first byte.
    @inlinable public static var initial: UInt32 { .max }

    /// The sum of what a state has seen.
    @inlinable public static func sum(_ state: UInt32) -> UInt32 { ~state }

    /// The state after one more byte.
    @inlinable
    public func adding(_ byte: UInt8, to state: UInt32) -> UInt32 {
        tables[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state &>> 8
    }

    /// The state after four more bytes, those of a number with the lowest first.
    @inlinable
    public func adding(word: UInt32, to state: UInt32) -> UInt32 {
        let mixed = word ^ state
        return tables[3 &* 256 &+ Int(mixed & 0xFF)]
            ^ tables[2 &* 256 &+ Int(mixed &>> 8 & 0xFF)]
            ^ tables[1 &* 256 &+ Int(mixed &>> 16 & 0xFF)]
            ^ tables[Int(mixed &>> 24)]
    }

    /// The state after more bytes.
    @inlinable
    public func adding(_ bytes: Bytes, to state: UInt32) -> UInt32 {
        var state = state
        var at = 0
        while at &+ 8 <= bytes.count {
            // Safe: eight bytes are left; all indices of the tables are below 8 * 256.
            let word = UInt64(
                littleEndian: UnsafeRawPointer(bytes.start)
                    .loadUnaligned(fromByteOffset: at, as: UInt64.self)
            )
            let low = UInt32(truncatingIfNeeded: word) ^ state
            let high = UInt32(truncatingIfNeeded: word &>> 32)
            state =
                tables[7 &* 256 &+ Int(low & 0xFF)] ^ tables[6 &* 256 &+ Int(low &>> 8 & 0xFF)]
                ^ tables[5 &* 256 &+ Int(low &>> 16 & 0xFF)] ^ tables[4 &* 256 &+ Int(low &>> 24)]
                ^ tables[3 &* 256 &+ Int(high & 0xFF)] ^ tables[2 &* 256 &+ Int(high &>> 8 & 0xFF)]
                ^ tables[1 &* 256 &+ Int(high &>> 16 & 0xFF)] ^ tables[Int(high &>> 24)]
            at &+= 8
        }
        while at < bytes.count {
            state = adding(bytes.start[at], to: state)
            at &+= 1
        }
        return state
    }

    /// The sum of some bytes.
    @inlinable
    public func of(_ bytes: Bytes) -> UInt32 { CRC32.sum(adding(bytes, to: CRC32.initial)) }
}

/// Spreads a number's bits over all 64: each bit of the result depends on all of them.
///
/// The finalizer of MurmurHash3, a bijection.
@inlinable
public func mixed(_ number: UInt64) -> UInt64 {
    var number = number
    number = (number ^ number &>> 33) &* 0xFF51_AFD7_ED55_8CCD
    number = (number ^ number &>> 33) &* 0xC4CE_B9FE_1A85_EC53
    return number ^ number &>> 33
}

/// A 64-bit hash that is the same in every process and on every machine: FNV-1a, mixed.
///
/// Not keyed: proxies of one service must agree on it.
@inlinable
public func hash(of bytes: Bytes) -> UInt64 {
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    var at = 0
    while at < bytes.count {
        // Safe: below the count.
        state = (state ^ UInt64(bytes.start[at])) &* 0x0000_0100_0000_01B3
        at &+= 1
    }
    return mixed(state)
}
