import CSluice
import Sys
import Testing

@testable import PluginHost

struct TokenBucketTests {
    private let start = Clock.monotonicNanoseconds()
    private static let second: UInt64 = 1_000_000_000

    @Test
    func `tokens come at the rate, up to the burst`() throws {
        // Two tokens a second.
        let bucket = try #require(TokenBucket(rate: 2_000, burst: 4))
        var state: UInt64 = 0
        func take(_ cost: UInt64, at now: UInt64) -> (granted: UInt32, left: UInt64, wait: UInt64) {
            let (next, answer) = bucket.take(cost, from: state, now: start + now)
            state = next
            return (answer.granted, answer.tokens, answer.wait_ns)
        }
        #expect(take(3, at: 0) == (1, 1, 0))
        #expect(take(2, at: 0) == (0, 1, Self.second / 2))
        #expect(take(2, at: Self.second / 2 - 1) == (0, 1, 1))
        #expect(take(2, at: Self.second / 2) == (1, 0, 0))
        #expect(take(1, at: Self.second) == (1, 0, 0))
        #expect(take(4, at: 2 * Self.second) == (0, 2, Self.second))
        // However long it is left alone, there are no more than the burst.
        #expect(take(0, at: 100 * Self.second) == (1, 4, 0))
        #expect(take(4, at: 100 * Self.second) == (1, 0, 0))
        #expect(take(1, at: 100 * Self.second) == (0, 0, Self.second / 2))
    }

    @Test
    func `a refusal takes nothing`() throws {
        let bucket = try #require(TokenBucket(rate: 1_000, burst: 1))
        let (state, _) = bucket.take(1, from: 0, now: start)
        for _ in 0..<100 {
            let (next, answer) = bucket.take(1, from: state, now: start)
            #expect((next, answer.granted, answer.wait_ns) == (state, 0, Self.second))
        }
    }

    @Test(
        arguments: [
            (0, 1, false), (1, 0, false), (1, 1, true), (1_000_000_000_000, 1, true),
            (1_000_000_000_001, 1, false), (1, UInt64.max, false), (1_000, 36_028_797, true),
            (1_000, 36_028_798, false),
        ] as [(UInt64, UInt64, Bool)]
    )
    func `rate and burst are bounded`(rate: UInt64, burst: UInt64, isGood: Bool) {
        #expect((TokenBucket(rate: rate, burst: burst) != nil) == isGood)
    }

    @Test
    func `a cost beyond the burst can never be there`() throws {
        let bucket = try #require(TokenBucket(rate: 3_000, burst: 7))
        #expect(bucket.canHold(7))
        #expect(!bucket.canHold(8))
        #expect(!bucket.canHold(.max))
    }

    @Test
    func `over a long time the rate is kept`() throws {
        // A rate whose time for a token is no whole number of nanoseconds.
        let bucket = try #require(TokenBucket(rate: 999_500_250, burst: 100))
        var state: UInt64 = 0
        var granted = 0
        for step in 0..<1_000_000 as Range<UInt64> {
            let (next, answer) = bucket.take(1, from: state, now: start + step * 500)
            state = next
            granted += Int(answer.granted)
        }
        // Half a second, and the burst.
        #expect(abs(granted - (499_750 + 100)) <= 5)
    }
}
