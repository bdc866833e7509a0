internal import PluginHost
internal import Proxy
internal import Sys

/// Everything that must be there before the first request: plugins made, names resolved, addresses
/// bound.
///
/// All problems are found in one go.
struct Preparation: ~Copyable {
    let plan: Plan
    let instances: [PluginInstance]
    /// Listening descriptors by worker, then listener.
    let listening: [[Int32]]
    /// Addresses as bound, in the order of the listeners.
    let addresses: [SocketAddress]
    let tls: TLSContexts
    let watch: CertificateWatch

    /// Names of plugins that are not loaded.
    let quarantined: [String]

    /// What is not as it should be, but can be served; a line each.
    var warnings: [String] {
        tls.warnings
            + quarantined.map { name in
                "plugin \(name) is in quarantine after a crash and is not loaded; its on_error says"
                    + " what becomes of requests; to try it again: sluice plugin reset \(name)"
            }
    }

    /// Why the process can't serve; a line each.
    struct Failure: Error {
        var lines: [String]
    }

    /// - Parameters:
    ///   - manifest: its name, for messages.
    ///   - binds: false leaves the addresses alone.
    ///   - quarantine: plugins that are not to be loaded.
    init(
        _ settings: ProxySettings,
        manifest: String,
        binds: Bool,
        quarantine: [Quarantine] = []
    ) throws(Failure) {
        let descriptorLimit = Process.raiseDescriptorLimit()
        let workerCount = settings.workers ?? Process.coreCount()
        var problems: [String] = []
        let loaded = PluginLoader.load(
            settings,
            folder: ManifestPath.folder(of: manifest),
            workerCount: workerCount,
            quarantine: quarantine
        )
        problems += loaded.problems
        tls = TLSContexts(settings)
        problems += tls.problems
        let listeners = Self.resolveListeners(settings, &problems)
        let peers = Self.resolvePeers(settings, &problems)
        var bound = Bound()
        if binds, problems.isEmpty || listeners.count == settings.listeners.count {
            bound = Self.bind(settings, listeners, workerCount: workerCount, &problems)
        }
        var plan: Plan?
        if problems.isEmpty {
            do throws(PluginError) {
                plan = try Plan(
                    settings,
                    instances: loaded.instances,
                    addresses: binds ? bound.addresses : listeners,
                    peerAddresses: peers,
                    tls: tls,
                    workerCount: workerCount,
                    descriptorLimit: descriptorLimit
                )
            } catch {
                problems.append(error.description)
            }
        }
        guard let plan else {
            for fd in bound.descriptors.joined() { Syscall.close(fd) }
            throw Failure(lines: problems.map { "\(manifest): \($0)" })
        }
        self.plan = plan
        watch = CertificateWatch(settings, tls)
        instances = loaded.instances
        quarantined = loaded.quarantined
        listening = bound.descriptors
        addresses = bound.addresses
    }

    /// Lets go of the addresses: nothing will be served.
    func release() {
        for fd in listening.joined() { Syscall.close(fd) }
        for address in addresses where address.isUnix {
            File.remove(String(address.text.dropFirst("unix:".count)))
        }
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

    private struct Bound {
        var addresses: [SocketAddress] = []
        var descriptors: [[Int32]] = []
    }

    private static func bind(
        _ settings: ProxySettings,
        _ addresses: [SocketAddress],
        workerCount: Int,
        _ problems: inout [String]
    ) -> Bound {
        var bound = Bound()
        bound.descriptors = Array(repeating: [], count: workerCount)
        for (index, listener) in settings.listeners.enumerated() {
            do throws(Errno) {
                let (address, descriptors) = try listen(
                    listener,
                    addresses[index],
                    workerCount: workerCount
                )
                bound.addresses.append(address)
                for worker in 0..<workerCount {
                    bound.descriptors[worker].append(descriptors[worker])
                }
            } catch {
                problems.append(
                    "listeners[\(index)].listen: \(listener.address): \(error.description)"
                        + (error == .addressInUse ? " (who has it: ss -ltnp)" : "")
                )
            }
        }
        return bound
    }

    /// A listening socket for each worker.
    private static func listen(
        _ listener: ListenerSettings,
        _ address: SocketAddress,
        workerCount: Int
    ) throws(Errno) -> (SocketAddress, [Int32]) {
        var options = Socket.ListenOptions()
        options.backlog = Int32(listener.backlog)
        options.keepaliveSeconds = Int32(listener.tcpKeepaliveSeconds)
        options.unixMode = listener.unixMode
        if address.isUnix {
            let first = try Socket.listen(address, options)
            var descriptors: [Int32] = []
            for _ in 1..<max(workerCount, 1) { descriptors.append(try Socket.duplicate(first)) }
            descriptors.append(first.release())
            return (address, descriptors)
        }
        // Another process of this user could share the port by SO_REUSEPORT without anybody
        // noticing; a socket without that option finds out.
        var probe = options
        probe.reusePort = false
        var bound = address
        do {
            let socket = try Socket.listen(address, probe)
            bound = try Socket.localAddress(socket.number)
        }
        var descriptors: [Int32] = []
        do throws(Errno) {
            for _ in 0..<workerCount {
                descriptors.append(try Socket.listen(bound, options).release())
            }
        } catch {
            for fd in descriptors { Syscall.close(fd) }
            throw error
        }
        return (bound, descriptors)
    }
}
