import Testing

@testable import Discovery

/// When a source is asked again.
struct RefreshClockTests {
    static let second: UInt64 = 1_000_000_000

    static func clock(jitter: UInt64 = 0) -> RefreshClock {
        var settings = RefreshClock.Settings()
        settings.least = 2 * second
        settings.most = 60 * second
        settings.negativeMost = 10 * second
        settings.retryLeast = second
        settings.retryMost = 7 * second
        settings.jitterPercent = jitter
        return RefreshClock(settings)
    }

    @Test(arguments: [
        (-1, 2), (0, 2), (1, 2), (2, 2), (3, 3), (59, 59), (60, 60), (61, 60), (Int.max, 60),
    ])
    func `a time is kept within its bounds`(seconds: Int, wanted: Int) {
        var clock = Self.clock()
        #expect(clock.answered(seconds: seconds, random: .max) == UInt64(wanted) * Self.second)
    }

    @Test(arguments: [(0, 2), (1, 2), (5, 5), (10, 10), (11, 10)])
    func `there being none has bounds of its own`(seconds: Int, wanted: Int) {
        var clock = Self.clock()
        #expect(clock.answeredNone(seconds: seconds, random: 0) == UInt64(wanted) * Self.second)
    }

    @Test func `without a time there being none is kept for as long as may be`() {
        var clock = Self.clock()
        #expect(clock.answeredNone(seconds: nil, random: 0) == 10 * Self.second)
    }

    @Test func `failures are further and further apart, up to a bound`() {
        var clock = Self.clock()
        let delays = (0..<6).map { _ in clock.failed(random: 0) / Self.second }
        #expect(delays == [1, 2, 4, 7, 7, 7])
        #expect(clock.failures == 6)
    }

    @Test func `a thousand failures don't overflow`() {
        var settings = RefreshClock.Settings()
        settings.retryMost = 3_600 * Self.second
        var clock = RefreshClock(settings)
        for _ in 0..<1_000 { _ = clock.failed(random: .max) }
        #expect(clock.failed(random: 0) == 3_600 * Self.second)
    }

    @Test func `an answer ends a run of failures`() {
        var clock = Self.clock()
        _ = clock.failed(random: 0)
        _ = clock.failed(random: 0)
        _ = clock.answeredNone(seconds: 3, random: 0)
        #expect(clock.failed(random: 0) == Self.second)
    }

    @Test(arguments: [0, 1, 5, 10, 100] as [UInt64])
    func `jitter makes a time longer by its share at most, and never shorter`(percent: UInt64) {
        var clock = Self.clock(jitter: percent)
        let most = 20 * Self.second + 20 * Self.second / 100 * percent
        var delays: Set<UInt64> = []
        for index in 0..<1_000 {
            let random = UInt64(index) &* 0x9E37_79B9_7F4A_7C15
            let delay = clock.answered(seconds: 20, random: random)
            #expect(delay >= 20 * Self.second && delay <= most)
            delays.insert(delay)
        }
        #expect(percent == 0 ? delays.count == 1 : delays.count > 900)
        #expect(clock.answered(seconds: 20, random: most - 20 * Self.second) == most)
    }
}
