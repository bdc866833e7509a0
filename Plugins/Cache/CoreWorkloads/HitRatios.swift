public import TinyUFO

/// How many of a workload's requests find their object, in percent.
///
/// Each program asks for one object after the other, and puts what it does not find.
public enum HitRatios {
    /// Different objects of the Zipf workloads.
    public static let universe = 10_000
    /// Of the Zipf distributions.
    public static let exponents = [0.9, 1.0, 1.05, 1.1, 1.5]
    /// Sizes of the cache in thousandths of the universe.
    public static let sizes = [5, 10, 50, 100, 250]

    /// One size of cache under one distribution.
    public struct Cell: Sendable {
        /// Of the Zipf distribution.
        public var exponent: Double
        /// Objects that the cache holds.
        public var capacity: Int
        /// What was published for TinyUFO over 5,000,000 requests.
        public var published: Double
        /// What was published for LRU; nil where it was not.
        public var publishedLRU: Double?
    }

    /// What the authors of TinyUFO measured.
    public static let published: [Cell] = {
        let table: [(tinyUFO: [Double], lru: [Double?])] = [
            ([33.35, 40.06, 57.80, 66.36, 78.53], [19.24, 26.23, 45.58, 55.72, 71.16]),
            ([45.26, 52.35, 68.89, 75.98, 85.34], [31.05, 39.16, 58.75, 67.59, 79.95]),
            ([51.12, 58.41, 73.93, 80.24, 88.14], [nil, nil, nil, nil, nil]),
            ([57.28, 64.24, 78.55, 84.01, 90.66], [nil, nil, nil, nil, nil]),
            ([89.69, 92.94, 97.23, 98.24, 99.09], [nil, nil, nil, nil, nil]),
        ]
        return zip(exponents, table).flatMap { exponent, row in
            sizes.indices.map { column in
                Cell(
                    exponent: exponent,
                    capacity: universe * sizes[column] / 1_000,
                    published: row.tinyUFO[column],
                    publishedLRU: row.lru[column]
                )
            }
        }
    }()

    /// Requests for a cell, the same for the same seed.
    public static func zipf(_ cell: Cell, requests: Int, seed: UInt64) -> [UInt64] {
        let distribution = Zipf(count: universe, exponent: cell.exponent)
        var chance = Chance(seed: seed)
        return (0..<requests).map { _ in UInt64(distribution.rank(&chance)) }
    }

    /// The ratio of a cache of so many objects.
    ///
    /// - Parameter uncounted: requests at the beginning that only fill the cache.
    public static func tinyUFO(
        _ capacity: Int,
        _ requests: [UInt64],
        uncounted: Int = 0
    ) throws(TinyUFO.ConfigurationError) -> Double {
        let cache = try NumberCache(.init(weightMax: capacity))
        var hits = 0
        for (index, number) in requests.enumerated() {
            if !cache.get(number) {
                cache.put(number)
            } else if index >= uncounted {
                hits += 1
            }
        }
        return 100 * Double(hits) / Double(requests.count - uncounted)
    }

    /// The same for LRU.
    public static func lru(_ capacity: Int, _ requests: [UInt64], uncounted: Int = 0) -> Double {
        var cache = LRU<UInt64>(capacity: capacity)
        var hits = 0
        for (index, number) in requests.enumerated() {
            if !cache.get(number) {
                cache.put(number)
            } else if index >= uncounted {
                hits += 1
            }
        }
        return 100 * Double(hits) / Double(requests.count - uncounted)
    }

    // MARK: Traces

    /// A site with a popular part that a crawler walks through from end to end now and then: each
    /// pass asks for 5,000 objects that nobody else wants.
    public static func scans(requests: Int, seed: UInt64) -> [UInt64] {
        let distribution = Zipf(count: 2_000, exponent: 0.9)
        var chance = Chance(seed: seed)
        var trace: [UInt64] = []
        trace.reserveCapacity(requests)
        var crawled: UInt64 = 1 << 32
        while trace.count < requests {
            for _ in 0..<20_000 { trace.append(UInt64(distribution.rank(&chance))) }
            for _ in 0..<5_000 {
                trace.append(crawled)
                crawled += 1
            }
        }
        return Array(trace.prefix(requests))
    }

    /// The same so many objects over and over, as a list that all clients work off in its order.
    public static func loop(length: Int, requests: Int) -> [UInt64] {
        (0..<requests).map { UInt64($0 % length) }
    }
}
