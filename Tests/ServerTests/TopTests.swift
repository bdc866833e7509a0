import Admin
import Testing

@testable import Server

struct TopTests {
    private func sample(
        _ time: Double,
        _ metrics: String,
        process: Int64 = 7,
        firstByte: JSON = 1_240
    ) -> TopSample {
        TopSample(
            time: time,
            status: [
                "version": "1.2.3", "pid": .integer(process), "state": "serving",
                "uptime_seconds": 61, "workers": 2,
                "plugins": [["name": "ring", "id": "org.sluice.ketama"]],
                "upstreams": [
                    [
                        "name": "app",
                        "peers": [
                            [
                                "address": "192.0.2.1:80", "health": "healthy", "in_flight": 3,
                                "latency_microseconds": firstByte,
                            ]
                        ],
                    ]
                ],
            ],
            routes: ["routes": [["name": "all", "chain": ["limit", "ring"], "upstream": "app"]]],
            metrics: MetricSamples(metrics)
        )
    }

    private func counts(_ ok: Int, _ failed: Int, _ quick: Int, _ slow: Int) -> String {
        """
        # HELP sluice_http_requests_total Requests.
        # TYPE sluice_http_requests_total counter
        sluice_http_requests_total{route="all",code="2xx"} \(ok)
        sluice_http_requests_total{route="all",code="5xx"} \(failed)
        sluice_http_request_duration_seconds_bucket{route="all",le="0.001"} \(quick)
        sluice_http_request_duration_seconds_bucket{route="all",le="0.002"} \(quick + slow)
        sluice_http_request_duration_seconds_bucket{route="all",le="+Inf"} \(quick + slow)
        sluice_plugin_hook_calls_total{plugin="ring",phase="pick"} \(ok)
        sluice_plugin_hook_duration_seconds_sum{plugin="ring"} \(Double(ok) / 1e6)
        sluice_plugin_hook_duration_seconds_count{plugin="ring"} \(ok)
        sluice_worker_requests_in_flight 4

        """
    }

    // MARK: Samples

    @Test func `samples are read`() {
        let read = MetricSamples(
            """
            # TYPE a counter
            a 1
            b{} 2.5e3
            c{x="1",y="a\\"b\\\\c\\nd"} +Inf
            c{x="2",} NaN 1700000000

            """
        )
        #expect(read.samples.map(\.name) == ["a", "b", "c", "c"])
        #expect(read.samples[1].value == 2_500)
        #expect(read.samples[2].labels == ["x": "1", "y": "a\"b\\c\nd"])
        #expect(read.samples[2].value == .infinity)
        #expect(read.samples[3].value.isNaN)
    }

    @Test(arguments: [
        "", "a", "a{", "a{x", "a{x=", "a{x=\"", "a{x=\"1\"", "a{x=\"1\"}", "a x", "{} 1",
    ])
    func `what is no sample is left out`(line: String) {
        #expect(MetricSamples(line + "\nok 1\n").samples.map(\.name) == ["ok"])
    }

    // MARK: Periods

    @Test func `a period is the difference of two answers`() {
        let period = TopPeriod(
            before: sample(10, counts(100, 10, 90, 20)),
            now: sample(12, counts(300, 14, 190, 120))
        )
        #expect(period.rate(.requests) == 102)
        #expect(period.rate(.requests) { $0["code"] == "5xx" } == 2)
        #expect(period.rates(.requests, by: .code) == ["2xx": 100, "5xx": 2])
        // Of 200, half were quick: those may be as quick as they like, the rest are even in theirs.
        #expect(period.quantile(0.5, of: .duration) == .below(0.001))
        guard case .about(let slow)? = period.quantile(0.75, of: .duration) else {
            Issue.record("a bound")
            return
        }
        #expect(abs(slow - 0.0015) < 1e-9)
    }

    @Test func `a period without requests has no times`() {
        let same = sample(10, counts(1, 1, 1, 1))
        let period = TopPeriod(before: same, now: sample(11, counts(1, 1, 1, 1)))
        #expect(period.quantile(0.5, of: .duration) == nil)
        #expect(period.rate(.requests) == 0)
    }

    @Test func `what is beyond the last bound is said to be at it`() throws {
        let name = "sluice_http_request_duration_seconds_bucket"
        let text = name + "{le=\"0.1\"} 0\n"
        let period = TopPeriod(
            before: sample(0, text + name + "{le=\"+Inf\"} 0\n"),
            now: sample(1, text + name + "{le=\"+Inf\"} 5\n")
        )
        #expect(period.quantile(0.99, of: .duration) == .above(0.1))
        #expect(TopView.time(.above(0.1)) == ">100 ms")
    }

