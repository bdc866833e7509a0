/// When requests that fail take a peer out, and for how long.
///
/// As Envoy's outlier detection: errors in a row, or a rate of them over a window. A peer is out
/// for `ejectNanoseconds` times the number of its ejections, which is forgotten as time goes by
/// without one.
package struct OutlierRules: Equatable, BitwiseCopyable {
    /// Errors in a row; 0 is off.
    package var consecutive = 5
    /// Percent of errors; 0 is off.
    package var rate = 0
    /// Of the rate.
    package var windowNanoseconds: UInt64 = 10_000_000_000
    /// Requests in a window below which the rate says nothing.
    package var requestsMin = 50
    package var ejectNanoseconds: UInt64 = 30_000_000_000
    package var ejectNanosecondsMax: UInt64 = 300_000_000_000
    /// Percent of an upstream's peers that may be out at a time; one may always be.
    package var ejectedPercentMax = 10

    package init() {}

    /// Peers of an upstream that may be out at a time: one of several at least, all but one at
    /// most; the only one never, since nothing would be left.
    package func ejectedMax(of peers: Int) -> Int {
        guard ejectedPercentMax > 0, peers > 1 else { return 0 }
        return min(
            max(peers * ejectedPercentMax / 100, 1),
            ejectedPercentMax == 100 ? peers : peers - 1
        )
    }

    /// How long a peer is out.
    ///
    /// - Parameter ejections: with this one, 1 or more.
    package func nanoseconds(ejections: Int) -> UInt64 {
        let (product, isOver) = ejectNanoseconds.multipliedReportingOverflow(by: UInt64(ejections))
        return isOver ? ejectNanosecondsMax : min(product, ejectNanosecondsMax)
    }

    /// Ejections that still count after a time without one: one less for each `ejectNanoseconds`.
    package func remembered(ejections: Int, quietNanoseconds: UInt64) -> Int {
        let forgotten = quietNanoseconds / max(ejectNanoseconds, 1)
        return forgotten >= UInt64(ejections) ? 0 : ejections - Int(forgotten)
    }

    /// Whether a window's counts are those of an outlier.
    package func isOutlier(requests: UInt64, errors: UInt64) -> Bool {
        rate > 0 && requests >= UInt64(requestsMin) && errors * 100 >= requests * UInt64(rate)
    }
}

/// When so few peers are healthy that all are used: the rest could not carry the load.
package enum Panic {
    /// - Parameter percent: of the peers; below it there is panic; 0 is off.
    package static func isOn(healthy: Int, of peers: Int, percent: Int) -> Bool {
        peers > 0 && healthy * 100 < peers * percent
    }
}
