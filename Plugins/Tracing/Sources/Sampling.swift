/// Which share of traces is recorded, decided by the trace's id alone, so that all who decide by it
/// agree.
///
/// As OpenTelemetry's consistent probability sampling: the lowest 56 bits of the id are the
/// randomness, and a trace is recorded when they are not below a threshold.
package struct SamplingRatio: BitwiseCopyable, Equatable {
    private static let range: UInt64 = 1 << 56

    /// 0: all; `range`: none.
    private let threshold: UInt64

    /// - Parameter ratio: 0 (none) to 1 (all).
    package init(_ ratio: Double) {
        threshold = UInt64(((1 - ratio) * Double(Self.range)).rounded())
    }

    /// Whether a trace is recorded.
    ///
    /// - Parameter traceLow: the lower half of its id.
    package func takes(_ traceLow: UInt64) -> Bool { traceLow & (Self.range - 1) >= threshold }
}

/// What a request's parent means.
package enum ParentRule: UInt8, BitwiseCopyable {
    /// The trace goes on, and is recorded when the parent was.
    case follow
    /// The trace goes on, and its id decides.
    case ratio
    /// A new trace begins, with a link to the parent.
    case restart
}

/// What a request begins with.
package struct SamplingDecision: BitwiseCopyable {
    /// Of our own span; `spanID` is not set.
    package var context: TraceContext
    /// Id of the parent's span; 0 for none.
    package var parentID: UInt64 = 0
    /// The parent that was not followed.
    package var link: TraceContext?
    package var isSampled: Bool { context.isSampled }

    /// A decision for a parent, or for none.
    ///
    /// - Parameters:
    ///   - wanted: what was asked for without a parent, as B3 can; nil for nothing.
    ///   - random: gives 64 random bits.
    package init(
        _ parent: TraceContext?,
        _ rule: ParentRule,
        _ ratio: SamplingRatio,
        wanted: Bool? = nil,
        random: () -> UInt64
    ) {
        if let parent, rule != .restart {
            context = parent
            parentID = parent.spanID
            if rule == .ratio { isRecorded = ratio.takes(parent.traceLow) }
        } else {
            var high = random()
            let low = random()
            if high | low == 0 { high = 1 }
            context = TraceContext(
                traceHigh: high,
                traceLow: low,
                spanID: 0,
                flags: TraceContext.randomFlag
            )
            link = parent
            let decides = rule == .follow ? wanted : nil
            isRecorded = decides ?? ratio.takes(low)
        }
    }

    private var isRecorded: Bool {
        get { context.isSampled }
        set {
            context.flags &= ~TraceContext.sampledFlag
            if newValue { context.flags |= TraceContext.sampledFlag }
        }
    }
}
