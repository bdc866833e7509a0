/// When a set of peers is asked for again.
///
/// Knows neither a clock nor a source of random numbers: both come in.
struct RefreshClock: Equatable {
    /// Bounds and steps of one upstream, all in nanoseconds.
    struct Settings: Equatable {
        /// At least this long between two answers, also when their time is 0.
        var least: UInt64 = 1_000_000_000
        /// At most this long, whatever the answer says.
        var most: UInt64 = 300_000_000_000
        /// At most this long after an answer that there is nothing.
        var negativeMost: UInt64 = 30_000_000_000
        /// After the first failure; doubled with each further one.
        var retryLeast: UInt64 = 1_000_000_000
        /// The longest time between failures.
        var retryMost: UInt64 = 30_000_000_000
        /// Per cent by which a time is longer at most.
        var jitterPercent: UInt64 = 10
    }

    let settings: Settings
    /// Failures since the last answer.
    private(set) var failures = 0

    init(_ settings: Settings) { self.settings = settings }

    /// The time until the next question, after an answer.
    ///
    /// - Parameters:
    ///   - seconds: for which the answer may be kept.
    ///   - random: any bits.
    mutating func answered(seconds: Int, random: UInt64) -> UInt64 {
        failures = 0
        return spread(clamp(seconds, settings.most), random)
    }

    /// The time until the next question, after an answer that there is nothing.
    ///
    /// - Parameters:
    ///   - seconds: for which that may be kept; nil when the answer does not say.
    ///   - random: any bits.
    mutating func answeredNone(seconds: Int?, random: UInt64) -> UInt64 {
        failures = 0
        let most = min(settings.negativeMost, settings.most)
        guard let seconds else { return spread(max(settings.least, most), random) }
        return spread(clamp(seconds, most), random)
    }

    /// The time until the next question, when there was no answer.
    mutating func failed(random: UInt64) -> UInt64 {
        var delay = settings.retryLeast
        var left = failures
        while left > 0, delay < settings.retryMost {
            delay *= 2
            left -= 1
        }
        failures += 1
        return spread(min(delay, settings.retryMost), random)
    }

    private func clamp(_ seconds: Int, _ most: UInt64) -> UInt64 {
        let (product, isOver) = UInt64(max(0, seconds)).multipliedReportingOverflow(
            by: 1_000_000_000
        )
        return max(settings.least, min(most, isOver ? .max : product))
    }

    /// Longer by chance and never shorter: asked earlier, a resolver answers from its cache with
    /// the little time that is left.
    private func spread(_ delay: UInt64, _ random: UInt64) -> UInt64 {
        let most = delay / 100 * settings.jitterPercent
        return most == 0 ? delay : delay + random % (most + 1)
    }
}
