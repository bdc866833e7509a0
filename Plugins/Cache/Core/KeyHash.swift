/// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"), 64 bits of output.
///
/// The seed must be random and stay secret: then a client that chooses keys can't choose where they
/// go in the table, nor which ones share counters of the sketch.
public struct KeyHash: Sendable {
    private let seed: (UInt64, UInt64)

    /// - Parameters:
    ///   - low: 64 random bits.
    ///   - high: 64 other ones.
    public init(low: UInt64, high: UInt64) { seed = (low, high) }

    /// The hash of a key's bytes.
    public func callAsFunction(_ key: UnsafeRawBufferPointer) -> UInt64 {
        var state = State(seed)
        let whole = key.count & ~7
        for at in stride(from: 0, to: whole, by: 8) {
            let word = key.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            state.take(UInt64(littleEndian: word))
        }
        var last = UInt64(truncatingIfNeeded: key.count) << 56
        for at in whole..<key.count { last |= UInt64(key[at]) << UInt64(8 * (at - whole)) }
        state.take(last)
        return state.finish()
    }

    private struct State {
        private var v0: UInt64
        private var v1: UInt64
        private var v2: UInt64
        private var v3: UInt64

        @inline(__always)
        init(_ seed: (UInt64, UInt64)) {
            v0 = 0x736f_6d65_7073_6575 ^ seed.0
            v1 = 0x646f_7261_6e64_6f6d ^ seed.1
            v2 = 0x6c79_6765_6e65_7261 ^ seed.0
            v3 = 0x7465_6462_7974_6573 ^ seed.1
        }

        @inline(__always)
        private mutating func round() {
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
            v0 ^= word
        }

        @inline(__always)
        mutating func finish() -> UInt64 {
            v2 ^= 0xff
            for _ in 0..<3 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }

        @inline(__always)
        private func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
            word << count | word >> (64 - count)
        }
    }
}
