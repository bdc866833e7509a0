import RateLimiting
import SluiceSDK

/// Tells the store what was let in here, and learns what was let in elsewhere.
///
/// Runs on a blocking thread, one at a time: no request waits for it.
final class Synchronizer {
    /// After a failure nobody is asked for so long.
    static let retryNanoseconds: UInt64 = 500_000_000
    /// Without anything to tell, the store is asked so often whether it is there.
    static let idleNanoseconds: UInt64 = 1_000_000_000

    private struct Entry {
        let rule: Rule
        let table: KeyTable
        let prefix: [UInt8]
    }

    let syncNanoseconds: UInt64
    private let host: Host
    private let store: Store
    private let address: String
    private let policy: StoreDownPolicy
    private let entries: [Entry]
    private let isUpGauge: Gauge
    private let syncs: Counter
    private let failures: Counter
    private let pushes: Counter
    private var changes: [KeyTable.Change] = []
    private var isDown = false
    private var lastTalk: UInt64 = 0
    private var retryTime: UInt64 = 0

    init(_ reader: StoreReader, _ rules: List<Rule>, _ host: Host) throws(PluginError) {
        self.host = host
        store = Store(reader.settings)
        address = reader.address
        policy = reader.policy
        syncNanoseconds = reader.syncNanoseconds
        var entries: [Entry] = []
        for rule in rules {
            guard let table = rule.table else { continue }
            let name = host.memory.join([
                reader.prefix, ":", rule.name, ":",
                host.memory.copy("\(rule.window / 1_000_000)"), ":",
            ])
            let prefix = [UInt8](UnsafeRawBufferPointer(start: name.start, count: name.count))
            entries.append(Entry(rule: rule, table: table, prefix: prefix))
        }
        guard !entries.isEmpty else {
            throw PluginError(path: "store", "no rule has \"shared: true\"")
        }
        self.entries = entries
        isUpGauge = try host.gauge(
            "ratelimit_store_up",
            help: "Whether the store answered when it was asked last."
        )
        let results = try host.counters(
            "ratelimit_store_syncs_total",
            help: "Talks with the store by result.",
            labels: ["result"]
        )
        syncs = try results.counter("ok")
        failures = try results.counter("failed")
        pushes = try host.counter(
            "ratelimit_store_changes_total",
            help: "Counts that the store was told."
        )
        changes.reserveCapacity(Store.batchMax)
        isUpGauge.set(1)
    }

    /// Talks with the store once.
    func sync() {
        let now = Machine.nowNanoseconds
        guard now >= retryTime else { return }
        do {
            for entry in entries { try sync(entry, now) }
            if now - lastTalk >= Self.idleNanoseconds || isDown {
                try store.ping()
                lastTalk = now
            }
            // With nothing to tell there was no talk.
            if lastTalk == now { noteUp() }
        } catch {
            noteDown(error)
            retryTime = Machine.nowNanoseconds + Self.retryNanoseconds
        }
    }

    private func sync(_ entry: Entry, _ now: UInt64) throws(StoreFailure) {
        let block = entry.rule.block
        // An instance that takes this one's place has the same table for a while.
        guard block.beginSync() else { return }
        defer { block.endSync() }
        block.updateWallOffset()
        let window = entry.rule.window
        let epoch = block.wallNanoseconds(host.nowNanoseconds) / window
        // A window is needed until the one after it has ended; one more for clocks that differ.
        let life = Int64(window / 1_000_000) * 3
        changes.removeAll(keepingCapacity: true)
        for slot in 0..<entry.table.capacity where entry.table.expire(slot, epoch: epoch) {
            for number in epoch - 1...epoch {
                guard let change = entry.table.change(slot, epoch: number) else { continue }
                changes.append(change)
                if changes.count == Store.batchMax { try push(entry, life, now) }
            }
        }
        if !changes.isEmpty { try push(entry, life, now) }
    }

    private func push(_ entry: Entry, _ life: Int64, _ now: UInt64) throws(StoreFailure) {
        try store.push(entry.table, changes, prefix: entry.prefix, lifeMilliseconds: life)
        pushes.add(changes.count)
        changes.removeAll(keepingCapacity: true)
        lastTalk = now
    }

    private func noteUp() {
        syncs.add()
        guard isDown else { return }
        isDown = false
        mark()
        isUpGauge.set(1)
        host.log(.info) { "store \(address) is back" }
    }

    private func noteDown(_ failure: StoreFailure) {
        failures.add()
        guard !isDown else { return }
        isDown = true
        mark()
        isUpGauge.set(0)
        let what =
            switch policy {
            case .local: "each machine keeps the limits by itself"
            case .allow: "its rules let everything in"
            case .refuse: "its rules refuse everything"
            }
        host.log(.warn) { "store \(address) \(failure.line); until it is back \(what)" }
    }

    private func mark() {
        for entry in entries { entry.rule.block.isStoreDown = isDown }
    }
}
