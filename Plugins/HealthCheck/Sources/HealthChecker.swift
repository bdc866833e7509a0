package import SluiceSDK
import Synchronization

/// Checks the peers of upstreams, and takes those out that fail requests.
///
/// Each peer is checked by one worker. Balancers and operators read the outcome in the host.
package struct HealthChecker: WorkHook, PeersHook, ProbeHook, UpstreamResultHook, ~Copyable {
    package static let id: StaticString = "org.sluice.health-check"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Checks peers, and takes those out that fail requests."
    package static var needs: HostTables { .peers }

    package enum Work: UInt8, BitwiseCopyable {
        /// Looks what is due.
        case tick
    }

    /// The id of the peer.
    package typealias Probe = UInt64

    /// One worker's view of the peers.
    package struct Worker {
        let index: Int
        /// The plugin's, one for each worker: it may be freed after the worker has stopped.
        let map: UnsafeMutablePointer<PeerMap>
    }

    /// Checks that one worker begins in one look: more wait for the next.
    static let checksPerTickMax = 64

    private let host: Host
    private let configuration: HealthConfiguration
    private let ledger: Ledger
    private let scheduler: Scheduler<HealthChecker>
    private let probes: Probes<HealthChecker>
    private let maps: UnsafeMutablePointer<PeerMap>
    private let workerCount: Int

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let settings = try HealthConfiguration(configuration, host)
        let ledger = Ledger(host, settings, try HealthMetrics.Definitions(host))
        do throws(ServiceError) {
            if settings.upstreams.isEmpty { try Peers(host).watch() }
            for name in settings.upstreams { try Peers(host).watch(name) }
        } catch {
            throw PluginError("the host's upstreams: " + String(Bytes(error.text)))
        }
        self.configuration = settings
        self.host = host
        self.ledger = ledger
        scheduler = Scheduler(host)
        probes = Probes(host)
        workerCount = host.workerCount
        maps = .allocate(capacity: workerCount)
        maps.initialize(repeating: PeerMap([]), count: workerCount)
    }

    deinit {
        for worker in 0..<workerCount { ledger.forget(maps[worker]) }
        maps.deallocate()
    }

    package func makeWorker(_ index: Int) -> Worker {
        // Without its timer a worker would check nothing; there is room for the first one.
        _ = try? scheduler.every(nanoseconds: configuration.tick, .tick)
        return Worker(index: index, map: maps + index)
    }

    // MARK: Peers

    package func peersChanged(_ upstream: Bytes, on worker: inout Worker) {
        guard configuration.covers(upstream) else { return }
        let old = worker.map.pointee
        worker.map.pointee = PeerMap(ledger.update(upstream))
        ledger.forget(old)
    }

    package func perform(_ work: Work, on worker: inout Worker) {
        let now = host.nowNanoseconds
        let (count, index) = (UInt64(workerCount), UInt64(worker.index))
        var left = Self.checksPerTickMax
        worker.map.pointee.forEach { record in
            // Each peer is looked after by one worker.
            guard record.pointee.id % count == index else { return }
            let until = record.pointee.ejectedUntil.load(ordering: .relaxed)
            if until != 0, now >= until { ledger.restore(record) }
            if left > 0, now >= record.pointee.nextCheck, !record.pointee.isChecking {
                left -= 1
                begin(record, now: now)
            }
        }
    }

    // MARK: Checks

    private func begin(_ record: UnsafeMutablePointer<PeerRecord>, now: UInt64) {
        guard let rules = configuration.active else { return }
        let group = record.pointee.group.takeUnretainedValue()
        var request = ProbeRequest(group.name, record.pointee.id)
        request.speaks = rules.speaks
        request.port = rules.port
        request.tls = rules.tls.probe
        request.method = rules.method
        request.path = rules.path
        request.authority = rules.host
        request.body = rules.body
        request.timeoutNanoseconds = rules.timeout
        do throws(ServiceError) {
            try probes.start(request, record.pointee.id) { fields in
                fields.add("user-agent", "sluice-health-check")
                if rules.expectation.kind == .grpc {
                    fields.add("content-type", "application/grpc")
                }
            }
            record.pointee.isChecking = true
            record.pointee.nextCheck = now + rules.times.next(random: host.random())
        } catch {
            // There is no room for more probes now, or the peer has just gone: at the next look.
            guard error == .invalid else { return }
            record.pointee.nextCheck = now + rules.times.next(random: host.random())
            host.log(.error, "a check can't be made: it breaks a rule of HTTP")
        }
    }

    package func probeDone(_ probe: UInt64, _ result: ProbeResult, on worker: inout Worker) {
        guard let rules = configuration.active, let record = worker.map.pointee.find(probe) else {
            return
        }
        record.pointee.isChecking = false
        let group = record.pointee.group.takeUnretainedValue()
        let complaint = rules.expectation.complaint(result)
        (complaint == nil ? group.metrics.good : group.metrics.bad).add()
        let hasChanged = record.pointee.checks.note(
            complaint == nil,
            rise: rules.rise,
            fall: rules.fall
        )
        if hasChanged { ledger.check(record, isUp: complaint == nil, complaint ?? "") }
    }

    // MARK: Requests

    package func upstreamResult(_ exchange: borrowing Exchange<HealthChecker>) -> Verdict {
        guard let rules = configuration.passive,
            let record = exchange.worker.map.pointee.find(exchange.peerID)
        else { return .next }
        let facts = exchange.facts
        // Another peer was quicker: that says nothing of this one's health.
        guard facts.attemptResult != .abandoned else { return .next }
        let isError = facts.attemptResult != .response || facts.status >= 500
        let verdict = record.pointee.note(
            isError: isError,
            rules,
            now: rules.rate > 0 ? facts.nowNanoseconds : 0
        )
        guard verdict != .stays, record.pointee.ejectedUntil.load(ordering: .relaxed) == 0 else {
            return .next
        }
        switch verdict {
        case .stays: break
        case .consecutive(let run): ledger.eject(record, rules, "\(run) errors in a row")
        case .rate(let errors, let requests):
            ledger.eject(record, rules, "\(errors) errors of \(requests) requests")
        }
        return .next
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<HealthChecker>.create($0, $1, $2) }
        offer.check = { Export<HealthChecker>.check($0, $1) }
        offer.perform = { Export<HealthChecker>.perform($0, $1, $2) }
        offer.peersChanged = { Export<HealthChecker>.peersChanged($0, $1, $2, $3) }
        offer.probeDone = { Export<HealthChecker>.probeDone($0, $1, $2, $3) }
        offer.upstreamResult = { Export<HealthChecker>.upstreamResult($0, $1, $2, $3, $4) }
    }

    package func narrow(_ offer: inout Offer) {
        if configuration.passive == nil { offer.upstreamResult = nil }
    }
}
