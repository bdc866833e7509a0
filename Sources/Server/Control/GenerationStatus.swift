internal import Admin
internal import PluginHost
internal import Proxy
internal import Sys

/// What a process serves, in JSON. [control]
enum GenerationStatus {
    /// Members of `GET /v1/status`.
    static func members(_ generations: Generations) -> [JSON.Member] {
        let running = generations.running
        let status = generations.generationsJSON
        var members = [
            JSON.Member("generation", .integer(Int64(running.plan.number))),
            JSON.Member("listeners", .array(listeners(running))),
            JSON.Member("plugins", .array(running.plugins.map(plugin))),
            JSON.Member("upstreams", UpstreamStatus.json(running.plan.tables)),
            JSON.Member("generations", status["draining"] ?? []),
        ]
        for name in ["canary", "last_canary"] {
            if let value = status[name], value != .null { members.append(.init(name, value)) }
        }
        return members
    }

    /// The answer of `GET /v1/plugins`: instances, and libraries in memory.
    static func plugins(_ generations: Generations) -> JSON {
        [
            "plugins": .array(generations.running.plugins.map(plugin)),
            "images": PluginImages.json,
        ]
    }

    /// The answer of `GET /v1/faults`.
    static func faults(_ generations: Generations) -> JSON {
        [
            "plugins": .array(generations.running.plugins.map(faults)),
            "quarantine": .array(
                generations.running.quarantine.map {
                    ["instance": .string($0.name), "sha256": .string($0.sha256)]
                }
            ),
        ]
    }

    private static func listeners(_ running: Running) -> [JSON] {
        zip(running.settings.listeners, running.sockets).map { settings, sockets in
            [
                "address": .string(sockets.address.text),
                "protocols": .array(settings.protocols.map { .string($0.rawValue) }),
                "tls": .bool(settings.tls != nil),
            ]
        }
    }

    private static func plugin(_ plugin: RunningPlugin) -> JSON {
        let facts = plugin.instance.library.facts
        let report = plugin.instance.faultReport
        return [
            "name": .string(plugin.settings.name), "id": .string(facts.id),
            "version": .string(facts.version), "library": .string(plugin.settings.libraryPath),
            "sha256": .string(plugin.sha256),
            "state": plugin.isAbsent
                ? "quarantined" : report.openCircuits > 0 ? "suspended" : "active",
            "faults": .integer(report.counts.values.reduce(0, +)),
        ]
    }

    private static func faults(_ plugin: RunningPlugin) -> JSON {
        let report = plugin.instance.faultReport
        let counts = FaultKind.allCases.map { kind in
            JSON.Member(kind.name, .integer(report.counts[kind] ?? 0))
        }
        return [
            "name": .string(report.name), "faults": .object(counts),
            "skipped": .integer(report.skipped), "open_circuits": .integer(report.openCircuits),
        ]
    }
}
