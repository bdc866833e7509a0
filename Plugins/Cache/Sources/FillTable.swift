import CCache
import SluiceSDK
import Synchronization
import TinyUFO

/// All fills, by key: what makes one request of many that want the same.
///
/// In parts, each with a lock that is held for a few steps; a hit never comes here.
struct FillTable: BitwiseCopyable {
    private static let partCount = 64
    private static let bucketCount = 64

    private struct Part {
        let lock: WriteLock
        let buckets: UnsafeMutablePointer<Fill.Pointer?>
    }

    private let parts: UnsafeMutablePointer<Part>
    private let counter: UnsafeMutablePointer<Atomic<Int>>

    /// - Returns: nil when there is no memory.
    init?() {
        parts = .allocate(capacity: Self.partCount)
        counter = .allocate(capacity: 1)
        counter.initialize(to: Atomic(0))
        for index in 0..<Self.partCount {
            guard let lock = WriteLock() else { return nil }
            let buckets = UnsafeMutablePointer<Fill.Pointer?>.allocate(capacity: Self.bucketCount)
            buckets.initialize(repeating: nil, count: Self.bucketCount)
            (parts + index).initialize(to: Part(lock: lock, buckets: buckets))
        }
    }

    /// Nobody uses it any more.
    func destroy() {
        counter.deallocate()
        for index in 0..<Self.partCount {
            parts[index].lock.destroy()
            parts[index].buckets.deallocate()
        }
        parts.deallocate()
    }

    private func part(_ hash: UInt64) -> Part {
        parts[Int(truncatingIfNeeded: hash >> 8) & (Self.partCount - 1)]
    }

    private func bucket(_ hash: UInt64) -> UnsafeMutablePointer<Fill.Pointer?> {
        part(hash).buckets + (Int(truncatingIfNeeded: hash) & (Self.bucketCount - 1))
    }

    /// The fill of a key, with a reference for the caller.
    func find(_ name: KeyName) -> Fill.Pointer? {
        let lock = part(name.hash).lock
        lock.lock()
        defer { lock.unlock() }
        return search(name)
    }

    private func search(_ name: KeyName) -> Fill.Pointer? {
        var place = bucket(name.hash).pointee
        while let fill = place {
            if fill.pointee.hash == name.hash, name.matches(fill.pointee.name.bytes) {
                fill.pointee.retain()
                return fill
            }
            place = fill.pointee.next
        }
        return nil
    }

    /// Puts a fill under its key if there is none.
    ///
    /// - Returns: the one that is there, with a reference for the caller; nil when it was put.
    func insert(_ fill: Fill.Pointer) -> Fill.Pointer? {
        let name = fill.pointee.name
        let lock = part(name.hash).lock
        lock.lock()
        defer { lock.unlock() }
        if let other = search(name) { return other }
        let bucket = bucket(name.hash)
        fill.pointee.retain()
        fill.pointee.next = bucket.pointee
        fill.pointee.isTabled = true
        bucket.pointee = fill
        counter.pointee.wrappingAdd(1, ordering: .relaxed)
        return nil
    }

    /// Takes a fill out if it is there.
    func remove(_ fill: Fill.Pointer) {
        let lock = part(fill.pointee.hash).lock
        lock.lock()
        let isThere = fill.pointee.isTabled
        if isThere {
            fill.pointee.isTabled = false
            let bucket = bucket(fill.pointee.hash)
            if bucket.pointee == fill {
                bucket.pointee = fill.pointee.next
            } else {
                var place = bucket.pointee
                while let before = place, before.pointee.next != fill {
                    place = before.pointee.next
                }
                place?.pointee.next = fill.pointee.next
            }
            fill.pointee.next = nil
            counter.pointee.wrappingSubtract(1, ordering: .relaxed)
        }
        lock.unlock()
        if isThere { fill.release() }
    }

    /// Whether there is none.
    var isEmpty: Bool { counter.pointee.load(ordering: .relaxed) == 0 }

    /// Shows all fills; must not call the table.
    func forEach(_ body: (Fill.Pointer) -> Void) {
        if isEmpty { return }
        for index in 0..<Self.partCount {
            let part = parts[index]
            part.lock.lock()
            for bucket in 0..<Self.bucketCount {
                var place = part.buckets[bucket]
                while let fill = place {
                    body(fill)
                    place = fill.pointee.next
                }
            }
            part.lock.unlock()
        }
    }
}

/// Keys whose responses could not be stored, so that nobody waits for the next one: a bounded table
/// of hashes, in which a newer key takes an older one's place.
struct Predictor: BitwiseCopyable {
    /// Places.
    static let capacity = 16_384

    private let words: UnsafeMutablePointer<UInt64>

    /// - Returns: nil when there is no memory.
    init?() {
        guard let memory = cache_zeroed(Self.capacity * 8) else { return nil }
        words = memory.bindMemory(to: UInt64.self, capacity: Self.capacity)
    }

    func destroy() { cache_free(words) }

    func contains(_ hash: UInt64) -> Bool { word(hash).pointee.load(ordering: .relaxed) == hash }

    func insert(_ hash: UInt64) { word(hash).pointee.store(hash, ordering: .relaxed) }

    func remove(_ hash: UInt64) {
        if contains(hash) { word(hash).pointee.store(0, ordering: .relaxed) }
    }

    private func word(_ hash: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // Safe: the index is below `capacity`, and the words are used as atomics alone.
        let index = Int(truncatingIfNeeded: hash >> 20) & (Self.capacity - 1)
        return UnsafeMutableRawPointer(words + index)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
