import CSluice
import Sys
import Testing

@testable import PluginHost

/// Calls of hooks that took long: `watch_hooks` and `slow_hooks` of `sluice.http/1`.
struct SlowHooksTests {
    private let http = HTTPTable.functions
    private let chain: Chain

    init() throws {
        chain = Chain(
            route: try Chain.noting(["quick", "slow"], Chain.Notes()) { name, run in
                if name == "slow", run.phase == .upstreamRequest { Process.sleep(milliseconds: 5) }
                return SLUICE_CONTINUE
            }
        )
    }

    private var request: OpaquePointer { OpaquePointer(chain.exchange.context) }

    private func watch(_ threshold: UInt64) -> Int {
        Int(http.pointee.watch_hooks(request, threshold))
    }

    private var kept: [sluice_slow_hook] {
        var hooks: UnsafePointer<sluice_slow_hook>?
        let count = http.pointee.slow_hooks(request, &hooks)
        return Array(UnsafeBufferPointer(start: hooks, count: Int(count)))
    }

    private func name(_ hook: sluice_slow_hook) -> String {
        Slice(hook.instance.ptr, Int(hook.instance.len)).text
    }

    /// A call of the plugin at a place of the chain.
    private func note(
        _ plugin: Int,
        from start: UInt64,
        to end: UInt64,
        isResumed: Bool = false,
        waits: Bool = false
    ) {
        RequestContext.note(
            TimedCall(start: start, end: end, isResumed: isResumed, waits: waits),
            of: chain.chain.entry(.requestHeaders, plugin),
            phase: UInt32(SLUICE_PHASE_REQUEST_HEADERS),
            chain.exchange.context
        )
    }

    @Test func `a request that nobody watches is not timed`() {
        #expect(chain.run(.upstreamRequest) == .proceed)
        #expect(kept.isEmpty && chain.exchange.context.pointee.timing.isEmpty)
        #expect(watch(0) == SLUICE_EINVAL)
        #expect(chain.exchange.context.pointee.timing.isEmpty)
    }

    @Test func `a call that takes as long is kept, with its times`() throws {
        #expect(watch(5_000_000) == SLUICE_OK)
        let before = Clock.monotonicNanoseconds()
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(chain.run(.upstreamRequest) == .proceed)
        let after = Clock.monotonicNanoseconds()
        // A machine that stands still may make the others slow as well.
        let hook = try #require(kept.first { name($0) == "slow" })
        #expect(hook.phase == UInt32(SLUICE_PHASE_UPSTREAM_REQUEST))
        #expect(before <= hook.start && hook.start < hook.end && hook.end <= after)
        #expect(hook.busy == hook.end - hook.start && hook.waits == 0)
        #expect(hook.busy >= 5_000_000)
    }

    @Test func `of several thresholds the least counts`() {
        #expect([watch(300), watch(200), watch(400)] == [SLUICE_OK, SLUICE_OK, SLUICE_OK])
        note(0, from: 1_000, to: 1_199)
        note(1, from: 2_000, to: 2_200)
        #expect(kept.map(\.start) == [2_000])
    }

    @Test func `a wait counts, and what ran is told apart`() {
        #expect(watch(500) == SLUICE_OK)
        note(0, from: 1_000, to: 1_010, waits: true)
        #expect(kept.map(\.end) == [0] && kept[0].waits == 1)
        note(1, from: 1_020, to: 1_030)
        note(0, from: 1_300, to: 1_320, isResumed: true, waits: true)
        note(0, from: 1_600, to: 1_640, isResumed: true)
        #expect(kept.count == 1)
        #expect((kept[0].start, kept[0].end) == (1_000, 1_640))
        #expect((kept[0].busy, kept[0].waits) == (70, 2))
    }

    @Test func `a wait that ends in time is not kept`() {
        #expect(watch(500) == SLUICE_OK)
        note(0, from: 1_000, to: 1_010, waits: true)
        note(1, from: 1_000, to: 1_700)
        note(0, from: 1_400, to: 1_499, isResumed: true)
        #expect(kept.map(\.end) == [1_700])
        // Its wait is over: one more is another call's.
        note(0, from: 3_000, to: 3_010, isResumed: true)
        #expect(kept.count == 1)
    }

    @Test func `a wait that an attempt gave up does not swallow the next one's`() {
        #expect(watch(500) == SLUICE_OK)
        note(0, from: 1_000, to: 1_010, waits: true)
        note(0, from: 9_000, to: 9_010, waits: true)
        note(0, from: 9_700, to: 9_710, isResumed: true)
        #expect(kept.map(\.start) == [1_000, 9_000])
        #expect(kept.map(\.end) == [0, 9_710])
    }

    @Test func `the first calls are kept, up to the bound`() {
        #expect(watch(100) == SLUICE_OK)
        let most = UInt64(SLUICE_SLOW_HOOKS_MAX)
        for number in 1...most + 2 { note(0, from: number * 1_000, to: number * 1_000 + 100) }
        #expect(kept.map(\.start) == (1...most).map { $0 * 1_000 })
        // One that began to wait when there was no room is measured from where it goes on.
        note(1, from: 50_000, to: 50_001, waits: true)
        note(1, from: 60_000, to: 60_001, isResumed: true)
        #expect(kept.count == Int(most))
    }
}
