import Reactor
import Synchronization

/// What an upstream does beyond the usual, as workers see it; an upstream without any of it has
/// none, and its requests pay for no more than a look.
struct FailoverPlan {
    let load: UpstreamLoad
    let on: RetryConditions
    let budget: RetryBudget
    let limits: UpstreamLimits
    /// Milliseconds; 0 is none.
    let tryTimeout: UInt64
    let timeout: UInt64
    let hedgeAfter: UInt64

    /// Nil when the settings ask for nothing of it.
    static func make(
        _ settings: UpstreamSettings,
        _ load: UpstreamLoad
    ) -> UnsafeMutablePointer<FailoverPlan>? {
        let retries = settings.retries
        guard
            retries.on != .usual || retries.tryTimeout > 0 || retries.timeout > 0
                || settings.hedge.after > 0 || settings.limits.isUsed
        else { return nil }
        let plan = UnsafeMutablePointer<FailoverPlan>.allocate(capacity: 1)
        plan.initialize(
            to: FailoverPlan(
                load: load,
                on: retries.on,
                budget: retries.budget,
                limits: settings.limits,
                tryTimeout: UInt64(retries.tryTimeout),
                timeout: UInt64(retries.timeout),
                hedgeAfter: UInt64(settings.hedge.after)
            )
        )
        return plan
    }
}

/// What is under way to the peers of an upstream, over all workers and all plans that have an
/// upstream of this name.
///
/// Relaxed atomics and no lock. A count is raised first and then compared with its limit, so that a
/// limit is never passed; two workers at the same moment may both find it reached, and wait.
struct UpstreamLoad: @unchecked Sendable {
    // Safe: atomics at fixed addresses that are never given back; a queue is touched by its worker
    // alone.

    private let cells: UnsafeMutablePointer<Atomic<Int>>
    private let queues: UnsafeMutablePointer<PendingQueue>
    private let workerCount: Int

    /// Each on cache lines of its own: 128 bytes, for lines are fetched in pairs.
    private static let stride = 16
    private static let activeCell = 0
    private static let retriesCell = 1
    private static let connectionsCell = 2
    private static let waitingCell = 3
    private static let cellCount = 4

    init(workers: Int) {
        // What waits on each worker comes behind the sums.
        let count = (Self.cellCount + workers) * Self.stride
        cells = .allocate(capacity: count)
        for index in 0..<count { cells.advanced(by: index).initialize(to: Atomic(0)) }
        queues = .allocate(capacity: workers)
        queues.initialize(repeating: PendingQueue(), count: workers)
        workerCount = workers
    }

    /// Requests between their first attempt and their end.
    var active: Int { value(Self.activeCell) }
    /// Of those: in an attempt that the budget counts.
    var retries: Int { value(Self.retriesCell) }
    /// To all peers, idle ones included.
    var connections: Int { value(Self.connectionsCell) }
    /// Requests that wait for a limit.
    var waiting: Int { value(Self.waitingCell) }

    // All return the count after the change.

    func addActive(_ change: Int) -> Int { add(Self.activeCell, change) }
    func addRetries(_ change: Int) -> Int { add(Self.retriesCell, change) }
    func addConnections(_ change: Int) -> Int { add(Self.connectionsCell, change) }

    /// - Parameter worker: whose queue changes.
    func addWaiting(_ change: Int, worker: Int) -> Int {
        _ = add(Self.cellCount &+ worker, change)
        return add(Self.waitingCell, change)
    }

    /// A worker on which requests wait, looked for from this one on; nil when there is none.
    func waitingWorker(from first: Int) -> Int? {
        for offset in 0..<workerCount {
            let worker = (first &+ offset) % workerCount
            if value(Self.cellCount &+ worker) > 0 { return worker }
        }
        return nil
    }

    /// Requests of one worker that wait.
    func waiting(worker: Int) -> Int { value(Self.cellCount &+ worker) }

    /// The queue of one worker. [the worker]
    func queue(_ worker: Int) -> UnsafeMutablePointer<PendingQueue> { queues + worker }

