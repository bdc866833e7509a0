import CSluice
import Synchronization
import Sys

/// Work of plugins for one worker: tasks that any thread posts, and the worker's timers.
///
/// A port is there before its worker, so tasks may be posted as soon as an instance is made.
public final class WorkerPort: @unchecked Sendable {
    // Safe: what is neither locked nor atomic is the worker's alone.

    /// Workers of a process.
    public static let workersMax = 1_024
    /// Tasks that may wait for a worker, but for the ends of offloaded work.
    public static let tasksMax = 65_536

    struct Task: @unchecked Sendable {
        // Safe: the plugin says with `post` that its context may go to another thread.
        let handle: Unmanaged<InstanceHandle>
        let call: sluice_task
        let context: UnsafeMutableRawPointer?
        /// Whether it counts towards `tasksMax`.
        let isCounted: Bool
    }

    private struct Posted {
        var tasks: [Task] = []
        var isClosed = false
        /// Tells the worker that there are tasks; nil before it runs.
        var wake: (@Sendable () -> Void)?
    }

    private let index: Int
    private let posted = Mutex(Posted())
    private let waiting = Atomic<Int>(0)
    /// Tasks of instances that this worker has not started yet.
    private var deferred: [Task] = []
    private var timers: TimerQueue
    /// Whether the earliest deadline may be another than the worker knows.
    private var isNextNew = false

    init(index: Int) {
        self.index = index
        timers = TimerQueue(worker: index)
    }

    // Safe: atomics in memory that is never freed.
    private nonisolated(unsafe) static let ports: UnsafeMutablePointer<Atomic<UInt>> = {
        let ports = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: workersMax)
        for index in 0..<workersMax { ports.advanced(by: index).initialize(to: Atomic(0)) }
        return ports
    }()

    /// The port of a worker, the same for the life of the process.
    ///
    /// - Parameter worker: 0 to `workersMax` - 1.
    public static func of(worker: Int) -> WorkerPort {
        precondition(0..<workersMax ~= worker, "worker \(worker) of at most \(workersMax)")
        let known = ports[worker].load(ordering: .acquiring)
        if let known = UnsafeRawPointer(bitPattern: known) {
            return Unmanaged<WorkerPort>.fromOpaque(known).takeUnretainedValue()
        }
        let port = Unmanaged.passRetained(WorkerPort(index: worker))
        let (isFirst, other) = ports[worker].compareExchange(
            expected: 0,
            desired: UInt(bitPattern: port.toOpaque()),
            ordering: .acquiringAndReleasing
        )
        guard !isFirst, let other = UnsafeRawPointer(bitPattern: other) else {
            return port.takeUnretainedValue()
        }
        port.release()
        return Unmanaged<WorkerPort>.fromOpaque(other).takeUnretainedValue()
    }

    // MARK: Any thread

    /// Makes room for one task; false when `tasksMax` wait.
    func reserve() -> Bool {
        guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= Self.tasksMax else {
            unreserve()
            return false
        }
        return true
    }

    func unreserve() {
        waiting.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Leaves a task; false when the worker has ended.
    func post(_ task: Task) -> Bool {
        let (isTaken, wake) = posted.withLock { posted in
            guard !posted.isClosed else { return (false, nil as (@Sendable () -> Void)?) }
            posted.tasks.append(task)
            return (true, posted.tasks.count == 1 ? posted.wake : nil)
        }
        wake?()
        return isTaken
    }

    // MARK: The worker

    /// Another worker of this index is to come, in a process where one has ended: tasks wait for it
    /// from now on.
    public func renew() { posted.withLock { $0.isClosed = false } }

    /// The worker runs, and its instances are started.
    ///
    /// - Parameter wake: makes the worker call `runTasks`; from any thread.
    public func open(wake: @escaping @Sendable () -> Void) {
        let hasTasks = posted.withLock { posted in
            posted.isClosed = false
            posted.wake = wake
            return !posted.tasks.isEmpty
        }
        if hasTasks { wake() }
    }

    /// Runs the tasks that were posted so far.
    public func runTasks() {
        let taken = posted.withLock { posted in
            defer { posted.tasks = [] }
            return posted.tasks
        }
        let tasks = deferred + taken
        deferred = []
        for task in tasks {
            let phase = task.handle._withUnsafeGuaranteedRef { $0.phase(worker: index) }
            if phase == .notStarted {
                deferred.append(task)
                continue
            }
            if task.isCounted { unreserve() }
            guard phase == .running else { continue }
            task.handle._withUnsafeGuaranteedRef {
                $0.call(task.call, task.context, as: .task, worker: index)
            }
        }
    }

    /// An instance was started: what waited for that runs next.
    func started() {
        guard !deferred.isEmpty else { return }
        posted.withLock { $0.wake }?()
    }

    /// When the worker's timer must fire, in nanoseconds of the monotonic clock; `.max` for never,
    /// nil when that has not changed since it was last asked.
    public func takeNextTimer() -> UInt64? {
        guard isNextNew else { return nil }
        isNextNew = false
        return timers.next ?? .max
    }

    /// Runs the timers that are due.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock.
    public func runTimers(now: UInt64) {
        while let timer = timers.popExpired(now: now) {
            timer.handle._withUnsafeGuaranteedRef { handle in
                if timer.period == 0 { handle.giveTimer(worker: index) }
                if handle.phase(worker: index) == .running {
                    handle.call(timer.task, timer.context, as: .timer, worker: index)
                }
            }
        }
        isNextNew = true
    }

    /// `timer_set`; nil when the worker has too many.
    func addTimer(_ timer: TimerQueue.Timer) -> sluice_token? {
        isNextNew = true
        return timers.add(timer)
    }

    /// `timer_cancel` of the ABI.
    func cancelTimer(_ token: sluice_token, of handle: Unmanaged<InstanceHandle>) -> Bool {
        timers.cancel(token, of: handle)
    }

    /// An instance stops on this worker: none of its timers fires any more.
    func cancelTimers(of handle: Unmanaged<InstanceHandle>) -> Int {
        timers.cancelAll(of: handle)
    }

    /// The worker ends: what waits is dropped, and nothing more is taken.
    public func close() {
        let dropped = posted.withLock { posted in
            defer { posted.tasks = [] }
            posted.isClosed = true
            posted.wake = nil
            return posted.tasks
        }
        for task in dropped + deferred where task.isCounted { unreserve() }
        deferred = []
    }
}
