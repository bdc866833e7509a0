import Testing

@testable import Reactor

struct SlabTests {
    private struct Element {
        var word: UInt64 = 0
        var other: UInt32 = 0
    }

    /// As many elements as can be taken, up to `most`.
    private func take(
        _ slab: inout Slab<Element>,
        most: Int = 100
    ) -> [UnsafeMutablePointer<Element>] {
        var taken: [UnsafeMutablePointer<Element>] = []
        while taken.count < most, let element = slab.take() {
            element.initialize(to: Element(word: UInt64(taken.count)))
            taken.append(element)
        }
        return taken
    }

    @Test(arguments: [(4, 9), (4, 8), (4, 3), (1, 1), (16, 0)])
    func `there are as many elements as the bound says`(chunkCount: Int, countMax: Int) {
        var slab = Slab<Element>(chunkCount: chunkCount, countMax: countMax)
        let taken = take(&slab)
        #expect(taken.count == countMax)
        #expect(slab.inUse == countMax)
        #expect(Set(taken).count == countMax)
        #expect(slab.chunks.count == (countMax + chunkCount - 1) / chunkCount)
        for (index, element) in taken.enumerated() {
            #expect(element.pointee.word == UInt64(index), "another element wrote over it")
        }
        guard let last = taken.last else { return }
        slab.give(last)
        #expect(slab.inUse == countMax - 1)
        #expect(take(&slab) == [last])
    }

    @Test
    func `memory grows a chunk at a time`() {
        var slab = Slab<Element>(chunkCount: 4, countMax: 10)
        for (taken, chunks, allocated) in [(1, 1, 4), (4, 1, 4), (5, 2, 8), (8, 2, 8), (9, 3, 10)] {
            while slab.inUse < taken { _ = take(&slab, most: 1) }
            #expect(slab.chunks.count == chunks)
            #expect(slab.allocated == allocated)
        }
    }

    @Test
    func `what was given last is taken first`() {
        var slab = Slab<Element>(chunkCount: 4, countMax: 8)
        let taken = take(&slab, most: 6)
        for index in [3, 0, 5] { slab.give(taken[index]) }
        #expect(slab.inUse == 3)
        #expect(take(&slab, most: 3) == [taken[5], taken[0], taken[3]])
        #expect(slab.chunks.count == 2, "no memory was taken for it")
    }

    @Test(arguments: [0, 16, 64, 192])
    func `elements of a chunk stand a stride apart`(stride: Int) {
        var slab = Slab<Element>(chunkCount: 4, countMax: 4, stride: stride)
        let taken = take(&slab).map { UnsafeRawPointer($0) }
        for index in 1..<4 {
            #expect(taken[index] - taken[index - 1] == max(stride, 16))
        }
        #expect(UInt(bitPattern: taken[0]) % 64 == 0)
    }
}
