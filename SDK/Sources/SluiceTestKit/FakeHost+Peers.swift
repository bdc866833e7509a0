import CSluice
import SluiceSDK

/// A peer of an upstream, as a test sets it up and reads it.
public struct FakePeer: Equatable, Sendable {
    /// Its id: set by the host when it is 0.
    public var id: UInt64 = 0
    /// "192.0.2.1:80".
    public var address: String
    /// 1 to 65,535.
    public var weight = 1
    /// 0 first.
    public var priority = 0
    /// Where it is; or empty.
    public var zone = ""
    /// Only when no other peer can be used.
    public var isBackup = false
    /// It gets no new requests.
    public var isDraining = false
    /// As the plugin said last.
    public var health = PeerHealth.healthy
    /// Whether balancers pick it, whatever its health.
    public var isUsed = true
    /// As the plugin said last.
    public var reason = ""

    /// A healthy peer.
    public init(_ address: String) { self.address = address }
}

/// A probe that a plugin has begun, as a test reads it.
public struct Probe: Equatable, Sendable {
    /// Name of the upstream.
    public var upstream: String
    /// The peer's id.
    public var peer: UInt64
    /// The peer's address.
    public var address: String
    /// How it speaks: SLUICE_PROBE_TCP, _HTTP1 or _HTTP2.
    public var speaks: UInt32
    /// In place of the peer's; 0 for the peer's.
    public var port: Int
    /// SLUICE_PROBE_TLS_*.
    public var tls: UInt32
    /// "GET" when the plugin named none.
    public var method: String
    /// "/" when the plugin named none.
    public var path: String
    /// The Host; empty for the peer's address.
    public var authority: String
    /// Fields in order.
    public var fields: Message
    /// The body.
    public var body: [UInt8]
    /// For all of it.
    public var timeoutNanoseconds: UInt64
    /// The worker that began it.
    public var worker: Int
}

/// What a test has a peer answer to a probe.
public enum ProbeAnswer: Equatable, Sendable {
    /// A connection, for a probe without a request.
    case connected
    /// A whole response.
    case response(
        status: Int,
        fields: Message = Message(),
        body: [UInt8] = [],
        trailers: Message? = nil
    )
    /// It failed in a step (SLUICE_PROBE_CONNECT and so on).
    case failed(step: UInt32, isTimeout: Bool = false, reason: String = "refused")
}

/// A probe that has no result yet.
struct PendingProbe {
    let token: sluice_token
    let probe: Probe
    let worker: Int
    let deadline: UInt64
    let done:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafePointer<sluice_probe_result>?
        ) -> Void
    let context: UnsafeMutableRawPointer?
}

/// A plugin that wants to hear of changes.
struct PeersWatch {
    let upstream: String
    let changed: sluice_peers_changed
    let context: UnsafeMutableRawPointer?
}

extension FakeHost {
    static let probesMax = 256
    static let watchesMax = 64

    /// Gives an upstream its peers, as the host does; `PluginFixture.tellPeers` says so to the
    /// plugin.
    public func setPeers(_ upstream: String, _ peers: [FakePeer]) {
        upstreams.insert(upstream)
        let old = peersByUpstream[upstream] ?? []
        peersByUpstream[upstream] = peers.map { peer in
            var peer = peer
            if let same = old.first(where: { $0.address == peer.address }) {
                peer.id = same.id
                (peer.health, peer.isUsed, peer.reason) = (same.health, same.isUsed, same.reason)
            } else if peer.id == 0 {
                lastPeerID += 1
                peer.id = lastPeerID
            }
            return peer
        }
        peersVersion += 1
    }

    /// The peers of an upstream, with the health that the plugin gave them.
    public func peers(_ upstream: String) -> [FakePeer] { peersByUpstream[upstream] ?? [] }

