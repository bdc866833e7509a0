import Testing
import TinyUFO
import TinyUFOWorkloads

/// The same under ThreadSanitizer: `scripts/sanitized cache`.
struct StressTests {
    @Test(arguments: [1, 4], [8, 32])
    func `threads see whole values of the right key, never older ones`(
        shards: Int,
        objects: Int
    ) throws {
        var configuration = TinyUFO.Configuration(
            weightMax: objects * Stress.valueBytesMean,
            objectsExpected: objects
        )
        configuration.workerCount = 4
        configuration.shardCount = shards
        let stress = try Stress(keyCount: 128, configuration)
        let report = Stress.run(stress, steps: 100_000, seed: UInt64(objects))
        #expect(report.faults == 0)
        #expect(report.hits > 10_000)
        #expect(report.statistics.hits == UInt64(report.hits))
        #expect(report.statistics.evicted > 1_000)
        #expect(report.statistics.replaced > 1_000)
    }

    @Test(arguments: [1, 3])
    func `what is in the cache is found while others come and go`(readers: Int) throws {
        #expect(try Movement.run(readers: readers, steps: 300_000) == 0)
    }
}
