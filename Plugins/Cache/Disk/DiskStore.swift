internal import CCacheDisk
internal import TinyUFO

/// Objects in files below one folder: bytes under keys, and nothing known of what they mean.
///
/// Any number of threads may call everything at the same time. Functions whose name ends in
/// `Blocking` wait for the disk and are for threads that may; all others take a lock for some
/// hundred nanoseconds, and call nothing of the system but to wait for it.
/// docs/decisions/0014-cache-disk.md has the layout of the folder, and says what a crash, a full
/// disk or a second process does.
///
/// Keys are compared in full. There is one object of a hash: a second key of the same hash, which
/// the caller computes with `Configuration.keyHash`, takes the place of the first.
public struct DiskStore: ~Copyable, @unchecked Sendable {
    // Safe: the memory is made for many threads.
    let store: Store.Pointer

    /// Why there is no store.
    public enum OpenError: Error, Equatable, Sendable {
        /// A size is out of its range.
        case configuration(ConfigurationError)
        /// The folder can't be used.
        case disk(DiskError)
    }

    /// Opens a folder, which only this may use; makes it if its parent is there.
    ///
    /// What another process or another store has open there it can still read, but it stores
    /// nothing there any more. Nothing is stored here either until `workBlocking` has found what
    /// was stored before.
    ///
    /// - Parameters:
    ///   - path: of the folder, as C has it. Its mode must be 0700.
    ///   - configuration: the sizes.
    public static func openBlocking(
        path: UnsafePointer<CChar>,
        _ configuration: Configuration
    ) throws(OpenError) -> DiskStore {
        if let fault = configuration.fault() { throw .configuration(fault) }
        let folder = cachedisk_folder(path)
        guard folder >= 0 else { throw .disk(DiskError(.folder, folder)) }
        let lockFile = cachedisk_open_lock(folder)
        guard lockFile >= 0 else {
            cachedisk_close(folder)
            throw .disk(DiskError(.ownership, lockFile))
        }
        do throws(DiskError) {
            let owner = try claimBlocking(folder, lockFile)
            return DiskStore(
                store: try Store.make(path, configuration, folder, lockFile, owner)
            )
        } catch {
            cachedisk_close(folder)
            cachedisk_close(lockFile)
            throw .disk(error)
        }
    }

    /// What of a folder's name, owner or mode forbids to open it; makes the folder if its parent is
    /// there, and takes nothing over.
    public static func faultBlocking(path: UnsafePointer<CChar>) -> DiskError? {
        let folder = cachedisk_folder(path)
        guard folder >= 0 else { return DiskError(.folder, folder) }
        let lockFile = cachedisk_open_lock(folder)
        cachedisk_close(folder)
        guard lockFile >= 0 else { return DiskError(.ownership, lockFile) }
        cachedisk_close(lockFile)
        return nil
    }

    private static func claimBlocking(
        _ folder: Int32,
        _ lockFile: Int32
    ) throws(DiskError) -> Int64 {
        let owner = cachedisk_claim(lockFile, 0, 0)
        guard owner > 0 else { throw DiskError(.ownership, Int32(owner)) }
        let result = cachedisk_subfolders(folder)
        guard result == 0 else { throw DiskError(.subfolders, result) }
        return owner
    }

    private init(store: Store.Pointer) { self.store = store }

    /// Waits for the disk; nobody may be in a call any more.
    ///
    /// Entries and writers live on. The last of them closes the folder.
    deinit { store.endBlocking() }

    // MARK: State

    /// Whether objects are stored.
    public enum State: Equatable, Sendable {
        /// They are.
        case storing
        /// What was there before is still being found; what is found can be read.
        case rebuilding
        /// They are not for now, as this went wrong; what is there can be read.
        case failed(DiskError)
    }

    /// Whether objects are stored.
    public var state: State {
        store.locked { guarded in
            if let failure = guarded.failure { return .failed(failure) }
            return guarded.isRebuilt ? .storing : .rebuilding
        }
    }

