package import SluiceSDK

/// Numbers as lower-case hexadecimal digits, the form of all ids of a trace.
package enum Hexadecimal {
    /// The number that digits spell; nil when one of them is none, or is a capital.
    ///
    /// - Parameter range: 1 to 16 offsets within the text.
    package static func read(_ text: Bytes, _ range: Range<Int>) -> UInt64? {
        var number: UInt64 = 0
        for offset in range {
            let byte = text[offset]
            switch byte {
            case 0x30...0x39: number = number << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: number = number << 4 | UInt64(byte - 0x61 + 10)
            default: return nil
            }
        }
        return number
    }

    /// Writes 16 digits.
    package static func write(_ number: UInt64, to start: UnsafeMutablePointer<UInt8>) {
        let start = UnsafeMutableRawPointer(start)
        let high = UInt32(truncatingIfNeeded: number >> 32)
        // Safe: the caller gives room for 16 bytes.
        start.storeBytes(of: digits(high), as: UInt64.self)
        start.storeBytes(
            of: digits(UInt32(truncatingIfNeeded: number)),
            toByteOffset: 8,
            as: UInt64.self
        )
    }

    /// Writes two digits.
    package static func write(_ byte: UInt8, to start: UnsafeMutablePointer<UInt8>) {
        start[0] = digit(byte >> 4)
        start[1] = digit(byte & 15)
    }

    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? 0x30 + nibble : 0x57 + nibble
    }

    /// Eight digits of 32 bits, the highest first in memory.
    private static func digits(_ word: UInt32) -> UInt64 {
        // One nibble a byte, all eight at a time.
        var nibbles = UInt64(word.byteSwapped)
        nibbles = (nibbles | nibbles << 16) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles | nibbles << 8) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles >> 4 | nibbles << 8) & 0x0F0F_0F0F_0F0F_0F0F
        // 10 to 15 have bit 4 set after 6 is added; "a" is 39 places behind "9" + 1.
        let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 39
    }
}
