import CSluice
import Synchronization
import Sys

/// A token bucket whose state is one word: the time when it will be full again (the generic cell
/// rate algorithm, ITU-T I.371).
///
/// Whoever takes tokens moves that time, by one compare and exchange.
///
/// Times are in units of 1/64 ns since `epoch`, so that rates up to a million a second are kept to
/// some millionths. A new bucket is 0: full since long ago.
struct TokenBucket {
    /// Units that a token takes to come.
    private let unitsPerToken: UInt64
    /// Units that an empty bucket takes to fill.
    private let unitsToFill: UInt64

    private static let unitShift: UInt64 = 6
    /// Longest time to fill, in units: about a year.
    static let unitsToFillMax: UInt64 = 1 << 61
    /// Thousandths of a token a second: a token takes at least a nanosecond.
    static let rateMax: UInt64 = 1_000_000_000_000

    /// A minute before this process first looked, so that no bucket comes before it: 57 bits of
    /// nanoseconds last for four years from here.
    private static let epoch: UInt64 = {
        if let epoch = inherited.withLock({ $0 }) { return epoch }
        let now = Clock.monotonicNanoseconds()
        return now - min(now, 60_000_000_000)
    }()

    private static let inherited = Mutex<UInt64?>(nil)

    /// Counts the times of buckets from where another process did, whose buckets are taken over:
    /// before the first use of one.
    static func inherit(epoch: UInt64) { inherited.withLock { $0 = epoch } }

    static var epochNanoseconds: UInt64 { epoch }

    /// - Parameters:
    ///   - rate: thousandths of a token a second, 1 to `rateMax`.
    ///   - burst: tokens of a full bucket, 1 or more.
    /// - Returns: nil when one is out of its range, or the bucket would take too long to fill.
    init?(rate: UInt64, burst: UInt64) {
        guard rate > 0, rate <= Self.rateMax, burst > 0 else { return nil }
        let (units, _) = Self.rateMax.multipliedReportingOverflow(by: 1 << Self.unitShift)
        unitsPerToken = (units + rate / 2) / rate
        let (fill, overflows) = unitsPerToken.multipliedReportingOverflow(by: burst)
        guard !overflows, fill <= Self.unitsToFillMax else { return nil }
        unitsToFill = fill
    }

    /// Whether so many tokens can ever be there.
    func canHold(_ cost: UInt64) -> Bool { cost <= unitsToFill / unitsPerToken }

    private static func units(_ now: UInt64) -> UInt64 {
        (now &- min(now, epoch)) << unitShift
    }

    /// When the bucket of this state is full again, in nanoseconds of the monotonic clock.
    static func nanosecondsWhenFull(_ state: UInt64) -> UInt64 {
        (state >> unitShift).addingSaturating(epoch)
    }

    /// Takes tokens, all or none.
    ///
    /// - Parameter cost: tokens, at most `burst`.
    func take(
        _ cost: UInt64,
        from state: UInt64,
        now: UInt64
    ) -> (state: UInt64, answer: sluice_bucket_answer) {
        let time = Self.units(now)
        let full = max(state, time)
        let wanted = full + cost * unitsPerToken
        let latest = time + unitsToFill
        var answer = sluice_bucket_answer()
        if wanted <= latest {
            answer.granted = 1
            answer.tokens = (latest - wanted) / unitsPerToken
            return (wanted, answer)
        }
        answer.tokens = latest > full ? (latest - full) / unitsPerToken : 0
        let units: UInt64 = 1 << Self.unitShift
        answer.wait_ns = (wanted - latest + units - 1) >> Self.unitShift
        return (state, answer)
    }
}
