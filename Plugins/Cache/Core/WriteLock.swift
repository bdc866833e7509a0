internal import CTinyUFO
internal import Synchronization

/// The lock that writers of one shard take, and readers never do on a hit; the disk tier has some.
///
/// Embedded Swift has no `Mutex`, so this is the usual futex lock of three states (Drepper,
/// "Futexes are Tricky", mutex 2). What it guards takes about a microsecond, so a waiter spins for
/// a moment before it sleeps.
public struct WriteLock: BitwiseCopyable {
    private enum State {
        static let free: UInt32 = 0
        static let held: UInt32 = 1
        /// Held, and somebody may sleep.
        static let contended: UInt32 = 2
    }

    private static let spinsMax = 100

    // The word has a cache line of its own, which readers of the shard never touch.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    /// A lock that nobody holds; nil when there is no memory.
    public init?() {
        guard let memory = tinyufo_lines(64) else { return nil }
        word = memory.bindMemory(to: Atomic<UInt32>.self, capacity: 1)
        word.initialize(to: Atomic(State.free))
    }

    /// Gives its memory back; nobody may use it any more.
    public func destroy() { tinyufo_free(word) }

    /// Waits until nobody else holds it.
    public func lock() {
        if take(from: State.free, State.held) { return }
        for _ in 0..<Self.spinsMax {
            if word.pointee.load(ordering: .relaxed) == State.free,
                take(from: State.free, State.held)
            {
                return
            }
            tinyufo_pause()
        }
        while word.pointee.exchange(State.contended, ordering: .acquiring) != State.free {
            tinyufo_wait(word, State.contended)
        }
    }

    /// Lets the next one have it.
    public func unlock() {
        if word.pointee.exchange(State.free, ordering: .releasing) == State.contended {
            tinyufo_wake(word)
        }
    }

    @inline(__always)
    private func take(from known: UInt32, _ new: UInt32) -> Bool {
        word.pointee.compareExchange(expected: known, desired: new, ordering: .acquiring).exchanged
    }
}
