internal import Admin
internal import PluginHost
internal import Proxy
internal import Sys

/// What a process serves, for `GET /v1/status`. [control]
enum GenerationStatus {
    static func members(_ generations: Generations) -> [JSON.Member] {
        let running = generations.running
        var members = [
            JSON.Member("generation", .integer(Int64(running.plan.number))),
            JSON.Member("listeners", .array(listeners(running))),
            JSON.Member("plugins", .array(running.plugins.map(plugin))),
            JSON.Member("generations", .array(generations.retiring.map(retiring))),
        ]
        if let canary = generations.canary { members.append(.init("canary", canary.json)) }
        if let last = generations.lastCanary { members.append(.init("last_canary", .string(last))) }
        return members
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
        return [
            "name": .string(plugin.settings.name), "id": .string(facts.id),
            "version": .string(facts.version), "library": .string(plugin.settings.libraryPath),
            "sha256": .string(plugin.sha256),
        ]
    }

    /// A generation that waits for its last request.
    private static func retiring(_ retiring: Generations.Retiring) -> JSON {
        let nanoseconds = Clock.kernelNanoseconds() - retiring.since
        return [
            "number": .integer(Int64(retiring.running.plan.number)),
            "state": retiring.isAsked ? "ending" : "draining",
            "seconds": .integer(Int64(nanoseconds / 1_000_000_000)),
        ]
    }
}
