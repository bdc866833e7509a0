import CSluice
import HTTP
package import PluginHost
import Synchronization
package import Sys
package import TLS

/// What workers read of the settings: compiled once at start, in plain memory at fixed addresses,
/// so that the request path follows pointers without reference counts, strings or look-ups by name.
package final class Plan: @unchecked Sendable {
    // Safe: filled in `init` and not changed after the first worker started, but for the atomics.
    package let workerCount: Int
    package let logLevel: UInt32
    package let listeners: UnsafeMutablePointer<ListenerPlan>
    package let listenerCount: Int
    package let peers: UnsafeMutablePointer<PeerPlan>
    package let peerCount: Int
    package let instances: [PluginInstance]
    let upstreams: UnsafeMutablePointer<UpstreamPlan>
    let idleCounts: IdleCounts
    let routes: RouteTable
    /// The chain before a route is known: the global plugins alone.
    let globalChain: PhaseChain
    /// Fields and head bytes that a parser's table must have room for.
    let fieldsMax: Int

    /// - Parameters:
    ///   - settings: checked: every name in them exists.
    ///   - instances: in the order of `settings.plugins`.
    ///   - addresses: of each listener, in order.
    ///   - peerAddresses: of each upstream's peers, in order.
    ///   - tls: made of the same settings, without a problem.
    ///   - workerCount: 1 or more.
    ///   - descriptorLimit: descriptors that the process may open.
    package init(
        _ settings: ProxySettings,
        instances: [PluginInstance],
        addresses: [SocketAddress],
        peerAddresses: [[SocketAddress]],
        tls: TLSContexts,
        workerCount: Int,
        descriptorLimit: Int
    ) throws(PluginError) {
        // What asks for TLS is never served in the clear.
        precondition(tls.problems.isEmpty, "\(tls.problems)")
        self.workerCount = workerCount
        self.instances = instances
        logLevel = settings.logLevel.rawValue
        listenerCount = settings.listeners.count
        listeners = .allocate(capacity: max(listenerCount, 1))
        for (index, listener) in settings.listeners.enumerated() {
            listeners.advanced(by: index).initialize(
                to: ListenerPlan(
                    listener,
                    address: addresses[index],
                    tls: tls.listeners[index],
                    descriptorLimit: descriptorLimit
                )
            )
        }
        fieldsMax = max(
            ResponseLimits.fieldsMax,
            settings.listeners.map(\.limits.fields).max() ?? 0
        )
        let byName = Dictionary(
            instances.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        peerCount = settings.upstreams.reduce(0) { $0 + $1.peers.count }
        peers = .allocate(capacity: max(peerCount, 1))
        upstreams = .allocate(capacity: max(settings.upstreams.count, 1))
        idleCounts = IdleCounts(workers: workerCount, peers: peerCount)
        var firstPeer = 0
        for (index, upstream) in settings.upstreams.enumerated() {
            for (at, peer) in upstream.peers.enumerated() {
                peers.advanced(by: firstPeer + at).initialize(
                    to: PeerPlan(peer, address: peerAddresses[index][at])
                )
            }
            upstreams.advanced(by: index).initialize(
                to: try UpstreamPlan(
                    upstream,
                    tls: tls.upstreams[index],
                    peers: peers + firstPeer,
                    firstPeer: firstPeer,
                    balancer: upstream.balancer.flatMap { byName[$0] },
                    workerCount: workerCount
                )
            )
            firstPeer += upstream.peers.count
        }
        settings.announceUpstreams()
        let global = settings.chain.compactMap { byName[$0] }
        globalChain = PhaseChain(global: global, route: [])
        routes = try Self.makeRoutes(settings, upstreams: upstreams, global: global, byName)
    }

    private static func makeRoutes(
        _ settings: ProxySettings,
        upstreams: UnsafeMutablePointer<UpstreamPlan>,
        global: [PluginInstance],
        _ byName: [String: PluginInstance]
    ) throws(PluginError) -> RouteTable {
        let upstreamIndex = Dictionary(
            settings.upstreams.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        var routes: [RoutePlan] = []
        for route in settings.routes {
            let index = route.upstream.flatMap { upstreamIndex[$0] }
            let own = route.chain.compactMap { byName[$0] }
            let balancer = index.flatMap { settings.upstreams[$0].balancer }
                .flatMap { byName[$0] }
            let chain = own + hooked(balancer, behind: global + own)
            guard global.count + chain.count <= PhaseChain.pluginsMax else {
                throw PluginError(
                    "route \(route.name): \(global.count + chain.count) plugins on its way, with "
                        + "the chain of all requests and the balancer; there may be "
                        + "\(PhaseChain.pluginsMax)"
                )
            }
            routes.append(
                RoutePlan(
                    route,
                    chain: PhaseChain(global: global, route: chain),
                    upstream: index.map { upstreams + $0 }
                )
            )
        }
        return RouteTable(
            routes,
            settings.routes.map(\.match),
            listeners: settings.listeners.map(\.address)
        )
    }

    /// A balancer that has hooks, as one that makes a key of each request; else nothing.
    ///
    /// It comes last, so that nobody has to name it twice; one that is on the chain already stays
    /// where it is.
    private static func hooked(
        _ balancer: PluginInstance?,
        behind chain: [PluginInstance]
    ) -> [PluginInstance] {
        guard let balancer, balancer.hasHooks, !chain.contains(where: { $0 === balancer }) else {
            return []
        }
        return [balancer]
    }
}

/// Bounds of response heads; an origin over them gets its response refused with 502.
enum ResponseLimits {
    static let headBytesMax = 65_535
    static let fieldsMax = 100
    /// Interim responses (1xx) before one final response.
    static let interimMax = 16
}

/// A listener as workers see it.
package struct ListenerPlan {
    package let address: SocketAddress
    /// As in the manifest.
    package let text: Slice
    package let settings: ListenerSettings
    let head: HeadLimits
    /// Bytes of a body, Int64.max for no bound.
    let bodyBytesMax: Int64
    let connectionsMax: Int
    /// Connections of all workers.
    let connections: UnsafeMutablePointer<Atomic<Int>>
    /// Connections by client address; nil without such a bound.
    let addresses: AddressCounts?
    /// What the headers of connections must be like; nil when they have none.
    let proxyProtocol: UnsafePointer<ProxyProtocolPlan>?
    /// Nil when clients don't speak TLS.
    package let tls: TLSServerContext?
    let speaksHTTP1: Bool
    /// In the clear.
    let speaksHTTP2: Bool

    init(
        _ settings: ListenerSettings,
        address: SocketAddress,
        tls: TLSServerContext? = nil,
        descriptorLimit: Int
    ) {
        self.tls = tls
        self.settings = settings
        self.address = address
        speaksHTTP1 = settings.protocols.contains(.h1)
        speaksHTTP2 = settings.tls == nil && settings.protocols.contains(.h2c)
        let copy = sluice_slice(permanent: settings.address)
        text = Slice(copy.ptr, Int(copy.len))
        var limits = HeadLimits()
        limits.headBytesMax = settings.limits.headBytes
        limits.fieldCountMax = settings.limits.fields
        limits.targetBytesMax = settings.limits.targetBytes
        head = limits
        bodyBytesMax = settings.limits.bodyBytes ?? .max
        connectionsMax = settings.limits.connections ?? max(1, descriptorLimit / 4 * 3)
        connections = .allocate(capacity: 1)
        connections.initialize(to: Atomic(0))
        addresses =
            settings.limits.connectionsPerAddress > 0
            ? AddressCounts(most: settings.limits.connectionsPerAddress) : nil
        proxyProtocol = settings.proxyProtocol.map { settings in
            let plan = UnsafeMutablePointer<ProxyProtocolPlan>.allocate(capacity: 1)
            plan.initialize(to: ProxyProtocolPlan(settings))
            return UnsafePointer(plan)
        }
    }
}

extension ProxySettings {
    /// Tells plugins which upstreams there are: already while they are made, so that they can look
    /// at a name in their configuration.
    package func announceUpstreams() {
        CalloutPort.setUpstreams(
            Dictionary(
                upstreams.enumerated().map { ($1.name, $0) },
                uniquingKeysWith: { first, _ in first }
            )
        )
    }
}

/// A peer as workers see it.
package struct PeerPlan {
    let address: SocketAddress
    /// As in the manifest: what balancers, logs and plugins see.
    let text: Slice
    /// The name or IP address in it, which ends with NUL: what TLS asks the peer for; nil of a
    /// Unix socket.
    let host: UnsafePointer<CChar>?
    let weight: UInt32
    let priority: UInt32
    /// Counters that balancers read.
    let load: UnsafeMutablePointer<sluice_peer_load>

    init(_ settings: PeerSettings, address: SocketAddress) {
        self.address = address
        let copy = sluice_slice(permanent: settings.address)
        text = Slice(copy.ptr, Int(copy.len))
        host = address.isUnix ? nil : Self.makeHost(settings.address)
        weight = UInt32(settings.weight)
        priority = UInt32(settings.priority)
        load = .allocate(capacity: 1)
        load.initialize(to: sluice_peer_load())
    }

    /// Of "192.0.2.1:80", "[2001:db8::1]:80" or "name:80".
    private static func makeHost(_ address: String) -> UnsafePointer<CChar> {
        let name = address[..<(address.lastIndex(of: ":") ?? address.endIndex)]
        let bytes = name.utf8.filter { $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "]") }
        let host = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
        for (index, byte) in bytes.enumerated() { host[index] = CChar(bitPattern: byte) }
        host[bytes.count] = 0
        return UnsafePointer(host)
    }

    /// Counts requests that are with this peer.
    @inline(__always)
    func addInFlight(_ change: Int) {
        // Safe: a 64-bit word, only ever touched by atomic operations.
        _ = UnsafeMutableRawPointer(load).assumingMemoryBound(to: Atomic<Int>.self)
            .pointee.wrappingAdd(change, ordering: .relaxed)
    }

    /// Moves the average time to the first byte by an eighth of the way to a new one.
    ///
    /// Workers may overwrite each other's step, which an average can bear: there is no loop.
    @inline(__always)
    func addLatency(_ nanoseconds: UInt64) {
        // Safe: as in `addInFlight`.
        let average = UnsafeMutableRawPointer(load).advanced(by: 8)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
        let before = average.pointee.load(ordering: .relaxed)
        // Never 0, which says that there is no average yet.
        let after = before == 0 ? nanoseconds : before &- before / 8 &+ nanoseconds / 8
        average.pointee.store(max(after, 1), ordering: .relaxed)
    }

    /// Failed connects and exchanges in a row.
    func setFailures(_ isFailure: Bool) {
        let counter = UnsafeMutableRawPointer(load).advanced(by: 16)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
        if isFailure {
            _ = counter.pointee.wrappingAdd(1, ordering: .relaxed)
        } else if counter.pointee.load(ordering: .relaxed) != 0 {
            counter.pointee.store(0, ordering: .relaxed)
        }
    }
}

/// An upstream as workers see it.
package struct UpstreamPlan {
    let name: Slice
    let peers: UnsafeMutablePointer<PeerPlan>
    let peerCount: Int
    /// Index of its first peer among all peers.
    let firstPeer: Int
    /// The balancer's function, its instance and the table it built; nil with one peer.
    let pick: Pick?
    let timeouts: UpstreamTimeouts
    let retries: RetrySettings
    let pool: PoolSettings
    let hostOverride: Slice?
    let proxyProtocol: ProxyProtocolVersion?
    /// Nil when peers don't speak TLS.
    let tls: TLSClientContext?
    let speaks: UpstreamProtocol
    let http2: PeerHTTP2Plan

    struct Pick {
        let call:
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
                UnsafeMutablePointer<sluice_pick>?
            ) -> UInt32
        let state: UnsafeMutableRawPointer?
        let table: UnsafeMutableRawPointer
        let instance: Int
        let label: UnsafePointer<CrashLabel>
    }

    init(
        _ settings: UpstreamSettings,
        tls: TLSClientContext?,
        peers: UnsafeMutablePointer<PeerPlan>,
        firstPeer: Int,
        balancer: PluginInstance?,
        workerCount: Int
    ) throws(PluginError) {
        let copy = sluice_slice(permanent: settings.name)
        name = Slice(copy.ptr, Int(copy.len))
        self.peers = peers
        self.firstPeer = firstPeer
        peerCount = settings.peers.count
        self.tls = tls
        speaks = settings.speaks
        http2 = PeerHTTP2Plan(settings.http2)
        timeouts = settings.timeouts
        retries = settings.retries
        pool = settings.pool
        proxyProtocol = settings.proxyProtocol
        hostOverride = settings.hostOverride.map { text in
            let copy = sluice_slice(permanent: text)
            return Slice(copy.ptr, Int(copy.len))
        }
        guard let balancer else {
            pick = nil
            return
        }
        pick = try Self.build(
            balancer,
            upstream: settings.name,
            copy,
            peers,
            count: settings.peers.count,
            workerCount: workerCount
        )
    }

    private static func build(
        _ balancer: PluginInstance,
        upstream: String,
        _ name: sluice_slice,
        _ peers: UnsafeMutablePointer<PeerPlan>,
        count: Int,
        workerCount: Int
    ) throws(PluginError) -> Pick {
        guard let role = balancer.balancer, let build = role.pointee.build,
            let call = role.pointee.pick
        else {
            throw PluginError(
                "upstreams.\(upstream).balancer: plugin \(balancer.name) does not offer "
                    + SLUICE_LB_ID
            )
        }
        // Given to the plugin for as long as its table lives: for ever.
        let list = UnsafeMutablePointer<sluice_peer>.allocate(capacity: max(count, 1))
        for index in 0..<count {
            var peer = sluice_peer()
            peer.id = UInt64(index)
            peer.address = sluice_slice(peers[index].text)
            peer.weight = peers[index].weight
            peer.priority = peers[index].priority
            peer.load = UnsafePointer(peers[index].load)
            list.advanced(by: index).initialize(to: peer)
        }
        let set = UnsafeMutablePointer<sluice_peer_set>.allocate(capacity: 1)
        set.initialize(to: sluice_peer_set())
        set.pointee.size = UInt32(MemoryLayout<sluice_peer_set>.size)
        set.pointee.count = UInt32(count)
        set.pointee.version = 1
        set.pointee.upstream = name
        set.pointee.peers = UnsafePointer(list)
        set.pointee.worker_count = UInt32(workerCount)
        var table: UnsafeMutableRawPointer?
        let made = PluginInstance.withErrorText { error in
            table = Breadcrumb.mark(.build, of: balancer.label) {
                build(balancer.state, set, error)
            }
            return table == nil ? Int32(SLUICE_ECONFIG) : Int32(SLUICE_OK)
        }
        guard let table else {
            throw PluginError(
                "upstreams.\(upstream).balancer: plugin \(balancer.name): "
                    + (made.text.isEmpty ? "no table" : made.text)
            )
        }
        return Pick(
            call: call,
            state: balancer.state,
            table: table,
            instance: balancer.index,
            label: balancer.label
        )
    }
}

