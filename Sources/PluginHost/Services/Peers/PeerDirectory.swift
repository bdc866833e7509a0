public import CSluice
import Synchronization
import Sys

/// The upstreams of what is served and their peers, as plugins and operators see them:
/// `sluice.peers/1` but for probes.
///
/// One for the process. The control thread publishes what is served; plugins say on any thread how
/// peers are, and who they shall be.
public final class PeerDirectory: Sendable {
    public static let shared = PeerDirectory()

    /// Sets of functions to be called, of one instance.
    static let watchesMax = 64
    /// Bytes of the reason for a peer's health.
    static let reasonBytesMax = 128

    /// A peer of what is served.
    public struct Peer: @unchecked Sendable {
        // Safe: the load is never freed.
        /// 0 of one that a set drains in an upstream without a balancer: it is in no plan.
        public var id: UInt64 = 0
        /// Its place in the plan's tables.
        public var index = -1
        public var address: String
        public var weight = 1
        public var priority = 0
        public var zone = ""
        public var isBackup = false
        public var isDraining = false
        public var load: UnsafeMutablePointer<sluice_peer_load>?

        public init(_ address: String) { self.address = address }

        func isSame(as other: Peer) -> Bool {
            id == other.id && address == other.address && weight == other.weight
                && priority == other.priority && zone == other.zone
                && isBackup == other.isBackup && isDraining == other.isDraining
        }
    }

    /// An upstream of what is served.
    public struct Upstream: Sendable {
        public var name: String
        /// Whether the manifest says that a plugin gives its peers.
        public var isDiscovered: Bool
        public var hasBalancer: Bool
        public var peers: [Peer] = []
        /// 0 before it is served.
        var version: UInt64 = 0

        public init(name: String, isDiscovered: Bool, hasBalancer: Bool) {
            self.name = name
            self.isDiscovered = isDiscovered
            self.hasBalancer = hasBalancer
        }
    }

    /// How a peer is.
    public struct Health: Sendable {
        /// SLUICE_HEALTH_*.
        public var state: UInt32 = 0
        /// Balancers pick it all the same.
        public var isUsed = false
        public var reason = ""
        /// Seconds since the epoch when the state began; 0 when none was ever said.
        public var since: UInt64 = 0
    }

    struct Record {
        var health = Health()
        /// Whose word it is; nil when nobody has said anything.
        var speaker: UnsafeRawPointer?
        var upstream: String
        var peer: Peer
    }

    /// A function that wants to hear of changes.
    ///
    /// Its note for each upstream is never freed: a task
    /// that is on its way points there.
    struct Watch: @unchecked Sendable {
        // Safe: the handle is never freed.
        /// Of all watches that there ever were.
        var number = 0
        let handle: Unmanaged<InstanceHandle>
        let upstream: String
        let changed: sluice_peers_changed
        let context: UnsafeMutableRawPointer?
    }

    struct State: @unchecked Sendable {
        // Safe: texts are never freed.
        var upstreams: [String: Upstream] = [:]
        var records: [UInt64: Record] = [:]
        var version: UInt64 = 0
        var watches: [Watch] = []
        var watchCount = 0
        var notes: [NoteKey: UnsafeMutablePointer<Note>] = [:]
        /// Sets that plugins gave and that are not in use yet.
        var sets: [String: [NewPeer]] = [:]
        var wake: (@Sendable () -> Void)?
        var openTLS: ProbeTLS.Opening?
        var contexts: [ProbeTLS: OpaquePointer] = [:]
        /// Texts that plugins may keep.
        var texts: [String: sluice_slice] = [:]

        mutating func text(_ text: String) -> sluice_slice {
            if let known = texts[text] { return known }
            let made = sluice_slice(permanent: text)
            texts[text] = made
            return made
        }
    }

    let state = Mutex(State())

    // MARK: What is served

    /// Names upstreams that are about to be served, so that plugins know them while they are made.
    /// [control]
    public func announce(_ upstreams: [Upstream]) {
        state.withLock { state in
            let names = Set(upstreams.map(\.name))
            for (name, known) in state.upstreams where known.version == 0 && !names.contains(name) {
                state.upstreams[name] = nil
            }
            for upstream in upstreams where state.upstreams[upstream.name] == nil {
                state.upstreams[upstream.name] = upstream
            }
        }
    }

    /// Says what is served from now on; those who watch hear of what has changed. [control]
    public func publish(_ upstreams: [Upstream]) {
        let changes = state.withLock { state in Self.publish(upstreams, &state) }
        for change in changes { change.send() }
    }

    private static func publish(_ upstreams: [Upstream], _ state: inout State) -> [Change] {
        var changed: [String] = []
        var records: [UInt64: Record] = [:]
        let names = Set(upstreams.map(\.name))
        for (name, known) in state.upstreams where known.version > 0 && !names.contains(name) {
            state.upstreams[name] = nil
            state.sets[name] = nil
        }
        for var upstream in upstreams {
            let old = state.upstreams[upstream.name]
            let isSame =
                old.map { old in
                    old.version > 0 && old.peers.count == upstream.peers.count
                        && zip(old.peers, upstream.peers).allSatisfy { $0.isSame(as: $1) }
                } ?? false
            if isSame, let old {
                upstream.version = old.version
            } else {
                state.version += 1
                upstream.version = state.version
                changed.append(upstream.name)
            }
            for peer in upstream.peers where peer.id != 0 {
                let old = state.records[peer.id]
                records[peer.id] = Record(
                    health: old?.health ?? Health(),
                    speaker: old?.speaker,
                    upstream: upstream.name,
                    peer: peer
                )
            }
            state.upstreams[upstream.name] = upstream
        }
        state.records = records
        state.watches.removeAll { $0.handle._withUnsafeGuaranteedRef { !$0.isMade && !$0.isLive } }
        return changed.flatMap { name in state.watches.compactMap { Change($0, name, &state) } }
    }

