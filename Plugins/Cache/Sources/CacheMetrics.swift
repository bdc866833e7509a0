import CachePolicy
import SluiceSDK
import TinyUFO

/// Why a request goes past the cache.
enum Bypass: UInt8, BitwiseCopyable {
    case none
    case method
    case rule
    case condition
    case body
    case upgrade
    case keyTooLong
    case noStore
    case range
    case noMemory
    case refused

    var name: Bytes {
        switch self {
        case .none: "none"
        case .method: "method"
        case .rule: "rule"
        case .condition: "condition"
        case .body: "body"
        case .upgrade: "upgrade"
        case .keyTooLong: "key-too-long"
        case .noStore: "no-store"
        case .range: "uncacheable"
        case .noMemory: "no-memory"
        case .refused: "background-full"
        }
    }
}

/// What an instance counts.
struct CacheMetrics {
    let hit: Counter
    let miss: Counter
    let stale: Counter
    let expired: Counter
    let revalidated: Counter
    let staleError: Counter
    let updated: Counter
    let onlyIfCached: Counter
    let bypass: List<Counter>
    let refused: List<Counter>
    let fills: Counter
    let fillsAborted: Counter
    let waits: Counter
    let waitsExpired: Counter
    let purges: Counter
    let purgedObjects: Counter
    let evictions: Counter
    let bytes: Gauge
    let objects: Gauge
    let fillBytes: Gauge
    let disk: DiskMetrics

    init(_ host: Host) throws(PluginError) {
        let requests = try host.counters(
            "cache_requests_total",
            help: "Requests by how the cache served them.",
            labels: ["status"]
        )
        hit = try requests.counter("hit")
        miss = try requests.counter("miss")
        stale = try requests.counter("stale")
        expired = try requests.counter("expired")
        revalidated = try requests.counter("revalidated")
        staleError = try requests.counter("stale_error")
        updated = try requests.counter("updated")
        onlyIfCached = try requests.counter("only_if_cached")
        let bypasses = try host.counters(
            "cache_bypass_total",
            help: "Requests that went past the cache, by why.",
            labels: ["reason"]
        )
        var bypass: [Counter] = []
        for code in 0...Bypass.refused.rawValue {
            bypass.append(try bypasses.counter((Bypass(rawValue: code) ?? .none).name))
        }
        self.bypass = host.memory.list(bypass)
        let refusals = try host.counters(
            "cache_not_stored_total",
            help: "Responses that were not stored, by why.",
            labels: ["reason"]
        )
        var refused: [Counter] = []
        for reason in Refusal.allCases {
            refused.append(try refusals.counter(reason.name.bytes))
        }
        self.refused = host.memory.list(refused)
        fills = try host.counter("cache_fills_total", help: "Responses that were stored.")
        fillsAborted = try host.counter(
            "cache_fills_aborted_total",
            help: "Responses whose storing was begun and not ended."
        )
        waits = try host.counter(
            "cache_lock_waits_total",
            help: "Requests that waited for another one's fetch."
        )
        waitsExpired = try host.counter(
            "cache_lock_timeouts_total",
            help: "Requests that waited as long as they may, and fetched then."
        )
        purges = try host.counter("cache_purges_total", help: "Orders to forget.")
        purgedObjects = try host.counter(
            "cache_purged_objects_total",
            help: "Objects that were hit by orders to forget."
        )
        evictions = try host.counter("cache_evictions_total", help: "Objects driven out.")
        bytes = try host.gauge("cache_stored_bytes", help: "Memory of objects and tables.")
        objects = try host.gauge("cache_stored_objects", help: "Objects, markers included.")
        fillBytes = try host.gauge("cache_fill_bytes", help: "Memory of fetches under way.")
        disk = try DiskMetrics(host)
    }
}

/// What an instance counts of its disk tier.
struct DiskMetrics {
    let hits: Counter
    let stored: Counter
    let evictions: Counter
    let damaged: Counter
    let failures: Counter
    let bytes: Gauge
    let objects: Gauge
    let openFiles: Gauge

    init(_ host: Host) throws(PluginError) {
        hits = try host.counter("cache_disk_hits_total", help: "Answers from the disk.")
        stored = try host.counter("cache_disk_stored_total", help: "Objects written to the disk.")
        evictions = try host.counter(
            "cache_disk_evictions_total",
            help: "Objects driven out of the disk."
        )
        damaged = try host.counter(
            "cache_disk_damaged_total",
            help: "Files that were not as they were written, and are gone."
        )
        failures = try host.counter(
            "cache_disk_failures_total",
            help: "Calls of the disk that failed."
        )
        bytes = try host.gauge("cache_disk_bytes", help: "Bytes of all files.")
        objects = try host.gauge("cache_disk_objects", help: "Objects on the disk.")
        openFiles = try host.gauge("cache_disk_open_files", help: "Files open to be read.")
    }
}
