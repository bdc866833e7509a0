import SluiceSDK

/// What clients are told of their limits: RateLimit-Policy and RateLimit
/// (draft-ietf-httpapi-ratelimit-headers-09), the older X-RateLimit-*, both, or nothing.
struct LimitFields {
    enum Kind {
        case draft
        case legacy
        case both
        case none
    }

    /// What is told of one rule.
    struct Report: BitwiseCopyable {
        /// Index of the rule, from 1; 0 for nothing.
        var rule: UInt32 = 0
        /// Requests that may still come.
        var remaining: UInt32 = 0
        /// Until that gets more.
        var seconds: UInt32 = 0
    }

    let kind: Kind
    private let policy: Bytes
    private let limit: FieldName
    private let remaining: FieldName
    private let reset: FieldName

    init(
        _ configuration: ConfigurationValue,
        _ rules: List<Rule>,
        _ host: Host
    ) throws(PluginError) {
        switch try configuration.string("fields") ?? "draft" {
        case "draft": kind = .draft
        case "legacy": kind = .legacy
        case "both": kind = .both
        case "none": kind = .none
        default:
            throw PluginError(path: "fields", "not \"draft\", \"legacy\", \"both\" or \"none\"")
        }
        limit = try FieldName(named: "x-ratelimit-limit")
        remaining = try FieldName(named: "x-ratelimit-remaining")
        reset = try FieldName(named: "x-ratelimit-reset")
        var items: [Bytes] = []
        for rule in rules where !rule.isDryRun {
            items += [", \"", rule.name, "\";q=", host.memory.copy("\(rule.limit)")]
            if rule.window == 0 {
                items.append(";qu=\"concurrent-requests\"")
            } else {
                // Whole seconds, rounded up: what fits into less fits into these.
                let seconds = (rule.window + 999_999_999) / 1_000_000_000
                items += [";w=", host.memory.copy("\(seconds)")]
            }
        }
        let joined = host.memory.join(items)
        policy = joined.isEmpty ? joined : joined.dropFirst(2)
    }

    /// Whether responses are told anything.
    var isEmpty: Bool { kind == .none || policy.isEmpty }

    /// Sets the fields of a response, in place of what the origin said of limits.
    func set(
        _ report: Report,
        of rules: List<Rule>,
        in edits: Edits,
        _ exchange: borrowing Exchange<RateLimitFilter>
    ) {
        guard kind != .none else { return }
        if kind != .legacy, !policy.isEmpty { edits.set(.ratelimitPolicy, policy) }
        guard report.rule > 0 else { return }
        let rule = rules[Int(report.rule) - 1]
        if kind != .legacy {
            var item = exchange.writer(capacity: rule.name.count + 32)
            item.append("\"")
            item.append(rule.name)
            item.append("\";r=")
            item.append(decimal: UInt64(report.remaining))
            item.append(";t=")
            item.append(decimal: UInt64(report.seconds))
            edits.set(.ratelimit, item.bytes)
        }
        guard kind != .draft else { return }
        edits.set(limit, number(rule.limit, exchange))
        edits.set(remaining, number(UInt64(report.remaining), exchange))
        edits.set(reset, number(UInt64(report.seconds), exchange))
    }

    /// A number in digits, in memory of the request.
    func number(
        _ number: UInt64,
        _ exchange: borrowing Exchange<RateLimitFilter>
    ) -> Bytes {
        var writer = exchange.writer(capacity: 20)
        writer.append(decimal: number)
        return writer.bytes
    }
}

/// Nanoseconds in seconds, rounded up; 1 or more, and no more than fit.
func wholeSeconds(_ nanoseconds: UInt64) -> UInt32 {
    let seconds = nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1)
    return UInt32(clamping: max(1, seconds))
}
