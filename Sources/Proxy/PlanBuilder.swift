import CSluice
import HTTP
import PluginHost
import Sys
import TLS

/// A listener of the manifest: its address, and which of those with the same address it is.
package struct ListenerKey: Hashable {
    package let address: String
    package let ordinal: Int

    /// - Parameter place: of the listener in the settings.
    package init(_ place: Int, of settings: ProxySettings) {
        address = settings.listeners[place].address
        ordinal = settings.listeners[..<place].count {
            $0.address == settings.listeners[place].address
        }
    }
}

/// All that makes two connections to a peer the same: what may take one from the pool.
struct PeerKey: Hashable {
    let upstream: String
    let address: String
    /// Which of the upstream's peers with the same address it is.
    let ordinal: Int
}

/// Builds a plan step by step, and takes back what it took when a step fails.
struct PlanBuilder {
    private let settings: ProxySettings
    private let instances: [PluginInstance]
    private let tables: PlanTables
    private let previous: Plan?
    private let number: UInt32
    private let byName: [String: PluginInstance]
    /// The chain that every request goes through.
    let global: [PluginInstance]

    private(set) var listenerIndices: [Int] = []
    private(set) var listenerKeys: [ListenerKey: Int] = [:]
    /// Listeners whose connections go on as those of another.
    private(set) var listenerMoves: [(from: Int, to: Int)] = []
    private(set) var peerIndices: [Int] = []
    private(set) var peerKeys: [PeerKey: Int] = [:]
    private(set) var upstreams: [UnsafeMutablePointer<UpstreamPlan>] = []
    private(set) var balancing: [BuiltTable] = []
    private var newListeners: [Int] = []
    private var newPeers: [Int] = []
    private var newTables: [BuiltTable] = []

