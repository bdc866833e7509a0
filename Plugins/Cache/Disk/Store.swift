internal import CCacheDisk
internal import TinyUFO

/// The memory of a store: it lives as long as the store, its entries and its writers.
///
/// Three locks, always taken in this order. `scan` and `changes` are held while the disk works, so
/// only threads that may block take them. `lock` is held for some hundred nanoseconds, never over a
/// call of the system, and what it guards is all that a worker looks at.
struct Store: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<Store>

    let configuration: DiskStore.Configuration
    /// The path as C has it.
    let path: UnsafeMutablePointer<CChar>
    /// The folder, by a number that does not change, whatever becomes of the folder.
    let folder: Int32
    /// The file that owners agree by; likewise.
    let lockFile: Int32
    /// One thread at a time looks through the folder: guards `scanning`.
    let scan: WriteLock
    /// One thread at a time changes the folder: guards `owner`.
    let changes: WriteLock
    let lock: WriteLock
    /// One for each part of the hashes: one thread at a time opens a file of it.
    ///
    /// So none is opened or verified twice. Taken before all others.
    let openings: UnsafeMutablePointer<WriteLock>
    let scanning: UnsafeMutablePointer<Scanning>
    let owner: UnsafeMutablePointer<Int64>
    let guarded: UnsafeMutablePointer<Guarded>

    static let openingsCount = 16

    /// What only the thread with the lock uses.
    struct Guarded {
        var table: ObjectTable
        var files: FileTable
        /// Blocks of all files: those that are found, written, or open though their object is gone.
        var blocks: UInt64 = 0
        /// Those of them that are free when what is to be removed or closed now is.
        var goingBlocks: UInt64 = 0
        /// Records that writers will need.
        var recordsReserved = 0
        var writers = 0
        /// The store, its entries and its writers.
        var users = 1
        /// The id of the next object.
        var nextId: UInt64
        /// Objects with lower ids are not taken any more.
        var floorId: UInt64 = 0
        var isRebuilt = false
        /// Whether what is still found is to be removed.
        var removesFound = false
        var failure: DiskError?
        /// When it is tried again, in nanoseconds of the monotonic clock.
        var retryAt: UInt64 = 0
        var counts = DiskStore.Statistics()
    }

    /// How far looking through the folder is: first the new files, then folder by folder.
    struct Scanning {
        /// The next folder; below 0 for that of new files.
        var folder: Int32 = -1
        var listing: OpaquePointer?
        /// The object that was listed last and could not be opened yet; 0 for none.
        var left: UInt64 = 0
    }

    /// Bits of an id that are an owner's own: the others are the owner's number.
    static let ownBits: UInt64 = 40

    static func firstId(of owner: Int64) -> UInt64 { UInt64(owner) << ownBits | 1 }

    static func owner(of id: UInt64) -> Int64 { Int64(id >> ownBits) }
}

/// What is done with the address of a store.
extension UnsafeMutablePointer where Pointee == Store {
    /// What the lock guards.
    @inline(__always)
    var guarded: UnsafeMutablePointer<Store.Guarded> { pointee.guarded }

    /// What `scan` guards.
    var scanning: UnsafeMutablePointer<Store.Scanning> { pointee.scanning }

    /// What `changes` guards: the owner's number.
    var owner: UnsafeMutablePointer<Int64> { pointee.owner }

    var configuration: DiskStore.Configuration { pointee.configuration }

    /// Not over anything that may block.
    @inline(__always)
    func locked<Result>(_ body: (inout Store.Guarded) -> Result) -> Result {
        pointee.lock.lock()
        let result = body(&guarded.pointee)
        pointee.lock.unlock()
        return result
    }

    /// Blocks that all files may have.
    var blocksMax: UInt64 { configuration.size / DiskStore.blockBytes }

    // MARK: Ends

    /// One user less; the last one frees the store.
    func leave() {
        let isLast = locked { guarded in
            guarded.users -= 1
            return guarded.users == 0
        }
        if isLast { freeBlocking() }
    }

    private func freeBlocking() {
        closeFilesBlocking()
        if let listing = scanning.pointee.listing { cachedisk_end_list(listing) }
        cachedisk_close(pointee.folder)
        cachedisk_close(pointee.lockFile)
        guarded.pointee.table.destroy()
        guarded.pointee.files.destroy()
        pointee.scan.destroy()
        pointee.changes.destroy()
        pointee.lock.destroy()
        Store.destroy(pointee.openings)
        pointee.scanning.deallocate()
        pointee.owner.deallocate()
        guarded.deallocate()
        cachedisk_free(pointee.path)
        deinitialize(count: 1)
        deallocate()
    }

    // MARK: Failures

    /// Stops storing for a while.
    ///
    /// A shortage of descriptors or memory is none of the disk's, and changes nothing.
    func note(_ error: DiskError) {
        let now = cachedisk_monotonic()
        locked { guarded in
            guarded.counts.failures += 1
            guard !error.isShortage else { return }
            // What another process has taken is not there for whatever is tried next.
            if guarded.failure?.isLost != true { guarded.failure = error }
            guarded.retryAt = now + configuration.retryNanoseconds
        }
    }

    // MARK: What goes

