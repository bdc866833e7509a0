import Testing

@testable import TinyUFO

/// Which objects go: each rule of S3-FIFO and of admission by itself.
struct ReplacementTests {
    /// Ten objects "0" to "9", in a cache that is then full; the small queue has two of the ten.
    private func full() throws -> TestCache {
        let cache = try TestCache(weightMax: 10, objectsExpected: 1_000)
        for number in 0..<10 { try cache.put("\(number)") }
        return cache
    }

    @Test func `what was never used goes first in, first out`() throws {
        let cache = try full()
        #expect(try cache.put("a") == .stored(evicted: 1))
        #expect(try cache.put("b") == .stored(evicted: 1))
        #expect(cache.keys == ["2", "3", "4", "5", "6", "7", "8", "9", "a", "b"])
    }

    @Test(arguments: [(0, false), (1, false), (2, true), (3, true)])
    func `two uses save an object of the small queue`(uses: Int, isSaved: Bool) throws {
        let cache = try full()
        for _ in 0..<uses { #expect(cache.get("0") != nil) }
        try cache.put("a")
        #expect(cache.has("0") == isSaved)
        #expect(cache.has("1") == !isSaved)
    }

    @Test func `to look is no use, and another value is one`() throws {
        let cache = try full()
        for _ in 0..<5 { #expect(cache.has("0")) }
        #expect(cache.get("1") != nil)
        try cache.put("1", "again")
        try cache.put("a")
        try cache.put("b")
        #expect(!cache.has("0"))
        #expect(cache.has("1"))
    }

    @Test(arguments: [(2, 2), (3, 3), (100, 3)])
    func `an object of the main queue is passed over once for each use, up to 3`(
        uses: Int,
        rounds: Int
    ) throws {
        // All are used, so all go to the main queue when the first one has to make room.
        let cache = try TestCache(weightMax: 10, objectsExpected: 1_000)
        for number in 0..<10 { try cache.put("\(number)") }
        for number in 0..<10 {
            for _ in 0..<(number == 5 ? uses : 2) { #expect(cache.get("\(number)") != nil) }
        }
        // Weight 2 makes two go, so admission does not ask who is more popular.
        try cache.put("a", weight: 2)
        // Two rounds used up the uses of all, and "0" and "1" went.
        #expect(cache.keys == ["2", "3", "4", "5", "6", "7", "8", "9", "a"])
        try cache.put("b", weight: 2)
        #expect(!cache.has("a"))
        for number in [2, 3, 4] {
            #expect(cache.has("\(number)"))
            try cache.put("c\(number)", weight: 2)
        }
        #expect(cache.has("5") || rounds == 2)
    }

    @Test func `a newcomer must be as popular as the one that goes`() throws {
        let cache = try TestCache(weightMax: 10, objectsExpected: 1_000)
        // Put three times, so it counts three times.
        for _ in 0..<3 {
            try cache.put("0", "popular")
            cache.remove("0")
        }
        for number in 0..<10 { try cache.put("\(number)", "value") }
        #expect(try cache.put("a") == .rejected)
        #expect(!cache.has("a"))
        // It went to the end of the small queue, so "1" is next.
        #expect(cache.get("0") == "value")
        #expect(try cache.put("b") == .stored(evicted: 1))
        #expect(!cache.has("1"))
        #expect(cache.statistics.rejected == 1)
        #expect(cache.statistics.weight == 10)
        #expect(cache.statistics.objects == 10)
    }

    @Test func `one that comes again and again gets in`() throws {
        let cache = try TestCache(weightMax: 1, objectsExpected: 1_000)
        for _ in 0..<3 {
            try cache.put("0")
            cache.remove("0")
        }
        try cache.put("0")
        for _ in 0..<3 { #expect(try cache.put("a") == .rejected) }
        // Four times against four.
        #expect(try cache.put("a") == .stored(evicted: 1))
        #expect(cache.keys == ["a"])
    }

    @Test func `whoever drives out more than one is not compared with them`() throws {
        let cache = try TestCache(weightMax: 10, objectsExpected: 1_000)
        for _ in 0..<3 {
            for number in 0..<10 { try cache.put("\(number)") }
        }
        #expect(try cache.put("a", weight: 2).isTaken)
        #expect(cache.has("a"))
    }

    @Test func `one search for a victim has an end`() throws {
        let count = Shard.reinsertionsMax * 2
        let cache = try TestCache(weightMax: count)
        for number in 0..<count { try cache.put("\(number)") }
        for _ in 0..<3 { for number in 0..<count { #expect(cache.get("\(number)") != nil) } }
        // All are in the main queue then, with three uses: the first ones have two left.
        #expect(try cache.put("a") == .stored(evicted: 1))
        #expect(!cache.has("\(Shard.reinsertionsMax)"))
        #expect(cache.statistics.objects == count)
    }
}
