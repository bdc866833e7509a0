import Testing

@testable import Proxy

struct GenerationCountsTests {
    private typealias Times = GenerationCounts.Times

    /// Whether an element's bounds hold a time, and no other's do.
    private func isBetweenBounds(_ time: UInt64) -> Bool {
        let index = Times.index(time)
        guard index < Times.count else { return false }
        let isUnderNext = index == Times.count - 1 || time <= Times.upperBound(index)
        return isUnderNext && (index == 0 || time > Times.upperBound(index - 1))
    }

    @Test
    func `every time has the element whose bounds it is between`() {
        for time in UInt64(0)..<1 << 20 where !isBetweenBounds(time) {
            Issue.record("\(time) is counted as \(Times.index(time))")
        }
        var numbers = Seeded(state: 3)
        for _ in 0..<100_000 {
            let time = numbers.next() >> UInt64.random(in: 0..<64, using: &numbers)
            if !isBetweenBounds(time) {
                Issue.record("\(time) is counted as \(Times.index(time))")
            }
        }
    }

    @Test
    func `an upper bound is the last time of its element`() {
        for index in 0..<Times.count - 1 {
            #expect(Times.index(Times.upperBound(index)) == index)
            #expect(Times.index(Times.upperBound(index) + 1) == index + 1)
        }
        #expect(Times.index(.max) == Times.count - 1)
    }

    @Test
    func `an element is a quarter of its times wide, at most`() {
        for index in 5..<Times.count {
            let (from, to) = (Times.upperBound(index - 1) + 1, Times.upperBound(index))
            #expect((to - from + 1) * 4 <= from, "\(from) to \(to)")
        }
    }

    @Test
    func `requests, failures and times are counted`() {
        let counts = GenerationCounts()
        counts.note(failed: false, nanoseconds: 0)
        counts.note(failed: true, nanoseconds: 3_999)
        counts.note(failed: false, nanoseconds: 1_000_000)
        #expect(counts.requests == 3)
        #expect(counts.failures == 1)
        for index in 0..<Times.count {
            let expected: UInt64 = [0, 3, Times.index(1_000)].contains(index) ? 1 : 0
            #expect(counts.time(index) == expected)
        }
    }
}
