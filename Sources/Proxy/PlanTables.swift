package import PluginHost

/// What all plans of a process share: tables whose entries keep their place from one plan to the
/// next, so that connections and requests of an older plan go on beside those of a newer one.
///
/// An index is given to something new only after every worker has let go of what had it before.
/// The memory is reserved and not touched before it is used.
package final class PlanTables: @unchecked Sendable {
    // Safe: entries are written before the first worker hears of their index; the pools of indices
    // belong to the control thread.
    let listeners: UnsafeMutablePointer<ListenerPlan>
    let peers: UnsafeMutablePointer<PeerPlan>
    let idleCounts: IdleCounts
    package let workerCount: Int
    /// Entries of `peers`: those of plans, and behind them each worker's for its probes.
    let peerRoom: Int
    /// Of the last peer that was made.
    private var lastPeerID: UInt64 = 0
    var freeListeners: IndexPool
    var freePeers: IndexPool
    private var freeInstances: IndexPool
    /// What is counted of routes, upstreams and listeners.
    package let meters: TrafficMeters

    /// Listeners of all live plans together.
    package static let listenersMax = 4_096
    /// Peers of all live plans together.
    package static let peersMax = 131_072
    /// Instances of all live plans together.
    package static let instancesMax = 4_096

    package init(workerCount: Int) {
        self.workerCount = workerCount
        meters = TrafficMeters(workers: workerCount)
        listeners = .allocate(capacity: Self.listenersMax)
        peerRoom = Self.peersMax + workerCount * ProbeSlot.countMax
        peers = .allocate(capacity: peerRoom)
        idleCounts = IdleCounts(workers: workerCount, peers: Self.peersMax)
        freeListeners = IndexPool(count: Self.listenersMax)
        freePeers = IndexPool(count: Self.peersMax)
        freeInstances = IndexPool(count: Self.instancesMax)
    }

    /// An id that no peer of the process had before. [control]
    func takePeerID() -> UInt64 {
        lastPeerID += 1
        return lastPeerID
    }

    /// A place for an instance in every worker's table of slots. [control]
    ///
    /// - Throws: when there are `instancesMax`.
    package func takeInstance() throws(PluginError) -> Int {
        guard let index = freeInstances.take() else {
            throw PluginError("\(Self.instancesMax) instances are in use; there may be no more")
        }
        return index
    }

    /// Gives a place back that no worker uses any more. [control]
    package func giveInstance(_ index: Int) { freeInstances.give(index) }
}

/// Numbers from 0 that are free; the lowest goes first, so that tables stay small.
struct IndexPool {
    private let count: Int
    private var next = 0
    /// Given back; the highest first, where `isSorted`.
    private var free: [Int] = []
    private var isSorted = true

    init(count: Int) { self.count = count }

    /// Nil when all are taken.
    mutating func take() -> Int? {
        if !isSorted {
            free.sort(by: >)
            isSorted = true
        }
        if let index = free.popLast() { return index }
        guard next < count else { return nil }
        defer { next += 1 }
        return next
    }

    mutating func give(_ index: Int) {
        // Thousands may come back at once, so they are put in order when one is asked for.
        isSorted = isSorted && free.last.map { $0 > index } ?? true
        free.append(index)
    }
}
