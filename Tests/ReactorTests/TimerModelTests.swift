import Reactor
import Testing

/// The wheel beside a plain list of deadlines.
struct TimerModelTests {
    private static let nodeCount = 64

    /// What the list knows of a node that is armed.
    private struct Armed {
        var deadline: UInt64
        /// Time of the slot in which it must fire at the latest.
        var due: UInt64
    }

    private struct Run {
        let timers = Timers(TimerModelTests.nodeCount, now: 12_345)
        var random: Seeded
        var armed: [Int: Armed] = [:]

        mutating func set(_ index: Int) {
            let now = timers.now
            let deadline: UInt64 =
                switch Int.random(in: 0..<10, using: &random) {
                case 0: now - UInt64.random(in: 0...min(now, 500), using: &random)
                case 1...5: now + UInt64.random(in: 0...300, using: &random)
                case 6...7: now + UInt64.random(in: 0...20_000, using: &random)
                case 8: now + UInt64.random(in: turn - 40...turn + 40, using: &random)
                default: now + UInt64.random(in: 0...5 * turn, using: &random)
                }
            timers.set(index, deadline)
            armed[index] = Armed(
                deadline: deadline,
                due: max(slotTime(deadline), slotTime(now + 1))
            )
        }

        mutating func cancel(_ index: Int) {
            timers.cancel(index)
            armed[index] = nil
        }

        /// Sets or cancels some node.
        mutating func change() {
            let index = Int.random(in: 0..<TimerModelTests.nodeCount, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0 { cancel(index) } else { set(index) }
        }

        mutating func moveTime() {
            let now = timers.now
            let wait = UInt64(max(0, timers.toNext()))
            let step: UInt64 =
                switch Int.random(in: 0..<20, using: &random) {
                case 0..<8: UInt64.random(in: 0...40, using: &random)
                case 8..<18: wait
                case 18: UInt64.random(in: 0...turn, using: &random)
                default: UInt64.random(in: 0...4 * turn, using: &random)
                }
            timers.move(to: now + step)
        }

        /// Pops all that is expired; sets and cancels in between now and then.
        mutating func drain() {
            let before = armed
            var touched: Set<Int> = []
            while let index = timers.pop() {
                let deadline = armed[index]?.deadline
                #expect(deadline.map { $0 <= timers.now } == true, "early, or not armed")
                #expect(!timers.isArmed(index))
                armed[index] = nil
                touched.insert(index)
                guard Int.random(in: 0..<8, using: &random) == 0 else { continue }
                let other = Int.random(in: 0..<TimerModelTests.nodeCount, using: &random)
                if Bool.random(using: &random) { set(other) } else { cancel(other) }
                touched.insert(other)
            }
            let late = before.filter { $0.value.due <= timers.now && !touched.contains($0.key) }
            #expect(late.isEmpty, "late at \(timers.now)")
        }

        func check() {
            #expect(timers.count == armed.count)
            for index in 0..<TimerModelTests.nodeCount {
                #expect(timers.isArmed(index) == (armed[index] != nil))
            }
            guard let first = armed.values.map(\.due).min() else {
                #expect(timers.toNext() == -1)
                return
            }
            let wait = timers.toNext()
            #expect(wait >= 0)
            #expect(timers.now + UInt64(max(0, wait)) <= max(first, timers.now))
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `the wheel fires what a list of deadlines would`(seed: UInt64) {
        print("seed \(seed)")
        var run = Run(random: Seeded(state: seed))
        for _ in 0..<3_000 {
            for _ in 0..<Int.random(in: 0...4, using: &run.random) { run.change() }
            run.moveTime()
            if Bool.random(using: &run.random) { run.change() }
            run.drain()
            run.check()
        }
    }
}
