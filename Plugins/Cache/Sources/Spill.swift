import CCache
import SluiceSDK
import Synchronization
import TinyUFO

/// What arrives of a body behind the point where it turned out that it can't be stored, for those
/// who read along by then.
///
/// The fill's chain stays as it is, and what follows goes into a chain of its own, in which each
/// reader holds the block that it reads. A block holds the one behind it, so what all have read is
/// gone, and nothing else is counted. When the slowest one is far behind, the origin waits.
struct Spill: BitwiseCopyable {
    /// Bytes of a block.
    static let blockBytes = 65_536
    /// Bytes that are kept before the origin waits for the slowest reader.
    static let windowBytes: UInt64 = 262_144
    /// Bytes that are kept at most: a wait has its end, and lets some more come.
    static let bytesMax: UInt64 = 4_194_304

    /// The one who fetches.
    var request: CacheRequest?
    /// `ByteBlock.toOpaque`, with a reference: what is being written.
    var tail: UnsafeMutableRawPointer?
    /// Where it begins in the body.
    var tailStart: UInt64 = 0
    /// The wait of the one who fetches; guarded by the fill's lock.
    var pause = Token.none
    /// When the origin began to wait; 0: it does not.
    var pausedAt: UInt64 = 0
    /// Bytes that are counted in the store's fills.
    var countedBytes = 0
}

// MARK: The one who writes

extension CacheFilter {
    /// Lets a body go on that can't be stored.
    ///
    /// - Returns: false when nobody reads along.
    func beginSpill(_ fill: Fill.Pointer) -> Bool {
        store.pointee.fills.remove(fill)
        let start = fill.pointee.writtenBytes
        let lock = fill.pointee.lock
        lock.lock()
        defer {
            // From here on nobody joins.
            fill.pointee.isSpilled.store(true, ordering: .releasing)
            lock.unlock()
        }
        guard fill.pointee.firstReader != nil,
            let block = ByteBlock(capacity: Spill.blockBytes)
        else { return false }
        var place = fill.pointee.firstReader
        while let reader = place {
            reader.along.pointee.block = block.copy().toOpaque()
            reader.along.pointee.start = start
            place = reader.along.pointee.next
        }
        fill.pointee.spill.tail = block.toOpaque()
        fill.pointee.spill.tailStart = start
        // Who waits for all of it goes by itself.
        fill.pointee.set(Fill.State.released)
        fill.pointee.wakeAll()
        return true
    }

    /// Takes bytes behind the chain.
    ///
    /// - Returns: false when nobody reads along any more.
    func writeSpilled(_ fill: Fill.Pointer, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while let tail = fill.pointee.spill.tail {
            let taken = BlockChain.append(rest, to: tail)
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
            if rest.isEmpty { break }
            guard let block = ByteBlock(capacity: Spill.blockBytes) else { return false }
            fill.pointee.spill.tail = BlockChain.attach(block.copy(), to: tail)
            fill.pointee.spill.tailStart += UInt64(Spill.blockBytes)
            _ = block.toOpaque()
            _ = ByteBlock(opaque: tail)
        }
        // Behind what was written: see `read`.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let now = host.nowNanoseconds
        return fill.locked {
            if fill.pointee.waiterCount.load(ordering: .relaxed) > 0 { fill.pointee.wakeAll() }
            return pace(fill, now)
        }
    }

    /// Lets the origin wait when the slowest reader is far behind; with the lock.
    ///
    /// - Returns: false when nobody reads along any more.
    private func pace(_ fill: Fill.Pointer, _ now: UInt64) -> Bool {
        fill.pointee.spill.pause = .none
        defer { countKept(fill) }
        while fill.pointee.firstReader != nil {
            guard fill.pointee.keptBytes > Spill.windowBytes else {
                fill.pointee.spill.pausedAt = 0
                return true
            }
            if fill.pointee.spill.pausedAt == 0 || fill.pointee.hasSlowestMoved {
                fill.pointee.spill.pausedAt = max(now, 1)
                fill.pointee.markPlaces()
            }
            let waited = now &- min(now, fill.pointee.spill.pausedAt)
            if fill.pointee.keptBytes <= Spill.bytesMax, waited < configuration.lockAge,
                let token = try? fill.pointee.spill.request?.suspend(
                    nanoseconds: configuration.lockAge - waited
                )
            {
                fill.pointee.spill.pause = token
                return true
            }
            fill.pointee.cutSlowest()
            fill.pointee.spill.pausedAt = 0
        }
        return false
    }

    /// Counts what is kept; with the lock.
    private func countKept(_ fill: Fill.Pointer) {
        let bytes = Int(fill.pointee.keptBytes) + Spill.blockBytes
        store.pointee.count(bytes - fill.pointee.spill.countedBytes, of: fill)
        fill.pointee.spill.countedBytes = bytes
    }

