import Testing

@testable import Tracing

struct RetryScheduleTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func `waits double up to a bound, and are spread`() {
        for random in [0, UInt64.max, 12_345_678_901] {
            var schedule = RetrySchedule()
            var now = Self.second
            for most in [1, 2, 4, 8, 16, 30, 30, 30] as [UInt64] {
                schedule.begin(now: now)
                let isKept = schedule.failed(
                    now: now,
                    wish: nil,
                    giveUp: .max / 2,
                    random: random
                )
                #expect(isKept)
                let wait = schedule.holdUntil - now
                #expect(wait >= most * Self.second / 2 && wait <= most * Self.second)
                now = schedule.holdUntil
            }
        }
    }

    @Test func `the collector's wish is kept to`() {
        var schedule = RetrySchedule()
        schedule.begin(now: 5)
        let isKept = schedule.failed(now: 5, wish: 7_000, giveUp: 10_000, random: 99)
        #expect(isKept && schedule.holdUntil == 7_005)
    }

    @Test func `a batch is given up at its time, and the next one still waits`() {
        var schedule = RetrySchedule()
        schedule.begin(now: 100)
        // To the edge, and a nanosecond over it.
        let atEdge = schedule.failed(now: 100, wish: 1_000, giveUp: 1_000, random: 0)
        schedule.begin(now: 1_100)
        let over = schedule.failed(now: 1_100, wish: 1, giveUp: 1_000, random: 0)
        #expect(atEdge && !over)
        #expect(schedule.holdUntil == 1_101)
        schedule.begin(now: 1_101)
        let next = schedule.failed(now: 1_101, wish: 1_000, giveUp: 1_000, random: 0)
        #expect(next)
        schedule.done()
        #expect(schedule.holdUntil == 0)
    }

    @Test func `at the end nothing waits`() {
        var schedule = RetrySchedule()
        schedule.begin(now: 1)
        _ = schedule.failed(now: 1, wish: 50, giveUp: 100, random: 0)
        schedule.hurry()
        #expect(schedule.holdUntil == 0)
    }

    @Test(arguments: [
        ("0", 0), ("5", 5), (" 7 ", 7), ("3600", 3_600), ("3601", 3_600), ("99999999999", 3_600),
        // 784,111,777 s after 1970, and some before and after.
        ("Sun, 06 Nov 1994 08:49:37 GMT", 777), ("Sun, 06 Nov 1994 08:36:40 GMT", 0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0), ("Mon, 07 Nov 1994 08:49:37 GMT", 3_600),
    ])
    func `Retry-After is seconds or a date`(value: String, seconds: UInt64) {
        let found = RetryAfter.nanoseconds(bytes(value), now: 784_111_000)
        #expect(found == seconds * Self.second)
    }

    @Test(arguments: [
        ("Thu, 01 Jan 1970 00:00:09 GMT", 0, 9),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000, 0),
        ("Fri, 01 Mar 2024 00:00:10 GMT", 1_709_251_200, 10),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_790, 9),
    ])
    func `dates are those of the calendar`(value: String, now: UInt64, seconds: UInt64) {
        #expect(RetryAfter.nanoseconds(bytes(value), now: now) == seconds * Self.second)
    }

    @Test(arguments: [
        "", "-1", "1.5", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
    ])
    func `anything else is none`(value: String) {
        #expect(RetryAfter.nanoseconds(bytes(value), now: 0) == nil)
    }
}
