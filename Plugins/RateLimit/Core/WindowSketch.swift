internal import Synchronization

/// Requests in a sliding window, for any number of keys in a fixed amount of memory: a count-min
/// sketch of two windows, the running one and the one before.
///
/// An estimate is the count of the running window, and of the one before the part that still lies
/// within the sliding window, as if its requests had come evenly. Collisions of keys can only make
/// it higher.
///
/// Each cell has both counts and the number of its running window in one word, so it turns over by
/// itself when it is next touched: nobody has to clear anything, and no count is lost at a turn.
public struct WindowSketch: BitwiseCopyable, Sendable {
    /// What a cell counts up to in one window; more is not counted.
    public static let countMax: UInt64 = 1 << 22 - 1

    private enum Bits {
        static let count: UInt64 = 22
        static let epochShift: UInt64 = 44
        // The number of a window, modulo 2^20: a cell that nobody touched for just as many windows,
        // twelve days of seconds, would be taken for a fresh one.
        static let epochMask: UInt64 = 1 << 20 - 1
        static let half: UInt64 = 1 << 19
    }

    /// What a key has used up.
    public struct Usage: BitwiseCopyable, Equatable, Sendable {
        /// Requests of the running window.
        public let running: UInt64
        /// Requests of the window before.
        public let before: UInt64
        /// The weight of the window before, in 2^-24.
        public let weight: UInt64

        /// Requests, in 2^-24.
        public var scaled: UInt64 { running << 24 &+ before &* weight }

        /// Requests, rounded up.
        public var count: UInt64 { (scaled &+ (1 << 24 &- 1)) >> 24 }

        /// Takes the numbers as they are.
        public init(running: UInt64, before: UInt64, weight: UInt64) {
            self.running = running
            self.before = before
            self.weight = weight
        }

        /// Whether no more than so many have come.
        @inline(__always)
        public func isWithin(_ limit: UInt64) -> Bool { scaled <= limit << 24 }

        /// Until there is room for one more request, when nobody else comes.
        ///
        /// - Parameters:
        ///   - limit: 1 or more.
        ///   - window: nanoseconds.
        public func nanosecondsUntilRoom(_ limit: UInt64, window: UInt64) -> UInt64 {
            if isWithin(limit - 1) { return 0 }
            // The part of a window's requests that must have left it, in 2^-24, rounded up.
            func part(_ count: UInt64, leaving room: UInt64) -> UInt64 {
                (1 << 24) - min(1 << 24, (room << 24) / max(count, 1))
            }
            let elapsed = (1 << 24) - weight
            let target =
                running < limit
                ? part(before, leaving: limit - 1 - running)
                : (1 << 24) + part(running, leaving: limit - 1)
            // Two windows at most, so no overflow for windows of up to a day.
            return (target - min(target, elapsed)) &* (window >> 24)
                &+ ((target - min(target, elapsed)) &* (window & 0xFF_FFFF)) >> 24 &+ 1
        }
    }

    /// The number of a window and what has passed of it, at one time.
    public struct Instant: BitwiseCopyable, Sendable {
        let epoch: UInt64
        /// Weight of the window before, in 2^-24.
        public let weight: UInt64
        /// Until the window's end, in nanoseconds.
        public let nanosecondsLeft: UInt64

        /// - Parameters:
        ///   - now: nanoseconds, of any clock that only goes on.
        ///   - window: nanoseconds.
        @inline(__always)
        public init(now: UInt64, window: UInt64) {
            epoch = now / window
            nanosecondsLeft = window &- now % window
            weight = UInt64(Double(nanosecondsLeft) / Double(window) * 16_777_216)
        }
    }

    /// Where the counts lie.
    public let block: Block
    /// Rows and columns.
    public let shape: SketchShape
    private let firstWord: Int

    /// A sketch in a block, which has as many words as the shape from the first one on.
    public init(block: Block, shape: SketchShape, firstWord: Int = 0) {
        self.block = block
        self.shape = shape
        self.firstWord = firstWord
    }

