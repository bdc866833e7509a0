package import SluiceSDK

/// Keeps the peers of upstreams as name servers, a file or Consul's catalog have them.
///
/// All of it happens on worker 0 and on threads that may block; no request passes through it. A
/// source that fails leaves the last good set as it is.
package struct DiscoveryPlugin: HandoverPlugin, WorkHook, JobHook, CalloutHook,
    PeersHook
{
    package static let id: StaticString = "org.sluice.discovery"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Peers of upstreams from DNS, a watched file or Consul."
    package static var needs: HostTables { [.peers, .shared] }

    /// The worker that does it all.
    static let ownWorker = 0

    /// Asks an upstream's source anew; a number of the configuration's list.
    package struct Work: BitwiseCopyable {
        let upstream: UInt32
    }

    /// A question to a catalog; a number of the configuration's list.
    package struct Callout: BitwiseCopyable {
        let upstream: UInt32
    }

    let host: Host
    let configuration: DiscoveryConfiguration
    let saved: SavedPeers
    let counts: [UpstreamCounts]
    let peers: Peers
    let tenure: Tenure
    let scheduler: Scheduler<DiscoveryPlugin>
    let jobs: Jobs<DiscoveryPlugin>
    let callouts: Callouts<DiscoveryPlugin>

    /// Reads the configuration, and compares it with the manifest's upstreams.
    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
        self.configuration = try DiscoveryConfiguration(configuration, host)
        saved = SavedPeers()
        peers = Peers(host)
        tenure = try Tenure(host)
        scheduler = Scheduler(host)
        jobs = Jobs(host)
        callouts = Callouts(host)
        counts = try UpstreamCounts.make(self.configuration.upstreams, host)
        guard !host.isChecking else { return }
        do throws(ServiceError) {
            try peers.watch()
        } catch {
            throw PluginError("can't watch upstreams: \(error.text)")
        }
        let known = peers.upstreams()
        for upstream in self.configuration.upstreams where !known.isEmpty {
            let path = "upstreams." + String(upstream.name)
            guard let state = known.first(where: { $0.name == upstream.name }) else {
                throw PluginError(path: path, "the manifest has no such upstream")
            }
            guard state.isDiscovered else {
                throw PluginError(path: path, "the manifest's upstream lacks discovery: true")
            }
            if case .consul(let source, _, _) = upstream.source,
                !known.contains(where: { $0.name.isEqual(to: source.upstream) })
            {
                throw PluginError(path: path + ".consul.upstream", "the manifest has no such one")
            }
        }
    }

    /// The state of worker 0, which begins to ask; the others have nothing to do.
    package func makeWorker(_ index: Int) -> DiscoveryWorker {
        let worker = DiscoveryWorker(self, isOwn: index == Self.ownWorker)
        worker.begin(self)
        return worker
    }

    package func perform(_ work: Work, on worker: inout DiscoveryWorker) {
        worker.refresh(Int(work.upstream), self)
    }

    package func run(_ job: inout DiscoveryJob) { job.run(self) }

    package func finish(_ job: consuming DiscoveryJob, on worker: inout DiscoveryWorker) {
        worker.finish(job, self)
    }

    package func calloutDone(
        _ callout: Callout,
        _ result: CallResult,
        on worker: inout DiscoveryWorker
    ) {
        worker.answered(Int(callout.upstream), result, self)
    }

    package func peersChanged(_ upstream: Bytes, on worker: inout DiscoveryWorker) {
        worker.changed(upstream, self)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<DiscoveryPlugin>.create($0, $1, $2) }
        offer.check = { Export<DiscoveryPlugin>.check($0, $1) }
        offer.perform = { Export<DiscoveryPlugin>.perform($0, $1, $2) }
        offer.run = { Export<DiscoveryPlugin>.run($0, $1) }
        offer.finish = { Export<DiscoveryPlugin>.finish($0, $1, $2) }
        offer.calloutDone = { Export<DiscoveryPlugin>.calloutDone($0, $1, $2, $3) }
        offer.peersChanged = { Export<DiscoveryPlugin>.peersChanged($0, $1, $2, $3) }
        offer.exportState = { Export<DiscoveryPlugin>.exportState($0, $1, $2) }
        offer.importState = { Export<DiscoveryPlugin>.importState($0, $1, $2) }
        offer.warm = { Export<DiscoveryPlugin>.warm($0, $1) }
    }
}

