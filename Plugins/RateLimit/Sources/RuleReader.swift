import RateLimiting
import SluiceSDK

/// Makes rules of a configuration, and what they count in.
struct RuleReader: ~Copyable {
    private static let keys: [StaticString] = [
        "name", "algorithm", "key", "limit", "window", "burst", "delay", "queue", "ipv4_prefix",
        "ipv6_prefix", "if_missing", "allow", "dry_run", "width", "keys", "shared", "status",
        "retry_after",
    ]

    let host: Host
    let blocks: RuleBlocks
    /// Nil without a store.
    let store: StoreIdentity?
    let metrics: RuleMetrics
    private var names: [Bytes] = []
    private var holds = 0

    init(
        _ host: Host,
        _ blocks: RuleBlocks,
        store: StoreIdentity?
    ) throws(PluginError) {
        self.host = host
        self.blocks = blocks
        self.store = store
        metrics = try RuleMetrics(host)
    }

    mutating func read(_ value: ConfigurationValue) throws(PluginError) -> Rule {
        try value.allowKeys(RuleReader.keys)
        let name = try readName(value)
        let algorithm = try readAlgorithm(value)
        try refuseOthers(value, algorithm)
        let limit = try value.required("limit").integer(in: Rule.limitRange)
        let window =
            algorithm == .concurrency
            ? 0
            : try duration("window", of: value, in: Rule.windowRange) ?? 1_000_000_000
        let delay = try duration("delay", of: value, in: Rule.delayRange) ?? 0
        let isShared = try readShared(value, window: window)
        let places = try Places(
            value,
            self,
            name: name,
            algorithm: algorithm,
            isShared: isShared,
            window: window
        )
        let bucket = try readBucket(value, algorithm, limit: limit, window: window, delay: delay)
        defer { if algorithm == .concurrency { holds += 1 } }
        return Rule(
            name: name,
            algorithm: algorithm,
            isDryRun: try value.bool("dry_run") ?? false,
            limit: UInt64(limit),
            window: UInt64(window),
            delay: UInt64(delay),
            queue: try value.integer("queue", in: Rule.queueRange) ?? 1_024,
            status: try value.integer("status", in: 400...599) ?? 429,
            retryAfter: UInt64(
                try duration("retry_after", of: value, in: 1_000_000_000...86_400_000_000_000)
                    ?? 1_000_000_000
            ),
            key: try KeyParts(value, host),
            hashing: isShared
                ? .machines(store?.hashKey ?? KeyHash(low: 0, high: 0))
                : .process(places.buckets),
            allow: try networks("allow", of: value, host),
            counters: try metrics.counters(name),
            block: places.block,
            sketch: places.sketch,
            inFlight: places.inFlight,
            table: places.table,
            bucket: bucket,
            buckets: places.buckets,
            hold: holds
        )
    }

    /// A name that can stand in a field, in a label and in the store's keys.
    private mutating func readName(_ value: ConfigurationValue) throws(PluginError) -> Bytes {
        let entry = try value.required("name")
        let name = try entry.string()
        guard name.isToken, name.count <= Rule.nameBytesMax else {
            throw entry.error("no token of up to \(Rule.nameBytesMax) characters")
        }
        for known in names where known == name {
            throw entry.error("another rule has this name")
        }
        names.append(name)
        return name
    }

    private func readAlgorithm(_ value: ConfigurationValue) throws(PluginError) -> Algorithm {
        switch try value.string("algorithm") ?? "sliding_window" {
        case "sliding_window": return .slidingWindow
        case "token_bucket": return .tokenBucket
        case "concurrency":
            guard holds < RateLimitFilter.holdsMax else {
                throw value.error(
                    "more than \(RateLimitFilter.holdsMax) rules with \"concurrency\""
                )
            }
            return .concurrency
        default:
            throw PluginError(
                path: value.path + ".algorithm",
                "not \"sliding_window\", \"token_bucket\" or \"concurrency\""
            )
        }
    }

    /// Refuses a key that another algorithm has.
    private func refuseOthers(
        _ value: ConfigurationValue,
        _ algorithm: Algorithm
    ) throws(PluginError) {
        let others: [StaticString] =
            switch algorithm {
            case .slidingWindow: ["burst", "delay", "queue", "retry_after"]
            case .tokenBucket: ["width", "shared", "retry_after"]
            case .concurrency: ["window", "burst", "keys", "shared"]
            }
        for key in others {
            guard let member = try value.member(key) else { continue }
            throw member.error("does not go with this algorithm")
        }
        if let queue = try value.member("queue"), try value.member("delay") == nil {
            throw queue.error("needs \"delay\"")
        }
    }

