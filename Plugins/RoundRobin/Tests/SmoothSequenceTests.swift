import Testing

@testable import RoundRobin

struct SmoothSequenceTests {
    @Test
    func `takes turns as nginx does`() {
        // a a b a c a a
        #expect(SmoothSequence.cycle([5, 1, 1]) == [0, 0, 1, 0, 2, 0, 0])
        #expect(SmoothSequence.cycle([1, 1, 1]) == [0, 1, 2])
        #expect(SmoothSequence.cycle([2, 1]) == [0, 1, 0])
        #expect(SmoothSequence.cycle([1]) == [0])
    }

    @Test
    func `keeps the peers' order when all weights are the same`() {
        let many = [Int](repeating: 1, count: 65_536)
        #expect(SmoothSequence.cycle(many) == Array(0..<65_536))
    }

    @Test
    func `leaves the common divisor out`() {
        #expect(SmoothSequence.reduced([500, 100, 100]) == [5, 1, 1])
        #expect(SmoothSequence.reduced([65_535]) == [1])
        #expect(SmoothSequence.reduced([3, 7]) == [3, 7])
    }

    @Test(arguments: [[1], [7, 3, 2], [100, 1], [13, 13, 13, 5], [1_000, 999, 1]])
    func `gives each index as many turns as its weight says`(weights: [Int]) throws {
        let cycle = try #require(SmoothSequence.cycle(weights))
        var counts = [Int](repeating: 0, count: weights.count)
        for index in cycle { counts[Int(index)] += 1 }
        #expect(counts == weights)
    }

    @Test
    func `never lags a whole turn behind the ideal`() throws {
        let weights = [17, 5, 3, 1]
        let cycle = try #require(SmoothSequence.cycle(weights))
        var counts = [Int](repeating: 0, count: weights.count)
        for (turn, index) in cycle.enumerated() {
            counts[Int(index)] += 1
            for (index, weight) in weights.enumerated() {
                let ideal = Double((turn + 1) * weight) / 26
                #expect(abs(Double(counts[index]) - ideal) < 1.5, "turn \(turn) index \(index)")
            }
        }
    }

    @Test
    func `keeps orders of up to 65,536 turns`() {
        #expect(SmoothSequence.cycle([65_534, 1])?.count == 65_535)
        #expect(SmoothSequence.cycle([65_535, 1])?.count == 65_536)
        #expect(SmoothSequence.cycle([65_535, 2]) == nil)
    }

    @Test
    func `places the turns of very many peers by their shares`() throws {
        var weights = [Int](repeating: 1, count: 5_000)
        weights[0] = 1_000
        let cycle = try #require(SmoothSequence.cycle(weights))
        #expect(cycle.count == 5_999)
        #expect(cycle.filter { $0 == 0 }.count == 1_000)
        #expect(Set(cycle).count == 5_000)
        // One turn in six would be ideal.
        let turns = cycle.indices.filter { cycle[$0] == 0 }
        let gaps = zip(turns, turns.dropFirst()).map { $1 - $0 }
        #expect(gaps.allSatisfy { (3...9).contains($0) }, "\(Set(gaps))")
    }
}