    /// Takes a live object out; under the lock.
    ///
    /// `drainBlocking` does the rest.
    func kill(_ index: UInt32, _ guarded: inout Store.Guarded) {
        let record = guarded.table[index]
        var isGoing = true
        if record.file != 0 {
            // The blocks are the file's now: they are not free as long as it is open.
            guarded.table[index].blocks = 0
            let file = guarded.files.file(record.file)
            isGoing = guarded.files.detach(file, of: guarded.table, blocks: record.blocks)
        }
        if isGoing { guarded.goingBlocks += UInt64(record.blocks) }
        guarded.table.kill(index)
    }

    /// Gives back a file; under the lock.
    func release(_ file: OpenFile.Pointer, _ guarded: inout Store.Guarded) {
        if guarded.files.release(file) { guarded.goingBlocks += UInt64(file.pointee.blocks) }
    }

    /// Removes what is dead and closes what nobody has.
    ///
    /// - Returns: why files may be left that should not be there.
    @discardableResult
    func drainBlocking() -> DiskError? {
        var error: DiskError?
        // Closed last: when a file's blocks count as free it has no name any more, either.
        pointee.changes.lock()
        let closing = locked { $0.files.takeClosing() }
        while locked({ $0.table.hasDead }) {
            error = removeDeadBlocking() ?? error
            // Let others change something between two batches.
            pointee.changes.unlock()
            pointee.changes.lock()
        }
        closeBlocking(closing)
        pointee.changes.unlock()
        if let error { note(error) }
        return error
    }

    /// Closes what nobody has; the caller has `changes`, or nobody else has the store.
    func closeFilesBlocking() { closeBlocking(locked { $0.files.takeClosing() }) }

    private func closeBlocking(_ first: UInt16) {
        var number = first
        while number != 0 {
            let file = locked { $0.files.file(number) }
            number = file.pointee.next
            if file.pointee.descriptor >= 0 { cachedisk_close(file.pointee.descriptor) }
            file.pointee.head?.free()
            cachedisk_free(file.pointee.form)
            locked { guarded in
                guarded.blocks -= UInt64(file.pointee.blocks)
                guarded.goingBlocks -= UInt64(file.pointee.blocks)
                guarded.files.give(file)
            }
        }
    }

    private func removeDeadBlocking() -> DiskError? {
        let entered = cachedisk_enter(pointee.lockFile, owner.pointee)
        var error = entered < 0 ? DiskError(.ownership, entered) : nil
        var left = DiskStore.removalsPerChange
        while left > 0, let (index, id) = takeDead() {
            left -= 1
            if entered == 0 {
                let result = cachedisk_remove(pointee.folder, id)
                if result < 0, result != CACHEDISK_ENOENT { error = DiskError(.remove, result) }
            }
            locked { guarded in
                let blocks = UInt64(guarded.table[index].blocks)
                guarded.blocks -= blocks
                guarded.goingBlocks -= blocks
                guarded.table.free(index)
            }
        }
        if entered == 0 { cachedisk_leave(pointee.lockFile) }
        return error
    }

    private func takeDead() -> (index: UInt32, id: UInt64)? {
        locked { guarded in
            guarded.table.takeDead().map { ($0, guarded.table[$0].id) }
        }
    }

    // MARK: Room

    /// Blocks for a file, and a record if it is a new one: drives out others for them.
    ///
    /// - Returns: false if what is there is all being read or written.
    func reserveBlocking(blocks: UInt64, record: Bool) -> Bool {
        var moves = locked { 2 * $0.table.count } + DiskStore.movesPerLock
        var drainsLeft = DiskStore.drainsMax
        while true {
            let next: RoomStep = locked { guarded in
                let hasRecord =
                    !record
                    || guarded.table.taken + guarded.recordsReserved < guarded.table.capacity
                if guarded.blocks + blocks <= blocksMax, hasRecord {
                    guarded.blocks += blocks
                    if record { guarded.recordsReserved += 1 }
                    return .taken
                }
                let willFit = guarded.blocks - guarded.goingBlocks + blocks <= blocksMax
                if willFit, hasRecord || guarded.table.hasDead { return .drain }
                guard moves > 0, guarded.table.count > 0 else { return .nothing }
                evict(&moves, &guarded)
                return .search
            }
            switch next {
            case .taken: return true
            case .search: continue
            case .nothing: return false
            case .drain:
                drainsLeft -= 1
                guard drainsLeft > 0 else { return false }
                drainBlocking()
            }
        }
    }

    /// Gives blocks and a record back that were not needed; under the lock.
    func unreserve(blocks: UInt64, record: Bool, _ guarded: inout Store.Guarded) {
        guarded.blocks -= blocks
        if record { guarded.recordsReserved -= 1 }
    }

    private func evict(_ moves: inout Int, _ guarded: inout Store.Guarded) {
        var chunk = min(moves, DiskStore.movesPerLock)
        moves -= chunk
        let victim = guarded.table.sieve(&chunk) { record in
            // Safe: a record's file is one of the table's.
            record.file != 0 && guarded.files.file(record.file).pointee.references > 1
        }
        // Those that were not needed.
        moves += chunk
        guard let victim else { return }
        kill(victim, &guarded)
        guarded.counts.evicted += 1
    }
}

/// What is next to make room.
private enum RoomStep { case taken, drain, search, nothing }

extension DiskStore {
    /// Objects that the hand of a search passes before it lets the lock go.
    static let movesPerLock = 4
    /// Files that are removed before another process may take the folder.
    static let removalsPerChange = 64
    /// Times that room is made for one object, which others may take first.
    static let drainsMax = 64
}
