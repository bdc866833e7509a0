internal import Synchronization

/// `LRU` of numbers for several threads: every call takes the one lock, reads too, as they change
/// the order.
public struct LockedLRU: ~Copyable, Sendable {
    private let cache: Mutex<LRU<UInt64>>

    /// An empty cache of so many numbers.
    public init(capacity: Int) { cache = Mutex(LRU(capacity: capacity)) }

    /// Whether the number is there.
    public func get(_ number: UInt64) -> Bool { cache.withLock { $0.get(number) } }

    /// Puts the number, if it is not there.
    public func put(_ number: UInt64) {
        cache.withLock { if !$0.get(number) { $0.put(number) } }
    }
}
