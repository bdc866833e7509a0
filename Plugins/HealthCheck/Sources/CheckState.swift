/// Whether a peer is up by its checks: `fall` failures in a row take it down, `rise` successes in a
/// row bring it up again, as HAProxy counts them.
package struct CheckState: Equatable, BitwiseCopyable {
    /// As far as it is known.
    package private(set) var isUp: Bool
    /// Results in a row that speak against it.
    package private(set) var run = 0

    package init(isUp: Bool) { self.isUp = isUp }

    /// Counts a result.
    ///
    /// - Returns: whether the state has changed.
    package mutating func note(_ isGood: Bool, rise: Int, fall: Int) -> Bool {
        guard isGood != isUp else {
            run = 0
            return false
        }
        run += 1
        guard run >= (isUp ? fall : rise) else { return false }
        isUp.toggle()
        run = 0
        return true
    }
}

/// When checks begin.
package struct CheckTimes: Equatable, BitwiseCopyable {
    /// Nanoseconds from the begin of one check to the next.
    package var interval: UInt64
    /// Percent by which an interval is longer or shorter, by chance.
    package var jitter: Int

    package init(interval: UInt64, jitter: Int) {
        self.interval = interval
        self.jitter = jitter
    }

    /// Checks of peers that come together begin within this time.
    static let firstNanosecondsMax: UInt64 = 1_000_000_000

    /// Nanoseconds until the first check: peers that were given together are checked apart.
    package func first(random: UInt64) -> UInt64 {
        random % max(min(interval, Self.firstNanosecondsMax), 1)
    }

    /// Nanoseconds from one check to the next.
    package func next(random: UInt64) -> UInt64 {
        let reach = interval / 100 * UInt64(jitter)
        return interval - reach + random % (2 * reach + 1)
    }

    /// How often workers look what is due: often enough for the interval, and no oftener.
    package var tick: UInt64 { min(max(interval / 10, 10_000_000), 100_000_000) }
}
