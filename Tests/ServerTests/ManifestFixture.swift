import Proxy

@testable import Server

/// Reads manifests from strings, against a machine on which only the named files exist.
struct ManifestFixture {
    var folder = "/etc/sluice"
    var folders: Set<String> = ["/etc/sluice", "/etc/sluice/plugins"]
    /// Libraries; nil is that every path ending in ".so" is one.
    var files: Set<String>?

    var surroundings: ManifestSurroundings {
        let folders = folders
        let files = files
        return ManifestSurroundings(executableFolder: "/usr/bin") { path in
            if folders.contains(path) { return .folder }
            return files.map { $0.contains(path) } ?? path.hasSuffix(".so") ? .file : .missing
        } read: { _, _ in
            .failed(reason: "this machine has no files")
        }
    }

    func parse(_ text: String) throws(ManifestFailure) -> ProxySettings {
        try Manifest.parse(Array(text.utf8), path: folder + "/sluice.json5", surroundings)
    }

    /// The complete lines of all problems.
    func lines(_ text: String) -> [String] {
        do throws(ManifestFailure) {
            _ = try parse(text)
            return []
        } catch {
            return error.lines
        }
    }

    /// The problems as "path: message", without file and place.
    func problems(_ text: String) -> [String] {
        do throws(ManifestFailure) {
            _ = try parse(text)
            return []
        } catch {
            return error.problems.map { $0.path.isEmpty ? $0.message : "\($0.path): \($0.message)" }
        }
    }
}

/// Texts of manifests that are good but for what a test puts into them.
enum Sample {
    /// A manifest with these members added to its objects.
    static func manifest(
        top: String = "",
        listener: String = "",
        plugin: String = "",
        upstream: String = "",
        route: String = ""
    ) -> String {
        """
        {
          version: 1,
          listeners: [{ listen: "0.0.0.0:8080", \(listener) }],
          plugins: { one: { library: "libOne.so", \(plugin) }, two: { library: "libTwo.so" } },
          upstreams: { app: { peers: ["192.0.2.1:80"], \(upstream) } },
          routes: [{ upstream: "app", \(route) }],
          \(top)
        }
        """
    }

    /// A manifest with one member in the object of this table.
    static func manifest(_ table: String, _ member: String) -> String {
        switch table {
        case "manifest": manifest(top: member)
        case "log": manifest(top: "log: { \(member) }")
        case "upgrade": manifest(top: "upgrade: { \(member) }")
        case "restarts": manifest(top: "restarts: { \(member) }")
        case "take_over":
            manifest(
                top: member.hasPrefix("listen:")
                    ? "take_over: { \(member) }" : "take_over: { listen: 'unix:/t', \(member) }"
            )
        case "admin":
            manifest(
                top: member.hasPrefix("token_file:")
                    ? "admin: { listen: '127.0.0.1:9', \(member) }"
                    : "admin: { listen: 'unix:a.sock', \(member) }"
            )
        case "listener": manifest(listener: member)
        case "limits": manifest(listener: "limits: { \(member) }")
        case "downstream_timeouts": manifest(listener: "timeouts: { \(member) }")
        case "proxy_protocol":
            manifest(
                listener: member.hasPrefix("trusted:")
                    ? "proxy_protocol: { \(member) }"
                    : "proxy_protocol: { trusted: ['::/0'], \(member) }"
            )
        case "tls":
            manifest(
                listener:
                    "tls: { certificates: [{ certificate: 'a.pem', key: 'a.key' }], \(member) }"
            )
        case "certificate":
            manifest(
                listener:
                    "tls: { certificates: [{ certificate: 'a.pem', key: 'a.key', \(member) }] }"
            )
        case "http2": manifest(listener: "http2: { \(member) }")
        case "http2_floods": Self.manifest("http2", "floods: { \(member) }")
        case _ where table.hasPrefix("http2_floods_"):
            Self.manifest("http2_floods", "\(table.dropFirst(13)): { \(member) }")
        case "client_auth": Self.manifest("tls", "client_auth: { \(member) }")
        case "upstream_tls": manifest(upstream: "tls: { \(member) }")
        case "plugin": manifest(plugin: member)
        case "plugin_budgets": manifest(plugin: "budgets: { \(member) }")
        case "plugin_circuit": manifest(plugin: "circuit: { \(member) }")
        case "watchdog": manifest(top: "watchdog: { \(member) }")
        case "upstream": manifest(upstream: member)
        case "peer":
            """
            { version: 1, listeners: [{ listen: ":1" }], routes: [{ upstream: "app" }],
              upstreams: { app: { peers: [{ address: "192.0.2.1:80", \(member) }] } } }
            """
        case "upstream_timeouts": manifest(upstream: "timeouts: { \(member) }")
        case "retries": manifest(upstream: "retries: { \(member) }")
        case "retry_budget", "hedge", "upstream_limits", "peer_limits":
            failover(table, member)
        case "pool": manifest(upstream: "pool: { \(member) }")
        case "upstream_http2": manifest(upstream: "protocol: 'h2c', http2: { \(member) }")
        case "route": manifest(route: member)
        case "match": manifest(route: "match: { \(member) }")
        default: preconditionFailure("no place for the table \(table)")
        }
    }

