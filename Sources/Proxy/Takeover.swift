import Synchronization
import TLS

/// How many idle connections each worker has to each peer, for the others to look at.
///
/// Hints: by the time that somebody reads one, it may be wrong. Each worker writes its own row,
/// with plain stores, and rows share no cache line, so that a worker whose own pool serves it pays
/// for nothing but the store.
struct IdleCounts: @unchecked Sendable {
    // Safe: atomics at a fixed address, never given back, as all of a plan.
    private let first: UnsafeMutablePointer<Atomic<UInt32>>
    /// Counts from one row to the next: of whole cache lines.
    private let stride: Int
    private let rows: Int

    /// Bytes that two cores may write to without taking a line from each other: two lines, because
    /// they are fetched in pairs.
    private static let lineBytes = 128

    init(workers: Int, peers: Int) {
        let perLine = Self.lineBytes / MemoryLayout<Atomic<UInt32>>.stride
        stride = (max(peers, 1) + perLine - 1) / perLine * perLine
        let count = stride * workers
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Atomic<UInt32>>.stride,
            alignment: Self.lineBytes
        )
        first = memory.bindMemory(to: Atomic<UInt32>.self, capacity: count)
        rows = workers
    }

    /// Counts nothing for a peer that is new here; no worker has heard of it yet. [control]
    func clear(peer: Int) {
        for row in 0..<rows { self.row(row).advanced(by: peer).initialize(to: Atomic(0)) }
    }

    /// A worker's counts, by peer.
    @inline(__always)
    func row(_ worker: Int) -> UnsafeMutablePointer<Atomic<UInt32>> { first + worker &* stride }
}

/// One worker asks another for an idle connection to a peer.
package struct IdleRequest: @unchecked Sendable {
    // Safe: `claim` is only looked at by the worker that asks; the plan of an upstream is not
    // written to.

    /// Who asks.
    var worker: Int
    /// The element of its slab that the connection is for; it stays until the answer comes.
    var claim: UnsafeMutablePointer<Upstream>
    /// Index among all peers, and the upstream that it is of.
    var peer: Int
    var upstream: UnsafeMutablePointer<UpstreamPlan>
    /// Workers that were asked, this one included.
    var asks = 1
}

/// The answer to it: the connection itself, or none.
package struct IdleGift: @unchecked Sendable {
    // Safe: whoever gives has let go of the socket and of its TLS before this is posted, and the
    // mailbox's lock orders what both do to them.

    var request: IdleRequest
    /// -1 when there was none.
    var fd: Int32 = -1
    var tls: UnsafeMutablePointer<TLSStream>?
    /// Requests that it has served.
    var requests: UInt32 = 0
    /// When it will have been idle for too long: milliseconds of the monotonic clock.
    var deadline: UInt64 = 0

    var isNone: Bool { fd < 0 }

    /// Closes what nobody takes any more.
    func close() {
        if !isNone { Wire(fd: fd, tls: tls).close() }
    }
}
