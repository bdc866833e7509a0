import TinyUFO

struct NoMemory: Error {}

func block(capacity: Int) throws -> ByteBlock {
    guard let block = ByteBlock(capacity: capacity) else { throw NoMemory() }
    return block
}

extension Pin {
    /// The value as text.
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// A cache whose keys and values are text.
final class TestCache: Sendable {
    let cache: TinyUFO
    private static let hash = KeyHash(low: 1, high: 2)

    init(_ configuration: TinyUFO.Configuration) throws { cache = try TinyUFO(configuration) }

    convenience init(weightMax: Int, objectsExpected: Int? = nil) throws {
        try self.init(.init(weightMax: weightMax, objectsExpected: objectsExpected))
    }

    var statistics: TinyUFO.Statistics { cache.statistics }

    private func with<Result>(
        _ key: String,
        _ hash: UInt64?,
        _ body: (UnsafeRawBufferPointer, UInt64) -> Result
    ) -> Result {
        Array(key.utf8).withUnsafeBytes { body($0, hash ?? Self.hash($0)) }
    }

    @discardableResult
    func put(
        _ key: String,
        _ value: String = "",
        weight: Int = 1,
        hash: UInt64? = nil
    ) throws -> TinyUFO.PutOutcome {
        var value = value
        return try value.withUTF8 { bytes in
            let block = try block(capacity: bytes.count)
            block.append(UnsafeRawBufferPointer(bytes))
            var given: ByteBlock? = consume block
            return with(key, hash) { key, hash in
                guard let block = given.take() else { return .invalid }
                return cache.put(block, key: key, hash: hash, weight: weight)
            }
        }
    }

    func get(_ key: String, hash: UInt64? = nil) -> String? {
        with(key, hash) { cache.get($0, hash: $1, worker: 0)?.text }
    }

    func pin(_ key: String, hash: UInt64? = nil) -> Pin? {
        var pin: Pin?
        with(key, hash) { pin = cache.peek($0, hash: $1) }
        return pin
    }

    /// Looks without a use.
    func has(_ key: String, hash: UInt64? = nil) -> Bool {
        let pin = pin(key, hash: hash)
        return pin != nil
    }

    @discardableResult
    func remove(_ key: String, hash: UInt64? = nil) -> Bool {
        with(key, hash) { cache.remove($0, hash: $1) }
    }

    func remove(_ pin: borrowing Pin) -> Bool { cache.remove(pin) }

    /// All keys that are in it, each as often as it is shown.
    var keys: [String] {
        var keys: [String] = []
        cache.forEach { keys.append(String(decoding: $0.key, as: UTF8.self)) }
        return keys.sorted()
    }
}
