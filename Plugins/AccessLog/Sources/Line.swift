import SluiceSDK

/// What a line says of the facts of a request.
enum Line {
    /// What the client got; of one that left before there was an answer 499, as in nginx; 0 when
    /// there was none.
    static func status(_ facts: Facts) -> Int {
        if facts.status == 0, facts.outcome == Outcome.clientGone.rawValue { return 499 }
        return facts.status
    }

    /// Nanoseconds from the request's head to its end.
    static func duration(_ facts: Facts) -> UInt64 {
        let (begin, end) = (facts.startNanoseconds, facts.nowNanoseconds)
        return begin > 0 && end > begin ? end &- begin : 0
    }

    static func version(_ facts: Facts) -> Bytes {
        switch facts.httpVersion {
        case 10: "HTTP/1.0"
        case 20: "HTTP/2.0"
        default: "HTTP/1.1"
        }
    }

    static func version(_ tls: TLSFacts) -> Bytes {
        switch tls.version {
        case 0x0303: "TLSv1.2"
        case 0x0304: "TLSv1.3"
        default: ""
        }
    }

    /// How a request ended: numbers of `SLUICE_OUTCOME_`.
    enum Outcome: UInt32 {
        case complete = 0
        case clientGone = 1
        case upstreamCut = 2
        case reset = 3
        case malformed = 4
    }

    static func outcome(_ facts: Facts) -> Bytes {
        switch Outcome(rawValue: facts.outcome) {
        case .complete: "complete"
        case .clientGone: "client_gone"
        case .upstreamCut: "upstream_cut"
        case .reset: "reset"
        case .malformed: "malformed"
        case nil: ""
        }
    }

    /// Numbers of `SLUICE_CACHE_STATUS_`; empty on a route without a cache.
    static func cacheStatus(_ facts: Facts) -> Bytes {
        switch facts.cacheStatus {
        case 1: "BYPASS"
        case 2: "MISS"
        case 3: "HIT"
        case 4: "STALE"
        case 5: "REVALIDATED"
        case 6: "STALE_ERROR"
        case 7: "UPDATED"
        default: ""
        }
    }
}
