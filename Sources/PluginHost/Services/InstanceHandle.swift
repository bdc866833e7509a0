import CSluice
import Synchronization
import Sys

/// What a `sluice_host` handle points to: the host's side of one instance.
///
/// Never freed, because a plugin may keep the handle, and buffers of the instance may outlive it.
final class InstanceHandle: @unchecked Sendable {
    // Safe: what is not atomic is set in `init`, or belongs to one worker (`workers`).
    let name: String
    /// Number of the name: the same for all instances that ever have it.
    let nameNumber: UInt64
    /// The highest level that is logged.
    var levelMax: UInt32 { level.load(ordering: .relaxed) }
    private let level: Atomic<UInt32>
    let workerCount: Int
    /// Bytes of buffers that may be out at the same time.
    let memoryBytesMax: Int
    let memoryBytes = Atomic<Int>(0)
    /// Offloaded work that waits or runs.
    let offloads = Atomic<Int>(0)
    /// Offloaded work that was asked for before the instance was made.
    let early = Mutex<[BlockingPool.Job]>([])
    /// The current second and the lines written in it: a plugin can't flood the log.
    private let lines = Atomic<UInt64>(0)
    private let life = Atomic<UInt8>(Life.made)
    private let state = Atomic<UInt>(0)
    private let workers: UnsafeMutablePointer<WorkerShare>
    /// Never freed.
    let record: UnsafeMutablePointer<PluginRecord>

    /// Bytes of buffers, unless the manifest says otherwise.
    static let memoryBytesDefault = 67_108_864
    static let linesPerSecondMax: UInt64 = 100

    private enum Life {
        static let made: UInt8 = 0
        static let live: UInt8 = 1
        static let over: UInt8 = 2
    }

    /// How far an instance is on one worker.
    enum WorkerPhase {
        case notStarted
        case running
        case stopped
    }

    /// What one worker knows of the instance; touched by that worker alone.
    private struct WorkerShare {
        var phase = WorkerPhase.notStarted
        var slot: UnsafeMutableRawPointer?
        var timerCount = 0
    }

    /// - Parameter record: of the instance; nil makes one without guards, for tests.
    init(
        name: String,
        levelMax: UInt32,
        workerCount: Int,
        memoryBytesMax: Int,
        record: UnsafeMutablePointer<PluginRecord>? = nil
    ) {
        self.name = name
        self.record =
            record
            ?? PluginRecord.make(
                name: name,
                label: CrashLabel(name: name, library: "", sha256: "", version: ""),
                guards: PluginGuards(),
                workerCount: workerCount
            )
        nameNumber = Self.number(of: name)
        level = Atomic(levelMax)
        self.workerCount = workerCount
        self.memoryBytesMax = memoryBytesMax
        workers = .allocate(capacity: max(workerCount, 1))
        workers.initialize(repeating: WorkerShare(), count: max(workerCount, 1))
        self.record.pointee.handle = .passUnretained(self)
    }

    /// Counts a call that does not work where or when it was made.
    func noteMisuse() { record.pointee.count(.misuse) }

    /// Runs a call into the plugin, which a crash or a hang meanwhile is laid to.
    func mark<Result>(_ call: PluginCall, _ body: () -> Result) -> Result {
        Breadcrumb.mark(call, of: PluginRecord.label(record), body)
    }

    func setLevel(_ level: UInt32) { self.level.store(level, ordering: .relaxed) }

    private static let names = Mutex<[String: UInt64]>([:])

