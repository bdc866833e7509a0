/// Whether a stored response may answer a request, and how (RFC 9111 §4, RFC 5861).
package struct Serving: BitwiseCopyable {
    /// What the cache does.
    package enum Outcome: Equatable, Sendable {
        case fresh
        /// Served stale, as the request takes that.
        case stale
        /// Served stale, and updated in the background.
        case staleWhileRevalidate
        /// To be validated first; served stale when the origin fails, if it says so.
        case validate(staleIfError: Bool)
    }

    /// Seconds that it is fresh for, counted as `age` is.
    package var lifetime: Int64
    /// Seconds.
    package var age: Int64
    /// Of the stored response.
    package var flags: ResponseDirectives.Flags
    /// Seconds behind the lifetime that it may be served for while it is updated; 0 for none.
    package var staleWhileRevalidate: Int64
    /// Likewise, when the origin fails.
    package var staleIfError: Int64
    /// Whether `s-maxage` is there, which forbids stale answers (RFC 9111 §5.2.2.10).
    package var isShared: Bool

    package init(
        lifetime: Int64,
        age: Int64,
        flags: ResponseDirectives.Flags,
        staleWhileRevalidate: Int64,
        staleIfError: Int64,
        isShared: Bool
    ) {
        self.lifetime = lifetime
        self.age = age
        self.flags = flags
        self.staleWhileRevalidate = staleWhileRevalidate
        self.staleIfError = staleIfError
        self.isShared = isShared
    }

    /// Whether a stale response must not be served whatever happens (RFC 9111 §4.2.4).
    package var forbidsStale: Bool {
        isShared || !flags.isDisjoint(with: [.mustRevalidate, .proxyRevalidate, .noCache])
    }

    /// Whether it may be served now when the origin fails (RFC 5861 §4).
    package var mayServeOnError: Bool { !forbidsStale && age - lifetime < staleIfError }

    /// For a request with these directives.
    package func outcome(_ request: RequestDirectives) -> Outcome {
        let staleness = age - lifetime
        let onError = max(staleIfError, request.staleIfError)
        let mayServeOnError = !forbidsStale && staleness < onError
        if flags.contains(.noCache) { return .validate(staleIfError: false) }
        if request.noCache { return .validate(staleIfError: false) }
        // With 0 a client asks for validation, also within the second that it was stored in.
        if request.maxAge >= 0, age > request.maxAge || request.maxAge == 0, request.maxStale < 0 {
            return .validate(staleIfError: mayServeOnError && staleness >= 0)
        }
        if staleness < 0 {
            // The request wants it to stay fresh for so long.
            if request.minFresh >= 0, -staleness < request.minFresh {
                return .validate(staleIfError: true)
            }
            return .fresh
        }
        if forbidsStale { return .validate(staleIfError: false) }
        if request.minFresh < 0, staleness < staleWhileRevalidate { return .staleWhileRevalidate }
        if request.minFresh < 0, request.maxStale >= 0,
            staleness <= request.maxStale || request.maxStale == ResponseDirectives.secondsMax
        {
            return .stale
        }
        return .validate(staleIfError: mayServeOnError)
    }
}
