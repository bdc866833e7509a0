internal import CCacheDisk
internal import TinyUFO

/// An object that is being written: nobody finds it before it is committed.
///
/// One thread at a time. What is neither committed nor aborted is aborted when it goes out of
/// scope, which waits for the disk.
@frozen
public struct DiskWriter: ~Copyable, @unchecked Sendable {
    // Safe: the memory belongs to one writer, which one thread has.
    private let address: UnsafeMutableRawPointer

    /// What is known of an object that is being written.
    struct Draft: BitwiseCopyable {
        typealias Pointer = UnsafeMutablePointer<Draft>

        let store: Store.Pointer
        let descriptor: Int32
        let hash: UInt64
        var header: FileHeader
        /// Room for the header, with the key and the metadata behind it, up to the body.
        let head: UnsafeMutableRawPointer
        /// Blocks that are counted for it.
        var blocks: UInt64
        var failure: WriteError?
    }

    init(_ draft: Draft.Pointer) { address = UnsafeMutableRawPointer(draft) }

    var draft: Draft.Pointer {
        // Safe: only addresses of drafts get there.
        address.assumingMemoryBound(to: Draft.self)
    }

    deinit { draft.endBlocking(isPublished: false) }

    /// Why an object can't be stored.
    public enum WriteError: Error, Equatable, Sendable, BitwiseCopyable {
        /// Its body is longer than it may be.
        case tooLarge
        /// There is no room, as all that is there is being read or written.
        case crowded
        /// The disk failed; nothing is stored for a while.
        case failed(DiskError)
    }

    /// Bytes of the body so far.
    public var bodyCount: UInt64 { draft.pointee.header.bodyCount }

    /// Where in the file the body begins.
    public var bodyOffset: UInt64 { draft.pointee.header.bodyOffset }

    /// Another descriptor of the file, to read what was written so far: it outlives the writer.
    ///
    /// - Returns: a descriptor that is the caller's, or below 0 when there are too many.
    public func duplicate() -> Int32 { cachedisk_duplicate(draft.pointee.descriptor) }

    /// Appends to the body.
    ///
    /// After an error the writer can only be aborted.
    public func writeBlocking(_ bytes: UnsafeRawBufferPointer) throws(WriteError) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        try draft.reserveBlocking(UInt64(bytes.count))
        let header = draft.pointee.header
        let result = cachedisk_write(
            draft.pointee.descriptor,
            start,
            bytes.count,
            header.bodyOffset + header.bodyCount
        )
        guard result == 0 else { throw draft.fail(DiskError(.write, result)) }
        let checksum = cachedisk_crc(header.bodyChecksum, start, bytes.count)
        draft.pointee.header.bodyChecksum = checksum
        draft.pointee.header.bodyCount += UInt64(bytes.count)
    }

    /// Appends all of another object's body, of which the writer has nothing yet.
    ///
    /// Within the kernel; where the file system can, both have the same blocks.
    public func copyBodyBlocking(of entry: borrowing Entry) throws(WriteError) {
        precondition(bodyCount == 0, "a body that has bytes already")
        let header = entry.header
        try draft.reserveBlocking(header.bodyCount)
        let result = cachedisk_copy(
            entry.descriptor,
            header.bodyOffset,
            draft.pointee.descriptor,
            draft.pointee.header.bodyOffset,
            header.bodyCount
        )
        guard result == 0 else { throw draft.fail(DiskError(.write, result)) }
        draft.pointee.header.bodyChecksum = header.bodyChecksum
        draft.pointee.header.bodyCount = header.bodyCount
    }

    /// What became of an object.
    public enum Outcome: Equatable, Sendable {
        /// It can be found.
        case stored
        /// One that was begun later is there, all were removed, or the folder is another one.
        case superseded
        /// The disk failed, now or before.
        case failed(WriteError)
    }

    /// Lets the object be found, in the place of another one of its hash.
    public consuming func commitBlocking() -> Outcome {
        let outcome = draft.commitBlocking()
        draft.endBlocking(isPublished: outcome == .stored)
        discard self
        return outcome
    }

    /// Forgets it.
    public consuming func abortBlocking() {
        draft.endBlocking(isPublished: false)
        discard self
    }

    /// The writer as an address, for C; `init(opaque:)` takes it back.
    public consuming func toOpaque() -> UnsafeMutableRawPointer {
        let address = address
        discard self
        return address
    }

    /// Takes over the writer that `toOpaque` gave.
    public init(opaque: UnsafeMutableRawPointer) {
        address = opaque
    }
}

