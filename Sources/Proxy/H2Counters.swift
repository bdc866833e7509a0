import HTTP
import Reactor
import Synchronization

/// What a worker counts of clients' HTTP/2, since it began: words of its row, which metrics show.
struct H2Counters {
    // Safe: the row has room for all of them (`WorkerWords`), and is never freed.
    private let row: MeterRow

    // Words.
    static let connections = 0
    static let streams = 1
    static let streamsRefused = 2
    static let resetsReceived = 3
    static let failures = 4
    static let cut = 5
    /// Words of a row.
    static let count = cut + 16

    init(_ row: MeterRow) {
        precondition(H2Bound.allCases.count <= 16, "more bounds than counters")
        self.row = row
    }

    private subscript(word: Int) -> UInt64 {
        get { row[word].load(ordering: .relaxed) }
        nonmutating set { row[word].store(newValue, ordering: .relaxed) }
    }

    /// Connections that began.
    var connections: UInt64 {
        get { self[Self.connections] }
        nonmutating set { self[Self.connections] = newValue }
    }
    /// Streams that were opened, also those that were answered by the host itself.
    var streams: UInt64 {
        get { self[Self.streams] }
        nonmutating set { self[Self.streams] = newValue }
    }
    /// Streams that were refused with REFUSED_STREAM, and may be sent again (RFC 9113 §8.7).
    var streamsRefused: UInt64 {
        get { self[Self.streamsRefused] }
        nonmutating set { self[Self.streamsRefused] = newValue }
    }
    /// Streams that clients have reset.
    var resetsReceived: UInt64 {
        get { self[Self.resetsReceived] }
        nonmutating set { self[Self.resetsReceived] = newValue }
    }
    /// Connections that were ended for an error, those below included.
    var failures: UInt64 {
        get { self[Self.failures] }
        nonmutating set { self[Self.failures] = newValue }
    }

    /// Connections that were ended at a bound.
    subscript(bound: H2Bound) -> UInt64 {
        get { self[Self.cut + Int(bound.rawValue)] }
        nonmutating set { self[Self.cut + Int(bound.rawValue)] = newValue }
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
