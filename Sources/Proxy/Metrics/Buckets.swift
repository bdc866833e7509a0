/// The buckets of a histogram of whole numbers, and the one that a value falls into without a loop:
/// a table by the value's highest bit names a bucket, and one comparison decides between that one
/// and the next.
struct Buckets: @unchecked Sendable {
    // Safe: filled once, never changed and never freed.

    /// Upper bounds, inclusive; the last one is that of no bound.
    ///
    /// Behind them, at `tableOffset`, by the number of the highest bit: the first bucket that a
    /// value with it can be in.
    private let memory: UnsafeRawPointer
    /// Buckets, the one above all bounds included.
    let count: Int

    /// Buckets that there may be.
    static let countMax = 32
    /// Bytes of the bounds.
    ///
    /// Both parts lie at fixed places, so that a worker needs one address.
    private static let tableOffset = countMax * MemoryLayout<UInt64>.stride

    /// - Parameter list: rising, so far apart that no value's highest bit leaves more than two
    ///   buckets to choose from.
    init(_ list: [UInt64]) {
        precondition(list.count < Self.countMax, "\(list.count) bounds")
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: Self.tableOffset + UInt64.bitWidth,
            alignment: 64
        )
        for (place, bound) in (list + [.max]).enumerated() {
            memory.storeBytes(of: bound, toByteOffset: place * 8, as: UInt64.self)
        }
        for bit in 0..<UInt64.bitWidth {
            let (least, most) = (UInt64(1) << UInt64(bit), UInt64.max >> UInt64(63 - bit))
            let place = list.firstIndex { $0 >= least } ?? list.count
            precondition(
                place + 1 >= list.count || list[place + 1] >= most,
                "bounds \(place) and \(place + 1) are too close"
            )
            memory.storeBytes(
                of: UInt8(place),
                toByteOffset: Self.tableOffset + bit,
                as: UInt8.self
            )
        }
        self.memory = UnsafeRawPointer(memory)
        count = list.count + 1
    }

    /// The bucket of a value, below `count`.
    @inline(__always)
    func index(_ value: UInt64) -> Int {
        // Safe: a bit's number is below 64, and the table names buckets alone.
        let bit = (value | 1).leadingZeroBitCount ^ 63
        let place = Int(memory.load(fromByteOffset: Self.tableOffset &+ bit, as: UInt8.self))
        return place &+ (value > bound(place) ? 1 : 0)
    }

    @inline(__always)
    private func bound(_ place: Int) -> UInt64 {
        memory.load(fromByteOffset: place &* 8, as: UInt64.self)
    }

    /// Upper bounds in a larger unit, without the infinite one.
    ///
    /// - Parameter scale: how many of the values' units make one.
    func shown(_ scale: Double) -> [Double] { (0..<count - 1).map { Double(bound($0)) / scale } }

    /// Of times in nanoseconds: 100 microseconds to a minute.
    static let times = Buckets(
        [
            100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
            1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
        ].map { $0 * 1_000 }
    )

    /// Of bodies in bytes: powers of four from 256 bytes to 1 GiB.
    static let sizes = Buckets((4...15).map { UInt64(1) << UInt64(2 * $0) })
}
