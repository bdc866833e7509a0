import CCache
import CacheDisk
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

/// What of a store lies on a disk, and what is to be done there.
///
/// Workers look for objects, which waits for nothing, and leave all else as tasks. Instances that
/// follow each other have one tier, so whichever of them is there runs what is left.
struct DiskTier: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<DiskTier>

    /// What it was made for: another instance goes on with it only if that is the same.
    struct Settings: BitwiseCopyable, Equatable {
        var size: UInt64
        var bodyBytesMax: UInt64
        var openFilesMax: Int
        var sync: DiskStore.Sync
    }

    /// The tier's own task, the first member, so that the task is where its owner is.
    var work = DiskTask(.work)
    let settings: Settings
    /// Of the rules that keys are made by.
    let rules: UInt64
    let path: UnsafeMutableRawPointer
    let pathCount: Int
    private let keyHash: KeyHash
    private let lock: WriteLock
    /// There from when it is open on.
    private let place: UnsafeMutablePointer<DiskStore>
    private let isOpenWord = Atomic<Bool>(false)

    // Guarded by the lock.
    private var tasks = DiskTaskQueue()
    private var isWorkQueued = false
    private var openings: Opening.Pointer?
    private var openingCount = 0
    private var counted = Counts()
    private var unreadable = 0

    /// What was said of it in the log last; the task's.
    var said = Said.nothing

    enum Said: UInt8 {
        case nothing
        case storing
        case failed
    }

    /// What metrics count.
    struct Counts: BitwiseCopyable {
        var stored = 0
        var evicted = 0
        var damaged = 0
        var failures = 0
    }

    /// Openings that wait or run at a time; what is not open then is not found.
    static let openingsMax = 256

    /// - Parameters:
    ///   - path: as C has it, with its end.
    ///   - rules: fingerprint of those that keys are made by.
    /// - Returns: nil when there is no memory.
    static func make(
        _ settings: Settings,
        path: Bytes,
        rules: UInt64,
        keyHash: KeyHash
    ) -> Pointer? {
        guard let lock = WriteLock() else { return nil }
        guard let copy = cache_allocate(path.count) else {
            lock.destroy()
            return nil
        }
        copy.copyMemory(from: path.start, byteCount: path.count)
        let tier = Pointer.allocate(capacity: 1)
        tier.initialize(to: DiskTier(settings, rules, (copy, path.count), lock, keyHash))
        return tier
    }

    private init(
        _ settings: Settings,
        _ rules: UInt64,
        _ path: (start: UnsafeMutableRawPointer, count: Int),
        _ lock: WriteLock,
        _ keyHash: KeyHash
    ) {
        self.settings = settings
        self.rules = rules
        self.path = path.start
        pathCount = path.count
        self.lock = lock
        self.keyHash = keyHash
        place = .allocate(capacity: 1)
    }

    /// Nobody is in a call any more, and no task is left.
    deinit {
        if isOpen { place.deinitialize(count: 1) }
        place.deallocate()
        cache_free(path)
        lock.destroy()
    }

    /// Whether it is what a configuration asks for.
    func isFor(_ settings: Settings, _ path: Bytes) -> Bool {
        settings == self.settings && path.count == pathCount
            && cache_equal(path.start, self.path, pathCount) != 0
    }

    // MARK: The files

    /// Whether there are files to look for.
    @inline(__always)
    var isOpen: Bool { isOpenWord.load(ordering: .acquiring) }

    /// The files; only while it is open.
    var files: UnsafeMutablePointer<DiskStore> { place }

    /// Whether objects are stored now.
    var isStoring: Bool { isOpen && files.pointee.state == .storing }

    /// Opens the folder, if that was not done yet; one thread at a time.
    mutating func openBlocking() throws(DiskStore.OpenError) {
        if isOpen { return }
        var configuration = DiskStore.Configuration(size: settings.size, keyHash: keyHash)
        configuration.bodyBytesMax = settings.bodyBytesMax
        configuration.openFilesMax = settings.openFilesMax
        configuration.sync = settings.sync
        let name = path.assumingMemoryBound(to: CChar.self)
        place.initialize(to: try DiskStore.openBlocking(path: name, configuration))
        isOpenWord.store(true, ordering: .releasing)
    }

    /// What happened since this was called last, by whichever instance.
    mutating func takeCounts(_ statistics: DiskStore.Statistics) -> Counts {
        lock.lock()
        defer { lock.unlock() }
        let old = counted
        counted.stored = max(old.stored, statistics.stored)
        counted.evicted = max(old.evicted, statistics.evicted)
        counted.damaged = max(old.damaged, statistics.damaged + unreadable)
        counted.failures = max(old.failures, statistics.failures)
        return Counts(
            stored: counted.stored - old.stored,
            evicted: counted.evicted - old.evicted,
            damaged: counted.damaged - old.damaged,
            failures: counted.failures - old.failures
        )
    }

    /// Counts a file that was whole, and whose metadata says nothing.
    mutating func noteUnreadable() {
        lock.lock()
        unreadable += 1
        lock.unlock()
    }

    // MARK: Tasks

    /// Leaves a task, which is not left already.
    mutating func push(_ task: DiskTask.Pointer) {
        lock.lock()
        tasks.push(task)
        lock.unlock()
    }

    /// The oldest task.
    mutating func pop() -> DiskTask.Pointer? {
        lock.lock()
        defer { lock.unlock() }
        let task = tasks.pop()
        if let task, task.pointee.kind == .work { isWorkQueued = false }
        return task
    }

    var hasTasks: Bool {
        lock.lock()
        defer { lock.unlock() }
        return !tasks.isEmpty
    }

    fileprivate mutating func takeWork() -> Bool {
        lock.lock()
        defer { lock.unlock() }
        if isWorkQueued { return false }
        isWorkQueued = true
        return true
    }

    // MARK: Openings

    /// Has a request wait for a file to be opened.
    ///
    /// - Returns: false when too many are being opened, or there is no memory; the wait is then the
    ///   caller's to end.
    mutating func open(_ name: KeyName, _ token: Token) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        var place = openings
        while let opening = place {
            if opening.pointee.isOf(name) { return opening.add(token) }
            place = opening.pointee.next
        }
        guard openingCount < Self.openingsMax, let opening = Opening.make(name) else {
            return false
        }
        guard opening.add(token) else {
            opening.free()
            return false
        }
        opening.pointee.next = openings
        openings = opening
        openingCount += 1
        tasks.push(opening.task)
        return true
    }

    /// Takes an opening out that has been tried: nobody waits for it from now on.
    mutating func close(_ opening: Opening.Pointer) {
        lock.lock()
        defer { lock.unlock() }
        openingCount -= 1
        if openings == opening {
            openings = opening.pointee.next
            return
        }
        var place = openings
        while let before = place, before.pointee.next != opening { place = before.pointee.next }
        place?.pointee.next = opening.pointee.next
    }
}