    // MARK: Those who read

    /// Takes note of where one reads while the origin may wait for it.
    ///
    /// - Parameter count: bytes that could be given.
    /// - Returns: bytes that are, so that the next call comes soon.
    static func note(_ reader: Reader.Pointer, _ offset: UInt64, _ count: Int) -> Int {
        guard let fill = reader.pointee.fill else { return count }
        fill.locked { reader.along.pointee.place = offset }
        return min(count, Spill.blockBytes)
    }

    /// Finds the bytes at the chunk's offset, behind the fill's chain.
    static func stepSpilled(
        _ reader: Reader.Pointer,
        _ chunk: borrowing CacheChunk
    ) -> CacheProgress {
        guard let fill = reader.pointee.fill, chunk.offset >= reader.along.pointee.start else {
            return .broken
        }
        while let block = reader.along.pointee.block {
            // In this order: what is seen first is older than what is seen after it.
            let end = fill.pointee.end
            let isLast = BlockChain.next(block) == nil
            let bytes = BlockChain.bytes(block)
            let place = chunk.offset - reader.along.pointee.start
            if place < UInt64(bytes.count), let start = bytes.baseAddress {
                let bytesLeft = min(bytes.count - Int(place), Int(clamping: chunk.length))
                let count = note(reader, chunk.offset, bytesLeft)
                chunk.give(
                    Bytes((start + Int(place)).assumingMemoryBound(to: UInt8.self), count: count)
                )
                return .bytes
            }
            // Who was cut has no block behind his own.
            let isCut = fill.locked {
                guard reader.along.pointee.isLinked else { return true }
                if !isLast { fill.pointee.advance(reader) }
                return false
            }
            if isCut { return .broken }
            guard isLast else { continue }
            switch end {
            case .running: return .again
            case .broken: return .broken
            case .complete: return .end
            }
        }
        return .broken
    }

    /// One who read along is done.
    func leave(_ fill: Fill.Pointer, _ reader: Reader.Pointer) {
        fill.locked {
            fill.pointee.unlink(reader: reader)
            if let block = reader.along.pointee.block { _ = ByteBlock(opaque: block) }
            reader.along.pointee.block = nil
            fill.pointee.goOn()
        }
    }
}

// MARK: With the lock

extension Fill {
    /// Where the slowest reader's block begins; that of the tail without readers.
    private var slowestStart: UInt64 {
        var start = spill.tailStart
        var place = firstReader
        while let reader = place {
            start = min(start, reader.along.pointee.start)
            place = reader.along.pointee.next
        }
        return start
    }

    /// Bytes before the tail that are kept for somebody.
    var keptBytes: UInt64 { spill.tailStart - slowestStart }

    private func forEachSlowest(_ body: (Reader.Pointer) -> Void) {
        let start = slowestStart
        var place = firstReader
        while let reader = place {
            place = reader.along.pointee.next
            if reader.along.pointee.start == start { body(reader) }
        }
    }

    /// Whether one of the slowest has read on since the places were marked.
    var hasSlowestMoved: Bool {
        var hasMoved = false
        forEachSlowest {
            if $0.along.pointee.place != $0.along.pointee.placeBefore { hasMoved = true }
        }
        return hasMoved
    }

    func markPlaces() {
        var place = firstReader
        while let reader = place {
            reader.along.pointee.placeBefore = reader.along.pointee.place
            place = reader.along.pointee.next
        }
    }

    /// Cuts those who hold the oldest block, which then holds no other.
    mutating func cutSlowest() {
        var block: UnsafeMutableRawPointer?
        var slowest = firstReader
        let start = slowestStart
        while let reader = slowest {
            slowest = reader.along.pointee.next
            guard reader.along.pointee.start == start else { continue }
            block = reader.along.pointee.block
            unlink(reader: reader)
        }
        // They have a reference to it until they are closed, and may still send of it.
        guard let block else { return }
        BlockChain.detach(block)
    }

    /// Takes a reader on to the next block.
    mutating func advance(_ reader: Reader.Pointer) {
        guard let block = reader.along.pointee.block else { return }
        let own = ByteBlock(opaque: block)
        guard let next = own.next else {
            _ = own.toOpaque()
            return
        }
        reader.along.pointee.start += UInt64(own.count)
        reader.along.pointee.block = next.toOpaque()
        goOn()
    }

    /// Lets the origin go on when there is room again, or nobody to wait for.
    mutating func goOn() {
        guard !spill.pause.isNone, firstReader == nil || keptBytes <= Spill.windowBytes else {
            return
        }
        spill.pause.resume()
        spill.pause = .none
    }
}
