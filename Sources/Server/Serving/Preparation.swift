internal import PluginHost
internal import Proxy
internal import Sys

/// Everything that must be there before the first request of a manifest: plugins made, names
/// resolved, addresses bound.
///
/// All problems are found in one go; with any, nothing of it stays.
struct Preparation {
    let running: Running
    /// Instances that were made for it.
    let made: [PluginInstance]
    /// Addresses that were bound for it.
    private let bound: [ListenerSockets]
    private let source: (any ListenerSource)?

    /// What is not as it should be, but can be served; a line each.
    var warnings: [String] {
        running.tls.warnings
            + running.plugins.filter(\.isAbsent).map { plugin in
                let name = plugin.settings.name
                return "plugin \(name) is in quarantine after a crash and is not loaded; its"
                    + " on_error says what becomes of requests; to try it again:"
                    + " sluice plugin reset \(name)"
            }
    }

    /// Why it can't be served; a line each.
    struct Failure: Error {
        var lines: [String]
    }

    /// What is served already, and goes on beside what is prepared.
    struct Present {
        var running: Running
        /// For the plan: of none before it.
        var number: UInt32
    }

    /// - Parameters:
    ///   - manifest: its name, for messages.
    ///   - source: where sockets come from; nil leaves the addresses alone.
    ///   - present: what is served already; nil at the start.
    ///   - inherited: what the process before exported; nil when there was none.
    ///   - quarantine: plugins that are not to be loaded; nil for those that are not loaded now.
    init(
        _ settings: ProxySettings,
        manifest: String,
        source: (any ListenerSource)?,
        present: Present? = nil,
        inherited: ProcessState? = nil,
        quarantine: [Quarantine]? = nil
    ) throws(Failure) {
        let before = present?.running
        let tables = before?.plan.tables ?? Self.firstTables(settings)
        if settings.admin != nil { Metrics.expectReader() }
        var loader = PluginLoader(
            settings,
            folder: ManifestPath.folder(of: manifest),
            workerCount: tables.workerCount,
            quarantine: quarantine ?? before?.quarantine ?? [],
            tables: tables,
            previous: before,
            inherited: inherited,
            generation: UInt64(present?.number ?? 1)
        )
        if inherited?.importShared() == false {
            throw Failure(lines: ["\(manifest): the state of the process before is damaged"])
        }
        let loaded = loader.load()
        var problems = loaded.problems
        let tls = TLSContexts(settings, previous: before.map { ($0.settings, $0.tls) })
        problems += tls.problems
        problems += AdminEntrance.problems(settings.admin)
        inherited?.importTickets(settings, tls)
        let listeners = Self.resolveListeners(settings, &problems)
        var peers = Self.resolvePeers(settings, &problems)
        var sockets = Sockets()
        if let source, problems.isEmpty || listeners.count == settings.listeners.count {
            sockets.open(settings, listeners, source, count: tables.workerCount, before, &problems)
        }
        var plan: Plan?
        var served = settings
        if problems.isEmpty {
            do throws(PluginError) {
                for instance in loaded.made { try instance.handover?.warm() }
                // Peers that plugins know by now are there for the first request. The sets wait on:
                // who takes them finds that they are served.
                served = settings.withPeers(PeerDirectory.shared.waitingSets)
                peers = Self.addresses(served, peers)
                let addresses = source == nil ? listeners : sockets.all.map(\.address)
                plan = try Self.plan(served, loaded, addresses, peers, tls, tables, present)
            } catch {
                problems.append(error.description)
            }
        }
        guard let plan else {
            sockets.release(source, keeping: before?.sockets ?? [])
            loaded.discard(tables)
            before?.settings.announceUpstreams()
            throw Failure(lines: problems.map { "\(manifest): \($0)" })
        }
        running = Running(
            settings: served,
            plan: plan,
            plugins: loaded.plugins,
            tls: tls,
            sockets: sockets.all,
            quarantine: quarantine ?? before?.quarantine ?? []
        )
        made = loaded.made
        bound = sockets.new
        self.source = source
    }

    private static func firstTables(_ settings: ProxySettings) -> PlanTables {
        let tables = PlanTables(workerCount: settings.workers ?? Process.coreCount())
        ProcessMetrics.publish(tables)
        return tables
    }

    /// The addresses of peers, with those of discovered ones, which have no names.
    private static func addresses(
        _ settings: ProxySettings,
        _ resolved: [[SocketAddress]]
    ) -> [[SocketAddress]] {
        zip(settings.upstreams, resolved).map { upstream, addresses in
            guard upstream.isDiscovered else { return addresses }
            return upstream.peers.map { SocketAddress($0.address) ?? SocketAddress() }
        }
    }

