import CSluice

/// Does work on a worker: of timers, and what other threads have posted to it.
public protocol WorkHook: Plugin, ~Copyable {
    /// What is to be done: a trivial value of up to 8 bytes, as an enum with a number.
    associatedtype Work: BitwiseCopyable

    /// Does it, on the worker's thread.
    func perform(_ work: Work, on worker: inout Worker)
}

/// Where a plugin posts work and sets timers. Make it in `init`, and keep it:
///
///     scheduler = Scheduler(host)
public struct Scheduler<Owner: WorkHook & ~Copyable>: BitwiseCopyable {
    private let services: UnsafePointer<Services>?

    /// The scheduler of the plugin whose host this is, which must offer `perform`.
    public init(_ host: Host) {
        precondition(MemoryLayout<Owner.Work>.size <= 8, "work has up to 8 bytes")
        services = host.services
        if let services {
            precondition(services.pointee.perform != nil, "offer.perform is missing")
        }
    }

    /// Workers that work is for.
    public enum Target: Equatable, Sendable {
        /// One of them, 0 up to their number.
        case worker(Int)
        /// Each of them.
        case all
    }

    /// Has work done on a worker, or on each.
    ///
    /// Any thread.
    ///
    /// What is posted before the worker has started is done then; after it has stopped, nothing is.
    ///
    /// - Throws: `invalid` when there is no such worker.
    public func post(_ work: Owner.Work, to target: Target) throws(ServiceError) {
        guard let services else { return }
        let worker: UInt32 =
            switch target {
            case .worker(let index): UInt32(index)
            case .all: .max
            }
        let core = services.pointee.core
        try ServiceError.check(
            core.pointee.post(
                services.pointee.handle,
                worker,
                services.pointee.perform,
                Self.pack(work)
            )
        )
    }

    /// Has work done on this worker later.
    ///
    /// On a worker's thread; precise to some milliseconds.
    ///
    /// - Throws: `outOfMemory` when the instance has 1,024 timers on this worker.
    @discardableResult
    public func after(
        nanoseconds: UInt64,
        _ work: Owner.Work
    ) throws(ServiceError) -> ScheduledTimer {
        try set(nanoseconds, 0, work)
    }

    /// Has work done on this worker again and again.
    ///
    /// On a worker's thread, as in `makeWorker`.
    ///
    /// - Throws: `outOfMemory` when the instance has 1,024 timers on this worker; `invalid` for a
    ///   period of 0.
    @discardableResult
    public func every(
        nanoseconds: UInt64,
        _ work: Owner.Work
    ) throws(ServiceError) -> ScheduledTimer {
        guard nanoseconds > 0 else { throw .invalid }
        return try set(nanoseconds, nanoseconds, work)
    }

    /// Ends a timer, on the worker that set it.
    ///
    /// - Returns: false when it has fired for the last time already.
    @discardableResult
    public func cancel(_ timer: ScheduledTimer) -> Bool {
        guard let services else { return false }
        var token = timer.token.cToken
        return services.pointee.core.pointee.timer_cancel(services.pointee.handle, &token) == 0
    }

    private func set(
        _ delay: UInt64,
        _ period: UInt64,
        _ work: Owner.Work
    ) throws(ServiceError) -> ScheduledTimer {
        guard let services else { return ScheduledTimer(token: HostToken()) }
        var token = sluice_token()
        let core = services.pointee.core
        try ServiceError.check(
            core.pointee.timer_set(
                services.pointee.handle,
                delay,
                period,
                services.pointee.perform,
                Self.pack(work),
                &token
            )
        )
        return ScheduledTimer(token: HostToken(token))
    }

    // The value travels as the bits of the pointer that the host passes back.

    static func pack(_ work: Owner.Work) -> UnsafeMutableRawPointer? {
        var bits: UInt = 0
        withUnsafeMutableBytes(of: &bits) { $0.storeBytes(of: work, as: Owner.Work.self) }
        return UnsafeMutableRawPointer(bitPattern: bits)
    }

    static func unpack(_ context: UnsafeMutableRawPointer?) -> Owner.Work {
        var bits = UInt(bitPattern: context)
        return withUnsafeMutableBytes(of: &bits) { $0.loadUnaligned(as: Owner.Work.self) }
    }
}

/// A timer that was set; a plain value.
public struct ScheduledTimer: Equatable, Sendable, BitwiseCopyable {
    let token: HostToken
}

/// Does work that blocks: reads a file, waits for another program, computes for long.
public protocol JobHook: Plugin, ~Copyable {
    /// What is to be done, and what came of it.
    associatedtype Job

    /// Does it, on a thread that may block; several at the same time.
    func run(_ job: inout Job)

    /// Takes the job that has run, on the worker that started it.
    func finish(_ job: consuming Job, on worker: inout Worker)
}

/// Where a plugin starts jobs.
///
/// Make it in `init`, and keep it.
public struct Jobs<Owner: JobHook & ~Copyable>: BitwiseCopyable {
    /// A job on its way; the host passes its address.
    struct Cell {
        var job: Owner.Job
        let isDetached: Bool
    }

    private let services: UnsafePointer<Services>?

    /// The jobs of the plugin whose host this is, which must offer `run` and `finish`.
    public init(_ host: Host) {
        services = host.services
        if let services {
            precondition(services.pointee.run != nil, "offer.run is missing")
            precondition(services.pointee.finish != nil, "offer.finish is missing")
        }
    }

    /// Runs a job, then gives it to `finish` on this worker.
    ///
    /// On a worker's thread.
    ///
    /// When the worker stops meanwhile, `finish` is not called.
    ///
    /// - Throws: `again` when 1,024 jobs of the instance wait or run.
    public func start(_ job: consuming Owner.Job) throws(ServiceError) {
        try offload(job, isDetached: false)
    }

    /// Runs a job, and drops it then.
    ///
    /// On a worker's thread or in `init`.
    ///
    /// - Throws: `again` when 1,024 jobs of the instance wait or run.
    public func startDetached(_ job: consuming Owner.Job) throws(ServiceError) {
        try offload(job, isDetached: true)
    }

    private func offload(_ job: consuming Owner.Job, isDetached: Bool) throws(ServiceError) {
        guard let services else { return }
        let cell = UnsafeMutablePointer<Cell>.allocate(capacity: 1)
        cell.initialize(to: Cell(job: job, isDetached: isDetached))
        let result = services.pointee.core.pointee.offload(
            services.pointee.handle,
            services.pointee.run,
            isDetached ? nil : services.pointee.finish,
            cell
        )
        if result == 0 { return }
        cell.deinitialize(count: 1).deallocate()
        throw ServiceError(rawValue: result)
    }
}
