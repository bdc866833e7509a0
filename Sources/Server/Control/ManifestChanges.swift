internal import PluginHost
internal import Proxy

/// What another manifest would change of what is served, in lines such as
/// "+ listeners: 127.0.0.1:8081" and "~ plugins.limit: config".
struct ManifestChanges {
    private(set) var lines: [String] = []

    /// - Parameter stage: the plugins of `next`.
    init(from running: Running, to next: ProxySettings, _ stage: PluginStage) {
        let now = running.settings
        if now.logLevel != next.logLevel {
            lines.append("~ log.level: \(now.logLevel) -> \(next.logLevel)")
        }
        compareIntegrity(now.integrity, next.integrity)
        if now.admin != next.admin {
            let places = [now.admin, next.admin].map { $0?.address ?? "none" }
            lines.append("~ admin: \(places.joined(separator: " -> "))")
        }
        compare(
            "listeners: ",
            now.listeners.indices.map { (Self.key(now, $0), now.listeners[$0]) },
            next.listeners.indices.map { (Self.key(next, $0), next.listeners[$0]) }
        )
        comparePlugins(running, next, stage)
        compare(
            "upstreams.",
            now.upstreams.map { ($0.name, $0) },
            next.upstreams.map { ($0.name, $0) }
        ) { old, new in
            let before = Set(old.peers.map(\.address))
            let after = Set(new.peers.map(\.address))
            let parts =
                after.subtracting(before).sorted().map { "+\($0)" }
                + before.subtracting(after).sorted().map { "-\($0)" }
            return parts.isEmpty ? "" : ": peers " + parts.joined(separator: " ")
        }
        if now.chain != next.chain {
            lines.append(
                "~ chain: [\(now.chain.joined(separator: ", "))] -> "
                    + "[\(next.chain.joined(separator: ", "))]"
            )
        }
        compare("route ", now.routes.map { ($0.name, $0) }, next.routes.map { ($0.name, $0) })
        // A route's place is part of what it means.
        let kept = Set(next.routes.map(\.name))
        if now.routes.map(\.name).filter(kept.contains)
            != next.routes.map(\.name).filter(Set(now.routes.map(\.name)).contains)
        {
            lines.append("~ routes: their order")
        }
        compareProcess(now, next)
        if lines.isEmpty, now != next { lines.append("~ settings of the process") }
    }

    private mutating func compareIntegrity(
        _ now: IntegritySettings,
        _ next: IntegritySettings
    ) {
        let keys = [
            ("plugin_permissions", now.checksPermissions == next.checksPermissions),
            ("trusted_keys", now.trustedKeys == next.trustedKeys),
            ("plugin_probe", now.probe == next.probe),
            ("probe_timeout", now.probeTimeout == next.probeTimeout),
            ("max_retired_images", now.retiredImagesMax == next.retiredImagesMax),
        ]
        lines += keys.filter { !$0.1 }.map { "~ \($0.0)" }
    }

    /// What is read when a process starts, and so not changed in one that runs.
    private mutating func compareProcess(_ now: ProxySettings, _ next: ProxySettings) {
        let (old, new) = (now.service, next.service)
        let keys = [
            ("user", old.user == new.user), ("group", old.group == new.group),
            ("pid_file", old.pidFile == new.pidFile), ("error_log", old.errorLog == new.errorLog),
            ("take_over", old.takeOver == new.takeOver),
        ]
        lines += keys.filter { !$0.1 }.map { "~ \($0.0): with a restart" }
        let (before, after) = (now.lifecycle, next.lifecycle)
        if before.reloadGrace != after.reloadGrace { lines.append("~ reload_grace") }
        if now.backgroundRequests != next.backgroundRequests {
            lines.append("~ background_requests")
        }
        let later = [
            ("shutdown_grace", before.shutdownGrace == after.shutdownGrace),
            ("upgrade.timeout", before.upgradeTimeout == after.upgradeTimeout),
            ("restarts", before.restarts == after.restarts),
            ("watchdog.hang", now.hangTime == next.hangTime),
        ]
        lines += later.filter { !$0.1 }.map { "~ \($0.0): with the next process" }
    }

    private static func key(_ settings: ProxySettings, _ place: Int) -> String {
        let key = ListenerKey(place, of: settings)
        return key.ordinal == 0 ? key.address : "\(key.address) (\(key.ordinal + 1))"
    }

    private mutating func compare<Value: Equatable>(
        _ prefix: String,
        _ now: [(String, Value)],
        _ next: [(String, Value)],
        _ detail: (Value, Value) -> String = { _, _ in "" }
    ) {
        let old = Dictionary(now, uniquingKeysWith: { first, _ in first })
        let new = Dictionary(next, uniquingKeysWith: { first, _ in first })
        for (name, _) in now where new[name] == nil { lines.append("- \(prefix)\(name)") }
        for (name, value) in next {
            guard let before = old[name] else {
                lines.append("+ \(prefix)\(name)")
                continue
            }
            if before != value { lines.append("~ \(prefix)\(name)\(detail(before, value))") }
        }
    }

    private mutating func comparePlugins(
        _ running: Running,
        _ next: ProxySettings,
        _ stage: PluginStage
    ) {
        for plugin in running.plugins
        where !next.plugins.contains(where: { $0.name == plugin.settings.name }) {
            lines.append("- plugins.\(plugin.settings.name)")
        }
        for entry in stage.entries {
            let name = entry.settings.name
            guard let old = running.plugin(name) else {
                lines.append("+ plugins.\(name)")
                continue
            }
            var parts: [String] = []
            let sha256 = entry.sha256
            if sha256 != old.sha256 {
                parts.append("library \(old.sha256.prefix(12)) -> \(sha256.prefix(12))")
            }
            let (before, after) = (old.settings, entry.settings)
            if before.configuration != after.configuration { parts.append("config") }
            var same = before
            same.configuration = after.configuration
            if same != after { parts.append("settings") }
            if !parts.isEmpty {
                lines.append("~ plugins.\(name): \(parts.joined(separator: ", "))")
            }
        }
    }
}
