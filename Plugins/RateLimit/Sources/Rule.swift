import RateLimiting
import SluiceSDK

/// How a rule counts.
enum Algorithm: UInt8, BitwiseCopyable {
    case slidingWindow
    case tokenBucket
    case concurrency
}

/// One limit: which requests count together, and how many there may be.
struct Rule: BitwiseCopyable {
    static let limitRange = 1...1_000_000
    /// 100 ms to a day.
    static let windowRange = 100_000_000...86_400_000_000_000
    /// 1 ms to a minute.
    static let delayRange = 1_000_000...60_000_000_000
    static let queueRange = 1...65_536
    static let networksMax = 256
    static let nameBytesMax = 64

    /// What is counted of a rule.
    struct Counters: BitwiseCopyable {
        let allowed: Counter
        let refused: Counter
        let delayed: Counter
        let dryRun: Counter
        let overflow: Counter
        let keys: Gauge
        let waiting: Gauge
    }

    let name: Bytes
    let algorithm: Algorithm
    /// Whether it only says what it would do.
    let isDryRun: Bool
    let limit: UInt64
    /// Nanoseconds; 0 with `concurrency`.
    let window: UInt64
    /// Nanoseconds that a request may wait in place of being refused; 0 for none.
    let delay: UInt64
    /// Requests that may wait.
    let queue: Int
    let status: Int
    /// Nanoseconds that Retry-After says of a concurrency limit, where nothing is known.
    let retryAfter: UInt64
    let key: KeyParts
    let hashing: Hashing
    let allow: List<IPBlock>
    let counters: Counters

    let block: Block
    let sketch: WindowSketch?
    let inFlight: InFlightSketch?
    /// Keys of which a store counts the sum; nil for a rule of this machine alone.
    let table: KeyTable?
    let bucket: Bucket?
    let buckets: SharedBuckets
    /// Which of the request's holds is the rule's.
    let hold: Int

    /// Whether an address is never limited by this rule.
    @inline(__always)
    func isExempt(_ address: IPAddress?) -> Bool {
        if allow.isEmpty { return false }
        guard let address else { return false }
        for network in allow where network.contains(address) { return true }
        return false
    }

    /// What others of the same rule are woken by: keys of several rules are different.
    @inline(__always)
    func waitKey(_ hash: KeyHash) -> SharedKey {
        SharedKey(low: hash.low &+ UInt64(hold) | 1, high: hash.high)
    }
}

/// Networks of a member of a configuration.
func networks(
    _ key: StaticString,
    of value: ConfigurationValue,
    _ host: Host
) throws(PluginError) -> List<IPBlock> {
    var blocks: [IPBlock] = []
    for entry in try value.array(key) {
        let text = try entry.string()
        blocks.append(try entry.naming { () throws(PluginError) in try IPBlock(text) })
    }
    guard blocks.count <= Rule.networksMax else {
        throw value.error("\(blocks.count) networks; there may be up to \(Rule.networksMax)")
    }
    return host.memory.list(blocks)
}
