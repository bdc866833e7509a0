import Synchronization

/// The words of one worker: it alone writes them, with plain stores, and whoever shows metrics adds
/// the workers' up.
typealias MeterRow = UnsafeMutablePointer<Atomic<UInt64>>

extension UnsafeMutablePointer where Pointee == Atomic<UInt64> {
    /// Adds to a word. [the row's worker]
    @inline(__always)
    func add(_ word: Int, _ amount: UInt64 = 1) {
        // One writer: no locked instruction is needed.
        self[word].store(self[word].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Counts a value in a histogram, whose words are the sum and then the buckets.
    @inline(__always)
    func observe(_ histogram: Int, _ value: UInt64, _ buckets: Buckets) {
        add(histogram, value)
        add(histogram &+ 1 &+ buckets.index(value))
    }
}

/// What is counted of one route, upstream or listener: a row of words for each worker, made when
/// the worker first counts something.
///
/// There is one for a name as long as the process lives, whatever plans come and go.
struct Meter: @unchecked Sendable {
    // Safe: atomics that are never freed; a row is published whole.

    /// Addresses of the workers' rows, 0 of those that were not needed yet.
    private let rows: UnsafeMutablePointer<Atomic<UInt>>
    private let workers: Int
    private let wordCount: Int

    init(workers: Int, words: Int) {
        rows = .allocate(capacity: workers)
        for worker in 0..<workers { rows.advanced(by: worker).initialize(to: Atomic(0)) }
        self.workers = workers
        wordCount = words
    }

    /// The row of a worker, below the number of workers. [the worker]
    @inline(__always)
    func row(_ worker: Int) -> MeterRow {
        let address = rows[worker].load(ordering: .relaxed)
        return MeterRow(bitPattern: address) ?? makeRow(worker)
    }

    @inline(never)
    private func makeRow(_ worker: Int) -> MeterRow {
        // Lines of the cache are fetched in pairs: no two workers' rows share one.
        let lines = (wordCount * MemoryLayout<Atomic<UInt64>>.stride + 127) / 128
        let row = UnsafeMutableRawPointer.allocate(byteCount: lines * 128, alignment: 128)
            .bindMemory(to: Atomic<UInt64>.self, capacity: wordCount)
        for word in 0..<wordCount { row.advanced(by: word).initialize(to: Atomic(0)) }
        rows[worker].store(UInt(bitPattern: row), ordering: .releasing)
        return row
    }

    // MARK: Looking, from any thread

    /// The words of one worker; zeroes when it has counted nothing.
    func words(ofWorker worker: Int) -> [UInt64] {
        guard let row = MeterRow(bitPattern: rows[worker].load(ordering: .acquiring)) else {
            return [UInt64](repeating: 0, count: wordCount)
        }
        return (0..<wordCount).map { row[$0].load(ordering: .relaxed) }
    }

    /// The words of all workers, added up.
    var sums: [UInt64] {
        var sums = [UInt64](repeating: 0, count: wordCount)
        for worker in 0..<workers {
            guard let row = MeterRow(bitPattern: rows[worker].load(ordering: .acquiring)) else {
                continue
            }
            for word in 0..<wordCount { sums[word] &+= row[word].load(ordering: .relaxed) }
        }
        return sums
    }
}
