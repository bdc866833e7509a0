import CSluice
import CSluiceEngine

/// What an engine counted of its plugin.
public struct EngineCounts: Sendable {
    /// Calls of hooks, by the name of their phase (`request_headers`); `resumed` apart.
    public let calls: [String: Int]
    /// Calls of `resumed`.
    public let resumptions: Int
    /// Waits that hooks began.
    public let waitsBegun: UInt64
    /// Requests that wait now.
    public let waiting: Int
    /// Connections of clients that the proxy has now.
    public let connections: Int

    private static let names = [
        "request_headers", "cache_lookup", "request_body", "upstream_select", "upstream_request",
        "upstream_result", "upstream_response", "upstream_body", "response_headers",
        "response_body", "local_reply", "request_end",
    ]

    init(_ counts: sluice_engine_counts) {
        var counts = counts
        calls = withUnsafeBytes(of: &counts.calls) { bytes in
            let numbers = bytes.bindMemory(to: UInt64.self)
            let pairs = zip(Self.names, numbers).filter { $0.1 > 0 }.map { ($0.0, Int($0.1)) }
            return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
        }
        resumptions = Int(counts.resumptions)
        waitsBegun = counts.waits_begun
        waiting = Int(counts.waits_now)
        connections = Int(counts.connections_now)
    }
}
