import Testing
import TinyUFOWorkloads

@testable import TinyUFO

struct SketchTests {
    @Test(arguments: [
        (1, 16, 2), (2, 16, 2), (5, 16, 3), (6, 17, 3), (50, 136, 6), (64, 174, 6), (65, 177, 7),
        (10_000, 27_183, 14),
    ])
    func `has e N counters in each of log2 N rows`(objects: Int, width: Int, depth: Int) throws {
        let sketch = try #require(Sketch(objectsExpected: objects))
        defer { sketch.destroy() }
        #expect(sketch.width == width)
        #expect(sketch.depth == depth)
        #expect(Sketch.byteCount(objectsExpected: objects) == (width * depth + 7) / 8 * 8)
    }

    @Test func `an estimate is never too low, and seldom too high`() throws {
        var sketch = try #require(Sketch(objectsExpected: 1_000))
        defer { sketch.destroy() }
        var chance = Chance(seed: 1)
        let hashes = (0..<1_000).map { _ in chance.next() }
        for (index, hash) in hashes.enumerated() {
            for count in 1...(1 + index % 5) { #expect(sketch.increment(hash) >= count) }
        }
        let tooHigh = hashes.indices.filter { sketch.estimate(hashes[$0]) > 1 + $0 % 5 }
        #expect(hashes.indices.allSatisfy { sketch.estimate(hashes[$0]) >= 1 + $0 % 5 })
        #expect(tooHigh.count <= 10)
        #expect(sketch.estimate(chance.next()) <= 1)
    }

    @Test func `counters stop at 255`() throws {
        var sketch = try #require(Sketch(objectsExpected: 1_000))
        defer { sketch.destroy() }
        for count in 1...300 { #expect(sketch.increment(7) == min(count, 255)) }
        #expect(sketch.estimate(7) == 255)
    }

    @Test func `after 8 N increments all are halved`() throws {
        var sketch = try #require(Sketch(objectsExpected: 10))
        defer { sketch.destroy() }
        for _ in 0..<79 { _ = sketch.increment(1) }
        #expect(sketch.increment(2) >= 1)
        #expect(sketch.estimate(1) >= 79)
        // The next one finds 79 and 1 halved.
        #expect(sketch.increment(1) == 40)
        #expect(sketch.estimate(2) == 0)
    }
}
