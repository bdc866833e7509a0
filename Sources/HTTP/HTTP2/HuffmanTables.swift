/// Tables of the Huffman code of HPACK (RFC 7541 Appendix B), made once from the lengths of its
/// codes and never freed or changed.
///
/// The code is canonical: within one length the codes count up in the order of the symbols, and
/// the first code of a length follows from the last one of the length before. So the lengths say
/// all, and a long code is decoded by comparing it with the first code of each length.
///
/// Safe: the block is written only by `init`, before anyone else can see it. Every index into it
/// is a byte, `lookupBits` bits, a code's length, or a place in the list of 257 symbols.
struct HuffmanTables: @unchecked Sendable {
    /// Bits that one look-up takes.
    ///
    /// Twelve hold two of the usual letters and digits, which have five or six bits each.
    static let lookupBits = 12
    /// Bits of the longest code.
    static let codeBitsMax = 30
    /// The symbol that no string may hold (RFC 7541 §5.2).
    static let endOfString = 256

    private static let lookupOffset = 0
    private static let codesOffset = lookupOffset + (1 << lookupBits) * 4
    private static let limitsOffset = codesOffset + 256 * 4
    private static let basesOffset = limitsOffset + 32 * 8
    private static let symbolsOffset = basesOffset + 32 * 4
    private static let lengthsOffset = symbolsOffset + 258 * 2
    private static let byteCount = lengthsOffset + 256

    static let shared = HuffmanTables()

    /// What the next `lookupBits` bits begin with, from the lowest byte up: the first symbol, the
    /// second one, the bits of the first, and the bits of all: the same number when there is no
    /// room for a second.
    ///
    /// 0 where the code is longer than the look-up.
    let lookup: UnsafePointer<UInt32>
    /// The code of each byte, its last bit lowest.
    let codes: UnsafePointer<UInt32>
    /// The bits of each byte's code.
    let lengths: UnsafePointer<UInt8>
    /// By length: all codes up to this length, their first bit highest of 32, are below it.
    private let limits: UnsafePointer<UInt64>
    /// By length: the place in `symbols` of a code's symbol, less the code.
    private let bases: UnsafePointer<Int32>
    /// Symbols in the order of their codes.
    private let symbols: UnsafePointer<UInt16>

    private init() {
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: HuffmanTables.byteCount,
            alignment: 64
        )
        block.initializeMemory(as: UInt8.self, repeating: 0, count: HuffmanTables.byteCount)
        let lookup = HuffmanTables.part(of: block, at: HuffmanTables.lookupOffset, UInt32.self)
        let codes = HuffmanTables.part(of: block, at: HuffmanTables.codesOffset, UInt32.self)
        let limits = HuffmanTables.part(of: block, at: HuffmanTables.limitsOffset, UInt64.self)
        let bases = HuffmanTables.part(of: block, at: HuffmanTables.basesOffset, Int32.self)
        let symbols = HuffmanTables.part(of: block, at: HuffmanTables.symbolsOffset, UInt16.self)
        let lengths = HuffmanTables.part(of: block, at: HuffmanTables.lengthsOffset, UInt8.self)

        var code: UInt64 = 0
        var place = 0
        for length in 1...HuffmanTables.codeBitsMax {
            code <<= 1
            bases[length] = Int32(place) - Int32(code)
            for symbol in 0...256 where HuffmanTables.codeLengths[symbol] == length {
                symbols[place] = UInt16(symbol)
                if symbol < 256 {
                    codes[symbol] = UInt32(code)
                    lengths[symbol] = UInt8(length)
                }
                place += 1
                code += 1
            }
            limits[length] = code << UInt64(32 - length)
        }
        precondition(
            place == 257 && code == 1 << UInt64(HuffmanTables.codeBitsMax),
            "the Huffman code is not complete"
        )
        self.lookup = UnsafePointer(lookup)
        self.codes = UnsafePointer(codes)
        self.lengths = UnsafePointer(lengths)
        self.limits = UnsafePointer(limits)
        self.bases = UnsafePointer(bases)
        self.symbols = UnsafePointer(symbols)
        for bits in 0..<(1 << HuffmanTables.lookupBits) {
            lookup[bits] = entry(for: UInt32(bits))
        }
    }

    /// The symbol whose code the bits begin with, and the code's length.
    ///
    /// `window` holds the next 32 bits; the code is longer than the look-up.
    @inline(never)  // Control characters, bytes above 0x7F and a little punctuation only.
    func longCode(_ window: UInt32) -> (symbol: Int, length: Int) {
        find(window, from: HuffmanTables.lookupBits + 1)
    }

    private func find(_ window: UInt32, from shortest: Int) -> (symbol: Int, length: Int) {
        var length = shortest
        while UInt64(window) >= limits[length], length < HuffmanTables.codeBitsMax {
            length &+= 1
        }
        let code = Int32(truncatingIfNeeded: window &>> UInt32(32 &- length))
        return (Int(symbols[Int(code &+ bases[length])]), length)
    }

    private func entry(for bits: UInt32) -> UInt32 {
        let room = HuffmanTables.lookupBits
        let window = bits << UInt32(32 - room)
        let (first, firstLength) = find(window, from: 1)
        guard firstLength <= room else { return 0 }
        let (second, secondLength) = find(window << UInt32(firstLength), from: 1)
        let isPair = firstLength + secondLength <= room
        let total = isPair ? firstLength + secondLength : firstLength
        return UInt32(first) | (isPair ? UInt32(second) << 8 : 0)
            | UInt32(firstLength) << 16 | UInt32(total) << 24
    }

    private static func part<Element>(
        of block: UnsafeMutableRawPointer,
        at offset: Int,
        _ type: Element.Type
    ) -> UnsafeMutablePointer<Element> {
        (block + offset).assumingMemoryBound(to: Element.self)
    }

    /// The bits of the code of each byte, and of the end of the string.
    private static let codeLengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
        28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
        6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
        21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
        19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ]
}
