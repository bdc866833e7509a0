internal import Synchronization

/// Requests in a sliding window by key, of which a store counts the sum over several machines.
///
/// Each slot is a key with the counts of two windows, the running one and the one before. What this
/// machine has let in counts at once; what others have, when the store was last asked. A word holds
/// a count and the number of its window, so that each is right or stale by itself: there is nothing
/// to clear, and nothing that must change together with something else.
public struct KeyTable: BitwiseCopyable, Sendable {
    /// Keys that a table may have room for.
    public static let capacityRange = 1_024...4_194_304
    /// Words of a slot: a line of the processor's cache.
    static let slotWords = 8
    /// Slots where a key may be: one after the other, so that none must be found by way of another
    /// and each can be given up by itself.
    static let window = 8

    enum Field: Int {
        /// The key; 0 for a slot that is free.
        case key
        /// Let in here, in windows with an even and an odd number.
        case own = 1
        /// Let in elsewhere, as the store said.
        case others = 3
        /// What the store knows of `own`; written by the thread that talks with it alone.
        case pushed = 5
    }

    /// Where the slots lie.
    public let block: Block
    /// Slots, a power of two.
    public let capacity: Int

    /// Words of a table for so many keys.
    public static func wordCount(capacity: Int) -> Int { capacity * slotWords }

    /// A table in a block of as many words; `capacity` is a power of two.
    public init(block: Block, capacity: Int) {
        precondition(capacity & (capacity - 1) == 0, "\(capacity) slots")
        self.block = block
        self.capacity = capacity
    }

    /// A count, and the window that it is of, in one word.
    struct Count: BitwiseCopyable {
        let word: UInt64

        init(word: UInt64) { self.word = word }

        init(_ count: UInt64, epoch: UInt64) {
            word = epoch << 32 | min(count, UInt64(UInt32.max))
        }

        /// The count, if it is of this window; else 0.
        @inline(__always)
        func of(_ epoch: UInt64) -> UInt64 { isOf(epoch) ? word & 0xFFFF_FFFF : 0 }

        @inline(__always)
        func isOf(_ epoch: UInt64) -> Bool { word >> 32 == epoch & 0xFFFF_FFFF }
    }

    /// The slot of a key, made when there is none; nil when there is no room.
    ///
    /// - Parameter key: not 0.
    @inline(__always)
    public func slot(_ key: UInt64) -> Int? {
        let start = Int(truncatingIfNeeded: key >> 32) & (capacity - 1) & ~(Self.window - 1)
        for index in start..<start + Self.window
        where word(index, .key).pointee.load(ordering: .relaxed) == key { return index }
        for index in start..<start + Self.window {
            let (isDone, original) = word(index, .key).pointee.compareExchange(
                expected: 0,
                desired: key,
                ordering: .relaxed
            )
            // Somebody may have made the same key's just now.
            if isDone || original == key { return index }
        }
        return nil
    }

    /// Counts a request that is let in here.
    ///
    /// - Parameters:
    ///   - slot: of `slot(_:)`.
    ///   - instant: of the wall clock, which all machines have in common.
    /// - Returns: what the key has used up everywhere, as far as it is known.
    @inline(__always)
    public func add(_ slot: Int, at instant: WindowSketch.Instant) -> WindowSketch.Usage {
        let epoch = instant.epoch
        let cell = word(slot, .own, epoch)
        var known = cell.pointee.load(ordering: .relaxed)
        var count: UInt64 = 0
        while true {
            count = Count(word: known).of(epoch) &+ 1
            let (isDone, original) = cell.pointee.weakCompareExchange(
                expected: known,
                desired: Count(count, epoch: epoch).word,
                ordering: .relaxed
            )
            if isDone { break }
            known = original
        }
        return WindowSketch.Usage(
            running: count &+ read(slot, .others, epoch),
            before: read(slot, .own, epoch &- 1) &+ read(slot, .others, epoch &- 1),
            weight: instant.weight
        )
    }

