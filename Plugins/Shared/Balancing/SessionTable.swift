public import SluiceSDK

/// The peers of a set by the names that sessions' cookies have for them.
///
/// The hook of the balancer that reads a cookie tells the pick by the key that is hashed, in which
/// it puts a mark and the cookie's text before the key: a pick knows nothing else of its request.
/// The mark is made of the secret, so that no key that a client can choose passes for it.
///
/// Plain memory that the tiers free.
@usableFromInline
struct SessionTable: BitwiseCopyable {
    private struct Slot: BitwiseCopyable {
        var name: PeerName
        /// Below `empty`.
        var peer: UInt32
        var load: PeerLoad?
    }

    private static var empty: UInt32 { .max }

    private let slots: UnsafeMutablePointer<Slot>
    private let mask: Int
    private let mark: SessionMark

    init(_ peers: PeerSet, _ sticky: StickyConfiguration) throws(PluginError) {
        mark = sticky.mark
        var bits = 3
        // At most half full.
        while 1 << bits < 2 * peers.count * sticky.keys.count { bits += 1 }
        mask = 1 << bits - 1
        // A throw below would leak them.
        let isListed = try (0..<peers.count).map { index throws(PluginError) in
            try !PeerTraits(peers[index]).isDraining || sticky.keepsDraining
        }
        slots = .allocate(capacity: 1 << bits)
        slots.initialize(
            repeating: Slot(name: PeerName(high: 0, low: 0), peer: Self.empty, load: nil),
            count: 1 << bits
        )
        for index in 0..<peers.count where isListed[index] {
            for key in 0..<sticky.keys.count {
                let name = PeerName(of: peers[index].address, sticky.keys[key])
                var at = Int(truncatingIfNeeded: name.low) & mask
                while slots[at].peer != Self.empty { at = (at + 1) & mask }
                slots[at] = Slot(name: name, peer: UInt32(index), load: peers[index].load)
            }
        }
    }

    func deallocate() { slots.deallocate() }

    /// Chooses the peer that the request's cookie names, when it may be used.
    @usableFromInline
    func choose(_ pick: borrowing Pick) {
        guard let key = pick.hashKey, mark.isBefore(key) else { return }
        let text = key.dropFirst(SessionMark.byteCount).prefix(PeerName.textCount)
        guard let name = PeerName(text), let slot = slot(of: name),
            !pick.wasTried(Int(slot.peer)), slot.load?.isHealthy == true
        else { return }
        pick.choose(Int(slot.peer))
    }

    /// The key without mark and name; nil when nothing is left.
    @usableFromInline
    func rest(of key: Bytes) -> Bytes? {
        guard mark.isBefore(key) else { return key }
        let rest = key.dropFirst(SessionMark.byteCount + PeerName.textCount)
        return rest.isEmpty ? nil : rest
    }

    private func slot(of name: PeerName) -> Slot? {
        var at = Int(truncatingIfNeeded: name.low) & mask
        // Safe: below the number of slots, half of which are empty.
        while slots[at].peer != Self.empty {
            if slots[at].name == name { return slots[at] }
            at = (at &+ 1) & mask
        }
        return nil
    }
}

/// What a hashed key begins with that names a session's peer: 16 hexadecimal digits.
struct SessionMark: BitwiseCopyable {
    static var byteCount: Int { 16 }

    private let digits: Bytes

    init(_ key: HMACSHA256, _ memory: InstanceMemory) {
        let words = key.code(of: "sluice mark\n")
        var text = String(UInt64(words[0]) << 32 | UInt64(words[1]), radix: 16)
        while text.utf8.count < Self.byteCount { text = "0" + text }
        digits = memory.copy(text)
    }

    /// Whether a key begins with the mark, and is long enough for the name behind it.
    func isBefore(_ key: Bytes) -> Bool {
        key.count >= Self.byteCount + PeerName.textCount && key.hasPrefix(digits)
    }

    var bytes: Bytes { digits }
}
