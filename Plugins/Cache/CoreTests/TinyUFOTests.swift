import Testing

@testable import TinyUFO

/// What each call does, and what happens at every bound.
struct TinyUFOTests {
    @Test func `a value is there under its key, until it is removed`() throws {
        let cache = try TestCache(weightMax: 10)
        #expect(cache.get("a") == nil)
        #expect(try cache.put("a", "one") == .stored(evicted: 0))
        #expect(try cache.put("b", "two") == .stored(evicted: 0))
        #expect(cache.get("a") == "one")
        #expect(cache.get("b") == "two")
        #expect(cache.remove("a"))
        #expect(!cache.remove("a"))
        #expect(cache.get("a") == nil)
        #expect(cache.keys == ["b"])
        let expected = TinyUFO.Statistics(
            weight: 1,
            objects: 1,
            hits: 2,
            misses: 2,
            stored: 2,
            removed: 1
        )
        #expect(cache.statistics == expected)
    }

    @Test func `another value of a key takes the place of the first one`() throws {
        let cache = try TestCache(weightMax: 10)
        try cache.put("a", "one", weight: 4)
        #expect(try cache.put("a", "two", weight: 6) == .replaced(evicted: 0))
        #expect(cache.get("a") == "two")
        #expect(cache.statistics.weight == 6)
        #expect(cache.statistics.objects == 1)
    }

    // MARK: Weights

    @Test(arguments: [(0, false), (1, true), (10, true), (11, false)])
    func `a weight is from 1 up to that of the cache`(weight: Int, isTaken: Bool) throws {
        let cache = try TestCache(weightMax: 10)
        let outcome = try cache.put("a", weight: weight)
        #expect(outcome.isTaken == isTaken)
        #expect(outcome == (weight == 0 ? .invalid : weight > 10 ? .tooLarge : outcome))
        #expect(cache.has("a") == isTaken)
        #expect(cache.statistics.weight == (isTaken ? weight : 0))
        #expect(try cache.put("a", weight: -1) == .invalid)
        #expect(try cache.put("a", weight: .max) == .tooLarge)
    }

    @Test func `a value that is too large takes the old one away and nothing else`() throws {
        let cache = try TestCache(weightMax: 10)
        try cache.put("a", "one")
        try cache.put("b", "two")
        #expect(try cache.put("a", "three", weight: 11) == .tooLarge)
        #expect(cache.keys == ["b"])
        #expect(cache.statistics.removed == 1)
    }

    @Test func `one that just fits drives out all others`() throws {
        let cache = try TestCache(weightMax: 10)
        for key in ["a", "b", "c"] { try cache.put(key, weight: 3) }
        #expect(try cache.put("d", weight: 10) == .stored(evicted: 3))
        #expect(cache.keys == ["d"])
        #expect(cache.statistics.weight == 10)
        #expect(cache.statistics.evicted == 3)
    }

    @Test func `a heavier value of the same key makes others go`() throws {
        let cache = try TestCache(weightMax: 10)
        for key in ["a", "b", "c"] { try cache.put(key, weight: 3) }
        #expect(try cache.put("c", weight: 5) == .replaced(evicted: 1))
        #expect(cache.keys == ["b", "c"])
        #expect(cache.statistics.weight == 8)
    }

    @Test func `objects are bounded as well as weight`() throws {
        var configuration = TinyUFO.Configuration(weightMax: 1_000, objectsExpected: 4)
        configuration.objectsMax = 3
        let cache = try TestCache(configuration)
        for key in ["a", "b", "c"] { try cache.put(key) }
        #expect(cache.statistics.objects == 3)
        #expect(try cache.put("d") == .stored(evicted: 1))
        #expect(cache.keys == ["b", "c", "d"])
        // Nothing has to go for a key that is there.
        #expect(try cache.put("d") == .replaced(evicted: 0))
    }

    // MARK: Keys

    @Test(arguments: [
        0, 1, 7, 8, 9, Node.inlineKeyBytesMax - 1, Node.inlineKeyBytesMax,
        Node.inlineKeyBytesMax + 1, 1_000, TinyUFO.keyBytesMax,
    ])
    func `keys are compared to their last byte`(count: Int) throws {
        let cache = try TestCache(weightMax: 10)
        let key = String(repeating: "k", count: count)
        #expect(try cache.put(key, "one", hash: 7).isTaken)
        #expect(cache.get(key, hash: 7) == "one")
        // All of the same hash.
        #expect(!cache.has(key + "k", hash: 7))
        if count > 0 {
            #expect(!cache.has(String(key.dropLast()), hash: 7))
            #expect(!cache.has(key.dropLast() + "l", hash: 7))
            #expect(!cache.has("l" + key.dropFirst(), hash: 7) || count == 0)
        }
    }

