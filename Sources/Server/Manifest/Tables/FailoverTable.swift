internal import Proxy

extension RetrySettings: Defaulted {
    static var defaults: Self { RetrySettings() }
}
extension RetryBudget: Defaulted {
    static var defaults: Self { RetryBudget() }
}
extension HedgeSettings: Defaulted {
    static var defaults: Self { HedgeSettings() }
}
extension UpstreamLimits: Defaulted {
    static var defaults: Self { UpstreamLimits() }
}
extension PeerLimits: Defaulted {
    static var defaults: Self { PeerLimits() }
}

extension Table where Root == RetrySettings {
    static let retries = Table(
        "retries",
        at: "upstreams.NAME.retries",
        keys: [
            Key(
                "attempts",
                \.attempts,
                .integer(1...16),
                "Attempts in all, the first included, each at another peer. A pooled connection"
                    + " that failed before a byte of the response is always tried again on a new"
                    + " one, when the method is idempotent or nothing was sent."
            ),
            Key(
                "on",
                \.on,
                .retryConditions,
                "What another attempt follows: `\"connect\"` (no connection), `\"refused\"` (the"
                    + " peer refused the stream), `\"reset\"` (the connection ended before a byte"
                    + " of the response), `\"timeout\"` (no response in time), and statuses from"
                    + " `\"400\"` to `\"599\"`. After the last three only idempotent requests are"
                    + " tried again, and those of which nothing was sent."
            ),
            Key(
                "try_timeout",
                \.tryTimeout,
                .orNone(.time),
                "From an attempt's begin, or the end of the request's body, until its response's"
                    + " head. After it: as `timeouts.first_byte`."
            ),
            Key(
                "timeout",
                \.timeout,
                .orNone(.time),
                "The same of all attempts together, and of waits for `limits`. After it: 504."
            ),
            Key(
                "budget",
                \.budget,
                .table(.retryBudget),
                "How much more than requests peers get at most. After it: no further attempt."
            ),
            Key(
                "replay",
                \.replayBytes,
                .size(0...1_048_576),
                "Bytes of a request's body that are kept to send them again. A longer body is not"
                    + " tried again once more than this was sent."
            ),
        ]
    )
}

extension Table where Root == RetryBudget {
    static let retryBudget = Table(
        "retry_budget",
        at: "upstreams.NAME.retries.budget",
        keys: [
            Key(
                "percent",
                \.percent,
                .integer(0...100),
                "Requests in an attempt after `\"reset\"`, `\"timeout\"` or a status, or hedged, of"
                    + " those that are with the upstream, over all workers."
            ),
            Key("min", \.min, .integer(0...1_000_000), "As many may be in any case."),
        ]
    )
}

extension Table where Root == HedgeSettings {
    static let hedge = Table(
        "hedge",
        at: "upstreams.NAME.hedge",
        keys: [
            Key(
                "after",
                \.after,
                .orNone(.time),
                "Without a byte of the response after this time, GET and HEAD without a body are"
                    + " sent to another peer as well. The first response is taken, the other"
                    + " attempt is ended. Counts among `retries.attempts` and in the budget."
            )
        ]
    )
}

extension Table where Root == UpstreamLimits {
    private static let count = ValueKind<Int>.orNone(.integer(0...10_000_000))

    static let upstreamLimits = Table(
        "upstream_limits",
        at: "upstreams.NAME.limits",
        keys: [
            Key(
                "connections",
                \.connections,
                count,
                "Connections to all peers, those in the pool included. To make place, a worker"
                    + " closes idle ones of its own."
            ),
            Key("in_flight", \.inFlight, count, "Requests that are with the peers."),
            Key(
                "pending",
                \.pending,
                count,
                "Requests that wait for one of the other limits. Over it: 503."
            ),
            Key(
                "pending_timeout",
                \.pendingTimeout,
                .time,
                "Time that a request may wait. After it: 503."
            ),
            Key(
                "retry_after",
                \.retryAfterSeconds,
                .seconds(1...3_600),
                "`Retry-After` of these answers."
            ),
            Key("per_peer", \.perPeer, .table(.peerLimits), "The same of each peer."),
        ]
    )
}

