public import CSluice
import Synchronization

/// How a wait ended: what `resume` tells the worker.
public struct WaitEnd: Sendable {
    public let index: Int
    public let sequence: UInt64
    /// `SLUICE_RESUMED` or another reason of the ABI.
    public let reason: UInt32
    public let payload: UInt64
}

/// The waits of one worker: any thread may end one, only the worker begins and forgets them.
///
/// A slot's state is one word, the sequence number of its wait and what became of it, so that of
/// all that try to end a wait exactly one succeeds, and one that comes late finds another number.
public final class WaitTable: @unchecked Sendable {
    // Safe: what other threads read are atomics; the rest is the worker's alone.
    private struct Slot: ~Copyable {
        let state = Atomic<UInt64>(0)
        /// What waits; the worker's.
        var owner: UnsafeMutableRawPointer?
        /// Nanoseconds that the plugin asked for.
        var timeout: UInt64 = 0
        var nextFree: Int32 = -1
    }

    /// Waits that a worker has at the same time.
    public static let waitsMax = 65_536
    private static let chunkCount = 1_024

    private let worker: Int
    private let post: @Sendable (WaitEnd) -> Void
    /// Addresses of chunks of slots; a chunk is made when it is first needed and never freed.
    private let chunks: UnsafeMutablePointer<Atomic<UInt>>
    private var chunksMade = 0
    private var firstFree: Int32 = -1
    private var sequence: UInt64 = 0
    public private(set) var count = 0

    private enum Status {
        static let over: UInt64 = 0
        static let waiting: UInt64 = 1
        /// Somebody ended it, and the worker has not heard of that yet.
        static let ended: UInt64 = 2
        static let bits: UInt64 = 2
    }

    /// - Parameters:
    ///   - worker: index, up to `Suspensions.workersMax`.
    ///   - post: leaves an end in the worker's mailbox; called from any thread.
    public init(worker: Int, post: @escaping @Sendable (WaitEnd) -> Void) {
        self.worker = worker
        self.post = post
        chunks = .allocate(capacity: Self.waitsMax / Self.chunkCount)
        for index in 0..<Self.waitsMax / Self.chunkCount {
            chunks.advanced(by: index).initialize(to: Atomic(0))
        }
    }

    private func slot(_ index: Int) -> UnsafeMutablePointer<Slot>? {
        let chunk = chunks[index / Self.chunkCount].load(ordering: .acquiring)
        return UnsafeMutablePointer<Slot>(bitPattern: chunk)?
            .advanced(by: index % Self.chunkCount)
    }

    // MARK: Any thread

    /// Ends a wait; false when it is over already.
    func end(index: Int, sequence: UInt64, reason: UInt32, payload: UInt64) -> Bool {
        guard index < Self.waitsMax, let slot = slot(index) else { return false }
        let (exchanged, _) = slot.pointee.state.compareExchange(
            expected: sequence << Status.bits | Status.waiting,
            desired: sequence << Status.bits | Status.ended,
            ordering: .acquiringAndReleasing
        )
        if exchanged {
            post(WaitEnd(index: index, sequence: sequence, reason: reason, payload: payload))
        }
        return exchanged
    }

    /// Whether nobody has ended a wait yet.
    func isWaiting(index: Int, sequence: UInt64) -> Bool {
        guard index < Self.waitsMax, let slot = slot(index) else { return false }
        return slot.pointee.state.load(ordering: .relaxed)
            == sequence << Status.bits | Status.waiting
    }

    // MARK: The worker

    /// Begins a wait; nil when there are `waitsMax`.
    func begin(timeout: UInt64) -> sluice_token? {
        if firstFree < 0 { grow() }
        guard firstFree >= 0, let slot = slot(Int(firstFree)) else { return nil }
        let index = Int(firstFree)
        firstFree = slot.pointee.nextFree
        count += 1
        sequence += 1
        slot.pointee.owner = nil
        slot.pointee.timeout = timeout
        slot.pointee.state.store(
            sequence << Status.bits | Status.waiting,
            ordering: .releasing
        )
        return sluice_token(
            slot: UInt32(worker << Suspensions.indexBits | index),
            generation: UInt32(truncatingIfNeeded: sequence),
            sequence: sequence
        )
    }

    private func grow() {
        guard chunksMade < Self.waitsMax / Self.chunkCount else { return }
        let chunk = UnsafeMutablePointer<Slot>.allocate(capacity: Self.chunkCount)
        let base = chunksMade * Self.chunkCount
        for index in 0..<Self.chunkCount {
            chunk.advanced(by: index).initialize(to: Slot())
            chunk[index].nextFree = index + 1 < Self.chunkCount ? Int32(base + index + 1) : -1
        }
        chunks[chunksMade].store(UInt(bitPattern: chunk), ordering: .releasing)
        chunksMade += 1
        firstFree = Int32(base)
    }

    /// Says who waits, and how long it asked to.
    public func attach(_ owner: UnsafeMutableRawPointer, to token: sluice_token) -> UInt64 {
        guard let slot = slot(Suspensions.index(token)) else { return 0 }
        slot.pointee.owner = owner
        return slot.pointee.timeout
    }

    /// Takes note of an end that came by the mailbox: what waited, or nil when the wait was
    /// cancelled meanwhile.
    public func finish(_ end: WaitEnd) -> UnsafeMutableRawPointer? {
        guard let slot = slot(end.index),
            slot.pointee.state.load(ordering: .relaxed)
                == end.sequence << Status.bits | Status.ended
        else { return nil }
        let owner = slot.pointee.owner
        free(end.index, slot, end.sequence)
        return owner
    }

