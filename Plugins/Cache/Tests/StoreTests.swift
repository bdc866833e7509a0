import CachePolicy
import SluiceSDK
import Testing
import TinyUFO

@testable import Cache

/// Texts that stay for as long as the tests run.
func text(_ string: String) -> Text {
    let bytes = Array(string.utf8)
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
    copy.initialize(from: bytes, count: bytes.count)
    return Text(UnsafePointer(copy), count: bytes.count)
}

func name(_ string: String, hash: UInt64 = 7) -> KeyName {
    let key = text(string)
    return KeyName(bytes: key.raw, primaryCount: key.count, hash: hash)
}

extension Text {
    var string: String {
        String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

struct FillTableTests {
    @Test func `finds by the whole key and takes out`() throws {
        let table = try #require(FillTable())
        defer { table.destroy() }
        let first = try #require(Fill.make(name("a"), .fetching, now: 1))
        let second = try #require(Fill.make(name("b"), .fetching, now: 1))
        let twin = try #require(Fill.make(name("a"), .fetching, now: 1))
        #expect(table.isEmpty)
        #expect(table.insert(first) == nil)
        #expect(table.insert(second) == nil)
        #expect(table.insert(twin) == first)
        first.release()
        #expect(!table.isEmpty)
        #expect(table.find(name("a")) == first)
        first.release()
        #expect(table.find(name("c")) == nil)
        #expect(table.find(name("a", hash: 8)) == nil)
        var seen = 0
        table.forEach { _ in seen += 1 }
        #expect(seen == 2)
        table.remove(first)
        table.remove(first)
        table.remove(twin)
        #expect(table.find(name("a")) == nil)
        table.remove(second)
        #expect(table.isEmpty)
        for fill in [first, second, twin] { fill.release() }
    }

    @Test func `a fill that waits for nobody wakes nobody`() throws {
        let fill = try #require(Fill.make(name("a"), .fetching, now: 1))
        let heir = fill.locked { fill.pointee.wakeHeir() }
        #expect(!heir)
        fill.release()
    }

    @Test func `those who wait are linked in order, and any may leave`() throws {
        let fill = try #require(Fill.make(name("a"), .fetching, now: 1))
        let room = UnsafeMutablePointer<Waiter>.allocate(capacity: 3)
        defer { room.deallocate() }
        for index in 0..<3 {
            let waiter = Waiter(
                token: .none,
                fill: fill,
                next: nil,
                previous: nil,
                isLinked: false,
                isHeir: false
            )
            (room + index).initialize(to: waiter)
            fill.pointee.link(room + index)
        }
        #expect(fill.pointee.firstWaiter == room)
        fill.pointee.unlink(room + 1)
        fill.pointee.unlink(room + 1)
        #expect(room.pointee.next == room + 2)
        fill.pointee.unlink(room)
        #expect(fill.pointee.firstWaiter == room + 2)
        // A token of no wait can't be woken, so nobody inherits.
        let heir = fill.pointee.wakeHeir()
        #expect(!heir)
        #expect(fill.pointee.firstWaiter == nil)
        #expect(!room[2].isHeir)
        fill.release()
    }

    @Test func `a key may change while nobody finds it`() throws {
        let fill = try #require(Fill.make(name("a"), .fetching, now: 1))
        let isRenamed = fill.pointee.rename(name("a longer key", hash: 9))
        #expect(isRenamed)
        #expect(Text(fill.pointee.name.bytes).string == "a longer key")
        #expect(fill.pointee.hash == 9)
        fill.release()
    }

    @Test func `remembers keys until another one has the place`() throws {
        let predictor = try #require(Predictor())
        defer { predictor.destroy() }
        let first: UInt64 = 1 << 20 | 5
        let same = first | 1 << 40
        predictor.insert(first)
        #expect(predictor.contains(first))
        #expect(!predictor.contains(same))
        predictor.insert(same)
        #expect(!predictor.contains(first))
        predictor.remove(first)
        #expect(predictor.contains(same))
        predictor.remove(same)
        #expect(!predictor.contains(same))
    }
}

struct StoreTests {
    private func make(_ memory: Int = 2_097_152) throws -> Store.Pointer {
        try Store.make(memoryBytes: memory, workerCount: 1, rules: 1, seed: (1, 2))
    }

    @Test func `fills have half of the memory`() throws {
        let store = try make()
        let fill = try #require(Fill.make(name("a"), .fetching, now: 1))
        var taken: [Bool] = []
        for bytes in [1_048_575, 2, 1, 1] {
            taken.append(store.pointee.reserve(bytes, for: fill))
        }
        #expect(taken == [true, false, true, false])
        store.pointee.unreserve(fill)
        let isAllFree = store.pointee.reserve(1_048_576, for: fill)
        #expect(isAllFree)
        fill.release()
        store.release()
    }

    @Test func `a store is taken once`() throws {
        let store = try make()
        let slot = try #require(HandOverSlot(store))
        let message = slot.message
        let other = try #require(message.slot)
        #expect(other.take() == store)
        store.release()
        #expect(slot.take() == nil)
        #expect(other.take() == nil)
        store.release()
    }

    @Test func `the same store is written the same way again`() throws {
        let store = try make()
        let first = try #require(HandOverSlot(store)).message
        let bytes = withUnsafeBytes(of: first) { Array($0) }
        first.slot?.take()?.release()
        let second = try #require(HandOverSlot(store)).message
        #expect(withUnsafeBytes(of: second) { Array($0) } == bytes)
        second.slot?.take()?.release()
        store.release()
    }

    @Test func `an old hand-over is not another store's`() throws {
        let store = try make()
        let other = try make()
        let old = try #require(HandOverSlot(store))
        old.take()?.release()
        let new = try #require(HandOverSlot(other))
        #expect(old.message.slot?.take() == nil)
        new.take()?.release()
        store.release()
        other.release()
    }

    @Test(arguments: 0..<MemoryLayout<HandOverSlot.Message>.size)
    func `a message with another byte is none`(offset: Int) throws {
        let store = try make()
        var message = try #require(HandOverSlot(store)).message
        withUnsafeMutableBytes(of: &message) { $0[offset] ^= 1 }
        #expect(message.slot == nil)
        withUnsafeMutableBytes(of: &message) { $0[offset] ^= 1 }
        message.slot?.take()?.release()
        store.release()
    }
}
