import CSluice
import Synchronization
import Sys

/// `sluice.shared/1`: tables by the name of their instance and their own, kept for the life of the
/// process.
public enum SharedTables {
    typealias Table = UnsafeMutablePointer<SharedTable>

    /// Tables of one instance.
    static let tablesPerInstanceMax = 64
    /// Bytes of a table's name.
    static let nameBytesMax = 64

    struct Owned: @unchecked Sendable {
        // Safe: tables are never freed, and made for many threads.
        var tables: [[UInt8]: Table] = [:]
    }

    /// Tables by the number of their instance's name.
    static let owners = Mutex<[UInt64: Owned]>([:])

    /// `open` of the ABI.
    static func open(
        _ handle: InstanceHandle,
        _ name: sluice_slice,
        capacity: UInt64,
        _ table: UnsafeMutablePointer<OpaquePointer?>
    ) -> Int32 {
        guard let bytes = name.ptr, 1...UInt64(nameBytesMax) ~= name.len,
            SharedTable.capacityRange.contains(capacity)
        else { return Int32(SLUICE_EINVAL) }
        let key = Array(UnsafeBufferPointer(start: bytes, count: Int(name.len)))
        let opened = owners.withLock { owners -> (result: Int, address: Int) in
            var owned = owners[handle.nameNumber] ?? Owned()
            if let known = owned.tables[key] {
                guard known.pointee.capacity >= Int(capacity),
                    known.pointee.capacity / 2 < Int(capacity)
                        || known.pointee.capacity == Int(SharedTable.capacityRange.lowerBound)
                else { return (SLUICE_EINVAL, 0) }
                return (SLUICE_OK, Int(bitPattern: known))
            }
            guard owned.tables.count < tablesPerInstanceMax,
                let made = SharedTable(capacity: capacity)
            else { return (SLUICE_ENOMEM, 0) }
            let place = Table.allocate(capacity: 1)
            place.initialize(to: made)
            owned.tables[key] = place
            owners[handle.nameNumber] = owned
            return (SLUICE_OK, Int(bitPattern: place))
        }
        if opened.result == SLUICE_OK {
            table.pointee = OpaquePointer(bitPattern: opened.address)
        }
        return Int32(opened.result)
    }

    /// The table of this name, made when there is none; nil when it can't be. [control]
    static func table(of owner: String, _ name: [UInt8], capacity: UInt64) -> Table? {
        guard 1...nameBytesMax ~= name.count, SharedTable.capacityRange.contains(capacity) else {
            return nil
        }
        let number = InstanceHandle.number(of: owner)
        let address = owners.withLock { owners -> Int in
            var owned = owners[number] ?? Owned()
            if let known = owned.tables[name] { return Int(bitPattern: known) }
            guard owned.tables.count < tablesPerInstanceMax,
                let made = SharedTable(capacity: capacity)
            else { return 0 }
            let place = Table.allocate(capacity: 1)
            place.initialize(to: made)
            owned.tables[name] = place
            owners[number] = owned
            return Int(bitPattern: place)
        }
        return Table(bitPattern: address)
    }

    // MARK: The table of functions

    /// `sluice.shared/1`.
    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_shared> = {
        let table = UnsafeMutablePointer<sluice_shared>.allocate(capacity: 1)
        table.initialize(to: sluice_shared())
        table.pointee.size = UInt32(MemoryLayout<sluice_shared>.size)
        table.pointee.open = { host, name, capacity, table in
            guard let host, let table else { return Int32(SLUICE_EINVAL) }
            return InstanceHandle.with(host) {
                SharedTables.open($0, name, capacity: capacity, table)
            }
        }
        table.pointee.hash128 = { bytes, key in
            let count = bytes.ptr == nil ? 0 : Int(bytes.len)
            let (low, high) = KeyedHash.process.hash(bytes.ptr, count)
            // Not both words 0: once in 2^128.
            key?.pointee = sluice_key(low: low | high == 0 ? 1 : low, high: high)
        }
        fillCounters(table)
        fillValues(table)
        return UnsafePointer(table)
    }()

    private static func fillCounters(_ functions: UnsafeMutablePointer<sluice_shared>) {
        functions.pointee.counter_add = { table, key, delta, ttl in
            guard let table, key.low | key.high != 0 else { return 0 }
            let now = Clock.monotonicNanoseconds()
            return Table(table).pointee.add(key, delta, ttl: ttl, now: now)
        }
        functions.pointee.counter_get = { table, key in
            guard let table, key.low | key.high != 0 else { return 0 }
            return Table(table).pointee.get(key, now: Clock.monotonicNanoseconds())
        }
        functions.pointee.bucket_take = { table, key, rate, burst, cost, answer in
            guard let table, let answer, key.low | key.high != 0,
                let bucket = TokenBucket(rate: rate, burst: burst), bucket.canHold(cost)
            else { return Int32(SLUICE_EINVAL) }
            let now = Clock.monotonicNanoseconds()
            answer.pointee = Table(table).pointee.take(key, bucket, cost: cost, now: now)
            return Int32(SLUICE_OK)
        }
    }

    private static func fillValues(_ functions: UnsafeMutablePointer<sluice_shared>) {
        functions.pointee.value_get = { table, key, to, capacity, length, version in
            guard let table, key.low | key.high != 0 else { return Int32(SLUICE_EINVAL) }
            let got = Table(table).pointee.values.get(
                key,
                into: UnsafeMutableBufferPointer(
                    start: to,
                    count: to == nil ? 0 : Int(clamping: capacity)
                ),
                now: Clock.monotonicNanoseconds()
            )
            length?.pointee = got.length
            version?.pointee = got.version
            return got.result
        }
        functions.pointee.value_set = { table, key, value, expected, ttl, version in
            guard let table, key.low | key.high != 0, value.ptr != nil || value.len == 0,
                value.len <= UInt64(SharedValues.bytesMax)
            else { return Int32(SLUICE_EINVAL) }
            let set = Table(table).pointee.values.set(
                key,
                UnsafeRawBufferPointer(start: value.ptr, count: Int(value.len)),
                expected: expected,
                ttl: ttl,
                now: Clock.monotonicNanoseconds()
            )
            version?.pointee = set.version
            return set.result
        }
    }
}
