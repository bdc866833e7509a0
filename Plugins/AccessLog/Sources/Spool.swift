internal import CAccessLog
import SluiceSDK
import Synchronization

/// Takes lines from the workers' lanes to the output, on one thread at a time.
///
/// Workers never wait for it: they put lines into their lanes, and wake a job.
final class Spool: @unchecked Sendable {
    // Safe: lanes are handed over by atomics, and only who has moved `state` from idle uses the
    // rest.

    /// Nanoseconds between two lines of the log about the same trouble.
    static let noticeNanoseconds: UInt64 = 10_000_000_000
    /// Nanoseconds that lines get to leave when the instance ends.
    static let finishNanoseconds: UInt64 = 3_000_000_000
    /// Batches of one job: then another instance's job may have the thread.
    private static let batchesPerJob = 256

    /// Whether a job is there.
    private enum Job {
        static let idle: UInt32 = 0
        static let running: UInt32 = 1
        /// It runs, and there is something new.
        static let wanted: UInt32 = 2
    }

    let capacity: Int
    let lineBytes: Int
    private let host: Host
    private let output: Output
    private let counters: Counters
    private let state = Atomic<UInt32>(Job.idle)
    private let wantsReopen = Atomic<Bool>(false)
    /// A batch was not written whole.
    private let isBlocked = Atomic<Bool>(false)
    /// Addresses of lanes, by worker; 0 before the worker has begun.
    private let lanes: UnsafeMutablePointer<Atomic<UInt>>
    private let laneCount: Int
    private var nextLane = 0
    private var noticedAt: UInt64 = 0
    /// Lines that were dropped, and that the log has not told of.
    private let untold = Atomic<Int>(0)
    private let toldAt = Atomic<UInt64>(0)

    init(
        _ destination: Destination,
        capacity: Int,
        lineBytes: Int,
        _ host: Host,
        _ counters: Counters
    ) {
        self.capacity = capacity
        self.lineBytes = lineBytes
        self.host = host
        self.counters = counters
        output = Output(destination, lineBytes: lineBytes)
        laneCount = host.workerCount
        lanes = .allocate(capacity: laneCount)
        for worker in 0..<laneCount { (lanes + worker).initialize(to: Atomic(0)) }
    }

    /// Opens a file, so that one that can't be written to is known at the start.
    ///
    /// Who is to read from a socket may come later.
    func open() throws(PluginError) {
        guard !output.destination.isSocket else { return }
        guard output.open() != 0 else { return }
        let failure = output.failure ?? output.destination.name
        output.failure = nil
        throw PluginError(path: "output", failure)
    }

    deinit {
        finish()
        for worker in 0..<laneCount {
            lane(worker)?.free()
            (lanes + worker).deinitialize(count: 1)
        }
        lanes.deallocate()
    }

    // MARK: Lanes

    /// The lane of a worker that begins; nil when there is no memory.
    func addLane(_ worker: Int) -> Lane? {
        precondition(worker >= 0 && worker < laneCount, "worker \(worker) of \(laneCount)")
        if let lane = lane(worker) { return lane }
        guard let lane = Lane(capacity: capacity, lineBytes: lineBytes) else { return nil }
        lanes[worker].store(lane.address, ordering: .releasing)
        return lane
    }

    private func lane(_ worker: Int) -> Lane? {
        let address = lanes[worker].load(ordering: .acquiring)
        return Lane(at: address, capacity: capacity, lineBytes: lineBytes)
    }

    // MARK: Lines without room

    /// There is no room for a line. [any thread]
    @inline(never)
    func drop() {
        counters.dropped.add()
        untold.wrappingAdd(1, ordering: .relaxed)
    }

    /// Says how many lines were dropped, not too often. [any thread]
    ///
    /// - Parameter now: by the monotonic clock; nil says it in any case.
    func tell(now: UInt64?) {
        guard untold.load(ordering: .relaxed) > 0 else { return }
        if let now {
            let last = toldAt.load(ordering: .relaxed)
            guard last == 0 || now >= last + Spool.noticeNanoseconds,
                toldAt.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
            else { return }
        }
        let count = untold.exchange(0, ordering: .relaxed)
        host.log(.warn, "lines were dropped: the output is slower than the requests") { pairs in
            pairs.add("lines", count)
        }
    }

    // MARK: Jobs

