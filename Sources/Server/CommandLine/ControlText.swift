internal import Admin

/// Answers of the admin interface in words.
///
/// A member that is missing is left out, and one that is not known is shown by its name: the proxy
/// may be older or newer than the command.
enum ControlText {
    static func lines(of body: JSON, for request: AdminRequest) -> [String] {
        request.path == "/v1/status" ? status(body) : members(of: body)
    }

    /// What came from elsewhere as one line: control characters are escaped.
    static func line(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars {
            if scalar.properties.generalCategory == .control {
                line += scalar.escaped(asASCII: true)
            } else {
                line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    // MARK: Any answer

    /// A line a member, and a line for each element of a list; warnings first.
    private static func members(of body: JSON) -> [String] {
        let members = body.members ?? []
        let warnings = body["warnings"]?.array ?? []
        return warnings.map { "warning: " + word($0) }
            + members.filter { $0.name != "warnings" }.flatMap { member in
                let name = line(member.name.replacing("_", with: " "))
                guard let elements = member.value.array else {
                    return ["\(name): \(word(member.value))"]
                }
                return elements.isEmpty
                    ? ["\(name): none"] : ["\(name):"] + elements.map { "  " + word($0) }
            }
    }

    static func word(_ value: JSON) -> String {
        switch value {
        case .bool(let flag): flag ? "yes" : "no"
        case .null: "none"
        case .string(let text): line(text)
        default: line(value.text)
        }
    }

    // MARK: Status

    private static func status(_ body: JSON) -> [String] {
        var first = [body["version"].map { "sluice " + word($0) } ?? "sluice"]
        if let process = body["pid"] { first.append("process \(word(process))") }
        if let state = body["state"] { first.append(word(state)) }
        if let seconds = body["uptime_seconds"]?.integer { first.append("up \(time(seconds))") }
        if let workers = body["workers"] { first.append("workers: \(word(workers))") }
        if let generation = body["generation"] { first.append("generation \(word(generation))") }
        var lines = [first.joined(separator: ", ")]
        if let manifest = body["manifest"] { lines.append("manifest: \(word(manifest))") }
        lines += supervisor(body["supervisor"])
        lines += canary(body)
        lines += table(
            "listeners",
            body["listeners"],
            [("ADDRESS", "address"), ("PROTOCOLS", "protocols"), ("TLS", "tls")]
        )
        lines += table(
            "plugins",
            body["plugins"],
            [
                ("NAME", "name"), ("ID", "id"), ("VERSION", "version"), ("SHA-256", "sha256"),
                ("STATE", "state"), ("FAULTS", "faults"),
            ]
        )
        for upstream in body["upstreams"]?.array ?? [] { lines += peers(of: upstream) }
        for generation in body["generations"]?.array ?? [] { lines += older(generation) }
        return lines
    }

    /// An upstream, and its peers.
    private static func peers(of upstream: JSON) -> [String] {
        let name = upstream["name"].map(word) ?? "?"
        let peers = upstream["peers"]?.array ?? []
        guard !peers.isEmpty else { return ["upstream \(name): no peers"] }
        let healthy = upstream["healthy"]?.integer ?? 0
        // What is not 0: an upstream at rest is one line.
        let counts = [
            "pending", "retrying", "connections", "idle_connections", "retries", "hedges",
            "budget_refusals", "limit_refusals",
        ].compactMap { member -> String? in
            guard let count = upstream[member]?.integer, count != 0 else { return nil }
            return ", \(member.replacing("_", with: " ")): \(count)"
        }.joined()
        return table(
            "upstream \(name), healthy: \(healthy) of \(peers.count)\(counts)",
            upstream["peers"],
            [
                ("PEER", "address"), ("HEALTH", "health"), ("IN FLIGHT", "in_flight"),
                ("WEIGHT", "weight"), ("ZONE", "zone"), ("USED", "used"), ("REASON", "reason"),
            ]
        )
    }

    /// A generation that waits for its last requests, and these.
    private static func older(_ generation: JSON) -> [String] {
        let number = generation["generation"].map(word) ?? "?"
        let age = generation["seconds"]?.integer.map { ", for " + time($0) } ?? ""
        return ["generation \(number) drains\(age):"]
            + (generation["holders"]?.array ?? []).map { holder in
                let parts = ["kind", "what", "client"].compactMap { holder[$0].map(word) }
                let seconds = holder["seconds"]?.integer.map { " " + time($0) } ?? ""
                return "  " + parts.filter { !$0.isEmpty }.joined(separator: " ") + seconds
            }
    }

    private static func canary(_ body: JSON) -> [String] {
        var lines: [String] = []
        if let canary = body["canary"], canary != .null {
            func side(_ name: String) -> String {
                let counts = ["requests", "failures", "p99_microseconds"].compactMap { member in
                    canary[name]?[member].map {
                        member.replacing("_", with: " ") + " " + word($0)
                    }
                }
                return "\(name): " + counts.joined(separator: ", ")
            }
            let plugin = canary["plugin"].map(word) ?? "?"
            let share = canary["share_percent"].map { word($0) + " % of the requests" } ?? ""
            lines.append("canary of \(plugin): \(share)")
            lines += ["canary", "stable"].map { "  " + side($0) }
        }
        if let last = body["last_canary"], last != .null {
            lines.append("last canary: \(word(last))")
        }
        return lines
    }

    private static func supervisor(_ body: JSON?) -> [String] {
        guard let body else { return [] }
        var parts = ["supervisor: process " + (body["pid"].map(word) ?? "?")]
        if let state = body["state"] { parts.append(word(state)) }
        if let serving = body["serving_pid"] { parts.append("serving process \(word(serving))") }
        if let restarts = body["restarts"] { parts.append("restarts: \(word(restarts))") }
        if let crash = body["last_crash"], crash != .null {
            parts.append("last crash: \(word(crash))")
        }
        return [parts.joined(separator: ", ")]
    }

    /// The rows of a list with those columns that any of them has.
    private static func table(
        _ name: String,
        _ list: JSON?,
        _ columns: [(title: String, member: String)]
    ) -> [String] {
        guard let rows = list?.array, !rows.isEmpty else { return [] }
        let shown = columns.filter { column in rows.contains { $0[column.member] != nil } }
        return table(
            name,
            shown.map(\.title),
            rows.map { row in shown.map { cell($0.member, row[$0.member]) } }
        )
    }

    /// Rows below their titles, with columns as wide as they need to be; nothing without rows.
    static func table(_ name: String, _ titles: [String], _ rows: [[String]]) -> [String] {
        guard !rows.isEmpty else { return [] }
        let cells = [titles] + rows
        let widths = titles.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        return ["\(name):"]
            + cells.map { row in
                let padded = row.indices.map { column in
                    let isLast = column == row.count - 1
                    let blanks = isLast ? 0 : widths[column] - row[column].count + 2
                    return row[column] + String(repeating: " ", count: blanks)
                }
                return "  " + padded.joined()
            }
    }

    private static func cell(_ member: String, _ value: JSON?) -> String {
        guard let value, value != .null else { return "-" }
        if let elements = value.array {
            return elements.map(word).joined(separator: " ")
        }
        // The first digits tell files apart; --json has all of them.
        return member == "sha256" ? String(word(value).prefix(12)) : word(value)
    }

    /// The two largest units of a time.
    static func time(_ seconds: Int64) -> String {
        let units: [(Int64, String)] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
        let parts = units.compactMap { size, name -> String? in
            let larger = units.filter { $0.0 > size }.map(\.0).min()
            let count = (larger.map { seconds % $0 } ?? seconds) / size
            return count > 0 ? "\(count)\(name)" : nil
        }
        return parts.isEmpty ? "0s" : parts.prefix(2).joined(separator: " ")
    }
}
