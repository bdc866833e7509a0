internal import CCacheDisk
internal import TinyUFO

extension DiskStore {
    /// Does what is to be done beside the calls: finds what was stored before, removes and closes
    /// what nobody needs, and tries again what has failed when it is time to.
    ///
    /// To be called again at once if there is more, and else from time to time: each second, say.
    ///
    /// - Parameter filesMax: files that it looks at, at most: 1 or more.
    /// - Returns: whether there is more.
    public func workBlocking(filesMax: Int) -> Bool {
        store.recoverIfDueBlocking()
        var isMore = false
        if case .rebuilding = state {
            do throws(DiskError) { isMore = try store.rebuildBlocking(filesMax) } catch {}
        }
        store.drainBlocking()
        return isMore
    }
}

// MARK: Finding what was stored before

extension UnsafeMutablePointer where Pointee == Store {
    /// Finds some more of what was stored before.
    ///
    /// - Returns: whether there is more.
    func rebuildBlocking(_ filesMax: Int) throws(DiskError) -> Bool {
        pointee.scan.lock()
        defer { pointee.scan.unlock() }
        if locked({ $0.isRebuilt }) { return false }
        let owner = ownerBlocking()
        var left = filesMax
        while left > 0 {
            guard let listing = try listingBlocking() else {
                finishRebuild()
                return false
            }
            left -= 1
            var id = scanning.pointee.left
            let entry = id != 0 ? Int32(CACHEDISK_ENTRY_OBJECT) : cachedisk_next(listing, &id)
            scanning.pointee.left = 0
            if entry == CACHEDISK_ENTRY_END || entry < 0 {
                cachedisk_end_list(listing)
                scanning.pointee.listing = nil
                // What failed is read again, from its beginning.
                guard entry == CACHEDISK_ENTRY_END else { throw failed(.list, entry) }
                scanning.pointee.folder += 1
            } else if entry == CACHEDISK_ENTRY_OTHER {
                try removeListedBlocking(listing) { $0.foreign += 1 }
            } else if Store.owner(of: id) < owner {
                // The others are of an owner that has come after this one.
                do throws(DiskError) { try takeUpBlocking(listing, id) } catch {
                    scanning.pointee.left = id
                    throw error
                }
            }
        }
        return true
    }

    private func ownerBlocking() -> Int64 {
        pointee.changes.lock()
        defer { pointee.changes.unlock() }
        return owner.pointee
    }

    private func failed(_ step: DiskError.Step, _ result: Int32) -> DiskError {
        let error = DiskError(step, result)
        note(error)
        return error
    }

    /// The folder that is being read; nil when all have been.
    private func listingBlocking() throws(DiskError) -> OpaquePointer? {
        if let listing = scanning.pointee.listing { return listing }
        let folder = scanning.pointee.folder
        guard folder < Int32(CACHEDISK_FOLDERS) else { return nil }
        var result: Int32 = 0
        // New files come first: none of before can become an object after that.
        let number = folder < 0 ? UInt32(CACHEDISK_FOLDERS) : UInt32(folder)
        guard let listing = cachedisk_list(pointee.folder, number, &result) else {
            throw failed(.list, result)
        }
        scanning.pointee.listing = listing
        return listing
    }

    private func finishRebuild() {
        while locked({ $0.table.dropRemoved(DiskStore.movesPerLock) }) {}
        locked { guarded in
            guarded.isRebuilt = true
            guarded.removesFound = false
            // One that was noted meanwhile.
            while guarded.table.dropRemoved(DiskStore.movesPerLock) {}
        }
    }

    /// Removes the file that was listed last.
    private func removeListedBlocking(
        _ listing: OpaquePointer,
        _ count: (inout DiskStore.Statistics) -> Void
    ) throws(DiskError) {
        pointee.changes.lock()
        let entered = cachedisk_enter(pointee.lockFile, owner.pointee)
        if entered == 0 {
            // A folder, or what else can't be removed, stays; it can't be mistaken for an object.
            cachedisk_remove_listed(listing)
            cachedisk_leave(pointee.lockFile)
        }
        pointee.changes.unlock()
        guard entered == 0 else { throw failed(.ownership, entered) }
        locked { count(&$0.counts) }
    }

    /// Takes an object of before into the index, or removes its file.
    private func takeUpBlocking(_ listing: OpaquePointer, _ id: UInt64) throws(DiskError) {
        if scanning.pointee.folder < 0 {
            return try removeListedBlocking(listing) { $0.leftovers += 1 }
        }
        let descriptor = cachedisk_open(pointee.folder, id)
        guard descriptor >= 0 else {
            let error = DiskError(.open, descriptor)
            if error.isMissing { return }
            if error.isShortage { throw error }
            return try removeListedBlocking(listing) { $0.foreign += 1 }
        }
        let reading = Head.readBlocking(descriptor, id: id)
        cachedisk_close(descriptor)
        switch reading {
        case .read(let head):
            defer { head.free() }
            if try isTakenUpBlocking(head) { return }
            try removeListedBlocking(listing) { $0.leftovers += 1 }
        case .failed(let error) where error.isShortage:
            throw error
        case .torn, .failed:
            try removeListedBlocking(listing) { $0.damaged += 1 }
        }
    }

