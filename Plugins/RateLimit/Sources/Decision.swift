import RateLimiting
import SluiceSDK

/// What the rules say to a request.
struct Decision {
    /// Index of the rule that refuses it; nil for none.
    var refusedBy: Int?
    /// Until it would not, as far as is known.
    var waitNanoseconds: UInt64 = 0
    /// Status of the answer.
    var status = 0
    /// Index of the rule for which it waits, and how long; nil for none.
    var delayedBy: Int?
    var delayNanoseconds: UInt64 = 0
    /// Index of the first rule that would refuse it if it were not a dry run.
    var dryRunBy: Int?
    /// What the client is told.
    var report = LimitFields.Report()
}

/// One rule and one request.
struct Tally: BitwiseCopyable {
    enum State: UInt8 {
        /// The rule does not apply.
        case skipped
        /// Counted, and within the limit.
        case counted
        /// Over the limit of a dry run, and not counted.
        case over
        /// A token bucket that is not asked yet.
        case pending
    }

    var state = State.skipped
    var hash = KeyHash(low: 0, high: 0)
    /// Of a key that a store counts; -1 for none.
    var slot = -1
}

/// Goes through the rules for one request.
///
/// First those whose counts can be taken back, then the token buckets, whose tokens can't: a
/// request that one rule refuses uses up nothing of the others. Only when another worker takes the
/// last token of a second bucket between a look and a take, a token of the first is lost.
struct Decider {
    let rules: List<Rule>
    /// One for each rule.
    let tallies: UnsafeMutablePointer<Tally>
    let policy: StoreDownPolicy
    let now: UInt64
    let waitset: Waitset
    var decision = Decision()
    private var leastRemaining = UInt64.max
    private var pendingCount = 0
    /// Whether nobody may wait for one of the buckets any more.
    private var isQueueFull = false

    init(
        _ configuration: borrowing RateLimitConfiguration,
        _ tallies: UnsafeMutablePointer<Tally>,
        now: UInt64,
        _ waitset: Waitset
    ) {
        rules = configuration.rules
        policy = configuration.policy
        self.tallies = tallies
        self.now = now
        self.waitset = waitset
    }

    /// Decides anew, after a refusal.
    mutating func again(_ exchange: borrowing Exchange<RateLimitFilter>) {
        decision = Decision()
        leastRemaining = .max
        pendingCount = 0
        isQueueFull = false
        run(exchange)
    }

    /// Decides, and counts the request when it is let in.
    mutating func run(_ exchange: borrowing Exchange<RateLimitFilter>) {
        let address = exchange.facts.clientIP
        for index in 0..<rules.count {
            let rule = rules[index]
            tallies[index] = Tally()
            guard !rule.isExempt(address), let hash = rule.key.hash(exchange, rule.hashing) else {
                continue
            }
            tallies[index].hash = hash
            if rule.bucket != nil {
                tallies[index].state = .pending
                pendingCount += 1
                if rule.delay > 0, rule.block.waitingCount >= rule.queue { isQueueFull = true }
            } else if rule.inFlight != nil {
                countInFlight(index, rule)
            } else {
                countWindow(index, rule)
            }
            if decision.refusedBy != nil { return undo(index) }
        }
        if pendingCount > 1 || isQueueFull { lookAtBuckets() }
        if decision.refusedBy == nil, pendingCount > 0 { takeFromBuckets() }
        if decision.refusedBy != nil { undo(rules.count) }
    }

    // MARK: Windows

    @inline(__always)
    private mutating func countWindow(_ index: Int, _ rule: Rule) {
        guard let sketch = rule.sketch else { return }
        let usage: WindowSketch.Usage
        let instant: WindowSketch.Instant
        if let table = rule.table {
            instant = WindowSketch.Instant(
                now: rule.block.wallNanoseconds(now),
                window: rule.window
            )
            let isDown = rule.block.isStoreDown
            if isDown, policy == .refuse { return refuse(index, rule, 1_000_000_000, status: 503) }
            if let slot = table.slot(tallies[index].hash.low) {
                tallies[index].slot = slot
                usage = table.add(slot, at: instant)
            } else {
                rule.counters.overflow.add()
                usage = sketch.add(tallies[index].hash, at: instant)
            }
            if isDown, policy == .allow {
                tallies[index].state = .counted
                return
            }
        } else {
            instant = WindowSketch.Instant(now: now, window: rule.window)
            usage = sketch.add(tallies[index].hash, at: instant)
        }
        guard usage.isWithin(rule.limit) else {
            takeBack(index, rule, instant)
            let before = WindowSketch.Usage(
                running: usage.running - 1,
                before: usage.before,
                weight: usage.weight
            )
            return refuse(
                index,
                rule,
                before.nanosecondsUntilRoom(rule.limit, window: rule.window)
            )
        }
        tallies[index].state = .counted
        note(index, rule, rule.limit - usage.count, instant.nanosecondsLeft)
    }