    private static func plan(
        _ settings: ProxySettings,
        _ loaded: PluginLoader.Result,
        _ addresses: [SocketAddress],
        _ peers: [[SocketAddress]],
        _ tls: TLSContexts,
        _ tables: PlanTables,
        _ present: Present?
    ) throws(PluginError) -> Plan {
        try Plan(
            settings,
            instances: loaded.instances,
            addresses: addresses,
            peerAddresses: peers,
            tls: tls,
            tables: tables,
            previous: present?.running.plan,
            number: present?.number ?? 1,
            descriptorLimit: Process.raiseDescriptorLimit()
        )
    }

    /// Lets go of the addresses that were bound for it: nothing will be served.
    func release() { Sockets(new: bound).release(source, keeping: []) }

    /// Undoes all of it: what is served stays.
    func discard(_ present: Running) {
        Sockets(new: bound).release(source, keeping: present.sockets)
        running.plan.release(keeping: [present.plan])
        for instance in made {
            instance.destroy()
            running.plan.tables.giveInstance(instance.index)
        }
        present.settings.announceUpstreams()
    }

    // MARK: Names

    private static func resolveListeners(
        _ settings: ProxySettings,
        _ problems: inout [String]
    ) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for (index, listener) in settings.listeners.enumerated() {
            if let address = resolve(listener.address).first {
                addresses.append(address)
            } else {
                problems.append(
                    "listeners[\(index)].listen: \(listener.address) is no address of this machine"
                )
            }
        }
        return addresses
    }

    private static func resolvePeers(
        _ settings: ProxySettings,
        _ problems: inout [String]
    ) -> [[SocketAddress]] {
        settings.upstreams.map { upstream in
            upstream.peers.enumerated().map { index, peer in
                if let address = resolve(peer.address).first { return address }
                problems.append(
                    "upstreams.\(upstream.name).peers[\(index)]: \(peer.address) can't be resolved"
                )
                return SocketAddress()
            }
        }
    }

    /// Addresses of "host:port", "[v6]:port" or "unix:/path"; a name is asked of the resolver.
    private static func resolve(_ text: String) -> [SocketAddress] {
        if text.hasPrefix("unix:") {
            return SocketAddress(unixPath: String(text.dropFirst("unix:".count))).map { [$0] } ?? []
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return [] }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if let address = SocketAddress(numericHost: host, port: port) { return [address] }
        return SocketAddress.resolve(name: host, port: port)
    }

    // MARK: Sockets

    /// The sockets of all listeners, some of which there were before.
    private struct Sockets {
        var all: [ListenerSockets] = []
        var new: [ListenerSockets] = []

        mutating func open(
            _ settings: ProxySettings,
            _ addresses: [SocketAddress],
            _ source: any ListenerSource,
            count: Int,
            _ before: Running?,
            _ problems: inout [String]
        ) {
            for (place, listener) in settings.listeners.enumerated() {
                let key = ListenerKey(place, of: settings)
                if let known = before?.sockets(of: key) {
                    all.append(known)
                    continue
                }
                do throws(ListenerFailure) {
                    let sockets = try source.open(listener, addresses[place], count: count)
                    all.append(sockets)
                    new.append(sockets)
                } catch {
                    problems.append(
                        "listeners[\(place)].listen: \(listener.address): \(error.reason)"
                    )
                }
            }
        }

        func release(_ source: (any ListenerSource)?, keeping kept: [ListenerSockets]) {
            for fd in new.flatMap(\.descriptors) { Syscall.close(fd) }
            source?.settle(keeping: kept, dropping: new)
        }
    }
}

extension Running {
    /// Sockets of a listener; nil when nothing listens there.
    fileprivate func sockets(of key: ListenerKey) -> ListenerSockets? {
        let place = settings.listeners.indices.first { ListenerKey($0, of: settings) == key }
        guard let place, place < sockets.count else { return nil }
        return sockets[place]
    }

    /// The sockets that a worker watches.
    func listening(ofWorker worker: Int) -> [ListeningSocket] {
        var result: [ListeningSocket] = []
        for (place, index) in plan.listenerIndices.enumerated() where place < sockets.count {
            let descriptors = sockets[place].descriptors
            for at in stride(from: worker, to: descriptors.count, by: plan.workerCount) {
                result.append(ListeningSocket(fd: descriptors[at], listener: index))
            }
        }
        return result
    }
}
