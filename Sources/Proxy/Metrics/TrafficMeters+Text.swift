import HTTP
import PluginHost
import Sys

/// What workers have counted, as families of metrics. [any thread]
///
/// Words are read while workers write them: a sum may be a request ahead of its count.
extension PlanTables {
    /// Has all of it among the metrics of the process, from now on.
    package func publishMetrics() {
        Metrics.setSource("traffic") { [self] writer in write(to: writer) }
    }

    func write(to writer: MetricWriter) {
        let tables = meters.snapshot
        writeRequests(tables, writer)
        writeSizes(tables, writer)
        writeListeners(tables, writer)
        writeHTTP2(writer)
        writeUpstreams(tables, writer)
        writeTimes(tables, writer)
        writeStates(tables, writer)
        writeWorkers(writer)
    }

    // MARK: Requests

    private typealias RouteSums = (labels: MetricLabels, sums: [UInt64])

    /// All routes, and the requests that had none, which come first.
    private func routes(_ tables: TrafficMeters.Tables) -> [RouteSums] {
        let none = TrafficMeters.RouteKey(route: TrafficMeters.noRoute, upstream: "")
        return ([(key: none, meter: meters.unrouted)] + tables.routes.entries).map {
            ([("route", $0.key.route), ("upstream", $0.key.upstream)], $0.meter.sums)
        }
    }

    private func writeRequests(_ tables: TrafficMeters.Tables, _ writer: MetricWriter) {
        let routes = routes(tables)
        writer.family("sluice_http_requests_total", .counter, "Requests that have ended.")
        forClasses(routes) { labels, words in writer.sample(Self.requests(words), labels) }
        writer.family(
            "sluice_http_request_duration_seconds",
            .histogram,
            "From a request's head to the end of its response."
        )
        forClasses(routes) { labels, words in
            Self.writeTimes(words, RouteWords.time, labels, writer)
        }
        writer.family(
            "sluice_http_requests_incomplete_total",
            .counter,
            "Requests whose response was not written whole, by why."
        )
        for route in routes {
            for (index, name) in RouteWords.outcomeNames.enumerated() where index > 0 {
                let count = route.sums[RouteWords.outcomes + index]
                if count > 0 { writer.sample(count, route.labels + [("outcome", name)]) }
            }
        }
        writer.family(
            "sluice_cache_requests_total",
            .counter,
            "Requests that came to a cache, by what it had for them."
        )
        for route in routes {
            for (index, name) in RouteWords.cacheNames.enumerated() where index > 0 {
                let count = route.sums[RouteWords.cache + index]
                if count > 0 { writer.sample(count, route.labels + [("status", name)]) }
            }
        }
        writer.family(
            "sluice_cache_background_requests_total",
            .counter,
            "Requests that were made in the background, to renew what a cache has."
        )
        for route in routes where route.sums[RouteWords.background] > 0 {
            writer.sample(route.sums[RouteWords.background], route.labels)
        }
    }

    private func writeSizes(_ tables: TrafficMeters.Tables, _ writer: MetricWriter) {
        let routes = routes(tables)
        let bounds = Buckets.sizes.shown(1)
        writer.family(
            "sluice_http_request_body_bytes",
            .histogram,
            "Bodies of requests, as far as they were read."
        )
        forClasses(routes) { labels, words in
            var counts = Self.counts(words, RouteWords.bytesIn, Buckets.sizes.count)
            // Workers count those that have a body.
            counts[0] &+= Self.requests(words) &- counts.reduce(0, &+)
            let sum = Double(words[RouteWords.bytesIn])
            writer.histogram(labels, bounds: bounds, counts: counts, sum: sum)
        }
        writer.family(
            "sluice_http_response_body_bytes",
            .histogram,
            "Bodies of responses, as far as they were written."
        )
        forClasses(routes) { labels, words in
            let counts = Self.counts(words, RouteWords.bytesOut, Buckets.sizes.count)
            let sum = Double(words[RouteWords.bytesOut])
            writer.histogram(labels, bounds: bounds, counts: counts, sum: sum)
        }
    }

    /// Calls a function with the words of each class of statuses that a route has seen.
    private func forClasses(
        _ routes: [RouteSums],
        _ body: (MetricLabels, [UInt64]) -> Void
    ) {
        for route in routes {
            for kind in 0..<RouteWords.classCount {
                let first = kind * RouteWords.stride
                let words = Array(route.sums[first..<first + RouteWords.stride])
                guard Self.requests(words) > 0 else { continue }
                body(route.labels + [("code", RouteWords.classNames[kind])], words)
            }
        }
    }

    /// The requests of a class.
    private static func requests(_ words: [UInt64]) -> UInt64 {
        counts(words, RouteWords.time, Buckets.times.count).reduce(0, &+)
    }

