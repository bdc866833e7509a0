internal import Synchronization

/// Requests that are under way, for any number of keys in a fixed amount of memory: a count-min
/// sketch from which everything that was counted is taken again.
///
/// A count can be too high by other keys' requests that are under way at the same time, and never
/// too low: no more than the limit are let in.
public struct InFlightSketch: BitwiseCopyable, Sendable {
    /// Where the counts lie.
    public let block: Block
    /// Rows and columns.
    public let shape: SketchShape

    /// A sketch in a block of as many words as the shape has.
    public init(block: Block, shape: SketchShape) {
        self.block = block
        self.shape = shape
    }

    /// Counts a request that begins.
    ///
    /// - Returns: how many of its key are under way now, at least.
    @inline(__always)
    public func add(_ key: KeyHash) -> UInt64 {
        for row in 0..<SketchShape.depth {
            let cell = block.word(shape.index(key, row))
            cell.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        }
        // Read only now: of two workers, the one that is done last sees both in every row.
        return look(key)
    }

    /// Takes back what one `add` has counted.
    @inline(__always)
    public func remove(_ key: KeyHash) {
        for row in 0..<SketchShape.depth {
            block.word(shape.index(key, row)).pointee.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    /// How many of a key are under way, at least.
    @inline(__always)
    public func look(_ key: KeyHash) -> UInt64 {
        var least = UInt64.max
        for row in 0..<SketchShape.depth {
            let cell = block.word(shape.index(key, row))
            least = min(least, cell.pointee.load(ordering: .sequentiallyConsistent))
        }
        return least
    }

    /// About how many keys have requests under way.
    ///
    /// Reads `width` words: not for a worker's thread.
    public func keyCount() -> Int {
        var empty = 0
        for column in 0..<shape.width
        where block.word(column).pointee.load(ordering: .relaxed) == 0 { empty += 1 }
        return linearCount(width: shape.width, empty: empty)
    }
}
