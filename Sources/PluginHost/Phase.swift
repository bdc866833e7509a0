/// The phases of a request in which plugins are called; numbers as in `http.h`.
///
/// 1 and 3 have no hooks: they are served by the tables of the cache's and the balancer's role.
public enum Phase: Int, CaseIterable, Sendable, BitwiseCopyable {
    case requestHeaders = 0
    /// All calls of the cache's role; waits in it begin in `lookup` or in `read`.
    case cacheLookup = 1
    case requestBody = 2
    case upstreamRequest = 4
    case upstreamResult = 5
    case upstreamResponse = 6
    case upstreamBody = 7
    case responseHeaders = 8
    case responseBody = 9
    case localReply = 10
    case requestEnd = 11

    /// Those that have hooks.
    public static let allCases: [Phase] = [
        .requestHeaders, .requestBody, .upstreamRequest, .upstreamResult, .upstreamResponse,
        .upstreamBody, .responseHeaders, .responseBody, .localReply, .requestEnd,
    ]

    /// Phases of the ABI, with those that no hook has.
    public static let countOfABI = 12

    /// Whether the phase's message is the response.
    @inline(__always)
    var isOfResponse: Bool { rawValue >= 6 && rawValue <= 10 }

    /// Whether plugins are left in the reverse of the order in which they were entered.
    var isReversed: Bool { rawValue >= 5 && rawValue <= 10 }

    /// Whether edits apply when its hook has returned; those of body hooks have rules of their own.
    @inline(__always)
    var takesEdits: Bool { self != .requestEnd && self != .upstreamResult }

    public var isOfBody: Bool {
        self == .requestBody || self == .upstreamBody || self == .responseBody
    }

    /// As in `http.h`, in lower case.
    public var name: String { Self.names[rawValue] }

    /// In the order of their numbers.
    public static let names = [
        "request_headers", "cache_lookup", "request_body", "upstream_select",
        "upstream_request", "upstream_result", "upstream_response", "upstream_body",
        "response_headers", "response_body", "local_reply", "request_end",
    ]
}

/// Some phases, a bit each.
public struct PhaseSet: Sendable {
    let bits: UInt64

    /// Hooks of a peer's response head, and a cache, which may store it.
    @inline(__always) public static var responseHeads: PhaseSet {
        PhaseSet(bits: 1 << 1 | 1 << 5 | 1 << 6 | 1 << 8)
    }
    /// Hooks of a response's body, and a cache, which may store it.
    @inline(__always) public static var responseBodies: PhaseSet {
        PhaseSet(bits: 1 << 1 | 1 << 7 | 1 << 9)
    }
}