    /// The buckets of a histogram whose sum is at `place`.
    private static func counts(_ words: [UInt64], _ place: Int, _ count: Int) -> [UInt64] {
        Array(words[place + 1..<place + 1 + count])
    }

    private static func writeTimes(
        _ words: [UInt64],
        _ place: Int,
        _ labels: MetricLabels,
        _ writer: MetricWriter
    ) {
        writer.histogram(
            labels,
            bounds: Buckets.times.shown(1e9),
            counts: counts(words, place, Buckets.times.count),
            sum: Double(words[place]) / 1e9
        )
    }

    // MARK: Clients

    private func writeListeners(_ tables: TrafficMeters.Tables, _ writer: MetricWriter) {
        let listeners = tables.listeners.entries.map { entry in
            (labels: [("listener", entry.key)] as MetricLabels, sums: entry.meter.sums)
        }
        writer.family(
            "sluice_listener_connections_total",
            .counter,
            "Connections of clients that were taken."
        )
        for listener in listeners {
            writer.sample(listener.sums[ListenerWords.accepted], listener.labels)
        }
        writer.family("sluice_listener_connections_open", .gauge, "Connections of clients now.")
        for listener in listeners {
            let sums = listener.sums
            let open = Int64(
                bitPattern: sums[ListenerWords.accepted] &- sums[ListenerWords.closed]
            )
            writer.sample(max(open, 0), listener.labels)
        }
        writer.family(
            "sluice_listener_connections_refused_total",
            .counter,
            "Connections that were not taken, by the limit or rule."
        )
        for listener in listeners {
            for (index, name) in ListenerWords.refusedNames.enumerated() {
                let count = listener.sums[ListenerWords.refused + index]
                writer.sample(count, listener.labels + [("reason", name)])
            }
        }
        writer.family(
            "sluice_listener_tls_handshake_seconds",
            .histogram,
            "From a connection to the end of its TLS handshake."
        )
        for listener in listeners {
            let words = listener.sums
            Self.writeTimes(words, ListenerWords.handshake, listener.labels, writer)
        }
        writer.family(
            "sluice_listener_tls_handshake_failures_total",
            .counter,
            "TLS handshakes that failed."
        )
        for listener in listeners {
            writer.sample(listener.sums[ListenerWords.handshakeFailures], listener.labels)
        }
    }

    private func writeHTTP2(_ writer: MetricWriter) {
        let sums = meters.workers.sums
        let counters = Array(sums[WorkerWords.http2..<WorkerWords.http2 + H2Counters.count])
        writer.family(
            "sluice_http2_connections_total",
            .counter,
            "Connections of clients that spoke HTTP/2."
        )
        writer.sample(counters[H2Counters.connections])
        writer.family("sluice_http2_streams_total", .counter, "Streams that clients opened.")
        writer.sample(counters[H2Counters.streams])
        writer.family(
            "sluice_http2_streams_refused_total",
            .counter,
            "Streams that were refused, and may be sent again."
        )
        writer.sample(counters[H2Counters.streamsRefused])
        writer.family(
            "sluice_http2_resets_received_total",
            .counter,
            "Streams that clients have reset."
        )
        writer.sample(counters[H2Counters.resetsReceived])
        writer.family(
            "sluice_http2_connection_errors_total",
            .counter,
            "Connections that were ended for an error of the client's."
        )
        writer.sample(counters[H2Counters.failures])
        writer.family(
            "sluice_http2_floods_total",
            .counter,
            "Connections that were ended at a bound, by the bound."
        )
        for bound in H2Bound.allCases {
            writer.sample(
                counters[H2Counters.cut + Int(bound.rawValue)],
                [("bound", "\(bound.name)")]
            )
        }
    }

    // MARK: Workers

    private func writeWorkers(_ writer: MetricWriter) {
        let words = (0..<workerCount).map { meters.workers.words(ofWorker: $0) }
        func gauge(_ name: String, _ help: String, _ word: Int) {
            writer.family(name, .gauge, help)
            for (worker, words) in words.enumerated() {
                let value = max(Int64(bitPattern: words[word]), 0)
                writer.sample(value, [("worker", "\(worker)")])
            }
        }
        gauge(
            "sluice_worker_requests_in_flight",
            "Requests that have begun and not ended.",
            WorkerWords.inFlight
        )
        gauge(
            "sluice_worker_connections",
            "Connections of clients that the worker has.",
            WorkerWords.connections
        )
        writer.family(
            "sluice_worker_cpu_seconds_total",
            .counter,
            "CPU time of the worker's thread: its rate is the share of the time that it works."
        )
        for (worker, words) in words.enumerated() {
            let used = Usage.cpuNanoseconds(
                ofThread: Int32(truncatingIfNeeded: words[WorkerWords.thread])
            )
            writer.sample(Double(used) / 1e9, [("worker", "\(worker)")])
        }
    }
}
