import SluiceSDK
import Synchronization

/// The peers of one upstream.
final class UpstreamGroup {
    /// Valid for the process.
    let name: Bytes
    let metrics: HealthMetrics
    var version: UInt64 = 0
    var records: [UnsafeMutablePointer<PeerRecord>] = []
    var isPanicking = false

    init(_ name: Bytes, _ metrics: HealthMetrics) {
        self.name = name
        self.metrics = metrics
    }
}

/// Which peers there are and how they are: what workers share, and say to the host.
///
/// Taken under a lock when something changes, and never by a request that succeeds.
final class Ledger {
    /// What there is to be logged, after the lock was left.
    struct Line {
        let level: LogLevel
        let text: String
    }

    private let host: Host
    private let peers: Peers
    private let configuration: HealthConfiguration
    private let definitions: HealthMetrics.Definitions
    private let lock = Atomic<Bool>(false)
    private var groups: [UpstreamGroup] = []

    init(
        _ host: Host,
        _ configuration: HealthConfiguration,
        _ definitions: HealthMetrics.Definitions
    ) {
        self.host = host
        peers = Peers(host)
        self.configuration = configuration
        self.definitions = definitions
    }

    deinit {
        for group in groups {
            for record in group.records { release(record) }
        }
    }

    private func withLock<Result>(_ body: (inout [Line]) -> Result) -> Result {
        // Held for microseconds, a few times a second at most.
        while lock.exchange(true, ordering: .acquiring) {
            while lock.load(ordering: .relaxed) {}
        }
        var lines: [Line] = []
        let result = body(&lines)
        lock.store(false, ordering: .releasing)
        for line in lines { host.log(line.level) { line.text } }
        return result
    }

    // MARK: Peers

    /// The peers of an upstream have changed: the records of all upstreams, which the caller holds
    /// from now on.
    func update(_ upstream: Bytes) -> [UnsafeMutablePointer<PeerRecord>] {
        var version: UInt64 = 0
        let states = peers.peers(of: upstream, version: &version) ?? []
        return withLock { lines in
            let group = group(upstream)
            if version > group.version || states.isEmpty {
                group.version = max(version, group.version)
                replace(group, states)
                settle(group, &lines)
            }
            let all = groups.flatMap(\.records)
            for record in all { record.pointee.holders += 1 }
            return all
        }
    }

    /// A worker no longer knows these records.
    func forget(_ map: PeerMap) {
        withLock { _ in map.forEach { release($0) } }
        map.deallocate()
    }

    private func release(_ record: UnsafeMutablePointer<PeerRecord>) {
        record.pointee.holders -= 1
        guard record.pointee.holders == 0 else { return }
        record.deinitialize(count: 1)
        record.deallocate()
    }

    private func group(_ upstream: Bytes) -> UpstreamGroup {
        if let known = groups.first(where: { $0.name == upstream }) { return known }
        let made = UpstreamGroup(upstream, HealthMetrics(definitions, upstream))
        groups.append(made)
        return made
    }

    private func replace(_ group: UpstreamGroup, _ states: [PeerState]) {
        let old = group.records
        group.records = []
        for state in states where state.id != 0 {
            if let known = old.first(where: { $0.pointee.id == state.id }) {
                known.pointee.holders += 1
                group.records.append(known)
            } else {
                group.records.append(make(state, group))
            }
        }
        for record in old { release(record) }
    }

    /// A record of a peer that is new to this instance; what the one before it found still holds.
    private func make(
        _ state: PeerState,
        _ group: UpstreamGroup
    ) -> UnsafeMutablePointer<PeerRecord> {
        let now = host.nowNanoseconds
        var (isUp, next) = (true, UInt64.max)
        if let active = configuration.active {
            isUp = active.isHealthyAtFirst && state.health != .unhealthy
            next = now + active.times.first(random: host.random())
        }
        let record = UnsafeMutablePointer<PeerRecord>.allocate(capacity: 1)
        record.initialize(to: PeerRecord(state, group, isUp: isUp, nextCheck: next))
        record.pointee.holders = 1
        if !isUp {
            record.pointee.reason =
                state.health == .unhealthy ? "as before this configuration" : "not checked yet"
        }
        if state.health == .ejected, let passive = configuration.passive {
            record.pointee.isEjected = true
            record.pointee.ejections = 1
            record.pointee.reason = "as before this configuration"
            record.pointee.ejectedUntil.store(
                now + passive.nanoseconds(ejections: 1),
                ordering: .relaxed
            )
        }
        return record
    }

    // MARK: Changes

    /// A peer's checks say something else than before.
    func check(_ record: UnsafeMutablePointer<PeerRecord>, isUp: Bool, _ reason: String) {
        withLock { lines in
            record.pointee.isUp = isUp
            record.pointee.reason = isUp ? "" : reason
            let group = record.pointee.group.takeUnretainedValue()
            lines.append(
                Line(
                    level: isUp ? .info : .warn,
                    text: text(record, group, isUp ? "is healthy again" : "is unhealthy: " + reason)
                )
            )
            settle(group, &lines)
        }
    }

    /// Takes a peer out for requests that failed, unless too many are out already.
    func eject(_ record: UnsafeMutablePointer<PeerRecord>, _ rules: OutlierRules, _ reason: String)
    {
        let now = host.nowNanoseconds
        withLock { lines in
            let group = record.pointee.group.takeUnretainedValue()
            let out = group.records.count { $0.pointee.isEjected }
            guard !record.pointee.isEjected, out < rules.ejectedMax(of: group.records.count)
            else { return }
            let quiet = now - min(record.pointee.returnedAt, now)
            record.pointee.ejections =
                rules.remembered(ejections: record.pointee.ejections, quietNanoseconds: quiet) + 1
            let time = rules.nanoseconds(ejections: record.pointee.ejections)
            record.pointee.isEjected = true
            record.pointee.reason = reason
            record.pointee.ejectedUntil.store(now + time, ordering: .relaxed)
            group.metrics.ejections.add()
            let what = "is ejected for \(time / 1_000_000) ms: " + reason
            lines.append(Line(level: .warn, text: text(record, group, what)))
            settle(group, &lines)
        }
    }