    @Test func `a key has at most 65,536 bytes`() throws {
        let cache = try TestCache(weightMax: 10)
        let key = String(repeating: "k", count: 65_537)
        #expect(try cache.put(key) == .invalid)
        #expect(!cache.has(key))
        #expect(cache.statistics == TinyUFO.Statistics())
    }

    @Test func `keys of the same hash have each their own value`() throws {
        let cache = try TestCache(weightMax: 100)
        for number in 0..<100 { try cache.put("\(number)", "v\(number)", hash: .max) }
        for number in 0..<100 { #expect(cache.get("\(number)", hash: .max) == "v\(number)") }
        for number in stride(from: 0, to: 100, by: 3) {
            #expect(cache.remove("\(number)", hash: .max))
        }
        for number in 0..<100 {
            let expected = number % 3 == 0 ? nil : "v\(number)"
            #expect(cache.get("\(number)", hash: .max) == expected)
        }
    }

    @Test(arguments: [UInt64(0), .max])
    func `more keys of one hash than a search looks at are refused`(hash: UInt64) throws {
        let cache = try TestCache(weightMax: 1_000)
        for number in 0..<Index.probesMax {
            #expect(try cache.put("\(number)", hash: hash).isTaken)
        }
        #expect(try cache.put("one more", hash: hash) == .crowded)
        #expect(!cache.has("one more", hash: hash))
        #expect(try cache.put("255", "new", hash: hash) == .replaced(evicted: 0))
        #expect(cache.get("255", hash: hash) == "new")
        cache.remove("0", hash: hash)
        #expect(try cache.put("one more", hash: hash).isTaken)
        #expect(cache.statistics.objects == Index.probesMax)
    }

    // MARK: Pins

    @Test func `what is pinned stays as it is, whatever becomes of it`() throws {
        var cache: TestCache? = try TestCache(weightMax: 2, objectsExpected: 1_000)
        try cache?.put("replaced", "one")
        let replaced = cache?.pin("replaced")
        try cache?.put("replaced", "two")
        let removed = cache?.pin("replaced")
        cache?.remove("replaced")
        try cache?.put("evicted", "three")
        let evicted = cache?.pin("evicted")
        for number in 0..<100 { try cache?.put("\(number)", weight: 2) }
        try cache?.put("left", "four", weight: 2)
        var left = cache?.pin("left")
        let copy = left?.copy()
        cache = nil
        let texts = [replaced?.text, removed?.text, evicted?.text, left?.text]
        #expect(texts == ["one", "two", "three", "four"])
        left = nil
        let text = copy?.text
        #expect(text == "four")
    }

    @Test func `a pin as an address is still a pin`() throws {
        let cache = try TestCache(weightMax: 2)
        try cache.put("a", "one")
        guard let address = cache.pin("a")?.toOpaque() else { throw NoMemory() }
        cache.remove("a")
        try cache.put("b", "two")
        let pin = Pin(opaque: address)
        let texts = [pin.text, String(decoding: pin.value.bytes, as: UTF8.self)]
        #expect(texts == ["one", "one"])
    }

    @Test func `removes the object that is pinned, not a newer one`() throws {
        let cache = try TestCache(weightMax: 10)
        try cache.put("a", "one")
        guard let old = cache.pin("a") else { throw NoMemory() }
        try cache.put("a", "two")
        let isOldRemoved = cache.remove(old)
        #expect(!isOldRemoved)
        guard let new = cache.pin("a") else { throw NoMemory() }
        let isNewRemoved = cache.remove(new)
        #expect(isNewRemoved)
        #expect(!cache.has("a"))
        let isRemovedAgain = cache.remove(new)
        #expect(!isRemovedAgain)
    }

    // MARK: All objects

    @Test(arguments: [1, 4], [1, 7, 256, .max])
    func `a scan shows each object`(shards: Int, step: Int) throws {
        var configuration = TinyUFO.Configuration(weightMax: 4_000)
        configuration.shardCount = shards
        let cache = try TestCache(configuration)
        for number in 0..<500 { try cache.put("\(number)") }
        var shown: [String] = []
        var cursor = TinyUFO.Cursor()
        while cache.cache.scan(
            &cursor,
            slotsMax: step,
            { shown.append(String(decoding: $0.key, as: UTF8.self)) }
        ) {}
        #expect(shown.sorted() == (0..<500).map { "\($0)" }.sorted())
        var isMore = false
        isMore = cache.cache.scan(&cursor, slotsMax: step) { _ in shown = [] }
        #expect(!isMore && !shown.isEmpty)
    }

    @Test func `what a scan shows may be removed`() throws {
        let cache = try TestCache(weightMax: 1_000)
        for number in 0..<1_000 { try cache.put("\(number)", hash: UInt64(number / 100)) }
        cache.cache.forEach { cache.cache.remove($0) }
        #expect(cache.statistics.objects == 0)
        #expect(cache.statistics.weight == 0)
        #expect(cache.keys == [])
    }
}
