import CSluice

/// Hears when the peers of an upstream have changed.
public protocol PeersHook: Plugin, ~Copyable {
    /// New requests of this worker pick from the new peers; called on every worker.
    ///
    /// - Parameter upstream: its name, valid for the process.
    func peersChanged(_ upstream: Bytes, on worker: inout Worker)
}

/// An upstream as it is now.
///
/// Its name is valid for the process.
public struct UpstreamState: BitwiseCopyable {
    /// As in the manifest.
    public let name: Bytes
    /// Greater when its peers have changed.
    public let version: UInt64
    /// Number of its peers.
    public let peerCount: Int
    /// Whether the manifest says that a plugin gives its peers.
    public let isDiscovered: Bool

    init(_ info: sluice_upstream_info) {
        name = Bytes(info.name)
        version = info.version
        peerCount = Int(info.peer_count)
        isDiscovered = info.is_discovered != 0
    }
}

/// How a peer is.
public enum PeerHealth: UInt32, Sendable, BitwiseCopyable {
    /// It is picked.
    case healthy = 0
    /// Its checks fail.
    case unhealthy = 1
    /// Requests to it fail.
    case ejected = 2
}

/// A peer as it is now.
///
/// Its address and zone are valid for the process.
public struct PeerState: BitwiseCopyable {
    /// Of this address in this upstream, while it is there; 0 of one that a set drains where there is
    /// no balancer.
    public let id: UInt64
    /// "192.0.2.1:80", "[2001:db8::1]:80", "name:80" or "unix:/path".
    public let address: Bytes
    /// 1 to 65,535.
    public let weight: Int
    /// 0 first.
    public let priority: Int
    /// Where it is; or empty.
    public let zone: Bytes
    /// Only when no other peer can be used.
    public let isBackup: Bool
    /// It gets requests of the sessions that a balancer keeps with it, and no others.
    public let isDraining: Bool
    /// As it was said last.
    public let health: PeerHealth
    /// Requests that are with it.
    public let inFlight: UInt64

    init(_ info: sluice_peer_info) {
        id = info.id
        address = Bytes(info.address)
        weight = Int(info.weight)
        priority = Int(info.priority)
        zone = Bytes(info.zone)
        isBackup = info.flags & UInt32(SLUICE_PEER_BACKUP) != 0
        isDraining = info.flags & UInt32(SLUICE_PEER_DRAINING) != 0
        health = PeerHealth(rawValue: info.health) ?? .unhealthy
        inFlight = info.in_flight
    }
}

/// A peer for `Peers.set`.
public struct NewPeer {
    /// "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path"; never a name.
    public var address: Bytes
    /// 1 to 65,535.
    public var weight = 1
    /// 0 (first) to 65,535.
    public var priority = 0
    /// Up to 64 bytes; or empty.
    public var zone: Bytes = .empty
    /// Only when no other peer can be used.
    public var isBackup = false
    /// No new requests; those that run finish.
    public var isDraining = false

    /// A peer of weight 1.
    public init(_ address: Bytes) { self.address = address }

    var cPeer: sluice_new_peer {
        var peer = sluice_new_peer()
        peer.address = address.slice
        peer.weight = UInt32(clamping: weight)
        peer.priority = UInt32(clamping: priority)
        peer.zone = zone.slice
        if isBackup { peer.flags |= UInt32(SLUICE_PEER_BACKUP) }
        if isDraining { peer.flags |= UInt32(SLUICE_PEER_DRAINING) }
        return peer
    }
}

/// The peers of upstreams: `sluice.peers/1`.
///
/// Make it in `init`, and keep it.
public struct Peers: BitwiseCopyable {
    let services: UnsafePointer<Services>?

    /// The peers as a plugin with this host sees them.
    public init(_ host: Host) { services = host.services }

    /// All upstreams; empty where the host does not say.
    ///
    /// Any thread.
    public func upstreams() -> [UpstreamState] {
        guard let services, let table = services.pointee.peers else { return [] }
        let found = read(sluice_upstream_info()) { to, capacity, count in
            table.pointee.upstreams(services.pointee.handle, to, capacity, count)
        }
        return (found ?? []).map { UpstreamState($0) }
    }

    /// The peers of an upstream; nil when there is none of this name.
    ///
    /// Any thread.
    public func peers(of upstream: Bytes) -> [PeerState]? {
        var version: UInt64 = 0
        return peers(of: upstream, version: &version)
    }