    /// Counts a request.
    ///
    /// - Returns: what the key has used up now, at least.
    @inline(__always)
    public func add(_ key: KeyHash, at instant: Instant) -> Usage {
        let epoch = instant.epoch & Bits.epochMask
        for row in 0..<SketchShape.depth {
            let cell = block.word(firstWord &+ shape.index(key, row))
            var known = cell.pointee.load(ordering: .relaxed)
            while true {
                var next = Self.turned(known, to: epoch)
                if next & Self.countMax < Self.countMax { next &+= 1 }
                let (isDone, original) = cell.pointee.weakCompareExchange(
                    expected: known,
                    desired: next,
                    ordering: .sequentiallyConsistent
                )
                if isDone { break }
                known = original
            }
        }
        // Read only now: of two workers, the one that is done last sees both in every row, where
        // what each row said meanwhile could be the lower number for both.
        return look(key, at: instant)
    }

    /// Takes back what `add` has counted at this instant.
    public func remove(_ key: KeyHash, at instant: Instant) {
        let epoch = instant.epoch & Bits.epochMask
        for row in 0..<SketchShape.depth {
            let cell = block.word(firstWord &+ shape.index(key, row))
            var known = cell.pointee.load(ordering: .relaxed)
            while true {
                // In the meantime the cell may have turned once.
                let shift: UInt64 = known >> Bits.epochShift == epoch ? 0 : Bits.count
                let count = known >> shift & Self.countMax
                // A full cell has not counted everything, so nothing is taken from it.
                guard count > 0, count < Self.countMax else { break }
                let (isDone, original) = cell.pointee.weakCompareExchange(
                    expected: known,
                    desired: known &- (1 << shift),
                    ordering: .relaxed
                )
                if isDone { break }
                known = original
            }
        }
    }

    /// What a key has used up, at least; counts nothing.
    public func look(_ key: KeyHash, at instant: Instant) -> Usage {
        var least = Usage(running: 0, before: 0, weight: 0)
        for row in 0..<SketchShape.depth {
            let known = block.word(firstWord &+ shape.index(key, row)).pointee.load(
                ordering: .sequentiallyConsistent
            )
            let cell = Self.turned(known, to: instant.epoch & Bits.epochMask)
            let usage = Self.usage(cell, instant)
            if row == 0 || usage.scaled < least.scaled { least = usage }
        }
        return least
    }

    /// About how many keys came in the running window and the one before, by the cells that nobody
    /// has touched (linear counting; Whang, Vander-Zanden and Taylor, 1990).
    ///
    /// Reads `width` words: not for a worker's thread.
    public func keyCount(at instant: Instant) -> Int {
        var empty = 0
        for column in 0..<shape.width {
            let known = block.word(firstWord + column).pointee.load(ordering: .relaxed)
            let cell = Self.turned(known, to: instant.epoch & Bits.epochMask)
            if cell & (1 << Bits.epochShift &- 1) == 0 { empty += 1 }
        }
        return linearCount(width: shape.width, empty: empty)
    }

    /// A cell at the window of this number.
    ///
    /// One that is ahead stays: another worker's clock is.
    @inline(__always)
    private static func turned(_ cell: UInt64, to epoch: UInt64) -> UInt64 {
        let ahead = (epoch &- cell >> Bits.epochShift) & Bits.epochMask
        if ahead == 0 || ahead >= Bits.half { return cell }
        let before = ahead == 1 ? cell & countMax : 0
        return epoch << Bits.epochShift | before << Bits.count
    }

    @inline(__always)
    private static func usage(_ cell: UInt64, _ instant: Instant) -> Usage {
        // A cell that is ahead has just begun its window.
        let isAhead = cell >> Bits.epochShift != instant.epoch & Bits.epochMask
        return Usage(
            running: cell & countMax,
            before: cell >> Bits.count & countMax,
            weight: isAhead ? 1 << 24 : instant.weight
        )
    }
}

/// Keys that leave so many of `width` cells empty; all that can be told when none is.
func linearCount(width: Int, empty: Int) -> Int {
    guard empty < width else { return 0 }
    // ln(width / empty), by the series of atanh after halving: no library of mathematics is needed.
    var ratio = Double(width) / Double(max(empty, 1))
    var logarithm = 0.0
    while ratio > 1.5 {
        ratio /= 2
        logarithm += 0.693_147_180_559_945_3
    }
    let part = (ratio - 1) / (ratio + 1)
    var power = part
    for term in 0..<12 {
        logarithm += 2 * power / Double(2 * term + 1)
        power *= part * part
    }
    return Int((Double(width) * logarithm).rounded())
}
