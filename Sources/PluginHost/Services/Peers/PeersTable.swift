import CSluice
import Synchronization
import Sys

/// The functions of `sluice.peers/1`.
enum PeersTable {
    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_peers> = {
        let table = UnsafeMutablePointer<sluice_peers>.allocate(capacity: 1)
        table.initialize(to: sluice_peers())
        table.pointee.size = UInt32(MemoryLayout<sluice_peers>.size)
        table.pointee.upstreams = { _, to, capacity, count in
            PeerDirectory.shared.list(to, capacity, count)
        }
        table.pointee.peers = { _, upstream, to, capacity, count, version in
            guard let name = PeersTable.name(upstream) else { return Int32(SLUICE_ESTALE) }
            return PeerDirectory.shared.list(name, to, capacity, count, version)
        }
        table.pointee.set_health = { host, peer, state, flags, reason in
            guard let host else { return Int32(SLUICE_EINVAL) }
            let text = PeersTable.text(reason, most: PeerDirectory.reasonBytesMax)
            return InstanceHandle.with(host) { handle in
                PeerDirectory.shared.setHealth(peer, state, flags, text, by: handle)
            }
        }
        table.pointee.set_peers = { _, upstream, peers, count, error in
            PeersTable.set(upstream, peers, count, error)
        }
        table.pointee.watch = { host, upstream, changed, context in
            guard let host, let changed else { return Int32(SLUICE_EINVAL) }
            guard upstream.len <= 256 else { return Int32(SLUICE_EINVAL) }
            return InstanceHandle.with(host) { handle in
                guard ThreadRole.workerIndex < 0 else {
                    handle.noteMisuse()
                    return Int32(SLUICE_ENOTSUP)
                }
                return PeerDirectory.shared.watch(
                    PeerDirectory.Watch(
                        handle: .passUnretained(handle),
                        upstream: PeersTable.text(upstream, most: 256),
                        changed: changed,
                        context: context
                    )
                )
            }
        }
        table.pointee.of_request = { request in
            guard let request else { return 0 }
            // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
            return UnsafeMutablePointer<RequestContext>(request).pointee.peerID
        }
        fillProbes(table)
        return UnsafePointer(table)
    }()

    private static func fillProbes(_ table: UnsafeMutablePointer<sluice_peers>) {
        table.pointee.tls_open = { _, settings, context, errors in
            guard let settings, let context,
                settings.pointee.size == UInt32(MemoryLayout<sluice_probe_tls>.size)
            else { return Int32(SLUICE_EINVAL) }
            do throws(PeerDirectory.Refusal) {
                context.pointee = try PeerDirectory.shared.openTLS(ProbeTLS(settings.pointee))
                return Int32(SLUICE_OK)
            } catch {
                errors?.pointee.write(error.text)
                return error.code
            }
        }
        table.pointee.probe = { host, probe, token in
            guard let host, let probe, let token else { return Int32(SLUICE_EINVAL) }
            let worker = ThreadRole.workerIndex
            guard worker >= 0 else { return Int32(SLUICE_ENOTSUP) }
            return InstanceHandle.with(host) { handle in
                CalloutPort.of(worker: worker).start(probe, handle, token)
            }
        }
        table.pointee.cancel = { _, token in
            let worker = ThreadRole.workerIndex
            guard let token, worker >= 0 else { return Int32(SLUICE_ESTALE) }
            return CalloutPort.of(worker: worker).cancel(token.pointee)
        }
    }

    private static func set(
        _ upstream: sluice_slice,
        _ peers: UnsafePointer<sluice_new_peer>?,
        _ count: UInt64,
        _ errors: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard count == 0 || peers != nil, count <= 1 << 20, let name = name(upstream) else {
            return Int32(SLUICE_EINVAL)
        }
        do throws(PeerDirectory.Refusal) {
            let list = UnsafeBufferPointer(start: peers, count: Int(count))
            try PeerDirectory.shared.set(name, to: list)
            return Int32(SLUICE_OK)
        } catch {
            errors?.pointee.write(error.text)
            return error.code
        }
    }

    /// A name of an upstream; nil when it is longer than any.
    private static func name(_ slice: sluice_slice) -> String? {
        slice.len <= 256 ? text(slice, most: 256) : nil
    }

    /// The text of a slice, cut at a whole character.
    static func text(_ slice: sluice_slice, most: Int) -> String {
        guard let start = slice.ptr else { return "" }
        var count = Int(min(slice.len, UInt64(most)))
        while count > 0, count < Int(slice.len), start[count] & 0xC0 == 0x80 { count -= 1 }
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

extension PeerDirectory {
    fileprivate func list(
        _ to: UnsafeMutablePointer<sluice_upstream_info>?,
        _ capacity: UInt64,
        _ count: UnsafeMutablePointer<UInt64>?
    ) -> Int32 {
        guard let count, capacity == 0 || to != nil else { return Int32(SLUICE_EINVAL) }
        let infos = state.withLock { state -> [sluice_upstream_info] in
            state.upstreams.values.sorted { $0.name < $1.name }.map { upstream in
                var info = sluice_upstream_info()
                info.name = state.text(upstream.name)
                info.version = upstream.version
                info.peer_count = UInt32(upstream.peers.count)
                info.is_discovered = upstream.isDiscovered ? 1 : 0
                return info
            }
        }
        count.pointee = UInt64(infos.count)
        for (place, info) in infos.prefix(Int(clamping: capacity)).enumerated() {
            to?[place] = info
        }
        return Int32(SLUICE_OK)
    }

    fileprivate func list(
        _ name: String,
        _ to: UnsafeMutablePointer<sluice_peer_info>?,
        _ capacity: UInt64,
        _ count: UnsafeMutablePointer<UInt64>?,
        _ version: UnsafeMutablePointer<UInt64>?
    ) -> Int32 {
        guard let count, capacity == 0 || to != nil else { return Int32(SLUICE_EINVAL) }
        let found = state.withLock { state -> (infos: [sluice_peer_info], version: UInt64)? in
            guard let upstream = state.upstreams[name] else { return nil }
            return (upstream.peers.map { Self.info($0, &state) }, upstream.version)
        }
        guard let found else { return Int32(SLUICE_ESTALE) }
        count.pointee = UInt64(found.infos.count)
        version?.pointee = found.version
        for (place, info) in found.infos.prefix(Int(clamping: capacity)).enumerated() {
            to?[place] = info
        }
        return Int32(SLUICE_OK)
    }

    private static func info(_ peer: Peer, _ state: inout State) -> sluice_peer_info {
        var info = sluice_peer_info()
        info.id = peer.id
        info.address = state.text(peer.address)
        info.weight = UInt32(peer.weight)
        info.priority = UInt32(peer.priority)
        if peer.isBackup { info.flags |= UInt32(SLUICE_PEER_BACKUP) }
        if peer.isDraining { info.flags |= UInt32(SLUICE_PEER_DRAINING) }
        info.zone = state.text(peer.zone)
        info.health = state.records[peer.id]?.health.state ?? 0
        info.in_flight = peer.inFlight
        return info
    }
}

extension PeerDirectory.Peer {
    /// Requests that are with it.
    public var inFlight: UInt64 { word(0) }

    /// The average time to its first byte, in nanoseconds; 0 when there is none yet.
    public var latency: UInt64 { word(8) }

    private func word(_ offset: Int) -> UInt64 {
        guard let load else { return 0 }
        // Safe: 64-bit words that are only ever touched by atomic operations.
        return UnsafeMutableRawPointer(load).advanced(by: offset)
            .assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
    }
}
