import SluiceSDK
import Synchronization

/// What an instance knows of one peer, for all workers: at a fixed address from the first worker
/// that hears of the peer to the last one that forgets it.
struct PeerRecord: ~Copyable {
    let id: UInt64
    /// Valid for the process.
    let address: Bytes
    let group: Unmanaged<UpstreamGroup>

    // Under the ledger's lock.

    /// Workers that know it, and its group.
    var holders = 0
    var isUp: Bool
    var isEjected = false
    /// That still count.
    var ejections = 0
    /// When the last ejection ended.
    var returnedAt: UInt64 = 0
    /// What the host was told last; nil when nothing.
    var told: Told?
    /// Why it is not healthy.
    var reason = ""

    // Of the worker that checks it.

    var checks: CheckState
    var nextCheck: UInt64
    var isChecking = false

    // Of all workers.

    /// Errors in a row.
    let errorRun = Atomic<UInt64>(0)
    /// When the window began; and its requests and errors.
    let windowStart = Atomic<UInt64>(0)
    let windowRequests = Atomic<UInt64>(0)
    let windowErrors = Atomic<UInt64>(0)
    /// When its ejection ends; 0 while it has none.
    let ejectedUntil = Atomic<UInt64>(0)

    struct Told: Equatable {
        var health: PeerHealth
        var isUsed: Bool
    }

    init(_ state: PeerState, _ group: UpstreamGroup, isUp: Bool, nextCheck: UInt64) {
        id = state.id
        address = state.address
        self.group = .passUnretained(group)
        self.isUp = isUp
        checks = CheckState(isUp: isUp)
        self.nextCheck = nextCheck
    }

    var health: PeerHealth { isUp ? (isEjected ? .ejected : .healthy) : .unhealthy }
}

/// What came of requests to a peer, counted without a lock.
extension PeerRecord {
    /// Why a peer must go.
    enum Verdict: Equatable {
        case stays
        case consecutive(UInt64)
        case rate(errors: UInt64, requests: UInt64)
    }

    /// Counts an attempt; any worker.
    borrowing func note(isError: Bool, _ rules: OutlierRules, now: UInt64) -> Verdict {
        var verdict = Verdict.stays
        if isError {
            let run = errorRun.wrappingAdd(1, ordering: .relaxed).newValue
            if rules.consecutive > 0, run >= UInt64(rules.consecutive) {
                verdict = .consecutive(run)
            }
        } else if errorRun.load(ordering: .relaxed) != 0 {
            errorRun.store(0, ordering: .relaxed)
        }
        guard rules.rate > 0 else { return verdict }
        let start = windowStart.load(ordering: .relaxed)
        if now &- start > rules.windowNanoseconds,
            windowStart.compareExchange(expected: start, desired: now, ordering: .relaxed).exchanged
        {
            // Those that count just now may get lost, which a rate can bear.
            windowRequests.store(0, ordering: .relaxed)
            windowErrors.store(0, ordering: .relaxed)
        }
        let requests = windowRequests.wrappingAdd(1, ordering: .relaxed).newValue
        guard isError else { return verdict }
        let errors = windowErrors.wrappingAdd(1, ordering: .relaxed).newValue
        if verdict == .stays, rules.isOutlier(requests: requests, errors: errors) {
            verdict = .rate(errors: errors, requests: requests)
        }
        return verdict
    }

    /// Begins to count anew.
    borrowing func forgetCounts() {
        errorRun.store(0, ordering: .relaxed)
        windowRequests.store(0, ordering: .relaxed)
        windowErrors.store(0, ordering: .relaxed)
    }
}

/// The records that one worker knows, by the peers' ids: open addressing in plain memory, which
/// requests read without a lock or a reference count.
struct PeerMap {
    private(set) var records: UnsafeMutablePointer<UnsafeMutablePointer<PeerRecord>?>?
    private(set) var capacity = 0

    /// A map of all of them.
    init(_ list: [UnsafeMutablePointer<PeerRecord>]) {
        guard !list.isEmpty else { return }
        capacity = 8
        while capacity < list.count * 2 { capacity *= 2 }
        let records = UnsafeMutablePointer<UnsafeMutablePointer<PeerRecord>?>
            .allocate(capacity: capacity)
        records.initialize(repeating: nil, count: capacity)
        for record in list {
            var place = Self.place(record.pointee.id, capacity)
            while records[place] != nil { place = (place + 1) & (capacity - 1) }
            records[place] = record
        }
        self.records = records
    }

    func find(_ id: UInt64) -> UnsafeMutablePointer<PeerRecord>? {
        guard let records else { return nil }
        var place = Self.place(id, capacity)
        // Safe: half of the places are empty, so the loop ends; places stay below the capacity.
        while let record = records[place] {
            if record.pointee.id == id { return record }
            place = (place &+ 1) & (capacity &- 1)
        }
        return nil
    }

    /// Calls the body with each record.
    func forEach(_ body: (UnsafeMutablePointer<PeerRecord>) -> Void) {
        for place in 0..<capacity {
            if let record = records?[place] { body(record) }
        }
    }

    /// Frees the map, but not the records.
    func deallocate() { records?.deallocate() }

    private static func place(_ id: UInt64, _ capacity: Int) -> Int {
        Int(truncatingIfNeeded: id &* 0x9E37_79B9_7F4A_7C15 >> 32) & (capacity - 1)
    }
}
