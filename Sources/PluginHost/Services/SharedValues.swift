import CSluice
import Synchronization
import Sys

/// Small values that all workers share, by a key of 128 bits: shards, each under a lock.
///
/// A shard is laid out as a `SharedTable` is: within a window, before the first slot that was never
/// used, and the entry that expires first makes room.
struct SharedValues: ~Copyable {
    /// Bytes of a value.
    static let bytesMax = 1_024
    /// The version that stands for "whatever is there".
    static let anyVersion = UInt64.max
    private static let shardsMax = 16
    private static let window = 32

    private struct Entry {
        var isUsed = false
        var key = sluice_key()
        /// Nil while there is no value.
        var bytes: UnsafeMutableRawPointer?
        var length = 0
        var version: UInt64 = 0
        /// Nanoseconds of the monotonic clock; `.max` for never.
        var expiry = UInt64.max
    }

    /// The slots of a shard, made when the first value is set.
    private struct Slots: @unchecked Sendable {
        // Safe: used under the shard's lock alone.
        var entries: UnsafeMutablePointer<Entry>?
        var lastVersion: UInt64 = 0
    }

    private final class Shard: Sendable {
        let slots = Mutex(Slots())
    }

    private let shards: [Shard]
    private let slotsPerShard: Int
    private let hash = KeyedHash.process

    init(capacity: Int) {
        let count = max(1, min(Self.shardsMax, capacity / 64))
        shards = (0..<count).map { _ in Shard() }
        slotsPerShard = capacity / count * SharedTable.slotsPerEntry
    }

    deinit {
        for shard in shards {
            let count = slotsPerShard
            shard.slots.withLock { slots in
                guard let entries = slots.entries else { return }
                for index in 0..<count {
                    if let bytes = entries[index].bytes { Memory.free(bytes) }
                }
                Memory.free(UnsafeMutableRawPointer(entries))
            }
        }
    }

    /// The shard of a key and the first slot of its window.
    private func place(_ key: sluice_key) -> (Shard, Int) {
        let word = hash.spread(key.low, key.high)
        let shard = Int(truncatingIfNeeded: word >> 48) % shards.count
        return (shards[shard], Int(truncatingIfNeeded: word & 0xffff_ffff) % slotsPerShard)
    }

    /// The slot of a key; nil when it has none.
    private func find(
        _ key: sluice_key,
        _ entries: UnsafeMutablePointer<Entry>,
        at start: Int
    ) -> UnsafeMutablePointer<Entry>? {
        for offset in 0..<Self.window {
            let entry = entries + (start + offset) % slotsPerShard
            guard entry.pointee.isUsed else { return nil }
            if entry.pointee.key.low == key.low, entry.pointee.key.high == key.high,
                entry.pointee.bytes != nil
            {
                return entry
            }
        }
        return nil
    }

    /// `value_get` of the ABI.
    func get(
        _ key: sluice_key,
        into to: UnsafeMutableBufferPointer<UInt8>,
        now: UInt64
    ) -> (result: Int32, length: UInt64, version: UInt64) {
        let (shard, start) = place(key)
        return shard.slots.withLock { slots in
            guard let entries = slots.entries, let entry = find(key, entries, at: start),
                entry.pointee.expiry > now, let bytes = entry.pointee.bytes
            else { return (Int32(SLUICE_ESTALE), 0, 0) }
            let length = entry.pointee.length
            guard length <= to.count else {
                return (Int32(SLUICE_EAGAIN), UInt64(length), entry.pointee.version)
            }
            UnsafeMutableRawBufferPointer(to).baseAddress?.copyMemory(
                from: bytes,
                byteCount: length
            )
            return (Int32(SLUICE_OK), UInt64(length), entry.pointee.version)
        }
    }

    /// `value_set`; the new version, 0 when the value was removed.
    func set(
        _ key: sluice_key,
        _ value: UnsafeRawBufferPointer,
        expected: UInt64,
        ttl: UInt64,
        now: UInt64
    ) -> (result: Int32, version: UInt64) {
        let (shard, start) = place(key)
        return shard.slots.withLock { slots in
            guard let entries = slots.entries ?? makeEntries() else {
                return (Int32(SLUICE_ENOMEM), 0)
            }
            slots.entries = entries
            let known = find(key, entries, at: start)
            if let known, known.pointee.expiry <= now { clear(known) }
            let version = known?.pointee.bytes == nil ? 0 : known?.pointee.version ?? 0
            guard expected == Self.anyVersion || expected == version else {
                return (Int32(SLUICE_ESTALE), version)
            }
            if value.isEmpty {
                if let known { clear(known) }
                return (Int32(SLUICE_OK), 0)
            }
            guard let bytes = Memory.allocate(value.count), let from = value.baseAddress else {
                return (Int32(SLUICE_ENOMEM), version)
            }
            bytes.copyMemory(from: from, byteCount: value.count)
            let entry = known ?? victim(entries, at: start, now: now)
            clear(entry)
            slots.lastVersion += 1
            entry.pointee = Entry(
                isUsed: true,
                key: key,
                bytes: bytes,
                length: value.count,
                version: slots.lastVersion,
                expiry: ttl == 0 ? .max : now.addingSaturating(ttl)
            )
            return (Int32(SLUICE_OK), slots.lastVersion)
        }
    }

    /// All live values.
    func moved() -> [Moved] {
        let now = Clock.monotonicNanoseconds()
        let count = slotsPerShard
        return shards.flatMap { shard in
            shard.slots.withLock { slots -> [Moved] in
                guard let entries = slots.entries else { return [] }
                return (0..<count).compactMap { index in
                    let entry = entries[index]
                    guard let bytes = entry.bytes, entry.expiry > now else { return nil }
                    return Moved(
                        key: SharedTable.Moved.Key(low: entry.key.low, high: entry.key.high),
                        bytes: Array(UnsafeRawBufferPointer(start: bytes, count: entry.length)),
                        expiry: entry.expiry
                    )
                }
            }
        }
    }

    private func makeEntries() -> UnsafeMutablePointer<Entry>? {
        // Safe: zeroes are an entry that is not used.
        Memory.zeroed(slotsPerShard * MemoryLayout<Entry>.stride)?
            .bindMemory(to: Entry.self, capacity: slotsPerShard)
    }

    private func clear(_ entry: UnsafeMutablePointer<Entry>) {
        if let bytes = entry.pointee.bytes { Memory.free(bytes) }
        entry.pointee.bytes = nil
    }

    /// A slot without a value, or that of the entry which expires first.
    private func victim(
        _ entries: UnsafeMutablePointer<Entry>,
        at start: Int,
        now: UInt64
    ) -> UnsafeMutablePointer<Entry> {
        var best = entries + start
        for offset in 0..<Self.window {
            let entry = entries + (start + offset) % slotsPerShard
            if entry.pointee.bytes == nil || entry.pointee.expiry <= now { return entry }
            if entry.pointee.expiry < best.pointee.expiry { best = entry }
        }
        return best
    }
}
