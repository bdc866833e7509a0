import HTTP
import Reactor

/// What a worker counts of clients' HTTP/2, since it began.
///
/// Plain numbers of one worker: whoever sums them asks each worker in its own thread.
struct H2Counters {
    /// Connections that began.
    var connections: UInt64 = 0
    /// Streams that were opened, also those that were answered by the host itself.
    var streams: UInt64 = 0
    /// Streams that were refused with REFUSED_STREAM, and may be sent again (RFC 9113 §8.7).
    var streamsRefused: UInt64 = 0
    /// Streams that clients have reset.
    var resetsReceived: UInt64 = 0
    /// Connections that were ended for an error, those below included.
    var failures: UInt64 = 0
    /// Connections that were ended at a bound, by `H2Bound.rawValue`.
    private var cut = InlineArray<16, UInt64>(repeating: 0)

    init() { precondition(H2Bound.allCases.count <= 16, "more bounds than counters") }

    /// Connections that were ended at a bound.
    subscript(bound: H2Bound) -> UInt64 {
        get { cut[Int(bound.rawValue)] }
        set { cut[Int(bound.rawValue)] = newValue }
    }
}

extension Worker {
    /// Writes the counters into the log, when there is something to say: at a worker's end.
    mutating func logHTTP2() {
        let counters = http2
        guard counters.connections > 0 else { return }
        let totals: [(StaticString, UInt64)] =
            [
                ("connections", counters.connections), ("streams", counters.streams),
                ("streams_refused", counters.streamsRefused),
                ("resets_received", counters.resetsReceived), ("failures", counters.failures),
            ] + H2Bound.allCases.map { ($0.name, counters[$0]) }.filter { $0.1 > 0 }
        log.write(3) { line in
            line.text("HTTP/2:")
            for (name, value) in totals {
                line.text(" ")
                line.text(name)
                line.text("=")
                line.number(Int(value))
            }
        }
    }
}
