import CSluice

/// Words of a histogram: its sum, and its buckets behind it.
private let timeWords = 1 + Buckets.times.count
private let sizeWords = 1 + Buckets.sizes.count

/// What is counted of the requests of a route.
///
/// Numbers that are compiled in stand for what `Buckets` has: a test compares them.
enum RouteWords {
    // Of each class of statuses.
    static let time = 0
    static let bytesOut = 20
    static let bytesIn = 34
    /// Words of a class.
    static let stride = 48
    /// 0 for no response at all, 1 for 1xx and so on.
    static let classCount = 6
    static let classNames = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]

    /// By `SLUICE_OUTCOME_*`; that of a complete response stays 0.
    static let outcomes = stride * classCount
    static let outcomeNames = ["complete", "client_gone", "upstream_cut", "reset", "malformed"]
    /// By `SLUICE_CACHE_STATUS_*`; that of a route without a cache stays 0.
    static let cache = outcomes + 8
    static let cacheNames = [
        "none", "bypass", "miss", "hit", "stale", "revalidated", "stale_error", "updated",
    ]
    /// Requests that the host made itself.
    static let background = cache + 8
    static let count = cache + 16

    /// The class of a status below 1,000; 0 where there was none.
    @inline(__always)
    static func statusClass(_ status: UInt32) -> Int {
        // A hundredth, exact up to 10,000: a division would take ten times as long. What is no
        // status of HTTP counts as an error.
        min(Int((status &* 5_243) >> 19), classCount &- 1)
    }

    /// Whether the numbers above leave room for the buckets.
    static var fit: Bool {
        bytesOut == time + timeWords && bytesIn == bytesOut + sizeWords
            && stride == bytesIn + sizeWords && cacheNames.count <= background - cache
            && outcomeNames.count <= cache - outcomes
    }
}

/// What is counted of an upstream.
enum UpstreamWords {
    /// Requests that were sent on a connection that was made for them; behind it, on one that was
    /// there already.
    static let sentNew = 0
    /// Attempts without a response, by `SLUICE_ATTEMPT_*`; that of a response stays 0.
    static let failed = 2
    static let failedNames = ["response", "connect", "timeout", "closed", "malformed", "abandoned"]
    /// An attempt that was given up for another one beside it.
    static let abandoned = failed + Int(SLUICE_ATTEMPT_ABANDONED)
    static let retries = 8
    static let hedges = 14
    static let budgetRefusals = 15
    /// Requests that were refused for a limit, by `UpstreamLimit`.
    static let refusals = 16
    /// Requests whose time in the queue was over.
    static let pendingTimeouts = 21
    static let connectFailures = 22
    static let handshakeFailures = 23
    /// By the class of the status.
    static let responses = 24
    static let firstByte = 30
    static let connect = firstByte + 20
    static let handshake = connect + 20
    static let pending = handshake + 20
    static let count = pending + 20

    static var fit: Bool {
        connect == firstByte + timeWords && responses + RouteWords.classCount <= firstByte
            && retries + RetryReason.allCases.count <= hedges
    }
}

/// Why a request got another attempt.
enum RetryReason: Int, CaseIterable {
    /// No connection.
    case connect
    /// The connection ended before a response.
    case reset
    case timeout
    /// A status that `retries.on` lists.
    case status
    /// A connection of the pool was closed by the peer.
    case stale
    /// The peer has refused the stream (RFC 9113 §8.7).
    case refused
}

/// What is counted of the connections of a listener.
enum ListenerWords {
    static let accepted = 0
    static let closed = 1
    /// Refused: for `limits.connections`, for `limits.connections_per_address`, and for the PROXY
    /// header.
    static let refused = 2
    static let refusedNames = ["connections", "connections_per_address", "proxy_protocol"]
    static let handshakeFailures = 5
    static let handshake = 6
    static let count = handshake + 20

    /// Places in `refusedNames`.
    static let connections = 0
    static let perAddress = 1
    static let proxyProtocol = 2
}

/// What is counted of a worker.
enum WorkerWords {
    /// Requests that have begun and not ended.
    static let inFlight = 0
    /// The kernel's number of its thread.
    static let thread = 1
    /// Clients' connections that are open.
    static let connections = 2
    /// Of `H2Counters`.
    static let http2 = 4
    static let count = http2 + 24
}
