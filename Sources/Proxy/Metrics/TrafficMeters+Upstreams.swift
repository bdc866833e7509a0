import CSluice
import PluginHost
import Synchronization

/// What workers have counted of upstreams, and how these stand. [any thread]
extension PlanTables {
    func writeUpstreams(_ tables: TrafficMeters.Tables, _ writer: MetricWriter) {
        let upstreams = tables.upstreams.entries.map { entry in
            (labels: [("upstream", entry.key)] as MetricLabels, sums: entry.meter.sums)
        }
        /// A family of counters, a sample a word.
        func counters(
            _ name: String,
            _ help: String,
            _ label: String,
            _ values: [(String, Int)]
        ) {
            writer.family(name, .counter, help)
            for upstream in upstreams {
                for (value, word) in values {
                    let labels = upstream.labels + (label.isEmpty ? [] : [(label, value)])
                    writer.sample(upstream.sums[word], labels)
                }
            }
        }
        counters(
            "sluice_upstream_responses_total",
            "Heads of final responses of peers, by the class of their status.",
            "code",
            (1..<RouteWords.classCount).map {
                (RouteWords.classNames[$0], UpstreamWords.responses + $0)
            }
        )
        counters(
            "sluice_upstream_attempt_failures_total",
            "Attempts that had no response, by why.",
            "reason",
            UpstreamWords.failedNames.enumerated().dropFirst().map {
                ($0.element, UpstreamWords.failed + $0.offset)
            }
        )
        counters(
            "sluice_upstream_requests_sent_total",
            "Attempts' requests that were sent, by the connection that they went on.",
            "connection",
            [("new", UpstreamWords.sentNew), ("reused", UpstreamWords.sentNew + 1)]
        )
        counters(
            "sluice_upstream_retries_total",
            "Further attempts after one that came to nothing, by why.",
            "reason",
            RetryReason.allCases.map { ("\($0)", UpstreamWords.retries + $0.rawValue) }
        )
        counters(
            "sluice_upstream_hedges_total",
            "Attempts that were made beside one that took long.",
            "",
            [("", UpstreamWords.hedges)]
        )
        counters(
            "sluice_upstream_retry_budget_refusals_total",
            "Further attempts that retries.budget has not allowed.",
            "",
            [("", UpstreamWords.budgetRefusals)]
        )
        writeRefusals(counters)
    }

    private func writeRefusals(
        _ counters: (String, String, String, [(String, Int)]) -> Void
    ) {
        counters(
            "sluice_upstream_limit_refusals_total",
            "Requests that were refused for a limit of the upstream.",
            "limit",
            [
                ("in_flight", UpstreamLimit.inFlight), ("connections", .connections),
                ("per_peer.in_flight", .peerInFlight),
                ("per_peer.connections", .peerConnections),
            ].map { ($0.0, UpstreamWords.refusals + Int($0.1.rawValue)) }
        )
        counters(
            "sluice_upstream_pending_timeouts_total",
            "Requests that found no room in limits.pending_timeout.",
            "",
            [("", UpstreamWords.pendingTimeouts)]
        )
        counters(
            "sluice_upstream_connect_failures_total",
            "Connections that could not be made, by the step that failed.",
            "step",
            [
                ("connect", UpstreamWords.connectFailures),
                ("tls_handshake", UpstreamWords.handshakeFailures),
            ]
        )
    }

    func writeTimes(_ tables: TrafficMeters.Tables, _ writer: MetricWriter) {
        let upstreams = tables.upstreams.entries.map { ($0.key, $0.meter.sums) }
        let histograms = [
            (
                "sluice_upstream_first_byte_seconds", UpstreamWords.firstByte,
                "From sending a request without a body to the head of its response."
            ),
            (
                "sluice_upstream_connect_seconds", UpstreamWords.connect,
                "Until a connection stood, without TLS."
            ),
            (
                "sluice_upstream_tls_handshake_seconds", UpstreamWords.handshake,
                "TLS handshakes with peers."
            ),
            (
                "sluice_upstream_pending_seconds", UpstreamWords.pending,
                "Time that requests have waited for a limit, whatever came of it."
            ),
        ]
        for (name, place, help) in histograms {
            writer.family(name, .histogram, help)
            for (upstream, sums) in upstreams {
                writer.histogram(
                    [("upstream", upstream)],
                    bounds: Buckets.times.shown(1e9),
                    counts: Array(sums[place + 1..<place + 1 + Buckets.times.count]),
                    sum: Double(sums[place]) / 1e9
                )
            }
        }
    }