    private func value(_ cell: Int) -> Int {
        cells[cell &* Self.stride].load(ordering: .relaxed)
    }

    private func add(_ cell: Int, _ change: Int) -> Int {
        cells[cell &* Self.stride].wrappingAdd(change, ordering: .relaxed).newValue
    }
}

/// Requests of one worker that wait for a limit of an upstream, the oldest first.
struct PendingQueue {
    var first: UnsafeMutablePointer<FailoverState>?
    var last: UnsafeMutablePointer<FailoverState>?
    /// In the worker's list of queues to look at.
    var isDue = false
    var nextDue: UnsafeMutablePointer<PendingQueue>?

    mutating func append(_ state: UnsafeMutablePointer<FailoverState>) {
        state.pointee.next = nil
        state.pointee.previous = last
        last?.pointee.next = state
        last = state
        if first == nil { first = state }
        state.pointee.isQueued = true
    }

    mutating func remove(_ state: UnsafeMutablePointer<FailoverState>) {
        if let previous = state.pointee.previous {
            previous.pointee.next = state.pointee.next
        } else {
            first = state.pointee.next
        }
        if let next = state.pointee.next {
            next.pointee.previous = state.pointee.previous
        } else {
            last = state.pointee.previous
        }
        state.pointee.next = nil
        state.pointee.previous = nil
        state.pointee.isQueued = false
    }
}

/// Which limit of an upstream was reached.
enum UpstreamLimit: UInt8 {
    case none
    case inFlight
    case connections
    case peerInFlight
    case peerConnections

    /// For the log.
    var reason: StaticString {
        switch self {
        case .none: ""
        case .inFlight: "limits.in_flight is reached"
        case .connections: "limits.connections is reached"
        case .peerInFlight: "limits.per_peer.in_flight is reached"
        case .peerConnections: "limits.per_peer.connections is reached"
        }
    }
}

/// What an exchange keeps while its upstream has a `FailoverPlan`: in the request's arena.
struct FailoverState {
    /// Bounds the time in the queue; first, so that the timer's address is the state's.
    var timer = TimerNode(kind: TimerKind.pending)
    let exchange: UnsafeMutablePointer<Exchange>
    let plan: UnsafeMutablePointer<FailoverPlan>
    /// Neighbours in the queue.
    var next: UnsafeMutablePointer<FailoverState>?
    var previous: UnsafeMutablePointer<FailoverState>?
    /// Milliseconds of the worker's clock: when the first attempt began, or the request's body
    /// ended.
    var begun: UInt64
    /// When the present attempt must have its response's head.
    var tryDeadline = UInt64.max
    var waitsUntil: UInt64 = 0
    /// Nanoseconds of the worker's clock.
    var waitsSince: UInt64 = 0
    /// The peer that was chosen before the response of another one was dropped; -1 for none.
    var candidate: Int32 = -1
    /// Counted among the active ones.
    var isAdmitted = false
    /// Counted in the budget.
    var isRetrying = false
    var isQueued = false
    /// The attempt that was just begun found a limit reached.
    var waits = false
    /// What the limit was, for the log.
    var limit = UpstreamLimit.none
    /// A second attempt was made beside the first, or could not be.
    var isHedged = false
    var beside = AttemptBeside()

    /// When all attempts of the request must be over.
    var bound: UInt64 {
        let timeout = plan.pointee.timeout
        return timeout > 0 ? begun &+ timeout : .max
    }
}

/// The attempt that is under way beside an exchange's current one: what the exchange has of that
/// one, kept until they change places.
struct AttemptBeside {
    var up: UnsafeMutablePointer<Upstream>?
    var response = ResponsePhase.none
    var flags: ExchangeFlags = []
    var attempt: UInt32 = 0
    var isReused: UInt32 = 0
    var begun: UInt64 = 0
    var connected: UInt64 = 0

    /// Flags of an exchange that are of its attempt.
    static let ownFlags: ExchangeFlags = [
        .sentToPeer, .peerStoppedReading, .closeUpstream, .inFlight,
    ]
}
