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
    /// Listening sockets by worker.
    let listening: [[ListeningSocket]]
    /// Addresses as bound, in the order of the listeners.
    let addresses: [SocketAddress]
    let tls: TLSContexts
    let watch: CertificateWatch

    /// What is not as it should be, but can be served; a line each.
    var warnings: [String] { tls.warnings }

    /// Why the process can't serve; a line each.
    struct Failure: Error {
        var lines: [String]
    }

    /// - Parameters:
    ///   - manifest: its name, for messages.
    ///   - sockets: where listening sockets come from; nil leaves the addresses alone.
    init(
        _ settings: ProxySettings,
        manifest: String,
        sockets: ListeningSource?
    ) throws(Failure) {
        let descriptorLimit = Process.raiseDescriptorLimit()
        let workerCount = settings.workers ?? Process.coreCount()
        var problems: [String] = []
        let loaded = PluginLoader.load(
            settings,
            folder: ManifestPath.folder(of: manifest),
            workerCount: workerCount
        )
        problems += loaded.problems
        tls = TLSContexts(settings)
        problems += tls.problems
        let listeners = Self.resolveListeners(settings, &problems)
        let peers = Self.resolvePeers(settings, &problems)
        var bound = ListeningSource.Bound()
        if let sockets, problems.isEmpty || listeners.count == settings.listeners.count {
            bound = sockets.bind(settings, listeners, workerCount: workerCount, &problems)
        }
        var plan: Plan?
        if problems.isEmpty {
            do throws(PluginError) {
                plan = try Plan(
                    settings,
                    instances: loaded.instances,
                    addresses: sockets == nil ? listeners : bound.addresses,
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
            bound.close()
            throw Failure(lines: problems.map { "\(manifest): \($0)" })
        }
        self.plan = plan
        watch = CertificateWatch(settings, tls)
        instances = loaded.instances
        listening = bound.sockets
        addresses = bound.addresses
    }

    /// Lets go of the addresses: nothing will be served.
    func release() {
        for socket in listening.joined() { Syscall.close(socket.descriptor) }
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
}
