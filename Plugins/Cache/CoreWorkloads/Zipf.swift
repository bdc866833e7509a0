internal import Glibc

/// Ranks 0 up to a count, of which rank r comes with a probability of 1 / (r + 1)^exponent.
///
/// Drawn by Walker's alias method: a column by chance, and in it one of two ranks.
public struct Zipf: Sendable {
    private var shares: [Double]
    private var aliases: [Int]

    /// - Parameters:
    ///   - count: 1 or more.
    ///   - exponent: 0 and up.
    public init(count: Int, exponent: Double) {
        var weights = (1...count).map { pow(Double($0), -exponent) }
        let total = weights.reduce(0, +)
        for rank in weights.indices { weights[rank] *= Double(count) / total }
        shares = [Double](repeating: 1, count: count)
        aliases = Array(0..<count)
        var poor = weights.indices.filter { weights[$0] < 1 }
        var rich = weights.indices.filter { weights[$0] >= 1 }
        while let small = poor.popLast(), let large = rich.popLast() {
            shares[small] = weights[small]
            aliases[small] = large
            weights[large] -= 1 - weights[small]
            if weights[large] < 1 { poor.append(large) } else { rich.append(large) }
        }
    }

    /// One rank by chance.
    public func rank(_ chance: inout Chance) -> Int {
        let column = chance.below(shares.count)
        return chance.fraction() < shares[column] ? column : aliases[column]
    }
}
