internal import Admin

/// What the interface told at one time.
struct TopSample {
    /// Seconds of any clock that only goes on.
    var time: Double
    var status: JSON
    var routes: JSON
    var metrics: MetricSamples

    var process: Int64? { status["pid"]?.integer }
}

/// What happened between two answers of one process.
///
/// Everything that is counted only grows, so it is the difference of the two.
struct TopPeriod {
    let before: TopSample
    let now: TopSample

    private var seconds: Double { max(now.time - before.time, 0.001) }

    /// How much a metric grew a second, by a label.
    func rates(
        _ name: String,
        by label: ShownMetric.Label? = nil,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> [String: Double] {
        let old = before.metrics.sums(name, by: label, where: isWanted)
        return now.metrics.sums(name, by: label, where: isWanted).reduce(into: [:]) {
            $0[$1.key] = max($1.value - (old[$1.key] ?? 0), 0) / seconds
        }
    }

    func rates(_ metric: ShownMetric, by label: ShownMetric.Label? = nil) -> [String: Double] {
        rates(metric.rawValue, by: label)
    }

    func rate(
        _ metric: ShownMetric,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> Double {
        rates(metric.rawValue, where: isWanted).values.reduce(0, +)
    }

    /// As far as buckets tell below which value a share of the observations was.
    enum Quantile: Equatable {
        /// Between the bounds of a bucket, as if its observations were even in it.
        case about(Double)
        /// In the first bucket, where most observations may be near 0 or near its bound.
        case below(Double)
        /// Above the last bound.
        case above(Double)
    }

    /// A quantile of the period's observations; nil when there were none.
    func quantile(
        _ share: Double,
        of metric: ShownMetric,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> Quantile? {
        let old = Dictionary(
            before.metrics.buckets(metric, where: isWanted).map { ($0.bound, $0.count) },
            uniquingKeysWith: +
        )
        let counts = now.metrics.buckets(metric, where: isWanted).map {
            (bound: $0.bound, count: $0.count - (old[$0.bound] ?? 0))
        }
        guard let all = counts.last?.count, all > 0 else { return nil }
        var (low, under) = (0.0, 0.0)
        for (bound, count) in counts {
            if count >= share * all {
                guard bound.isFinite else { return .above(low) }
                guard low > 0 else { return .below(bound) }
                let part = (share * all - under) / max(count - under, .leastNonzeroMagnitude)
                return .about(low + (bound - low) * part)
            }
            (low, under) = (bound, count)
        }
        return .above(low)
    }

    /// A quantile of how long requests took, tunnels left out: those take as long as they stand.
    func duration(
        _ share: Double,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> Quantile? {
        quantile(share, of: .duration) {
            $0[ShownMetric.Label.code.rawValue] != ShownMetric.tunnelCode && isWanted($0)
        }
    }
}
