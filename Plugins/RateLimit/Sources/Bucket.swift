import SluiceSDK

/// A token bucket's numbers as `sluice.shared` takes them.
///
/// A request costs many tokens, so that slow rates are kept as exactly as fast ones: the host
/// counts thousandths of a token a second. The bucket is deeper than its burst by the requests that
/// may wait: what is taken from there is what they wait for.
struct Bucket: BitwiseCopyable {
    /// Longest time for an empty bucket to fill.
    static let secondsToFillMax = 300.0 * 86_400

    /// Tokens of one request.
    let cost: UInt64
    let ratePerSecondMilli: UInt64
    /// Tokens of a full bucket.
    let capacity: UInt64
    /// Tokens that make requests wait when the bucket holds no more than these.
    let reserve: UInt64
    /// Tokens that a request may take at once, in requests.
    let burst: UInt64

    /// - Parameters:
    ///   - limit: requests of a window.
    ///   - window: nanoseconds.
    ///   - burst: requests at once.
    ///   - delay: nanoseconds that a request may wait; 0 for none.
    /// - Returns: nil when an empty bucket would take too long to fill.
    init?(limit: UInt64, window: UInt64, burst: UInt64, delay: UInt64) {
        let perSecond = Double(limit) * 1e9 / Double(window)
        guard Double(burst) / perSecond <= Bucket.secondsToFillMax else { return nil }
        // As many tokens that the rate is a number of six digits at least.
        var cost: UInt64 = 1
        while perSecond * 1_000 * Double(cost) < 100_000 { cost *= 10 }
        let rate = perSecond * 1_000 * Double(cost)
        let queue = perSecond * Double(delay) / 1e9 * Double(cost)
        self.cost = cost
        ratePerSecondMilli = UInt64(rate.rounded())
        reserve = UInt64(queue)
        capacity = burst * cost + reserve
        self.burst = burst
    }

    /// What a request waits for that left so many tokens, in nanoseconds.
    @inline(__always)
    func delay(tokensLeft: UInt64) -> UInt64 {
        guard tokensLeft < reserve else { return 0 }
        return nanoseconds(reserve - tokensLeft)
    }

    /// Requests that may still come at once.
    @inline(__always)
    func remaining(tokensLeft: UInt64) -> UInt64 {
        tokensLeft > reserve ? (tokensLeft - reserve) / cost : 0
    }

    /// Until so many tokens have come.
    @inline(__always)
    func nanoseconds(_ tokens: UInt64) -> UInt64 {
        UInt64(Double(tokens) * 1e12 / Double(ratePerSecondMilli))
    }
}
