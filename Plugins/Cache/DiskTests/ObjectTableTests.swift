import Testing

@testable import CacheDisk

struct ObjectTableTests {
    private static func table(_ capacity: Int) throws -> ObjectTable {
        try #require(ObjectTable(capacity: capacity))
    }

    private static func victim(_ table: inout ObjectTable, held: Set<UInt64> = []) -> UInt64? {
        var moves = 2 * table.count + 1
        guard let index = table.sieve(&moves, isHeld: { held.contains($0.id) }) else { return nil }
        let id = table[index].id
        table.kill(index)
        return id
    }

    @Test func `an object takes 48 bytes of memory`() {
        #expect(MemoryLayout<ObjectTable.Record>.stride == 40)
        #expect(ObjectTable.bytesPerObject == 48)
        #expect(DiskStore.objectMemoryBytes == 48)
    }

    @Test func `what was not used goes first, the oldest before others`() throws {
        var table = try Self.table(8)
        defer { table.destroy() }
        var records: [UInt32] = []
        for id in 1...5 {
            records.append(table.insert(hash: UInt64(id), id: UInt64(id), blocks: 1, flags: 0))
        }
        table[records[0]].flags |= ObjectTable.wasUsed
        table[records[2]].flags |= ObjectTable.wasUsed
        #expect(Self.victim(&table) == 2)
        // The hand goes on where it was: what is new is not looked at before it comes by.
        _ = table.insert(hash: 6, id: 6, blocks: 1, flags: 0)
        #expect(Self.victim(&table) == 4)
        #expect(Self.victim(&table) == 5)
        #expect(Self.victim(&table) == 6)
        #expect(Self.victim(&table) == 1)
        #expect(Self.victim(&table) == 3)
        #expect(Self.victim(&table) == nil)
    }

    @Test func `what is held stays`() throws {
        var table = try Self.table(3)
        defer { table.destroy() }
        for id in 1...3 { _ = table.insert(hash: UInt64(id), id: UInt64(id), blocks: 1, flags: 0) }
        #expect(Self.victim(&table, held: [1, 2]) == 3)
        #expect(Self.victim(&table, held: [1, 2]) == nil)
        #expect(table.count == 2)
    }

    @Test func `a search stops where it is told to, and goes on there`() throws {
        var table = try Self.table(100)
        defer { table.destroy() }
        for id in 1...100 {
            let hash = UInt64(id)
            _ = table.insert(hash: hash, id: hash, blocks: 1, flags: ObjectTable.wasUsed)
        }
        var searches = 0
        while true {
            var moves = 4
            searches += 1
            if let index = table.sieve(&moves, isHeld: { _ in false }) {
                #expect(table[index].id == 1)
                break
            }
            #expect(moves == 0)
        }
        #expect(searches == 26)
    }

    @Test func `hashes that share a bucket are told apart`() throws {
        var table = try Self.table(16)
        defer { table.destroy() }
        var known: [UInt64: UInt32] = [:]
        for number in 0..<16 {
            let hash = UInt64(number) << 32 | 5
            known[hash] = table.insert(hash: hash, id: UInt64(number), blocks: 1, flags: 0)
        }
        for number in [7, 15, 0, 8] {
            let hash = UInt64(number) << 32 | 5
            let index = try #require(known[hash])
            known[hash] = nil
            table.kill(index)
            #expect(table.find(hash) == nil)
            for (hash, index) in known { #expect(table.find(hash) == index) }
        }
        // What is dead takes a record until its file is gone.
        #expect(table.count == 12 && table.taken == 16)
        while let index = table.takeDead() { table.free(index) }
        #expect(table.taken == 12)
        _ = table.insert(hash: 1, id: 1, blocks: 1, flags: 0)
        #expect(table.highWater == 16)
    }

    @Test func `what was removed is known until it is dropped`() throws {
        var table = try Self.table(4)
        defer { table.destroy() }
        for hash in 1...3 { table.insertRemoved(hash: UInt64(hash)) }
        let index = try #require(table.find(2))
        #expect(table[index].state == .removed && table[index].id == .max)
        #expect(table.count == 0 && Self.victim(&table) == nil)
        let isMore = [table.dropRemoved(2), table.dropRemoved(2)]
        #expect(isMore == [true, false])
        #expect(table.find(1) == nil && table.find(2) == nil && table.find(3) == nil)
        #expect(table.taken == 0)
    }
}