    /// All names that ever were, by their number.
    static var namesByNumber: [UInt64: String] {
        names.withLock { names in
            Dictionary(names.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    static func number(of name: String) -> UInt64 {
        names.withLock { names in
            if let number = names[name] { return number }
            let number = UInt64(names.count) + 1
            names[name] = number
            return number
        }
    }

    // MARK: The handle

    /// The handle for `create`; it lives for ever.
    func makeReference() -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(self).toOpaque())
    }

    /// Runs the body with the instance of a handle.
    @inline(__always)
    static func with<Result>(
        _ host: OpaquePointer,
        _ body: (InstanceHandle) -> Result
    ) -> Result {
        // Safe: handles are retained for ever by `makeReference`.
        Unmanaged<InstanceHandle>.fromOpaque(UnsafeRawPointer(host))
            ._withUnsafeGuaranteedRef(body)
    }

    /// Whether one more line may be logged in this second.
    func mayLog() -> Bool {
        let second = Clock.wallSeconds() & 0xffff_ffff
        let now = lines.load(ordering: .relaxed)
        guard now >> 32 == second else {
            lines.store(second << 32 | 1, ordering: .relaxed)
            return true
        }
        return lines.wrappingAdd(1, ordering: .relaxed).newValue & 0xffff_ffff
            <= Self.linesPerSecondMax
    }

    /// Counts bytes of buffers; false when they would be too many, and then nothing is counted.
    func takeMemory(_ count: Int) -> Bool {
        var used = memoryBytes.load(ordering: .relaxed)
        while used + count <= memoryBytesMax {
            let (exchanged, original) = memoryBytes.weakCompareExchange(
                expected: used,
                desired: used + count,
                ordering: .relaxed
            )
            if exchanged { return true }
            used = original
        }
        return false
    }

    /// Bytes of buffers that are out.
    var memoryInUse: Int { memoryBytes.load(ordering: .relaxed) }

    func giveMemory(_ count: Int) {
        memoryBytes.wrappingSubtract(count, ordering: .relaxed)
    }

    // MARK: Life

    /// `create` has succeeded: from now on tasks may run. [control]
    func begin(state address: UnsafeMutableRawPointer?) {
        state.store(UInt(bitPattern: address), ordering: .relaxed)
        // Under the lock, so that no offload falls between the list and its end.
        let jobs = early.withLock { jobs in
            life.store(Life.live, ordering: .releasing)
            defer { jobs = [] }
            return jobs
        }
        for job in jobs { BlockingPool.shared.submit(job) }
    }

    /// The instance was refused or is destroyed: no task of it begins any more. [control]
    func end() {
        early.withLock { jobs in
            life.store(Life.over, ordering: .releasing)
            jobs = []
        }
    }

    /// Whether `create` has not returned yet.
    var isMade: Bool { life.load(ordering: .acquiring) == Life.made }

    var isLive: Bool { life.load(ordering: .acquiring) == Life.live }

    /// The plugin's own state; good while `isLive`.
    var instance: UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: state.load(ordering: .relaxed))
    }

    // MARK: One worker

    /// The instance has a slot on this worker; its tasks run from now on. [the worker]
    func began(worker: Int, slot: UnsafeMutableRawPointer?) {
        guard worker < workerCount else { return }
        workers[worker].phase = .running
        workers[worker].slot = slot
    }

    /// The instance has no slot on this worker any more. [the worker]
    func stopped(worker: Int) {
        guard worker < workerCount else { return }
        workers[worker] = WorkerShare(phase: .stopped)
    }

    /// How far the instance is on this worker. [the worker]
    func phase(worker: Int) -> WorkerPhase {
        guard worker < workerCount, !isMade else { return .notStarted }
        return isLive ? workers[worker].phase : .stopped
    }

    /// Calls a task; the instance runs on this worker. [the worker]
    func call(
        _ task: sluice_task,
        _ context: UnsafeMutableRawPointer?,
        as call: PluginCall,
        worker: Int
    ) {
        mark(call) { task(instance, workers[worker].slot, context) }
    }

    /// Calls the body with the instance and its slot, when it runs on this worker. [the worker]
    func withRunning(
        _ call: PluginCall,
        worker: Int,
        _ body: (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void
    ) {
        guard phase(worker: worker) == .running else { return }
        mark(call) { body(instance, workers[worker].slot) }
    }

    /// Counts a timer; false when there are `timersMax`. [the worker]
    func takeTimer(worker: Int) -> Bool {
        guard worker < workerCount, workers[worker].timerCount < TimerQueue.timersPerInstanceMax
        else { return false }
        workers[worker].timerCount += 1
        return true
    }

    /// A timer is over. [the worker]
    func giveTimer(worker: Int) {
        workers[worker].timerCount -= 1
    }
}