    /// The peer of an address, in whatever upstream; nil when there is none.
    public func peer(_ address: String) -> FakePeer? {
        peersByUpstream.values.joined().first { $0.address == address }
    }

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let peersTable: UnsafePointer<sluice_peers> = {
        var table = sluice_peers()
        table.size = UInt32(MemoryLayout<sluice_peers>.size)
        table.upstreams = { host, to, capacity, count in
            locked { FakeHost.of(host).listUpstreams(to, Int(capacity), count) }
        }
        table.peers = { host, upstream, to, capacity, count, version in
            locked {
                version?.pointee = FakeHost.of(host).peersVersion
                return FakeHost.of(host).listPeers(String(upstream), to, Int(capacity), count)
            }
        }
        table.set_health = { host, peer, state, flags, reason in
            locked { FakeHost.of(host).setHealth(peer, state, flags, String(reason)) }
        }
        table.set_peers = { host, upstream, peers, count, error in
            let list = UnsafeBufferPointer(start: peers, count: Int(count))
            let refusal = locked { FakeHost.of(host).take(String(upstream), list) }
            guard let refusal else { return Int32(SLUICE_OK) }
            write(refusal.text, to: error)
            return refusal.code
        }
        table.watch = { host, upstream, changed, context in
            let host = FakeHost.of(host)
            guard host.expect(.control, in: "peers.watch"), let changed else {
                return Int32(SLUICE_EINVAL)
            }
            guard host.watches.count < watchesMax else { return Int32(SLUICE_ENOMEM) }
            host.watches.append(
                PeersWatch(upstream: String(upstream), changed: changed, context: context)
            )
            return Int32(SLUICE_OK)
        }
        table.of_request = { request in
            request.map { RequestFixture.of($0).peerID } ?? 0
        }
        table.tls_open = { host, settings, context, error in
            guard FakeHost.of(host).expect(.control, in: "peers.tls_open"), let settings else {
                return Int32(SLUICE_EINVAL)
            }
            let file = String(settings.pointee.ca_file)
            guard file.isEmpty || file.hasPrefix("/") else {
                write("ca_file: there is no file \"\(file)\"", to: error)
                return Int32(SLUICE_ECONFIG)
            }
            context?.pointee = OpaquePointer(bitPattern: 16)
            return Int32(SLUICE_OK)
        }
        table.probe = { host, probe, token in
            guard let probe else { return Int32(SLUICE_EINVAL) }
            return FakeHost.of(host).probe(probe.pointee, token)
        }
        table.cancel = { host, token in
            let host = FakeHost.of(host)
            let sequence = token?.pointee.sequence
            let index = host.pendingProbes.firstIndex { $0.token.sequence == sequence }
            guard let index else { return Int32(SLUICE_ESTALE) }
            host.pendingProbes.remove(at: index)
            return Int32(SLUICE_OK)
        }
        return place(table)
    }()

    private static func write(_ text: String, to error: UnsafeMutablePointer<sluice_errbuf>?) {
        guard let error, let start = error.pointee.ptr else { return }
        let bytes = Array(text.utf8.prefix(Int(error.pointee.cap)))
        for (index, byte) in bytes.enumerated() { start[index] = CChar(bitPattern: byte) }
        error.pointee.len = UInt32(bytes.count)
    }

    // MARK: Lists

    private func listUpstreams(
        _ to: UnsafeMutablePointer<sluice_upstream_info>?,
        _ capacity: Int,
        _ count: UnsafeMutablePointer<UInt64>?
    ) -> Int32 {
        let names = upstreams.sorted()
        count?.pointee = UInt64(names.count)
        for (index, name) in names.prefix(capacity).enumerated() {
            var info = sluice_upstream_info()
            info.name = peerTexts.slice(name)
            info.version = peersVersion
            info.peer_count = UInt32(peersByUpstream[name]?.count ?? 0)
            info.is_discovered = discovered.contains(name) ? 1 : 0
            to?[index] = info
        }
        return Int32(SLUICE_OK)
    }

