import SluiceSDK

/// How much of the requests the own zone's peers of one priority can take.
///
/// Each worker has its own view of their health: a pick looks at the next `lookedAt` members in
/// turn, so that its cost does not grow with their number. Plain memory that the tiers free.
@usableFromInline
struct ZoneShare: BitwiseCopyable {
    /// Members whose health one pick reads.
    static var lookedAt: Int { 8 }

    private struct Sum: BitwiseCopyable {
        /// Weights of the healthy members.
        var healthy: Int
        /// The member that is looked at next.
        var next = 0
    }

    private let group: PeerGroup
    /// Percent of the weights that must be healthy for all requests to stay.
    private let minHealthy: Int
    private let memory: UnsafeMutableRawPointer
    /// Bytes from one worker's view to the next one's.
    private let stride: Int

    /// Where a worker's bytes of its members begin, each of which is 1 for an ill one.
    private static var bytesAt: Int { MemoryLayout<Sum>.stride }

    init(_ group: PeerGroup, _ minHealthy: Int, workers: Int) {
        self.group = group
        self.minHealthy = minHealthy
        stride = (Self.bytesAt + group.count + 127) & ~127
        let count = max(workers, 1)
        memory = .allocate(byteCount: count * stride, alignment: 128)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: count * stride)
        for worker in 0..<count { sum(worker).initialize(to: Sum(healthy: group.weights)) }
    }

    func deallocate() { memory.deallocate() }

    /// Whether a request goes to another zone: the share of them that is missing to `minHealthy`.
    ///
    /// - Parameter chance: any number; each is as likely as another.
    @usableFromInline
    func spills(_ worker: Int, _ chance: UInt64) -> Bool {
        let sum = sum(worker)
        var left = min(Self.lookedAt, group.count)
        while left > 0 {
            look(at: sum.pointee.next, sum, worker)
            sum.pointee.next = sum.pointee.next &+ 1 == group.count ? 0 : sum.pointee.next &+ 1
            left &-= 1
        }
        let wanted = group.weights &* minHealthy
        let healthy = sum.pointee.healthy &* 100
        if healthy >= wanted { return false }
        // Not the bits that slow start and the rings go by.
        let drawn = mixed(~chance).multipliedFullWidth(by: UInt64(wanted)).high
        return drawn >= UInt64(max(healthy, 0))
    }

    private func look(at place: Int, _ sum: UnsafeMutablePointer<Sum>, _ worker: Int) {
        // Safe: the place is one of the group, and each has a byte.
        let member = group.members[place]
        let byte = (memory + worker &* stride + Self.bytesAt + place)
            .assumingMemoryBound(to: UInt8.self)
        let isIll: UInt8 = member.load.isHealthy ? 0 : 1
        guard byte.pointee != isIll else { return }
        byte.pointee = isIll
        sum.pointee.healthy &+= isIll == 0 ? member.weight : -member.weight
    }

    // Safe: each worker has a stride of its own, which begins with its sum.
    private func sum(_ worker: Int) -> UnsafeMutablePointer<Sum> {
        (memory + worker &* stride).assumingMemoryBound(to: Sum.self)
    }
}
