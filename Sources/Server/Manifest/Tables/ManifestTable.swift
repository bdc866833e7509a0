internal import Proxy

/// The top of the manifest.
extension Table where Root == ProxySettings {
    static let manifest = Table(
        "manifest",
        at: "sluice.json5",
        later: ["tls", "metrics", "access_log"],
        keys: [
            Key(
                check: "$schema",
                .parsed(.init("string", expected: "a string")) { text, _ in text },
                "For editors: where the JSON Schema of this file is. sluice does not read it."
            ),
            Key(
                check: "version",
                .integer(1...1),
                isRequired: true,
                "Version of the manifest's form."
            ),
            Key(
                "workers",
                \.workers,
                .optional("auto", .integer(1...256)),
                "Worker threads. `\"auto\"` is one for each core that the process may run on,"
                    + " bounded by the CPU quota of its cgroup."
            ),
            Key(
                check: "plugin_dir",
                .folder,
                "Folder of libraries that are named without a `/`. When left out:"
                    + " `../lib/sluice/plugins` beside the executable if that is there, else the"
                    + " executable's folder."
            ) { folder, reader in reader.pluginFolder = folder },
            Key(group: "log", .log, "The error log."),
            Key(group: "watchdog", .watchdog, "What looks after the workers."),
            Key(
                "admin",
                \.admin,
                .absent(.table(.admin)),
                "The [admin interface](admin.md): what runs, and commands to it. There is none when"
                    + " this is left out."
            ),
            // Before those below, which are parts of the same value.
            Key("upgrade", \.lifecycle, .table(.upgrade), "Another process takes over."),
            Key(
                "shutdown_grace",
                \.lifecycle.shutdownGrace,
                .duration(0...86_400_000),
                "How long tunnels (WebSockets) of a process that drains may still last, and requests"
                    + " without a client. Those of clients have no such bound: they end within the"
                    + " times of their listener."
            ),
            Key(
                "background_requests",
                \.backgroundRequests,
                .integer(0...65_536),
                "How many requests of a worker may go on without a client at the same time: those"
                    + " by which a [cache](cache-role.md) fetches in the background, and those"
                    + " whose client has left while a cache stores the response."
            ),
            Key(
                "reload_grace",
                \.lifecycle.reloadGrace,
                .orNone(.duration(100...86_400_000)),
                "How long requests and tunnels that began before a reload or a swap may go on with"
                    + " what they began with. What is left then is cut, and the old plugins are"
                    + " ended."
            ),
            Key(
                "restarts",
                \.lifecycle.restarts,
                .table(.restarts),
                "What the supervisor does about a serving process that ends by itself."
            ),
            Key(
                required: "listeners",
                \.listeners,
                .list(
                    of: .table(.listener) { _ in ListenerSettings(address: "") },
                    1...ManifestLimits.listenersMax
                ),
                "Addresses that clients connect to."
            ),
            Key(
                "plugins",
                \.plugins,
                .map(of: .plugin, declaring: .plugin, 0...ManifestLimits.pluginsMax) {
                    PluginSettings(name: $0, libraryPath: "")
                },
                "Plugin instances by name. Two instances may share a library."
            ),
            Key(
                "upstreams",
                \.upstreams,
                .map(of: .upstream, declaring: .upstream, 0...ManifestLimits.upstreamsMax) {
                    UpstreamSettings(name: $0)
                },
                "Sets of peers by name."
            ),
            Key(
                "chain",
                \.chain,
                .chain,
                "Plugin instances that every request passes, in this order, before those of its"
                    + " route. Responses pass them in reverse."
            ),
            Key(
                required: "routes",
                \.routes,
                .list(
                    of: .table(.route) { RouteSettings(name: $0) },
                    1...ManifestLimits.routesMax
                ),
                "Where requests go. The first route that matches wins; a request that none matches"
                    + " is answered 404."
            ),
        ] + integrityKeys + Key.service,
        check: checkWhole
    )

    static let log = Table(
        "log",
        at: "log",
        keys: [
            Key(
                "level",
                \.logLevel,
                .words([("error", .error), ("warn", .warn), ("info", .info), ("debug", .debug)]),
                "The least important lines that are written."
            )
        ]
    )

    static let watchdog = Table(
        "watchdog",
        at: "watchdog",
        keys: [
            Key(
                "hang",
                \.hangTime,
                .orNone(.time),
                "Time after which a worker that has not come back from a call of a plugin is stuck."
                    + " The process is then ended as by a crash of that plugin."
            )
        ]
    )

    /// Rules over several parts of the manifest.
    @Sendable
    private static func checkWhole(
        _ node: Node,
        _ settings: ProxySettings,
        _ reader: inout ManifestReader
    ) {
        checkListeners(settings, node.member("listeners"), &reader)
        checkRoutes(settings, node, &reader)
    }

    private static func checkListeners(
        _ settings: ProxySettings,
        _ node: Node?,
        _ reader: inout ManifestReader
    ) {
        var first: [String: Int] = [:]
        for (index, listener) in settings.listeners.enumerated() where listener.address != "" {
            // Port 0 takes another port each time.
            guard !listener.address.hasSuffix(":0") || listener.address.hasPrefix("unix:") else {
                continue
            }
            guard let earlier = first[listener.address] else {
                first[listener.address] = index
                continue
            }
            reader.report(
                "the same address as listeners[\(earlier)]",
                under: "listeners",
                index,
                "listen",
                in: node
            )
        }
    }

    private static func checkRoutes(
        _ settings: ProxySettings,
        _ node: Node,
        _ reader: inout ManifestReader
    ) {
        let routes = node.member("routes")
        // Judged by what is written: a wrong chain has its own line already.
        let hasChain = node.member("chain").map { $0.content != .array([]) } ?? false
        var first: [String: Int] = [:]
        for (index, route) in (routes?.elements ?? []).enumerated() {
            guard case .object = route.content, index < settings.routes.count else { continue }
            let name = settings.routes[index].name
            if let earlier = first[name] {
                reader.report(
                    "the same name as routes[\(earlier)]",
                    under: "routes",
                    index,
                    "name",
                    in: routes
                )
            } else {
                first[name] = index
            }
            let ownChain = route.member("chain").map { $0.content != .array([]) } ?? false
            if route.member("upstream") == nil, !ownChain, !hasChain {
                reader.report(
                    "needs an upstream, or a chain that answers",
                    under: "routes",
                    index,
                    nil,
                    in: routes
                )
            }
            for (place, instance) in settings.routes[index].chain.enumerated()
            where settings.chain.contains(instance) {
                reader.report(
                    "\(quote(instance)) is on the chain of all requests already",
                    under: "routes",
                    index,
                    "chain",
                    place,
                    in: routes
                )
            }
        }
    }
}

extension ManifestReader {
    /// Reports a problem of one element of a top-level list, at its key if it has it.
    fileprivate mutating func report(
        _ message: String,
        under list: String,
        _ index: Int,
        _ key: String?,
        _ place: Int? = nil,
        in node: Node?
    ) {
        guard let element = node?.elements[index] else { return }
        inside(.key(list)) { reader in
            reader.inside(.index(index)) { reader in
                guard let key else { return reader.report(message, at: element) }
                reader.inside(.key(key)) { reader in
                    let value = element.member(key) ?? element
                    guard let place, place < value.elements.count else {
                        return reader.report(message, at: value)
                    }
                    reader.inside(.index(place)) {
                        $0.report(message, at: value.elements[place])
                    }
                }
            }
        }
    }
}
