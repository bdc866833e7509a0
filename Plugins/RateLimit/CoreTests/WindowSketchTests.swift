import Testing
import TinyUFOWorkloads

@testable import RateLimiting

struct WindowSketchTests {
    private static let second: UInt64 = 1_000_000_000

    private func sketch(width: Int) throws -> WindowSketch {
        let shape = SketchShape(width: width)
        let block = try #require(Block(wordCount: shape.wordCount))
        return WindowSketch(block: block, shape: shape)
    }

    private func instant(_ seconds: Double, window: UInt64 = second) -> WindowSketch.Instant {
        WindowSketch.Instant(now: UInt64(seconds * 1e9), window: window)
    }

    @Test func `counts the running window and the rest of the one before`() throws {
        let sketch = try sketch(width: 256)
        defer { _ = sketch.block.release() }
        let key = KeyHash(low: 1 << 40, high: 2)
        for count in 1...100 { #expect(sketch.add(key, at: instant(5.5)).count == UInt64(count)) }
        #expect(sketch.look(key, at: instant(5.99)).count == 100)
        // A quarter of the next window has passed: three quarters of the one before count.
        #expect(sketch.look(key, at: instant(6.25)).count == 75)
        #expect(sketch.add(key, at: instant(6.5)).count == 51)
        #expect(sketch.look(key, at: instant(7.5)).count == 1)
        #expect(sketch.look(key, at: instant(8)).count == 0)
        #expect(sketch.add(key, at: instant(9.5)).count == 1)
    }

    @Test func `takes back what it has counted, also behind the turn of a window`() throws {
        let sketch = try sketch(width: 256)
        defer { _ = sketch.block.release() }
        let key = KeyHash(low: 3, high: 4)
        _ = sketch.add(key, at: instant(1.5))
        _ = sketch.add(key, at: instant(1.5))
        sketch.remove(key, at: instant(1.5))
        #expect(sketch.look(key, at: instant(1.5)).count == 1)
        _ = sketch.add(key, at: instant(2))
        sketch.remove(key, at: instant(1.5))
        #expect(sketch.look(key, at: instant(2)) == .init(running: 1, before: 0, weight: 1 << 24))
        sketch.remove(key, at: instant(2))
        sketch.remove(key, at: instant(2))
        #expect(sketch.look(key, at: instant(2)).count == 0)
    }

    @Test func `a worker whose clock is behind counts in the newer window`() throws {
        let sketch = try sketch(width: 256)
        defer { _ = sketch.block.release() }
        let key = KeyHash(low: 5, high: 6)
        _ = sketch.add(key, at: instant(1.999))
        #expect(sketch.add(key, at: instant(2)).count == 2)
        #expect(
            sketch.add(key, at: instant(1.999)) == .init(running: 2, before: 1, weight: 1 << 24)
        )
    }

    @Test func `a cell counts up to its bound and stays there`() throws {
        let sketch = try sketch(width: 256)
        defer { _ = sketch.block.release() }
        let key = KeyHash(low: 7, high: 8)
        for _ in 0..<WindowSketch.countMax - 1 { _ = sketch.add(key, at: instant(1)) }
        #expect(sketch.add(key, at: instant(1)).running == WindowSketch.countMax)
        #expect(sketch.add(key, at: instant(1)).running == WindowSketch.countMax)
        sketch.remove(key, at: instant(1))
        #expect(sketch.look(key, at: instant(1)).running == WindowSketch.countMax)
    }

    @Test(arguments: [1, 2, 10, 1_000] as [UInt64], [0, 0.3, 0.999])
    func `there is room after the time that it says, and none just before`(
        limit: UInt64,
        begin: Double
    ) throws {
        let sketch = try sketch(width: 256)
        defer { _ = sketch.block.release() }
        let key = KeyHash(low: 9, high: limit)
        let now = UInt64((10 + begin) * 1e9)
        func at(_ time: UInt64) -> WindowSketch.Instant { .init(now: time, window: Self.second) }
        for _ in 0..<limit { _ = sketch.add(key, at: at(now)) }
        let wait = sketch.look(key, at: at(now)).nanosecondsUntilRoom(limit, window: Self.second)
        #expect(wait > 0 && wait <= 2 * Self.second + 1)
        // Weights are kept to 2^-24 of a window, 60 ns of a second.
        let early = sketch.look(key, at: at(now + wait - min(wait, 200)))
        #expect(!early.isWithin(limit - 1))
        #expect(sketch.look(key, at: at(now + wait + 200)).isWithin(limit - 1))
    }

