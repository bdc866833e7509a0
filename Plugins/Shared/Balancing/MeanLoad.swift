import SluiceSDK

/// The bound of consistent hashing with bounded loads: no peer is given a request that would raise
/// it over `factor` times the mean of its group, each peer's share of which grows with its weight.
///
/// After Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016). What
/// counts are requests in flight, over all workers.
///
/// The mean is the workers' own view of the host's counters: a pick looks at the next `lookedAt`
/// members in turn and corrects its sums by what has changed, so that its cost does not grow with
/// the group. Up to that number of members the sums are exact; with more of them they are as old
/// as a round of looks. Healthy members alone count. Plain memory that the table frees.
public struct MeanLoad: BitwiseCopyable {
    /// Members whose counters one pick reads.
    public static var lookedAt: Int { 16 }

    /// What a configuration may ask for.
    public static var factors: ClosedRange<Double> { 1...100 }

    private struct Sums: BitwiseCopyable {
        /// Requests in flight on the members that count.
        var requests = 0
        /// Weights of the members that count.
        var weights = 0
        /// The member that is looked at next.
        var next = 0
    }

    private let factor: Double
    private let group: PeerGroup
    private let memory: UnsafeMutableRawPointer
    /// Bytes from one worker's sums to the next one's.
    private let stride: Int

    /// A member that does not count.
    private static var ill: UInt32 { .max }
    /// Where a worker's words of its members begin.
    private static var wordsAt: Int { 64 }

    /// - Parameters:
    ///   - factor: 1 or more.
    ///   - group: whose members count; outlives this.
    ///   - workers: those that will pick.
    public init(_ factor: Double, _ group: PeerGroup, workers: Int) {
        self.factor = factor
        self.group = group
        stride = (Self.wordsAt + group.count * 4 + 127) & ~127
        let count = max(workers, 1)
        memory = .allocate(byteCount: count * stride, alignment: 128)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: count * stride)
        for worker in 0..<count { sums(worker).pointee.weights = group.weights }
    }

    /// Frees the sums.
    public func deallocate() { memory.deallocate() }

    /// Brings a worker's sums up to date, before the members of a pick are looked at.
    public func refresh(_ worker: Int) {
        let sums = sums(worker)
        var left = min(Self.lookedAt, group.count)
        while left > 0 {
            let place = sums.pointee.next
            sums.pointee.next = place &+ 1 == group.count ? 0 : place &+ 1
            look(at: place, sums, seen(worker) + place)
            left &-= 1
        }
    }

    /// Whether a member may have one request more.
    public func admits(_ place: Int, _ worker: Int) -> Bool {
        let sums = sums(worker).pointee
        // Safe: the place is one of the group.
        let member = group.members[place]
        // Below, and not at, the bound: so it stays within the bound rounded up.
        return Double(member.load.inFlight) * Double(sums.weights)
            < factor * Double(sums.requests &+ 1) * Double(member.weight)
    }

    /// Counts a request that this worker gives to a member, until the member is looked at again.
    public func count(_ place: Int, _ worker: Int) {
        // Safe: there is a word a member.
        let word = seen(worker) + place
        guard word.pointee < Self.ill - 1 else { return }
        word.pointee &+= 1
        sums(worker).pointee.requests &+= 1
    }

    private func look(
        at place: Int,
        _ sums: UnsafeMutablePointer<Sums>,
        _ word: UnsafeMutablePointer<UInt32>
    ) {
        let member = group.members[place]
        if word.pointee == Self.ill {
            guard member.load.isHealthy else { return }
            sums.pointee.weights &+= member.weight
            word.pointee = 0
        } else if !member.load.isHealthy {
            sums.pointee.weights &-= member.weight
            sums.pointee.requests &-= Int(word.pointee)
            word.pointee = Self.ill
            return
        }
        let inFlight = UInt32(min(member.load.inFlight, UInt64(Self.ill - 1)))
        sums.pointee.requests &+= Int(inFlight) &- Int(word.pointee)
        word.pointee = inFlight
    }

    // Safe: each worker has a stride of its own, which begins with its sums; the words follow.
    private func sums(_ worker: Int) -> UnsafeMutablePointer<Sums> {
        (memory + worker &* stride).assumingMemoryBound(to: Sums.self)
    }

    private func seen(_ worker: Int) -> UnsafeMutablePointer<UInt32> {
        (memory + worker &* stride + Self.wordsAt).assumingMemoryBound(to: UInt32.self)
    }
}
