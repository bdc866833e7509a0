import CSluice
import Synchronization
import Sys

/// A peer that a plugin has discovered.
public struct NewPeer: Sendable, Equatable {
    /// An address, and no name.
    public var address: String
    public var weight: Int
    public var priority: Int
    public var zone: String
    public var isBackup: Bool
    public var isDraining: Bool
}

/// Sets of peers that plugins give: `set_peers` of `sluice.peers/1`.
extension PeerDirectory {
    /// Has a function called when there are sets to be put in use; once until they are taken.
    public func setWake(_ wake: (@Sendable () -> Void)?) {
        let isWaiting = state.withLock { state in
            state.wake = wake
            return !state.sets.isEmpty
        }
        if isWaiting { wake?() }
    }

    /// The sets that plugins gave since the last time, by upstream. [control]
    public func takeSets() -> [String: [NewPeer]] {
        state.withLock { state in
            defer { state.sets = [:] }
            return state.sets
        }
    }

    /// The sets that wait, which stay: for a plan that is made before anybody takes them. [control]
    public var waitingSets: [String: [NewPeer]] { state.withLock { $0.sets } }

    /// Why a set is refused.
    struct Refusal: Error {
        let code: Int32
        let text: String

        init(_ text: String, _ code: Int = SLUICE_EINVAL) {
            self.code = Int32(code)
            self.text = text
        }
    }

    func set(_ name: String, to peers: UnsafeBufferPointer<sluice_new_peer>) throws(Refusal) {
        guard peers.count <= Int(SLUICE_PEERS_MAX) else {
            throw Refusal("upstream \(name): \(peers.count) peers; there may be 65535")
        }
        var list: [NewPeer] = []
        list.reserveCapacity(peers.count)
        var places: [String: Int] = [:]
        for (place, peer) in peers.enumerated() {
            let checked = try Self.check(peer, "upstream \(name): peers[\(place)]")
            if let first = places[checked.address] {
                throw Refusal(
                    "upstream \(name): peers[\(place)]: \(checked.address) is peers[\(first)], too"
                )
            }
            places[checked.address] = place
            list.append(checked)
        }
        let taken = list
        let result = state.withLock { state -> Result<(@Sendable () -> Void)?, Refusal> in
            guard let upstream = state.upstreams[name] else {
                return .failure(Refusal("there is no upstream \"\(name)\"", SLUICE_ESTALE))
            }
            guard upstream.isDiscovered else {
                let text = "upstream \(name): the manifest does not say discovery: true for it"
                return .failure(Refusal(text, SLUICE_ENOTSUP))
            }
            guard taken.count(where: { !$0.isDraining }) < 2 || upstream.hasBalancer else {
                let text = "upstream \(name): several peers need a balancer in the manifest"
                return .failure(Refusal(text))
            }
            let isFirst = state.sets.isEmpty
            state.sets[name] = taken
            return .success(isFirst ? state.wake : nil)
        }
        try result.get()?()
    }

    private static func check(
        _ peer: sluice_new_peer,
        _ place: String
    ) throws(Refusal) -> NewPeer {
        guard peer.address.len <= UInt64(SLUICE_PEER_ADDRESS_MAX),
            let address = String(checked: peer.address)
        else { throw Refusal("\(place): its address is no text of at most 256 bytes") }
        guard isAddress(address) else {
            throw Refusal("\(place): \(quoted(address)) is no address with a port")
        }
        guard peer.weight <= 65_535 else {
            throw Refusal("\(place): weight \(peer.weight); there are 1 to 65535")
        }
        guard peer.priority <= 65_535 else {
            throw Refusal("\(place): priority \(peer.priority); there are 0 to 65535")
        }
        let known = UInt32(SLUICE_PEER_BACKUP) | UInt32(SLUICE_PEER_DRAINING)
        guard peer.flags & ~known == 0 else {
            throw Refusal("\(place): flags \(peer.flags) are not known")
        }
        guard peer.zone.len <= UInt64(SLUICE_PEER_ZONE_MAX), let zone = String(checked: peer.zone)
        else { throw Refusal("\(place): its zone is no text of at most 64 bytes") }
        return NewPeer(
            address: address,
            weight: max(Int(peer.weight), 1),
            priority: Int(peer.priority),
            zone: zone,
            isBackup: peer.flags & UInt32(SLUICE_PEER_BACKUP) != 0,
            isDraining: peer.flags & UInt32(SLUICE_PEER_DRAINING) != 0
        )
    }

    private static func isAddress(_ text: String) -> Bool {
        guard !text.utf8.contains(0), let address = SocketAddress(text) else { return false }
        return address.isUnix || address.port != 0
    }

    /// What came from a plugin as part of one line.
    private static func quoted(_ text: String) -> String {
        "\"" + text.unicodeScalars.map { $0.escaped(asASCII: true) }.joined() + "\""
    }
}

extension String {
    /// Valid UTF-8 without control characters; nil for anything else.
    fileprivate init?(checked slice: sluice_slice) {
        let bytes = UnsafeBufferPointer(start: slice.ptr, count: Int(slice.len))
        guard let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { return nil }
        self = text
    }
}
