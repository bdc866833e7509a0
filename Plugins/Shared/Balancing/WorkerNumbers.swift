public import SluiceSDK

/// Random numbers for picks: a generator for each worker, on cache lines of its own.
///
/// SplitMix64, for choices and not for secrets. Plain memory that the table frees.
public struct WorkerNumbers: BitwiseCopyable {
    /// Number of workers.
    public let workerCount: Int
    @usableFromInline let states: UnsafeMutablePointer<UInt64>

    /// Words from one worker's state to the next one's: pairs of lines, as the prefetcher fetches
    /// them.
    @usableFromInline static let stride = 16

    /// - Parameters:
    ///   - workers: those that will pick.
    ///   - seed: the same numbers follow the same seed.
    public init(workers: Int, seed: UInt64) {
        workerCount = max(workers, 1)
        states = .allocate(capacity: workerCount * Self.stride)
        states.initialize(repeating: 0, count: workerCount * Self.stride)
        for worker in 0..<workerCount {
            states[worker * Self.stride] = mixed(seed &+ UInt64(worker))
        }
    }

    /// Frees the states.
    public func deallocate() { states.deallocate() }

    /// The next number of a worker, which must be below `workerCount`.
    @inlinable
    public func next(_ worker: Int) -> UInt64 {
        // Safe: there is a state for each worker, and this one alone uses it.
        let state = states + worker &* Self.stride
        state.pointee &+= 0x9E37_79B9_7F4A_7C15
        return mixed(state.pointee)
    }

    /// Whether the set knows the worker that picks.
    @inlinable
    public func knows(_ pick: borrowing Pick) -> Bool {
        pick.workerIndex >= 0 && pick.workerIndex < workerCount
    }
}
