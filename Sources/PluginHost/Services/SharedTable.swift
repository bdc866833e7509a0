import CSluice
import Synchronization
import Sys

/// Counters and token buckets that all workers share, by a key of 128 bits.
///
/// An open-addressed array of slots, each of four words. A key's slot is within `window` slots from
/// where its hash points, before the first that was never used.
///
/// Whoever works on an entry pins its slot: a count in the slot's first word. A slot is only given
/// to another key while nobody has it pinned, so what is counted is never counted for another key,
/// and nothing but the entry's own word is contended. Only making an entry takes a claim, on all
/// keys with the same part of the hash, so that a key never has two entries.
struct SharedTable: ~Copyable {
    /// Entries that a table may be made for.
    static let capacityRange: ClosedRange<UInt64> = 64...16_777_216
    /// Slots where the entry of a key may be.
    static let window = 32
    /// Slots for each entry of the capacity, so that windows are seldom full before the table is.
    static let slotsPerEntry = 2
    private static let claimCount = 1_024

    struct Slot {
        /// What the slot is, how often it is pinned, and when its counter expires.
        var head: UInt64
        var low: UInt64
        var high: UInt64
        var value: UInt64
    }

    /// The first word of a slot.
    enum Head {
        static let virgin: UInt64 = 0
        static let counter: UInt64 = 1
        static let bucket: UInt64 = 2
        /// Given up; nobody finds it any more.
        static let dead: UInt64 = 3
        /// Being filled by whoever took it.
        static let taken: UInt64 = 4
        static let stateMask: UInt64 = 15
        static let pin: UInt64 = 16
        static let pinMask: UInt64 = (1 << 14 - 1) << 4
        /// Time in units of 2^20 ns, about a millisecond; 0 for never.
        static let expiryShift: UInt64 = 18
        static let timeShift: UInt64 = 20
    }

    typealias Word = UnsafeMutablePointer<Atomic<UInt64>>

    /// Rounded up to a power of two.
    let capacity: Int
    private let slots: UnsafeMutableRawPointer
    private let slotMask: Int
    private let claims: UnsafeMutablePointer<Atomic<UInt8>>
    private let hash = KeyedHash.process
    let values: SharedValues

    /// - Parameter capacity: in `capacityRange`.
    /// - Returns: nil when there is not enough memory.
    init?(capacity: UInt64) {
        precondition(Self.capacityRange.contains(capacity), "capacity \(capacity)")
        self.capacity = 1 << (Int.bitWidth - (Int(capacity) - 1).leadingZeroBitCount)
        let count = self.capacity * Self.slotsPerEntry
        guard let slots = Memory.zeroed(count * MemoryLayout<Slot>.stride) else { return nil }
        self.slots = slots
        slotMask = count - 1
        claims = .allocate(capacity: Self.claimCount)
        for claim in 0..<Self.claimCount { claims.advanced(by: claim).initialize(to: Atomic(0)) }
        values = SharedValues(capacity: self.capacity)
    }

    deinit {
        Memory.free(slots)
        claims.deallocate()
    }

    // MARK: Slots

