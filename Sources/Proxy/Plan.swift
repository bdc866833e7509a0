import CSluice
import HTTP
package import PluginHost
import Synchronization
package import Sys
import TLS

/// What workers read of the settings: compiled in plain memory at fixed addresses, so that the
/// request path follows pointers without reference counts, strings or look-ups by name.
///
/// A plan is never changed once a worker has heard of it: a reload makes another one beside it, out
/// of the same `PlanTables`. What a plan points to is never freed, for requests, logs and plugins
/// may point there, too; a plan takes a few kilobytes.
package final class Plan: @unchecked Sendable {
    // Safe: filled in `init` and not changed after the first worker started, but for the atomics.

    /// 1 for the first of the process.
    package let number: UInt32
    package let tables: PlanTables
    package var workerCount: Int { tables.workerCount }
    package let logLevel: UInt32
    /// Requests without a client that a worker may have.
    let backgroundRequests: Int
    package let instances: [PluginInstance]
    /// Indices in the tables, in the manifest's order.
    package let listenerIndices: [Int]
    /// Listeners of the plan before whose connections go on as those of one of this plan.
    let listenerMoves: [(from: Int, to: Int)]
    /// Indices in the tables, of all upstreams.
    package let peerIndices: [Int]
    let routes: RouteTable
    /// The chain before a route is known: the global plugins alone.
    let globalChain: PhaseChain
    /// What balancers built, for the next plan to use again, and to drop.
    package let balancing: [BuiltTable]
    let listenerKeys: [ListenerKey: Int]
    let peerKeys: [PeerKey: Int]
    /// By worker; written while there is a trial.
    private let counts: [GenerationCounts]
    /// By the number of their name (`CalloutPort.number`); nil of those that this plan has not.
    private let upstreams: [UnsafeMutablePointer<UpstreamPlan>?]

    /// - Parameters:
    ///   - settings: checked: every name in them exists.
    ///   - instances: in the order of `settings.plugins`.
    ///   - addresses: of each listener, in order.
    ///   - peerAddresses: of each upstream's peers, in order.
    ///   - tls: made of the same settings, without a problem.
    ///   - tables: the same for all plans of a process.
    ///   - previous: the plan that this one takes the place of; what is the same in both keeps its
    ///     place in the tables.
    ///   - number: another one than any plan of the process had before.
    ///   - descriptorLimit: descriptors that the process may open.
    /// - Throws: what can't be built; then nothing is taken from the tables.
    package init(
        _ settings: ProxySettings,
        instances: [PluginInstance],
        addresses: [SocketAddress],
        peerAddresses: [[SocketAddress]],
        tls: TLSContexts,
        tables: PlanTables,
        previous: Plan? = nil,
        number: UInt32 = 1,
        descriptorLimit: Int
    ) throws(PluginError) {
        // What asks for TLS is never served in the clear.
        precondition(tls.problems.isEmpty, "\(tls.problems)")
        var builder = PlanBuilder(settings, instances, tables, previous, number: number)
        let routes: RouteTable
        do throws(PluginError) {
            try builder.addListeners(addresses, tls, descriptorLimit: descriptorLimit)
            try builder.addUpstreams(peerAddresses, tls)
            routes = try builder.makeRoutes()
        } catch {
            builder.undo()
            throw error
        }
        self.number = number
        self.tables = tables
        self.instances = instances
        self.routes = routes
        logLevel = settings.logLevel.rawValue
        backgroundRequests = settings.backgroundRequests
        listenerIndices = builder.listenerIndices
        listenerKeys = builder.listenerKeys
        listenerMoves = builder.listenerMoves
        peerIndices = builder.peerIndices
        peerKeys = builder.peerKeys
        balancing = builder.balancing
        globalChain = PhaseChain(global: builder.global, route: [])
        counts = (0..<tables.workerCount).map { _ in GenerationCounts() }
        var upstreams: [UnsafeMutablePointer<UpstreamPlan>?] = []
        for (index, upstream) in settings.upstreams.enumerated() {
            let number = CalloutPort.number(of: upstream.name)
            while upstreams.count <= number { upstreams.append(nil) }
            upstreams[number] = builder.upstreams[index]
        }
        self.upstreams = upstreams
    }

    /// The upstream whose name has this number; nil when the plan has none of this name.
    func upstream(numbered number: Int) -> UnsafeMutablePointer<UpstreamPlan>? {
        number < upstreams.count ? upstreams[number] : nil
    }

    /// The upstreams and their peers, as plugins see them.
    ///
    /// - Parameter settings: those that it was made of.
    package func directory(_ settings: ProxySettings) -> [PeerDirectory.Upstream] {
        settings.upstreams.map { upstream in
            var entry = upstream.entry
            guard let plan = self.upstream(numbered: CalloutPort.number(of: upstream.name)) else {
                return entry
            }
            for (place, peer) in upstream.peers.enumerated() {
                let index = plan.pointee.peer(place)
                var known = PeerDirectory.Peer(peer.address)
                known.id = tables.peers[index].id
                known.index = index
                known.weight = peer.weight
                known.priority = peer.priority
                known.zone = peer.zone ?? ""
                known.isBackup = peer.isBackup
                known.isDraining = peer.isDraining
                known.load = tables.peers[index].load
                entry.peers.append(known)
            }
            return entry
        }
    }

    /// Address of a peer that this plan has; nil when it has none of this name.
    package func address(ofPeer address: String, ordinal: Int, in upstream: String)
        -> SocketAddress?
    {
        let key = PeerKey(upstream: upstream, address: address, ordinal: ordinal)
        return peerKeys[key].map { tables.peers[$0].address }
    }

    /// What a worker counts of its requests while they are compared with another plan's.
    package func counts(ofWorker worker: Int) -> GenerationCounts {
        counts[worker]
    }

    /// Address of a listener, by its index in the tables.
    package func address(ofListener index: Int) -> SocketAddress {
        tables.listeners[index].address
    }

    /// Lets go of what this plan has and no live one: its tables of balancers, and its places.
    ///
    /// No worker uses it any more. [control]
    package func release(keeping live: [Plan]) {
        dropTables(keeping: live)
        let listeners = Set(live.flatMap(\.listenerIndices))
        for index in listenerIndices where !listeners.contains(index) {
            tables.freeListeners.give(index)
        }
        for index in peers(notIn: live) { tables.freePeers.give(index) }
    }

    /// Gives balancers the tables back that no live plan has. [control]
    package func dropTables(keeping live: [Plan]) {
        for built in balancing
        where !live.contains(where: { $0.balancing.contains { $0.table == built.table } }) {
            built.drop()
        }
    }

    /// Peers that none of these plans has. [control]
    package func peers(notIn live: [Plan]) -> [Int] {
        let kept = Set(live.flatMap(\.peerIndices))
        return peerIndices.filter { !kept.contains($0) }
    }

    /// Instances that none of these plans has. [control]
    package func instances(notIn live: [Plan]) -> [PluginInstance] {
        instances.filter { instance in
            !live.contains { $0.instances.contains { $0 === instance } }
        }
    }
}

