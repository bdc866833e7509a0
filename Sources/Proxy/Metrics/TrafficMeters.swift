import Synchronization

/// What workers count of routes, upstreams and listeners, by name, over all plans of the process: a
/// reload goes on with the numbers of what keeps its name.
///
/// Names are looked up when a plan is made. Requests follow pointers.
package final class TrafficMeters: Sendable {
    /// Routes, upstreams and listeners that are counted by their names; what comes beyond is
    /// counted together, under the name `other`.
    static let routesMax = 10_000
    static let upstreamsMax = 10_000
    static let listenersMax = 4_096
    static let otherName = "other"
    /// The route of a request that none matched, or that was refused before one was looked for.
    static let noRoute = "none"

    /// What a route's requests are shown by.
    struct RouteKey: Hashable, Sendable {
        var route: String
        /// "" of one that leads to none.
        var upstream: String
    }

    /// Names and their meters, in the order in which they came.
    struct Table<Key: Hashable & Sendable>: Sendable {
        private(set) var entries: [(key: Key, meter: Meter)] = []
        private var places: [Key: Int] = [:]

        /// The meter of a key; that of `other` when there are `most` already.
        mutating func meter(_ key: Key, most: Int, other: Key, _ make: () -> Meter) -> Meter {
            if let place = places[key] { return entries[place].meter }
            guard entries.count < most || key == other else {
                return meter(other, most: most, other: other, make)
            }
            places[key] = entries.count
            entries.append((key, make()))
            return entries[entries.count - 1].meter
        }
    }

    struct Tables: Sendable {
        var routes = Table<RouteKey>()
        var upstreams = Table<String>()
        var listeners = Table<String>()
        var loads: [String: UpstreamLoad] = [:]
    }

    let workerCount: Int
    private let tables = Mutex(Tables())
    let workers: Meter
    /// Of requests without a route.
    let unrouted: Meter
    /// Of plugins' probes, which nobody shows.
    let probes: Meter

    init(workers: Int) {
        workerCount = workers
        self.workers = Meter(workers: workers, words: WorkerWords.count)
        unrouted = Meter(workers: workers, words: RouteWords.count)
        probes = Meter(workers: workers, words: UpstreamWords.count)
        precondition(RouteWords.fit && UpstreamWords.fit, "buckets do not fit their words")
    }

    // MARK: Names [control]

    /// - Parameter upstream: where the route leads; nil when nowhere.
    func route(_ name: String, upstream: String?) -> Meter {
        let other = RouteKey(route: Self.otherName, upstream: Self.otherName)
        return tables.withLock { tables in
            tables.routes.meter(
                RouteKey(route: name, upstream: upstream ?? ""),
                most: Self.routesMax,
                other: other
            ) { Meter(workers: workerCount, words: RouteWords.count) }
        }
    }

    func upstream(_ name: String) -> Meter {
        tables.withLock { tables in
            tables.upstreams.meter(name, most: Self.upstreamsMax, other: Self.otherName) {
                Meter(workers: workerCount, words: UpstreamWords.count)
            }
        }
    }

    /// - Parameter address: as in the manifest.
    func listener(_ address: String) -> Meter {
        tables.withLock { tables in
            tables.listeners.meter(address, most: Self.listenersMax, other: Self.otherName) {
                Meter(workers: workerCount, words: ListenerWords.count)
            }
        }
    }

    /// Counters of an upstream, which last over all plans that have one of this name.
    func load(ofUpstream name: String) -> UpstreamLoad {
        tables.withLock { tables in
            if let load = tables.loads[name] { return load }
            let load = UpstreamLoad(workers: workerCount)
            tables.loads[name] = load
            return load
        }
    }

    // MARK: Looking, from any thread

    var snapshot: Tables { tables.withLock { $0 } }
}
