import Testing

@testable import Proxy

struct IndexPoolTests {
    @Test
    func `numbers go out from the lowest, and come to an end`() {
        var pool = IndexPool(count: 3)
        #expect((0..<4).map { _ in pool.take() } == [0, 1, 2, nil])
        pool.give(1)
        #expect(pool.take() == 1)
        #expect(pool.take() == nil)
    }

    @Test(arguments: [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
    func `what is given back goes out first, the lowest before others`(order: [Int]) {
        var pool = IndexPool(count: 5)
        for _ in 0..<4 { _ = pool.take() }
        for index in order { pool.give(index) }
        #expect((0..<6).map { _ in pool.take() } == [0, 1, 2, 3, 4, nil])
    }

    @Test
    func `none is out twice, whatever the order`() {
        var pool = IndexPool(count: 200)
        var numbers = Seeded(state: 7)
        var taken: Set<Int> = []
        for _ in 0..<20_000 {
            if Bool.random(using: &numbers), let index = taken.randomElement(using: &numbers) {
                taken.remove(index)
                pool.give(index)
                continue
            }
            let lowest = (0..<200).first { !taken.contains($0) }
            let index = pool.take()
            #expect(index == lowest)
            if let index { taken.insert(index) }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `many come back at once`() {
        let count = PlanTables.peersMax
        var pool = IndexPool(count: count)
        for _ in 0..<count { _ = pool.take() }
        for index in 0..<count { pool.give(index) }
        for index in 0..<count { #expect(pool.take() == index) }
        #expect(pool.take() == nil)
    }
}
