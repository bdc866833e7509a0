import CSluice
public import Sys

/// What a worker's calls into plugins share, at a fixed address: every request's context points to
/// it, so that a function of the host that is given a request finds its worker.
public struct WorkerLinks {
    /// The worker's slot of each instance.
    public let slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// The worker's waits; nil where nothing can wait.
    public let waits: Unmanaged<WaitTable>?
    public let workerIndex: Int
    /// The arguments of the hook that runs.
    let args: UnsafeMutablePointer<sluice_args>
    /// The hook that runs and its request; nil between hooks.
    var entry: UnsafeMutablePointer<HookEntry>?
    var context: UnsafeMutablePointer<RequestContext>?
    /// The wait that the running hook began; `sequence` is 0 without one.
    var wait = sluice_token()
    /// Whether hooks are timed now.
    var isTimed = false
    /// Whether calls of hooks are counted: somebody can ask for metrics.
    public var isCounting = Metrics.haveReader
    /// Nanoseconds of the monotonic clock, while hooks are timed.
    var hookStart: UInt64 = 0
    /// Where calls of hooks are counted.
    let cells: MetricCells.Pages
    /// Circuits of the worker that requests have to ask.
    public internal(set) var watchedCircuits = 0
    /// Where the worker is in the code of plugins.
    public var crumb: Breadcrumb

    public init(
        slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>,
        waits: Unmanaged<WaitTable>?,
        workerIndex: Int
    ) {
        self.slots = slots
        self.waits = waits
        self.workerIndex = workerIndex
        cells = MetricRegistry.shared.pages(ofWorker: workerIndex)
        args = .allocate(capacity: 1)
        args.initialize(to: sluice_args())
        args.pointee.size = UInt32(MemoryLayout<sluice_args>.size)
        // Addresses come with the links' own (`settle`).
        crumb = Breadcrumb(worker: workerIndex, hookRequest: args, hookEntry: args, hookPhase: args)
    }

    /// Says where the links are from now on.
    static func settle(_ links: UnsafeMutablePointer<WorkerLinks>) {
        let base = UnsafeRawPointer(links)
        let args = UnsafeRawPointer(links.pointee.args)
        guard let context = MemoryLayout<WorkerLinks>.offset(of: \.context),
            let entry = MemoryLayout<WorkerLinks>.offset(of: \.entry),
            let phase = MemoryLayout<sluice_args>.offset(of: \.phase)
        else { preconditionFailure("no offsets of the worker's links") }
        links.pointee.crumb = Breadcrumb(
            worker: links.pointee.workerIndex,
            hookRequest: base + context,
            hookEntry: base + entry,
            hookPhase: args + phase
        )
        links.pointee.crumb.call = PluginCall.pick.rawValue
    }

    /// The breadcrumb of a worker's links.
    public static func crumb(
        _ links: UnsafeMutablePointer<WorkerLinks>
    ) -> UnsafeMutablePointer<Breadcrumb> {
        guard let offset = MemoryLayout<WorkerLinks>.offset(of: \.crumb) else {
            preconditionFailure("no offset of the breadcrumb")
        }
        // Safe: the links stay where they are, and the member with them.
        return (UnsafeMutableRawPointer(links) + offset)
            .assumingMemoryBound(to: Breadcrumb.self)
    }
}