extension DiscoveryPlugin {
    /// Writes the last good sets.
    package func exportState(to sink: inout StateSink) throws(PluginError) {
        SavedPeers.encode(saved.all).withBytes { _ = sink.write($0) }
    }

    /// Takes the last good sets of those upstreams that still have the same source.
    package func importState(_ state: Bytes) throws(PluginError) {
        let entries = try SavedPeers.decode(state)
        for upstream in configuration.upstreams {
            let name = [UInt8](upstream.name)
            let source = Array(upstream.source.text.utf8)
            for entry in entries where entry.upstream == name && entry.source == source {
                saved.put(entry)
            }
        }
    }

    /// Gives upstreams their first peers before a request comes: those of the instance before, of
    /// the file, or of a name server that answers in time.
    ///
    /// Never fails: a catalog that is away is no reason not to start.
    package func warm() throws(PluginError) {
        let deadline = host.nowNanoseconds + configuration.startNanoseconds
        for (index, upstream) in configuration.upstreams.enumerated() {
            if saved.peers(of: upstream.name, from: upstream.source) == nil {
                lookUp(index, until: deadline)
            }
            guard let list = saved.peers(of: upstream.name, from: upstream.source) else { continue }
            do throws(PluginError) {
                try give(list, to: index)
                host.log(.info) { "upstream \(String(upstream.name)): begins with \(list.text)" }
            } catch {
                host.log(.warn) { "upstream \(String(upstream.name)): \(error.message)" }
            }
        }
    }

    /// The first answer; a failure is told when the worker's own first question fails.
    private func lookUp(_ index: Int, until deadline: UInt64) {
        let upstream = configuration.upstreams[index]
        if case .consul = upstream.source { return }
        if case .dns = upstream.source, host.nowNanoseconds >= deadline { return }
        var job = DiscoveryJob(upstream: index, .look)
        job.startDeadline = deadline
        job.run(self)
        guard case .peers(let refresh)? = job.outcome, refresh.peers.count <= upstream.peersMax
        else { return }
        let list = PeerList(refresh.peers)
        if !list.peers.isEmpty || upstream.clearsWhenEmpty { save(list, of: index) }
    }

    /// Puts a set in use.
    ///
    /// Any thread.
    ///
    /// - Throws: why the host does not take it.
    func give(_ list: PeerList, to index: Int) throws(PluginError) {
        let memory = PeerMemory(list)
        try peers.set(configuration.upstreams[index].name, to: memory.peers)
        withExtendedLifetime(memory) {}
        counts[index].peers.set(list.peers.count)
    }

    /// Keeps a set for the instance that comes after.
    func save(_ list: PeerList, of index: Int) {
        let upstream = configuration.upstreams[index]
        let entry = SavedPeers.Entry(
            upstream: [UInt8](upstream.name),
            source: Array(upstream.source.text.utf8),
            peers: list
        )
        saved.put(entry)
    }
}

/// Peers as the host takes them, with the memory that their texts lie in.
private final class PeerMemory {
    private(set) var peers: [NewPeer] = []
    private let start: UnsafeMutablePointer<UInt8>

    init(_ list: PeerList) {
        let count = list.peers.reduce(0) { $0 + $1.address.count + $1.zone.count }
        start = .allocate(capacity: max(count, 1))
        var offset = 0
        for peer in list.peers {
            var new = NewPeer(place(peer.address, &offset))
            new.zone = place(peer.zone, &offset)
            new.weight = peer.weight
            new.priority = peer.priority
            new.isBackup = peer.isBackup
            new.isDraining = peer.isDraining
            peers.append(new)
        }
    }

    deinit { start.deallocate() }

    private func place(_ text: [UInt8], _ offset: inout Int) -> Bytes {
        // Safe: there is room for all texts, one behind the other.
        for (index, byte) in text.enumerated() { (start + offset + index).initialize(to: byte) }
        defer { offset += text.count }
        return Bytes(UnsafePointer(start + offset), count: text.count)
    }
}

extension Bytes {
    func isEqual(to other: [UInt8]) -> Bool { other.withBytes { $0 == self } }
}
