import CSluice
import Synchronization
import Sys
import Testing

@testable import PluginHost

/// A table for many threads, as the host makes one.
private struct Shared: @unchecked Sendable {
    // Safe: tables are made for many threads, and this one is never freed.
    let table: UnsafeMutablePointer<SharedTable>

    init(capacity: UInt64 = 64) throws {
        let made = SharedTable(capacity: capacity)
        table = .allocate(capacity: 1)
        guard let made else { throw NoMemory() }
        table.initialize(to: made)
    }

    struct NoMemory: Error {}

    func add(_ key: UInt64, _ delta: Int64 = 1, ttl: UInt64 = 0, now: UInt64 = 1) -> Int64 {
        table.pointee.add(sluice_key(low: key, high: 0), delta, ttl: ttl, now: now)
    }

    func get(_ key: UInt64, now: UInt64 = 1) -> Int64 {
        table.pointee.get(sluice_key(low: key, high: 0), now: now)
    }
}

struct SharedTableTests {
    private static let second: UInt64 = 1_000_000_000

    @Test
    func `a counter begins at 0, and both words are its key`() throws {
        let shared = try Shared()
        #expect(shared.get(1) == 0)
        #expect(shared.add(1, 5) == 5)
        #expect(shared.add(1, -7) == -2)
        #expect(shared.add(1, 0) == -2)
        #expect(shared.get(1) == -2)
        #expect(shared.get(2) == 0)
        let other = sluice_key(low: 1, high: 1)
        #expect(shared.table.pointee.add(other, 3, ttl: 0, now: 1) == 3)
        #expect(shared.get(1) == -2)
    }

    @Test
    func `a counter expires, and begins anew`() throws {
        let shared = try Shared()
        let start: UInt64 = 50 * Self.second
        #expect(shared.add(1, 5, ttl: Self.second, now: start) == 5)
        // What is added later does not put the end off.
        let late = start + Self.second - 2_000_000
        #expect(shared.add(1, 1, ttl: Self.second, now: late) == 6)
        #expect(shared.get(1, now: start + Self.second - 1) == 6)
        // The end is kept in units of about a millisecond, and is never early.
        let end = start + Self.second + 1_048_576
        #expect(shared.get(1, now: end) == 0)
        #expect(shared.add(1, 2, ttl: Self.second, now: end) == 2)
        #expect(shared.get(1, now: end) == 2)
    }

    @Test
    func `a counter without a time stays`() throws {
        let shared = try Shared()
        _ = shared.add(1, 4)
        #expect(shared.get(1, now: .max / 2) == 4)
        #expect(shared.add(2, 4, ttl: .max, now: 5) == 4)
        #expect(shared.get(2, now: .max / 2) == 4)
    }

