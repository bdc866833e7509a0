import Testing
import TinyUFO
import TinyUFOWorkloads

/// Hit ratios beside what was published for the algorithm; `TinyUFOBench ratios` has the same for
/// as many requests as the authors ran.
struct HitRatioTests {
    private static let requests = 1_000_000
    /// The first requests find an empty cache: of five million that would not show, of one it does.
    private static let uncounted = 200_000
    /// Percentage points.
    private static let tolerance = 0.5

    @Test(arguments: HitRatios.published)
    func `is what was published`(cell: HitRatios.Cell) throws {
        let trace = HitRatios.zipf(cell, requests: Self.requests, seed: 7)
        let ratio = try HitRatios.tinyUFO(cell.capacity, trace, uncounted: Self.uncounted)
        #expect(ratio >= cell.published - Self.tolerance, "zipf \(cell.exponent)")
        // More is no fault of the cache, but then this measures something else.
        #expect(ratio <= cell.published + 2 * Self.tolerance, "zipf \(cell.exponent)")
        let lru = HitRatios.lru(cell.capacity, trace, uncounted: Self.uncounted)
        #expect(ratio > lru)
        if let published = cell.publishedLRU { #expect(abs(lru - published) <= Self.tolerance) }
    }

    @Test(arguments: [250, 500, 900])
    func `a crawler does not drive out what is popular`(capacity: Int) throws {
        let trace = HitRatios.scans(requests: Self.requests, seed: 7)
        #expect(try HitRatios.tinyUFO(capacity, trace) > HitRatios.lru(capacity, trace) + 4)
    }

    @Test func `a loop that fits is found, and one that does not is no worse than with LRU`() throws
    {
        let trace = HitRatios.loop(length: 1_000, requests: Self.requests)
        #expect(try HitRatios.tinyUFO(1_000, trace) == 99.9)
        for capacity in [250, 900] {
            #expect(try HitRatios.tinyUFO(capacity, trace) >= HitRatios.lru(capacity, trace))
        }
    }
}
