internal import TinyUFO
internal import TinyUFOWorkloads

/// `TinyUFOBench stress`: threads on one small cache, for ThreadSanitizer to watch.
enum Endurance {
    static func run(steps: Int) throws {
        for (threads, shards, objects) in [(2, 1, 8), (4, 1, 32), (4, 4, 32)] {
            var configuration = TinyUFO.Configuration(
                weightMax: objects * Stress.valueBytesMean,
                objectsExpected: objects
            )
            configuration.workerCount = threads
            configuration.shardCount = shards
            let stress = try Stress(keyCount: 128, configuration)
            let report = Stress.run(stress, steps: steps, seed: UInt64(objects))
            print("\(threads) threads, \(shards) shards, \(objects) objects: \(report)")
            precondition(report.faults == 0 && report.hits > 0, "values that were not right")
        }
        for readers in [1, 3] {
            let missed = try Movement.run(readers: readers, steps: steps)
            print("\(readers) readers of keys that stay: \(missed) not found")
            precondition(missed == 0, "keys that were not found")
        }
    }
}