    // MARK: How they stand

    func writeStates(_ tables: TrafficMeters.Tables, _ writer: MetricWriter) {
        let directory = PeerDirectory.shared.upstreams()
        let served = directory.filter { tables.loads[$0.0.name] != nil }
        func gauge(_ name: String, _ help: String, _ value: (String, UpstreamLoad) -> Int) {
            writer.family(name, .gauge, help)
            for (upstream, _) in served {
                guard let load = tables.loads[upstream.name] else { continue }
                writer.sample(max(value(upstream.name, load), 0), [("upstream", upstream.name)])
            }
        }
        gauge(
            "sluice_upstream_connections",
            "Connections to peers, those that are being made and idle ones included."
        ) { $1.connections }
        gauge("sluice_upstream_pending", "Requests that wait for a limit.") { $1.waiting }
        gauge("sluice_upstream_retrying", "Requests in an attempt of the budget.") { $1.retries }
        writer.family(
            "sluice_upstream_connections_idle",
            .gauge,
            "Connections that wait in a pool for a request."
        )
        for (upstream, _) in served {
            writer.sample(idle(upstream), [("upstream", upstream.name)])
        }
        writer.family("sluice_upstream_requests_in_flight", .gauge, "Requests that are with peers.")
        for (upstream, _) in served {
            let sum = upstream.peers.reduce(0) { $0 + $1.inFlight }
            writer.sample(max(sum, 0), [("upstream", upstream.name)])
        }
        writer.family("sluice_upstream_peers", .gauge, "Peers by their health.")
        for (upstream, health) in served {
            var counts = [0, 0, 0, 0]
            for (peer, health) in zip(upstream.peers, health) {
                counts[peer.isDraining ? 3 : min(Int(health.state), 2)] += 1
            }
            for (word, count) in zip(["healthy", "unhealthy", "ejected", "draining"], counts) {
                writer.sample(count, [("upstream", upstream.name), ("health", word)])
            }
        }
    }

    /// Connections to the peers of an upstream that lie idle, on all workers.
    private func idle(_ upstream: PeerDirectory.Upstream) -> Int {
        var count = 0
        for peer in upstream.peers where peer.index >= 0 {
            for worker in 0..<workerCount {
                count += Int(idleCounts.row(worker)[peer.index].load(ordering: .relaxed))
            }
        }
        return count
    }

    // MARK: For the admin interface

    /// What an upstream has under way, and what became of its requests, by name.
    package struct UpstreamCounts: Sendable {
        /// Requests that wait for a limit, and those in an attempt that the budget counts.
        package var pending = 0
        package var retrying = 0
        /// Connections to all peers; those of them that lie idle.
        package var connections = 0
        package var idle = 0
        /// Since the process began.
        package var retries: UInt64 = 0
        package var hedges: UInt64 = 0
        package var budgetRefusals: UInt64 = 0
        package var limitRefusals: UInt64 = 0

        package init() {}
    }

    /// By the upstream's name. [any thread]
    package func upstreamCounts() -> [String: UpstreamCounts] {
        let tables = meters.snapshot
        var counts: [String: UpstreamCounts] = [:]
        for (upstream, _) in PeerDirectory.shared.upstreams() {
            guard let load = tables.loads[upstream.name] else { continue }
            var found = UpstreamCounts()
            found.pending = load.waiting
            found.retrying = load.retries
            found.connections = load.connections
            found.idle = idle(upstream)
            let meter = tables.upstreams.entries.first { $0.key == upstream.name }?.meter
            if let sums = meter?.sums {
                let retries = UpstreamWords.retries
                found.retries = sums[retries..<retries + RetryReason.allCases.count].reduce(0, +)
                found.hedges = sums[UpstreamWords.hedges]
                found.budgetRefusals = sums[UpstreamWords.budgetRefusals]
                let refusals = UpstreamWords.refusals
                found.limitRefusals = sums[refusals...UpstreamWords.pendingTimeouts - 1]
                    .reduce(0, +)
            }
            counts[upstream.name] = found
        }
        return counts
    }
}