extension UnsafeMutablePointer where Pointee == DiskTier {
    /// Leaves the tier's own task, unless it is left already.
    func pushWork() {
        if pointee.takeWork() { pointee.push(task) }
    }

    /// Frees it with the tasks that nobody will run; no instance has it any more.
    func destroy() {
        while let task = pointee.pop() { drop(task) }
        deinitialize(count: 1)
        deallocate()
    }

    private func drop(_ task: DiskTask.Pointer) {
        switch task.pointee.kind {
        case .work: break
        case .open: task.owner(Opening.self).free()
        case .diskFill: task.owner(DiskFill.self).drop()
        case .retire: task.owner(DiskFill.self).free()
        case .load: task.owner(Load.self).end()
        case .renew: task.owner(Renewal.self).free()
        case .remove: task.owner(Removal.self).free()
        }
    }
}

/// A file that is being opened, and those who wait for it.
struct Opening: BitwiseCopyable {
    typealias Pointer = UnsafeMutablePointer<Opening>

    private var task = DiskTask(.open)
    let hash: UInt64
    private let key: UnsafeMutableRawPointer
    private let keyCount: Int
    private var tokens: UnsafeMutablePointer<Token>?
    private var count = 0
    private var capacity = 0
    var next: Pointer?

    private init(_ name: KeyName, _ key: UnsafeMutableRawPointer) {
        hash = name.hash
        self.key = key
        keyCount = name.bytes.count
    }

