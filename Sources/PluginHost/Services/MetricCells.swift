import Synchronization
import Sys

/// The numbers behind all series: for each worker a share of its own, and one for other threads.
///
/// A share is an array of words in pages. Only its worker writes to it, so it needs no locked
/// instruction; a reader adds the shares up.
final class MetricCells: @unchecked Sendable {
    // Safe: pages are published by atomics and never freed; words are atomics.
    typealias Cell = UnsafeMutablePointer<Atomic<UInt64>>

    /// Cells of a page.
    static let pageCells = 1_024
    /// Pages of a share: a million cells.
    static let pagesMax = 1_024
    /// The share of threads that are no workers, and of gauges.
    static let commonShare = 0

    /// Addresses of the shares' tables of pages, 0 where there is none.
    private let shares: UnsafeMutablePointer<Atomic<UInt>>
    /// Changed under the registry's lock.
    private var shareCount = 0
    private var pageCount = 0
    private var used = 0

    init() {
        shares = .allocate(capacity: WorkerPort.workersMax + 1)
        for share in 0...WorkerPort.workersMax {
            shares.advanced(by: share).initialize(to: Atomic(0))
        }
        grow(workers: 0)
    }

    /// Makes shares for this many workers. [under the registry's lock]
    func grow(workers: Int) {
        while shareCount <= min(workers, WorkerPort.workersMax) {
            let pages = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: Self.pagesMax)
            for page in 0..<Self.pagesMax {
                pages.advanced(by: page).initialize(
                    to: Atomic(page < pageCount ? Self.makePage() : 0)
                )
            }
            shares[shareCount].store(UInt(bitPattern: pages), ordering: .releasing)
            shareCount += 1
        }
    }

    private static func makePage() -> UInt {
        // A line of the cache belongs to one share alone.
        let page = UnsafeMutableRawPointer.allocate(byteCount: pageCells * 8, alignment: 64)
            .bindMemory(to: Atomic<UInt64>.self, capacity: pageCells)
        for cell in 0..<pageCells { page.advanced(by: cell).initialize(to: Atomic(0)) }
        return UInt(bitPattern: page)
    }

    /// Takes cells that stand side by side: the index of the first, or nil when there are no more.
    /// [under the registry's lock]
    func take(_ count: Int) -> Int? {
        precondition(count <= Self.pageCells)
        var first = used
        if first % Self.pageCells + count > Self.pageCells {
            first += Self.pageCells - first % Self.pageCells
        }
        guard first + count <= Self.pageCells * Self.pagesMax else { return nil }
        used = first + count
        while pageCount * Self.pageCells < used {
            for share in 0..<shareCount {
                pages(share)?[pageCount].store(Self.makePage(), ordering: .releasing)
            }
            pageCount += 1
        }
        return first
    }

    @inline(__always)
    private func pages(_ share: Int) -> UnsafeMutablePointer<Atomic<UInt>>? {
        UnsafeMutablePointer(bitPattern: shares[share].load(ordering: .acquiring))
    }

    /// A cell of a share; nil when there is no such share.
    @inline(__always)
    func cell(_ index: Int, share: Int) -> Cell? {
        guard let pages = pages(share),
            let page = Cell(
                bitPattern: pages[index / Self.pageCells].load(ordering: .acquiring)
            )
        else { return nil }
        return page + index % Self.pageCells
    }

    /// The shares' words of one cell.
    func words(_ index: Int) -> [UInt64] {
        (0...WorkerPort.workersMax).prefix { pages($0) != nil }.compactMap {
            cell(index, share: $0)?.pointee.load(ordering: .relaxed)
        }
    }

    // MARK: Changes, from one worker

    /// The pages of a worker's share, which must have been made (`grow`).
    func pages(ofWorker worker: Int) -> Pages {
        guard let pages = pages(worker + 1) else {
            preconditionFailure("worker \(worker) has no share of the metrics")
        }
        return Pages(table: pages)
    }

    /// What a worker needs to count in a cell that it knows, without a look at anything else.
    struct Pages {
        fileprivate let table: UnsafeMutablePointer<Atomic<UInt>>

        /// Adds 1 to a cell that was taken. [the worker]
        @inline(__always)
        func increment(_ index: Int) {
            let address = table[index / MetricCells.pageCells].load(ordering: .acquiring)
            // Safe: whoever took the cell has made its page in all shares.
            let cell = Cell(bitPattern: address).unsafelyUnwrapped + index % MetricCells.pageCells
            let word = cell.pointee.load(ordering: .relaxed)
            cell.pointee.store(word &+ 1, ordering: .relaxed)
        }
    }

    // MARK: Changes, from any thread

    /// Changes a cell of this thread's share.
    ///
    /// - Parameter change: the new word of an old one; called again when another thread was faster.
    @inline(__always)
    func update(_ index: Int, _ change: (UInt64) -> UInt64) {
        let worker = ThreadRole.workerIndex
        if worker >= 0, worker < WorkerPort.workersMax, let cell = cell(index, share: worker + 1) {
            let word = cell.pointee.load(ordering: .relaxed)
            cell.pointee.store(change(word), ordering: .relaxed)
            return
        }
        updateCommon(index, change)
    }

    /// Changes a cell of the share that threads have in common.
    func updateCommon(_ index: Int, _ change: (UInt64) -> UInt64) {
        guard let cell = cell(index, share: Self.commonShare) else { return }
        var word = cell.pointee.load(ordering: .relaxed)
        while true {
            let (exchanged, original) = cell.pointee.weakCompareExchange(
                expected: word,
                desired: change(word),
                ordering: .relaxed
            )
            if exchanged { return }
            word = original
        }
    }
}