    /// A peer's time out is over.
    func restore(_ record: UnsafeMutablePointer<PeerRecord>) {
        let now = host.nowNanoseconds
        withLock { lines in
            guard record.pointee.isEjected else { return }
            record.pointee.isEjected = false
            record.pointee.returnedAt = now
            record.pointee.forgetCounts()
            record.pointee.ejectedUntil.store(0, ordering: .relaxed)
            if record.pointee.isUp { record.pointee.reason = "" }
            let group = record.pointee.group.takeUnretainedValue()
            lines.append(Line(level: .info, text: text(record, group, "is no longer ejected")))
            settle(group, &lines)
        }
    }

    /// Looks whether there is panic, and says to the host what it does not know yet.
    private func settle(_ group: UpstreamGroup, _ lines: inout [Line]) {
        let healthy = group.records.count { $0.pointee.health == .healthy }
        let isPanicking = Panic.isOn(
            healthy: healthy,
            of: group.records.count,
            percent: configuration.panic
        )
        if isPanicking != group.isPanicking {
            group.isPanicking = isPanicking
            let text =
                isPanicking
                ? "panic: \(healthy) of \(group.records.count) peers are healthy: all are used"
                : "panic is over: \(healthy) of \(group.records.count) peers are healthy"
            lines.append(
                Line(
                    level: isPanicking ? .error : .info,
                    text: "upstream " + String(group.name) + ": " + text
                )
            )
        }
        for record in group.records { tell(record, group, isUsed: isPanicking) }
        group.metrics.healthy.set(healthy)
        group.metrics.unhealthy.set(group.records.count { $0.pointee.health == .unhealthy })
        group.metrics.ejected.set(group.records.count { $0.pointee.health == .ejected })
        group.metrics.panic.set(isPanicking ? 1 : 0)
    }

    private func tell(
        _ record: UnsafeMutablePointer<PeerRecord>,
        _ group: UpstreamGroup,
        isUsed: Bool
    ) {
        let health = record.pointee.health
        let now = PeerRecord.Told(health: health, isUsed: isUsed && health != .healthy)
        guard record.pointee.told != now else { return }
        if let told = record.pointee.told, told.health != health {
            group.metrics.changes[Int(health.rawValue)].add()
        }
        record.pointee.told = now
        var reason = health == .healthy ? "" : record.pointee.reason
        reason.withUTF8 { text in
            let bytes = text.baseAddress.map { Bytes($0, count: text.count) } ?? .empty
            // It may have gone a moment ago.
            try? peers.setHealth(record.pointee.id, health, isUsed: now.isUsed, reason: bytes)
        }
    }

    private func text(
        _ record: UnsafeMutablePointer<PeerRecord>,
        _ group: UpstreamGroup,
        _ what: String
    ) -> String {
        "upstream " + String(group.name) + ": peer " + String(record.pointee.address) + " " + what
    }
}

/// What is counted of one upstream.
struct HealthMetrics {
    /// Made once, in `init` of the plugin.
    struct Definitions {
        let checks: Metric
        let changes: Metric
        let ejections: Metric
        let peers: Metric
        let panic: Metric

        init(_ host: Host) throws(PluginError) {
            checks = try host.counters(
                "health_checks_total",
                help: "Checks of peers by their result.",
                labels: ["upstream", "result"],
                seriesMax: 1_000
            )
            changes = try host.counters(
                "health_changes_total",
                help: "Peers that got into another state.",
                labels: ["upstream", "to"],
                seriesMax: 1_000
            )
            ejections = try host.counters(
                "health_ejections_total",
                help: "Peers that were taken out for requests that failed.",
                labels: ["upstream"],
                seriesMax: 1_000
            )
            peers = try host.gauges(
                "health_peers",
                help: "Peers by their state.",
                labels: ["upstream", "state"],
                seriesMax: 1_000
            )
            panic = try host.gauges(
                "health_panic",
                help: "1 while all peers are used because too few are healthy.",
                labels: ["upstream"],
                seriesMax: 1_000
            )
        }
    }

    let good: Counter
    let bad: Counter
    /// By `PeerHealth`.
    let changes: [Counter]
    let ejections: Counter
    let healthy: Gauge
    let unhealthy: Gauge
    let ejected: Gauge
    let panic: Gauge

    init(_ definitions: Definitions, _ upstream: Bytes) {
        // The labels are as many as were defined, so none of these can fail.
        do throws(PluginError) {
            good = try definitions.checks.counter(upstream, "success")
            bad = try definitions.checks.counter(upstream, "failure")
            changes = [
                try definitions.changes.counter(upstream, "healthy"),
                try definitions.changes.counter(upstream, "unhealthy"),
                try definitions.changes.counter(upstream, "ejected"),
            ]
            ejections = try definitions.ejections.counter(upstream)
            healthy = try definitions.peers.gauge(upstream, "healthy")
            unhealthy = try definitions.peers.gauge(upstream, "unhealthy")
            ejected = try definitions.peers.gauge(upstream, "ejected")
            panic = try definitions.panic.gauge(upstream)
        } catch {
            preconditionFailure("a metric of an upstream: \(error.line)")
        }
    }
}