    /// Ends a wait whose time is over; false when somebody else has just ended it.
    public func expire(_ token: sluice_token) -> Bool {
        guard let slot = slot(Suspensions.index(token)) else { return false }
        let (exchanged, _) = slot.pointee.state.compareExchange(
            expected: token.sequence << Status.bits | Status.waiting,
            desired: token.sequence << Status.bits | Status.over,
            ordering: .acquiringAndReleasing
        )
        if exchanged { free(Suspensions.index(token), slot, token.sequence) }
        return exchanged
    }

    /// Forgets a wait: nobody can end it any more.
    public func cancel(_ token: sluice_token) {
        guard let slot = slot(Suspensions.index(token)) else { return }
        free(Suspensions.index(token), slot, token.sequence)
    }

    private func free(_ index: Int, _ slot: UnsafeMutablePointer<Slot>, _ sequence: UInt64) {
        slot.pointee.state.store(sequence << Status.bits | Status.over, ordering: .releasing)
        slot.pointee.owner = nil
        slot.pointee.nextFree = firstFree
        firstFree = Int32(index)
        count -= 1
    }
}

/// Waiting of requests: `suspend` and `resume` of `sluice.http/1`.
public enum Suspensions {
    /// Workers that tokens can name.
    public static let workersMax = 1_024
    static let indexBits = 20

    // Safe: atomics in memory that is never freed.
    private nonisolated(unsafe) static let tables: UnsafeMutablePointer<Atomic<UInt>> = {
        let tables = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: workersMax)
        for index in 0..<workersMax { tables.advanced(by: index).initialize(to: Atomic(0)) }
        return tables
    }()

    /// Makes a worker's table known to `resume`, for the life of the process.
    public static func register(_ table: WaitTable, worker: Int) {
        precondition(worker < workersMax, "more than \(workersMax) workers")
        let address = UInt(bitPattern: Unmanaged.passRetained(table).toOpaque())
        tables[worker].store(address, ordering: .releasing)
    }

    static func index(_ token: sluice_token) -> Int { Int(token.slot & (1 << indexBits - 1)) }

    /// Phases whose hooks may wait, a bit each.
    static let phases: UInt32 =
        1 << UInt32(SLUICE_PHASE_REQUEST_HEADERS) | 1 << UInt32(SLUICE_PHASE_CACHE_LOOKUP)
        | 1 << UInt32(SLUICE_PHASE_REQUEST_BODY)
        | 1 << UInt32(SLUICE_PHASE_UPSTREAM_REQUEST) | 1 << UInt32(SLUICE_PHASE_UPSTREAM_RESPONSE)
        | 1 << UInt32(SLUICE_PHASE_UPSTREAM_BODY) | 1 << UInt32(SLUICE_PHASE_RESPONSE_HEADERS)
        | 1 << UInt32(SLUICE_PHASE_RESPONSE_BODY)

    /// Begins the wait of the hook that is running. [worker]
    ///
    /// - Parameter timeout: nanoseconds; 0 for the host's bound.
    public static func suspend(
        _ context: UnsafeMutablePointer<RequestContext>,
        timeout: UInt64,
        token: UnsafeMutablePointer<sluice_token>
    ) -> Int32 {
        let worker = context.pointee.worker
        guard worker.pointee.context == context, let entry = worker.pointee.entry else {
            // In no hook of this request, so whose call it is can't be told.
            return Int32(SLUICE_ENOTSUP)
        }
        guard phases & (1 << (worker.pointee.args.pointee.phase & 31)) != 0,
            // A cache is asked again in place of being told.
            entry.pointee.resumed != nil
                || worker.pointee.args.pointee.phase == UInt32(SLUICE_PHASE_CACHE_LOOKUP),
            let waits = worker.pointee.waits
        else {
            entry.pointee.plugin.pointee.count(.misuse)
            return Int32(SLUICE_ENOTSUP)
        }
        guard worker.pointee.wait.sequence == 0 else {
            entry.pointee.plugin.pointee.count(.misuse)
            return Int32(SLUICE_EINVAL)
        }
        let begun = waits._withUnsafeGuaranteedRef { $0.begin(timeout: timeout) }
        guard let begun else { return Int32(SLUICE_ENOMEM) }
        worker.pointee.wait = begun
        token.pointee = begun
        return Int32(SLUICE_OK)
    }

    /// Whether nobody has ended a wait yet. [any thread]
    static func isWaiting(_ token: sluice_token) -> Bool {
        let worker = Int(token.slot >> indexBits)
        guard token.sequence != 0, worker < workersMax,
            let table = UnsafeRawPointer(bitPattern: tables[worker].load(ordering: .acquiring))
        else { return false }
        // Safe: `register` keeps tables for ever.
        return Unmanaged<WaitTable>.fromOpaque(table)._withUnsafeGuaranteedRef {
            $0.isWaiting(index: index(token), sequence: token.sequence)
        }
    }

    /// Ends a wait: OK when this call ended it, else ESTALE. [any thread]
    public static func resume(
        _ token: sluice_token,
        reason: UInt32,
        payload: UInt64
    ) -> Int32 {
        let worker = Int(token.slot >> indexBits)
        guard token.sequence != 0, worker < workersMax,
            token.generation == UInt32(truncatingIfNeeded: token.sequence),
            let table = UnsafeRawPointer(bitPattern: tables[worker].load(ordering: .acquiring))
        else { return Int32(SLUICE_ESTALE) }
        // Safe: `register` keeps tables for ever.
        let isEnded = Unmanaged<WaitTable>.fromOpaque(table)._withUnsafeGuaranteedRef {
            $0.end(
                index: index(token),
                sequence: token.sequence,
                reason: reason,
                payload: payload
            )
        }
        return Int32(isEnded ? SLUICE_OK : SLUICE_ESTALE)
    }
}
