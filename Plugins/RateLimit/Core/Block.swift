internal import CRateLimit
internal import Synchronization

/// A word that all threads count in.
typealias Word = UnsafeMutablePointer<Atomic<UInt64>>

/// Memory of one rule, in which all workers count, and for a while two instances: the one that goes
/// and the one that takes its place.
///
/// A header, then words that begin at 0. It is freed when the last instance has let it go;
/// instances come and go on one thread.
public struct Block: BitwiseCopyable, @unchecked Sendable {
    // Safe: every word of the memory is only used as an atomic.

    /// Bytes before the words.
    static let headerBytes = 128
    /// "RLBLK" and the version of the layout of everything in the block.
    static let magic: UInt64 = 0x524C_424C_4B00_0001
    /// Words that a block may have: 512 MiB.
    public static let wordCountMax = 1 << 26

    enum Header: Int {
        case magic
        case wordCount
        /// Instances that have the block.
        case references
        /// Requests that wait.
        case waiting
        /// 1 while a thread talks with the store about this block.
        case syncing
        /// What the wall clock is ahead of the monotonic one, in nanoseconds.
        case wallOffset
        /// 1 while the store does not answer.
        case storeDown
    }

    let start: UnsafeMutableRawPointer

    /// A block of zeros, with one reference; nil when there is no memory.
    public init?(wordCount: Int) {
        precondition(wordCount >= 0 && wordCount <= Block.wordCountMax, "\(wordCount) words")
        guard let start = ratelimit_zeroed(Block.headerBytes + wordCount * 8) else { return nil }
        self.start = start
        header(.magic).pointee.store(Block.magic, ordering: .relaxed)
        header(.wordCount).pointee.store(UInt64(wordCount), ordering: .relaxed)
        header(.references).pointee.store(1, ordering: .relaxed)
        updateWallOffset()
    }

    /// The block at an address that `address` gave in this process; nil when it is another one than
    /// the words tell.
    ///
    /// - Parameter address: of a block that some instance still has.
    public init?(at address: UInt, wordCount: Int) {
        guard let start = UnsafeMutableRawPointer(bitPattern: address) else { return nil }
        self.start = start
        guard header(.magic).pointee.load(ordering: .relaxed) == Block.magic,
            header(.wordCount).pointee.load(ordering: .relaxed) == UInt64(wordCount)
        else { return nil }
    }

    /// Where it lies; for `init(at:)`.
    public var address: UInt { UInt(bitPattern: start) }

    /// One more instance has it.
    public func retain() { header(.references).pointee.wrappingAdd(1, ordering: .relaxed) }

    /// One instance less.
    ///
    /// - Returns: whether it was the last, and the memory is gone.
    public func release() -> Bool {
        let left = header(.references).pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        guard left.newValue == 0 else { return false }
        header(.magic).pointee.store(0, ordering: .relaxed)
        ratelimit_free(start)
        return true
    }

    @inline(__always)
    func header(_ field: Header) -> Word {
        // Safe: the header has room for 16 words.
        (start + field.rawValue * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// A word; `index` is below the count that the block was made with.
    @inline(__always)
    func word(_ index: Int) -> Word {
        // Safe: the caller's index is masked or bounded by what the block was made for.
        (start + (Block.headerBytes + index * 8)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    // MARK: Waiting

    /// Counts a request that is going to wait.
    ///
    /// - Returns: false when so many wait already; then nothing is counted.
    public func beginWait(most: Int) -> Bool {
        let count = header(.waiting).pointee.wrappingAdd(1, ordering: .relaxed).newValue
        if count <= UInt64(most) { return true }
        endWait()
        return false
    }

    /// A request waits no longer.
    public func endWait() { header(.waiting).pointee.wrappingSubtract(1, ordering: .relaxed) }

    /// Requests that wait.
    public var waitingCount: Int { Int(header(.waiting).pointee.load(ordering: .relaxed)) }

    // MARK: The store

    /// Takes the right to talk with the store; false when another thread has it.
    public func beginSync() -> Bool {
        header(.syncing).pointee.compareExchange(
            expected: 0,
            desired: 1,
            ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Gives it back.
    public func endSync() { header(.syncing).pointee.store(0, ordering: .releasing) }

    /// Whether the store does not answer.
    @inline(__always)
    public var isStoreDown: Bool {
        get { header(.storeDown).pointee.load(ordering: .relaxed) != 0 }
        nonmutating set { header(.storeDown).pointee.store(newValue ? 1 : 0, ordering: .relaxed) }
    }

    /// Looks again what the wall clock is ahead, as it may have been set.
    public func updateWallOffset() {
        let offset = ratelimit_wall() &- ratelimit_monotonic()
        header(.wallOffset).pointee.store(offset, ordering: .relaxed)
    }

    /// Nanoseconds since 1970 at a time of the monotonic clock.
    @inline(__always)
    public func wallNanoseconds(_ now: UInt64) -> UInt64 {
        now &+ header(.wallOffset).pointee.load(ordering: .relaxed)
    }
}

/// The key of what is counted: 128 bits that look random, as of a keyed hash.
public struct KeyHash: BitwiseCopyable, Equatable, Sendable {
    /// The lower half.
    public var low: UInt64
    /// The upper half.
    public var high: UInt64

    /// Takes the bits as they are.
    public init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

/// Rows and columns of a sketch.
public struct SketchShape: BitwiseCopyable, Equatable, Sendable {
    /// Rows: an estimate is further off than `errorShare` with a probability of e^-4, 1.8 %.
    public static let depth = 4
    /// Columns that a sketch may have.
    public static let widthRange = 256...1_048_576

    /// Columns, a power of two.
    public let width: Int
    private let shift: UInt64

    /// - Parameter width: in `widthRange`; rounded up to a power of two.
    public init(width: Int) {
        precondition(SketchShape.widthRange.contains(width), "width \(width)")
        let bits = Int.bitWidth - (width - 1).leadingZeroBitCount
        self.width = 1 << bits
        shift = UInt64(32 - bits)
    }

    /// Words of such a sketch.
    public var wordCount: Int { width * SketchShape.depth }

    /// What an estimate may be too high by, as a share of all that was counted: e / width (Cormode
    /// and Muthukrishnan, 2005).
    public var errorShare: Double { 2.718_281_828_459_045 / Double(width) }

    /// The place of a key in a row, 0 up to `wordCount`.
    ///
    /// Each row has 32 bits of the key for itself: rows that are sums of two hashes would collide
    /// together.
    @inline(__always)
    func index(_ key: KeyHash, _ row: Int) -> Int {
        let word = row & 2 == 0 ? key.low : key.high
        let bits = row & 1 == 0 ? word >> 32 : word & 0xFFFF_FFFF
        return row &* width &+ Int(truncatingIfNeeded: bits >> shift)
    }
}
