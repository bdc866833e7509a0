internal import Synchronization
public import TinyUFO

/// Threads that put, read, hold and remove the same few keys of a cache that is too small for them.
///
/// Only one thread puts a key, each time with a higher version, of which all bytes of the value are
/// made. So every reader can tell that the bytes are all of one value and of this key, and that the
/// versions it sees of a key never go back.
public struct Stress: ~Copyable, Sendable {
    /// A length, a version, and bytes up to this many.
    static let valueBytesMax = 300
    /// Mean weight of a value.
    public static let valueBytesMean = headBytes + valueBytesMax / 2
    private static let headBytes = 16

    private let cache: TinyUFO
    private let keyCount: Int
    private let workerCount: Int
    private let faults = Atomic<Int>(0)
    private let hits = Atomic<Int>(0)

    /// What a run saw.
    public struct Report: Sendable {
        /// Values that were not what they should be.
        ///
        /// Each is a bug.
        public var faults: Int
        /// Values that were right.
        public var hits: Int
        /// The cache's own numbers.
        public var statistics: TinyUFO.Statistics
    }

    /// - Parameters:
    ///   - keyCount: different keys.
    ///   - configuration: of the cache; its workers are the threads.
    public init(
        keyCount: Int,
        _ configuration: TinyUFO.Configuration
    ) throws(TinyUFO.ConfigurationError) {
        cache = try TinyUFO(configuration)
        self.keyCount = keyCount
        workerCount = configuration.workerCount
    }

    /// Lets all threads do so many steps.
    public static func run(_ stress: consuming Stress, steps: Int, seed: UInt64) -> Report {
        let shared = Shared(stress)
        Threads.run(shared.stress.workerCount) { worker in
            shared.stress.work(worker, steps: steps, seed: seed)
        }
        return Report(
            faults: shared.stress.faults.load(ordering: .relaxed),
            hits: shared.stress.hits.load(ordering: .relaxed),
            statistics: shared.stress.cache.statistics
        )
    }

    private final class Shared: Sendable {
        let stress: Stress

        init(_ stress: consuming Stress) { self.stress = stress }
    }

    // MARK: One thread

    private func work(_ worker: Int, steps: Int, seed: UInt64) {
        var chance = Chance(seed: seed &+ UInt64(worker) &* 0x1_0000_0001)
        var seen = [UInt64](repeating: 0, count: keyCount)
        var next = [UInt64](repeating: 1, count: keyCount)
        var held: Pin?
        for _ in 0..<steps {
            let number = min(chance.below(keyCount), chance.below(keyCount))
            let key = Self.key(number)
            key.withUnsafeBytes { key in
                switch chance.below(64) {
                case 0: cache.remove(key, hash: Self.hash(number))
                case 1..<24 where number % workerCount == worker:
                    put(key, number, version: next[number], &chance)
                    next[number] += 1
                case 24..<28: held = cache.peek(key, hash: Self.hash(number))
                default: read(key, number, worker, &seen)
                }
            }
            // What was taken long ago is still what it was.
            if let pin = held.take() {
                _ = check(pin, nil)
                held = chance.below(8) > 0 ? .some(consume pin) : nil
            }
        }
    }

    private func read(
        _ key: UnsafeRawBufferPointer,
        _ number: Int,
        _ worker: Int,
        _ seen: inout [UInt64]
    ) {
        guard let pin = cache.get(key, hash: Self.hash(number), worker: worker) else { return }
        hits.wrappingAdd(1, ordering: .relaxed)
        let version = check(pin, number)
        if version < seen[number] { faults.wrappingAdd(1, ordering: .relaxed) }
        seen[number] = version
    }

    private func put(
        _ key: UnsafeRawBufferPointer,
        _ number: Int,
        version: UInt64,
        _ chance: inout Chance
    ) {
        let count = chance.below(Self.valueBytesMax)
        guard let block = ByteBlock(capacity: Self.headBytes + count) else { return }
        withUnsafeBytes(of: (UInt64(number), version)) { _ = block.append($0) }
        for at in 0..<count {
            withUnsafeBytes(of: Self.byte(number, version, at)) { _ = block.append($0) }
        }
        _ = cache.put(block, key: key, hash: Self.hash(number), weight: Self.headBytes + count)
    }

    /// - Returns: the version of the value.
    private func check(_ pin: borrowing Pin, _ expected: Int?) -> UInt64 {
        let bytes = pin.bytes
        let number = Int(bytes.load(as: UInt64.self))
        let version = bytes.load(fromByteOffset: 8, as: UInt64.self)
        var isRight = expected == nil || number == expected
        isRight = isRight && pin.key.elementsEqual(Self.key(number))
        for at in 0..<bytes.count - Self.headBytes {
            isRight = isRight && bytes[Self.headBytes + at] == Self.byte(number, version, at)
        }
        if !isRight { faults.wrappingAdd(1, ordering: .relaxed) }
        return version
    }

    private static func byte(_ number: Int, _ version: UInt64, _ at: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: number &* 31 &+ Int(version) &* 7 &+ at)
    }

    /// Every third key is too long for its node.
    private static func key(_ number: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number % 3 == 0 ? 200 : 20)
            + [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
    }

    /// Few different ones, so that runs of slots are long and keys share hashes.
    private static func hash(_ number: Int) -> UInt64 {
        UInt64(number / 2) << 58 | UInt64(number / 2) << 41 | UInt64(number / 8)
    }
}
