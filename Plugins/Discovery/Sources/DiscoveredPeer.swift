import SluiceSDK

/// A peer that a source knows.
struct DiscoveredPeer: Equatable {
    /// Bytes of a zone's name (SLUICE_PEER_ZONE_MAX).
    static let zoneBytesMax = 64
    /// Bytes of an address (SLUICE_PEER_ADDRESS_MAX).
    static let addressBytesMax = 256
    static let weightMax = 65_535
    static let priorityMax = 65_535

    /// "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path", always spelt the same.
    let address: [UInt8]
    /// 1 to 65,535.
    var weight = 1
    /// 0 (first) to 65,535.
    var priority = 0
    /// Whether it is used only when no other one can be.
    var isBackup = false
    /// Whether it gets nothing but the requests of sessions that are with it.
    var isDraining = false
    /// Where it is; or empty.
    var zone: [UInt8] = []

    /// The address as it is always spelt; nil when it is none, or a name.
    static func address(_ text: Bytes) -> [UInt8]? {
        if text.hasPrefix("unix:") {
            let path = text.dropFirst(5)
            // The path of a socket has 107 bytes at most (unix(7)).
            guard path.hasPrefix("/"), path.count > 1, path.count <= 107, path.isFieldValue else {
                return nil
            }
            return [UInt8](text)
        }
        return SocketAddress(text)?.text
    }

    /// Whether it is an IPv6 address.
    var isV6: Bool { address.first == 0x5B }
}

/// A whole set, in an order that does not depend on that of the source.
struct PeerList: Equatable {
    private(set) var peers: [DiscoveredPeer] = []

    /// Of an address that is there twice the first in order stays: of the least priority, then of
    /// the greatest weight.
    init(_ peers: [DiscoveredPeer]) {
        for peer in peers.sorted(by: Self.isBefore)
        where self.peers.last?.address != peer.address {
            self.peers.append(peer)
        }
    }

    /// "1 peer", "2 peers".
    var text: String { "\(peers.count) " + (peers.count == 1 ? "peer" : "peers") }

    private static func isBefore(_ left: DiscoveredPeer, _ right: DiscoveredPeer) -> Bool {
        if left.address != right.address {
            return left.address.lexicographicallyPrecedes(right.address)
        }
        if left.isDraining != right.isDraining { return right.isDraining }
        if left.isBackup != right.isBackup { return right.isBackup }
        if left.priority != right.priority { return left.priority < right.priority }
        if left.weight != right.weight { return left.weight > right.weight }
        return left.zone.lexicographicallyPrecedes(right.zone)
    }

    /// What a set has that another one has not, by address; and what is there in both and differs.
    struct Change: Equatable {
        var added: [[UInt8]] = []
        var removed: [[UInt8]] = []
        var changed: [[UInt8]] = []

        var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty }
    }

    /// What this set has in place of an older one.
    func change(from old: PeerList) -> Change {
        var change = Change()
        var left = 0
        var right = 0
        // Both are sorted by address.
        while left < old.peers.count || right < peers.count {
            if right == peers.count
                || left < old.peers.count
                    && old.peers[left].address.lexicographicallyPrecedes(peers[right].address)
            {
                change.removed.append(old.peers[left].address)
                left += 1
            } else if left == old.peers.count
                || peers[right].address.lexicographicallyPrecedes(old.peers[left].address)
            {
                change.added.append(peers[right].address)
                right += 1
            } else {
                if old.peers[left] != peers[right] { change.changed.append(peers[right].address) }
                left += 1
                right += 1
            }
        }
        return change
    }
}

extension PeerList.Change {
    /// Addresses of each kind that a line of the log shows.
    static let shownMax = 8

    /// "2 added (10.0.0.1:80, 10.0.0.2:80), 1 removed (10.0.0.9:80)".
    var text: String {
        var pieces: [String] = []
        for (addresses, verb) in [(added, "added"), (removed, "removed"), (changed, "changed")]
        where !addresses.isEmpty {
            var list = ""
            for address in addresses.prefix(Self.shownMax) {
                list += (list.isEmpty ? "" : ", ") + String(decoding: address, as: UTF8.self)
            }
            if addresses.count > Self.shownMax { list += ", and more" }
            pieces.append("\(addresses.count) \(verb) (\(list))")
        }
        var text = ""
        for piece in pieces { text += (text.isEmpty ? "" : ", ") + piece }
        return text
    }
}
