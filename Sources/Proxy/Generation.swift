package import PluginHost
import Synchronization

/// One plan on one worker: what its requests hold, from their first byte to their end.
///
/// At a fixed address for the life of the process: there are few, and they are small.
struct Generation {
    let plan: Unmanaged<Plan>
    let number: UInt32
    let routes: RouteTable
    /// The chain before a route is known.
    let globalChain: PhaseChain
    /// Exchanges, plugins' own requests, and connections of listeners that no newer plan has.
    var holders = 0
    /// A newer one is in its place: nothing new begins with it.
    var isRetired = false
    /// Counted for the control thread while it compares this generation with another; nil when
    /// nobody asks.
    var counts: GenerationCounts?

    static func make(_ plan: Plan) -> UnsafeMutablePointer<Generation> {
        let generation = UnsafeMutablePointer<Generation>.allocate(capacity: 1)
        generation.initialize(
            to: Generation(
                plan: .passRetained(plan),
                number: plan.number,
                routes: plan.routes,
                globalChain: plan.globalChain
            )
        )
        return generation
    }
}

/// What a canary is judged by: one worker writes, the control thread reads.
package struct GenerationCounts: @unchecked Sendable {
    // Safe: atomics in memory that is never freed.
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    /// Requests by the time that they took: four steps for each power of two of microseconds.
    package enum Times {
        /// The last one counts 2^41 microseconds (25 days) and more.
        package static let count = 160

        /// The element that counts requests of this time.
        package static func index(_ microseconds: UInt64) -> Int {
            guard microseconds >= 4 else { return Int(microseconds) }
            let bits = UInt64.bitWidth - microseconds.leadingZeroBitCount
            let step = Int(microseconds >> UInt64(bits - 3)) & 3
            return min((bits - 2) * 4 + step, count - 1)
        }

        /// Microseconds of the longest request that an element counts.
        package static func upperBound(_ index: Int) -> UInt64 {
            guard index >= 4 else { return UInt64(index) }
            let bits = UInt64(index / 4 + 2)
            return (UInt64(index % 4) + 5) << (bits - 3) - 1
        }
    }

    private static let requestsCell = Times.count
    private static let failuresCell = Times.count + 1

    init() {
        let count = Times.count + 2
        cells = .allocate(capacity: count)
        for index in 0..<count { cells.advanced(by: index).initialize(to: Atomic(0)) }
    }

    /// Requests that have ended.
    package var requests: UInt64 { cells[Self.requestsCell].load(ordering: .relaxed) }

    /// Of those: answered with a status of 500 to 599, or cut.
    package var failures: UInt64 { cells[Self.failuresCell].load(ordering: .relaxed) }

    /// Requests whose time is that of an element, below `Times.count`.
    package func time(_ index: Int) -> UInt64 { cells[index].load(ordering: .relaxed) }

    /// Counts a request that has ended. [the worker]
    func note(failed: Bool, nanoseconds: UInt64) {
        add(Self.requestsCell)
        if failed { add(Self.failuresCell) }
        add(Times.index(nanoseconds / 1_000))
    }

    /// One writer: no read-modify-write is needed.
    private func add(_ index: Int) {
        cells[index].store(cells[index].load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }
}

/// Where connections of a listener go on one worker.
struct ListenerPlace {
    /// The generation that their next requests begin with.
    var generation: UnsafeMutablePointer<Generation>
    /// The listener's place in that generation's manifest, which its routes know it by; -1 of one
    /// that the manifest no longer has.
    var order: Int32
}

/// A listening socket that a worker watches.
package struct ListeningSocket: Equatable, Sendable {
    /// -1 when it was closed.
    package var fd: Int32
    /// Index of its listener in the plan's tables.
    package var listener: Int

    package init(fd: Int32, listener: Int) {
        self.fd = fd
        self.listener = listener
    }
}

/// What a worker is told to go on with from now on.
package struct Adoption: Sendable {
    package var plan: Plan
    /// All that this worker watches from now on; those that it had and are not among them are
    /// closed, what waits in their queues is served first.
    package var listening: [ListeningSocket]

    package init(plan: Plan, listening: [ListeningSocket]) {
        self.plan = plan
        self.listening = listening
    }
}

/// A plan that takes a share of the requests, beside the current one.
package struct Trial: Sendable {
    package var plan: Plan
    /// The current one, which it is compared with.
    package var baseline: Plan
    /// Of 65,536.
    package var share: UInt32

    package init(plan: Plan, baseline: Plan, share: UInt32) {
        self.plan = plan
        self.baseline = baseline
        self.share = share
    }
}

/// What nothing on any worker uses any more.
package struct Retirement: Sendable {
    /// The generation that it was of.
    package var number: UInt32
    package var instances: [PluginInstance]
    /// Indices in the plan's tables.
    package var peers: [Int]

    package init(number: UInt32, instances: [PluginInstance], peers: [Int]) {
        self.number = number
        self.instances = instances
        self.peers = peers
    }
}

/// What workers tell the control thread, each from its own thread.
package struct GenerationReports: Sendable {
    package enum Report: Sendable, Equatable {
        /// New requests begin with this generation.
        case adopted(UInt32)
        /// Nothing of this generation is left.
        case drained(UInt32)
        /// What was retired with this generation is stopped.
        case retired(UInt32)
    }

    package var send: @Sendable (_ worker: Int, Report) -> Void

    package init(send: @escaping @Sendable (_ worker: Int, Report) -> Void) { self.send = send }
}