    /// The bound of a count-min sketch: an estimate is never too low, and too high by more than
    /// e / width of everything that was counted for 1.8 % of the keys at most.
    @Test(arguments: [0.8, 1.0, 1.2], [256, 1_024, 16_384])
    func `estimates keep within the bound under Zipf's law`(exponent: Double, width: Int) throws {
        let sketch = try sketch(width: width)
        defer { _ = sketch.block.release() }
        let seed: UInt64 = 7
        var chance = Chance(seed: seed)
        let keyCount = 100_000
        let requestCount = 1_000_000
        let zipf = Zipf(count: keyCount, exponent: exponent)
        let keys = (0..<keyCount).map { _ in KeyHash(low: chance.next(), high: chance.next()) }
        var exact = [UInt64](repeating: 0, count: keyCount)
        for _ in 0..<requestCount {
            let rank = zipf.rank(&chance)
            exact[rank] += 1
            #expect(sketch.add(keys[rank], at: instant(1)).count >= exact[rank])
        }
        let bound = sketch.shape.errorShare * Double(requestCount)
        var worst: UInt64 = 0
        var sum: UInt64 = 0
        var over = 0
        for rank in 0..<keyCount {
            let estimate = sketch.look(keys[rank], at: instant(1)).count
            let error = estimate - exact[rank]
            worst = max(worst, error)
            sum += error
            if Double(error) > bound { over += 1 }
        }
        let share = Double(over) / Double(keyCount)
        print(
            "zipf \(exponent), width \(width), seed \(seed): mean error "
                + "\(Double(sum) / Double(keyCount)), worst \(worst), bound \(bound), "
                + "\(share * 100) % of the keys beyond it"
        )
        // e^-4
        #expect(share <= 0.0184)
    }

    @Test func `ten million keys take no more memory than the first`() throws {
        let sketch = try sketch(width: 16_384)
        defer { _ = sketch.block.release() }
        var chance = Chance(seed: 11)
        let hot = KeyHash(low: chance.next(), high: chance.next())
        for _ in 0..<100_000 {
            _ = sketch.add(KeyHash(low: chance.next(), high: chance.next()), at: instant(1))
        }
        let before = residentPages()
        for count in 0..<10_000_000 {
            _ = sketch.add(KeyHash(low: chance.next(), high: chance.next()), at: instant(1))
            if count % 1_000 == 0 { _ = sketch.add(hot, at: instant(1)) }
        }
        // 96 MiB for whatever the tests beside this one do; the keys alone would be 160 MB.
        #expect(residentPages() - before <= 24_576)
        let estimate = sketch.look(hot, at: instant(1)).count
        let bound = UInt64(sketch.shape.errorShare * 10_110_000)
        print("10 million keys: the hot one's 10000 are \(estimate), bound \(10_000 + bound)")
        #expect(estimate >= 10_000 && estimate <= 10_000 + bound)
    }

    @Test(arguments: [1, 2, 4])
    func `threads lose no count`(threads: Int) throws {
        let sketch = try sketch(width: 256)
        defer { _ = sketch.block.release() }
        let key = KeyHash(low: 12, high: 13)
        let time = instant(3)
        let admitted = SharedCount()
        Threads.run(threads) { _ in
            for _ in 0..<100_000 {
                if sketch.add(key, at: time).isWithin(50_000) {
                    admitted.add()
                } else {
                    sketch.remove(key, at: time)
                }
            }
        }
        // Never more; less only by what others had added and not yet taken back.
        #expect(admitted.value <= 50_000)
        #expect(admitted.value > 50_000 - threads)
        #expect(sketch.look(key, at: time).count == UInt64(admitted.value))
    }

    @Test(arguments: [0, 1, 100, 1_000, 10_000])
    func `tells about how many keys there were`(count: Int) throws {
        let sketch = try sketch(width: 4_096)
        defer { _ = sketch.block.release() }
        var chance = Chance(seed: 5)
        for _ in 0..<count {
            _ = sketch.add(KeyHash(low: chance.next(), high: chance.next()), at: instant(1))
        }
        let told = sketch.keyCount(at: instant(1))
        #expect(abs(told - count) <= max(2, count / 20))
        #expect(sketch.keyCount(at: instant(3)) == 0)
    }
}

struct InFlightSketchTests {
    @Test func `everything that was counted can be taken back`() throws {
        let shape = SketchShape(width: 1_024)
        let block = try #require(Block(wordCount: shape.wordCount))
        defer { _ = block.release() }
        let sketch = InFlightSketch(block: block, shape: shape)
        var chance = Chance(seed: 3)
        let keys = (0..<200).map { _ in KeyHash(low: chance.next(), high: chance.next()) }
        var exact = [UInt64](repeating: 0, count: keys.count)
        var held: [Int] = []
        for _ in 0..<50_000 {
            if held.count < 500, chance.below(2) == 0 {
                let key = chance.below(keys.count)
                exact[key] += 1
                #expect(sketch.add(keys[key]) >= exact[key])
                held.append(key)
            } else if !held.isEmpty {
                let key = held.remove(at: chance.below(held.count))
                exact[key] -= 1
                sketch.remove(keys[key])
                #expect(sketch.look(keys[key]) >= exact[key])
            }
        }
        for key in held { sketch.remove(keys[key]) }
        #expect(keys.allSatisfy { sketch.look($0) == 0 })
        #expect(sketch.keyCount() == 0)
    }
}

struct BlockTests {
    @Test func `is found by those that know its size, until the last lets it go`() throws {
        let block = try #require(Block(wordCount: 16))
        #expect(Block(at: block.address, wordCount: 17) == nil)
        #expect(Block(at: 0, wordCount: 16) == nil)
        let same = try #require(Block(at: block.address, wordCount: 16))
        same.retain()
        #expect(!block.release())
        #expect(same.release())
    }

    @Test func `lets wait as many as may`() throws {
        let block = try #require(Block(wordCount: 0))
        defer { _ = block.release() }
        #expect(block.beginWait(most: 2))
        #expect(block.beginWait(most: 2))
        #expect(!block.beginWait(most: 2))
        #expect(block.waitingCount == 2)
        block.endWait()
        #expect(block.beginWait(most: 2))
    }
}
