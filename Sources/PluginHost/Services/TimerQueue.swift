import CSluice

/// Timers of plugins on one worker: a heap by deadline.
///
/// It has no clock.
struct TimerQueue {
    /// Timers that an instance has on a worker at the same time.
    static let timersPerInstanceMax = 1_024
    /// Bits of a token's slot that number the timer; the others are the worker's.
    private static let indexBits: UInt32 = 20

    struct Timer {
        let handle: Unmanaged<InstanceHandle>
        let task: sluice_task
        let context: UnsafeMutableRawPointer?
        /// Nanoseconds of the monotonic clock.
        var deadline: UInt64
        /// Nanoseconds from one call to the next; 0 for a single one.
        let period: UInt64
    }

    private struct Slot {
        /// Nil while free.
        var timer: Timer?
        var sequence: UInt64 = 0
        /// Place in the heap.
        var place = -1
    }

    private let worker: UInt32
    private var slots: [Slot] = []
    private var free: [Int] = []
    /// Numbers of slots; the one with the earliest deadline first.
    private var heap: [Int] = []
    private var sequence: UInt64 = 0

    init(worker: Int) {
        self.worker = UInt32(worker)
    }

    var count: Int { heap.count }

    /// The earliest deadline; nil when there is no timer.
    var next: UInt64? { heap.first.flatMap { slots[$0].timer?.deadline } }

    /// Adds a timer; nil when the worker has as many as tokens can number.
    mutating func add(_ timer: Timer) -> sluice_token? {
        let index: Int
        if let freed = free.popLast() {
            index = freed
        } else {
            guard slots.count < 1 << Self.indexBits else { return nil }
            index = slots.count
            slots.append(Slot())
        }
        sequence += 1
        slots[index] = Slot(timer: timer, sequence: sequence, place: heap.count)
        heap.append(index)
        rise(heap.count - 1)
        return sluice_token(
            slot: worker << Self.indexBits | UInt32(index),
            generation: UInt32(truncatingIfNeeded: sequence),
            sequence: sequence
        )
    }

    /// Takes a timer of this instance out; false when it is not there any more.
    mutating func cancel(_ token: sluice_token, of handle: Unmanaged<InstanceHandle>) -> Bool {
        let index = Int(token.slot & (1 << Self.indexBits - 1))
        guard token.slot >> Self.indexBits == worker, index < slots.count,
            slots[index].sequence == token.sequence,
            token.generation == UInt32(truncatingIfNeeded: token.sequence),
            let timer = slots[index].timer, timer.handle.toOpaque() == handle.toOpaque()
        else { return false }
        remove(index)
        return true
    }

    /// Takes out all timers of an instance; how many they were.
    mutating func cancelAll(of handle: Unmanaged<InstanceHandle>) -> Int {
        let own = heap.filter { slots[$0].timer?.handle.toOpaque() == handle.toOpaque() }
        for index in own { remove(index) }
        return own.count
    }

    /// The next timer that is due.
    ///
    /// A single one is taken out, a periodic one set anew.
    mutating func popExpired(now: UInt64) -> Timer? {
        guard let index = heap.first, let timer = slots[index].timer, timer.deadline <= now else {
            return nil
        }
        if timer.period == 0 {
            remove(index)
        } else {
            // Calls that were missed are left out.
            let regular = timer.deadline.addingSaturating(timer.period)
            let deadline = regular > now ? regular : now.addingSaturating(timer.period)
            slots[index].timer?.deadline = deadline
            sink(0)
        }
        return timer
    }

    // MARK: The heap

    private func deadline(_ place: Int) -> UInt64 {
        slots[heap[place]].timer?.deadline ?? .max
    }

    private mutating func remove(_ index: Int) {
        let place = slots[index].place
        slots[index].timer = nil
        slots[index].sequence = 0
        free.append(index)
        let last = heap.removeLast()
        guard last != index else { return }
        heap[place] = last
        slots[last].place = place
        sink(place)
        rise(place)
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        slots[heap[a]].place = a
        slots[heap[b]].place = b
    }

    private mutating func rise(_ start: Int) {
        var place = start
        while place > 0, deadline(place) < deadline((place - 1) / 2) {
            swap(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && deadline(child) < deadline(least) {
                least = child
            }
            guard least != place else { return }
            swap(place, least)
            place = least
        }
    }
}

extension UInt64 {
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}
