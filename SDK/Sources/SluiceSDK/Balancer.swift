public import CSluice
public import Synchronization

/// The role `sluice.lb/1`: chooses the peers of an upstream.
///
/// The host gives a set of peers, the plugin builds a table from it, and workers then pick from the
/// table, all at the same time and without a lock. What changes from pick to pick belongs to one
/// worker: lay it out in the table by `Pick.workerIndex`, a cache line apart.
public protocol Balancer: Plugin, ~Copyable {
    /// What is built from a set: a final class with constant properties. It is released when no
    /// worker uses it any more, so its `deinit` can free raw memory. Picks borrow it, which costs
    /// no reference count.
    associatedtype Table: AnyObject

    /// Builds a table. Peers of the set, and their loads, stay valid as long as the table.
    ///
    /// - Throws: why no table can be built from this set.
    func build(_ peers: PeerSet) throws(PluginError) -> Table

    /// Chooses one or more peers in order of preference, by `Pick.choose`; none when no peer may be
    /// used now. Peers that were tried come last or not at all.
    func pick(from table: Table, _ pick: borrowing Pick)
}

/// The peers of one upstream: an immutable set.
///
/// Valid as long as the table that was built from it.
public struct PeerSet {
    @usableFromInline let source: UnsafePointer<sluice_peer_set>

    /// A set of the host's, or of a test.
    @inlinable public init(_ set: UnsafePointer<sluice_peer_set>) { source = set }

    /// Number of peers, 1 to 65,535.
    @inlinable public var count: Int { Int(source.pointee.count) }

    /// Grows with each update of the upstream's peers.
    @inlinable public var version: UInt64 { source.pointee.version }

    /// Name of the upstream.
    @inlinable public var upstream: Bytes { Bytes(source.pointee.upstream) }

    /// Number of workers that will pick.
    @inlinable public var workerCount: Int { Int(source.pointee.worker_count) }

    /// The peer at an index, 0 up to `count`.
    @inlinable
    public subscript(index: Int) -> Peer {
        precondition(index >= 0 && index < count, "index outside of the peers")
        // Safe: the host gives `count` peers.
        return Peer(source.pointee.peers + index)
    }
}

/// One peer.
///
/// Valid as long as its set.
public struct Peer {
    @usableFromInline let peer: UnsafePointer<sluice_peer>

    @inlinable init(_ peer: UnsafePointer<sluice_peer>) { self.peer = peer }

    /// Stays the same for the same address over updates of the set.
    @inlinable public var id: UInt64 { peer.pointee.id }

    /// "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path".
    @inlinable public var address: Bytes { Bytes(peer.pointee.address) }

    /// 1 to 65,535.
    @inlinable public var weight: Int { Int(peer.pointee.weight) }

    /// 0 first.
    @inlinable public var priority: Int { Int(peer.pointee.priority) }

    /// What else is said of the peer, an object; nil when nothing is.
    ///
    /// `zone` is a text; `draining`, when it is true, asks for no picks but for what is with the
    /// peer already.
    public var meta: ConfigurationValue? { peer.pointee.meta.map { ConfigurationValue($0) } }

    /// Counters that the host keeps up to date.
    @inlinable public var load: PeerLoad { PeerLoad(peer.pointee.load) }
}

/// The host's counters of one peer, read while workers change them.
///
/// A peer without counters is healthy and idle.
public struct PeerLoad: BitwiseCopyable {
    @usableFromInline let words: UnsafeRawPointer?

    @inlinable init(_ load: UnsafePointer<sluice_peer_load>?) { words = UnsafeRawPointer(load) }

    /// Requests that run on the peer now.
    @inlinable public var inFlight: UInt64 { word(0) }

    /// Moving average of the time to the first byte, in nanoseconds.
    @inlinable public var latencyNanoseconds: UInt64 { word(8) }

    /// Failures in a row.
    @inlinable public var failures: UInt64 { word(16) }

    /// Whether the peer may be picked while another one is left.
    @inlinable public var isHealthy: Bool { word(24) == 0 }

    @inlinable
    func word(_ offset: Int) -> UInt64 {
        guard let words else { return 0 }
        // Safe: the counters are 64-bit words (ABI/layout.txt has the offsets) that the host
        // changes by atomic stores; they live as long as the set.
        return (words + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
            .pointee.load(ordering: .relaxed)
    }
}

/// A request for a peer.
///
/// Valid until the pick returns.
public struct Pick: ~Copyable {
    @usableFromInline let pick: UnsafeMutablePointer<sluice_pick>

    @inlinable init(_ pick: UnsafeMutablePointer<sluice_pick>) { self.pick = pick }

    /// 1 for the first.
    @inlinable public var attempt: Int { Int(pick.pointee.attempt) }

    /// The worker that asks: 0 up to the number of workers.
    @inlinable public var workerIndex: Int { Int(pick.pointee.worker_index) }

    /// What requests that belong together have in common; nil when the manifest names nothing.
    @inlinable
    public var hashKey: Bytes? {
        pick.pointee.has_hash == 0 ? nil : Bytes(pick.pointee.hash_key)
    }

    /// Whether the peer at this index already failed for this request.
    @inlinable
    public func wasTried(_ index: Int) -> Bool {
        // Safe: the host gives one bit a peer.
        guard let tried = pick.pointee.tried else { return false }
        return tried[index &>> 6] &>> UInt64(index & 63) & 1 != 0
    }

    /// How many peers the host has use for, 1 to 8: those that are chosen beyond are not looked at.
    @inlinable public var wantedCount: Int {
        pick.pointee.wanted == 0 ? Int(SLUICE_PICK_MAX) : Int(pick.pointee.wanted)
    }

    /// Number of peers that are chosen so far.
    @inlinable public var chosenCount: Int { Int(pick.pointee.count) }

    /// Whether the peer at this index is chosen already.
    @inlinable
    public func isChosen(_ index: Int) -> Bool {
        let count = Int(pick.pointee.count)
        if count == 0 { return false }
        return withUnsafePointer(to: &pick.pointee.candidates) { candidates in
            // Safe: `count` words of SLUICE_PICK_MAX are written.
            let words = UnsafeRawPointer(candidates).assumingMemoryBound(to: UInt32.self)
            var place = 0
            while place < count {
                if words[place] == UInt32(truncatingIfNeeded: index) { return true }
                place &+= 1
            }
            return false
        }
    }

    /// Makes the peer at this index the whole choice.
    @inlinable
    public func chooseFirst(_ index: Int) {
        pick.pointee.candidates.0 = UInt32(truncatingIfNeeded: index)
        pick.pointee.count = 1
    }

    /// Adds the peer at this index to the choice; false when it is full, after eight.
    @inlinable
    @discardableResult
    public func choose(_ index: Int) -> Bool {
        guard pick.pointee.count < UInt32(SLUICE_PICK_MAX) else { return false }
        withUnsafeMutablePointer(to: &pick.pointee.candidates) { candidates in
            // Safe: there is room for SLUICE_PICK_MAX words, and `count` is below it.
            UnsafeMutableRawPointer(candidates).storeBytes(
                of: UInt32(truncatingIfNeeded: index),
                toByteOffset: Int(pick.pointee.count) * MemoryLayout<UInt32>.stride,
                as: UInt32.self
            )
        }
        pick.pointee.count &+= 1
        return true
    }
}
