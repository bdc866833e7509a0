public import CSluice

/// A key of what workers share: 128 bits, as a rule the hash of some bytes.
public struct SharedKey: Equatable, Sendable, BitwiseCopyable {
    @usableFromInline let key: sluice_key

    /// A key of the plugin's own making; not both words 0.
    public init(low: UInt64, high: UInt64) { key = sluice_key(low: low, high: high) }

    @usableFromInline init(_ key: sluice_key) { self.key = key }

    /// The lower 64 bits.
    @inlinable public var low: UInt64 { key.low }

    /// The upper 64 bits.
    @inlinable public var high: UInt64 { key.high }

    /// Whether both are the same.
    public static func == (left: SharedKey, right: SharedKey) -> Bool {
        left.key.low == right.key.low && left.key.high == right.key.high
    }
}

/// What the three kinds of tables have in common.
@usableFromInline
struct SharedTable: BitwiseCopyable {
    // Nil while a configuration is checked.
    @usableFromInline let shared: UnsafePointer<sluice_shared>?
    @usableFromInline let table: OpaquePointer?

    init(_ host: Host, _ name: Bytes, _ capacity: Int) throws(PluginError) {
        guard let services = host.services else {
            shared = nil
            table = nil
            return
        }
        guard let shared = services.pointee.shared else {
            throw PluginError("the host has no sluice.shared/1")
        }
        var table: OpaquePointer?
        let result = shared.pointee.open(
            services.pointee.handle,
            name.slice,
            UInt64(max(capacity, 0)),
            &table
        )
        switch result {
        case Int32(SLUICE_OK): break
        case Int32(SLUICE_EINVAL):
            throw PluginError(
                "table \(String(name)): it has another capacity already, or \(capacity) is not "
                    + "within 64 to 16777216"
            )
        default: throw PluginError("table \(String(name)): no memory for \(capacity) entries")
        }
        self.shared = shared
        self.table = table
    }

    @usableFromInline
    func key(of bytes: Bytes) -> SharedKey {
        var key = sluice_key(low: 1, high: 0)
        shared?.pointee.hash128(bytes.slice, &key)
        return SharedKey(key)
    }
}

/// Counters that all workers share.
///
/// Any thread; without a lock.
///
/// A table belongs to the instance's name in the manifest: an instance that takes its place finds
/// it as it was. Open it in `init`.
public struct SharedCounters: BitwiseCopyable {
    @usableFromInline let table: SharedTable

    /// The counters of a name, made or found.
    ///
    /// - Parameters:
    ///   - host: the instance's.
    ///   - name: of the table.
    ///   - capacity: entries, 64 to 16,777,216, rounded up to a power of two. In a full table the
    ///     entry that expires first nearby makes room.
    /// - Throws: when there is no memory, it has another capacity, or the host has no tables.
    public init(_ host: Host, _ name: Bytes, capacity: Int) throws(PluginError) {
        table = try SharedTable(host, name, capacity)
    }

    /// The key of bytes, by a hash that clients cannot foresee.
    @inlinable public func key(of bytes: Bytes) -> SharedKey { table.key(of: bytes) }

    /// Adds to a counter.
    ///
    /// - Parameters:
    ///   - amount: also less than 0.
    ///   - key: of the counter; one that is not there, or has expired, begins at 0.
    ///   - ttlNanoseconds: when a counter that begins expires; 0 for never.
    /// - Returns: its new value.
    @inlinable
    @discardableResult
    public func add(_ amount: Int, to key: SharedKey, ttlNanoseconds: UInt64) -> Int {
        guard let shared = table.shared else { return 0 }
        return Int(
            shared.pointee.counter_add(table.table, key.key, Int64(amount), ttlNanoseconds)
        )
    }

    /// A counter's value; 0 when it is not there or has expired.
    @inlinable
    public func value(_ key: SharedKey) -> Int {
        guard let shared = table.shared else { return 0 }
        return Int(shared.pointee.counter_get(table.table, key.key))
    }
}

/// Token buckets that all workers share, exact over all of them.
///
/// Any thread; without a lock.
public struct SharedBuckets: BitwiseCopyable {
    /// What a bucket says.
    public struct Answer: BitwiseCopyable, Equatable, Sendable {
        /// Whether the tokens were taken; else none was.
        public let isGranted: Bool
        /// Whole tokens that are left.
        public let tokens: UInt64
        /// Until there are enough; 0 when they were taken.
        public let waitNanoseconds: UInt64