extension UnsafeMutablePointer where Pointee == DiskWriter.Draft {
    fileprivate func fail(_ error: DiskError) -> DiskWriter.WriteError {
        pointee.store.note(error)
        return fail(.failed(error))
    }

    private func fail(_ error: DiskWriter.WriteError) -> DiskWriter.WriteError {
        pointee.failure = error
        return error
    }

    /// Blocks for so many more bytes of the body.
    fileprivate func reserveBlocking(_ count: UInt64) throws(DiskWriter.WriteError) {
        if let failure = pointee.failure { throw failure }
        let (bodyCount, isOver) = pointee.header.bodyCount.addingReportingOverflow(count)
        guard !isOver, bodyCount <= pointee.store.configuration.bodyBytesMax,
            bodyCount <= pointee.store.configuration.size
        else { throw fail(.tooLarge) }
        let needed = Blocks.count(bytes: pointee.header.bodyOffset + bodyCount)
        guard needed > pointee.blocks else { return }
        // Where the length isn't known: not for each piece again.
        let step = min(needed - pointee.blocks + DiskStore.blocksAhead, pointee.store.blocksMax / 8)
        let more = max(step, needed - pointee.blocks)
        guard pointee.store.reserveBlocking(blocks: more, record: false) else {
            throw fail(.crowded)
        }
        pointee.blocks += more
    }

    fileprivate func commitBlocking() -> DiskWriter.Outcome {
        if let failure = pointee.failure { return .failed(failure) }
        pointee.header.storedAt = cachedisk_wall()
        let count = Int(pointee.header.bodyOffset)
        pointee.header.write(to: UnsafeMutableRawBufferPointer(start: pointee.head, count: count))
        let written = cachedisk_write(pointee.descriptor, pointee.head, count, 0)
        guard written == 0 else { return .failed(fail(DiskError(.write, written))) }
        if pointee.store.configuration.sync == .data {
            let synced = cachedisk_sync(pointee.descriptor)
            guard synced == 0 else { return .failed(fail(DiskError(.sync, synced))) }
        }
        pointee.store.pointee.changes.lock()
        let outcome = publishBlocking()
        pointee.store.pointee.changes.unlock()
        pointee.store.drainBlocking()
        return outcome
    }

    /// Gives the file its name, and has it found; the caller has `changes`.
    private func publishBlocking() -> DiskWriter.Outcome {
        let store = pointee.store
        let id = pointee.header.id
        guard !isSuperseded() else { return .superseded }
        let entered = cachedisk_enter(store.pointee.lockFile, store.owner.pointee)
        guard entered == 0 else { return .failed(fail(DiskError(.ownership, entered))) }
        let result = cachedisk_publish(store.pointee.folder, id)
        cachedisk_leave(store.pointee.lockFile)
        guard result == 0 else { return .failed(fail(DiskError(.publish, result))) }
        let blocks = Blocks.count(bytes: pointee.header.fileCount)
        store.locked { guarded in
            if let old = guarded.table.find(pointee.hash) {
                store.kill(old, &guarded)
                guarded.counts.replaced += 1
            }
            let index = guarded.table.insert(
                hash: pointee.hash,
                id: id,
                blocks: UInt32(blocks),
                flags: ObjectTable.isVerified
            )
            // All were removed while it got its name.
            if id < guarded.floorId { store.kill(index, &guarded) }
            guarded.counts.stored += 1
            store.unreserve(blocks: pointee.blocks - blocks, record: true, &guarded)
        }
        return .stored
    }

    /// Whether the object may not be found any more; the caller has `changes`.
    private func isSuperseded() -> Bool {
        let store = pointee.store
        let id = pointee.header.id
        guard Store.owner(of: id) == store.owner.pointee else { return true }
        return store.locked { guarded in
            guard id >= guarded.floorId, guarded.isRebuilt else { return true }
            guard let index = guarded.table.find(pointee.hash) else { return false }
            return guarded.table[index].id > id
        }
    }

    /// Ends the writer.
    fileprivate func endBlocking(isPublished: Bool) {
        let store = pointee.store
        let draft = pointee
        cachedisk_close(draft.descriptor)
        if !isPublished { _ = cachedisk_remove_new(store.pointee.folder, draft.header.id) }
        cachedisk_free(draft.head)
        deallocate()
        store.locked { guarded in
            guarded.writers -= 1
            if !isPublished { store.unreserve(blocks: draft.blocks, record: true, &guarded) }
        }
        store.leave()
    }
}
