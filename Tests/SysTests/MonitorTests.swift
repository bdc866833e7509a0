import Synchronization
import Testing

@testable import Sys

struct MonitorTests {
    @Test
    func `whoever waits is woken by the change that it waits for`() {
        let monitor = Monitor(0)
        let seen = Atomic<Int>(0)
        let thread = PinnedThread.start(name: "waits") {
            let result = monitor.wait { $0 == 3 ? $0 * 10 : nil }
            seen.store(result ?? -1, ordering: .relaxed)
        }
        for _ in 0..<3 { monitor.change { $0 += 1 } }
        thread.join()
        #expect(seen.load(ordering: .relaxed) == 30)
    }

    @Test
    func `a wait ends with its deadline`() {
        let monitor = Monitor(false)
        let deadline = Clock.monotonicNanoseconds() + 20_000_000
        let result: Bool? = monitor.wait(deadline: deadline) { $0 ? true : nil }
        #expect(result == nil)
        #expect(Clock.monotonicNanoseconds() >= deadline)
    }

    @Test
    func `a state that is right already needs no wait`() {
        #expect(Monitor(7).wait(deadline: 0) { $0 } == 7)
    }

    @Test
    func `changes of many threads are not lost`() {
        let monitor = Monitor(0)
        let threads = (0..<4).map { _ in
            PinnedThread.start(name: "counts") {
                for _ in 0..<1_000 { monitor.change { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(monitor.change { $0 } == 4_000)
    }
}