    /// Takes back what `add` has counted at this instant.
    public func remove(_ slot: Int, at instant: WindowSketch.Instant) {
        let epoch = instant.epoch
        let cell = word(slot, .own, epoch)
        var known = cell.pointee.load(ordering: .relaxed)
        while true {
            let count = Count(word: known).of(epoch)
            guard count > 0 else { return }
            let (isDone, original) = cell.pointee.weakCompareExchange(
                expected: known,
                desired: Count(count &- 1, epoch: epoch).word,
                ordering: .relaxed
            )
            if isDone { return }
            known = original
        }
    }

    @inline(__always)
    func word(_ slot: Int, _ field: Field) -> Word {
        block.word(slot &* Self.slotWords &+ field.rawValue)
    }

    @inline(__always)
    func word(_ slot: Int, _ field: Field, _ epoch: UInt64) -> Word {
        block.word(slot &* Self.slotWords &+ field.rawValue &+ Int(epoch & 1))
    }

    @inline(__always)
    func read(_ slot: Int, _ field: Field, _ epoch: UInt64) -> UInt64 {
        Count(word: word(slot, field, epoch).pointee.load(ordering: .relaxed)).of(epoch)
    }

    // MARK: The store

    /// What the store is to be told of one key in one window.
    public struct Change: BitwiseCopyable, Equatable, Sendable {
        /// The key's slot.
        public let slot: Int
        /// The key.
        public let key: UInt64
        /// The number of the window.
        public let epoch: UInt64
        /// Let in here since the store was told last; less than 0 when some were taken back.
        public let amount: Int64
        /// Whether the store hears of the key and window for the first time from here.
        public let isFirst: Bool
        /// All that were let in here.
        public let own: UInt64
    }

    /// The change of a slot in a window; nil when the store knows everything.
    public func change(_ slot: Int, epoch: UInt64) -> Change? {
        let key = word(slot, .key).pointee.load(ordering: .relaxed)
        let own = Count(word: word(slot, .own, epoch).pointee.load(ordering: .relaxed))
        guard key != 0, own.isOf(epoch) else { return nil }
        let pushed = Count(word: word(slot, .pushed, epoch).pointee.load(ordering: .relaxed))
        let amount = Int64(own.of(epoch)) - Int64(pushed.of(epoch))
        guard amount != 0 else { return nil }
        return Change(
            slot: slot,
            key: key,
            epoch: epoch,
            amount: amount,
            isFirst: !pushed.isOf(epoch),
            own: own.of(epoch)
        )
    }

    /// Notes what the store said to a change: the sum over all machines.
    public func settle(_ change: Change, total: Int64) {
        let others = UInt64(max(0, total - Int64(change.own)))
        let slot = change.slot
        word(slot, .others, change.epoch).pointee.store(
            Count(others, epoch: change.epoch).word,
            ordering: .relaxed
        )
        word(slot, .pushed, change.epoch).pointee.store(
            Count(change.own, epoch: change.epoch).word,
            ordering: .relaxed
        )
    }

    /// Gives up a slot that neither the running window nor the one before has a count of; by the
    /// thread that talks with the store alone.
    ///
    /// A request that has found the slot just before counts for the key that gets it next: one too
    /// many, once in a while.
    ///
    /// - Returns: whether the slot is in use still.
    public func expire(_ slot: Int, epoch: UInt64) -> Bool {
        let key = word(slot, .key)
        guard key.pointee.load(ordering: .relaxed) != 0 else { return false }
        for epoch in [epoch &+ 1, epoch, epoch &- 1] {
            let cell = word(slot, .own, epoch).pointee.load(ordering: .relaxed)
            if Count(word: cell).isOf(epoch) { return true }
        }
        key.pointee.store(0, ordering: .relaxed)
        return false
    }

    /// Keys that have a slot.
    ///
    /// Reads them all: not for a worker's thread.
    public func keyCount() -> Int {
        var count = 0
        for slot in 0..<capacity
        where word(slot, .key).pointee.load(ordering: .relaxed) != 0 { count += 1 }
        return count
    }
}
