import Testing
import TinyUFOWorkloads

@testable import RateLimiting

struct StoreReplyTests {
    private func read(_ text: String, from offset: Int = 0) -> (StoreReply, Int) {
        var offset = offset
        let reply = Array(text.utf8).withUnsafeBytes { StoreReply.read($0, &offset) }
        return (reply, offset)
    }

    @Test(arguments: [
        (":5\r\n", StoreReply.integer(5)), (":-7\r\n", .integer(-7)), (":+0\r\n", .integer(0)),
        (":9223372036854775807\r\n", .integer(.max)),
        (":-9223372036854775808\r\n", .integer(.min)), ("+OK\r\n", .line), ("+\r\n", .line),
        ("$3\r\nabc\r\n", .string), ("$-1\r\n", .string), ("$0\r\n\r\n", .string),
        ("-ERR no\r\n", .error(1..<7)),
    ])
    func `reads whole replies, and no part of one`(text: String, reply: StoreReply) {
        #expect(read(text) == (reply, text.utf8.count))
        #expect(read(text + ":1\r\n") == (reply, text.utf8.count))
        for count in 0..<text.utf8.count {
            let part = String(decoding: Array(text.utf8).prefix(count), as: UTF8.self)
            #expect(read(part) == (.incomplete, 0))
        }
    }

    @Test(arguments: [
        "x\r\n", ":\r\n", ":-\r\n", ":5a\r\n", ":9223372036854775808\r\n",
        ":99999999999999999999\r\n", "+a\rb", "+a\nb\r\n", "$-2\r\n", "$65537\r\n",
        "$1\r\nab\r\n", "*1\r\n:1\r\n", "$x\r\n",
    ])
    func `refuses what is no reply`(text: String) {
        #expect(read(text) == (.malformed, 0))
    }

    @Test func `a line has a bound`() {
        let most = String(repeating: "a", count: StoreReply.lineBytesMax)
        #expect(read("+" + most).0 == .incomplete)
        #expect(read("+" + most + "a").0 == .malformed)
        #expect(read("$65536\r\n").0 == .incomplete)
    }
}

struct StoreBatchTests {
    @Test func `writes commands as arrays of strings`() {
        var batch = StoreBatch()
        batch.begin(words: 3)
        batch.word("INCRBY")
        Array("a:".utf8).withUnsafeBytes { batch.word(prefix: $0, key: 0xFEDC, epoch: 120) }
        batch.word(decimal: -15)
        let text = String(decoding: batch.bytes, as: UTF8.self)
        #expect(
            text == "*3\r\n$6\r\nINCRBY\r\n$22\r\na:000000000000fedc:120\r\n$3\r\n-15\r\n"
        )
        #expect(batch.replyCount == 1)
        batch.wipe()
        #expect(batch.bytes.isEmpty && batch.replyCount == 0)
    }

    @Test(arguments: [0, 9, 10, -1, Int64.max, .min])
    func `writes numbers with their lengths`(number: Int64) {
        var batch = StoreBatch()
        batch.word(decimal: number)
        let text = "\(number)"
        #expect(String(decoding: batch.bytes, as: UTF8.self) == "$\(text.count)\r\n\(text)\r\n")
    }
}

struct KeyedHashTests {
    /// The reference of SipHash, whose message ends once: bytes 0 to 7 under the key 0 to 15.
    @Test func `is SipHash-1-3 for one piece`() {
        let key = KeyHash(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)
        func hash(_ pieces: [UInt8]...) -> UInt64 {
            var hash = KeyedHash(key: key)
            for piece in pieces { piece.withUnsafeBytes { hash.add($0) } }
            return hash.finish()
        }
        #expect(hash([]) == 0xabac_0158_050f_c4dc)
        #expect(hash([0]) == 0xc9f4_9bf3_7d57_ca93)
        #expect(hash([0, 1, 2]) != hash([0, 1], [2]))
        #expect(hash([0, 1]) != hash([0, 1, 0]))
    }
}