    @Test func `tunnels are not in the times of requests`() {
        let name = "sluice_http_request_duration_seconds_bucket"
        func text(_ tunnels: Int, _ others: Int) -> String {
            [("1xx", [0, 0, tunnels]), ("2xx", [others, others, others])].map { code, counts in
                zip(["0.1", "1", "+Inf"], counts).map { bound, count in
                    name + "{code=\"\(code)\",le=\"\(bound)\"} \(count)\n"
                }.joined()
            }.joined()
        }
        let period = TopPeriod(before: sample(0, text(0, 0)), now: sample(1, text(50, 2)))
        #expect(period.duration(0.99) == .below(0.1))
        #expect(period.quantile(0.99, of: .duration) == .above(1))
    }

    @Test func `a peer that was never asked has no time`() {
        let now = sample(1, "", firstByte: 0)
        let lines = TopView(period: TopPeriod(before: sample(0, ""), now: now)).lines
        #expect(lines.contains("  app       192.0.2.1:80  healthy  3          -           "))
    }

    @Test func `a plugin without hooks has no calls`() {
        let view = TopView(period: TopPeriod(before: sample(0, ""), now: sample(1, "")))
        #expect(view.lines.last == "  ring    org.sluice.ketama  -        -     0       ")
    }

    @Test func `requests without a route have a row while there are some`() {
        func text(_ count: Int) -> String {
            "sluice_http_requests_total{route=\"none\",code=\"4xx\"} \(count)\n"
        }
        func rows(_ count: Int) -> [String] {
            let period = TopPeriod(before: sample(0, text(1)), now: sample(1, text(1 + count)))
            return TopView(period: period).lines.filter { $0.contains("no route") }
        }
        #expect(rows(0) == [])
        #expect(rows(3) == ["  none   3.00   -    -    refused, or no route"])
    }

    // MARK: Views

    @Test func `the view has totals, routes, peers and plugins`() {
        let view = TopView(
            period: TopPeriod(
                before: sample(10, counts(100, 10, 90, 20)),
                now: sample(12, counts(300, 14, 190, 120))
            )
        )
        #expect(
            view.lines == [
                "sluice 1.2.3, process 7, serving, up 1m 1s, workers: 2",
                "requests/s: 102   5xx/s: 2.00   in flight: 4   p50: <1.00 ms   p99: 1.98 ms",
                "",
                "routes:",
                "  ROUTE  REQ/S  P50       P99      CHAIN",
                "  all    102    <1.00 ms  1.98 ms  limit > ring > app",
                "upstreams:",
                "  UPSTREAM  PEER          HEALTH   IN FLIGHT  FIRST BYTE  REASON",
                "  app       192.0.2.1:80  healthy  3          1.24 ms     ",
                "plugins:",
                "  PLUGIN  ID                 CALLS/S  TIME     FAULTS  STATE",
                "  ring    org.sluice.ketama  100      1.00 us  0       ",
            ]
        )
    }

    @Test(arguments: [
        (0, "0.00"), (0.004, "0.00"), (0.006, "0.01"), (9.994, "9.99"), (9.996, "10.0"),
        (99.94, "99.9"), (99.96, "100"), (1_234.5, "1235"), (.nan, "-"), (.infinity, "-"),
    ])
    func `numbers have three digits`(value: Double, text: String) {
        #expect(TopView.number(value) == text)
    }

    @Test(arguments: [(2.5, "2.50 s"), (0.0025, "2.50 ms"), (0.0000025, "2.50 us")])
    func `times have a unit that fits`(value: Double, text: String) {
        #expect(TopView.time(value) == text)
    }

    // MARK: Command line

    @Test func `the command takes an interval and a count`() throws {
        guard
            case .top(let order) = try Command.parse(
                ["top", "--interval", "250ms", "--count", "3", "--admin", "unix:/a"]
            )
        else {
            Issue.record("another command")
            return
        }
        #expect(order.interval == 250)
        #expect(order.count == 3)
        #expect(order.control.admin == "unix:/a")
    }

    @Test(arguments: [
        ["--interval", "99ms"], ["--interval", "61s"], ["--interval", "1"], ["--count", "0"],
        ["--count", "1000001"], ["--count", "x"], ["--json"],
    ])
    func `values out of their range are refused`(arguments: [String]) {
        #expect(throws: UsageError.self) { try Command.parse(["top"] + arguments) }
    }

    @Test(arguments: [["--interval", "100ms"], ["--interval", "60s"], ["--count", "1000000"]])
    func `values at the edge are taken`(arguments: [String]) throws {
        _ = try Command.parse(["top"] + arguments)
    }
}
