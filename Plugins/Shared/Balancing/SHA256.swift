public import SluiceSDK

/// SHA-256 (FIPS 180-4 §6.2), a piece at a time.
///
/// For names of peers, once for each of them: plain code, a block in a few hundred nanoseconds.
public struct SHA256: BitwiseCopyable {
    /// The eight words of a sum, or of the state between two blocks.
    public typealias Words = InlineArray<8, UInt32>

    /// Bytes of a block.
    static var blockBytes: Int { 64 }

    /// The first 32 bits of the fractions of the first eight primes' square roots.
    private static var initial: Words {
        [
            0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C,
            0x1F83_D9AB, 0x5BE0_CD19,
        ]
    }

    private var words = initial
    private var block = InlineArray<64, UInt8>(repeating: 0)
    /// Bytes that were added.
    private var count = 0

    /// Begins a sum.
    public init() {}

    /// Adds bytes.
    public mutating func add(_ bytes: Bytes) {
        for offset in bytes.indices { add(bytes[offset]) }
    }

    /// Adds one byte.
    public mutating func add(_ byte: UInt8) {
        block[count & (Self.blockBytes - 1)] = byte
        count += 1
        if count & (Self.blockBytes - 1) == 0 { takeBlock() }
    }

    /// The sum of what was added.
    public consuming func sum() -> Words {
        let bits = UInt64(count) * 8
        add(0x80)
        while count & (Self.blockBytes - 1) != Self.blockBytes - 8 { add(0) }
        for shift in stride(from: 56, through: 0, by: -8) {
            add(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
        }
        return words
    }

    private mutating func takeBlock() {
        var schedule = InlineArray<64, UInt32>(repeating: 0)
        for at in 0..<16 {
            schedule[at] =
                UInt32(block[4 * at]) << 24 | UInt32(block[4 * at + 1]) << 16
                | UInt32(block[4 * at + 2]) << 8 | UInt32(block[4 * at + 3])
        }
        for at in 16..<64 {
            let far = schedule[at - 15]
            let near = schedule[at - 2]
            let sigma0 = turned(far, 7) ^ turned(far, 18) ^ far >> 3
            let sigma1 = turned(near, 17) ^ turned(near, 19) ^ near >> 10
            schedule[at] = schedule[at - 16] &+ sigma0 &+ schedule[at - 7] &+ sigma1
        }
        var state = words
        for round in 0..<64 {
            let (a, e) = (state[0], state[4])
            let sum1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
            let choice = e & state[5] ^ ~e & state[6]
            let first = state[7] &+ sum1 &+ choice &+ constants[round] &+ schedule[round]
            let sum0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
            let majority = a & state[1] ^ a & state[2] ^ state[1] & state[2]
            state = [
                first &+ sum0 &+ majority, a, state[1], state[2], state[3] &+ first, e, state[5],
                state[6],
            ]
        }
        for at in 0..<8 { words[at] = words[at] &+ state[at] }
    }
}

@inline(__always)
private func turned(_ word: UInt32, _ count: UInt32) -> UInt32 {
    word &>> count | word &<< (32 - count)
}

/// The first 32 bits of the fractions of the first 64 primes' cube roots.
private let constants: InlineArray<64, UInt32> = [
    0x428A_2F98, 0x7137_4491, 0xB5C0_FBCF, 0xE9B5_DBA5, 0x3956_C25B, 0x59F1_11F1, 0x923F_82A4,
    0xAB1C_5ED5, 0xD807_AA98, 0x1283_5B01, 0x2431_85BE, 0x550C_7DC3, 0x72BE_5D74, 0x80DE_B1FE,
    0x9BDC_06A7, 0xC19B_F174, 0xE49B_69C1, 0xEFBE_4786, 0x0FC1_9DC6, 0x240C_A1CC, 0x2DE9_2C6F,
    0x4A74_84AA, 0x5CB0_A9DC, 0x76F9_88DA, 0x983E_5152, 0xA831_C66D, 0xB003_27C8, 0xBF59_7FC7,
    0xC6E0_0BF3, 0xD5A7_9147, 0x06CA_6351, 0x1429_2967, 0x27B7_0A85, 0x2E1B_2138, 0x4D2C_6DFC,
    0x5338_0D13, 0x650A_7354, 0x766A_0ABB, 0x81C2_C92E, 0x9272_2C85, 0xA2BF_E8A1, 0xA81A_664B,
    0xC24B_8B70, 0xC76C_51A3, 0xD192_E819, 0xD699_0624, 0xF40E_3585, 0x106A_A070, 0x19A4_C116,
    0x1E37_6C08, 0x2748_774C, 0x34B0_BCB5, 0x391C_0CB3, 0x4ED8_AA4A, 0x5B9C_CA4F, 0x682E_6FF3,
    0x748F_82EE, 0x78A5_636F, 0x84C8_7814, 0x8CC7_0208, 0x90BE_FFFA, 0xA450_6CEB, 0xBEF9_A3F7,
    0xC671_78F2,
]

/// HMAC-SHA256 (RFC 2104) with one key, whose two first blocks are taken once.
public struct HMACSHA256: BitwiseCopyable {
    private let inner: SHA256
    private let outer: SHA256

    /// - Parameter key: of any length; one over 64 bytes counts by its sum.
    public init(key: Bytes) {
        var padded = InlineArray<64, UInt8>(repeating: 0)
        if key.count > SHA256.blockBytes {
            var hashed = SHA256()
            hashed.add(key)
            let sum = hashed.sum()
            for at in 0..<32 { padded[at] = byte(at, of: sum) }
        } else {
            for at in key.indices { padded[at] = key[at] }
        }
        var inner = SHA256()
        var outer = SHA256()
        for at in 0..<SHA256.blockBytes {
            inner.add(padded[at] ^ 0x36)
            outer.add(padded[at] ^ 0x5C)
        }
        self.inner = inner
        self.outer = outer
    }

    /// The code of two pieces, one behind the other.
    public func code(of first: Bytes, _ second: Bytes = .empty) -> SHA256.Words {
        var inner = inner
        inner.add(first)
        inner.add(second)
        let sum = inner.sum()
        var outer = outer
        for at in 0..<32 { outer.add(byte(at, of: sum)) }
        return outer.sum()
    }
}

/// A byte of a sum, 0 to 31: the words are written with the highest byte first.
private func byte(_ at: Int, of words: SHA256.Words) -> UInt8 {
    UInt8(truncatingIfNeeded: words[at / 4] >> UInt32(24 - at % 4 * 8))
}
