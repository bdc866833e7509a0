import CCache
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

/// A request that waits: for the one that fetches what it wants, or for more bytes of it.
///
/// It lies in memory of the request or its reader, and is linked into the fill's list, so waiting
/// allocates nothing. Guarded by the fill's lock.
struct Waiter: BitwiseCopyable {
    var token: Token
    /// What it waits for, with a reference; nil when it waits for nothing.
    var fill: Fill.Pointer?
    var next: UnsafeMutablePointer<Waiter>?
    var previous: UnsafeMutablePointer<Waiter>?
    var isLinked: Bool
    /// Whether it was woken to take a lock over that nobody has.
    var isHeir: Bool
}

/// One fetch of a key: the lock on it, those who wait for it, and what has arrived so far.
///
/// A fill is counted by reference: the table, the request that fetches, readers, and those who
/// wait have one each. What is written arrives in a chain of blocks, which readers follow without
/// a lock.
struct Fill: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<Fill>

    enum State: UInt8 {
        /// A request in the background is on its way.
        case expected
        /// A request has gone to the origin.
        case fetching
        /// The one who fetched has failed; the next one who comes takes it over.
        case vacant
        /// The head is there, and the body arrives.
        case streaming
        /// It is in the store, or nobody will ever have it.
        case over
        /// Likewise, and what came can't be stored: those who waited go on their own.
        case released
    }

    enum End: UInt8 {
        case running
        case complete
        case broken
    }

    private let references = Atomic<Int>(1)
    private let stateWord: Atomic<UInt8>
    private let endWord = Atomic<UInt8>(End.running.rawValue)
    /// Set by a purge: it will not be stored, and nobody new reads it.
    let isDoomed = Atomic<Bool>(false)
    let waiterCount = Atomic<Int>(0)
    let lock: WriteLock
    private(set) var firstWaiter: UnsafeMutablePointer<Waiter>?
    private var lastWaiter: UnsafeMutablePointer<Waiter>?

    // Guarded by the lock of the table's part.
    var next: Pointer?
    var isTabled = false

    private(set) var key: UnsafeMutableRawPointer
    private(set) var keyCount: Int
    /// How many of the key's bytes are the primary key.
    private(set) var primaryCount: Int
    private(set) var hash: UInt64
    /// When it was begun or taken over: nanoseconds of the monotonic clock.
    let startedAt: Atomic<UInt64>

    /// Those who read along, newest first.
    ///
    /// Guarded by the fill's lock, as are their links.
    private(set) var firstReader: Reader.Pointer?
    /// Whether it can't be stored, and goes on for those who read along: set once, with the lock.
    let isSpilled = Atomic<Bool>(false)
    var spill = Spill()

    // The one's who fetches.
    /// `ByteBlock.toOpaque` of the first block; set before `streaming`.
    var head: UnsafeMutableRawPointer?
    /// The last block of the chain, which the one before owns.
    var tail: UnsafeMutableRawPointer?
    var writtenBytes: UInt64 = 0
    /// Bytes that the response says it has; `UInt64.max` when it does not.
    var declaredBytes = UInt64.max
    /// Bytes that are counted against the store's bound on fills.
    var countedBytes = 0

    private init(
        _ key: UnsafeMutableRawPointer,
        _ name: KeyName,
        _ state: State,
        _ lock: WriteLock,
        now: UInt64
    ) {
        self.key = key
        self.lock = lock
        keyCount = name.bytes.count
        primaryCount = name.primaryCount
        hash = name.hash
        stateWord = Atomic(state.rawValue)
        startedAt = Atomic(now)
    }

    /// - Returns: nil when there is no memory.
    static func make(_ name: KeyName, _ state: State, now: UInt64) -> Pointer? {
        guard let key = cache_allocate(max(name.bytes.count, 1)) else { return nil }
        guard let lock = WriteLock() else {
            cache_free(key)
            return nil
        }
        copy(name.bytes, to: key)
        let fill = Pointer.allocate(capacity: 1)
        fill.initialize(to: Fill(key, name, state, lock, now: now))
        return fill
    }

    private static func copy(_ bytes: UnsafeRawBufferPointer, to key: UnsafeMutableRawPointer) {
        // Safe: the key has room for as many.
        guard let start = bytes.baseAddress else { return }
        key.copyMemory(from: start, byteCount: bytes.count)
    }

    var state: State { State(rawValue: stateWord.load(ordering: .acquiring)) ?? .over }
    var end: End { End(rawValue: endWord.load(ordering: .acquiring)) ?? .broken }

    func set(_ state: State) { stateWord.store(state.rawValue, ordering: .releasing) }
    func set(_ end: End) { endWord.store(end.rawValue, ordering: .releasing) }

    var name: KeyName {
        KeyName(
            bytes: UnsafeRawBufferPointer(start: key, count: keyCount),
            primaryCount: primaryCount,
            hash: hash
        )
    }

    /// Gives it another key, while it is in no table.
    ///
    /// - Returns: false when there is no memory.
    mutating func rename(_ name: KeyName) -> Bool {
        guard let new = cache_allocate(max(name.bytes.count, 1)) else { return false }
        Self.copy(name.bytes, to: new)
        cache_free(key)
        key = new
        keyCount = name.bytes.count
        primaryCount = name.primaryCount
        hash = name.hash
        return true
    }

    func retain() { references.wrappingAdd(1, ordering: .relaxed) }

    /// - Returns: whether that was the last reference.
    fileprivate func drop() -> Bool {
        references.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0
    }

    deinit {
        if let head { _ = ByteBlock(opaque: head) }
        if let tail = spill.tail { _ = ByteBlock(opaque: tail) }
        cache_free(key)
        lock.destroy()
    }

    // MARK: Those who read along; with the lock

    mutating func link(reader: Reader.Pointer) {
        reader.along.initialize(to: Along())
        reader.along.pointee.next = firstReader
        firstReader?.along.pointee.previous = reader
        firstReader = reader
    }

    mutating func unlink(reader: Reader.Pointer) {
        let along = reader.along
        guard along.pointee.isLinked else { return }
        along.pointee.isLinked = false
        along.pointee.next?.along.pointee.previous = along.pointee.previous
        if let previous = along.pointee.previous {
            previous.along.pointee.next = along.pointee.next
        } else {
            firstReader = along.pointee.next
        }
    }

    // MARK: Those who wait; with the lock

    mutating func link(_ waiter: UnsafeMutablePointer<Waiter>) {
        waiter.pointee.isLinked = true
        waiter.pointee.next = nil
        waiter.pointee.previous = lastWaiter
        if let last = lastWaiter { last.pointee.next = waiter } else { firstWaiter = waiter }
        lastWaiter = waiter
        waiterCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    mutating func unlink(_ waiter: UnsafeMutablePointer<Waiter>) {
        guard waiter.pointee.isLinked else { return }
        waiter.pointee.isLinked = false
        if let previous = waiter.pointee.previous {
            previous.pointee.next = waiter.pointee.next
        } else {
            firstWaiter = waiter.pointee.next
        }
        if let next = waiter.pointee.next {
            next.pointee.previous = waiter.pointee.previous
        } else {
            lastWaiter = waiter.pointee.previous
        }
        waiterCount.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Wakes all; they may be gone as soon as the lock is free.
    mutating func wakeAll() {
        while let waiter = firstWaiter {
            unlink(waiter)
            waiter.pointee.token.resume()
        }
    }

    /// Wakes the one that has waited longest, and takes note that it inherits.
    ///
    /// - Returns: whether there was one.
    mutating func wakeHeir() -> Bool {
        while let waiter = firstWaiter {
            unlink(waiter)
            waiter.pointee.isHeir = true
            if waiter.pointee.token.resume() { return true }
            // Its time was over just now: its next lookup finds out by itself.
            waiter.pointee.isHeir = false
        }
        return false
    }
}

extension UnsafeMutablePointer where Pointee == Fill {
    /// Gives a reference up; the last one frees it.
    func release() {
        guard pointee.drop() else { return }
        deinitialize(count: 1)
        deallocate()
    }

    func locked<Result>(_ body: () -> Result) -> Result {
        let lock = pointee.lock
        lock.lock()
        defer { lock.unlock() }
        return body()
    }
}

/// A key and what is known of it; the bytes are somebody else's.
struct KeyName: BitwiseCopyable {
    let bytes: UnsafeRawBufferPointer
    /// How many of them are scheme, host, path and query.
    let primaryCount: Int
    let hash: UInt64

    var primary: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[..<primaryCount]) }

    func matches(_ other: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count == other.count else { return false }
        guard let left = bytes.baseAddress, let right = other.baseAddress else { return true }
        return cache_equal(left, right, bytes.count) != 0
    }
}
