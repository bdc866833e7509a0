import CSluice
import HTTP
import PluginHost
import Synchronization
import Sys
import TLS

/// A peer as workers see it.
package struct PeerPlan {
    /// Of no other peer of the process (`sluice.peers/1`).
    let id: UInt64
    let address: SocketAddress
    /// As in the manifest: what balancers, logs and plugins see.
    let text: Slice
    /// The name or IP address in it, which ends with NUL: what TLS asks the peer for; nil of a
    /// Unix socket.
    let host: UnsafePointer<CChar>?
    /// What else makes a connection to it what it is.
    let link: PeerLink
    /// Counters that balancers read.
    let load: UnsafeMutablePointer<sluice_peer_load>
    /// Connections to it, over all workers.
    private let connectionCount: UnsafeMutablePointer<Atomic<Int>>
    /// Counters of all peers of its upstream.
    let upstream: UpstreamLoad

    /// - Parameter old: the same peer of the plan before, whose requests still count.
    init(
        _ settings: PeerSettings,
        id: UInt64,
        address: SocketAddress,
        _ link: PeerLink,
        _ upstream: UpstreamLoad,
        continuing old: UnsafeMutablePointer<PeerPlan>?
    ) {
        self.id = id
        self.address = address
        self.link = link
        let copy = sluice_slice(permanent: settings.address)
        text = Slice(copy.ptr, Int(copy.len))
        host = address.isUnix ? nil : Self.makeHost(settings.address)
        self.upstream = upstream
        if let old {
            load = old.pointee.load
            connectionCount = old.pointee.connectionCount
        } else {
            load = .allocate(capacity: 1)
            load.initialize(to: sluice_peer_load())
            connectionCount = .allocate(capacity: 1)
            connectionCount.initialize(to: Atomic(0))
        }
    }

    /// A peer as a probe has it: another one for pools and counters.
    init(
        probing original: PeerPlan,
        _ address: SocketAddress,
        load: UnsafeMutablePointer<sluice_peer_load>,
        connections: UnsafeMutablePointer<Atomic<Int>>,
        _ upstream: UpstreamLoad
    ) {
        id = 0
        self.address = address
        text = original.text
        host = original.host
        link = original.link
        self.load = load
        connectionCount = connections
        self.upstream = upstream
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
    ///
    /// - Returns: how many there are now, over all workers.
    @inline(__always)
    @discardableResult
    func addInFlight(_ change: Int) -> Int {
        // Safe: a 64-bit word, only ever touched by atomic operations.
        UnsafeMutableRawPointer(load).assumingMemoryBound(to: Atomic<Int>.self)
            .pointee.wrappingAdd(change, ordering: .relaxed).newValue
    }

    /// Requests that are with this peer now.
    var inFlight: Int {
        // Safe: as in `addInFlight`.
        UnsafeMutableRawPointer(load).assumingMemoryBound(to: Atomic<Int>.self)
            .pointee.load(ordering: .relaxed)
    }

    /// Counts connections to this peer, those that are being made included.
    ///
    /// - Returns: how many there are now.
    func addConnections(_ change: Int) -> Int {
        connectionCount.pointee.wrappingAdd(change, ordering: .relaxed).newValue
    }

    /// Connections to this peer.
    var connections: Int { connectionCount.pointee.load(ordering: .relaxed) }

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
    /// Index of each peer in the tables.
    let peerIndices: UnsafeMutablePointer<Int32>
    let peerCount: Int
    /// The balancer's function, its instance and the table it built; nil with one peer.
    let pick: Pick?
    let timeouts: UpstreamTimeouts
    let retries: RetrySettings
    /// Nil when it does nothing beyond the usual.
    let failover: UnsafeMutablePointer<FailoverPlan>?
    let pool: PoolSettings
    let hostOverride: Slice?
    let proxyProtocol: ProxyProtocolVersion?
    /// Nil when peers don't speak TLS.
    let tls: TLSClientContext?
    let speaks: UpstreamProtocol
    let http2: PeerHTTP2Plan
    let meter: Meter

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
        peerIndices indices: [Int],
        pick: Pick?,
        load: UpstreamLoad,
        meter: Meter
    ) {
        self.meter = meter
        let copy = sluice_slice(permanent: settings.name)
        name = Slice(copy.ptr, Int(copy.len))
        peerIndices = .allocate(capacity: max(indices.count, 1))
        for (at, index) in indices.enumerated() { peerIndices[at] = Int32(index) }
        peerCount = indices.count
        self.pick = pick
        self.tls = tls
        speaks = settings.speaks
        http2 = PeerHTTP2Plan(settings.http2)
        timeouts = settings.timeouts
        var retries = settings.retries
        if indices.isEmpty { retries.attempts = 0 }
        self.retries = retries
        failover = FailoverPlan.make(settings, load)
        pool = settings.pool
        proxyProtocol = settings.proxyProtocol
        hostOverride = settings.hostOverride.map { text in
            let copy = sluice_slice(permanent: text)
            return Slice(copy.ptr, Int(copy.len))
        }
    }

    /// What a probe goes through: one peer, one attempt, nothing pooled.
    ///
    /// - Parameter milliseconds: of all of it, which its own timer counts.
    init(
        probing upstream: UpstreamPlan,
        _ order: ProbeOrder,
        tls: TLSClientContext?,
        peerIndices: UnsafeMutablePointer<Int32>,
        milliseconds: Int,
        meter: Meter
    ) {
        // Nobody looks at what probes count.
        self.meter = meter
        name = upstream.name
        self.peerIndices = peerIndices
        peerCount = 1
        pick = nil
        self.tls = tls
        let isHTTP2 = order.speaks == UInt32(SLUICE_PROBE_HTTP2)
        speaks = isHTTP2 ? (tls == nil ? .h2c : .h2) : .h1
        http2 = upstream.http2
        var timeouts = UpstreamTimeouts()
        timeouts.connect = milliseconds + Self.probeGraceMilliseconds
        timeouts.write = Self.probeGraceMilliseconds
        timeouts.idle = Self.probeGraceMilliseconds
        self.timeouts = timeouts
        var retries = RetrySettings()
        retries.attempts = 1
        self.retries = retries
        failover = nil
        var pool = PoolSettings()
        pool.idlePerPeer = 0
        self.pool = pool
        hostOverride = upstream.hostOverride
        // Another port is another service.
        proxyProtocol = order.port == 0 && !isHTTP2 ? upstream.proxyProtocol : nil
    }

    /// How long a probe's connection may take to say good-bye.
    private static let probeGraceMilliseconds = 1_000

    /// Whether another peer is tried when a connect fails.
    var triesOtherPeers: Bool { failover?.pointee.on.events.contains(.connect) != false }

    /// Index in the tables of the peer that balancers call `local`, below `peerCount`.
    @inline(__always)
    func peer(_ local: Int) -> Int { Int(peerIndices[local]) }

    /// What balancers call a peer; takes time in the number of peers, for a request that failed.
    func local(of peer: Int) -> Int {
        for local in 0..<peerCount where Int(peerIndices[local]) == peer { return local }
        return 0
    }
}

