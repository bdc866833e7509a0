import Testing

@testable import TinyUFO

struct ByteBlockTests {
    @Test(arguments: [(0, 0), (9, 9), (10, 10), (11, 10)])
    func `takes as many bytes as there is room for`(count: Int, taken: Int) throws {
        let block = try block(capacity: 10)
        let bytes = (0..<count).map { UInt8($0) }
        #expect(bytes.withUnsafeBytes { block.append($0) } == taken)
        #expect(block.count == taken)
        #expect(block.bytes.elementsEqual(bytes.prefix(taken)))
        #expect([1].withUnsafeBytes { block.append($0) } == min(10 - taken, 8))
    }

    @Test func `has room for no bytes`() throws {
        let block = try block(capacity: 0)
        #expect([UInt8(1)].withUnsafeBytes { block.append($0) } == 0)
        #expect(block.bytes.isEmpty)
        #expect(block.memoryBytes == ByteBlock.overheadBytes)
    }

    @Test func `there is none when the machine has not as much memory`() {
        let isMade = ByteBlock(capacity: .max) != nil || ByteBlock(capacity: .max / 2) != nil
        #expect(!isMade)
    }

    @Test func `whoever has a reference sees what is appended`() throws {
        let block = try block(capacity: 4)
        let copy = block.copy()
        [UInt8(1), 2].withUnsafeBytes { _ = block.append($0) }
        #expect(copy.bytes.elementsEqual([1, 2]))
        let same = ByteBlock(opaque: block.toOpaque())
        [UInt8(3)].withUnsafeBytes { _ = same.append($0) }
        #expect(copy.bytes.elementsEqual([1, 2, 3]))
    }

    @Test func `a chain counts as a whole and is as long as it likes`() throws {
        let first = try block(capacity: 100)
        var last = first.copy()
        for _ in 0..<100_000 {
            let next = try block(capacity: 1)
            last.attach(next.copy())
            last = next
        }
        #expect(first.memoryBytes == 100 + 100_000 + 100_001 * ByteBlock.overheadBytes)
        let isLast = last.next == nil
        #expect(isLast)
        guard let second = first.next else { throw NoMemory() }
        #expect(second.capacity == 1)
    }
}
