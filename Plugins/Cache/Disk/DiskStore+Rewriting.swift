internal import CCacheDisk
internal import TinyUFO

extension DiskStore {
    /// Gives an object other metadata, and takes away that it is stale by order.
    ///
    /// In its file if there is room before the body, which is one write of a few blocks: a process
    /// that is killed has done it or has not, and after a power cut the checksum of the head tells.
    /// Otherwise its body is copied to another file.
    ///
    /// Who has opened the file before goes on with the metadata of then.
    ///
    /// - Parameters:
    ///   - entry: the object as it is.
    ///   - hash: of its key, by `Configuration.keyHash`.
    ///   - meta: what takes the place of its metadata, up to `metaBytesMax`.
    ///   - keepUntil: as at `beginBlocking`.
    /// - Returns: whether it has them; false if it is gone, too, or the disk fails.
    public func refreshBlocking(
        _ entry: borrowing Entry,
        hash: UInt64,
        meta: UnsafeRawBufferPointer,
        keepUntil: UInt64 = 0
    ) -> Bool {
        guard meta.count <= Self.metaBytesMax else { return false }
        store.recoverIfDueBlocking()
        var header = entry.header
        header.metaCount = meta.count
        header.keepUntil = keepUntil
        header.staleSince = 0
        guard header.bodyOffset == entry.bodyOffset else {
            return renewBlocking(entry, hash: hash, meta: meta, keepUntil: keepUntil) == .stored
        }
        guard let index = store.index(hash, id: header.id) else { return false }
        return store.rewriteBlocking(index, header, entry.key, meta)
    }

    /// Notes that an object is stale.
    ///
    /// - Parameters:
    ///   - hash: of its key, by `Configuration.keyHash`.
    ///   - since: nanoseconds since 1970, 1 or more.
    /// - Returns: whether there was one. What can't be noted is removed.
    public func markStaleBlocking(hash: UInt64, since: UInt64) -> Bool {
        store.recoverIfDueBlocking()
        guard let index = store.index(hash, id: nil) else { return false }
        let id = store.locked { $0.table[index].id }
        if store.markBlocking(index, id, since) { return true }
        let wasThere = store.forget(hash)
        store.drainBlocking()
        return wasThere
    }
}

extension UnsafeMutablePointer where Pointee == Store {
    /// The live object of a hash, or nil if it is another one than `id`.
    fileprivate func index(_ hash: UInt64, id: UInt64?) -> UInt32? {
        locked { guarded in
            guard let index = guarded.table.find(hash), guarded.table[index].state == .live,
                id == nil || guarded.table[index].id == id
            else { return nil }
            return index
        }
    }

    /// Notes in an object's file that it is stale; false if that can't be done.
    func markBlocking(_ index: UInt32, _ id: UInt64, _ since: UInt64) -> Bool {
        let descriptor = cachedisk_open(pointee.folder, id)
        guard descriptor >= 0 else { return false }
        let reading = Head.readBlocking(descriptor, id: id)
        cachedisk_close(descriptor)
        guard case .read(let head) = reading else { return false }
        defer { head.free() }
        var header = head.header
        header.staleSince = since
        return rewriteBlocking(index, header, head.key, head.meta)
    }

    /// Writes the head of an object anew; nothing behind it moves.
    fileprivate func rewriteBlocking(
        _ index: UInt32,
        _ header: FileHeader,
        _ key: UnsafeRawBufferPointer,
        _ meta: UnsafeRawBufferPointer
    ) -> Bool {
        let count = Int(header.bodyOffset)
        guard let memory = cachedisk_zeroed(count, 1) else { return false }
        defer { cachedisk_free(memory) }
        // Safe: there is room for both before the body.
        let room = memory + FileHeader.byteCount
        if let start = key.baseAddress { room.copyMemory(from: start, byteCount: key.count) }
        if let start = meta.baseAddress {
            (room + key.count).copyMemory(from: start, byteCount: meta.count)
        }
        header.write(to: UnsafeMutableRawBufferPointer(start: memory, count: count))
        let hash = locked { $0.table[index].hash }
        let stripe = Int(truncatingIfNeeded: hash >> 32) & (Store.openingsCount - 1)
        // Nobody of this process opens it meanwhile, and takes half of a head for damage.
        let opening = pointee.openings[stripe]
        opening.lock()
        let isWritten = writeBlocking(index, header.id, memory, count)
        opening.unlock()
        drainBlocking()
        return isWritten
    }

    private func writeBlocking(
        _ index: UInt32,
        _ id: UInt64,
        _ head: UnsafeMutableRawPointer,
        _ count: Int
    ) -> Bool {
        pointee.changes.lock()
        defer { pointee.changes.unlock() }
        guard locked({ isLive(index, id, $0) }) else { return false }
        let entered = cachedisk_enter(pointee.lockFile, owner.pointee)
        guard entered == 0 else {
            note(DiskError(.ownership, entered))
            return false
        }
        let descriptor = cachedisk_open_to_rewrite(pointee.folder, id)
        var result = descriptor
        if descriptor >= 0 {
            result = cachedisk_write(descriptor, head, count, 0)
            if result == 0, configuration.sync == .data { result = cachedisk_sync(descriptor) }
            cachedisk_close(descriptor)
        }
        cachedisk_leave(pointee.lockFile)
        guard result == 0 else {
            note(DiskError(.write, result))
            return false
        }
        locked { guarded in
            guard isLive(index, id, guarded), guarded.table[index].file != 0 else { return }
            let file = guarded.files.file(guarded.table[index].file)
            guarded.files.detach(file, of: guarded.table, blocks: 0)
        }
        return true
    }
}