struct KeyTableTests {
    private static let second: UInt64 = 1_000_000_000

    private func table(_ capacity: Int = 1_024) throws -> KeyTable {
        let block = try #require(Block(wordCount: KeyTable.wordCount(capacity: capacity)))
        return KeyTable(block: block, capacity: capacity)
    }

    private func instant(_ seconds: Double) -> WindowSketch.Instant {
        WindowSketch.Instant(now: UInt64(seconds * 1e9), window: Self.second)
    }

    @Test func `counts what it has let in, and what the store says of others`() throws {
        let table = try table()
        defer { _ = table.block.release() }
        let slot = try #require(table.slot(77 << 32))
        #expect(table.slot(77 << 32) == slot)
        #expect(table.add(slot, at: instant(10)).count == 1)
        #expect(table.add(slot, at: instant(10)).count == 2)
        let change = try #require(table.change(slot, epoch: 10))
        #expect(change.amount == 2 && change.isFirst && change.key == 77 << 32)
        // In the meantime one more comes.
        #expect(table.add(slot, at: instant(10)).count == 3)
        table.settle(change, total: 7)
        #expect(table.add(slot, at: instant(10)).count == 9)
        let next = try #require(table.change(slot, epoch: 10))
        #expect(next.amount == 2 && !next.isFirst)
        table.settle(next, total: 9)
        #expect(table.change(slot, epoch: 10) == nil)
        table.remove(slot, at: instant(10))
        #expect(table.change(slot, epoch: 10)?.amount == -1)
        // The nine of the window before count by half.
        #expect(table.add(slot, at: instant(11.5)).count == 5)
        #expect(table.change(slot, epoch: 11)?.isFirst == true)
        #expect(table.add(slot, at: instant(13)).count == 1)
    }

    @Test func `a store that has forgotten makes no count less than the own one`() throws {
        let table = try table()
        defer { _ = table.block.release() }
        let slot = try #require(table.slot(1))
        for _ in 0..<5 { _ = table.add(slot, at: instant(4)) }
        table.settle(try #require(table.change(slot, epoch: 4)), total: 1)
        #expect(table.add(slot, at: instant(4)).count == 6)
    }

    @Test func `gives up slots that two windows have not seen`() throws {
        let table = try table()
        defer { _ = table.block.release() }
        let slot = try #require(table.slot(5 << 32))
        _ = table.add(slot, at: instant(20))
        #expect(table.keyCount() == 1)
        #expect(table.expire(slot, epoch: 20))
        #expect(table.expire(slot, epoch: 21))
        #expect(!table.expire(slot, epoch: 22))
        #expect(table.keyCount() == 0)
        let other = try #require(table.slot(5 << 32 | 1))
        #expect(other == slot)
        // What is left of the key before does not count.
        #expect(table.add(other, at: instant(22)).count == 1)
    }

    @Test func `there is no room for a ninth key of a run of slots`() throws {
        let table = try table()
        defer { _ = table.block.release() }
        for key in 0..<8 { #expect(table.slot(UInt64(key) << 32 | 1) != nil) }
        #expect(table.slot(3 << 32 | 2) == nil)
        #expect(table.slot(8 << 32) != nil)
    }

    @Test(arguments: [2, 4])
    func `threads that make the same key share its slot`(threads: Int) throws {
        let table = try table()
        defer { _ = table.block.release() }
        let time = instant(9)
        Threads.run(threads) { _ in
            for key in 1...64 {
                for _ in 0..<100 {
                    if let slot = table.slot(UInt64(key * 8) << 32) {
                        _ = table.add(slot, at: time)
                    }
                }
            }
        }
        for key in 1...64 {
            let slot = try #require(table.slot(UInt64(key * 8) << 32))
            #expect(table.change(slot, epoch: 9)?.amount == Int64(100 * threads))
        }
    }
}
