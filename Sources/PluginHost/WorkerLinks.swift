import CSluice

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

    public init(
        slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>,
        waits: Unmanaged<WaitTable>?,
        workerIndex: Int
    ) {
        self.slots = slots
        self.waits = waits
        self.workerIndex = workerIndex
        args = .allocate(capacity: 1)
        args.initialize(to: sluice_args())
        args.pointee.size = UInt32(MemoryLayout<sluice_args>.size)
    }
}
