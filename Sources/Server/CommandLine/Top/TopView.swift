internal import Admin

/// The lines of `sluice top`.
struct TopView {
    let period: TopPeriod

    /// What stands there before there are two answers.
    static let waiting = "waiting for an answer; q ends this"

    /// All of it; who shows it cuts what has no room.
    var lines: [String] {
        [head, totals, ""] + routes + upstreams + plugins
    }

    // MARK: Parts

    private var head: String {
        let status = period.now.status
        var parts = ["sluice " + word(status["version"])]
        parts.append("process " + word(status["pid"]))
        parts.append(word(status["state"]))
        if let seconds = status["uptime_seconds"]?.integer {
            parts.append("up " + ControlText.time(seconds))
        }
        parts.append("workers: " + word(status["workers"]))
        if let generation = status["generation"] { parts.append("generation " + word(generation)) }
        return parts.joined(separator: ", ")
    }

    private var totals: String {
        let failed = period.rate(.requests) { $0[ShownMetric.Label.code.rawValue] == "5xx" }
        var parts = [
            "requests/s: " + Self.number(period.rate(.requests)),
            "5xx/s: " + Self.number(failed),
            "in flight: \(Int(sum(.inFlight)))",
            "p50: " + Self.time(period.duration(0.5)), "p99: " + Self.time(period.duration(0.99)),
        ]
        if let share = hitShare { parts.append("cache hits: \(Self.number(share)) %") }
        return parts.joined(separator: "   ")
    }

    /// Percent of the requests for a cache that it answered without an origin; nil without any.
    private var hitShare: Double? {
        let counts = period.rates(.cache, by: .cacheStatus)
            .filter { !["none", "bypass", "updated"].contains($0.key) }
        let asked = counts.values.reduce(0, +)
        return asked > 0 ? 100 * ((counts["hit"] ?? 0) + (counts["stale"] ?? 0)) / asked : nil
    }

    private var routes: [String] {
        let rates = period.rates(.requests, by: .route)
        func row(_ name: String, _ steps: String) -> [String] {
            let isThis = { (labels: [String: String]) in
                labels[ShownMetric.Label.route.rawValue] == name
            }
            return [
                name, Self.number(rates[name] ?? 0),
                Self.time(period.duration(0.5, where: isThis)),
                Self.time(period.duration(0.99, where: isThis)), steps,
            ]
        }
        var rows = (period.now.routes["routes"]?.array ?? []).map { route in
            let steps =
                (route["chain"]?.array ?? []).map(word)
                + [route["upstream"]].compactMap { $0 == .null ? nil : $0 }.map(word)
            return row(word(route["name"]), steps.joined(separator: " > "))
        }
        // They are in the total, and would be looked for in vain.
        if rates[ShownMetric.noRoute] ?? 0 > 0 {
            rows.append(row(ShownMetric.noRoute, "refused, or no route"))
        }
        return ControlText.table("routes", ["ROUTE", "REQ/S", "P50", "P99", "CHAIN"], rows)
    }

    private var upstreams: [String] {
        let rows = (period.now.status["upstreams"]?.array ?? []).flatMap { upstream in
            (upstream["peers"]?.array ?? []).map { peer in
                [
                    word(upstream["name"]), word(peer["address"]), word(peer["health"]),
                    word(peer["in_flight"]),
                    Self.time(firstByte(peer)),
                    peer["reason"].map(word) ?? "",
                ]
            }
        }
        return ControlText.table(
            "upstreams",
            ["UPSTREAM", "PEER", "HEALTH", "IN FLIGHT", "FIRST BYTE", "REASON"],
            rows
        )
    }

    /// Seconds until a peer's first byte; nil of one that was never asked.
    private func firstByte(_ peer: JSON) -> Double? {
        guard let time = peer["latency_microseconds"]?.integer, time > 0 else { return nil }
        return Double(time) / 1e6
    }

    private var plugins: [String] {
        let calls = period.rates(.calls, by: .plugin)
        let spent = period.rates(ShownMetric.callSeconds.rawValue + "_sum", by: .plugin)
        let timed = period.rates(ShownMetric.callSeconds.rawValue + "_count", by: .plugin)
        let faults = period.now.metrics.sums(ShownMetric.faults.rawValue, by: .plugin)
        let rows = (period.now.status["plugins"]?.array ?? []).map { plugin in
            let name = word(plugin["name"])
            let count = timed[name] ?? 0
            return [
                name, word(plugin["id"]), calls[name].map(Self.number) ?? "-",
                Self.time(count > 0 ? (spent[name] ?? 0) / count : nil),
                "\(Int(faults[name] ?? 0))", plugin["state"].map(word) ?? "",
            ]
        }
        return ControlText.table(
            "plugins",
            ["PLUGIN", "ID", "CALLS/S", "TIME", "FAULTS", "STATE"],
            rows
        )
    }

    // MARK: Words

    private func word(_ value: JSON?) -> String { value.map(ControlText.word) ?? "-" }

    private func sum(_ metric: ShownMetric) -> Double {
        period.now.metrics.sums(metric.rawValue).values.reduce(0, +)
    }

    /// Three digits, or all of those before the point.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let scale: Double = [1, 10, 100][digits]
        let whole = Int64((value * scale).rounded())
        guard digits > 0 else { return String(whole) }
        let fraction = String(whole % Int64(scale))
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(whole / Int64(scale)).\(zeros)\(fraction)"
    }

    /// A quantile in seconds, with a sign where the buckets know no more than a bound.
    static func time(_ quantile: TopPeriod.Quantile?) -> String {
        switch quantile {
        case .about(let seconds): time(seconds)
        case .below(let seconds): "<" + time(seconds)
        case .above(let seconds): ">" + time(seconds)
        case nil: "-"
        }
    }

    /// Seconds in a unit that fits them.
    static func time(_ seconds: Double?) -> String {
        guard let seconds, seconds.isFinite else { return "-" }
        if seconds >= 1 { return number(seconds) + " s" }
        return seconds >= 1e-3 ? number(seconds * 1e3) + " ms" : number(seconds * 1e6) + " us"
    }
}
