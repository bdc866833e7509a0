/// Constants for tests on eight bytes at a time.
enum Words {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highs: UInt64 = 0x8080_8080_8080_8080

    /// CRLF, its first byte lowest.
    static let lineEnd: UInt16 = 0x0A0D

    /// Eight copies of a byte.
    @inline(__always)  // Folds to a constant.
    static func each(_ byte: UInt8) -> UInt64 {
        ones &* UInt64(byte)
    }

    /// The high bit of each zero byte; bits above the lowest set one may be wrong.
    @inline(__always)  // Four instructions in the name and line-end scans.
    static func zeroes(in word: UInt64) -> UInt64 {
        (word &- ones) & ~word & highs
    }

    /// The word with upper-case ASCII letters made lower-case.
    @inline(__always)  // Ten instructions in the comparing loop.
    static func lowercased(_ word: UInt64) -> UInt64 {
        let low = word & ~highs
        // High bits for bytes from `A` on, and for those after `Z`.
        let fromFirst = low &+ each(0x80 - 0x41)
        let afterLast = low &+ each(0x80 - 0x5B)
        let letters = fromFirst & ~afterLast & ~word & highs
        return word | (letters &>> 2)
    }

    /// The index of the lowest byte whose high bit is set.
    @inline(__always)  // Two instructions.
    static func firstIndex(_ hits: UInt64) -> Int {
        hits.trailingZeroBitCount &>> 3
    }
}

extension UnsafePointer where Pointee == UInt8 {
    /// Eight bytes, the first of them lowest.
    ///
    /// All eight must be in bounds.
    @inline(__always)  // One load.
    func word(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt64.self))
    }

    /// Two bytes, the first of them lower; both must be in bounds.
    @inline(__always)  // One load.
    func pair(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt16.self))
    }

    /// Four bytes, the first of them lowest; all must be in bounds.
    @inline(__always)  // One load.
    func half(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt32.self))
    }

    /// The bytes `from..<end`, with zeroes after them to fill the word; at most eight.
    ///
    /// Safe: reads only bytes below `end`, and none before the base.
    @inline(never)  // Runs a few times a head, near its end.
    static func tailWord(_ base: UnsafePointer<UInt8>, from: Int, end: Int) -> UInt64 {
        let have = end &- from
        guard have > 0 else { return 0 }
        if end >= 8 {
            return base.word(end &- 8) &>> UInt64(truncatingIfNeeded: (8 &- have) &* 8)
        }
        // Loads that overlap, and so need no loop: of four bytes each, or of single ones.
        if have >= 4 {
            let low = UInt64(base.half(from))
            let high = UInt64(base.half(end &- 4))
            return low | high &<< UInt64(truncatingIfNeeded: (have &- 4) &* 8)
        }
        let middle = have &>> 1
        let last = have &- 1
        return UInt64(base[from])
            | UInt64(base[from &+ middle]) &<< UInt64(truncatingIfNeeded: middle &* 8)
            | UInt64(base[from &+ last]) &<< UInt64(truncatingIfNeeded: last &* 8)
    }

    /// The eight bytes at `from`, or those before `end` and zeroes.
    @inline(__always)  // The test and one load; the tail is a call.
    func word(_ from: Int, end: Int) -> UInt64 {
        from &+ 8 <= end ? word(from) : UnsafePointer.tailWord(self, from: from, end: end)
    }
}

/// Bytes by name.
enum Byte {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let hash: UInt8 = 0x23
    static let percent: UInt8 = 0x25
    static let asterisk: UInt8 = 0x2A
    static let comma: UInt8 = 0x2C
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let question: UInt8 = 0x3F
    static let leftBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let rightBracket: UInt8 = 0x5D
    static let delete: UInt8 = 0x7F

    @inline(__always)  // Two comparisons.
    static func isBlank(_ byte: UInt8) -> Bool {
        byte == space || byte == tab
    }
}