extension Table where Root == PeerLimits {
    private static let count = ValueKind<Int>.orNone(.integer(0...10_000_000))

    static let peerLimits = Table(
        "peer_limits",
        at: "upstreams.NAME.limits.per_peer",
        keys: [
            Key(
                "connections",
                \.connections,
                count,
                "Connections to one peer, those in the pool included."
            ),
            Key(
                "in_flight",
                \.inFlight,
                count,
                "Requests that are with one peer. At it: the balancer's next candidate."
            ),
        ]
    )
}

extension ValueKind where Value == RetryConditions {
    private static let words: [(String, RetryConditions.Events)] = [
        ("connect", .connect), ("refused", .refused), ("reset", .reset), ("timeout", .timeout),
    ]
    /// More than there are conditions would be said twice.
    private static let countMax = 204

    /// A list of conditions, none twice.
    static let retryConditions: ValueKind = {
        let form = TextForm(
            "condition",
            expected: "\"connect\", \"refused\", \"reset\", \"timeout\" or a status from \"400\" to"
                + " \"599\"",
            pattern: "^(connect|refused|reset|timeout|[45][0-9][0-9])$"
        )
        let list = ValueForm.list(of: .text(form), count: 0...countMax)
        return ValueKind(form: list, text: text) { node, reader in
            guard case .array(let elements) = node.content else {
                reader.report(expected: list.expectedText, at: node)
                return nil
            }
            guard reader.isCount(elements.count, 0...countMax, of: "entries", at: node) else {
                return nil
            }
            var conditions = RetryConditions(events: [])
            for (index, element) in elements.enumerated() {
                reader.inside(.index(index)) { reader in
                    guard let text = reader.string(element, .text(form)) else { return }
                    if let problem = add(text, form, to: &conditions) {
                        reader.report(problem, at: element)
                    }
                }
            }
            return conditions
        }
    }()

    @Sendable
    private static func text(_ conditions: RetryConditions) -> String? {
        let events = words.filter { conditions.events.contains($0.1) }.map { quote($0.0) }
        let statuses = RetryConditions.statusRange.filter { conditions.contains(status: $0) }
        return "[" + (events + statuses.map { quote("\($0)") }).joined(separator: ", ") + "]"
    }

    /// What is wrong with a condition; nil when it was added.
    private static func add(
        _ text: String,
        _ form: TextForm,
        to conditions: inout RetryConditions
    ) -> String? {
        let isNew: Bool
        if let word = words.first(where: { $0.0 == text }) {
            isNew = conditions.events.insert(word.1).inserted
        } else if text.utf8.count == 3, let status = UInt16(text),
            RetryConditions.statusRange.contains(status)
        {
            isNew = !conditions.contains(status: status)
            conditions.add(status: status)
        } else {
            return "expected \(form.expected), found \(quote(text))"
        }
        return isNew ? nil : "\(quote(text)) is there twice"
    }
}

extension Table where Root == UpstreamSettings {
    /// What would have no effect is a mistake: somebody relies on it.
    static func checkFailover(
        _ node: Node,
        _ settings: UpstreamSettings,
        _ reader: inout ManifestReader
    ) {
        let limits = settings.limits
        if limits.pending > 0, !limits.isUsed, let found = node.member("limits")?.member("pending")
        {
            reader.inside(.key("limits")) { reader in
                reader.inside(.key("pending")) {
                    $0.report("has no effect without connections or in_flight", at: found)
                }
            }
        }
        guard settings.hedge.after > 0, let found = node.member("hedge")?.member("after") else {
            return
        }
        let problem: String? =
            if settings.retries.attempts < 2 {
                "has no effect with retries.attempts of 1"
            } else if !settings.isDiscovered, node.member("peers")?.elements.count == 1 {
                "has no effect with one peer; another one is asked"
            } else {
                nil
            }
        guard let problem else { return }
        reader.inside(.key("hedge")) { reader in
            reader.inside(.key("after")) { $0.report(problem, at: found) }
        }
    }
}
