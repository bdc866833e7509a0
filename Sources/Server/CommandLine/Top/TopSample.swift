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

    /// Below which value a share of the period's observations was: between the bounds of a bucket
    /// as if its observations were even in it; nil when there were none.
    func quantile(
        _ share: Double,
        of metric: ShownMetric,
        where isWanted: ([String: String]) -> Bool = { _ in true }
    ) -> Double? {
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
                guard bound.isFinite, count > under else { return low }
                return low + (bound - low) * (share * all - under) / (count - under)
            }
            (low, under) = (bound, count)
        }
        return low
    }
}
