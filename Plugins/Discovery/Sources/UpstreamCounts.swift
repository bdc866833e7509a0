import SluiceSDK

/// What is counted of one upstream.
struct UpstreamCounts: BitwiseCopyable {
    /// Answers of its source.
    let refreshes: Counter
    /// Questions without an answer, and answers that were refused.
    let failures: Counter
    /// Sets that differ from the one before.
    let changes: Counter
    /// Peers of the last good set.
    let peers: Gauge
    /// When its source answered last, in seconds since the epoch: its age is the time since.
    let answeredAt: Gauge

    static func make(
        _ upstreams: [DiscoveredUpstream],
        _ host: Host
    ) throws(PluginError) -> [UpstreamCounts] {
        let labels: [Bytes] = ["upstream"]
        let most = DiscoveryConfiguration.upstreamsMax
        let refreshes = try host.counters(
            "discovery_refreshes_total",
            help: "Answers of an upstream's source.",
            labels: labels,
            seriesMax: most
        )
        let failures = try host.counters(
            "discovery_failures_total",
            help: "Questions to an upstream's source without an answer that is of use.",
            labels: labels,
            seriesMax: most
        )
        let changes = try host.counters(
            "discovery_changes_total",
            help: "Sets of peers that differ from the one before.",
            labels: labels,
            seriesMax: most
        )
        let peers = try host.gauges(
            "discovery_peers",
            help: "Peers of the last good set.",
            labels: labels,
            seriesMax: most
        )
        let answeredAt = try host.gauges(
            "discovery_last_refresh_timestamp_seconds",
            help: "When an upstream's source answered last, since the epoch; 0 for never.",
            labels: labels,
            seriesMax: most
        )
        var counts: [UpstreamCounts] = []
        for upstream in upstreams {
            counts.append(
                UpstreamCounts(
                    refreshes: try refreshes.counter(upstream.name),
                    failures: try failures.counter(upstream.name),
                    changes: try changes.counter(upstream.name),
                    peers: try peers.gauge(upstream.name),
                    answeredAt: try answeredAt.gauge(upstream.name)
                )
            )
        }
        return counts
    }
}