/// What connections to a peer have in common besides its address: where it differs, one can't be
/// used in place of another.
struct PeerLink: Equatable {
    private let tls: ObjectIdentifier?
    private let speaks: UpstreamProtocol
    private let proxyProtocol: ProxyProtocolVersion?
    private let http2: UpstreamHTTP2Settings

    init(_ settings: UpstreamSettings, _ tls: TLSClientContext?) {
        self.tls = tls.map { ObjectIdentifier($0) }
        speaks = settings.speaks
        proxyProtocol = settings.proxyProtocol
        http2 = settings.http2
    }
}

/// A table that a balancer has built for the peers of an upstream.
package struct BuiltTable {
    let upstream: String
    let balancer: PluginInstance
    /// Of the peers, in the tables.
    let indices: [Int]
    let peers: [PeerSettings]
    let pick: UpstreamPlan.Pick
    private let role: UnsafePointer<sluice_lb>
    private let set: UnsafeMutablePointer<sluice_peer_set>
    private let list: UnsafeMutablePointer<sluice_peer>

    var table: UnsafeMutableRawPointer { pick.table }

    /// - Parameter version: greater than that of the set before.
    init(
        _ balancer: PluginInstance,
        _ upstream: UpstreamSettings,
        _ indices: [Int],
        _ tables: PlanTables,
        version: UInt64
    ) throws(PluginError) {
        guard let role = balancer.balancer, let build = role.pointee.build,
            let call = role.pointee.pick
        else {
            throw PluginError(
                "upstreams.\(upstream.name).balancer: plugin \(balancer.name) does not offer "
                    + SLUICE_LB_ID
            )
        }
        // The plugin's for as long as its table lives.
        let list = UnsafeMutablePointer<sluice_peer>.allocate(capacity: max(indices.count, 1))
        for (at, index) in indices.enumerated() {
            var peer = sluice_peer()
            peer.id = tables.peers[index].id
            peer.address = sluice_slice(tables.peers[index].text)
            peer.weight = UInt32(upstream.peers[at].weight)
            peer.priority = UInt32(upstream.peers[at].rank)
            peer.meta = upstream.peers[at].meta
            peer.load = UnsafePointer(tables.peers[index].load)
            list.advanced(by: at).initialize(to: peer)
        }
        let set = UnsafeMutablePointer<sluice_peer_set>.allocate(capacity: 1)
        set.initialize(to: sluice_peer_set())
        set.pointee.size = UInt32(MemoryLayout<sluice_peer_set>.size)
        set.pointee.count = UInt32(indices.count)
        set.pointee.version = version
        set.pointee.upstream = sluice_slice(permanent: upstream.name)
        set.pointee.peers = UnsafePointer(list)
        set.pointee.worker_count = UInt32(tables.workerCount)
        let table: UnsafeMutableRawPointer
        switch try balancer.build(build, set) {
        case .table(let built): table = built
        case .refused(let reason):
            list.deallocate()
            set.deallocate()
            throw PluginError(
                "upstreams.\(upstream.name).balancer: plugin \(balancer.name): \(reason)"
            )
        }
        self.upstream = upstream.name
        self.balancer = balancer
        self.indices = indices
        peers = upstream.peers
        self.role = role
        self.set = set
        self.list = list
        pick = UpstreamPlan.Pick(
            call: call,
            state: balancer.state,
            table: table,
            instance: balancer.index,
            label: balancer.label
        )
    }

    /// Gives the table back to the balancer; no worker uses it any more. [control]
    func drop() {
        guard balancer.drop(role.pointee.drop, table) else { return }
        list.deallocate()
        set.deallocate()
    }
}

extension PeerSettings {
    /// What balancers are told besides; nil when there is nothing.
    ///
    /// Never freed, as few peers have any, and each set of them is made once.
    fileprivate var meta: UnsafePointer<sluice_value>? {
        var members: [(key: String, value: ConfigurationTree.Node)] = []
        if isDraining { members.append(("draining", .bool(true))) }
        if let zone { members.append(("zone", .string(zone))) }
        return members.isEmpty ? nil : ConfigurationTree.make(.object(members))
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
