import CCache
import CacheDisk
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

// What waits for the disk: all of it runs on the host's threads that may.

extension CacheFilter: JobHook {
    package enum Job: UInt8, BitwiseCopyable {
        /// Runs the tasks that wait.
        case tasks
    }

    /// Jobs of one instance that run tasks at a time; the host has 4 threads for all plugins.
    static let jobsMax = 3

    /// Files that one step of finding what was there looks at.
    private static let filesPerStep = 1_000

    package func run(_ job: inout Job) {
        guard let tier = store.pointee.disk else { return }
        repeat {
            while let task = tier.pointee.pop() { run(task, tier) }
            jobCount.pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing)
            // One that came just now, and whose worker saw that enough jobs ran.
        } while tier.pointee.hasTasks && takeJob()
    }

    package func finish(_ job: consuming Job, on worker: inout Worker) {}

    /// Has the tasks run that were left; on a worker.
    func startTasks() {
        guard takeJob() else { return }
        do throws(ServiceError) {
            try jobs.startDetached(.tasks)
        } catch {
            // The next tick of the clock tries again.
            jobCount.pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        }
    }

    private func takeJob() -> Bool {
        let count = jobCount.pointee.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
        if count <= Self.jobsMax { return true }
        jobCount.pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        return false
    }

    private func run(_ task: DiskTask.Pointer, _ tier: DiskTier.Pointer) {
        switch task.pointee.kind {
        case .work: work(tier)
        case .open: open(task.owner(Opening.self), tier)
        case .diskFill: write(task.owner(DiskFill.self), tier)
        case .retire: task.owner(DiskFill.self).free()
        case .load: task.owner(Load.self).runBlocking()
        case .renew: renew(task.owner(Renewal.self), tier)
        case .remove: remove(task.owner(Removal.self), tier)
        }
    }

    // MARK: The folder

    private func work(_ tier: DiskTier.Pointer) {
        do throws(DiskStore.OpenError) {
            try tier.pointee.openBlocking()
        } catch {
            return sayFailed(tier, error.text)
        }
        let files = tier.pointee.files
        if files.pointee.workBlocking(filesMax: Self.filesPerStep) { tier.pushWork() }
        switch files.pointee.state {
        case .rebuilding: break
        case .storing: sayStoring(tier)
        case .failed(let error): sayFailed(tier, error.text)
        }
    }

    private func sayStoring(_ tier: DiskTier.Pointer) {
        guard tier.pointee.said != .storing else { return }
        tier.pointee.said = .storing
        let statistics = tier.pointee.files.pointee.statistics
        host.log(.info, "the disk tier stores") { pairs in
            pairs.add("objects", statistics.objects)
            pairs.add("bytes", Int(clamping: statistics.bytes))
            pairs.add("damaged", statistics.damaged)
            pairs.add("unfinished", statistics.leftovers)
        }
    }

    private func sayFailed(_ tier: DiskTier.Pointer, _ text: String) {
        guard tier.pointee.said != .failed else { return }
        tier.pointee.said = .failed
        host.log(.error) { "the disk tier stores nothing for now: " + text }
    }

    /// A fault may be over, or have begun.
    private func note(_ tier: DiskTier.Pointer) { tier.pushWork() }

    // MARK: Objects

    private func open(_ opening: Opening.Pointer, _ tier: DiskTier.Pointer) {
        let name = opening.pointee.name
        let found = tier.pointee.files.pointee.openBlocking(name.bytes, hash: name.hash)
        if case .open(let entry) = consume found, entry.form == nil, !form(entry, tier) {
            tier.pointee.noteUnreadable()
            _ = try? tier.pointee.files.pointee.removeBlocking(hash: name.hash)
        }
        tier.pointee.close(opening)
        opening.end()
    }

    /// Makes a head of an entry's metadata; false when it is none.
    private func form(_ entry: borrowing Entry, _ tier: DiskTier.Pointer) -> Bool {
        let frame = DiskHead.Frame(
            bodyCount: entry.bodyCount,
            staleSince: entry.staleSince,
            rules: tier.pointee.rules
        )
        let now = DiskHead.Times(
            monotonic: host.nowNanoseconds,
            wall: DiskClock.wallNanoseconds
        )
        guard let head = DiskHead.read(entry.meta, frame, now: now) else { return false }
        if !entry.setForm(head) { cache_free(head) }
        return true
    }

    private func renew(_ renewal: Renewal.Pointer, _ tier: DiskTier.Pointer) {
        let entry = Entry(opaque: renewal.pointee.entry)
        let isRenewed = tier.pointee.files.pointee.refreshBlocking(
            entry,
            hash: renewal.pointee.hash,
            meta: UnsafeRawBufferPointer(renewal.pointee.meta),
            keepUntil: renewal.pointee.keepUntil
        )
        _ = entry.toOpaque()
        let fill = renewal.pointee.fill
        if fill.pointee.isDoomed.load(ordering: .acquiring) || !isRenewed {
            _ = try? tier.pointee.files.pointee.removeBlocking(hash: renewal.pointee.hash)
        }
        if !isRenewed { note(tier) }
        store.pointee.fills.remove(fill)
        fill.locked {
            fill.pointee.set(Fill.State.over)
            fill.pointee.wakeAll()
        }
        renewal.free()
    }

    private func remove(_ removal: Removal.Pointer, _ tier: DiskTier.Pointer) {
        let files = tier.pointee.files
        let hash = removal.pointee.hash
        if removal.pointee.staleSince == 0 {
            _ = try? files.pointee.removeBlocking(hash: hash)
        } else {
            // What is not found yet can't be marked.
            while files.pointee.state == .rebuilding,
                files.pointee.workBlocking(filesMax: Self.filesPerStep)
            {}
            _ = files.pointee.markStaleBlocking(hash: hash, since: removal.pointee.staleSince)
        }
        removal.pointee.token.resume()
        removal.free()
    }

    // MARK: Writing

    private func write(_ diskFill: DiskFill.Pointer, _ tier: DiskTier.Pointer) {
        while let work = diskFill.take() {
            if diskFill.pointee.phase == .waiting { begin(diskFill, tier) }
            if let chain = work.chain {
                if diskFill.pointee.phase == .begun { write(diskFill, chain, work.skipped) }
                _ = ByteBlock(opaque: chain)
                store.pointee.unreserve(work.bytes)
            } else if work.ending != .none {
                return end(diskFill, tier, work.ending)
            }
        }
    }

    private func begin(_ diskFill: DiskFill.Pointer, _ tier: DiskTier.Pointer) {
        let fill = diskFill.pointee.fill
        let name = fill.pointee.name
        let declared = fill.pointee.declaredBytes
        let beginning = tier.pointee.files.pointee.beginBlocking(
            name.bytes,
            hash: name.hash,
            meta: UnsafeRawBufferPointer(diskFill.pointee.meta),
            bodyCount: declared == .max ? nil : declared,
            keepUntil: diskFill.pointee.keepUntil
        )
        guard case .writer(let writer) = consume beginning else {
            note(tier)
            return fail(diskFill)
        }
        let descriptor = writer.duplicate()
        diskFill.pointee.bodyOffset = writer.bodyOffset
        diskFill.pointee.writer = writer.toOpaque()
        guard descriptor >= 0 else { return fail(diskFill) }
        diskFill.pointee.descriptor = descriptor
        diskFill.pointee.set(.begun)
        fill.locked {
            if fill.pointee.state == .fetching { fill.pointee.set(Fill.State.streaming) }
            fill.pointee.wakeAll()
        }
    }

    /// Writes a chain of blocks.
    private func write(
        _ diskFill: DiskFill.Pointer,
        _ chain: UnsafeMutableRawPointer,
        _ skipped: Int
    ) {
        guard let opaque = diskFill.pointee.writer else { return }
        let writer = DiskWriter(opaque: opaque)
        var skipped = skipped
        var isWritten = true
        var next: UnsafeMutableRawPointer? = chain
        while isWritten, let block = next {
            let bytes = UnsafeRawBufferPointer(rebasing: BlockChain.bytes(block)[skipped...])
            skipped = 0
            do throws(DiskWriter.WriteError) {
                try writer.writeBlocking(bytes)
            } catch {
                isWritten = false
            }
            next = BlockChain.next(block)
        }
        let count = writer.bodyCount
        _ = writer.toOpaque()
        guard isWritten else { return fail(diskFill) }
        diskFill.pointee.setWritten(count)
        let fill = diskFill.pointee.fill
        // Behind what was written: see `read`.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if fill.pointee.waiterCount.load(ordering: .relaxed) > 0 {
            fill.locked { fill.pointee.wakeAll() }
        }
    }

    /// It can't be stored; those who waited go on their own, those who read are cut.
    private func fail(_ diskFill: DiskFill.Pointer) {
        let fill = diskFill.pointee.fill
        diskFill.pointee.set(.failed)
        dropWriter(diskFill)
        metrics.refused[Int(Refusal.disk.rawValue) - 1].add()
        log(.disk, fill.pointee.name)
        fill.pointee.set(Fill.End.broken)
        store.pointee.fills.remove(fill)
        fill.locked {
            if fill.pointee.state == .fetching { fill.pointee.set(Fill.State.released) }
            fill.pointee.wakeAll()
        }
    }

    private func dropWriter(_ diskFill: DiskFill.Pointer) {
        guard let writer = diskFill.pointee.writer else { return }
        diskFill.pointee.writer = nil
        DiskWriter(opaque: writer).abortBlocking()
    }

    /// Ends a fetch that went to the disk.
    private func end(
        _ diskFill: DiskFill.Pointer,
        _ tier: DiskTier.Pointer,
        _ ending: DiskFill.Ending
    ) {
        let fill = diskFill.pointee.fill
        let isWhole = ending == .commit && diskFill.pointee.phase == .begun
        if isWhole {
            // Before it is found: who reads along goes on with the file.
            fill.pointee.set(Fill.End.complete)
            commit(diskFill, tier)
        } else {
            fill.pointee.set(Fill.End.broken)
            dropWriter(diskFill)
            metrics.fillsAborted.add()
        }
        endWriting(fill)
    }

    private func commit(_ diskFill: DiskFill.Pointer, _ tier: DiskTier.Pointer) {
        let fill = diskFill.pointee.fill
        let name = fill.pointee.name
        guard let opaque = diskFill.pointee.writer else { return }
        diskFill.pointee.writer = nil
        let writer = DiskWriter(opaque: opaque)
        if fill.pointee.isDoomed.load(ordering: .acquiring) {
            writer.abortBlocking()
            return metrics.refused[Int(Refusal.purged.rawValue) - 1].add()
        }
        if name.primaryCount < name.bytes.count { storeMarker(of: name, tier) }
        switch writer.commitBlocking() {
        case .stored:
            // What memory has of it is older.
            store.pointee.objects.remove(name.bytes, hash: name.hash)
            metrics.fills.add()
        case .superseded, .failed:
            metrics.refused[Int(Refusal.disk.rawValue) - 1].add()
            log(.disk, name)
            note(tier)
        }
        // One that came while it was stored: it looked for what was not there yet.
        if fill.pointee.isDoomed.load(ordering: .acquiring) {
            _ = try? tier.pointee.files.pointee.removeBlocking(hash: name.hash)
        }
    }

    /// Stores what says how the variants of an address differ, so that they are found when memory
    /// has lost it.
    private func storeMarker(of name: KeyName, _ tier: DiskTier.Pointer) {
        let primary = name.primary
        let hash = store.pointee.hash(primary)
        guard let pin = store.pointee.objects.peek(primary, hash: hash) else { return }
        let marker = ObjectRef(pin.bytes)
        guard marker.isMarker else { return }
        let files = tier.pointee.files
        if case .open(let entry) = files.pointee.openBlocking(primary, hash: hash),
            entry.staleSince == 0, let view = DiskHead.View(entry.meta),
            view.isMarker, view.epoch == marker.head.pointee.epoch
        {
            return
        }
        guard let meta = DiskHead.write(marker, rules: tier.pointee.rules) else { return }
        defer { cache_free(meta.baseAddress) }
        let beginning = files.pointee.beginBlocking(
            primary,
            hash: hash,
            meta: UnsafeRawBufferPointer(meta),
            bodyCount: 0
        )
        if case .writer(let writer) = consume beginning { _ = writer.commitBlocking() }
    }
}

extension DiskStore.OpenError {
    fileprivate var text: String {
        switch self {
        case .configuration: "a size is out of its range"
        case .disk(let error): error.text
        }
    }
}