    /// What is served, for operators.
    public func upstreams() -> [(upstream: Upstream, health: [Health])] {
        state.withLock { state in
            state.upstreams.values.filter { $0.version > 0 }.sorted { $0.name < $1.name }.map {
                ($0, $0.peers.map { state.records[$0.id]?.health ?? Health() })
            }
        }
    }

    // MARK: Health

    /// `set_health` of the ABI.
    func setHealth(
        _ id: UInt64,
        _ state: UInt32,
        _ flags: UInt32,
        _ reason: String,
        by handle: InstanceHandle
    ) -> Int32 {
        guard state <= UInt32(SLUICE_HEALTH_EJECTED), flags & ~UInt32(SLUICE_HEALTH_USED) == 0
        else { return Int32(SLUICE_EINVAL) }
        return self.state.withLock { directory in
            guard var record = directory.records[id] else { return Int32(SLUICE_ESTALE) }
            if record.health.state != state || record.health.since == 0 {
                record.health.since = Clock.wallSeconds()
            }
            record.health.state = state
            record.health.isUsed = flags & UInt32(SLUICE_HEALTH_USED) != 0
            record.health.reason = reason
            record.speaker = UnsafeRawPointer(Unmanaged.passUnretained(handle).toOpaque())
            directory.records[id] = record
            Self.store(record)
            return Int32(SLUICE_OK)
        }
    }

    /// An instance is gone: what it said of peers, and nobody else since, counts no more. [control]
    func forget(_ handle: InstanceHandle) {
        let speaker = UnsafeRawPointer(Unmanaged.passUnretained(handle).toOpaque())
        state.withLock { state in
            state.watches.removeAll { $0.handle.toOpaque() == speaker }
            for (id, record) in state.records where record.speaker == speaker {
                var record = record
                record.health = Health()
                record.speaker = nil
                state.records[id] = record
                Self.store(record)
            }
        }
    }

    /// Shows balancers how a peer is.
    private static func store(_ record: Record) {
        guard let load = record.peer.load else { return }
        let word = record.health.isUsed ? 0 : UInt64(record.health.state)
        // Safe: `health` is a 64-bit word, only ever touched by atomic operations.
        UnsafeMutableRawPointer(load).advanced(by: healthOffset)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
            .pointee.store(word, ordering: .relaxed)
    }

    private static let healthOffset = MemoryLayout<sluice_peer_load>.offset(of: \.health) ?? 24

    // MARK: Watching

    /// `watch` of the ABI. [control]
    func watch(_ watch: Watch) -> Int32 {
        let changes: [Change]? = state.withLock { state in
            let own = state.watches.count { $0.handle.toOpaque() == watch.handle.toOpaque() }
            guard own < Self.watchesMax else { return nil }
            var watch = watch
            state.watchCount += 1
            watch.number = state.watchCount
            state.watches.append(watch)
            return state.upstreams.values.filter { $0.version > 0 }.map(\.name).sorted()
                .compactMap { Change(watch, $0, &state) }
        }
        guard let changes else { return Int32(SLUICE_ENOMEM) }
        for change in changes { change.send() }
        return Int32(SLUICE_OK)
    }

    /// News for one watch, on its way to all workers.
    private struct Change: @unchecked Sendable {
        // Safe: the note is never changed and never freed.
        private let handle: Unmanaged<InstanceHandle>
        private let note: UnsafeMutablePointer<Note>

        init?(_ watch: Watch, _ upstream: String, _ state: inout State) {
            guard watch.upstream.isEmpty || watch.upstream == upstream else { return nil }
            handle = watch.handle
            let key = NoteKey(watch: watch.number, upstream: upstream)
            if let known = state.notes[key] {
                note = known
                return
            }
            note = .allocate(capacity: 1)
            note.initialize(
                to: Note(
                    changed: watch.changed,
                    context: watch.context,
                    upstream: state.text(upstream)
                )
            )
            state.notes[key] = note
        }

        /// When a worker has no room for one task more, its plugin misses this change: 65,536 tasks
        /// that wait are a fault of plugins.
        func send() {
            let result = handle._withUnsafeGuaranteedRef { handle in
                Tasks.post(
                    handle,
                    worker: .max,
                    { instance, slot, context in
                        // Safe: the context is a note, which is never freed.
                        guard let note = context?.assumingMemoryBound(to: Note.self) else { return }
                        note.pointee.changed(
                            instance,
                            slot,
                            note.pointee.context,
                            note.pointee.upstream
                        )
                    },
                    note
                )
            }
            if result != SLUICE_OK {
                handle._withUnsafeGuaranteedRef { $0.noteMisuse() }
            }
        }
    }
}

/// What a task that tells of a change is given.
struct Note {
    let changed: sluice_peers_changed
    let context: UnsafeMutableRawPointer?
    let upstream: sluice_slice
}

/// One function and one upstream.
struct NoteKey: Hashable {
    let watch: Int
    let upstream: String
}