    private func listPeers(
        _ upstream: String,
        _ to: UnsafeMutablePointer<sluice_peer_info>?,
        _ capacity: Int,
        _ count: UnsafeMutablePointer<UInt64>?
    ) -> Int32 {
        guard upstreams.contains(upstream) else { return Int32(SLUICE_ESTALE) }
        let list = peersByUpstream[upstream] ?? []
        count?.pointee = UInt64(list.count)
        for (index, peer) in list.prefix(capacity).enumerated() {
            var info = sluice_peer_info()
            info.id = peer.id
            info.address = peerTexts.slice(peer.address)
            info.weight = UInt32(peer.weight)
            info.priority = UInt32(peer.priority)
            info.zone = peerTexts.slice(peer.zone)
            if peer.isBackup { info.flags |= UInt32(SLUICE_PEER_BACKUP) }
            if peer.isDraining { info.flags |= UInt32(SLUICE_PEER_DRAINING) }
            info.health = peer.health.rawValue
            to?[index] = info
        }
        return Int32(SLUICE_OK)
    }

    // MARK: Changes

    private func setHealth(
        _ id: UInt64,
        _ state: UInt32,
        _ flags: UInt32,
        _ reason: String
    ) -> Int32 {
        guard let health = PeerHealth(rawValue: state), flags & ~UInt32(SLUICE_HEALTH_USED) == 0
        else { return Int32(SLUICE_EINVAL) }
        for (name, peers) in peersByUpstream {
            guard let place = peers.firstIndex(where: { $0.id == id }) else { continue }
            peersByUpstream[name]?[place].health = health
            peersByUpstream[name]?[place].isUsed = health == .healthy || flags != 0
            peersByUpstream[name]?[place].reason = reason
            return Int32(SLUICE_OK)
        }
        return Int32(SLUICE_ESTALE)
    }

    /// Why a set is refused; nil when it was taken.
    private func take(
        _ upstream: String,
        _ peers: UnsafeBufferPointer<sluice_new_peer>
    ) -> (code: Int32, text: String)? {
        guard upstreams.contains(upstream) else {
            return (Int32(SLUICE_ESTALE), "there is no upstream \"\(upstream)\"")
        }
        guard discovered.contains(upstream) else {
            let text = "upstreams.\(upstream): its peers are those of the manifest"
            return (Int32(SLUICE_ENOTSUP), text)
        }
        var list: [FakePeer] = []
        for (index, given) in peers.enumerated() {
            var peer = FakePeer(String(given.address))
            guard let colon = peer.address.lastIndex(of: ":"),
                peer.address.hasPrefix("unix:")
                    || UInt16(peer.address[peer.address.index(after: colon)...]) != nil,
                given.weight <= 65_535, given.priority <= 65_535
            else {
                return (Int32(SLUICE_EINVAL), "peers[\(index)]: \(peer.address) is no address")
            }
            if list.contains(where: { $0.address == peer.address }) {
                return (Int32(SLUICE_EINVAL), "peers[\(index)]: \(peer.address) is there twice")
            }
            peer.weight = max(Int(given.weight), 1)
            peer.priority = Int(given.priority)
            peer.zone = String(given.zone)
            peer.isBackup = given.flags & UInt32(SLUICE_PEER_BACKUP) != 0
            peer.isDraining = given.flags & UInt32(SLUICE_PEER_DRAINING) != 0
            list.append(peer)
        }
        setPeers(upstream, list)
        return nil
    }

    // MARK: Probes