    @Test(arguments: [(64, 64), (65, 128), (1_000, 1_024), (1_024, 1_024)] as [(UInt64, Int)])
    func `as many as the capacity are kept`(capacity: UInt64, rounded: Int) throws {
        let shared = try Shared(capacity: capacity)
        #expect(shared.table.pointee.capacity == rounded)
        for key in 1...UInt64(rounded) { _ = shared.add(key, Int64(key)) }
        for key in 1...UInt64(rounded) { #expect(shared.get(key) == Int64(key)) }
    }

    @Test
    func `when it is full, what expires first makes room`() throws {
        let shared = try Shared()
        for key in 1...1_000 as ClosedRange<UInt64> {
            #expect(shared.add(key, 1, ttl: key * Self.second) == 1)
            #expect(shared.get(key) == 1)
        }
        let kept = (1...1_000 as ClosedRange<UInt64>).filter { shared.get($0) == 1 }
        #expect(kept.count > 64)
        #expect(kept.count <= 128)
        // Those with the longest time are there; of the first half none is left.
        #expect(kept.suffix(16) == Array(985...1_000))
        #expect(kept.allSatisfy { $0 > 500 })
    }

    @Test
    func `what has expired is used again before anything that has not`() throws {
        let shared = try Shared()
        for round in 0..<100 as Range<UInt64> {
            let now = (1 + round) * 10 * Self.second
            for key in 0..<64 as Range<UInt64> {
                #expect(shared.add(round * 64 + key + 1, 1, ttl: Self.second, now: now) == 1)
            }
            for key in 0..<64 as Range<UInt64> {
                #expect(shared.get(round * 64 + key + 1, now: now) == 1)
            }
        }
    }

    @Test
    func `no count is lost, on few keys and on many`() throws {
        for keys in [1, 7, 500] as [UInt64] {
            let shared = try Shared(capacity: 1_024)
            Threads.run(8) { thread in
                for index in 0..<20_000 as Range<UInt64> {
                    _ = shared.add((index &* 7 &+ UInt64(thread)) % keys + 1)
                }
            }
            let sum = (1...keys).reduce(0) { $0 + shared.get($1) }
            #expect(sum == 160_000, "\(keys) keys")
        }
    }

    @Test
    func `threads that make the same entries make each once`() throws {
        let shared = try Shared(capacity: 65_536)
        Threads.run(8) { _ in
            for key in 1...20_000 as ClosedRange<UInt64> { _ = shared.add(key) }
        }
        for key in 1...20_000 as ClosedRange<UInt64> {
            #expect(shared.get(key) == 8, "\(key)")
        }
    }

    @Test
    func `keys do not mix while slots change hands`() throws {
        let shared = try Shared()
        let wrong = Atomic<Int>(0)
        let pinned = PinnedKeys()
        Threads.run(8) { thread in
            let own = UInt64(thread) + 1
            for index in 0..<20_000 as Range<UInt64> {
                // A crowd of short-lived keys, each only ever counted up by one thread.
                let key = 1_000 + (index * 8 + own) % 4_000
                let value = shared.add(key, Int64(key), ttl: 1, now: 2_000_000 * index + 2_000_000)
                if value % Int64(key) != 0 { wrong.wrappingAdd(1, ordering: .relaxed) }
                pinned.note(own)
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(pinned.count == 160_000)
    }

    private final class PinnedKeys: Sendable {
        private let notes = Atomic<Int>(0)
        func note(_ key: UInt64) { notes.wrappingAdd(1, ordering: .relaxed) }
        var count: Int { notes.load(ordering: .relaxed) }
    }

    @Test
    func `when a window ends all threads count in the next one`() throws {
        let shared = try Shared()
        // Every thread counts once in each of 2,000 windows; the windows are told by the clock
        // that all share.
        let clock = Clocked()
        Threads.run(4) { _ in
            for window in 1...2_000 as ClosedRange<UInt64> {
                let value = shared.add(1, 1, ttl: 1_048_576, now: window * 4 * 1_048_576)
                clock.arrive(window, value)
            }
        }
        #expect(clock.largest == 4)
        #expect(clock.sum == 2_000 * (1 + 2 + 3 + 4))
    }

    /// Lets threads go on to the next window together.
    private final class Clocked: Sendable {
        private let arrived = Atomic<Int>(0)
        private let values = Atomic<Int>(0)
        private let most = Atomic<Int>(0)

        func arrive(_ window: UInt64, _ value: Int64) {
            values.wrappingAdd(Int(value), ordering: .relaxed)
            most.max(Int(value), ordering: .relaxed)
            arrived.wrappingAdd(1, ordering: .acquiringAndReleasing)
            while arrived.load(ordering: .acquiring) < Int(window) * 4 { Process.yield() }
        }

        var largest: Int { most.load(ordering: .relaxed) }
        var sum: Int { values.load(ordering: .relaxed) }
    }

    // MARK: Token buckets

    @Test(
        arguments: [
            (1, 1), (1_000, 100), (333_333, 77), (999_500, 5_000), (1_000_000_000_000, 50_000),
        ] as [(UInt64, UInt64)]
    )
    func `at time zero there are exactly as many tokens as the burst`(
        rate: UInt64,
        burst: UInt64
    ) throws {
        let shared = try Shared()
        let bucket = try #require(TokenBucket(rate: rate, burst: burst))
        let granted = Atomic<Int>(0)
        let now = Clock.monotonicNanoseconds()
        Threads.run(8) { _ in
            for _ in 0..<burst {
                let key = sluice_key(low: 1, high: 2)
                let answer = shared.table.pointee.take(key, bucket, cost: 1, now: now)
                granted.wrappingAdd(Int(answer.granted), ordering: .relaxed)
            }
        }
        #expect(granted.load(ordering: .relaxed) == Int(burst))
    }

    @Test
    func `a counter and a bucket of the same key are two entries`() throws {
        let shared = try Shared()
        let bucket = try #require(TokenBucket(rate: 1_000, burst: 10))
        let key = sluice_key(low: 5, high: 0)
        let now = Clock.monotonicNanoseconds()
        #expect(shared.add(5, 3) == 3)
        #expect(shared.table.pointee.take(key, bucket, cost: 4, now: now).tokens == 6)
        #expect(shared.get(5) == 3)
    }

    @Test
    func `a look costs nothing and makes nothing`() throws {
        let shared = try Shared()
        let bucket = try #require(TokenBucket(rate: 1_000, burst: 10))
        let key = sluice_key(low: 5, high: 0)
        let now = Clock.monotonicNanoseconds()
        #expect(shared.table.pointee.take(key, bucket, cost: 0, now: now).tokens == 10)
        _ = shared.table.pointee.take(key, bucket, cost: 10, now: now)
        let answer = shared.table.pointee.take(key, bucket, cost: 0, now: now)
        #expect((answer.granted, answer.tokens, answer.wait_ns) == (1, 0, 0))
    }

    @Test
    func `buckets that are full again make room first`() throws {
        let shared = try Shared()
        let bucket = try #require(TokenBucket(rate: 1_000_000, burst: 10))
        let start = Clock.monotonicNanoseconds()
        // Never expires, so it must outlive all that refill.
        let precious = sluice_key(low: 7, high: 7)
        _ = shared.table.pointee.add(precious, 9, ttl: 0, now: start)
        for index in 0..<10_000 as Range<UInt64> {
            let key = sluice_key(low: index + 1, high: 9)
            let now = start + index * 1_000_000
            #expect(shared.table.pointee.take(key, bucket, cost: 10, now: now).granted == 1)
            #expect(shared.table.pointee.take(key, bucket, cost: 1, now: now).granted == 0)
        }
        #expect(shared.table.pointee.get(precious, now: start) == 9)
    }
}
