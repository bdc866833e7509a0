import CCache
import CSluice
import CachePolicy
package import SluiceSDK
import Synchronization
import TinyUFO

// Bytes of answers on their way out.

extension CacheFilter {
    package func read(
        _ reader: UnsafeMutableRawPointer,
        _ chunk: borrowing CacheChunk,
        on worker: UnsafeMutablePointer<Worker>
    ) -> CacheProgress {
        let reader = reader.assumingMemoryBound(to: Reader.self)
        if reader.pointee.waiter.fill != nil { Self.endWait(reader) }
        let progress = Self.step(reader, chunk)
        guard progress == .again, let fill = reader.pointee.fill else { return progress }
        let waiter = reader.waiterPointer
        let isWaiting = fill.locked {
            guard let token = try? chunk.suspend(nanoseconds: 0) else { return false }
            waiter.pointee.token = token
            waiter.pointee.fill = fill
            fill.pointee.link(waiter)
            return true
        }
        guard isWaiting else { return .broken }
        // The writer looks for those who wait after it has written, so one of both sees the other.
        let again = Self.step(reader, chunk)
        if again != .again { Self.endWait(reader) }
        return again
    }

    /// A reader that waits has no reference beside its own.
    private static func endWait(_ reader: Reader.Pointer) {
        guard let fill = reader.pointee.waiter.fill else { return }
        let waiter = reader.waiterPointer
        fill.locked { fill.pointee.unlink(waiter) }
        waiter.pointee.fill = nil
    }

    /// Finds the bytes at the chunk's offset.
    private static func step(
        _ reader: Reader.Pointer,
        _ chunk: borrowing CacheChunk
    ) -> CacheProgress {
        let offset = chunk.offset
        if offset < reader.pointee.currentStart {
            reader.pointee.current = nil
            reader.pointee.currentStart = 0
        }
        let chain = reader.pointee.block ?? reader.pointee.fill.flatMap { $0.pointee.head }
        var end: Fill.End?
        var isSpilled = false
        while true {
            // In this order: what is seen first is older than what is seen after it.
            if let fill = reader.pointee.fill {
                end = fill.pointee.end
                isSpilled = fill.pointee.isSpilled.load(ordering: .acquiring)
            }
            let current = reader.pointee.current ?? chain
            let next = current.flatMap { BlockChain.next($0) }
            let isFirst = reader.pointee.current == nil
            var bytes: UnsafeRawBufferPointer
            if let current {
                bytes = BlockChain.bytes(current)
            } else {
                bytes = UnsafeRawBufferPointer(
                    start: reader.pointee.first,
                    count: reader.pointee.firstCount
                )
            }
            if isFirst {
                bytes = UnsafeRawBufferPointer(rebasing: bytes[reader.pointee.bodyOffset...])
            }
            let place = offset - reader.pointee.currentStart
            if place < UInt64(bytes.count), let start = bytes.baseAddress {
                let rest = bytes.count - Int(place)
                let bytes = (start + Int(place)).assumingMemoryBound(to: UInt8.self)
                var most = min(rest, Int(clamping: chunk.length))
                if isSpilled { most = Self.note(reader, offset, most) }
                chunk.give(Bytes(bytes, count: most))
                return .bytes
            }
            if let next {
                reader.pointee.currentStart += UInt64(bytes.count)
                reader.pointee.current = next
                continue
            }
            if isSpilled { return stepSpilled(reader, chunk) }
            switch end {
            case .running: return .again
            case .broken: return .broken
            case .complete, nil: return .end
            }
        }
    }

    package func close(
        _ reader: UnsafeMutableRawPointer,
        on worker: UnsafeMutablePointer<Worker>
    ) {
        let reader = reader.assumingMemoryBound(to: Reader.self)
        if reader.pointee.waiter.fill != nil { Self.endWait(reader) }
        if let pin = reader.pointee.pin { _ = Pin(opaque: pin) }
        if let block = reader.pointee.block { _ = ByteBlock(opaque: block) }
        if let fill = reader.pointee.fill {
            leave(fill, reader)
            fill.release()
        }
        if let ranges = reader.pointee.ranges { cache_free(ranges) }
        worker.pointee.readers.pointee.give(reader)
    }

    // MARK: Bytes on their way in

    /// Bytes of the first block's room for a body whose length is not known.
    static let unknownRoom = 4_096
    /// Bytes of a body that lies beside its head at most.
    static let inlineMax = 65_536
    private static let blockBytesLeast = 16_384
    private static let blockBytesMost = 1_048_576

