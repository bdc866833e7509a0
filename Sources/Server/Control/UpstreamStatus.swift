internal import Admin
internal import PluginHost
internal import Proxy
internal import Sys

/// The upstreams and their peers, in JSON.
enum UpstreamStatus {
    /// Of `GET /v1/upstreams`, and of `GET /v1/status`. [any thread]
    static func json(_ tables: PlanTables) -> JSON {
        let now = Clock.wallSeconds()
        let counts = tables.upstreamCounts()
        return .array(
            PeerDirectory.shared.upstreams().map { upstream, health in
                let counts = counts[upstream.name] ?? PlanTables.UpstreamCounts()
                return [
                    "name": .string(upstream.name),
                    "discovery": .bool(upstream.isDiscovered),
                    "healthy": .integer(
                        Int64(zip(upstream.peers, health).count { $1.state == 0 && !$0.isDraining })
                    ),
                    "pending": .integer(Int64(counts.pending)),
                    "retrying": .integer(Int64(counts.retrying)),
                    "connections": .integer(Int64(counts.connections)),
                    "idle_connections": .integer(Int64(counts.idle)),
                    "retries": .integer(Int64(clamping: counts.retries)),
                    "hedges": .integer(Int64(clamping: counts.hedges)),
                    "budget_refusals": .integer(Int64(clamping: counts.budgetRefusals)),
                    "limit_refusals": .integer(Int64(clamping: counts.limitRefusals)),
                    "peers": .array(
                        zip(upstream.peers, health).map { peer($0, $1, now: now) }
                    ),
                ]
            }
        )
    }

    private static func peer(
        _ peer: PeerDirectory.Peer,
        _ health: PeerDirectory.Health,
        now: UInt64
    ) -> JSON {
        var members = [
            JSON.Member("address", .string(peer.address)),
            JSON.Member("health", .string(peer.isDraining ? "draining" : word(health.state))),
            JSON.Member("weight", .integer(Int64(peer.weight))),
            JSON.Member("priority", .integer(Int64(peer.priority))),
            JSON.Member("backup", .bool(peer.isBackup)),
            JSON.Member("in_flight", .integer(Int64(clamping: peer.inFlight))),
            JSON.Member("latency_microseconds", .integer(Int64(clamping: peer.latency / 1_000))),
        ]
        if !peer.zone.isEmpty { members.append(JSON.Member("zone", .string(peer.zone))) }
        guard health.since > 0 else { return .object(members) }
        if health.isUsed { members.append(JSON.Member("used", .bool(true))) }
        members.append(JSON.Member("reason", .string(health.reason)))
        let seconds = now > health.since ? now - health.since : 0
        members.append(JSON.Member("seconds", .integer(Int64(clamping: seconds))))
        return .object(members)
    }

    private static func word(_ state: UInt32) -> String {
        switch state {
        case 0: "healthy"
        case 1: "unhealthy"
        default: "ejected"
        }
    }
}