/// How connections of HTTP/2 to peers are begun.
struct PeerHTTP2Plan {
    let local: H2Settings
    let limits: H2Limits
    /// Streams on one connection at the same time.
    let streams: Int
    /// Milliseconds; 0 is off.
    let pingInterval: UInt64
    let pingTimeout: UInt64

    init(_ settings: UpstreamHTTP2Settings) {
        var local = H2Settings.local(.client)
        local.initialWindowSize = UInt32(settings.streamWindowBytes)
        local.maxHeaderListSize = UInt32(ResponseLimits.headBytesMax)
        self.local = local
        var limits = H2Limits()
        limits.ownStreamsMax = settings.streams
        limits.connectionWindowBytes = settings.connectionWindowBytes
        self.limits = limits
        streams = settings.streams
        pingInterval = UInt64(settings.pingInterval)
        pingTimeout = UInt64(settings.pingTimeout)
    }
}

/// A route as workers see it.
package struct RoutePlan {
    let name: Slice
    let chain: PhaseChain
    let upstream: UnsafeMutablePointer<UpstreamPlan>?

    init(
        _ settings: RouteSettings,
        chain: PhaseChain,
        upstream: UnsafeMutablePointer<UpstreamPlan>?
    ) {
        let copy = sluice_slice(permanent: settings.name)
        name = Slice(copy.ptr, Int(copy.len))
        self.chain = chain
        self.upstream = upstream
    }
}

/// Connections by client address, over all workers; asked when one is accepted and when it ends.
final class AddressCounts: Sendable {
    private let most: Int
    private let counts = Mutex<[IPAddress: Int]>([:])

    init(most: Int) { self.most = most }

    /// Counts one more; false, and not counted, when the address has as many as it may.
    func add(_ address: IPAddress) -> Bool {
        counts.withLock { counts in
            let count = counts[address, default: 0]
            guard count < most else { return false }
            counts[address] = count + 1
            return true
        }
    }

    func remove(_ address: IPAddress) {
        counts.withLock { counts in
            guard let count = counts[address] else { return }
            counts[address] = count > 1 ? count - 1 : nil
        }
    }
}