    /// The peers of an upstream, and the version of the set; see `peers(of:)`.
    public func peers(of upstream: Bytes, version: inout UInt64) -> [PeerState]? {
        guard let services, let table = services.pointee.peers else { return nil }
        var latest: UInt64 = 0
        let found = read(sluice_peer_info()) { to, capacity, count in
            table.pointee.peers(
                services.pointee.handle,
                upstream.slice,
                to,
                capacity,
                count,
                &latest
            )
        }
        version = latest
        return found?.map { PeerState($0) }
    }

    private func read<Info>(
        _ empty: Info,
        _ call: (UnsafeMutablePointer<Info>?, UInt64, UnsafeMutablePointer<UInt64>) -> Int32
    ) -> [Info]? {
        var count: UInt64 = 16
        // It may have grown between two calls, but not for ever.
        for _ in 0..<8 {
            let capacity = Int(count)
            let room = UnsafeMutablePointer<Info>.allocate(capacity: max(capacity, 1))
            room.initialize(repeating: empty, count: max(capacity, 1))
            defer { room.deallocate() }
            guard call(room, UInt64(capacity), &count) == SLUICE_OK else { return nil }
            if count <= UInt64(capacity) {
                return Array(UnsafeBufferPointer(start: room, count: Int(count)))
            }
        }
        return nil
    }

    /// Says how a peer is, for balancers and operators.
    ///
    /// Any thread.
    ///
    /// - Parameters:
    ///   - peer: its id.
    ///   - isUsed: balancers pick it all the same.
    ///   - reason: up to 128 bytes.
    /// - Throws: `stale` when it is gone.
    public func setHealth(
        _ peer: UInt64,
        _ health: PeerHealth,
        isUsed: Bool = false,
        reason: Bytes
    ) throws(ServiceError) {
        guard let services, let table = services.pointee.peers else { throw .unsupported }
        try ServiceError.check(
            table.pointee.set_health(
                services.pointee.handle,
                peer,
                health.rawValue,
                isUsed ? UInt32(SLUICE_HEALTH_USED) : 0,
                reason.slice
            )
        )
    }

    /// Gives an upstream another set of peers in place of those that it has: all or nothing.
    ///
    /// Any thread. The set is in use soon after; see `sluice/ext/peers.h`.
    ///
    /// - Throws: what is wrong with it; then nothing changes.
    public func set(_ upstream: Bytes, to peers: [NewPeer]) throws(PluginError) {
        guard let services, let table = services.pointee.peers else {
            throw PluginError("the host has no sluice.peers/1")
        }
        let list = peers.map { $0.cPeer }
        var text = ErrorText()
        let result = list.withUnsafeBufferPointer { list in
            text.withBuffer {
                table.pointee.set_peers(
                    services.pointee.handle,
                    upstream.slice,
                    list.baseAddress,
                    UInt64(list.count),
                    $0
                )
            }
        }
        if result == SLUICE_OK { return }
        let reason = ServiceError(rawValue: result).text
        throw PluginError(text.text.isEmpty ? String(Bytes(reason)) : text.text)
    }

    /// Has `peersChanged` called for an upstream, or for all when the name is empty; in `init`.
    ///
    /// It is called once for every upstream when its worker has started, too.
    ///
    /// - Throws: `outOfMemory` after 64, `unsupported` where the host has no `sluice.peers/1`.
    public func watch(_ upstream: Bytes = .empty) throws(ServiceError) {
        guard let services else { return }
        guard let table = services.pointee.peers else { throw .unsupported }
        precondition(services.pointee.peersChanged != nil, "offer.peersChanged is missing")
        try ServiceError.check(
            table.pointee.watch(
                services.pointee.handle,
                upstream.slice,
                services.pointee.peersChanged,
                nil
            )
        )
    }
}

extension Exchange where Owner: ~Copyable {
    /// The id of the peer of this attempt; 0 before there is one, or where the host does not say.
    public var peerID: UInt64 {
        services.pointee.peers.map { $0.pointee.of_request(request) } ?? 0
    }
}

extension Export where P: PeersHook, P: ~Copyable {
    /// The C function that hears of changed peers.
    public static func peersChanged(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer?,
        _ upstream: sluice_slice
    ) {
        withWorker(state, slot) { $0.peersChanged(Bytes(upstream), on: &$1) }
    }
}
