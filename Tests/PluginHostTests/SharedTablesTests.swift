import CSluice
import Testing

@testable import PluginHost

struct SharedTablesTests {
    private let functions = SharedTables.functions.pointee
    private let key = sluice_key(low: 1, high: 2)

    private func open(
        _ name: String,
        _ capacity: UInt64 = 64,
        as instance: String
    ) -> (result: Int32, table: OpaquePointer?) {
        var table: OpaquePointer?
        let slice = sluice_slice(permanent: name)
        let result = functions.open(Host.handle(instance), slice, capacity, &table)
        return (result, table)
    }

    @Test
    func `an instance of the same name finds what was left`() throws {
        let first = open("t", as: "tables.same")
        #expect(functions.counter_add(first.table, key, 3, 0) == 3)
        let again = open("t", as: "tables.same")
        #expect((again.result, again.table) == (Int32(SLUICE_OK), first.table))
        #expect(functions.counter_get(again.table, key) == 3)
        #expect(open("t", as: "tables.another").table != first.table)
        #expect(open("u", as: "tables.same").table != first.table)
    }

    @Test(arguments: [
        (63, false), (64, true), (16_777_216, true), (16_777_217, false), (UInt64.max, false),
        (0, false),
    ])
    func `the capacity is bounded`(capacity: UInt64, isGood: Bool) {
        #expect((open("t", capacity, as: "tables.c\(capacity)").result == SLUICE_OK) == isGood)
    }

    @Test
    func `a table keeps its capacity`() {
        #expect(open("t", 1_000, as: "tables.capacity").result == SLUICE_OK)
        for (capacity, isSame) in [(1_000, true), (1_024, true), (513, true), (512, false)] {
            let result = open("t", UInt64(capacity), as: "tables.capacity").result
            #expect((result == SLUICE_OK) == isSame, "\(capacity)")
        }
        #expect(open("t", 1_025, as: "tables.capacity").result == SLUICE_EINVAL)
    }

    @Test(arguments: [(0, false), (1, true), (64, true), (65, false)])
    func `a table's name is bounded`(count: Int, isGood: Bool) {
        let name = String(repeating: "n", count: count)
        #expect((open(name, as: "tables.names").result == SLUICE_OK) == isGood)
    }

    @Test
    func `an instance has a bounded number of tables`() {
        for index in 0..<64 {
            #expect(open("\(index)", as: "tables.many").result == SLUICE_OK)
        }
        #expect(open("64", as: "tables.many").result == SLUICE_ENOMEM)
        #expect(open("0", as: "tables.many").result == SLUICE_OK)
    }

    @Test
    func `what breaks a rule is refused`() throws {
        let table = open("t", as: "tables.rules").table
        let none = sluice_key()
        var answer = sluice_bucket_answer()
        #expect(functions.counter_add(table, none, 5, 0) == 0)
        #expect(functions.counter_get(table, none) == 0)
        #expect(functions.bucket_take(table, none, 1, 1, 1, &answer) == SLUICE_EINVAL)
        for (rate, burst, cost) in [(0, 1, 1), (1, 0, 1), (1_000, 5, 6)]
            as [(UInt64, UInt64, UInt64)]
        {
            #expect(functions.bucket_take(table, key, rate, burst, cost, &answer) == SLUICE_EINVAL)
        }
        #expect(functions.bucket_take(table, key, 1_000, 5, 5, &answer) == SLUICE_OK)
        #expect((answer.granted, answer.tokens) == (1, 0))
        #expect(functions.value_set(table, none, sluice_slice("x"), 0, 0, nil) == SLUICE_EINVAL)
        #expect(functions.value_get(table, none, nil, 0, nil, nil) == SLUICE_EINVAL)
    }

    // MARK: Values

    private func get(
        _ table: OpaquePointer?,
        _ key: sluice_key,
        room: Int = 2_000
    ) -> (result: Int32, text: String, length: UInt64, version: UInt64) {
        var bytes = [UInt8](repeating: 0, count: room)
        var (length, version): (UInt64, UInt64) = (0, 0)
        let result = functions.value_get(table, key, &bytes, UInt64(room), &length, &version)
        let text = String(decoding: bytes.prefix(result == 0 ? Int(length) : 0), as: UTF8.self)
        return (result, text, length, version)
    }

    private func set(
        _ table: OpaquePointer?,
        _ key: sluice_key,
        _ text: String,
        expected: UInt64 = .max,
        ttl: UInt64 = 0
    ) -> (result: Int32, version: UInt64) {
        var version: UInt64 = 0
        let slice = sluice_slice(permanent: text)
        let result = functions.value_set(table, key, slice, expected, ttl, &version)
        return (result, version)
    }

