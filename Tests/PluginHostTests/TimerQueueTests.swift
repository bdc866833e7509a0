import CSluice
import Testing

@testable import PluginHost

/// A queue whose changes a test may expect something of.
private final class Queue {
    private var queue: TimerQueue

    init(worker: Int) { queue = TimerQueue(worker: worker) }

    var count: Int { queue.count }
    var next: UInt64? { queue.next }

    func add(_ timer: TimerQueue.Timer) -> sluice_token? { queue.add(timer) }

    func cancel(_ token: sluice_token, of handle: Unmanaged<InstanceHandle>) -> Bool {
        queue.cancel(token, of: handle)
    }

    func cancelAll(of handle: Unmanaged<InstanceHandle>) -> Int { queue.cancelAll(of: handle) }

    func pop(now: UInt64) -> TimerQueue.Timer? { queue.popExpired(now: now) }

    /// Deadlines of the timers that are due, in the order in which they fire.
    func expired(now: UInt64) -> [UInt64] {
        var deadlines: [UInt64] = []
        while let timer = queue.popExpired(now: now) { deadlines.append(timer.deadline) }
        return deadlines
    }
}

struct TimerQueueTests {
    private let handle = Unmanaged.passRetained(Host.instance("timers"))

    private func timer(
        _ deadline: UInt64,
        period: UInt64 = 0,
        of handle: Unmanaged<InstanceHandle>? = nil
    )
        -> TimerQueue.Timer
    {
        TimerQueue.Timer(
            handle: handle ?? self.handle,
            task: { _, _, _ in },
            context: UnsafeMutableRawPointer(bitPattern: UInt(deadline)),
            deadline: deadline,
            period: period
        )
    }

    @Test
    func `timers fire in the order of their deadlines`() throws {
        let queue = Queue(worker: 0)
        var deadlines = (1...1_000 as ClosedRange<UInt64>).map { $0 &* 7_919 % 1_009 }
        for deadline in deadlines { _ = try #require(queue.add(timer(deadline))) }
        deadlines.sort()
        #expect(queue.next == deadlines[0])
        #expect(queue.expired(now: 500) == deadlines.filter { $0 <= 500 })
        #expect(queue.expired(now: .max) == deadlines.filter { $0 > 500 })
        #expect((queue.count, queue.next) == (0, nil))
    }

    @Test
    func `a periodic timer fires once for all that was missed`() throws {
        let queue = Queue(worker: 0)
        _ = try #require(queue.add(timer(100, period: 10)))
        #expect(queue.expired(now: 99) == [])
        #expect(queue.expired(now: 100) == [100])
        #expect(queue.next == 110)
        #expect(queue.expired(now: 115) == [110])
        #expect(queue.next == 120)
        #expect(queue.expired(now: 155) == [120])
        #expect(queue.next == 165)
    }

    @Test
    func `a cancelled timer does not fire, and its token is of no more use`() throws {
        let queue = Queue(worker: 3)
        let first = try #require(queue.add(timer(1)))
        let second = try #require(queue.add(timer(2)))
        #expect(queue.cancel(first, of: handle))
        #expect(!queue.cancel(first, of: handle))
        // The slot is used again.
        let third = try #require(queue.add(timer(3)))
        #expect(third.slot == first.slot)
        #expect(!queue.cancel(first, of: handle))
        #expect(queue.expired(now: 2) == [2])
        #expect(!queue.cancel(second, of: handle))
        #expect(queue.cancel(third, of: handle))
        #expect(queue.count == 0)
    }

    @Test
    func `a token is good for its own worker and instance`() throws {
        let queue = Queue(worker: 3)
        let other = Queue(worker: 4)
        let token = try #require(queue.add(timer(1)))
        _ = try #require(other.add(timer(1)))
        #expect(!other.cancel(token, of: handle))
        #expect(!queue.cancel(token, of: .passRetained(Host.instance("other"))))
        #expect(!queue.cancel(sluice_token(), of: handle))
        var forged = token
        forged.generation &+= 1
        #expect(!queue.cancel(forged, of: handle))
        forged = token
        forged.slot |= 0xfffff
        #expect(!queue.cancel(forged, of: handle))
        #expect(queue.cancel(token, of: handle))
    }

    @Test
    func `timers of one instance are cancelled together`() throws {
        let queue = Queue(worker: 0)
        let other = Unmanaged.passRetained(Host.instance("other"))
        for deadline in 1...100 as ClosedRange<UInt64> {
            _ = queue.add(timer(deadline, of: deadline % 3 == 0 ? other : handle))
        }
        #expect(queue.cancelAll(of: handle) == 67)
        #expect(queue.expired(now: .max) == Array(stride(from: 3, through: 99, by: 3)))
    }

    @Test
    func `a time without end is never reached`() throws {
        let queue = Queue(worker: 0)
        _ = queue.add(timer(UInt64.max - 1, period: .max))
        #expect(queue.expired(now: .max - 2) == [])
        #expect(queue.pop(now: .max - 1)?.deadline == UInt64.max - 1)
        #expect(queue.next == .max)
    }
}
