import Reactor
import Testing

struct TimerWheelTests {
    private let start: UInt64 = 1_000_000

    @Test(
        arguments: [
            1, 15, 16, 17, 31, 32, 1_000, 65_519, 65_520, 65_535, 65_536, 65_537, 65_552, 131_072,
            200_001, 3_600_000,
        ] as [UInt64]
    )
    func `a timer fires not early and at most one slot late`(delay: UInt64) {
        let timers = Timers(now: start)
        timers.set(0, start + delay)
        #expect(timers.isArmed(0))
        #expect(timers.deadline(0) == start + delay)
        let due = slotTime(start + delay)
        #expect(due < start + delay + TimerWheel.slotMilliseconds)
        #expect(timers.drain(at: start + delay / 2) == [])
        #expect(timers.drain(at: start + delay - 1) == [])
        #expect(timers.isArmed(0))
        #expect(timers.drain(at: due) == [0])
        #expect(!timers.isArmed(0))
        #expect(timers.count == 0)
        #expect(timers.drain(at: due + 2 * turn) == [])
    }

    @Test(arguments: [1, 16, 65_535, 65_536, 65_537, 700_000] as [UInt64])
    func `a worker that sleeps as told wakes in time`(delay: UInt64) {
        let timers = Timers(now: start + 5)
        timers.set(0, start + delay)
        var wakes = 0
        var expired: [Int] = []
        while expired.isEmpty {
            let wait = timers.toNext()
            #expect(wait >= 0)
            expired = timers.drain(at: timers.now + UInt64(max(wait, 1)))
            wakes += 1
        }
        #expect(timers.now == max(slotTime(start + delay), slotTime(start + 6)))
        #expect(wakes <= Int(delay / turn) + 2, "one look a turn")
    }

    @Test(arguments: [0, 1, 5_000, 999_999, 1_000_000] as [UInt64])
    func `a deadline that has passed fires in the next slot`(deadline: UInt64) {
        let timers = Timers(now: start)
        timers.set(0, deadline)
        #expect(timers.drain() == [])
        #expect(timers.drain(at: slotTime(start + 1)) == [0])
    }

    @Test
    func `a later deadline is kept, and the earlier slot does not fire`() {
        let timers = Timers(now: start)
        timers.set(0, start + 100)
        for step in 1...50 { timers.set(0, start + 100 + UInt64(step) * 100) }
        #expect(timers.count == 1)
        let due = slotTime(start + 5_100)
        for time in stride(from: start, to: due, by: 7) { #expect(timers.drain(at: time) == []) }
        #expect(timers.drain(at: due) == [0])
    }

    @Test
    func `a deadline put off by whole turns stays in its slot`() {
        let timers = Timers(now: start)
        timers.set(0, start + 160)
        timers.set(0, start + 160 + 3 * turn)
        for lap in 0..<3 {
            #expect(timers.drain(at: slotTime(start + 160 + UInt64(lap) * turn)) == [])
            #expect(timers.isArmed(0))
        }
        #expect(timers.drain(at: slotTime(start + 160 + 3 * turn)) == [0])
    }

    @Test
    func `an earlier deadline is taken at once`() {
        let timers = Timers(now: start)
        timers.set(0, start + 50_000)
        timers.set(1, start + 60_000)
        #expect(timers.toNext() > 49_000)
        timers.set(0, start + 100)
        #expect(timers.toNext() <= 112)
        #expect(timers.drain(at: slotTime(start + 100)) == [0])
        #expect(timers.drain(at: slotTime(start + 50_000)) == [])
        #expect(timers.drain(at: slotTime(start + 60_000)) == [1])
    }

    @Test
    func `a deadline put off and then back is the earlier one`() {
        let timers = Timers(now: start)
        timers.set(0, start + 100)
        timers.set(0, start + 900)
        timers.set(0, start + 500)
        #expect(timers.drain(at: slotTime(start + 500) - 1) == [])
        #expect(timers.drain(at: slotTime(start + 500)) == [0])
    }

    @Test
    func `cancelling works in every state`() {
        let timers = Timers(now: start)
        timers.cancel(0)
        #expect(timers.count == 0)
        // Alone, first, in the middle and last of a slot, put off, beyond a turn, fired.
        for taken in [[0], [2], [1], [3], [0, 1, 2, 3]] {
            for index in 0..<4 { timers.set(index, start + 100) }
            #expect(timers.count == 4)
            for index in taken {
                timers.cancel(index)
                timers.cancel(index)
                #expect(!timers.isArmed(index))
            }
            #expect(timers.count == 4 - taken.count)
            for index in 0..<4 { timers.cancel(index) }
            #expect(timers.toNext() == -1)
        }
        timers.set(0, start + 100)
        timers.set(0, start + 10_000)
        timers.cancel(0)
        timers.set(1, start + 2 * turn)
        timers.cancel(1)
        timers.set(2, start + 10)
        #expect(timers.drain(at: start + 3 * turn) == [2])
        timers.cancel(2)
        #expect(timers.count == 0)
        timers.set(2, timers.now + 1)
        #expect(timers.count == 1)
    }

    @Test
    func `a long sleep visits every slot once and misses nothing`() {
        let timers = Timers(1_000, now: start)
        let deadlines = (0..<1_000).map { start + UInt64($0) * 777 }
        for index in 0..<1_000 { timers.set(index, deadlines[index]) }
        let first = deadlines.indices.filter { deadlines[$0] <= start + 10 * turn }
        #expect(timers.drain(at: start + 10 * turn).sorted() == first)
        let second = Array(first.count..<1_000)
        #expect(timers.drain(at: start + 12 * turn).sorted() == second)
    }

    @Test
    func `nodes may be set and cancelled between two pops`() throws {
        let timers = Timers(now: start)
        for index in 0..<3 { timers.set(index, start + 100) }
        timers.move(to: start + 200)
        let first = try #require(timers.pop())
        let others = [0, 1, 2].filter { $0 != first }
        timers.cancel(others[0])
        timers.set(others[1], start + 1_000)
        timers.set(3, start + 150)
        #expect(timers.drain().filter { $0 != 3 } == [])
        #expect(timers.drain(at: start + 300).filter { $0 != 3 } == [])
        #expect(!timers.isArmed(3))
        #expect(timers.drain(at: slotTime(start + 1_000)) == [others[1]])
    }

    @Test
    func `the time to the next slot is told`() {
        let timers = Timers(now: start)
        #expect(timers.toNext() == -1)
        timers.set(0, start + 1_000)
        #expect(timers.toNext() == Int32(slotTime(start + 1_000) - start))
        timers.move(to: start + 400)
        #expect(timers.toNext() == Int32(slotTime(start + 1_000) - start - 400))
        timers.move(to: start + 5_000)
        #expect(timers.toNext() == 0)
        #expect(timers.drain() == [0])
        #expect(timers.toNext() == -1)
    }

    @Test
    func `a timer that was cancelled or put off wakes nobody`() {
        let timers = Timers(now: start)
        timers.set(0, start + 100)
        timers.set(1, start + 1_000)
        timers.cancel(0)
        #expect(timers.toNext() == Int32(slotTime(start + 1_000) - start))
        timers.set(2, start + 200)
        timers.set(2, start + 2_000)
        #expect(timers.drain(at: slotTime(start + 200)) == [])
        #expect(timers.toNext() == Int32(slotTime(start + 1_000) - timers.now))
    }
}
