/// The Huffman code of HPACK strings (RFC 7541 §5.2).
public enum Huffman {
    /// Room that decoding `count` bytes needs: the shortest code has five bits, and the decoder
    /// writes two bytes at a time.
    @inlinable
    public static func decodedBytesMax(_ count: Int) -> Int {
        count &* 8 / 5 &+ 2
    }

    /// Decodes a string and returns its length; -1 where it holds the end-of-string symbol, or ends
    /// with more than seven bits that are no code, or with any that are not ones.
    ///
    /// Safe: `out` has room for `decodedBytesMax(count)` bytes. Each round writes two and moves on
    /// by one or two symbols, of at least five bits each that were among the `count` bytes.
    public static func decode(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let tables = HuffmanTables.shared
        // Bits that are read and not yet decoded, the first one highest, and zeroes after them.
        var bits: UInt64 = 0
        var bitCount = 0
        var at = 0
        var written = 0
        while true {
            if bitCount <= 32 {
                if at &+ 4 <= count {
                    let word = UnsafeRawPointer(bytes + at).loadUnaligned(as: UInt32.self)
                    bits |= UInt64(word.bigEndian) &<< UInt64(32 &- bitCount)
                    bitCount &+= 32
                    at &+= 4
                } else {
                    while at < count, bitCount <= 32 {
                        bits |= UInt64(bytes[at]) &<< UInt64(56 &- bitCount)
                        bitCount &+= 8
                        at &+= 1
                    }
                }
            }
            let entry = tables.lookup[Int(bits &>> UInt64(64 &- HuffmanTables.lookupBits))]
            var used = Int(entry &>> 24)
            let first = Int(entry &>> 16 & 0xFF)
            if entry != 0 {
                // The zeroes after the last bits may look like a symbol.
                if used > bitCount { used = first }
                guard used <= bitCount else { break }
                out[written] = UInt8(truncatingIfNeeded: entry)
                out[written &+ 1] = UInt8(truncatingIfNeeded: entry &>> 8)
                written &+= used > first ? 2 : 1
            } else {
                let window = UInt32(truncatingIfNeeded: bits &>> 32)
                let (symbol, length) = tables.longCode(window)
                guard length <= bitCount else { break }
                guard symbol != HuffmanTables.endOfString else { return -1 }
                out[written] = UInt8(truncatingIfNeeded: symbol)
                written &+= 1
                used = length
            }
            bits &<<= UInt64(used)
            bitCount &-= used
        }
        // What is left is padding: fewer than eight bits, all ones.
        guard bitCount < 8 else { return -1 }
        return bits == ~(~0 &>> UInt64(bitCount)) ? written : -1
    }

    /// The bytes that `encode` writes.
    public static func encodedBytes(_ bytes: UnsafePointer<UInt8>, count: Int) -> Int {
        let lengths = HuffmanTables.shared.lengths
        var bits = 0
        var at = 0
        while at < count {
            bits &+= Int(lengths[Int(bytes[at])])
            at &+= 1
        }
        return (bits &+ 7) &>> 3
    }

    /// Encodes a string, pads it with ones, and returns its length.
    ///
    /// Safe: `out` has room for `encodedBytes` of the string.
    public static func encode(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let tables = HuffmanTables.shared
        // Bits that are not yet written, the last one lowest: fewer than 32 before each symbol.
        var bits: UInt64 = 0
        var bitCount = 0
        var at = 0
        var written = 0
        while at < count {
            let byte = Int(bytes[at])
            let length = Int(tables.lengths[byte])
            bits = bits &<< UInt64(length) | UInt64(tables.codes[byte])
            bitCount &+= length
            if bitCount >= 32 {
                bitCount &-= 32
                let word = UInt32(truncatingIfNeeded: bits &>> UInt64(bitCount))
                UnsafeMutableRawPointer(out + written)
                    .storeBytes(of: word.bigEndian, as: UInt32.self)
                written &+= 4
            }
            at &+= 1
        }
        let padding = (8 &- bitCount & 7) & 7
        bits = bits &<< UInt64(padding) | (1 &<< UInt64(padding) &- 1)
        bitCount &+= padding
        while bitCount > 0 {
            bitCount &-= 8
            out[written] = UInt8(truncatingIfNeeded: bits &>> UInt64(bitCount))
            written &+= 1
        }
        return written
    }
}