    private func takeBack(_ index: Int, _ rule: Rule, _ instant: WindowSketch.Instant) {
        if tallies[index].slot >= 0 {
            rule.table?.remove(tallies[index].slot, at: instant)
        } else {
            rule.sketch?.remove(tallies[index].hash, at: instant)
        }
    }

    // MARK: Requests under way

    @inline(__always)
    private mutating func countInFlight(_ index: Int, _ rule: Rule) {
        guard let sketch = rule.inFlight else { return }
        let hash = tallies[index].hash
        let count = sketch.add(hash)
        guard count <= rule.limit else {
            sketch.remove(hash)
            // While it was counted here, one that was woken may have found no room for it.
            if rule.delay > 0, sketch.look(hash) < rule.limit {
                waitset.wake(rule.waitKey(hash), count: 1)
            }
            return refuse(index, rule, rule.retryAfter)
        }
        tallies[index].state = .counted
        note(index, rule, rule.limit - count, rule.retryAfter)
    }

    // MARK: Token buckets

    /// Looks whether each bucket has enough, before anything is taken from one of them.
    private mutating func lookAtBuckets() {
        for index in 0..<rules.count where tallies[index].state == .pending {
            let rule = rules[index]
            guard let bucket = rule.bucket, let answer = answer(index, rule, cost: 0) else {
                continue
            }
            // With less than the reserve left a request waits.
            let isFull = rule.delay > 0 && rule.block.waitingCount >= rule.queue
            let needed = isFull ? bucket.reserve + bucket.cost : bucket.cost
            if answer.tokens >= needed { continue }
            refuse(index, rule, bucket.nanoseconds(needed - answer.tokens))
            if decision.refusedBy != nil { return }
        }
    }

    private mutating func takeFromBuckets() {
        for index in 0..<rules.count where tallies[index].state == .pending {
            let rule = rules[index]
            guard let bucket = rule.bucket, let answer = answer(index, rule, cost: bucket.cost)
            else { continue }
            guard answer.isGranted else {
                refuse(index, rule, answer.waitNanoseconds)
                if decision.refusedBy != nil { return }
                continue
            }
            tallies[index].state = .counted
            let delay = bucket.delay(tokensLeft: answer.tokens)
            if delay > decision.delayNanoseconds, !rule.isDryRun {
                decision.delayedBy = index
                decision.delayNanoseconds = delay
            }
            note(
                index,
                rule,
                bucket.remaining(tokensLeft: answer.tokens),
                bucket.nanoseconds(bucket.capacity - answer.tokens)
            )
        }
    }

    private func answer(_ index: Int, _ rule: Rule, cost: UInt64) -> SharedBuckets.Answer? {
        guard let bucket = rule.bucket else { return nil }
        let hash = tallies[index].hash
        return try? rule.buckets.take(
            cost,
            from: SharedKey(low: hash.low, high: hash.high),
            ratePerSecondMilli: bucket.ratePerSecondMilli,
            burst: bucket.capacity
        )
    }

    // MARK: What comes of it

    private mutating func refuse(
        _ index: Int,
        _ rule: Rule,
        _ wait: UInt64,
        status: Int? = nil
    ) {
        if rule.isDryRun {
            tallies[index].state = .over
            if decision.dryRunBy == nil { decision.dryRunBy = index }
            return
        }
        tallies[index].state = .skipped
        decision.refusedBy = index
        decision.waitNanoseconds = wait
        decision.status = status ?? rule.status
        decision.report = LimitFields.Report(
            rule: UInt32(index + 1),
            remaining: 0,
            seconds: wholeSeconds(wait)
        )
    }

    /// Keeps the rule with the fewest requests left for the client.
    @inline(__always)
    private mutating func note(
        _ index: Int,
        _ rule: Rule,
        _ remaining: UInt64,
        _ nanoseconds: UInt64
    ) {
        guard !rule.isDryRun, remaining < leastRemaining else { return }
        leastRemaining = remaining
        decision.report = LimitFields.Report(
            rule: UInt32(index + 1),
            remaining: UInt32(clamping: remaining),
            seconds: wholeSeconds(nanoseconds)
        )
    }

    /// Takes back what the first rules have counted.
    mutating func undo(_ count: Int) {
        for index in 0..<count where tallies[index].state == .counted {
            let rule = rules[index]
            let hash = tallies[index].hash
            if let sketch = rule.inFlight {
                sketch.remove(hash)
                if rule.delay > 0 { waitset.wake(rule.waitKey(hash), count: 1) }
            } else if rule.sketch != nil {
                let time = rule.table == nil ? now : rule.block.wallNanoseconds(now)
                let instant = WindowSketch.Instant(now: time, window: rule.window)
                takeBack(index, rule, instant)
            }
            tallies[index].state = .skipped
        }
    }
}
