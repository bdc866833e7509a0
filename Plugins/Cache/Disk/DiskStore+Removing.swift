internal import CCacheDisk

extension DiskStore {
    /// Has an object not be found any more; for workers.
    ///
    /// While the store is rebuilding that is so only for what was found.
    ///
    /// Its file is removed by whatever waits for the disk next. Should the process die before that,
    /// the object is there again when the folder is opened: `removeBlocking` is for what must not
    /// come back.
    ///
    /// - Parameter hash: of the key, by `Configuration.keyHash`.
    /// - Returns: whether there was one.
    @discardableResult
    public func forget(hash: UInt64) -> Bool { store.forget(hash) }

    /// Removes an object, also one that is only found later.
    ///
    /// - Parameter hash: of the key, by `Configuration.keyHash`.
    /// - Returns: whether there was one.
    /// - Throws: when its file may still be there, and be found when the folder is opened the next
    ///   time.
    @discardableResult
    public func removeBlocking(hash: UInt64) throws(DiskError) -> Bool {
        let wasThere = try store.removeBlocking(hash)
        if let error = store.drainBlocking() { throw error }
        return wasThere
    }

    /// Removes all objects that are there, are being written, or are only found later.
    ///
    /// - Returns: how many were found.
    /// - Throws: as `removeBlocking`.
    @discardableResult
    public func removeAllBlocking() throws(DiskError) -> Int {
        store.locked { guarded in
            guarded.floorId = guarded.nextId
            if !guarded.isRebuilt { guarded.removesFound = true }
        }
        var count = 0
        var error: DiskError?
        while store.forgetOldest() {
            count += 1
            if count % Self.removalsPerChange == 0 { error = store.drainBlocking() ?? error }
        }
        error = store.drainBlocking() ?? error
        if let error { throw error }
        return count
    }

    /// How far `sweepBlocking` has come.
    public struct Sweep: Sendable {
        /// Objects that were removed, or made stale.
        public internal(set) var removed = 0
        var next: UInt32 = 0

        /// At the beginning.
        public init() {}
    }

    /// Looks at some objects, and removes those that the caller chooses by their key and metadata.
    ///
    /// When it returns false, each object has been looked at that was stored before the first step.
    /// As long as the store is rebuilding, a step is one of that.
    ///
    /// - Parameters:
    ///   - sweep: how far it is.
    ///   - objectsMax: 1 or more; for each, a file is opened and its head is read.
    ///   - staleSince: 0, or nanoseconds since 1970: what is chosen stays, and is stale since then.
    ///   - isUnwanted: takes the key and the metadata, which are valid during the call.
    /// - Returns: whether there is more.
    /// - Throws: as `removeBlocking`; it may be called again.
    public func sweepBlocking(
        _ sweep: inout Sweep,
        objectsMax: Int,
        staleSince: UInt64 = 0,
        _ isUnwanted: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) throws(DiskError) -> Bool {
        store.recoverIfDueBlocking()
        if !store.locked({ $0.isRebuilt }) {
            _ = try store.rebuildBlocking(objectsMax)
            return true
        }
        var left = objectsMax
        while left > 0 {
            guard let (index, id) = store.nextObject(&sweep.next) else { break }
            left -= 1
            guard try store.isUnwantedBlocking(index, id, isUnwanted, &sweep.next) else { continue }
            if staleSince != 0, store.markBlocking(index, id, staleSince) {
                sweep.removed += 1
            } else if store.kill(index, id) {
                sweep.removed += 1
            }
        }
        if let error = store.drainBlocking() { throw error }
        return left == 0
    }
}

extension UnsafeMutablePointer where Pointee == Store {
    func forget(_ hash: UInt64) -> Bool {
        locked { guarded in
            guard let index = guarded.table.find(hash), guarded.table[index].state == .live else {
                return false
            }
            kill(index, &guarded)
            guarded.counts.removed += 1
            return true
        }
    }

    fileprivate func forgetOldest() -> Bool {
        locked { guarded in
            // What is stored meanwhile is behind all that was there, and stays.
            guard let index = guarded.table.oldest, guarded.table[index].id < guarded.floorId
            else { return false }
            kill(index, &guarded)
            guarded.counts.removed += 1
            return true
        }
    }

    fileprivate func removeBlocking(_ hash: UInt64) throws(DiskError) -> Bool {
        if locked({ $0.isRebuilt }) { return forget(hash) }
        // There may be files of it that are not found yet: they are to go then.
        guard reserveBlocking(blocks: 0, record: true) else { throw .noMemory }
        let wasThere = forget(hash)
        locked { guarded in
            guarded.recordsReserved -= 1
            if !guarded.isRebuilt, guarded.table.find(hash) == nil {
                guarded.table.insertRemoved(hash: hash)
            }
        }
        return wasThere
    }

    /// The next object of a sweep; nil at the end.
    fileprivate func nextObject(_ next: inout UInt32) -> (index: UInt32, id: UInt64)? {
        while true {
            let seen: (isEnd: Bool, object: (UInt32, UInt64)?) = locked { guarded in
                for _ in 0..<DiskStore.movesPerLock {
                    guard next < guarded.table.highWater else { return (true, nil) }
                    let record = guarded.table[next]
                    next += 1
                    if record.state == .live { return (false, (next - 1, record.id)) }
                }
                return (false, nil)
            }
            if let object = seen.object { return object }
            if seen.isEnd { return nil }
        }
    }

    /// Whether the caller of a sweep does not want an object, or it can't be read.
    fileprivate func isUnwantedBlocking(
        _ index: UInt32,
        _ id: UInt64,
        _ isUnwanted: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool,
        _ next: inout UInt32
    ) throws(DiskError) -> Bool {
        let file: OpenFile.Pointer? = locked { guarded in
            guard isLive(index, id, guarded), guarded.table[index].file != 0 else { return nil }
            let file = guarded.files.file(guarded.table[index].file)
            file.pointee.references += 1
            guarded.users += 1
            return file
        }
        if let file {
            let entry = Entry(file)
            return isUnwanted(entry.key, entry.meta)
        }
        let descriptor = cachedisk_open(pointee.folder, id)
        var reading = Head.Reading.failed(DiskError(.open, descriptor))
        if descriptor >= 0 {
            reading = Head.readBlocking(descriptor, id: id)
            cachedisk_close(descriptor)
        }
        switch reading {
        case .read(let head):
            defer { head.free() }
            return isUnwanted(head.key, head.meta)
        case .torn:
            locked { $0.counts.damaged += 1 }
            return true
        case .failed(let error):
            guard error.isShortage else { return true }
            next = index
            throw error
        }
    }

    fileprivate func kill(_ index: UInt32, _ id: UInt64) -> Bool {
        locked { guarded in
            guard isLive(index, id, guarded) else { return false }
            kill(index, &guarded)
            guarded.counts.removed += 1
            return true
        }
    }
}