    static func make(_ name: KeyName) -> Pointer? {
        guard let key = cache_allocate(max(name.bytes.count, 1)) else { return nil }
        if let start = name.bytes.baseAddress {
            key.copyMemory(from: start, byteCount: name.bytes.count)
        }
        let opening = Pointer.allocate(capacity: 1)
        opening.initialize(to: Opening(name, key))
        return opening
    }

    var name: KeyName {
        KeyName(
            bytes: UnsafeRawBufferPointer(start: key, count: keyCount),
            primaryCount: 0,
            hash: hash
        )
    }

    func isOf(_ other: KeyName) -> Bool { hash == other.hash && name.matches(other.bytes) }

    fileprivate mutating func add(_ token: Token) -> Bool {
        if count == capacity {
            let more = max(4, 2 * capacity)
            guard let memory = cache_allocate(more * MemoryLayout<Token>.stride) else {
                return false
            }
            let room = memory.bindMemory(to: Token.self, capacity: more)
            if let tokens { room.initialize(from: tokens, count: count) }
            cache_free(tokens)
            tokens = room
            capacity = more
        }
        tokens?[count] = token
        count += 1
        return true
    }

    fileprivate func resumeAll() {
        for index in 0..<count { _ = tokens?[index].resume() }
    }

    fileprivate func freeMemory() {
        cache_free(key)
        cache_free(tokens)
    }
}

extension UnsafeMutablePointer where Pointee == Opening {
    fileprivate func add(_ token: Token) -> Bool { pointee.add(token) }

    /// Wakes those who wait, and frees it; nobody finds it any more.
    func end() {
        pointee.resumeAll()
        free()
    }

    func free() {
        pointee.freeMemory()
        deallocate()
    }
}

/// An object that is to be gone for good, and is not found any more already; or stale for good.
struct Removal: BitwiseCopyable {
    typealias Pointer = UnsafeMutablePointer<Removal>

    private var task = DiskTask(.remove)
    let hash: UInt64
    /// Nanoseconds since 1970; 0: it is to be gone.
    let staleSince: UInt64

    /// Who waits for it; `none` for nobody.
    let token: Token

    static func make(
        _ hash: UInt64,
        staleSince: UInt64 = 0,
        _ token: Token = .none
    ) -> Pointer {
        let removal = Pointer.allocate(capacity: 1)
        removal.initialize(to: Removal(hash, staleSince, token))
        return removal
    }

    private init(_ hash: UInt64, _ staleSince: UInt64, _ token: Token) {
        self.hash = hash
        self.token = token
        self.staleSince = staleSince
    }
}

extension UnsafeMutablePointer where Pointee == Removal {
    func free() { deallocate() }
}

/// An object that was validated: its file gets another head.
struct Renewal: BitwiseCopyable {
    typealias Pointer = UnsafeMutablePointer<Renewal>

    private var task = DiskTask(.renew)
    /// `Entry.toOpaque`.
    let entry: UnsafeMutableRawPointer
    let hash: UInt64
    let meta: UnsafeMutableRawBufferPointer
    let keepUntil: UInt64
    /// With a reference: others wait for it.
    let fill: Fill.Pointer

    /// - Parameters:
    ///   - meta: memory that it takes over.
    ///   - fill: with a reference that it takes over.
    static func make(
        _ entry: consuming Entry,
        hash: UInt64,
        meta: UnsafeMutableRawBufferPointer,
        keepUntil: UInt64,
        _ fill: Fill.Pointer
    ) -> Pointer {
        let renewal = Pointer.allocate(capacity: 1)
        renewal.initialize(to: Renewal(entry.toOpaque(), hash, meta, keepUntil, fill))
        return renewal
    }

    private init(
        _ entry: UnsafeMutableRawPointer,
        _ hash: UInt64,
        _ meta: UnsafeMutableRawBufferPointer,
        _ keepUntil: UInt64,
        _ fill: Fill.Pointer
    ) {
        self.entry = entry
        self.hash = hash
        self.meta = meta
        self.keepUntil = keepUntil
        self.fill = fill
    }
}

extension UnsafeMutablePointer where Pointee == Renewal {
    /// Gives up what it has.
    func free() {
        _ = Entry(opaque: pointee.entry)
        cache_free(pointee.meta.baseAddress)
        pointee.fill.release()
        deallocate()
    }
}
