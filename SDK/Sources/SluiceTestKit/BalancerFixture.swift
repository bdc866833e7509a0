import CSluice

/// A table of a balancer over peers of a test.
public final class BalancerFixture {
    /// One peer as a test writes it.
    public struct TestPeer: Sendable {
        /// 1 to 65,535.
        public let weight: Int
        /// 0 first.
        public let priority: Int
        /// As in a manifest; nil for one that differs from those of other peers.
        public let address: String?
        /// As in a manifest; nil when nothing is said of it.
        public let zone: String?
        /// Whether the peer gets only what is with it already.
        public let isDraining: Bool

        /// A healthy peer.
        ///
        /// - Parameters:
        ///   - weight: 1 to 65,535.
        ///   - priority: 0 first.
        ///   - address: as in a manifest; nil for one that differs from those of other peers.
        ///   - zone: as in a manifest; nil when nothing is said of it.
        ///   - isDraining: whether it gets only what is with it already.
        public init(
            weight: Int = 1,
            priority: Int = 0,
            address: String? = nil,
            zone: String? = nil,
            isDraining: Bool = false
        ) {
            self.weight = weight
            self.priority = priority
            self.address = address
            self.zone = zone
            self.isDraining = isDraining
        }

        /// What the host says of it besides; nil when it says nothing.
        var meta: TestValue? {
            var members: [String: TestValue] = [:]
            if let zone { members["zone"] = .string(zone) }
            if isDraining { members["draining"] = true }
            return members.isEmpty ? nil : .object(members)
        }
    }

    private let plugin: PluginFixture
    private let arena = Arena()
    private let balancer: UnsafePointer<sluice_lb>
    private let loads: UnsafeMutablePointer<sluice_peer_load>
    private let table: UnsafeMutableRawPointer
    private let count: Int

    /// Builds a table of these peers; nil when the plugin is no balancer or refuses them.
    public convenience init?(
        _ plugin: PluginFixture,
        _ peers: [TestPeer],
        workers: Int = 1,
        version: UInt64 = 0
    ) {
        try? self.init(building: plugin, peers, workers: workers, version: version)
    }

    /// The line with which a balancer refuses peers; nil when it takes them.
    public static func refusal(_ plugin: PluginFixture, _ peers: [TestPeer]) -> String? {
        do {
            _ = try BalancerFixture(building: plugin, peers, workers: 1, version: 0)
            return nil
        } catch let refused as PluginFixture.Refused {
            return refused.line
        } catch {
            return "\(error)"
        }
    }

    private init(
        building plugin: PluginFixture,
        _ peers: [TestPeer],
        workers: Int,
        version: UInt64
    ) throws {
        let tables = plugin.table(SLUICE_LB_ID)?.assumingMemoryBound(to: sluice_lb.self)
        guard let balancer = tables else {
            throw PluginFixture.Refused(line: "no balancer", code: Int32(SLUICE_ENOTSUP))
        }
        self.plugin = plugin
        self.balancer = balancer
        count = peers.count
        loads = arena.allocate(sluice_peer_load(), count: peers.count)
        let set = Self.layOut(peers, loads, in: arena)
        set.pointee.version = version
        set.pointee.worker_count = UInt32(workers)
        var table: UnsafeMutableRawPointer?
        try PluginFixture.calling { error in
            table = balancer.pointee.build(plugin.instance.state, set, error)
            return Int32(table == nil ? SLUICE_ECONFIG : SLUICE_OK)
        }
        guard let table else { preconditionFailure("no table, and no error") }
        self.table = table
    }

    private static func layOut(
        _ peers: [TestPeer],
        _ loads: UnsafeMutablePointer<sluice_peer_load>,
        in arena: Arena
    ) -> UnsafeMutablePointer<sluice_peer_set> {
        let place = arena.allocate(sluice_peer(), count: peers.count)
        for (index, peer) in peers.enumerated() {
            place[index].id = UInt64(index + 1)
            place[index].address = arena.slice(
                peer.address ?? "10.0.\(index / 256).\(index % 256):80"
            )
            place[index].weight = UInt32(peer.weight)
            place[index].priority = UInt32(peer.priority)
            place[index].load = UnsafePointer(loads + index)
            place[index].meta = peer.meta?.layOut(in: arena)
        }
        let set = arena.allocate(sluice_peer_set(), count: 1)
        set.pointee.size = UInt32(MemoryLayout<sluice_peer_set>.size)
        set.pointee.count = UInt32(peers.count)
        set.pointee.peers = UnsafePointer(place)
        return set
    }

    deinit {
        balancer.pointee.drop(plugin.instance.state, table)
    }

    /// Makes a peer healthy or not.
    public func setHealthy(_ index: Int, _ isHealthy: Bool) {
        loads[index].health = isHealthy ? 0 : 1
    }

    /// Sets the mean time to a peer's first byte, in nanoseconds; 0 when none was measured.
    public func setLatency(_ index: Int, nanoseconds: UInt64) {
        loads[index].latency_ewma_ns = nanoseconds
    }

    /// Sets how many requests run on a peer.
    public func setInFlight(_ index: Int, _ count: Int) { loads[index].in_flight = UInt64(count) }

    /// Asks for peers, in order of preference; nil when none may be used.
    public func pick(
        worker: Int = 0,
        tried: Set<Int> = [],
        hashKey: String? = nil
    ) -> [Int]? {
        let arena = Arena()
        var words = [UInt64](repeating: 0, count: (count + 63) / 64)
        for index in tried { words[index / 64] |= 1 << UInt64(index % 64) }
        var pick = sluice_pick()
        pick.size = UInt32(MemoryLayout<sluice_pick>.size)
        pick.attempt = UInt32(tried.count + 1)
        pick.worker_index = UInt32(worker)
        if let hashKey {
            pick.has_hash = 1
            pick.hash_key = arena.slice(hashKey)
        }
        let result = words.withUnsafeBufferPointer { words in
            pick.tried = words.baseAddress
            return balancer.pointee.pick(
                plugin.instance.state,
                plugin.slot(worker),
                table,
                &pick
            )
        }
        guard result == SLUICE_PICK_OK else { return nil }
        return withUnsafeBytes(of: pick.candidates) { bytes in
            bytes.assumingMemoryBound(to: UInt32.self).prefix(Int(pick.count)).map { Int($0) }
        }
    }
}