    /// What happened since it was opened, and how it is now.
    public struct Statistics: Sendable, BitwiseCopyable {
        /// Objects that can be found.
        public var objects = 0
        /// Bytes of all files, in whole blocks, with what is being written.
        public var bytes: UInt64 = 0
        /// Files that are open to be read.
        public var openFiles = 0
        /// Objects that are being written.
        public var writers = 0
        /// Objects that were stored.
        public var stored = 0
        /// Those that took the place of another one.
        public var replaced = 0
        /// Objects that had to go for others.
        public var evicted = 0
        /// Objects that were removed as somebody said so.
        public var removed = 0
        /// Objects that were found when the store was opened.
        public var found = 0
        /// Files that were not whole, or not as they were written.
        public var damaged = 0
        /// Files that were never finished, or were of no use any more, when the store was opened.
        public var leftovers = 0
        /// Files that are none of ours.
        public var foreign = 0
        /// Objects whose file was opened to be read.
        public var opened = 0
        /// Bodies that were compared with their checksum.
        public var verified = 0
        /// Calls of the system that went wrong.
        public var failures = 0

        init() {}
    }

    /// What happened, and how it is now.
    public var statistics: Statistics {
        store.locked { guarded in
            var counts = guarded.counts
            counts.objects = guarded.table.count
            counts.bytes = guarded.blocks * Self.blockBytes
            counts.openFiles = guarded.files.taken
            counts.writers = guarded.writers
            return counts
        }
    }
}

extension Store {
    /// - Parameters:
    ///   - folder: the store's from now on, if there is one.
    ///   - lockFile: likewise.
    static func make(
        _ path: UnsafePointer<CChar>,
        _ configuration: DiskStore.Configuration,
        _ folder: Int32,
        _ lockFile: Int32,
        _ owner: Int64
    ) throws(DiskError) -> Pointer {
        let pathCount = length(path) + 1
        let copy = cachedisk_allocate(pathCount)
        let store = Pointer.allocate(capacity: 1)
        let table = ObjectTable(capacity: configuration.objectsMax)
        let files = FileTable(capacity: configuration.openFilesMax, store: store)
        let scan = WriteLock()
        let changes = WriteLock()
        let lock = WriteLock()
        let openings = makeOpenings()
        guard let copy, let table, let files, let scan, let changes, let lock, let openings else {
            cachedisk_free(copy)
            table?.destroy()
            files?.destroy()
            scan?.destroy()
            changes?.destroy()
            lock?.destroy()
            if let openings { destroy(openings) }
            store.deallocate()
            throw .noMemory
        }
        copy.copyMemory(from: path, byteCount: pathCount)
        let guarded = UnsafeMutablePointer<Guarded>.allocate(capacity: 1)
        guarded.initialize(to: Guarded(table: table, files: files, nextId: firstId(of: owner)))
        let scanning = UnsafeMutablePointer<Scanning>.allocate(capacity: 1)
        scanning.initialize(to: Scanning())
        let number = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
        number.initialize(to: owner)
        store.initialize(
            to: Store(
                configuration: configuration,
                path: copy.bindMemory(to: CChar.self, capacity: pathCount),
                folder: folder,
                lockFile: lockFile,
                scan: scan,
                changes: changes,
                lock: lock,
                openings: openings,
                scanning: scanning,
                owner: number,
                guarded: guarded
            )
        )
        return store
    }

    private static func length(_ path: UnsafePointer<CChar>) -> Int {
        var count = 0
        while path[count] != 0 { count += 1 }
        return count
    }

    private static func makeOpenings() -> UnsafeMutablePointer<WriteLock>? {
        let openings = UnsafeMutablePointer<WriteLock>.allocate(capacity: openingsCount)
        for index in 0..<openingsCount {
            guard let lock = WriteLock() else {
                for made in 0..<index { openings[made].destroy() }
                openings.deallocate()
                return nil
            }
            (openings + index).initialize(to: lock)
        }
        return openings
    }

    static func destroy(_ openings: UnsafeMutablePointer<WriteLock>) {
        for index in 0..<openingsCount { openings[index].destroy() }
        openings.deallocate()
    }
}

extension UnsafeMutablePointer where Pointee == Store {
    /// Takes the files from their objects, and lets the store end with the last of its users.
    fileprivate func endBlocking() {
        drainBlocking()
        locked { guarded in
            for number in 1...guarded.files.capacity {
                let file = guarded.files.file(UInt16(number))
                guard file.pointee.record != ObjectTable.none else { continue }
                guarded.files.detach(file, of: guarded.table, blocks: 0)
            }
        }
        closeFilesBlocking()
        leave()
    }
}
