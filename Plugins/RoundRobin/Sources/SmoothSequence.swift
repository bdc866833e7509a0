/// The order in which weighted peers take their turns.
///
/// Smooth weighted round robin, as nginx has it: before each turn every peer's credit grows by its
/// weight; the peer with the greatest credit takes the turn and pays the sum of all weights. With
/// the weights 5, 1, 1 that gives a a b a c a a, and not five a in a row.
enum SmoothSequence {
    /// Turns of the longest order that is kept: 256 KiB of memory.
    static let turnsMax = 65_536
    /// Turns times peers, above which sorting is used: some milliseconds of work.
    static let stepsMax = 1 << 22

    /// Weights without their common divisor.
    static func reduced(_ weights: [Int]) -> [Int] {
        var divisor = 0
        for weight in weights { divisor = greatestCommonDivisor(divisor, weight) }
        return weights.map { $0 / max(divisor, 1) }
    }

    /// One cycle of turns, as indices of `weights`; nil when it would be longer than `turnsMax`.
    ///
    /// Each index occurs exactly as often as its weight says. With very many peers each one's turns
    /// are placed at equal distances instead: nearly as even, though not in nginx's order, and done
    /// in O(turns log turns).
    static func cycle(_ weights: [Int]) -> [UInt32]? {
        let turns = weights.reduce(0, +)
        guard turns <= turnsMax else { return nil }
        // One turn each, as in most manifests: the order is that of the peers.
        if turns == weights.count { return (0..<turns).map { UInt32($0) } }
        if turns * weights.count > stepsMax { return spread(weights) }
        var credits = [Int](repeating: 0, count: weights.count)
        return (0..<turns).map { _ in
            UInt32(turn(&credits, weights, sum: turns))
        }
    }

    /// Takes one turn.
    private static func turn(_ credits: inout [Int], _ weights: [Int], sum: Int) -> Int {
        var best = 0
        for index in credits.indices {
            credits[index] += weights[index]
            if credits[index] > credits[best] { best = index }
        }
        credits[best] -= sum
        return best
    }

    private static func spread(_ weights: [Int]) -> [UInt32] {
        var places: [(place: UInt64, index: UInt32)] = []
        for (index, weight) in weights.enumerated() {
            // Peers of the same weight would all have their turns at the same places.
            let offset = (UInt64(index) &* goldenRatio) >> 32
            for turn in 0..<weight {
                // In units of 2^-32 of a cycle.
                places.append(((UInt64(turn) << 32 | offset) / UInt64(weight), UInt32(index)))
            }
        }
        places.sort { ($0.place, $0.index) < ($1.place, $1.index) }
        return places.map { $0.index }
    }

    private static func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
        var (left, right) = (left, right)
        while right != 0 { (left, right) = (right, left % right) }
        return left
    }
}