    /// The same of what decides about further attempts.
    private static func failover(_ table: String, _ member: String) -> String {
        switch table {
        case "retry_budget": return manifest(upstream: "retries: { budget: { \(member) } }")
        case "peer_limits": return manifest(upstream: "limits: { per_peer: { \(member) } }")
        case "upstream_limits":
            // A queue needs a limit to wait for.
            let isQueue = member.hasPrefix("pending: ") && !member.hasSuffix("\"none\"")
            return manifest(upstream: "limits: { \(isQueue ? "in_flight: 9, " : "")\(member) }")
        default:
            // Another peer is needed, and somebody who chooses.
            return """
                { version: 1, listeners: [{ listen: ":1" }], routes: [{ upstream: "app" }],
                  plugins: { lb: { library: "libLB.so" } },
                  upstreams: { app: { peers: ["192.0.2.1:80", "192.0.2.2:80"], balancer: "lb",
                    hedge: { \(member) } } } }
                """
        }
    }

    /// Where the object of a table stands in these manifests.
    static func path(_ table: String) -> String {
        switch table {
        case "manifest": ""
        case "log": "log."
        case "upgrade": "upgrade."
        case "restarts": "restarts."
        case "take_over": "take_over."
        case "admin": "admin."
        case "listener": "listeners[0]."
        case "limits": "listeners[0].limits."
        case "downstream_timeouts": "listeners[0].timeouts."
        case "proxy_protocol": "listeners[0].proxy_protocol."
        case "tls": "listeners[0].tls."
        case "certificate": "listeners[0].tls.certificates[0]."
        case "http2": "listeners[0].http2."
        case "http2_floods": "listeners[0].http2.floods."
        case _ where table.hasPrefix("http2_floods_"):
            "listeners[0].http2.floods.\(table.dropFirst(13))."
        case "client_auth": "listeners[0].tls.client_auth."
        case "upstream_tls": "upstreams.app.tls."
        case "plugin": "plugins.one."
        case "plugin_budgets": "plugins.one.budgets."
        case "plugin_circuit": "plugins.one.circuit."
        case "watchdog": "watchdog."
        case "upstream": "upstreams.app."
        case "peer": "upstreams.app.peers[0]."
        case "upstream_timeouts": "upstreams.app.timeouts."
        case "retries": "upstreams.app.retries."
        case "retry_budget": "upstreams.app.retries.budget."
        case "hedge": "upstreams.app.hedge."
        case "upstream_limits": "upstreams.app.limits."
        case "peer_limits": "upstreams.app.limits.per_peer."
        case "pool": "upstreams.app.pool."
        case "upstream_http2": "upstreams.app.http2."
        case "route": "routes[0]."
        case "match": "routes[0].match."
        default: preconditionFailure("no place for the table \(table)")
        }
    }
}
