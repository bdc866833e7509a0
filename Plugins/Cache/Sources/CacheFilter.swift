import CCache
import CSluice
import CacheDisk
import CachePolicy
package import SluiceSDK
import Synchronization
import TinyUFO

/// Keeps responses in memory and answers from them (RFC 9111).
package struct CacheFilter: ResponseCache, RequestEndHook, UpstreamResponseHook, HandoverPlugin,
    WorkHook, ~Copyable
{
    package static let id: StaticString = "org.sluice.cache"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString = "Keeps responses in memory and answers from them."
    package static var needs: HostTables { [.http] }

    /// What one request has.
    package struct Context: BitwiseCopyable {
        var waiter: Waiter
        /// What it fetches, with a reference; nil when it fetches nothing.
        var fill: Fill.Pointer?
        /// `Held.toOpaque` of the object that it validates.
        var stale: UnsafeMutableRawPointer?
        /// When waiting must end; 0 before it began.
        var waitUntil: UInt64
        /// When the first lookup was.
        var startedAt: UInt64
        /// `CacheStatusText.Forward`, 0 for none.
        var forward: UInt8
        /// `Bypass`.
        var bypass: UInt8
        /// Whether a response that is no error makes what is stored invalid.
        var invalidates: Bool
        /// Whether it waited for a fetch of another request.
        var hasWaited: Bool
        /// Whether it has searched again, as another fetch ended meanwhile.
        var hasLookedTwice: Bool
        /// Whether a request in the background was begun for it.
        var hasFetched: Bool
        /// Whether it fetches without the lock.
        var isUnlocked: Bool
        /// Whether the disk had what it orders to forget.
        var isPurged: Bool
        /// Attempts to have a file of the disk opened.
        var openings: UInt8
        /// Whether the stale object may be served if the origin fails.
        var mayServeOnError: Bool
    }

    /// What one worker has: memory for keys, lists and texts, and readers.
    package struct Worker {
        let index: Int
        let memory: WorkerMemory
        let readers: UnsafeMutablePointer<ReaderPool>
        let loads: UnsafeMutablePointer<LoadPool>
        let primary: UnsafeMutablePointer<UInt8>
        let variant: UnsafeMutablePointer<UInt8>
        let names: UnsafeMutablePointer<UInt8>
        let text: UnsafeMutablePointer<UInt8>
        let fields: UnsafeMutablePointer<sluice_field>
        var evicted = 0
    }

    /// Owns it.
    final class WorkerMemory {
        let bytes: UnsafeMutableRawPointer
        let readers: UnsafeMutablePointer<ReaderPool>
        let loads: UnsafeMutablePointer<LoadPool>

        init(_ count: Int) {
            bytes = .allocate(byteCount: count, alignment: 16)
            readers = .allocate(capacity: 1)
            readers.initialize(to: ReaderPool())
            loads = .allocate(capacity: 1)
            loads.initialize(to: LoadPool())
        }

        deinit {
            readers.pointee.destroy()
            readers.deallocate()
            loads.pointee.destroy()
            loads.deallocate()
            bytes.deallocate()
        }
    }

    package enum Work: UInt8, BitwiseCopyable {
        case measure
    }

    let configuration: CacheConfiguration
    let host: Host
    let metrics: CacheMetrics
    /// The store's address, which `importState` or `warm` sets before any worker starts.
    let place: UnsafeMutablePointer<Place>
    private let scheduler: Scheduler<CacheFilter>
    let jobs: Jobs<CacheFilter>
    /// Jobs that run tasks of the disk now.
    let jobCount: UnsafeMutablePointer<Atomic<Int>>
    let sets = FieldSets()
    private let inPlace = InPlace()

    /// Fields that most requests don't have, made once: a set of a literal costs some fifty
    /// instructions.
    struct FieldSets {
        /// They say how a request is to be treated.
        let unusual: FieldIDSet = [.ifMatch, .ifUnmodifiedSince, .secWebsocketKey]
        let control: FieldIDSet = [.cacheControl, .pragma]
        let conditional: FieldIDSet = [.range, .ifNoneMatch, .ifModifiedSince]
    }

    /// What an instance owns that changes while it is handed over, on the control thread.
    struct Place: BitwiseCopyable {
        /// Nil until it is made, or handed over.
        var store: Store.Pointer?
        /// Who makes it.
        let lock: WriteLock
        /// A hand-over that was written.
        var handOver: HandOverSlot?
    }

    var store: Store.Pointer { place.pointee.store.unsafelyUnwrapped }

    package init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        let configuration = try CacheConfiguration(value, host)
        let metrics = try CacheMetrics(host)
        guard let lock = WriteLock() else { throw PluginError("there is no memory") }
        self.configuration = configuration
        self.host = host
        self.metrics = metrics
        scheduler = Scheduler(host)
        jobs = Jobs(host)
        jobCount = .allocate(capacity: 1)
        jobCount.initialize(to: Atomic(0))
        place = .allocate(capacity: 1)
        place.initialize(to: Place(store: nil, lock: lock, handOver: nil))
    }

    deinit {
        // A hand-over that nobody took.
        place.pointee.handOver?.take()?.release()
        place.pointee.store?.release()
        place.pointee.lock.destroy()
        place.deallocate()
        jobCount.deallocate()
    }

    private static let textBytes = 512

    package func makeWorker(_ index: Int) -> Worker {
        // A host that hands nothing over need not have called `warm`.
        do throws(PluginError) { try makeStore() } catch { fatalError(error.line) }
        if index == 0 {
            _ = try? scheduler.every(nanoseconds: 1_000_000_000, .measure)
            tick()
        }
        let fieldBytes = ObjectHead.fieldsMax * MemoryLayout<sluice_field>.stride
        let keyBytes = KeyRules.byteCountMax
        let memory = WorkerMemory(
            fieldBytes + 2 * keyBytes + Variance.nameBytesMax + Self.textBytes
        )
        // Safe: the pieces follow each other in memory that was allocated for all of them.
        let bytes = (memory.bytes + fieldBytes).assumingMemoryBound(to: UInt8.self)
        return Worker(
            index: index,
            memory: memory,
            readers: memory.readers,
            loads: memory.loads,
            primary: bytes,
            variant: bytes + keyBytes,
            names: bytes + 2 * keyBytes,
            text: bytes + 2 * keyBytes + Variance.nameBytesMax,
            fields: memory.bytes.bindMemory(
                to: sluice_field.self,
                capacity: ObjectHead.fieldsMax
            )
        )
    }

    package func perform(_ work: Work, on worker: inout Worker) {
        let statistics = store.pointee.objects.statistics
        metrics.bytes.set(statistics.weight)
        metrics.objects.set(statistics.objects)
        metrics.fillBytes.set(store.pointee.fillBytes.load(ordering: .relaxed))
        if statistics.evicted > worker.evicted {
            metrics.evictions.add(statistics.evicted - worker.evicted)
        }
        worker.evicted = statistics.evicted
        tick()
    }

    // MARK: A request's beginning and end

    package func requestEnd(_ exchange: borrowing Exchange<CacheFilter>) {
        let context = exchange.contextPointer
        endWait(context)
        if context.pointee.fill != nil { giveUp(context) }
        dropStale(context)
    }

    /// Takes a request out of the list that it waits in, and hands on what it inherited.
    func endWait(_ context: UnsafeMutablePointer<Context>) {
        guard let fill = context.pointee.waiter.fill else { return }
        let waiter = CacheFilter.waiter(of: context)
        fill.locked {
            fill.pointee.unlink(waiter)
            if waiter.pointee.isHeir, fill.pointee.state == .vacant {
                waiter.pointee.isHeir = false
                if !fill.pointee.wakeHeir() { fill.pointee.set(.over) }
            }
        }
        waiter.pointee.fill = nil
        waiter.pointee.isHeir = false
        if fill.pointee.state == .over { store.pointee.fills.remove(fill) }
        fill.release()
    }

    static func waiter(
        of context: UnsafeMutablePointer<Context>
    ) -> UnsafeMutablePointer<Waiter> {
        // The address of a member of memory that stays where it is.
        withUnsafeMutablePointer(to: &context.pointee.waiter) { $0 }
    }

    func dropStale(_ context: UnsafeMutablePointer<Context>) {
        guard let stale = context.pointee.stale else { return }
        context.pointee.stale = nil
        _ = Held(opaque: stale)
    }

    // MARK: Fills that come to nothing

    /// The fetch of a request has failed: another one that waits takes the lock.
    func giveUp(_ context: UnsafeMutablePointer<Context>) {
        guard let fill = context.pointee.fill else { return }
        context.pointee.fill = nil
        fill.locked {
            fill.pointee.set(fill.pointee.firstWaiter == nil ? .over : .vacant)
            if fill.pointee.state == .vacant, !fill.pointee.wakeHeir() { fill.pointee.set(.over) }
        }
        if fill.pointee.state == .over { store.pointee.fills.remove(fill) }
        fill.release()
    }

    /// What came can't be stored, or an answer is there already: all that wait go on.
    ///
    /// - Parameter state: `released` when each fetches on its own.
    func end(_ context: UnsafeMutablePointer<Context>, _ state: Fill.State) {
        guard let fill = context.pointee.fill else { return }
        context.pointee.fill = nil
        store.pointee.fills.remove(fill)
        fill.locked {
            fill.pointee.set(state)
            fill.pointee.wakeAll()
        }
        fill.release()
    }
}

extension CacheConfiguration {
    /// Of the rules that keys are made by.
    var rules: UInt64 { key.fingerprint(KeyHash(low: 0x5375_6c69, high: 0x6361_6368)) }

    /// What a tier on the disk is made of; nil without one.
    var diskTier: (settings: DiskTier.Settings, path: Bytes)? {
        guard let disk, !disk.path.isEmpty else { return nil }
        let settings = DiskTier.Settings(
            size: UInt64(disk.size),
            bodyBytesMax: min(UInt64(objectBytesMax), DiskStore.bodyBytesLimit),
            openFilesMax: disk.openFilesMax,
            sync: disk.sync
        )
        return (settings, disk.path)
    }
}
