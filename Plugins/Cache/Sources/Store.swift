import CCache
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

/// What instances have in common that follow each other: objects, fills, and what can't be stored.
///
/// Counted by reference and free of classes, so that another image of this library can go on with
/// it: `layout` says whether it may.
struct Store: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<Store>

    /// Changes whenever the meaning of something in a store does.
    static let version: UInt64 = 2

    /// What the memory of a store looks like to this image.
    static var layout: UInt64 {
        var word = version
        for size in [
            MemoryLayout<Store>.size, MemoryLayout<ObjectHead>.size, MemoryLayout<Fill>.size,
            MemoryLayout<Waiter>.size, MemoryLayout<Reader>.size, MemoryLayout<Along>.size,
            MemoryLayout<TinyUFO>.size,
        ] {
            word = (word &+ UInt64(size)) &* 0x9e37_79b9_7f4a_7c15
        }
        return word
    }

    private let references = Atomic<Int>(1)
    /// No other store of this process has it.
    let number: UInt64
    let hash: KeyHash
    let objects: TinyUFO
    let fills: FillTable
    let predictor: Predictor
    /// Bytes of memory that it was made for.
    let memoryBytes: Int
    let workerCount: Int
    /// Of the rules that keys are made by: with other rules a key means something else.
    let rules: UInt64
    /// Bytes of all fills now.
    let fillBytes = Atomic<Int>(0)

    /// - Throws: what of the configuration is out of its range.
    static func make(
        memoryBytes: Int,
        workerCount: Int,
        rules: UInt64,
        seed: (UInt64, UInt64)
    ) throws(PluginError) -> Pointer {
        let configuration = TinyUFO.Configuration(
            memoryBytes: memoryBytes,
            workerCount: workerCount
        )
        let objects: TinyUFO
        do throws(TinyUFO.ConfigurationError) {
            objects = try TinyUFO(configuration)
        } catch {
            throw PluginError(
                path: "memory",
                error == .noMemory ? "there is not as much memory" : "not a size for a cache"
            )
        }
        guard let fills = FillTable(), let predictor = Predictor() else {
            throw PluginError(path: "memory", "there is not as much memory")
        }
        let store = Pointer.allocate(capacity: 1)
        store.initialize(
            to: Store(
                objects,
                fills,
                predictor,
                hash: KeyHash(low: seed.0, high: seed.1),
                sizes: (memoryBytes, workerCount),
                rules: rules
            )
        )
        return store
    }

    private static let numbers = Atomic<UInt64>(0)

    private init(
        _ objects: consuming TinyUFO,
        _ fills: FillTable,
        _ predictor: Predictor,
        hash: KeyHash,
        sizes: (memory: Int, workers: Int),
        rules: UInt64
    ) {
        self.objects = objects
        self.fills = fills
        self.predictor = predictor
        self.hash = hash
        number = Self.numbers.wrappingAdd(1, ordering: .relaxed).newValue ^ cache_random()
        memoryBytes = sizes.memory
        workerCount = sizes.workers
        self.rules = rules
    }

    deinit {
        fills.destroy()
        predictor.destroy()
    }

    func retain() { references.wrappingAdd(1, ordering: .relaxed) }

    fileprivate func drop() -> Bool {
        references.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0
    }

    /// Bytes of all fills at most: what has not been stored yet must not outgrow what has.
    var fillBytesMax: Int { memoryBytes / 2 }

    /// Counts bytes of a fill that are about to be allocated.
    ///
    /// - Returns: whether there is room.
    func reserve(_ bytes: Int, for fill: Fill.Pointer) -> Bool {
        let sum = fillBytes.wrappingAdd(bytes, ordering: .relaxed).newValue
        guard sum <= fillBytesMax else {
            fillBytes.wrappingSubtract(bytes, ordering: .relaxed)
            return false
        }
        fill.pointee.countedBytes += bytes
        return true
    }

    /// Counts what a fill keeps that can't be stored: it is small, and there is no other way.
    func count(_ bytes: Int, of fill: Fill.Pointer) {
        fillBytes.wrappingAdd(bytes, ordering: .relaxed)
        fill.pointee.countedBytes += bytes
    }

    func unreserve(_ fill: Fill.Pointer) {
        fillBytes.wrappingSubtract(fill.pointee.countedBytes, ordering: .relaxed)
        fill.pointee.countedBytes = 0
    }
}

extension UnsafeMutablePointer where Pointee == Store {
    /// Gives a reference up; the last one frees all.
    func release() {
        guard pointee.drop() else { return }
        deinitialize(count: 1)
        deallocate()
    }
}
