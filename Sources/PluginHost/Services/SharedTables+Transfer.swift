import CSluice
import Synchronization
import Sys

/// Shared tables on their way to the process that takes this one's place.
///
/// Both count for a while: first all entries move, and once the old process has no request left,
/// what it has counted since. Times are of the monotonic clock, which both have in common.
extension SharedTables {
    /// What was exported first: to know later what has changed.
    private static let exported = Mutex<[UInt64: [SharedTable.Moved]]>([:])

    /// All tables; the first of the two calls. [control]
    public static func exportAll() -> [UInt8] {
        var writer = StateWriter()
        let key = KeyedHash.process.words
        writer.number(key.0)
        writer.number(key.1)
        writer.number(TokenBucket.epochNanoseconds)
        let tables = all
        writer.number(UInt64(tables.count))
        var first: [UInt64: [SharedTable.Moved]] = [:]
        for one in tables {
            let moved = one.table.pointee.moved()
            first[UInt64(UInt(bitPattern: one.table))] = moved
            write(one, moved, one.table.pointee.values.moved(), to: &writer)
        }
        exported.withLock { $0 = first }
        return writer.bytes
    }

    /// What has been counted since `exportAll`. [control]
    public static func exportRest() -> [UInt8] {
        var writer = StateWriter()
        let tables = all
        writer.number(UInt64(tables.count))
        for one in tables {
            let before = exported.withLock { $0[UInt64(UInt(bitPattern: one.table))] ?? [] }
            var known: [SharedTable.Moved.Key: UInt64] = [:]
            for entry in before { known[entry.key] = entry.value }
            let changed = one.table.pointee.moved().compactMap { entry -> SharedTable.Moved? in
                guard entry.value != known[entry.key] else { return nil }
                var entry = entry
                if !entry.isBucket { entry.value &-= known[entry.key] ?? 0 }
                return entry
            }
            write(one, changed, [], to: &writer)
        }
        return writer.bytes
    }

    /// Takes what another process exported first: before any plugin is made, as a rule.
    ///
    /// - Returns: false for bytes that are none of that; some of it may have been taken. [control]
    public static func importAll(_ bytes: [UInt8]) -> Bool {
        var reader = StateReader(bytes)
        guard let low = reader.number(), let high = reader.number(), let epoch = reader.number()
        else { return false }
        KeyedHash.inherit((low, high))
        TokenBucket.inherit(epoch: epoch)
        return read(&reader) { table, entry, now in table.pointee.put(entry, now: now) }
    }

    /// Adds what another process counted last. [control]
    public static func importRest(_ bytes: [UInt8]) -> Bool {
        var reader = StateReader(bytes)
        return read(&reader) { table, entry, now in table.pointee.add(entry, now: now) }
    }

    // MARK: Bytes

    private struct Named: @unchecked Sendable {
        // Safe: tables are never freed.
        var owner: String
        var name: [UInt8]
        var table: Table
    }

    private static var all: [Named] {
        let names = InstanceHandle.namesByNumber
        return owners.withLock { owners in
            owners.flatMap { number, owned in
                owned.tables.map { Named(owner: names[number] ?? "", name: $0, table: $1) }
            }
        }
    }

    private static func write(
        _ one: Named,
        _ entries: [SharedTable.Moved],
        _ values: [SharedValues.Moved],
        to writer: inout StateWriter
    ) {
        writer.text(one.owner)
        writer.run(one.name)
        writer.number(UInt64(one.table.pointee.capacity))
        writer.number(UInt64(entries.count))
        for entry in entries {
            writer.number(entry.isBucket ? 1 : 0)
            writer.number(entry.key.low)
            writer.number(entry.key.high)
            writer.number(entry.value)
            writer.number(entry.expiry)
        }
        writer.number(UInt64(values.count))
        for value in values {
            writer.number(value.key.low)
            writer.number(value.key.high)
            writer.number(value.expiry)
            writer.run(value.bytes)
        }
    }

