internal import CCacheDisk

extension DiskStore {
    /// Blocks that a writer takes at once if it doesn't know how many it needs: 1 MiB.
    static let blocksAhead: UInt64 = 256

    /// What came of beginning an object.
    public enum Beginning: ~Copyable {
        /// It can be written.
        case writer(DiskWriter)
        /// What was there before is still being found.
        case rebuilding
        /// The key, the metadata or the body is longer than it may be.
        case tooLarge
        /// As many are written as there may be, or what is there is all being read or written.
        case crowded
        /// The disk has failed, and it is not time to try again.
        case failed(DiskError)
    }

    /// Begins to store an object.
    ///
    /// - Parameters:
    ///   - key: up to `keyBytesMax`.
    ///   - hash: of the key, by `Configuration.keyHash`.
    ///   - meta: what the caller wants to find with it, up to `metaBytesMax`.
    ///   - bodyCount: bytes of the body if they are known: room is made for all of them now.
    ///   - keepUntil: until when it is of use, in seconds since 1970; 0: always. When the folder is
    ///     opened, objects of no use are removed.
    public func beginBlocking(
        _ key: UnsafeRawBufferPointer,
        hash: UInt64,
        meta: UnsafeRawBufferPointer,
        bodyCount: UInt64? = nil,
        keepUntil: UInt64 = 0
    ) -> Beginning {
        guard key.count <= Self.keyBytesMax, meta.count <= Self.metaBytesMax,
            bodyCount ?? 0 <= store.configuration.bodyBytesMax
        else { return .tooLarge }
        store.recoverIfDueBlocking()
        switch state {
        case .storing: break
        case .rebuilding: return .rebuilding
        case .failed(let error): return .failed(error)
        }
        guard let id = store.takeWriter() else { return .crowded }
        var header = FileHeader(id: id, keyCount: key.count, metaCount: meta.count)
        header.keepUntil = keepUntil
        return store.beginBlocking(header, key, hash, meta, bodyCount)
    }

    /// Stores an object again with other metadata: its body is copied.
    ///
    /// - Parameters:
    ///   - entry: the object as it is.
    ///   - hash: of its key, by `Configuration.keyHash`.
    ///   - meta: what takes the place of its metadata.
    ///   - keepUntil: as at `beginBlocking`.
    /// - Returns: nil if it could not be begun.
    public func renewBlocking(
        _ entry: borrowing Entry,
        hash: UInt64,
        meta: UnsafeRawBufferPointer,
        keepUntil: UInt64 = 0
    ) -> DiskWriter.Outcome? {
        let count = entry.bodyCount
        let beginning = beginBlocking(
            entry.key,
            hash: hash,
            meta: meta,
            bodyCount: count,
            keepUntil: keepUntil
        )
        guard case .writer(let writer) = consume beginning else { return nil }
        do throws(DiskWriter.WriteError) {
            try writer.copyBodyBlocking(of: entry)
        } catch {
            writer.abortBlocking()
            return .failed(error)
        }
        return writer.commitBlocking()
    }
}

extension UnsafeMutablePointer where Pointee == Store {
    /// The id of a new object; nil if as many are written as there may be.
    fileprivate func takeWriter() -> UInt64? {
        locked { guarded in
            guard guarded.writers < configuration.writersMax else { return nil }
            guarded.writers += 1
            guarded.users += 1
            guarded.nextId += 1
            return guarded.nextId - 1
        }
    }

    private func giveWriter() {
        locked { $0.writers -= 1 }
        leave()
    }

    fileprivate func beginBlocking(
        _ header: FileHeader,
        _ key: UnsafeRawBufferPointer,
        _ hash: UInt64,
        _ meta: UnsafeRawBufferPointer,
        _ bodyCount: UInt64?
    ) -> DiskStore.Beginning {
        let bytes = header.bodyOffset + (bodyCount ?? 0)
        guard bytes <= configuration.size else {
            giveWriter()
            return .tooLarge
        }
        let blocks = Blocks.count(bytes: bytes)
        guard reserveBlocking(blocks: blocks, record: true) else {
            giveWriter()
            return .crowded
        }
        guard let head = cachedisk_zeroed(Int(header.bodyOffset), 1) else {
            locked { unreserve(blocks: blocks, record: true, &$0) }
            giveWriter()
            return .crowded
        }
        let descriptor = cachedisk_create(pointee.folder, header.id)
        guard descriptor >= 0 else {
            let error = DiskError(.create, descriptor)
            note(error)
            cachedisk_free(head)
            locked { unreserve(blocks: blocks, record: true, &$0) }
            giveWriter()
            return error.isShortage ? .crowded : .failed(error)
        }
        // Safe: there is room for both before the body.
        let room = head + FileHeader.byteCount
        if let start = key.baseAddress { room.copyMemory(from: start, byteCount: key.count) }
        if let start = meta.baseAddress {
            (room + key.count).copyMemory(from: start, byteCount: meta.count)
        }
        let draft = DiskWriter.Draft.Pointer.allocate(capacity: 1)
        draft.initialize(
            to: DiskWriter.Draft(
                store: self,
                descriptor: descriptor,
                hash: hash,
                header: header,
                head: head,
                blocks: blocks
            )
        )
        return .writer(DiskWriter(draft))
    }
}
