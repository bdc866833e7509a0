import Testing

@testable import TinyUFO

struct ConfigurationTests {
    private typealias Change = @Sendable (inout TinyUFO.Configuration) -> Void

    private static let wrong: [(TinyUFO.ConfigurationError, Change)] = [
        (.weightMax, { $0.weightMax = 0 }), (.weightMax, { $0.weightMax = -1 }),
        (.objectsMax, { $0.objectsMax = 0 }), (.objectsMax, { $0.objectsMax = .min }),
        (.objectsMax, { $0.objectsMax = TinyUFO.objectsLimit + 1 }),
        (.objectsExpected, { $0.objectsExpected = 0 }),
        (.objectsExpected, { $0.objectsExpected = TinyUFO.objectsLimit + 1 }),
        (.shardCount, { $0.shardCount = 0 }), (.shardCount, { $0.shardCount = 3 }),
        (.shardCount, { $0.shardCount = 128 }), (.shardCount, { $0.shardCount = -1 }),
        (.shardCount, { $0.shardCount = .min }),
        (
            .shardCount,
            {
                $0.shardCount = 64; $0.weightMax = 63
            }
        ),
        (.workerCount, { $0.workerCount = 0 }), (.workerCount, { $0.workerCount = 1_025 }),
    ]

    private static func error(of configuration: TinyUFO.Configuration) -> TinyUFO
        .ConfigurationError?
    {
        do {
            _ = try TinyUFO(configuration)
            return nil
        } catch { return error }
    }

    @Test(arguments: wrong.indices)
    func `names the member that is out of its range`(index: Int) {
        var configuration = TinyUFO.Configuration(weightMax: 100)
        Self.wrong[index].1(&configuration)
        #expect(Self.error(of: configuration) == Self.wrong[index].0)
    }

    @Test func `the edges of all ranges are in them`() {
        var configuration = TinyUFO.Configuration(weightMax: 1)
        #expect(Self.error(of: configuration) == nil)
        configuration.weightMax = 64
        configuration.shardCount = 64
        configuration.workerCount = 1_024
        #expect(Self.error(of: configuration) == nil)
    }

    @Test(arguments: [(1_048_575, 1), (1_048_576, 0)])
    func `memory is 1 MiB or more`(bytes: Int, errors: Int) {
        let configuration = TinyUFO.Configuration(memoryBytes: bytes, workerCount: 1)
        #expect(Self.error(of: configuration) == (errors == 0 ? nil : .weightMax))
    }

    @Test func `tables that take half of the memory are refused`() {
        var configuration = TinyUFO.Configuration(memoryBytes: 1_048_576, workerCount: 1)
        configuration.objectsExpected = 13_000
        #expect(Self.error(of: configuration) == nil)
        configuration.objectsExpected = 15_000
        #expect(Self.error(of: configuration) == .weightMax)
        configuration.isSketchCompact = true
        #expect(Self.error(of: configuration) == nil)
    }

    @Test(arguments: [
        (1_048_576, 1), (134_217_727, 1), (134_217_728, 2), (268_435_456, 4), (1 << 30, 16),
        (1 << 40, 16),
    ])
    func `large caches have more shards`(bytes: Int, shards: Int) {
        #expect(TinyUFO.Configuration(memoryBytes: bytes, workerCount: 1).shardCount == shards)
    }
}
