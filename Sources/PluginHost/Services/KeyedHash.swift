import Synchronization
import Sys

/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF").
struct KeyedHash {
    private let key: (UInt64, UInt64)

    var words: (UInt64, UInt64) { key }

    private static let inherited = Mutex<(UInt64, UInt64)?>(nil)

    /// Makes the hash of this process that of another one, whose entries it takes over: before the
    /// first use of `process`.
    static func inherit(_ key: (UInt64, UInt64)) { inherited.withLock { $0 = key } }

    /// The hash of this process, of a key that nobody outside knows.
    static let process: KeyedHash = {
        if let key = inherited.withLock({ $0 }) { return KeyedHash(key: key) }
        var key: (UInt64, UInt64) = (0, 0)
        Process.random(&key.0)
        Process.random(&key.1)
        return KeyedHash(key: key)
    }()

    init(key: (UInt64, UInt64)) {
        self.key = key
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        @inline(__always)
        mutating func round() {
            v0 &+= v1
            v2 &+= v3
            v1 = rotate(v1, 13) ^ v0
            v3 = rotate(v3, 16) ^ v2
            v0 = rotate(v0, 32)
            v2 &+= v1
            v0 &+= v3
            v1 = rotate(v1, 17) ^ v2
            v3 = rotate(v3, 21) ^ v0
            v2 = rotate(v2, 32)
        }

        @inline(__always)
        mutating func take(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        mutating func finish() -> UInt64 {
            for _ in 0..<4 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }

        @inline(__always)
        private func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
            word << count | word >> (64 - count)
        }
    }

    /// - Parameter bytes: `count` of them; nil for none.
    func hash(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> (low: UInt64, high: UInt64) {
        var state = State(
            v0: 0x736f_6d65_7073_6575 ^ key.0,
            v1: 0x646f_7261_6e64_6f6d ^ key.1 ^ 0xee,
            v2: 0x6c79_6765_6e65_7261 ^ key.0,
            v3: 0x7465_6462_7974_6573 ^ key.1
        )
        var last = UInt64(count & 0xff) << 56
        if let bytes {
            let raw = UnsafeRawPointer(bytes)
            let whole = count & ~7
            for at in stride(from: 0, to: whole, by: 8) {
                let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                state.take(UInt64(littleEndian: word))
            }
            for at in whole..<count { last |= UInt64(bytes[at]) << UInt64(8 * (at - whole)) }
        }
        state.take(last)
        state.v2 ^= 0xee
        let low = state.finish()
        state.v1 ^= 0xdd
        return (low, state.finish())
    }

    /// A number for a key of two words, where a table looks for it first.
    @inline(__always)
    func spread(_ low: UInt64, _ high: UInt64) -> UInt64 {
        // Each round spreads all bits over the upper half, and folds that back. The key keeps
        // clients from choosing places.
        var word = (low ^ key.0) &* 0x9e37_79b9_7f4a_7c15
        word = (word ^ word >> 32 ^ high ^ key.1) &* 0xd6e8_feb8_6659_fd93
        word = (word ^ word >> 32) &* 0x9e37_79b9_7f4a_7c15
        return word ^ word >> 32
    }
}
