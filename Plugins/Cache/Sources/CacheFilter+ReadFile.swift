import CSluice
import CacheDisk
import CachePolicy
import SluiceSDK
import TinyUFO

// Bodies that lie in files, on their way out: by the file where the host can send one, and by bytes
// where it can't. A worker takes only what the kernel has in memory; for anything else a task reads
// first.

extension CacheFilter {
    /// Has a reader read the file of an object.
    func readFile(_ reader: Reader.Pointer, _ held: borrowing Held) {
        held.withEntry { entry in
            reader.pointee.file = entry.descriptor
            reader.pointee.fileOffset = entry.bodyOffset
            reader.pointee.fileCount = entry.bodyCount
        }
        metrics.disk.hits.add()
    }

    /// Has a reader read the file that a fetch is written to; false as long as there is none.
    func readFile(_ reader: Reader.Pointer, _ diskFill: DiskFill.Pointer) -> Bool {
        guard diskFill.pointee.phase != .waiting, diskFill.pointee.descriptor >= 0 else {
            return false
        }
        reader.pointee.file = diskFill.pointee.descriptor
        reader.pointee.fileOffset = diskFill.pointee.bodyOffset
        return true
    }

    /// Finds the bytes at the chunk's offset.
    func stepInFile(
        _ reader: Reader.Pointer,
        _ chunk: borrowing CacheChunk,
        _ worker: UnsafeMutablePointer<Worker>
    ) -> CacheProgress {
        var available = reader.pointee.fileCount
        if let fill = reader.pointee.fill, let diskFill = fill.pointee.disk {
            // In this order: what is seen first is older than what is seen after it.
            let end = fill.pointee.end
            available = diskFill.pointee.writtenBytes
            if chunk.offset >= available {
                switch end {
                case .running: return .again
                case .broken: return .broken
                case .complete: return .end
                }
            }
        }
        guard chunk.offset < available else { return .end }
        let count = Int(clamping: min(available - chunk.offset, chunk.length))
        let place = reader.pointee.fileOffset + chunk.offset
        if let load = reader.pointee.load {
            switch load.pointee.state {
            case .running, .abandoned, .failed: return .broken
            case .done where load.pointee.place == place:
                load.rest()
                return give(load, min(count, load.pointee.count), place, reader, chunk)
            case .done, .idle: load.rest()
            }
        }
        if !chunk.wantsBytes, isCached(reader.pointee.file, place, count) {
            chunk.give(file: reader.pointee.file, offset: place, length: UInt64(count))
            return .file
        }
        guard let load = takeLoad(reader, worker) else { return .broken }
        let most = min(count, Load.bufferBytes)
        if chunk.wantsBytes {
            let room = UnsafeMutableRawBufferPointer(start: load.buffer, count: most)
            let got = DiskFile.readCached(reader.pointee.file, into: room, at: place)
            if got > 0 { return give(load, got, place, reader, chunk) }
        }
        return fetch(load, place, most, reader, chunk)
    }

    /// Gives what was read.
    private func give(
        _ load: Load.Pointer,
        _ count: Int,
        _ place: UInt64,
        _ reader: Reader.Pointer,
        _ chunk: borrowing CacheChunk
    ) -> CacheProgress {
        guard chunk.wantsBytes else {
            chunk.give(file: reader.pointee.file, offset: place, length: UInt64(count))
            return .file
        }
        // Safe: as many bytes were read, and stay until the next read.
        let bytes = UnsafePointer(load.buffer.assumingMemoryBound(to: UInt8.self))
        chunk.give(Bytes(bytes, count: count))
        return .bytes
    }

    /// Has a task read.
    private func fetch(
        _ load: Load.Pointer,
        _ place: UInt64,
        _ count: Int,
        _ reader: Reader.Pointer,
        _ chunk: borrowing CacheChunk
    ) -> CacheProgress {
        guard let tier = store.pointee.disk, let token = try? chunk.suspend(nanoseconds: 0) else {
            return .broken
        }
        load.begin(reader.pointee.file, at: place, count: count, token)
        tier.pointee.push(load.task)
        startTasks()
        return .again
    }

    private func takeLoad(
        _ reader: Reader.Pointer,
        _ worker: UnsafeMutablePointer<Worker>
    ) -> Load.Pointer? {
        if let load = reader.pointee.load { return load }
        guard let load = worker.pointee.loads.pointee.take() else { return nil }
        var entry: UnsafeMutableRawPointer?
        if let opaque = reader.pointee.held {
            let held = Held(opaque: opaque)
            entry = held.withEntry { $0.copy().toOpaque() }
            _ = held.toOpaque()
        }
        reader.pointee.fill?.pointee.retain()
        load.hold(entry: entry, fill: reader.pointee.fill)
        reader.pointee.load = load
        return load
    }

    /// Whether the first and the last of the bytes are in memory, and so most likely all.
    private func isCached(_ file: Int32, _ place: UInt64, _ count: Int) -> Bool {
        var byte: UInt8 = 0
        return withUnsafeMutableBytes(of: &byte) { room in
            DiskFile.readCached(file, into: room, at: place) == 1
                && DiskFile.readCached(file, into: room, at: place + UInt64(count) - 1) == 1
        }
    }
}

extension UnsafeMutablePointer where Pointee == Reader {
    /// Whether a task reads for it, which wakes it.
    var waitsForDisk: Bool { pointee.load?.pointee.state == .running }
}
