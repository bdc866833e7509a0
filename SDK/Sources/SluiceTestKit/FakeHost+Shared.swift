import CSluice

/// A key of 128 bits.
struct KeyPair: Hashable {
    let low: UInt64
    let high: UInt64

    init(_ key: sluice_key) {
        low = key.low
        high = key.high
    }
}

/// One table of `sluice.shared/1`: exact, and without the real one's bound on entries.
final class FakeTable {
    unowned let host: FakeHost
    let capacity: UInt64
    var counters: [KeyPair: (value: Int64, expires: UInt64)] = [:]
    var buckets: [KeyPair: (milliTokens: Double, time: UInt64)] = [:]
    var values: [KeyPair: (bytes: [UInt8], version: UInt64, expires: UInt64)] = [:]
    var versions: UInt64 = 0

    init(_ host: FakeHost, capacity: UInt64) {
        self.host = host
        self.capacity = capacity
    }

    static func of(_ table: OpaquePointer?) -> FakeTable {
        guard let table else { preconditionFailure("the plugin passed no table") }
        return Unmanaged<FakeTable>.fromOpaque(UnsafeRawPointer(table)).takeUnretainedValue()
    }

    func expiry(_ ttl: UInt64) -> UInt64 { ttl == 0 ? .max : host.nowNanoseconds + ttl }

    func add(_ key: KeyPair, _ delta: Int64, _ ttl: UInt64) -> Int64 {
        var counter = counters[key] ?? (0, 0)
        if counter.expires <= host.nowNanoseconds { counter = (0, expiry(ttl)) }
        counter.value += delta
        counters[key] = counter
        return counter.value
    }

    func get(_ key: KeyPair) -> Int64 {
        guard let counter = counters[key], counter.expires > host.nowNanoseconds else { return 0 }
        return counter.value
    }

    func take(
        _ key: KeyPair,
        rateMilli: UInt64,
        burst: UInt64,
        cost: UInt64
    ) -> sluice_bucket_answer? {
        guard rateMilli > 0, burst > 0, cost <= burst else { return nil }
        let now = host.nowNanoseconds
        var bucket = buckets[key] ?? (Double(burst) * 1_000, now)
        let earned = Double(now - bucket.time) * Double(rateMilli) / 1e9
        bucket = (min(bucket.milliTokens + earned, Double(burst) * 1_000), now)
        var answer = sluice_bucket_answer()
        let lack = Double(cost) * 1_000 - bucket.milliTokens
        if lack <= 0 {
            bucket.milliTokens = -lack
            answer.granted = 1
        } else {
            answer.wait_ns = UInt64((lack * 1e9 / Double(rateMilli)).rounded(.up))
        }
        answer.tokens = UInt64(bucket.milliTokens / 1_000)
        buckets[key] = bucket
        return answer
    }

    func value(_ key: KeyPair) -> (bytes: [UInt8], version: UInt64)? {
        guard let value = values[key], value.expires > host.nowNanoseconds else { return nil }
        return (value.bytes, value.version)
    }

    /// The new version; nil when something else is there than expected.
    func set(_ key: KeyPair, _ bytes: [UInt8], expected: UInt64, ttl: UInt64) -> UInt64? {
        let version = value(key)?.version ?? 0
        guard expected == .max || expected == version else { return nil }
        versions += 1
        values[key] = bytes.isEmpty ? nil : (bytes, versions, expiry(ttl))
        return bytes.isEmpty ? 0 : versions
    }
}

extension FakeHost {
    static let valueBytesMax = 1_024

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let shared: UnsafePointer<sluice_shared> = {
        var shared = sluice_shared()
        shared.size = UInt32(MemoryLayout<sluice_shared>.size)
        shared.open = { FakeHost.of($0).open(String($1), $2, $3) }
        shared.hash128 = { bytes, key in
            // FNV-1a in two lanes: good enough for a few keys of a test.
            var low: UInt64 = 0xCBF2_9CE4_8422_2325
            var high: UInt64 = 0x9E37_79B9_7F4A_7C15
            for byte in UnsafeBufferPointer(start: bytes.ptr, count: Int(bytes.len)) {
                low = (low ^ UInt64(byte)) &* 0x100_0000_01B3
                high = (high ^ UInt64(byte) ^ (high >> 29)) &* 0x9FB2_1C65_1E98_DF25
            }
            key?.pointee = sluice_key(low: low | 1, high: high)
        }
        shared.counter_add = { table, key, delta, ttl in
            locked { FakeTable.of(table).add(KeyPair(key), delta, ttl) }
        }
        shared.counter_get = { table, key in locked { FakeTable.of(table).get(KeyPair(key)) } }
        shared.bucket_take = { table, key, rate, burst, cost, answer in
            let found = locked {
                FakeTable.of(table).take(KeyPair(key), rateMilli: rate, burst: burst, cost: cost)
            }
            guard let found else { return Int32(SLUICE_EINVAL) }
            answer?.pointee = found
            return Int32(SLUICE_OK)
        }
        shared.value_get = { table, key, to, capacity, length, version in
            let found = locked { FakeTable.of(table).value(KeyPair(key)) }
            guard let found else { return Int32(SLUICE_ESTALE) }
            length?.pointee = UInt64(found.bytes.count)
            version?.pointee = found.version
            guard found.bytes.count <= Int(capacity) else { return Int32(SLUICE_EAGAIN) }
            for (index, byte) in found.bytes.enumerated() { to?[index] = byte }
            return Int32(SLUICE_OK)
        }
        shared.value_set = { table, key, value, expected, ttl, version in
            guard value.len <= UInt64(valueBytesMax) else { return Int32(SLUICE_EINVAL) }
            let bytes = Array(UnsafeBufferPointer(start: value.ptr, count: Int(value.len)))
            let set = locked {
                FakeTable.of(table).set(KeyPair(key), bytes, expected: expected, ttl: ttl)
            }
            guard let set else { return Int32(SLUICE_ESTALE) }
            version?.pointee = set
            return Int32(SLUICE_OK)
        }
        return place(shared)
    }()

    private func open(
        _ name: String,
        _ capacity: UInt64,
        _ table: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        guard expect(.control, in: "open"), (64...16_777_216).contains(capacity) else {
            return Int32(SLUICE_EINVAL)
        }
        let known = tables[name] ?? FakeTable(self, capacity: capacity)
        guard known.capacity == capacity else { return Int32(SLUICE_EINVAL) }
        tables[name] = known
        table?.pointee = OpaquePointer(Unmanaged.passUnretained(known).toOpaque())
        return Int32(SLUICE_OK)
    }
}
