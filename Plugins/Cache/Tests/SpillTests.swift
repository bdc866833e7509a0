import Synchronization
import Testing
import TinyUFO

@testable import Cache

/// What is kept of a body that can't be stored, without a host: the lock of the fill is nobody
/// else's.
struct SpillTests {
    /// A fill that goes on for so many readers, of whose body nothing is in its chain.
    private final class Scene {
        let fill: Fill.Pointer
        var pool = ReaderPool()
        var readers: [Reader.Pointer] = []

        init(readers count: Int) throws {
            fill = try #require(Fill.make(name("a"), .streaming, now: 1))
            guard let block = ByteBlock(capacity: Spill.blockBytes) else {
                preconditionFailure("no block")
            }
            for _ in 0..<count {
                let taken = pool.take()
                let reader = try #require(taken)
                fill.pointee.link(reader: reader)
                reader.along.pointee.block = block.copy().toOpaque()
                readers.append(reader)
            }
            fill.pointee.spill.tail = block.toOpaque()
        }

        /// Fills the last block, and begins another one.
        func write() throws {
            let tail = try #require(fill.pointee.spill.tail)
            let bytes = [UInt8](repeating: 1, count: Spill.blockBytes)
            let taken = bytes.withUnsafeBytes { BlockChain.append($0, to: tail) }
            #expect(taken == Spill.blockBytes)
            guard let block = ByteBlock(capacity: Spill.blockBytes) else {
                preconditionFailure("no block")
            }
            fill.pointee.spill.tail = BlockChain.attach(block.copy(), to: tail)
            fill.pointee.spill.tailStart += UInt64(Spill.blockBytes)
            _ = block.toOpaque()
            _ = ByteBlock(opaque: tail)
        }

        var hasSlowestMoved: Bool { fill.pointee.hasSlowestMoved }
        var first: Reader.Pointer? { fill.pointee.firstReader }
        var keptBytes: UInt64 { fill.pointee.keptBytes }

        func close(_ reader: Reader.Pointer) {
            fill.pointee.unlink(reader: reader)
            if let block = reader.along.pointee.block { _ = ByteBlock(opaque: block) }
            pool.give(reader)
            readers.removeAll { $0 == reader }
        }

        deinit {
            for reader in readers { close(reader) }
            pool.destroy()
            fill.release()
        }
    }

    private let block = UInt64(Spill.blockBytes)

    @Test func `what is kept is what the slowest has still to read`() throws {
        let scene = try Scene(readers: 2)
        #expect(scene.keptBytes == 0)
        for _ in 0..<3 { try scene.write() }
        #expect(scene.keptBytes == 3 * block)
        let (first, second) = (scene.readers[0], scene.readers[1])
        for _ in 0..<5 { scene.fill.pointee.advance(first) }
        // There is no block behind the last.
        #expect(first.along.pointee.start == 3 * block)
        #expect(scene.keptBytes == 3 * block)
        scene.fill.pointee.advance(second)
        #expect(scene.keptBytes == 2 * block)
        scene.close(second)
        #expect(scene.keptBytes == 0)
    }

    @Test func `a reader has moved when it reads at another place`() throws {
        let scene = try Scene(readers: 2)
        for _ in 0..<2 { try scene.write() }
        scene.fill.pointee.markPlaces()
        #expect(!scene.hasSlowestMoved)
        scene.readers[0].along.pointee.place = 10
        #expect(scene.hasSlowestMoved)
        scene.fill.pointee.markPlaces()
        // One that is ahead does not count.
        scene.fill.pointee.advance(scene.readers[0])
        scene.readers[0].along.pointee.place = block
        #expect(!scene.hasSlowestMoved)
    }

    @Test func `those who are cut keep their block and no other`() throws {
        let scene = try Scene(readers: 3)
        for _ in 0..<4 { try scene.write() }
        scene.fill.pointee.advance(scene.readers[2])
        let (first, second, third) = (scene.readers[0], scene.readers[1], scene.readers[2])
        let held = try #require(first.along.pointee.block)
        scene.fill.pointee.cutSlowest()
        #expect(
            !first.along.pointee.isLinked && !second.along.pointee.isLinked
                && third.along.pointee.isLinked
        )
        #expect(BlockChain.bytes(held).count == Spill.blockBytes)
        #expect(BlockChain.next(held) == nil)
        #expect(scene.keptBytes == 3 * block)
        for _ in 0..<3 { scene.fill.pointee.advance(third) }
        #expect(scene.keptBytes == 0)
        scene.fill.pointee.cutSlowest()
        #expect(scene.first == nil)
    }

    @Test func `readers leave in any order`() throws {
        let scene = try Scene(readers: 4)
        try scene.write()
        for index in [1, 0, 1, 0] {
            let reader = scene.readers[index]
            scene.close(reader)
            var count = 0
            var place = scene.first
            while let next = place {
                count += 1
                place = next.along.pointee.next
            }
            #expect(count == scene.readers.count)
        }
        #expect(scene.keptBytes == 0)
    }
}
