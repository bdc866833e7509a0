import Testing
import TinyUFOWorkloads

@testable import TinyUFO

/// Random calls beside a dictionary that knows what may be in the cache.
struct ModelTests {
    private struct Known {
        var value: String
        var weight: Int
    }

    @Test(arguments: [1, 2, 3, 4], [1, 4])
    func `gives what was put last or nothing, and counts right`(seed: UInt64, shards: Int) throws {
        var chance = Chance(seed: seed)
        var configuration = TinyUFO.Configuration(weightMax: 2_000, objectsExpected: 60)
        configuration.shardCount = shards
        let cache = try TestCache(configuration)
        var known: [String: Known] = [:]
        var hits: UInt64 = 0
        for step in 0..<30_000 {
            let number = chance.below(200)
            let key = String(repeating: "k", count: number % 90) + "\(number)"
            // Homes and hashes are shared by some.
            let hash = UInt64(number / 3) << 60 | UInt64(number / 7) << 40 | UInt64(number / 10)
            switch chance.below(8) {
            case 0:
                let isThere = cache.has(key, hash: hash)
                #expect(cache.remove(key, hash: hash) == isThere)
                known[key] = nil
            case 1, 2, 3:
                let weight = 1 + chance.below(chance.below(50) == 0 ? 2_100 : 100)
                let outcome = try cache.put(key, "\(step)", weight: weight, hash: hash)
                let isKept = outcome.isTaken || outcome == .crowded
                known[key] = isKept ? Known(value: "\(step)", weight: weight) : nil
            default:
                guard let value = cache.get(key, hash: hash) else { continue }
                hits += 1
                #expect(value == known[key]?.value)
            }
            if step % 500 == 0 { try check(cache, &known, weightMax: 2_000) }
        }
        try check(cache, &known, weightMax: 2_000)
        #expect(cache.statistics.hits == hits)
        #expect(cache.statistics.evicted > 1_000 && cache.statistics.rejected > 10)
    }

    /// Forgets what was driven out, and compares weights and counts with the rest.
    private func check(
        _ cache: TestCache,
        _ known: inout [String: Known],
        weightMax: Int
    ) throws {
        let keys = cache.keys
        let statistics = cache.statistics
        known = known.filter { keys.contains($0.key) }
        #expect(keys == known.keys.sorted())
        #expect(statistics.objects == keys.count)
        #expect(statistics.weight == known.values.reduce(0) { $0 + $1.weight })
        #expect(statistics.weight <= weightMax)
        let gone = statistics.evicted + statistics.removed
        #expect(statistics.stored - gone == statistics.objects)
    }

    @Test(arguments: [1, 2])
    func `memory stays in its bounds`(seed: UInt64) throws {
        var chance = Chance(seed: seed)
        let bytesMax = 2_097_152
        let cache = try TestCache(.init(memoryBytes: bytesMax, workerCount: 1))
        let tables = cache.statistics.weight
        #expect(tables > 16_384)
        var most = 0
        for _ in 0..<20_000 {
            let number = chance.below(4_000)
            let key = "\(number)" + String(repeating: "k", count: number % 300)
            let capacity = chance.below(chance.below(100) == 0 ? bytesMax * 2 : 1_500)
            let outcome = try key.utf8CString.withUnsafeBytes { bytes in
                let value = try block(capacity: capacity)
                let hash = UInt64(number) &* 0x9e37_79b9_7f4a_7c15
                return cache.cache.put(value, key: bytes, hash: hash)
            }
            if capacity + ByteBlock.overheadBytes > bytesMax - tables {
                #expect(outcome == .tooLarge)
            }
            most = max(most, cache.statistics.weight)
        }
        #expect(most <= bytesMax)
        #expect(most > bytesMax * 9 / 10)
        #expect(cache.statistics.objects <= bytesMax / 1_024)
    }
}