    @Test
    func `a value is set when its version is the expected one`() {
        let table = open("t", as: "values.versions").table
        #expect(get(table, key).result == SLUICE_ESTALE)
        let first = set(table, key, "one", expected: 0)
        #expect(first.result == SLUICE_OK && first.version > 0)
        #expect(set(table, key, "two", expected: 0) == (Int32(SLUICE_ESTALE), first.version))
        let second = set(table, key, "two", expected: first.version)
        #expect(second.version > first.version)
        #expect(set(table, key, "x", expected: first.version).result == SLUICE_ESTALE)
        #expect(get(table, key) == (Int32(SLUICE_OK), "two", 3, second.version))
        #expect(set(table, key, "", expected: first.version).result == SLUICE_ESTALE)
        #expect(set(table, key, "", expected: second.version) == (Int32(SLUICE_OK), 0))
        #expect(get(table, key).result == SLUICE_ESTALE)
        // A version never comes back.
        #expect(set(table, key, "three", expected: 0).version > second.version)
    }

    @Test(arguments: [(1_024, SLUICE_OK), (1_025, SLUICE_EINVAL)])
    func `a value is bounded`(count: Int, result: Int) {
        let table = open("t", as: "values.bound").table
        let text = String(repeating: "v", count: count)
        #expect(Int(set(table, key, text).result) == result)
    }

    @Test
    func `a value that is longer than the room says how long it is`() {
        let table = open("t", as: "values.room").table
        let version = set(table, key, "12345").version
        #expect(get(table, key, room: 4) == (Int32(SLUICE_EAGAIN), "", 5, version))
        #expect(get(table, key, room: 5).text == "12345")
    }

    @Test
    func `a value expires`() throws {
        let values = SharedValues(capacity: 64)
        let bytes: [UInt8] = [1, 2]
        let set = bytes.withUnsafeBytes {
            values.set(key, $0, expected: 0, ttl: 100, now: 1_000)
        }
        #expect(set.result == SLUICE_OK)
        var room = [UInt8](repeating: 0, count: 10)
        let results = room.withUnsafeMutableBufferPointer { room in
            [1_099, 1_100].map { values.get(key, into: room, now: $0).result }
        }
        #expect(results == [Int32(SLUICE_OK), Int32(SLUICE_ESTALE)])
        // An expired value is none.
        let again = bytes.withUnsafeBytes {
            values.set(key, $0, expected: 0, ttl: 0, now: 1_100)
        }
        #expect(again.result == SLUICE_OK)
    }

    @Test
    func `as many values as the capacity are kept, and the first to expire makes room`() {
        let table = open("t", 64, as: "values.full").table
        let minute: UInt64 = 60_000_000_000
        for index in 1...64 as ClosedRange<UInt64> {
            _ = set(table, sluice_key(low: index, high: 0), "v\(index)")
        }
        for index in 1...64 as ClosedRange<UInt64> {
            #expect(get(table, sluice_key(low: index, high: 0)).text == "v\(index)")
        }
        let full = open("t", 64, as: "values.over").table
        for index in 1...1_000 as ClosedRange<UInt64> {
            let key = sluice_key(low: index, high: 0)
            #expect(set(full, key, "v\(index)", ttl: index * minute).result == SLUICE_OK)
            #expect(get(full, key).text == "v\(index)")
        }
        let kept = (1...1_000 as ClosedRange<UInt64>).filter {
            get(full, sluice_key(low: $0, high: 0)).result == SLUICE_OK
        }
        #expect(64...128 ~= kept.count)
        #expect(kept.allSatisfy { $0 > 500 })
    }

    @Test
    func `one of many that expect the same version succeeds`() {
        // Safe: tables are made for many threads.
        nonisolated(unsafe) let table = open("t", 1_024, as: "values.race").table
        Threads.run(4) { _ in
            let functions = SharedTables.functions.pointee
            let key = sluice_key(low: 9, high: 9)
            for _ in 0..<1_000 {
                while true {
                    var bytes: (UInt64, UInt64) = (0, 0)
                    var (length, version): (UInt64, UInt64) = (0, 0)
                    let result = withUnsafeMutableBytes(of: &bytes) {
                        functions.value_get(
                            table,
                            key,
                            $0.baseAddress?.assumingMemoryBound(to: UInt8.self),
                            16,
                            &length,
                            &version
                        )
                    }
                    bytes.0 = result == SLUICE_OK ? bytes.0 + 1 : 1
                    let set = withUnsafeBytes(of: &bytes.0) {
                        functions.value_set(
                            table,
                            key,
                            sluice_slice(
                                ptr: $0.baseAddress?.assumingMemoryBound(to: UInt8.self),
                                len: 8
                            ),
                            version,
                            0,
                            nil
                        )
                    }
                    if set == SLUICE_OK { break }
                }
            }
        }
        var bytes: UInt64 = 0
        var length: UInt64 = 0
        let result = withUnsafeMutableBytes(of: &bytes) {
            functions.value_get(
                table,
                sluice_key(low: 9, high: 9),
                $0.baseAddress?.assumingMemoryBound(to: UInt8.self),
                8,
                &length,
                nil
            )
        }
        #expect((result, bytes) == (Int32(SLUICE_OK), 4_000))
    }
}