        @usableFromInline
        init(isGranted: Bool, tokens: UInt64, waitNanoseconds: UInt64) {
            self.isGranted = isGranted
            self.tokens = tokens
            self.waitNanoseconds = waitNanoseconds
        }
    }

    @usableFromInline let table: SharedTable

    /// The buckets of a name, made or found; as for `SharedCounters`.
    ///
    /// - Throws: as for `SharedCounters`.
    public init(_ host: Host, _ name: Bytes, capacity: Int) throws(PluginError) {
        table = try SharedTable(host, name, capacity)
    }

    /// The key of bytes, by a hash that clients cannot foresee.
    @inlinable public func key(of bytes: Bytes) -> SharedKey { table.key(of: bytes) }

    /// Takes tokens from a bucket, which is full when it is new.
    ///
    /// - Parameters:
    ///   - cost: tokens to take.
    ///   - key: of the bucket.
    ///   - ratePerSecondMilli: thousandths of a token that come back a second.
    ///   - burst: tokens that the bucket holds.
    /// - Throws: `invalid` when a number is out of its range.
    @inlinable
    public func take(
        _ cost: UInt64 = 1,
        from key: SharedKey,
        ratePerSecondMilli: UInt64,
        burst: UInt64
    ) throws(ServiceError) -> Answer {
        guard let shared = table.shared else { throw .unsupported }
        var answer = sluice_bucket_answer()
        try ServiceError.check(
            shared.pointee.bucket_take(
                table.table,
                key.key,
                ratePerSecondMilli,
                burst,
                cost,
                &answer
            )
        )
        return Answer(
            isGranted: answer.granted != 0,
            tokens: answer.tokens,
            waitNanoseconds: answer.wait_ns
        )
    }
}

/// Small values that all workers share.
///
/// Any thread.
public struct SharedValues: BitwiseCopyable {
    /// Bytes that a value may have.
    public static var bytesMax: Int { 1_024 }

    @usableFromInline let table: SharedTable

    /// The values of a name, made or found; as for `SharedCounters`.
    ///
    /// - Throws: as for `SharedCounters`.
    public init(_ host: Host, _ name: Bytes, capacity: Int) throws(PluginError) {
        table = try SharedTable(host, name, capacity)
    }

    /// The key of bytes, by a hash that clients cannot foresee.
    @inlinable public func key(of bytes: Bytes) -> SharedKey { table.key(of: bytes) }

    /// Reads a value.
    ///
    /// - Parameters:
    ///   - key: of the value.
    ///   - body: gets a copy of the bytes, valid until it returns, and the value's version.
    /// - Returns: what `body` does; nil when there is no value.
    public func read<Result>(
        _ key: SharedKey,
        _ body: (_ value: Bytes, _ version: UInt64) -> Result
    ) -> Result? {
        guard let shared = table.shared else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: SharedValues.bytesMax, alignment: 16) {
            // Safe: there is room for as many bytes as the host is told.
            let room = $0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
            var length: UInt64 = 0
            var version: UInt64 = 0
            let result = shared.pointee.value_get(
                table.table,
                key.key,
                room,
                UInt64(SharedValues.bytesMax),
                &length,
                &version
            )
            guard result == SLUICE_OK else { return nil }
            return body(Bytes(UnsafePointer(room), count: Int(length)), version)
        }
    }

    /// What must be there for a value to be set.
    public enum Expectation: Equatable, Sendable {
        /// The value of this version.
        case version(UInt64)
        /// None.
        case nothing
        /// Whatever there is.
        case anything
    }

    /// Sets a value; an empty one removes it.
    ///
    /// - Parameters:
    ///   - value: up to 1,024 bytes, copied.
    ///   - key: of the value.
    ///   - expected: what must be there.
    ///   - ttlNanoseconds: when it expires; 0 for never.
    /// - Returns: the new version.
    /// - Throws: `stale` when something else is there, `invalid` for a longer value.
    @discardableResult
    public func set(
        _ value: Bytes,
        for key: SharedKey,
        if expected: Expectation = .anything,
        ttlNanoseconds: UInt64
    ) throws(ServiceError) -> UInt64 {
        guard let shared = table.shared else { throw .unsupported }
        let number: UInt64 =
            switch expected {
            case .version(let version): version
            case .nothing: 0
            case .anything: .max
            }
        var version: UInt64 = 0
        try ServiceError.check(
            shared.pointee.value_set(
                table.table,
                key.key,
                value.slice,
                number,
                ttlNanoseconds,
                &version
            )
        )
        return version
    }
}
