import Proxy
import Testing

@testable import Server

/// What another attempt follows, and what an upstream is given at most.
struct FailoverKeyTests {
    let fixture = ManifestFixture()

    /// Rows of `ManifestKeyTests.bounds`.
    static let bounds: [(String, String, Int64, Int64, String)] = [
        ("retries", "try_timeout", 1, 86_400_000, "ms"),
        ("retries", "timeout", 1, 86_400_000, "ms"),
        ("retry_budget", "percent", 0, 100, ""), ("retry_budget", "min", 0, 1_000_000, ""),
        ("hedge", "after", 1, 86_400_000, "ms"),
        ("upstream_limits", "connections", 0, 10_000_000, ""),
        ("upstream_limits", "in_flight", 0, 10_000_000, ""),
        ("upstream_limits", "pending", 0, 10_000_000, ""),
        ("upstream_limits", "pending_timeout", 1, 86_400_000, "ms"),
        ("upstream_limits", "retry_after", 1, 3_600, "s"),
        ("peer_limits", "connections", 0, 10_000_000, ""),
        ("peer_limits", "in_flight", 0, 10_000_000, ""),
    ]

    private func upstream(_ text: String) throws -> UpstreamSettings {
        try #require(try fixture.parse(text).upstreams.first)
    }

    @Test func `failed connects and refused streams are tried again when nothing is said`() throws {
        let upstream = try upstream(Sample.manifest())
        #expect(upstream.retries.on == .usual)
        #expect(upstream.retries.on.events == [.connect, .refused])
        #expect(!upstream.retries.on.includesSent)
        #expect(upstream.hedge == HedgeSettings())
        #expect(!upstream.limits.isUsed)
    }

    @Test func `sets all keys`() throws {
        let found = try upstream(
            """
            { version: 1, listeners: [{ listen: ":1" }], routes: [{ upstream: "app" }],
              plugins: { lb: { library: "libLB.so" } },
              upstreams: { app: { peers: ["192.0.2.1:80", "192.0.2.2:80"], balancer: "lb",
                retries: { attempts: 4, on: ["reset", "timeout", "502", "599"],
                  try_timeout: "2s", timeout: "9s", budget: { percent: 10, min: 1 } },
                hedge: { after: "300ms" },
                limits: { connections: 5, in_flight: 6, pending: 7, pending_timeout: "8s",
                  retry_after: "3s", per_peer: { connections: 2, in_flight: 1 } } } } }
            """
        )
        var retries = RetrySettings()
        retries.attempts = 4
        retries.on = RetryConditions(events: [.reset, .timeout])
        retries.on.add(status: 502)
        retries.on.add(status: 599)
        retries.tryTimeout = 2_000
        retries.timeout = 9_000
        retries.budget.percent = 10
        retries.budget.min = 1
        #expect(found.retries == retries)
        #expect(found.hedge.after == 300)
        var limits = UpstreamLimits()
        limits.connections = 5
        limits.inFlight = 6
        limits.pending = 7
        limits.pendingTimeout = 8_000
        limits.retryAfterSeconds = 3
        limits.perPeer.connections = 2
        limits.perPeer.inFlight = 1
        #expect(found.limits == limits)
    }

    @Test func `no condition is a list, too`() throws {
        let settings = try upstream(Sample.manifest("retries", "on: []"))
        #expect(settings.retries.on == RetryConditions(events: []))
    }

    @Test(arguments: ["'resets'", "'399'", "'600'", "'5xx'", "'0500'", "' 500'", "''", "'+50'"])
    func `refuses another condition`(word: String) {
        let found = fixture.problems(Sample.manifest("retries", "on: ['reset', \(word)]"))
        #expect(found.count == 1)
        let text = word.dropFirst().dropLast()
        #expect(found.first?.hasPrefix("upstreams.app.retries.on[1]: expected ") == true)
        #expect(found.first?.hasSuffix("found \"\(text)\"") == true)
    }

    @Test(arguments: ["reset", "503"])
    func `refuses a condition that is there twice`(word: String) {
        let found = fixture.problems(Sample.manifest("retries", "on: ['\(word)', '\(word)']"))
        #expect(found == ["upstreams.app.retries.on[1]: \"\(word)\" is there twice"])
    }

    @Test func `refuses a queue without a limit to wait for`() {
        let found = fixture.problems(Sample.manifest(upstream: "limits: { pending: 1 }"))
        #expect(
            found == [
                "upstreams.app.limits.pending: has no effect without connections or in_flight"
            ]
        )
    }

    @Test func `refuses a hedge that nobody could take`() {
        let alone = fixture.problems(Sample.manifest(upstream: "hedge: { after: '1s' }"))
        #expect(
            alone == [
                "upstreams.app.hedge.after: has no effect with one peer; another one is asked"
            ]
        )
        let once = fixture.problems(
            Sample.manifest(upstream: "retries: { attempts: 1 }, hedge: { after: '1s' }")
        )
        #expect(once == ["upstreams.app.hedge.after: has no effect with retries.attempts of 1"])
    }
}
