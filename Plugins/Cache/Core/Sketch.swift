internal import CTinyUFO

/// How often keys were put lately, by a count-min sketch (Cormode and Muthukrishnan, 2005) that
/// ages (Einziger, Friedman and Manes, "TinyLFU", 2017).
///
/// It takes the place of S3-FIFO's ghost queue: it remembers keys that the cache holds no more.
/// With N objects expected it has `depth` rows of `width` counters, so that an estimate is too high
/// by more than one in N with a probability of one in N only. After `8 N` increments all counters
/// are halved, so that what was popular once gives way.
struct Sketch {
    static let widthMin = 16
    static let depthMin = 2
    /// Increments between two halvings, for each object that is expected.
    static let incrementsPerObject = 8

    let width: Int
    let depth: Int
    private let counters: UnsafeMutablePointer<UInt8>
    private let incrementsPerAge: Int
    private var incrementsLeft: Int

    /// - Parameter objectsExpected: 1 or more.
    /// - Returns: nil when there is no memory.
    init?(objectsExpected: Int) {
        width = Self.width(objectsExpected)
        depth = Self.depth(objectsExpected)
        guard let memory = tinyufo_zeroed(Self.byteCount(objectsExpected: objectsExpected)) else {
            return nil
        }
        counters = memory.bindMemory(to: UInt8.self, capacity: width * depth)
        incrementsPerAge = objectsExpected * Self.incrementsPerObject
        incrementsLeft = incrementsPerAge
    }

    func destroy() { tinyufo_free(counters) }

    /// Memory of a sketch for so many objects, in bytes; a multiple of 8.
    static func byteCount(objectsExpected: Int) -> Int {
        (width(objectsExpected) * depth(objectsExpected) + 7) & ~7
    }

    /// ceil(e N): an error of one in N.
    private static func width(_ objectsExpected: Int) -> Int {
        max(widthMin, Int((2.718_281_828_459_045 * Double(objectsExpected)).rounded(.up)))
    }

    /// ceil(log2 N): wrong with a probability of one in N.
    private static func depth(_ objectsExpected: Int) -> Int {
        max(depthMin, Int.bitWidth - (objectsExpected - 1).leadingZeroBitCount)
    }

    /// Counts a key.
    ///
    /// - Returns: its new estimate: 1 to 255.
    mutating func increment(_ hash: UInt64) -> UInt8 {
        if incrementsLeft == 0 {
            halve()
            incrementsLeft = incrementsPerAge
        }
        incrementsLeft -= 1
        var least = UInt8.max
        for row in 0..<depth {
            let counter = self.counter(hash, row)
            if counter.pointee < .max { counter.pointee += 1 }
            least = min(least, counter.pointee)
        }
        return least
    }

    /// How often a key was counted, at least: 0 to 255.
    func estimate(_ hash: UInt64) -> UInt8 {
        var least = UInt8.max
        for row in 0..<depth { least = min(least, counter(hash, row).pointee) }
        return least
    }

    @inline(__always)
    private func counter(_ hash: UInt64, _ row: Int) -> UnsafeMutablePointer<UInt8> {
        // The finalizer of SplitMix64 gives each row a number of its own for the key.
        var word = hash &+ UInt64(truncatingIfNeeded: row) &* 0x9e37_79b9_7f4a_7c15
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        word ^= word >> 31
        // Safe: the upper half of the product is below `width`.
        let column = Int(truncatingIfNeeded: word.multipliedFullWidth(by: UInt64(width)).high)
        return counters + (row &* width &+ column)
    }

    private func halve() {
        let wordCount = (width * depth + 7) / 8
        // Safe: `byteCount` rounds the memory up to whole words.
        let words = UnsafeMutableRawPointer(counters).assumingMemoryBound(to: UInt64.self)
        for index in 0..<wordCount {
            words[index] = words[index] >> 1 & 0x7f7f_7f7f_7f7f_7f7f
        }
    }
}
