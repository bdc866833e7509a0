import CSluice
import PluginHost
import Sys

/// What a balancer's pick costs, and its table in time and memory: over few and very many peers of
/// the same weight.
struct PickBench: ~Copyable {
    /// Numbers of peers that are measured.
    static let counts = [2, 10, 100, 10_000]
    /// Different keys of requests, used in turn.
    private static let keyCount = 1_024
    /// Peers of a table below which its memory is not told.
    private static let countedMin = 1_000
    /// Tables that are built, of which the fastest counts.
    private static let builds = 3

    private let instance: PluginInstance
    private let role: UnsafePointer<sluice_lb>
    private let slot: UnsafeMutableRawPointer?
    private let keys: UnsafeMutablePointer<sluice_slice>

    /// Rows for each number of peers; none when the plugin is no balancer.
    ///
    /// - Throws: why a table could not be built.
    static func measure(
        _ instance: PluginInstance,
        slot: UnsafeMutableRawPointer?
    ) throws(PluginError) -> [HookBench.Row] {
        guard let role = instance.balancer else { return [] }
        let bench = PickBench(instance, role, slot)
        var rows: [HookBench.Row] = []
        for count in counts { rows += try bench.rows(peers: count) }
        return rows
    }

    private init(
        _ instance: PluginInstance,
        _ role: UnsafePointer<sluice_lb>,
        _ slot: UnsafeMutableRawPointer?
    ) {
        self.instance = instance
        self.role = role
        self.slot = slot
        keys = .allocate(capacity: Self.keyCount)
        for index in 0..<Self.keyCount {
            (keys + index).initialize(to: sluice_slice(permanent: "user-\(index)"))
        }
    }

    deinit { keys.deallocate() }

    private func rows(peers count: Int) throws(PluginError) -> [HookBench.Row] {
        let peers = UnsafeMutablePointer<sluice_peer>.allocate(capacity: count)
        let loads = UnsafeMutablePointer<sluice_peer_load>.allocate(capacity: count)
        defer {
            peers.deallocate()
            loads.deallocate()
        }
        loads.initialize(repeating: sluice_peer_load(), count: count)
        for index in 0..<count {
            var peer = sluice_peer()
            peer.id = UInt64(index)
            peer.address = sluice_slice(permanent: "10.0.\(index / 256).\(index % 256):80")
            peer.weight = 1
            peer.load = UnsafePointer(loads + index)
            (peers + index).initialize(to: peer)
        }
        var set = sluice_peer_set()
        set.size = UInt32(MemoryLayout<sluice_peer_set>.size)
        set.count = UInt32(count)
        set.peers = UnsafePointer(peers)
        set.worker_count = 1
        return try withUnsafePointer(to: &set) { set throws(PluginError) in
            var buildTime = Double.infinity
            for _ in 1..<Self.builds {
                let (table, time) = try build(set)
                buildTime = min(buildTime, time)
                role.pointee.drop(instance.state, table)
            }
            let before = Sys.Process.heapBytes
            let (table, time) = try build(set)
            let bytes = Sys.Process.heapBytes - before
            defer { role.pointee.drop(instance.state, table) }
            return [
                HookBench.Row(name: "pick of \(count) peers", nanoseconds: pick(table)),
                HookBench.Row(
                    name: "table of \(count) peers",
                    nanoseconds: min(buildTime, time),
                    // Small tables get what the allocator holds back of those before, and counts.
                    bytesPerPeer: count >= Self.countedMin ? Double(bytes) / Double(count) : nil
                ),
            ]
        }
    }

    private func build(
        _ set: UnsafePointer<sluice_peer_set>
    ) throws(PluginError) -> (table: UnsafeMutableRawPointer, nanoseconds: Double) {
        var table: UnsafeMutableRawPointer?
        ThreadRole.enter(.control)
        defer { ThreadRole.enter(.worker(0)) }
        let start = Clock.kernelNanoseconds()
        let made = PluginInstance.withErrorText { error in
            table = role.pointee.build(instance.state, set, error)
            return Int32(table == nil ? SLUICE_ECONFIG : SLUICE_OK)
        }
        let time = Clock.kernelNanoseconds() - start
        guard let table else {
            throw PluginError("\(set.pointee.count) peers: \(made.text)")
        }
        return (table, Double(time))
    }

    /// The best time of a pick; a request's first, with a key.
    private func pick(_ table: UnsafeMutableRawPointer) -> Double {
        var pick = sluice_pick()
        pick.size = UInt32(MemoryLayout<sluice_pick>.size)
        pick.attempt = 1
        pick.has_hash = 1
        var best = Double.infinity
        for _ in 0..<HookBench.runs {
            let start = Clock.kernelNanoseconds()
            for call in 0..<HookBench.calls {
                pick.hash_key = keys[call & (Self.keyCount - 1)]
                pick.count = 0
                _ = role.pointee.pick(instance.state, slot, table, &pick)
            }
            let time = Clock.kernelNanoseconds() - start
            best = min(best, Double(time) / Double(HookBench.calls))
        }
        return best
    }
}
