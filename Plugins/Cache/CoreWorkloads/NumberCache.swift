public import TinyUFO

/// A `TinyUFO` whose keys are numbers, for measuring.
public struct NumberCache: ~Copyable, Sendable {
    private let cache: TinyUFO
    private let hash = KeyHash(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)

    /// An empty cache.
    public init(_ configuration: TinyUFO.Configuration) throws(TinyUFO.ConfigurationError) {
        cache = try TinyUFO(configuration)
    }

    /// The cache's own numbers.
    public var statistics: TinyUFO.Statistics { cache.statistics }

    /// Whether the number is there; what is stored with it must be the number again.
    @inline(__always)
    public func get(_ number: UInt64, worker: Int = 0) -> Bool {
        withUnsafeBytes(of: number) { key in
            guard let pin = cache.get(key, hash: hash(key), worker: worker) else { return false }
            precondition(pin.bytes.loadUnaligned(as: UInt64.self) == number, "another's value")
            return true
        }
    }

    /// Puts the number with a weight of 1.
    @discardableResult
    @inline(__always)
    public func put(_ number: UInt64) -> TinyUFO.PutOutcome {
        withUnsafeBytes(of: number) { key in
            guard let value = ByteBlock(capacity: 8) else { return .noMemory }
            value.append(key)
            return cache.put(value, key: key, hash: hash(key), weight: 1)
        }
    }
}
