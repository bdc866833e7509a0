import RateLimiting
package import SluiceSDK

/// Refuses or delays requests that are more than the rules allow.
package struct RateLimitFilter: RequestHeadersHook, ResponseHeadersHook, RequestEndHook,
    ResumedHook, ~Copyable
{
    package static let id: StaticString = "org.sluice.rate-limit"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Limits requests by rate and by how many are under way."
    package static var needs: HostTables { [.shared, .waitset] }

    /// Rules of a configuration that count requests under way: each has a place in every request.
    static let holdsMax = 4

    /// What one request holds of a rule that counts requests under way.
    package struct Hold: BitwiseCopyable {
        var low: UInt64
        var high: UInt64
    }

    /// What a request waits for.
    package enum Stage: UInt8, BitwiseCopyable {
        case none = 0
        /// Its turn, which comes by itself: everything is counted.
        case turn
        /// That one of those under way ends: nothing is counted.
        case room
    }

    package struct Context: BitwiseCopyable {
        var holds: (Hold, Hold, Hold, Hold)
        /// A bit for each of `holds` that is one.
        var holdMask: UInt8
        var stage: Stage
        /// Index of the rule that it waits for.
        var waitingRule: UInt16
        /// When waiting must end, by the monotonic clock.
        var deadline: UInt64
        var report: LimitFields.Report
    }

    package struct Worker {
        /// Whether a job talks with the store for this worker.
        var isSyncing = false
        var isMeasuring = false
    }

    let configuration: RateLimitConfiguration
    let host: Host
    private let waitset: Waitset
    private let exempt: Counter
    private let ruleAttribute: BytesAttribute
    private let decisionAttribute: BytesAttribute
    let scheduler: Scheduler<RateLimitFilter>
    let jobs: Jobs<RateLimitFilter>
    private let inPlace = InPlace()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let compiled = try RateLimitConfiguration(configuration, host)
        let exempt = try host.counter(
            "ratelimit_exempt_total",
            help: "Requests of networks that no rule limits."
        )
        let ruleAttribute = try host.bytesAttribute("ratelimit.rule")
        let decisionAttribute = try host.bytesAttribute("ratelimit.decision")
        self.configuration = compiled
        self.host = host
        self.exempt = exempt
        self.ruleAttribute = ruleAttribute
        self.decisionAttribute = decisionAttribute
        waitset = Waitset(host)
        scheduler = Scheduler(host)
        jobs = Jobs(host)
    }

    package func requestHeaders(_ exchange: borrowing Exchange<RateLimitFilter>) -> Verdict {
        // What the host asks for itself is no client's.
        if exchange.isInternal { return .next }
        if configuration.isExempt(exchange.facts.clientIP) {
            exempt.add()
            return .next
        }
        return decide(exchange, canWait: true)
    }

    package func responseHeaders(_ exchange: borrowing Exchange<RateLimitFilter>) -> Verdict {
        let report = exchange.context.report
        if report.rule == 0 { return .next }
        configuration.fields.set(report, of: configuration.rules, in: exchange.edits, exchange)
        return .next
    }

    package func requestEnd(_ exchange: borrowing Exchange<RateLimitFilter>) {
        if exchange.context.stage != .none { endWait(exchange) }
        let mask = exchange.context.holdMask
        if mask == 0 { return }
        exchange.context.holdMask = 0
        for rule in configuration.rules where rule.inFlight != nil {
            guard mask >> UInt8(rule.hold) & 1 == 1 else { continue }
            let hold = self.hold(exchange, rule.hold).pointee
            let hash = KeyHash(low: hold.low, high: hold.high)
            rule.inFlight?.remove(hash)
            if rule.delay > 0 { waitset.wake(rule.waitKey(hash), count: 1) }
        }
    }

    package func resumed(_ exchange: borrowing Exchange<RateLimitFilter>) -> Verdict {
        let stage = exchange.context.stage
        endWait(exchange)
        guard stage == .room else { return .next }
        return decide(exchange, canWait: exchange.resumeReason != .deadline)
    }

    // MARK: Decisions

    /// - Parameter canWait: whether the request has time left to wait for room.
    private func decide(
        _ exchange: borrowing Exchange<RateLimitFilter>,
        canWait: Bool
    ) -> Verdict {
        let capacity = RateLimitConfiguration.rulesMax
        return withUnsafeTemporaryAllocation(of: Tally.self, capacity: capacity) { room in
            // Safe: there are at most `rulesMax` rules.
            let tallies = room.baseAddress.unsafelyUnwrapped
            var decider = Decider(
                configuration,
                tallies,
                now: exchange.facts.nowNanoseconds,
                waitset
            )
            decider.run(exchange)
            guard let index = decider.decision.refusedBy else { return admit(exchange, &decider) }
            let rule = configuration.rules[index]
            if canWait, rule.inFlight != nil, rule.delay > 0 {
                return waitForRoom(exchange, &decider, index)
            }
            return refuse(exchange, decider.decision)
        }
    }

    /// Lets a request in, now or when its turn comes.
    private func admit(
        _ exchange: borrowing Exchange<RateLimitFilter>,
        _ decider: inout Decider
    ) -> Verdict {
        let decision = decider.decision
        if let index = decision.delayedBy {
            let rule = configuration.rules[index]
            guard rule.block.beginWait(most: rule.queue) else {
                decider.undo(configuration.rules.count)
                return refuse(exchange, full(index, decision.delayNanoseconds))
            }
            guard (try? exchange.suspend(nanoseconds: decision.delayNanoseconds)) != nil else {
                rule.block.endWait()
                decider.undo(configuration.rules.count)
                return refuse(exchange, full(index, decision.delayNanoseconds))
            }
            exchange.context.stage = .turn
            exchange.context.waitingRule = UInt16(index)
            rule.counters.delayed.add()
            leave(exchange, rule, "delayed")
        } else if let index = decision.dryRunBy {
            leave(exchange, configuration.rules[index], "dry_run")
        }
        for index in 0..<configuration.rules.count {
            let tally = decider.tallies[index]
            if tally.state == .skipped { continue }
            let rule = configuration.rules[index]
            if tally.state == .over {
                rule.counters.dryRun.add()
                continue
            }
            if index != decision.delayedBy { rule.counters.allowed.add() }
            guard rule.inFlight != nil else { continue }
            hold(exchange, rule.hold).pointee = Hold(low: tally.hash.low, high: tally.hash.high)
            exchange.context.holdMask |= 1 << UInt8(rule.hold)
        }
        exchange.context.report = decision.report
        return decision.delayedBy == nil ? .next : .suspend
    }

    /// What is answered when as many requests wait as may.
    private func full(_ index: Int, _ wait: UInt64) -> Decision {
        var decision = Decision()
        decision.refusedBy = index
        decision.waitNanoseconds = wait
        decision.status = configuration.rules[index].status
        decision.report = LimitFields.Report(
            rule: UInt32(index + 1),
            remaining: 0,
            seconds: wholeSeconds(wait)
        )
        return decision
    }

    private func refuse(
        _ exchange: borrowing Exchange<RateLimitFilter>,
        _ decision: Decision
    ) -> Verdict {
        guard let index = decision.refusedBy else { return .next }
        let rule = configuration.rules[index]
        rule.counters.refused.add()
        leave(exchange, rule, "refused")
        let edits = exchange.replyEdits
        let seconds = UInt64(wholeSeconds(decision.waitNanoseconds))
        edits.append(.retryAfter, configuration.fields.number(seconds, exchange))
        edits.append(.contentType, "text/plain; charset=utf-8")
        configuration.fields.set(decision.report, of: configuration.rules, in: edits, exchange)
        return exchange.respond(status: decision.status, body: configuration.body)
    }

    /// Leaves word for plugins that come later, for one that writes a log above all.
    private func leave(
        _ exchange: borrowing Exchange<RateLimitFilter>,
        _ rule: Rule,
        _ decision: Bytes
    ) {
        exchange.setAttribute(ruleAttribute, rule.name)
        exchange.setAttribute(decisionAttribute, decision)
    }

    // MARK: Waiting

    /// Attempts to find room or to begin a wait, while others end all the time.
    private static let attemptsMax = 8

    /// Waits until a request of the same key ends, or decides otherwise when one has just ended.
    private func waitForRoom(
        _ exchange: borrowing Exchange<RateLimitFilter>,
        _ decider: inout Decider,
        _ first: Int
    ) -> Verdict {
        var index = first
        for _ in 0..<Self.attemptsMax {
            let rule = configuration.rules[index]
            let key = rule.waitKey(decider.tallies[index].hash)
            // Taken before looking again: a wake-up in between is not lost.
            let ticket = waitset.ticket(key)
            decider.again(exchange)
            guard let refused = decider.decision.refusedBy else { return admit(exchange, &decider) }
            guard refused == index else {
                let other = configuration.rules[refused]
                guard other.inFlight != nil, other.delay > 0 else { break }
                index = refused
                continue
            }
            if exchange.context.deadline == 0 {
                exchange.context.deadline = decider.now + rule.delay
                rule.counters.delayed.add()
                leave(exchange, rule, "delayed")
            }
            guard exchange.context.deadline > decider.now,
                rule.block.beginWait(most: rule.queue)
            else { break }
            let left = exchange.context.deadline - decider.now
            do {
                _ = try exchange.wait(for: key, ticket, nanoseconds: left)
            } catch {
                rule.block.endWait()
                if error == .again { continue }
                break
            }
            exchange.context.stage = .room
            exchange.context.waitingRule = UInt16(index)
            return .suspend
        }
        return refuse(exchange, decider.decision)
    }

    private func endWait(_ exchange: borrowing Exchange<RateLimitFilter>) {
        configuration.rules[Int(exchange.context.waitingRule)].block.endWait()
        exchange.context.stage = .none
    }

    private func hold(
        _ exchange: borrowing Exchange<RateLimitFilter>,
        _ index: Int
    ) -> UnsafeMutablePointer<Hold> {
        precondition(index < Self.holdsMax, "hold \(index)")
        // Safe: the holds are the first member of the context, and there are `holdsMax` of them.
        let start = UnsafeMutableRawPointer(exchange.contextPointer)
        return start.assumingMemoryBound(to: Hold.self) + index
    }
}