    private static func read(
        _ reader: inout StateReader,
        _ take: (Table, SharedTable.Moved, UInt64) -> Void
    ) -> Bool {
        let now = Clock.monotonicNanoseconds()
        guard let tables = reader.number() else { return false }
        for _ in 0..<tables {
            guard let owner = reader.text(), let name = reader.run(),
                let capacity = reader.number(), let count = reader.number(),
                let table = table(of: owner, name, capacity: capacity)
            else { return false }
            for _ in 0..<count {
                guard let kind = reader.number(), kind <= 1, let low = reader.number(),
                    let high = reader.number(), low | high != 0, let value = reader.number(),
                    let expiry = reader.number()
                else { return false }
                let entry = SharedTable.Moved(
                    isBucket: kind == 1,
                    key: SharedTable.Moved.Key(low: low, high: high),
                    value: value,
                    expiry: expiry
                )
                take(table, entry, now)
            }
            guard readValues(&reader, table, now) else { return false }
        }
        return reader.isAtEnd
    }

    private static func readValues(
        _ reader: inout StateReader,
        _ table: Table,
        _ now: UInt64
    ) -> Bool {
        guard let count = reader.number() else { return false }
        for _ in 0..<count {
            guard let low = reader.number(), let high = reader.number(), low | high != 0,
                let expiry = reader.number(), let bytes = reader.run(),
                1...SharedValues.bytesMax ~= bytes.count
            else { return false }
            guard expiry > now else { continue }
            _ = bytes.withUnsafeBytes { bytes in
                table.pointee.values.set(
                    sluice_key(low: low, high: high),
                    bytes,
                    expected: 0,
                    ttl: expiry == .max ? 0 : expiry - now,
                    now: now
                )
            }
        }
        return true
    }
}

extension SharedTable {
    /// An entry on its way to another process.
    struct Moved: Sendable {
        struct Key: Hashable, Sendable {
            var low: UInt64
            var high: UInt64
        }

        var isBucket: Bool
        var key: Key
        /// Of a counter its value, or how much it has grown; of a bucket its state.
        var value: UInt64
        /// In units of 2^20 ns; 0 for never.
        var expiry: UInt64
    }

    /// All live entries, each as it was at some moment of the call.
    func moved() -> [Moved] {
        let now = Clock.monotonicNanoseconds()
        var entries: [Moved] = []
        forEachLive(now: now) { head, low, high, value in
            entries.append(
                Moved(
                    isBucket: head & Head.stateMask == Head.bucket,
                    key: Moved.Key(low: low, high: high),
                    value: value,
                    expiry: head >> Head.expiryShift
                )
            )
        }
        return entries
    }

    /// Makes an entry that was moved here, unless its time is over.
    func put(_ entry: Moved, now: UInt64) {
        guard let ttl = Self.timeLeft(entry, now) else { return }
        let key = sluice_key(low: entry.key.low, high: entry.key.high)
        if entry.isBucket {
            raiseBucket(key, to: entry.value, now: now)
        } else {
            _ = add(key, Int64(bitPattern: entry.value), ttl: ttl, now: now)
        }
    }

    /// Adds what another process counted to an entry.
    func add(_ entry: Moved, now: UInt64) { put(entry, now: now) }

    /// Nanoseconds until an entry expires, 0 for never; nil when it has.
    private static func timeLeft(_ entry: Moved, _ now: UInt64) -> UInt64? {
        guard entry.expiry != 0 else { return 0 }
        let end = entry.expiry << Head.timeShift
        return end > now ? end - now : nil
    }
}

extension SharedValues {
    /// A value on its way to another process.
    struct Moved: Sendable {
        var key: SharedTable.Moved.Key
        var bytes: [UInt8]
        /// Nanoseconds of the monotonic clock; `.max` for never.
        var expiry: UInt64
    }
}
