import Testing

@testable import Tracing

struct SamplingTests {
    private static let parent = TraceContext(traceHigh: 1, traceLow: 2, spanID: 3, flags: 1)

    private func decide(
        _ parent: TraceContext?,
        _ rule: ParentRule,
        _ ratio: Double,
        wanted: Bool? = nil,
        low: UInt64 = 7
    ) -> SamplingDecision {
        var numbers: [UInt64] = [9, low]
        return SamplingDecision(parent, rule, SamplingRatio(ratio), wanted: wanted) {
            numbers.removeFirst()
        }
    }

    @Test func `all and nothing are exact`() {
        for low in [0, 1, .max, 1 << 55, (1 << 56) - 1, 1 << 56] as [UInt64] {
            #expect(SamplingRatio(1).takes(low))
            #expect(!SamplingRatio(0).takes(low))
        }
    }

    @Test func `the lowest 56 bits decide, as OpenTelemetry has it`() {
        let half = SamplingRatio(0.5)
        #expect(half.takes(0x00_80_00_00_00_00_00_00))
        #expect(!half.takes(0x00_7F_FF_FF_FF_FF_FF_FF))
        #expect(!half.takes(0xFF_7F_FF_FF_FF_FF_FF_FF))
        // The threshold of 1 % is fd70a3d70a3d71.
        #expect(SamplingRatio(0.01).takes(0x00_FD_70_A3_D7_0A_3D_71))
        #expect(!SamplingRatio(0.01).takes(0x00_FD_70_A3_D7_0A_3D_00))
    }

    @Test(arguments: [0.001, 0.01, 0.1, 0.25, 0.5, 0.9])
    func `the share of random traces is the ratio`(ratio: Double) {
        var random = SplitMix(seed: 42)
        let sampler = SamplingRatio(ratio)
        let count = 50_000
        var taken = 0
        for _ in 0..<count where sampler.takes(random.next()) { taken += 1 }
        // Five standard deviations.
        let spread = 5 * (Double(count) * ratio * (1 - ratio)).squareRoot()
        #expect(abs(Double(taken) - Double(count) * ratio) < spread)
    }

    @Test func `a greater ratio takes all that a smaller one does`() {
        var random = SplitMix(seed: 1)
        for _ in 0..<10_000 {
            let low = random.next()
            if SamplingRatio(0.1).takes(low) { #expect(SamplingRatio(0.2).takes(low)) }
        }
    }

    @Test func `a parent is followed`() {
        let sampled = decide(Self.parent, .follow, 0)
        #expect(sampled.isSampled && sampled.parentID == 3 && sampled.link == nil)
        #expect(sampled.context.traceHigh == 1 && sampled.context.traceLow == 2)
        var quiet = Self.parent
        quiet.flags = 2
        let unsampled = decide(quiet, .follow, 1)
        #expect(!unsampled.isSampled && unsampled.context.flags == 2)
    }

    @Test func `the ratio can decide for traces of others`() {
        #expect(!decide(Self.parent, .ratio, 0).isSampled)
        #expect(decide(Self.parent, .ratio, 0).parentID == 3)
        #expect(decide(Self.parent, .ratio, 1).isSampled)
    }

    @Test func `a parent that is not trusted is a link`() {
        let decision = decide(Self.parent, .restart, 1)
        #expect(decision.link == Self.parent && decision.parentID == 0)
        #expect(decision.context.traceHigh == 9 && decision.context.traceLow == 7)
        #expect(decision.context.flags == 3)
    }

    @Test func `a new trace is random and not 0`() {
        var numbers: [UInt64] = [0, 0]
        let decision = SamplingDecision(nil, .follow, SamplingRatio(0)) { numbers.removeFirst() }
        #expect(decision.context.traceHigh | decision.context.traceLow != 0)
        #expect(decision.context.flags == TraceContext.randomFlag)
    }

    @Test func `what B3 asks for without a parent counts where parents do`() {
        #expect(decide(nil, .follow, 0, wanted: true).isSampled)
        #expect(!decide(nil, .follow, 1, wanted: false).isSampled)
        #expect(decide(nil, .ratio, 1, wanted: false).isSampled)
        #expect(!decide(nil, .restart, 0, wanted: true).isSampled)
    }
}

/// Random numbers of a seed (Steele, Lea and Flood, 2014).
struct SplitMix {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}