    /// Whether an object is in the index now; else its file is to go.
    private func isTakenUpBlocking(_ head: Head) throws(DiskError) -> Bool {
        let header = head.header
        if header.keepUntil != 0, header.keepUntil < cachedisk_wall() { return false }
        let hash = configuration.keyHash(head.key)
        let blocks = Blocks.count(bytes: header.fileCount)
        guard blocks <= blocksMax, reserveBlocking(blocks: blocks, record: true) else {
            return false
        }
        return locked { guarded in
            let known = guarded.table.find(hash)
            let knownId = known.map { guarded.table[$0].id } ?? 0
            // One that was noted as removed has the highest of all ids.
            guard !guarded.removesFound, knownId < header.id else {
                unreserve(blocks: blocks, record: true, &guarded)
                return knownId == header.id
            }
            if let known { kill(known, &guarded) }
            unreserve(blocks: 0, record: true, &guarded)
            _ = guarded.table.insert(hash: hash, id: header.id, blocks: UInt32(blocks), flags: 0)
            guarded.counts.found += 1
            return true
        }
    }
}

// MARK: Trying again

extension UnsafeMutablePointer where Pointee == Store {
    /// Tries again what has failed, if it is time to.
    func recoverIfDueBlocking() {
        guard isDue() else { return }
        pointee.scan.lock()
        // Another thread may have been here.
        if isDue() {
            do throws(DiskError) {
                try recoverBlocking()
                locked { $0.failure = nil }
            } catch {
                let now = cachedisk_monotonic()
                locked { guarded in
                    if guarded.failure?.isLost != true { guarded.failure = error }
                    guarded.retryAt = now + configuration.retryNanoseconds
                }
            }
        }
        pointee.scan.unlock()
    }

    private func isDue() -> Bool {
        let retryAt = locked { $0.failure == nil ? UInt64.max : $0.retryAt }
        return retryAt != UInt64.max && cachedisk_monotonic() >= retryAt
    }

    private func recoverBlocking() throws(DiskError) {
        let fresh = cachedisk_folder(pointee.path)
        guard fresh >= 0 else { throw DiskError(.folder, fresh) }
        pointee.changes.lock()
        defer { pointee.changes.unlock() }
        let isSame = cachedisk_is_at(pointee.folder, pointee.path) == 1
        let entered = cachedisk_enter(pointee.lockFile, owner.pointee)
        if entered == 0 { cachedisk_leave(pointee.lockFile) }
        guard isSame, entered == 0 else { return try adoptBlocking(fresh) }
        cachedisk_close(fresh)
        let result = cachedisk_subfolders(pointee.folder)
        guard result == 0 else { throw DiskError(.subfolders, result) }
    }

    /// Begins anew with the folder as it is now: it is another one, or was another process's until
    /// that has ended.
    private func adoptBlocking(_ fresh: Int32) throws(DiskError) {
        let lockFile = cachedisk_open_lock(fresh)
        guard lockFile >= 0 else {
            cachedisk_close(fresh)
            throw DiskError(.ownership, lockFile)
        }
        let number = cachedisk_claim(lockFile, owner.pointee, 1)
        let result = number < 0 ? Int32(number) : cachedisk_subfolders(fresh)
        guard result == 0 else {
            cachedisk_close(fresh)
            cachedisk_close(lockFile)
            throw DiskError(number < 0 ? .ownership : .subfolders, result)
        }
        // Those who are in a call with the old folder find no file of theirs in the new one, as no
        // id comes twice.
        cachedisk_replace(pointee.folder, fresh)
        cachedisk_replace(pointee.lockFile, lockFile)
        owner.pointee = number
        startAnew(number)
    }

    /// Forgets all objects, whose files are somebody else's or gone.
    private func startAnew(_ owner: Int64) {
        if let listing = scanning.pointee.listing { cachedisk_end_list(listing) }
        scanning.pointee = Store.Scanning()
        locked { guarded in
            guarded.isRebuilt = false
            guarded.removesFound = false
            guarded.nextId = Store.firstId(of: owner)
        }
        var isMore = true
        while isMore {
            isMore = locked { guarded in
                if let index = guarded.table.any { kill(index, &guarded) }
                if let index = guarded.table.takeDead() {
                    let blocks = UInt64(guarded.table[index].blocks)
                    guarded.blocks -= blocks
                    guarded.goingBlocks -= blocks
                    guarded.table.free(index)
                }
                let isMoreRemoved = guarded.table.dropRemoved(1)
                return guarded.table.any != nil || guarded.table.hasDead || isMoreRemoved
            }
        }
    }
}