    private func readShared(
        _ value: ConfigurationValue,
        window: Int
    ) throws(PluginError) -> Bool {
        guard let shared = try value.member("shared"), try shared.bool() else {
            if let keys = try value.member("keys"),
                try value.string("algorithm") ?? "sliding_window" == "sliding_window"
            {
                throw keys.error("needs \"shared\" or the algorithm \"token_bucket\"")
            }
            return false
        }
        guard store != nil else { throw shared.error("there is no \"store\"") }
        guard window >= 1_000_000_000 else {
            throw shared.error("needs a window of a second or more")
        }
        return true
    }

    private func readBucket(
        _ value: ConfigurationValue,
        _ algorithm: Algorithm,
        limit: Int,
        window: Int,
        delay: Int
    ) throws(PluginError) -> Bucket? {
        guard algorithm == .tokenBucket else { return nil }
        let burst = try value.integer("burst", in: Rule.limitRange) ?? limit
        let bucket = Bucket(
            limit: UInt64(limit),
            window: UInt64(window),
            burst: UInt64(burst),
            delay: UInt64(delay)
        )
        guard let bucket else {
            throw value.error("a bucket of \(burst) would take more than 300 days to fill")
        }
        return bucket
    }

    /// A duration of a member, in nanoseconds; nil when it is absent.
    func duration(
        _ key: StaticString,
        of value: ConfigurationValue,
        in range: ClosedRange<Int>
    ) throws(PluginError) -> Int? {
        guard let member = try value.member(key) else { return nil }
        let nanoseconds = try member.nanoseconds()
        guard range.contains(nanoseconds) else {
            throw member.error(
                "not within \(range.lowerBound / 1_000_000) to \(range.upperBound / 1_000_000) ms"
            )
        }
        return nanoseconds
    }
}

/// What a rule counts in.
struct Places {
    var sketch: WindowSketch?
    var inFlight: InFlightSketch?
    var table: KeyTable?
    let buckets: SharedBuckets
    let block: Block

    init(
        _ value: ConfigurationValue,
        _ reader: borrowing RuleReader,
        name: Bytes,
        algorithm: Algorithm,
        isShared: Bool,
        window: Int
    ) throws(PluginError) {
        let host = reader.host
        let width =
            try value.integer("width", in: SketchShape.widthRange)
            ?? (algorithm == .concurrency ? 65_536 : 16_384)
        let shape = SketchShape(width: width)
        let keys = try value.integer("keys", in: KeyTable.capacityRange) ?? 65_536
        let capacity = 1 << (Int.bitWidth - (keys - 1).leadingZeroBitCount)
        // Another capacity is another table: the host's can't be changed.
        let table = host.memory.copy("bucket/\(capacity)/")
        buckets = try SharedBuckets(
            host,
            host.memory.join([table, name]),
            capacity: algorithm == .tokenBucket ? capacity : 64
        )
        let tableWords = isShared ? KeyTable.wordCount(capacity: capacity) : 0
        let words = algorithm == .tokenBucket ? 0 : shape.wordCount + tableWords
        block = try reader.blocks.block(
            RuleBlocks.Identity(
                name: name,
                algorithm: UInt64(algorithm.rawValue),
                window: UInt64(window),
                words: UInt64(words),
                table: UInt64(tableWords),
                store: isShared ? reader.store?.number ?? 0 : 0
            )
        )
        switch algorithm {
        case .slidingWindow:
            sketch = WindowSketch(block: block, shape: shape, firstWord: tableWords)
            if isShared { self.table = KeyTable(block: block, capacity: capacity) }
        case .tokenBucket: break
        case .concurrency: inFlight = InFlightSketch(block: block, shape: shape)
        }
    }
}

/// What is counted of all rules.
struct RuleMetrics {
    private let decisions: Metric
    private let overflows: Metric
    private let keys: Metric
    private let waiting: Metric

    init(_ host: Host) throws(PluginError) {
        decisions = try host.counters(
            "ratelimit_decisions_total",
            help: "Requests by rule and what the rule decided.",
            labels: ["rule", "decision"]
        )
        overflows = try host.counters(
            "ratelimit_store_overflow_total",
            help: "Requests of keys that there was no room for, limited on this machine alone.",
            labels: ["rule"]
        )
        keys = try host.gauges(
            "ratelimit_keys",
            help: "About how many keys a rule has counted lately.",
            labels: ["rule"]
        )
        waiting = try host.gauges(
            "ratelimit_waiting",
            help: "Requests that wait for a rule.",
            labels: ["rule"]
        )
    }

    func counters(_ rule: Bytes) throws(PluginError) -> Rule.Counters {
        Rule.Counters(
            allowed: try decisions.counter(rule, "allowed"),
            refused: try decisions.counter(rule, "refused"),
            delayed: try decisions.counter(rule, "delayed"),
            dryRun: try decisions.counter(rule, "dry_run"),
            overflow: try overflows.counter(rule),
            keys: try keys.gauge(rule),
            waiting: try waiting.gauge(rule)
        )
    }
}