    private func probe(_ call: sluice_probe, _ token: UnsafeMutablePointer<sluice_token>?) -> Int32
    {
        guard expect(.worker(0), in: "peers.probe") else { return Int32(SLUICE_ENOTSUP) }
        let path = call.path.len == 0 ? "/" : String(call.path)
        var fields: [(String, String)] = []
        for index in 0..<Int(call.field_count) {
            fields.append((String(call.fields[index].name), String(call.fields[index].value)))
        }
        guard path.hasPrefix("/"), call.body.len <= 65_536, call.port <= 65_535,
            call.body_max <= UInt64(Self.calloutBytesMax), call.protocol <= 2, call.tls <= 2,
            call.timeout_ns <= Self.waitNanosecondsMax, let done = call.done
        else { return Int32(SLUICE_EINVAL) }
        let upstream = String(call.upstream)
        let peer = peersByUpstream[upstream]?.first { $0.id == call.peer && call.peer != 0 }
        guard let peer else { return Int32(SLUICE_ESTALE) }
        let worker = Int(ThreadRole.current.worker)
        guard pendingProbes.count(where: { $0.worker == worker }) < Self.probesMax else {
            return Int32(SLUICE_EAGAIN)
        }
        let probe = Probe(
            upstream: upstream,
            peer: call.peer,
            address: peer.address,
            speaks: call.protocol,
            port: Int(call.port),
            tls: call.tls,
            method: call.method.len == 0 ? "GET" : String(call.method),
            path: path,
            authority: String(call.authority),
            fields: Message(fields),
            body: Array(UnsafeBufferPointer(start: call.body.ptr, count: Int(call.body.len))),
            timeoutNanoseconds: call.timeout_ns == 0 ? 1_000_000_000 : call.timeout_ns,
            worker: worker
        )
        let pending = PendingProbe(
            token: Waits.nextToken(),
            probe: probe,
            worker: worker,
            deadline: nowNanoseconds + probe.timeoutNanoseconds,
            done: done,
            context: call.context
        )
        probes.append(probe)
        pendingProbes.append(pending)
        token?.pointee = pending.token
        return Int32(SLUICE_OK)
    }
}

extension PendingProbe {
    /// Lays a result out, and poisons it when the plugin has had it.
    func deliver(
        _ answer: ProbeAnswer,
        nanoseconds: UInt64,
        _ call: (UnsafePointer<sluice_probe_result>) -> Void
    ) {
        let arena = Arena()
        let result = arena.allocate(sluice_probe_result(), count: 1)
        result.pointee.size = UInt32(MemoryLayout<sluice_probe_result>.size)
        result.pointee.duration_ns = nanoseconds
        switch answer {
        case .connected: break
        case .failed(let step, let isTimeout, let reason):
            result.pointee.step = step
            result.pointee.is_timeout = isTimeout ? 1 : 0
            result.pointee.reason = arena.slice(reason)
        case .response(let status, let fields, let body, let trailers):
            var message = fields
            message.fields.insert(Message.Field(name: ":status", value: "\(status)"), at: 0)
            result.pointee.status = UInt32(status)
            result.pointee.headers = message.layOut(in: arena)
            result.pointee.trailers = trailers?.layOut(in: arena)
            result.pointee.body = arena.slice(body)
        }
        call(result)
        arena.poison()
    }
}

extension PluginFixture {
    /// Tells the plugin on every worker that the peers of an upstream have changed.
    public func tellPeers(_ upstream: String, workers: Int = 1) {
        let name = host.peerTexts.slice(upstream)
        for watch in host.watches where watch.upstream.isEmpty || watch.upstream == upstream {
            for worker in 0..<workers {
                let slot = slot(worker)
                ThreadRole.worker(worker).run {
                    watch.changed(instance.state, slot, watch.context, name)
                }
            }
        }
    }

    /// Gives the plugin the answers of `FakeHost.probeAnswer` to the probes that wait.
    ///
    /// - Returns: how many had an answer.
    @discardableResult
    public func finishProbes() -> Int {
        var count = 0
        for pending in host.pendingProbes {
            guard let answer = host.probeAnswer(pending.probe) else { continue }
            if finish(pending, answer) { count += 1 }
        }
        return count
    }

    @discardableResult
    func finish(_ pending: PendingProbe, _ answer: ProbeAnswer) -> Bool {
        let place = host.pendingProbes.firstIndex {
            $0.token.sequence == pending.token.sequence
        }
        // The one before may have cancelled it.
        guard let place else { return false }
        host.pendingProbes.remove(at: place)
        let slot = slot(pending.worker)
        let began = pending.deadline - pending.probe.timeoutNanoseconds
        pending.deliver(answer, nanoseconds: host.nowNanoseconds - began) { result in
            ThreadRole.worker(pending.worker).run {
                pending.done(instance.state, slot, pending.context, result)
            }
        }
        return true
    }
}
