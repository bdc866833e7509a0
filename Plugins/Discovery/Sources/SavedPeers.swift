import CDiscovery
import SluiceSDK

/// The last good set of each upstream, which the control thread may ask for at any time.
///
/// A worker writes it when a set changes; it is what outlives the instance.
final class SavedPeers {
    /// A set, and the source that it came from.
    struct Entry: Equatable {
        let upstream: [UInt8]
        /// `PeerSource.text`: a set of another source is not taken over.
        let source: [UInt8]
        let peers: PeerList
    }

    /// The form of the state.
    private static let version: UInt8 = 1
    /// Bits of a peer.
    private static let backup: UInt8 = 1
    private static let draining: UInt8 = 2

    private let lock: UnsafeMutablePointer<discovery_lock>
    private var entries: [Entry] = []

    init() {
        guard let lock = discovery_lock_make() else { fatalError("out of memory") }
        self.lock = lock
    }

    deinit { discovery_lock_free(lock) }

    /// Tells lookups that nobody waits for them any more.
    ///
    /// Any thread.
    func stop() { discovery_stop(lock) }

    var isStopping: Bool { discovery_is_stopping(lock) != 0 }

    /// All sets.
    ///
    /// Any thread.
    var all: [Entry] {
        discovery_lock_take(lock)
        defer { discovery_lock_give(lock) }
        return entries
    }

    /// Takes the new set of an upstream.
    ///
    /// Any thread.
    func put(_ entry: Entry) {
        discovery_lock_take(lock)
        defer { discovery_lock_give(lock) }
        if let place = entries.firstIndex(where: { $0.upstream == entry.upstream }) {
            entries[place] = entry
        } else {
            entries.append(entry)
        }
    }

    /// The set of an upstream, if it came from this source.
    func peers(of upstream: Bytes, from source: PeerSource) -> PeerList? {
        let name = [UInt8](upstream)
        let text = Array(source.text.utf8)
        return all.first { $0.upstream == name && $0.source == text }?.peers
    }
}

extension SavedPeers {
    /// All sets as bytes.
    static func encode(_ entries: [Entry]) -> [UInt8] {
        var bytes = [version]
        append(&bytes, entries.count)
        for entry in entries {
            append(&bytes, entry.upstream)
            append(&bytes, entry.source)
            append(&bytes, entry.peers.peers.count)
            for peer in entry.peers.peers {
                append(&bytes, peer.address)
                append(&bytes, peer.zone)
                append(&bytes, peer.weight)
                append(&bytes, peer.priority)
                bytes.append((peer.isBackup ? backup : 0) | (peer.isDraining ? draining : 0))
            }
        }
        return bytes
    }

    private static func append(_ bytes: inout [UInt8], _ number: Int) {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(number >> shift & 0xFF)) }
    }

    private static func append(_ bytes: inout [UInt8], _ text: [UInt8]) {
        append(&bytes, text.count)
        bytes += text
    }

    /// Reads what `encode` wrote, or anything else.
    ///
    /// - Throws: when it is not understood.
    static func decode(_ state: Bytes) throws(PluginError) -> [Entry] {
        var reader = StateReader(bytes: [UInt8](state))
        guard reader.byte() == version else {
            throw PluginError("the state has another version than \(version)")
        }
        guard let count = reader.number(atMost: DiscoveryConfiguration.upstreamsMax) else {
            throw StateReader.damaged
        }
        var entries: [Entry] = []
        for _ in 0..<count { entries.append(try entry(&reader)) }
        guard reader.isAtEnd else { throw StateReader.damaged }
        return entries
    }

    private static func entry(_ reader: inout StateReader) throws(PluginError) -> Entry {
        guard let upstream = reader.text(atMost: 4_096), let source = reader.text(atMost: 65_536),
            let count = reader.number(atMost: DiscoveryConfiguration.peersMax)
        else { throw StateReader.damaged }
        var peers: [DiscoveredPeer] = []
        for _ in 0..<count {
            guard let address = reader.text(atMost: DiscoveredPeer.addressBytesMax),
                address.withBytes({ DiscoveredPeer.address($0) }) == address,
                let zone = reader.text(atMost: DiscoveredPeer.zoneBytesMax),
                zone.withBytes({ $0.isFieldValue }),
                let weight = reader.number(atMost: DiscoveredPeer.weightMax), weight > 0,
                let priority = reader.number(atMost: DiscoveredPeer.priorityMax),
                let bits = reader.byte(), bits & ~(backup | draining) == 0
            else { throw StateReader.damaged }
            let peer = DiscoveredPeer(
                address: address,
                weight: weight,
                priority: priority,
                isBackup: bits & backup != 0,
                isDraining: bits & draining != 0,
                zone: zone
            )
            peers.append(peer)
        }
        let list = PeerList(peers)
        guard list.peers == peers else { throw StateReader.damaged }
        return Entry(upstream: upstream, source: source, peers: list)
    }
}

/// Reads a state, which comes from anywhere.
private struct StateReader {
    static let damaged = PluginError("the state is damaged")

    let bytes: [UInt8]
    private var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func byte() -> UInt8? {
        guard offset < bytes.count else { return nil }
        offset += 1
        return bytes[offset - 1]
    }

    mutating func number(atMost most: Int) -> Int? {
        var number = 0
        for _ in 0..<4 {
            guard let byte = byte() else { return nil }
            number = number << 8 | Int(byte)
        }
        return number <= most ? number : nil
    }

    mutating func text(atMost most: Int) -> [UInt8]? {
        guard let count = number(atMost: most), count <= bytes.count - offset else { return nil }
        offset += count
        return Array(bytes[(offset - count)..<offset])
    }
}