    /// A word of a slot.
    @inline(__always)
    private func word(_ index: Int, _ number: Int) -> Word {
        // Safe: `index` is below the count of slots, and all words are only used as atomics.
        (slots + (index & slotMask) * MemoryLayout<Slot>.stride + number * 8)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// A slot that is pinned.
    struct Entry {
        let index: Int
        let head: UInt64
        let value: Word
    }

    /// Finds the live entry of a key and pins it; nil when there is none.
    private func pin(
        _ key: sluice_key,
        _ state: UInt64,
        at start: Int,
        now: UInt64
    ) -> Entry? {
        for offset in 0..<Self.window {
            let index = start &+ offset
            let head = word(index, 0)
            let seen = head.pointee.load(ordering: .acquiring)
            if seen & Head.stateMask == Head.virgin { return nil }
            guard seen & Head.stateMask == state,
                word(index, 1).pointee.load(ordering: .relaxed) == key.low,
                word(index, 2).pointee.load(ordering: .relaxed) == key.high
            else { continue }
            // From here on the slot keeps its key, if it still is what it was.
            let pinned = head.pointee.wrappingAdd(Head.pin, ordering: .acquiring).newValue
            if pinned & Head.stateMask == state, !Self.isExpired(pinned, now),
                word(index, 1).pointee.load(ordering: .relaxed) == key.low,
                word(index, 2).pointee.load(ordering: .relaxed) == key.high
            {
                return Entry(index: index, head: pinned, value: word(index, 3))
            }
            head.pointee.wrappingSubtract(Head.pin, ordering: .releasing)
        }
        return nil
    }

    @inline(__always)
    private func unpin(_ entry: Entry) {
        word(entry.index, 0).pointee.wrappingSubtract(Head.pin, ordering: .releasing)
    }

    /// Whether a counter's time is over.
    ///
    /// A bucket's never is: once full, it is as good as new.
    @inline(__always)
    private static func isExpired(_ head: UInt64, _ now: UInt64) -> Bool {
        let expiry = head >> Head.expiryShift
        return expiry != 0 && expiry <= now >> Head.timeShift
    }

    /// Works on the entry of a key, which is made when there is none.
    ///
    /// - Parameters:
    ///   - make: the first word and the value of a new entry; nil makes none.
    ///   - use: works on an entry that is there.
    private func with<Result>(
        _ key: sluice_key,
        _ state: UInt64,
        now: UInt64,
        make: () -> (expiry: UInt64, value: UInt64, result: Result),
        use: (Entry) -> Result
    ) -> Result {
        let start = Int(truncatingIfNeeded: hash.spread(key.low, key.high)) & slotMask
        if let entry = pin(key, state, at: start, now: now) {
            defer { unpin(entry) }
            return use(entry)
        }
        let claim = claims + start % Self.claimCount
        while !claim.pointee.compareExchange(
            expected: 0,
            desired: 1,
            ordering: .acquiring
        ).exchanged {
            Process.yield()
        }
        defer { claim.pointee.store(0, ordering: .releasing) }
        // Somebody else may have made it meanwhile.
        if let entry = pin(key, state, at: start, now: now) {
            defer { unpin(entry) }
            return use(entry)
        }
        let made = make()
        bury(key, state, at: start, now: now)
        let index = takeSlot(at: start, now: now)
        word(index, 1).pointee.store(key.low, ordering: .relaxed)
        word(index, 2).pointee.store(key.high, ordering: .relaxed)
        word(index, 3).pointee.store(made.value, ordering: .relaxed)
        // Added, not stored: others may have the slot pinned for a moment, to see that it is taken.
        word(index, 0).pointee.wrappingAdd(
            state &- Head.taken &+ made.expiry << Head.expiryShift,
            ordering: .releasing
        )
        return made.result
    }

    /// Gives up the expired entry of a key.
    ///
    /// Whoever has it pinned came before it expired.
    private func bury(_ key: sluice_key, _ state: UInt64, at start: Int, now: UInt64) {
        for offset in 0..<Self.window {
            let index = start &+ offset
            let head = word(index, 0).pointee.load(ordering: .acquiring)
            if head & Head.stateMask == Head.virgin { return }
            guard head & Head.stateMask == state, Self.isExpired(head, now),
                word(index, 1).pointee.load(ordering: .relaxed) == key.low,
                word(index, 2).pointee.load(ordering: .relaxed) == key.high
            else { continue }
            // Under the claim nobody else makes or buries an entry of this key, but another key's
            // may just take its slot.
            var known = head
            while known & Head.stateMask == state {
                let (exchanged, original) = word(index, 0).pointee.compareExchange(
                    expected: known,
                    desired: known & Head.pinMask | Head.dead,
                    ordering: .acquiringAndReleasing
                )
                if exchanged { return }
                guard original & ~Head.pinMask == known & ~Head.pinMask else { return }
                known = original
            }
        }
    }

    /// Takes a slot for a new entry: one that is free, or that of the entry which expires first.
    private func takeSlot(at start: Int, now: UInt64) -> Int {
        while true {
            var best = -1
            var bestHead: UInt64 = 0
            var bestTime = UInt64.max
            for offset in 0..<Self.window {
                let index = start &+ offset
                let head = word(index, 0).pointee.load(ordering: .acquiring)
                guard head & Head.pinMask == 0, head & Head.stateMask != Head.taken else {
                    continue
                }
                let time = timeOfEnd(index, head, now)
                if best < 0 || time < bestTime { (best, bestHead, bestTime) = (index, head, time) }
                if bestTime == 0 { break }
            }
            if best >= 0,
                word(best, 0).pointee.compareExchange(
                    expected: bestHead,
                    desired: Head.taken,
                    ordering: .acquiringAndReleasing
                ).exchanged
            {
                return best
            }
            // All are pinned, or somebody was faster; both pass in no time.
            Process.yield()
        }
    }

    /// When a slot's entry would be gone by itself: 0 when it is, `.max` when never.
    private func timeOfEnd(_ index: Int, _ head: UInt64, _ now: UInt64) -> UInt64 {
        switch head & Head.stateMask {
        case Head.counter:
            if Self.isExpired(head, now) { return 0 }
            let expiry = head >> Head.expiryShift
            return expiry == 0 ? .max : expiry << Head.timeShift
        case Head.bucket:
            let full = TokenBucket.nanosecondsWhenFull(
                word(index, 3).pointee.load(ordering: .relaxed)
            )
            return full <= now ? 0 : full
        default: return 0
        }
    }

    /// Calls the body with every live entry: the first word of its slot, its key and its value.
    func forEachLive(now: UInt64, _ body: (UInt64, UInt64, UInt64, UInt64) -> Void) {
        for index in 0...slotMask {
            let head = word(index, 0)
            let seen = head.pointee.load(ordering: .acquiring)
            let state = seen & Head.stateMask
            guard state == Head.counter || state == Head.bucket else { continue }
            let pinned = head.pointee.wrappingAdd(Head.pin, ordering: .acquiring).newValue
            if pinned & Head.stateMask == state, !Self.isExpired(pinned, now) {
                body(
                    pinned,
                    word(index, 1).pointee.load(ordering: .relaxed),
                    word(index, 2).pointee.load(ordering: .relaxed),
                    word(index, 3).pointee.load(ordering: .relaxed)
                )
            }
            head.pointee.wrappingSubtract(Head.pin, ordering: .releasing)
        }
    }

    // MARK: Counters

    /// The unit of expiry at or after this many nanoseconds from now; 0 for never.
    private static func expiry(_ ttl: UInt64, now: UInt64) -> UInt64 {
        guard ttl != 0 else { return 0 }
        let unit: UInt64 = 1 << Head.timeShift
        return now.addingSaturating(ttl).addingSaturating(unit - 1) >> Head.timeShift
    }

    /// `counter_add` of the ABI.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock.
    func add(_ key: sluice_key, _ delta: Int64, ttl: UInt64, now: UInt64) -> Int64 {
        with(
            key,
            Head.counter,
            now: now,
            make: { (Self.expiry(ttl, now: now), UInt64(bitPattern: delta), delta) },
            use: { entry in
                let value = entry.value.pointee.wrappingAdd(
                    UInt64(bitPattern: delta),
                    ordering: .relaxed
                )
                return Int64(bitPattern: value.newValue)
            }
        )
    }

    /// `counter_get` of the ABI.
    func get(_ key: sluice_key, now: UInt64) -> Int64 {
        let start = Int(truncatingIfNeeded: hash.spread(key.low, key.high)) & slotMask
        guard let entry = pin(key, Head.counter, at: start, now: now) else { return 0 }
        defer { unpin(entry) }
        return Int64(bitPattern: entry.value.pointee.load(ordering: .relaxed))
    }

    // MARK: Token buckets

    /// `bucket_take` of the ABI.
    func take(
        _ key: sluice_key,
        _ bucket: TokenBucket,
        cost: UInt64,
        now: UInt64
    ) -> sluice_bucket_answer {
        if cost == 0 { return look(key, bucket, now: now) }
        return with(
            key,
            Head.bucket,
            now: now,
            make: {
                let (state, answer) = bucket.take(cost, from: 0, now: now)
                return (0, state, answer)
            },
            use: { entry in
                var known = entry.value.pointee.load(ordering: .relaxed)
                while true {
                    let (state, answer) = bucket.take(cost, from: known, now: now)
                    guard answer.granted == 1 else { return answer }
                    let (exchanged, original) = entry.value.pointee.weakCompareExchange(
                        expected: known,
                        desired: state,
                        ordering: .relaxed
                    )
                    if exchanged { return answer }
                    known = original
                }
            }
        )
    }

    /// Empties a bucket to at most what another process left in it.
    func raiseBucket(_ key: sluice_key, to state: UInt64, now: UInt64) {
        with(
            key,
            Head.bucket,
            now: now,
            make: { (0, state, ()) },
            use: { entry in
                // The state is the time when it is full again: the later one has fewer tokens.
                var known = entry.value.pointee.load(ordering: .relaxed)
                while known < state {
                    let (exchanged, original) = entry.value.pointee.weakCompareExchange(
                        expected: known,
                        desired: state,
                        ordering: .relaxed
                    )
                    if exchanged { return }
                    known = original
                }
            }
        )
    }

    /// What a bucket holds; makes none.
    private func look(
        _ key: sluice_key,
        _ bucket: TokenBucket,
        now: UInt64
    ) -> sluice_bucket_answer {
        let start = Int(truncatingIfNeeded: hash.spread(key.low, key.high)) & slotMask
        guard let entry = pin(key, Head.bucket, at: start, now: now) else {
            return bucket.take(0, from: 0, now: now).answer
        }
        defer { unpin(entry) }
        let known = entry.value.pointee.load(ordering: .relaxed)
        return bucket.take(0, from: known, now: now).answer
    }
}
