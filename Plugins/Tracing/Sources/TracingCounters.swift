import SluiceSDK

/// What operators see of an instance.
struct TracingCounters: BitwiseCopyable {
    /// Spans that the collector took.
    let exported: Counter
    /// Spans for which the queue had no room.
    let queueFull: Counter
    /// Spans that the collector took notice of and refused.
    let rejected: Counter
    /// Spans of batches that were refused or given up.
    let failed: Counter
    /// Spans that nobody took when the instance ended.
    let lost: Counter
    /// Requests to the collector.
    let sent: Counter
    let again: Counter
    let refused: Counter
    /// Requests of clients.
    let sampled: Counter
    let unsampled: Counter
    let forError: Counter
    let forSlow: Counter

    init(_ host: Host) throws(PluginError) {
        let spans = try host.counters(
            "tracing_spans_total",
            help: "Spans by what became of them.",
            labels: ["result"]
        )
        exported = try spans.counter("exported")
        queueFull = try spans.counter("queue_full")
        rejected = try spans.counter("rejected")
        failed = try spans.counter("failed")
        lost = try spans.counter("lost")
        let exports = try host.counters(
            "tracing_exports_total",
            help: "Requests to the collector by their outcome.",
            labels: ["result"]
        )
        sent = try exports.counter("ok")
        again = try exports.counter("again")
        refused = try exports.counter("refused")
        let requests = try host.counters(
            "tracing_requests_total",
            help: "Requests by whether they were recorded, and why.",
            labels: ["recorded"]
        )
        sampled = try requests.counter("sampled")
        unsampled = try requests.counter("no")
        forError = try requests.counter("error")
        forSlow = try requests.counter("slow")
    }
}