/// Bounds of response heads; an origin over them gets its response refused with 502.
enum ResponseLimits {
    static let headBytesMax = 65_535
    static let fieldsMax = 100
    /// Interim responses (1xx) before one final response.
    static let interimMax = 16

    static var head: HeadLimits {
        var limits = HeadLimits()
        limits.headBytesMax = headBytesMax
        limits.fieldCountMax = fieldsMax
        return limits
    }
}

extension ProxySettings {
    /// Tells plugins which upstreams there are: already while they are made, so that they can look
    /// at a name in their configuration.
    ///
    /// - Parameter others: settings whose upstreams are there as well, while they are in use.
    package func announceUpstreams(and others: ProxySettings? = nil) {
        let names = upstreams.map(\.name) + (others?.upstreams.map(\.name) ?? [])
        CalloutPort.setUpstreams(Set(names))
        PeerDirectory.shared.announce((upstreams + (others?.upstreams ?? [])).map(\.entry))
        ProbeContexts.install()
    }
}

extension UpstreamSettings {
    /// As plugins see it, without its peers.
    fileprivate var entry: PeerDirectory.Upstream {
        PeerDirectory.Upstream(
            name: name,
            isDiscovered: isDiscovered,
            hasBalancer: balancer != nil
        )
    }
}

/// A route as workers see it.
package struct RoutePlan {
    let name: Slice
    let chain: PhaseChain
    let upstream: UnsafeMutablePointer<UpstreamPlan>?
    let meter: Meter

    init(
        _ settings: RouteSettings,
        chain: PhaseChain,
        upstream: UnsafeMutablePointer<UpstreamPlan>?,
        meter: Meter
    ) {
        let copy = sluice_slice(permanent: settings.name)
        name = Slice(copy.ptr, Int(copy.len))
        self.chain = chain
        self.upstream = upstream
        self.meter = meter
    }
}
