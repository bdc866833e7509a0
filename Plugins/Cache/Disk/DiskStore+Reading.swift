internal import CCacheDisk
internal import TinyUFO

extension DiskStore {
    /// What a worker gets to know about a key.
    public enum Finding: ~Copyable {
        /// There is no object.
        case absent
        /// There may be one: `openBlocking` gives it.
        case closed
        /// There is one, and its file is open.
        case open(Entry)
    }

    /// What came of opening an object.
    public enum Opening: ~Copyable {
        /// There is no object, or it was damaged and is gone.
        case absent
        /// It is there.
        case open(Entry)
        /// As many files are open as there may be, and all are read.
        case crowded
        /// Its file could not be read.
        case failed(DiskError)
    }

    /// Looks for an object, and counts it as a use; for workers.
    ///
    /// - Parameters:
    ///   - key: compared in full if the file is open.
    ///   - hash: of the key, by `Configuration.keyHash`.
    public func find(_ key: UnsafeRawBufferPointer, hash: UInt64) -> Finding {
        store.find(key, hash)
    }

    /// Opens an object's file.
    ///
    /// The first time after the folder was found, that reads all of the body and compares it with
    /// its checksum; what is damaged is removed.
    ///
    /// - Parameters:
    ///   - key: compared in full.
    ///   - hash: of the key, by `Configuration.keyHash`.
    public func openBlocking(_ key: UnsafeRawBufferPointer, hash: UInt64) -> Opening {
        let stripe = Int(truncatingIfNeeded: hash >> 32) & (Store.openingsCount - 1)
        let opening = store.pointee.openings[stripe]
        opening.lock()
        defer { opening.unlock() }
        switch store.find(key, hash) {
        case .absent: return .absent
        case .open(let entry): return .open(entry)
        case .closed: break
        }
        guard let file = store.takeFileBlocking() else { return .crowded }
        return store.openBlocking(key, hash, file)
    }
}

extension UnsafeMutablePointer where Pointee == Store {
    func find(_ key: UnsafeRawBufferPointer, _ hash: UInt64) -> DiskStore.Finding {
        var isThere = false
        let file: OpenFile.Pointer? = locked { guarded in
            guard let index = guarded.table.find(hash), guarded.table[index].state == .live else {
                return nil
            }
            isThere = true
            guarded.table[index].flags |= ObjectTable.wasUsed
            guard guarded.table[index].file != 0 else { return nil }
            let file = guarded.files.file(guarded.table[index].file)
            file.pointee.references += 1
            file.pointee.wasUsed = true
            guarded.users += 1
            return file
        }
        guard let file else { return isThere ? .closed : .absent }
        // Outside of the lock, as it may be long.
        let entry = Entry(file)
        return Bytes.areEqual(entry.key, key) ? .open(entry) : .absent
    }

    /// A place for a file; closes one that nobody reads if there is none.
    fileprivate func takeFileBlocking() -> OpenFile.Pointer? {
        var moves = 2 * configuration.openFilesMax
        while true {
            if let file = locked({ $0.files.take() }) { return file }
            let hasClosed: Bool = locked { guarded in
                guard
                    let idle = guarded.files.findIdle(&moves, chunk: DiskStore.movesPerLock)
                else { return false }
                return guarded.files.detach(idle, of: guarded.table, blocks: 0)
            }
            if hasClosed { drainBlocking() }
            guard hasClosed || moves > 0 else { break }
        }
        // What others have given back meanwhile.
        drainBlocking()
        return locked { $0.files.take() }
    }

    /// Opens the file of a hash; the caller is the only one who does.
    fileprivate func openBlocking(
        _ key: UnsafeRawBufferPointer,
        _ hash: UInt64,
        _ file: OpenFile.Pointer
    ) -> DiskStore.Opening {
        let found: (index: UInt32, id: UInt64, isVerified: Bool)? = locked { guarded in
            guard let index = guarded.table.find(hash), guarded.table[index].state == .live else {
                return nil
            }
            let record = guarded.table[index]
            return (index, record.id, record.flags & ObjectTable.isVerified != 0)
        }
        guard let found else { return giveUpBlocking(file, .absent) }
        let descriptor = cachedisk_open(pointee.folder, found.id)
        guard descriptor >= 0 else {
            return unreadableBlocking(file, found.index, found.id, DiskError(.open, descriptor))
        }
        file.pointee.descriptor = descriptor
        var reading = Head.readBlocking(descriptor, id: found.id)
        if case .read(let head) = reading {
            file.pointee.head = head
            guard Bytes.areEqual(head.key, key) else { return giveUpBlocking(file, .absent) }
            if !found.isVerified {
                reading = head.verifyBlocking(descriptor)
                locked { $0.counts.verified += 1 }
            }
        }
        switch reading {
        case .read: return attachBlocking(file, found.index, found.id)
        case .torn: return damagedBlocking(file, found.index, found.id)
        case .failed(let error):
            return unreadableBlocking(file, found.index, found.id, error)
        }
    }

    private func attachBlocking(
        _ file: OpenFile.Pointer,
        _ index: UInt32,
        _ id: UInt64
    ) -> DiskStore.Opening {
        let isAttached: Bool = locked { guarded in
            // It may be gone meanwhile, and a purge must not be undone.
            guard isLive(index, id, guarded) else { return false }
            guarded.files.attach(file, to: index, of: guarded.table)
            guarded.table[index].flags |= ObjectTable.isVerified
            guarded.counts.opened += 1
            guarded.users += 1
            return true
        }
        return isAttached ? .open(Entry(file)) : giveUpBlocking(file, .absent)
    }

    /// Whether a record is still the object of this id; under the lock.
    func isLive(_ index: UInt32, _ id: UInt64, _ guarded: Store.Guarded) -> Bool {
        guarded.table[index].state == .live && guarded.table[index].id == id
    }

    /// Gives a place back that no object has.
    private func giveUpBlocking(
        _ file: OpenFile.Pointer,
        _ outcome: consuming DiskStore.Opening
    ) -> DiskStore.Opening {
        if file.pointee.descriptor >= 0 { cachedisk_close(file.pointee.descriptor) }
        file.pointee.head?.free()
        locked { $0.files.give(file) }
        return outcome
    }

    private func damagedBlocking(
        _ file: OpenFile.Pointer,
        _ index: UInt32,
        _ id: UInt64
    ) -> DiskStore.Opening {
        locked { guarded in
            guarded.counts.damaged += 1
            if isLive(index, id, guarded) { kill(index, &guarded) }
        }
        let outcome = giveUpBlocking(file, .absent)
        drainBlocking()
        return outcome
    }

    private func unreadableBlocking(
        _ file: OpenFile.Pointer,
        _ index: UInt32,
        _ id: UInt64,
        _ error: DiskError
    ) -> DiskStore.Opening {
        // A shortage passes. Without its file there is no object: another process has removed it,
        // or has the folder. What can't be read is of no use, either.
        if !error.isShortage {
            locked { guarded in
                if isLive(index, id, guarded) { kill(index, &guarded) }
                if !error.isMissing { guarded.counts.failures += 1 }
            }
        }
        let outcome = giveUpBlocking(file, error.isMissing ? .absent : .failed(error))
        if !error.isShortage { drainBlocking() }
        return outcome
    }
}

enum Bytes {
    static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        var at = 0
        while at &+ 8 <= left.count {
            let a = left.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let b = right.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if a != b { return false }
            at &+= 8
        }
        while at < left.count {
            if left[at] != right[at] { return false }
            at &+= 1
        }
        return true
    }
}