    /// Whether the caller is to start a job, which calls `drain`. [any thread]
    func wakes() -> Bool {
        while true {
            let now = state.load(ordering: .relaxed)
            let next = now == Job.idle ? Job.running : Job.wanted
            if now == next { return false }
            let (done, _) = state.compareExchange(
                expected: now,
                desired: next,
                ordering: .acquiringAndReleasing
            )
            if done { return now == Job.idle }
        }
    }

    /// The job could not be started.
    func notStarted() { state.store(Job.idle, ordering: .releasing) }

    /// The file is to be opened again by the next `drain`. [any thread]
    func reopen() { wantsReopen.store(true, ordering: .releasing) }

    /// Whether lines wait that are in no lane any more. [any thread]
    var hasRest: Bool { isBlocked.load(ordering: .acquiring) }

    /// Writes what is there. [one thread: the job that `wakes` asked for]
    func drain() {
        repeat {
            // What was wanted until now is seen below.
            state.store(Job.running, ordering: .releasing)
            _ = pass(batches: Spool.batchesPerJob)
        } while !rests()
    }

    /// Ends the job, unless something came meanwhile.
    private func rests() -> Bool {
        state.compareExchange(
            expected: Job.running,
            desired: Job.idle,
            ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Writes until there are no lines, or no room for them.
    private func pass(batches: Int, patience: Int32 = 100) -> Output.Progress {
        if wantsReopen.exchange(false, ordering: .acquiring) { output.reopen() }
        var progress = Output.Progress.done
        for _ in 0..<batches {
            output.follow()
            if !output.hasBatch, !output.fill({ next(to: $0) }) { break }
            progress = output.send(patience: patience)
            if progress == .blocked { break }
        }
        isBlocked.store(output.hasBatch, ordering: .releasing)
        account()
        return progress
    }

    /// The next line of any lane; each worker's stay in their order.
    private func next(to place: UnsafeMutablePointer<UInt8>) -> Int {
        for _ in 0..<laneCount {
            if let lane = lane(nextLane) {
                let length = lane.pop(to: place)
                if length > 0 { return length }
            }
            nextLane = nextLane + 1 == laneCount ? 0 : nextLane + 1
        }
        return 0
    }

    private func account() {
        if output.written > 0 { counters.written.add(output.written) }
        if output.lost > 0 { counters.dropped.add(output.lost) }
        (output.written, output.lost) = (0, 0)
        guard let failure = output.failure else { return }
        counters.errors.add(1)
        let now = accesslog_monotonic()
        guard noticedAt == 0 || now >= noticedAt + Spool.noticeNanoseconds else {
            output.failure = nil
            return
        }
        noticedAt = now
        output.failure = nil
        host.log(.error) { failure }
    }

    // MARK: The end

    /// Writes what is left, for a while; what then is left is counted. [no worker, and no job]
    private func finish() {
        let deadline = accesslog_monotonic() + Spool.finishNanoseconds
        var isWhole = false
        while !isWhole {
            let progress = pass(batches: 1)
            isWhole = progress == .done && !output.hasBatch && areEmpty
            if accesslog_monotonic() >= deadline { break }
        }
        var left = output.leftCount
        output.drop()
        while !isWhole, output.fill({ next(to: $0) }) {
            left += output.leftCount
            output.drop()
        }
        tell(now: nil)
        guard left > 0 else { return }
        counters.dropped.add(left)
        host.log(.error) { "\(output.destination.name): \(left) lines were not written" }
    }

    private var areEmpty: Bool {
        for worker in 0..<laneCount where lane(worker)?.isEmpty == false { return false }
        return true
    }
}

/// What a log counts.
struct Counters: BitwiseCopyable {
    /// Lines that the output took.
    let written: Counter
    /// Lines for which there was no room.
    let dropped: Counter
    /// Requests that no line was wanted for.
    let skipped: Counter
    /// Lines that were cut.
    let cut: Counter
    /// Failures of the output.
    let errors: Counter

    init(_ host: Host) throws(PluginError) {
        let lines = try host.counters(
            "access_log_lines_total",
            help: "Lines of the access log, by what became of them.",
            labels: ["result"]
        )
        written = try lines.counter("written")
        dropped = try lines.counter("dropped")
        skipped = try lines.counter("skipped")
        cut = try host.counter(
            "access_log_lines_cut_total",
            help: "Lines of the access log that were longer than line_max."
        )
        errors = try host.counter(
            "access_log_errors_total",
            help: "Failures to open the access log's output, or to write to it."
        )
    }
}