    init(
        _ settings: ProxySettings,
        _ instances: [PluginInstance],
        _ tables: PlanTables,
        _ previous: Plan?,
        number: UInt32
    ) {
        self.settings = settings
        self.instances = instances
        self.tables = tables
        self.previous = previous
        self.number = number
        let byName = Dictionary(
            instances.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        self.byName = byName
        global = settings.chain.compactMap { byName[$0] }
    }

    /// Gives back all that was taken: there will be no plan.
    func undo() {
        for index in newListeners { tables.freeListeners.give(index) }
        for index in newPeers { tables.freePeers.give(index) }
        for table in newTables { table.drop() }
    }

    // MARK: Listeners

    mutating func addListeners(
        _ addresses: [SocketAddress],
        _ tls: TLSContexts,
        descriptorLimit: Int
    ) throws(PluginError) {
        for (order, listener) in settings.listeners.enumerated() {
            let key = ListenerKey(order, of: settings)
            let known = previous?.listenerKeys[key]
            var old = known.map { tables.listeners + $0 }
            if let found = old, !found.pointee.continues(as: listener) { old = nil }
            if let known, let old, old.pointee.settings == listener,
                old.pointee.tls === tls.listeners[order]
            {
                listenerIndices.append(known)
                listenerKeys[key] = known
                continue
            }
            guard let index = tables.freeListeners.take() else {
                throw PluginError("more than \(PlanTables.listenersMax) listeners are in use")
            }
            newListeners.append(index)
            tables.listeners.advanced(by: index).initialize(
                to: ListenerPlan(
                    listener,
                    address: addresses[order],
                    tls: tls.listeners[order],
                    descriptorLimit: descriptorLimit,
                    meter: tables.meters.listener(listener.address),
                    continuing: old
                )
            )
            listenerIndices.append(index)
            listenerKeys[key] = index
            if let known, old != nil { listenerMoves.append((from: known, to: index)) }
        }
    }

    // MARK: Upstreams

    mutating func addUpstreams(
        _ addresses: [[SocketAddress]],
        _ tls: TLSContexts
    ) throws(PluginError) {
        for (order, upstream) in settings.upstreams.enumerated() {
            let balancer = upstream.balancer.flatMap { byName[$0] }
            let indices = try addPeers(upstream, addresses[order], tls.upstreams[order])
            // Without peers there is nothing to choose from.
            let chooser = indices.isEmpty ? nil : balancer
            let built = try chooser.map { balancer throws(PluginError) in
                try table(of: balancer, upstream, indices)
            }
            if let built { balancing.append(built) }
            let plan = UnsafeMutablePointer<UpstreamPlan>.allocate(capacity: 1)
            plan.initialize(
                to: UpstreamPlan(
                    upstream,
                    tls: tls.upstreams[order],
                    peerIndices: indices,
                    pick: built?.pick,
                    load: tables.meters.load(ofUpstream: upstream.name),
                    meter: tables.meters.upstream(upstream.name)
                )
            )
            upstreams.append(plan)
        }
    }

    private mutating func addPeers(
        _ upstream: UpstreamSettings,
        _ addresses: [SocketAddress],
        _ tls: TLSClientContext?
    ) throws(PluginError) -> [Int] {
        var indices: [Int] = []
        var ordinals: [String: Int] = [:]
        let link = PeerLink(upstream, tls)
        for (order, peer) in upstream.peers.enumerated() {
            let ordinal = ordinals[peer.address, default: 0]
            ordinals[peer.address] = ordinal + 1
            let key = PeerKey(
                upstream: upstream.name,
                address: peer.address,
                ordinal: ordinal
            )
            let known = previous?.peerKeys[key]
            let old = known.map { tables.peers + $0 }
            if let known, let old, old.pointee.link == link,
                old.pointee.address == addresses[order]
            {
                indices.append(known)
                peerKeys[key] = known
                continue
            }
            guard let index = tables.freePeers.take() else {
                throw PluginError("more than \(PlanTables.peersMax) peers are in use")
            }
            newPeers.append(index)
            tables.idleCounts.clear(peer: index)
            tables.peers.advanced(by: index).initialize(
                to: PeerPlan(
                    peer,
                    id: old?.pointee.id ?? tables.takePeerID(),
                    address: addresses[order],
                    link,
                    tables.meters.load(ofUpstream: upstream.name),
                    continuing: old
                )
            )
            indices.append(index)
            peerKeys[key] = index
        }
        peerIndices += indices
        return indices
    }

    /// The balancer's table for these peers: the one of the plan before, when nothing of it has
    /// changed.
    private mutating func table(
        of balancer: PluginInstance,
        _ upstream: UpstreamSettings,
        _ indices: [Int]
    ) throws(PluginError) -> BuiltTable {
        if let old = previous?.balancing.first(where: { $0.upstream == upstream.name }),
            old.balancer === balancer, old.indices == indices, old.peers == upstream.peers
        {
            return old
        }
        let built = try BuiltTable(
            balancer,
            upstream,
            indices,
            tables,
            version: UInt64(number)
        )
        newTables.append(built)
        return built
    }

    // MARK: Routes

    func makeRoutes() throws(PluginError) -> RouteTable {
        let order = Dictionary(
            settings.upstreams.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        var routes: [RoutePlan] = []
        for route in settings.routes {
            let index = route.upstream.flatMap { order[$0] }
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
            let caches = (global + chain).filter(\.isCache).map(\.name)
            guard caches.count <= 1 else {
                throw PluginError(
                    "route \(route.name): \(caches[0]) and \(caches[1]) are both caches; a route, "
                        + "with the chain of all requests, has one at most"
                )
            }
            routes.append(
                RoutePlan(
                    route,
                    chain: PhaseChain(global: global, route: chain),
                    upstream: index.map { upstreams[$0] },
                    meter: tables.meters.route(route.name, upstream: route.upstream)
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
    private func hooked(
        _ balancer: PluginInstance?,
        behind chain: [PluginInstance]
    ) -> [PluginInstance] {
        guard let balancer, balancer.hasHooks, !chain.contains(where: { $0 === balancer }) else {
            return []
        }
        return [balancer]
    }
}