    package func write(
        _ writer: UnsafeMutableRawPointer,
        _ bytes: Bytes,
        on worker: UnsafeMutablePointer<Worker>
    ) -> Bool {
        let fill = writer.assumingMemoryBound(to: Fill.self)
        var rest = Text(bytes).raw
        if fill.pointee.isSpilled.load(ordering: .relaxed) { return writeSpilled(fill, rest) }
        guard fill.pointee.writtenBytes + UInt64(rest.count) <= UInt64(configuration.objectBytesMax)
        else {
            refuse(fill, .tooLarge)
            return beginSpill(fill) && writeSpilled(fill, rest)
        }
        while !rest.isEmpty {
            guard let tail = fill.pointee.tail else { return false }
            let taken = BlockChain.append(rest, to: tail)
            fill.pointee.writtenBytes += UInt64(taken)
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
            if rest.isEmpty { break }
            guard let block = nextBlock(fill, rest.count) else {
                refuse(fill, .noMemory)
                return beginSpill(fill) && writeSpilled(fill, rest)
            }
            fill.pointee.tail = BlockChain.attach(block, to: tail)
        }
        // Behind what was written: see `read`.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if fill.pointee.waiterCount.load(ordering: .relaxed) > 0 {
            fill.locked { fill.pointee.wakeAll() }
        }
        return true
    }

    /// The rest at once when its length is known; otherwise a part of what is there already.
    private func nextBlock(_ fill: Fill.Pointer, _ least: Int) -> ByteBlock? {
        let declared = fill.pointee.declaredBytes
        let written = fill.pointee.writtenBytes
        var bytes = min(max(Int(written) / 2, Self.blockBytesLeast), Self.blockBytesMost)
        if declared != .max {
            bytes = min(Int(declared - min(written, declared)), Self.blockBytesMost)
        }
        bytes = max(bytes, least)
        guard store.pointee.reserve(bytes, for: fill) else { return nil }
        return ByteBlock(capacity: bytes)
    }

    /// Takes note that what has begun to be stored can't be.
    private func refuse(_ fill: Fill.Pointer, _ reason: Refusal) {
        metrics.refused[Int(reason.rawValue) - 1].add()
        if reason.isLasting { store.pointee.predictor.insert(fill.pointee.hash) }
        log(reason, fill.pointee.name)
    }

    package func commit(
        _ writer: UnsafeMutableRawPointer,
        on worker: UnsafeMutablePointer<Worker>
    ) {
        let fill = writer.assumingMemoryBound(to: Fill.self)
        if fill.pointee.isSpilled.load(ordering: .relaxed) {
            fill.pointee.set(Fill.End.complete)
            return endWriting(fill)
        }
        guard let head = fill.pointee.head else { return abort(writer, on: worker) }
        ObjectRef(BlockChain.bytes(head)).setBodyLength(fill.pointee.writtenBytes)
        fill.pointee.set(Fill.End.complete)
        let name = fill.pointee.name
        if fill.pointee.isDoomed.load(ordering: .acquiring) {
            metrics.refused[Int(Refusal.purged.rawValue) - 1].add()
        } else {
            let outcome = store.pointee.objects.put(
                BlockChain.copy(head),
                key: name.bytes,
                hash: name.hash
            )
            if outcome.isTaken { metrics.fills.add() } else { log(.noMemory, name) }
            // One that came while it was put: it looked for what was not there yet.
            if fill.pointee.isDoomed.load(ordering: .acquiring) {
                store.pointee.objects.remove(name.bytes, hash: name.hash)
            }
        }
        endWriting(fill)
    }

    package func abort(
        _ writer: UnsafeMutableRawPointer,
        on worker: UnsafeMutablePointer<Worker>
    ) {
        let fill = writer.assumingMemoryBound(to: Fill.self)
        fill.pointee.set(Fill.End.broken)
        metrics.fillsAborted.add()
        endWriting(fill)
    }

    private func endWriting(_ fill: Fill.Pointer) {
        store.pointee.fills.remove(fill)
        fill.locked {
            fill.pointee.set(Fill.State.over)
            fill.pointee.wakeAll()
        }
        store.pointee.unreserve(fill)
        fill.release()
    }

    /// Says why something is not stored; without what follows "?", which may be a secret.
    func log(_ reason: Refusal, _ name: KeyName) {
        guard host.logs(.debug) else { return }
        let key = Text(name.primary)
        host.log(.debug, "not stored") { pairs in
            pairs.add("reason", reason.name.bytes)
            pairs.add("url", key[0..<(key.firstIndex(of: 0x3F) ?? key.count)].bytes)
        }
    }
}
