/// Why a response is not stored.
package enum Refusal: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    case requestMethod = 1
    case requestNoStore
    case status
    case partial
    case noStore
    case isPrivate
    case authorization
    case setCookie
    case varyAny
    case notFresh
    case expired
    case tooLarge
    case noMemory
    case tooManyFields
    case purged
    case incomplete
    case disk

    /// For the log and the metrics.
    package var name: Text {
        switch self {
        case .requestMethod: "method"
        case .requestNoStore: "request-no-store"
        case .status: "status"
        case .partial: "partial"
        case .noStore: "no-store"
        case .isPrivate: "private"
        case .authorization: "authorization"
        case .setCookie: "set-cookie"
        case .varyAny: "vary-any"
        case .notFresh: "no-freshness"
        case .expired: "expired"
        case .tooLarge: "too-large"
        case .noMemory: "no-memory"
        case .tooManyFields: "fields"
        case .purged: "purged"
        case .incomplete: "incomplete"
        case .disk: "disk"
        }
    }

    /// Whether the next response for the key will be refused as well, as far as one can tell.
    package var isLasting: Bool {
        switch self {
        case .noStore, .isPrivate, .setCookie, .varyAny, .notFresh, .expired, .tooLarge,
            .tooManyFields, .status, .partial:
            true
        case .requestMethod, .requestNoStore, .authorization, .noMemory, .purged, .incomplete,
            .disk:
            false
        }
    }
}

/// Whether a response may be stored by a shared cache (RFC 9111 §3).
package struct Storability: BitwiseCopyable {
    package var status: Int
    /// Of the field that counts.
    package var directives: ResponseDirectives
    package var freshness: Freshness
    /// Seconds that it has been fresh for when it arrives.
    package var initialAge: Int64
    package var hasAuthorization: Bool
    package var hasSetCookie: Bool
    /// Whether responses with `Set-Cookie` may be stored.
    package var storesCookies: Bool
    /// Whether there is `ETag` or a valid `Last-Modified`.
    package var hasValidator: Bool
    /// Whether `Expires` was there, and counts.
    package var hasExpires: Bool
    package var variesByAll: Bool
    /// Seconds that it may be served for when it is stale, of directives and configuration.
    package var staleSeconds: Int64

    package init(status: Int, directives: ResponseDirectives, freshness: Freshness) {
        self.status = status
        self.directives = directives
        self.freshness = freshness
        initialAge = 0
        hasAuthorization = false
        hasSetCookie = false
        storesCookies = false
        hasValidator = false
        hasExpires = false
        variesByAll = false
        staleSeconds = 0
    }

    /// Nil: it may be stored.
    package var refusal: Refusal? {
        let flags = directives.flags
        // Final ones alone; parts are not put together (RFC 9111 §3.3), and 304 tells of another.
        guard status >= 200 else { return .status }
        if status == 206 { return .partial }
        if status == 304 { return .status }
        if flags.contains(.mustUnderstand) {
            // It then takes the place of `no-store` (RFC 9111 §5.2.2.3).
            guard Status.isUnderstood(status) else { return .noStore }
        } else if flags.contains(.noStore) {
            return .noStore
        }
        if flags.contains(.isPrivate) { return .isPrivate }
        // RFC 9111 §3.5.
        if hasAuthorization, directives.sharedMaxAge < 0,
            flags.isDisjoint(with: [.isPublic, .mustRevalidate])
        {
            return .authorization
        }
        if hasSetCookie, !storesCookies { return .setCookie }
        if variesByAll { return .varyAny }
        let isAllowed =
            flags.contains(.isPublic) || hasExpires || directives.maxAge >= 0
            || directives.sharedMaxAge >= 0 || freshness.source == .configured
            || Status.isHeuristicallyCacheable(status)
        guard isAllowed else { return .notFresh }
        // Neither fresh, nor good for anything when it is stale.
        if freshness.lifetime <= initialAge || flags.contains(.noCache) {
            let isOfUse = hasValidator || (staleSeconds > 0 && !flags.contains(.noCache))
            if !isOfUse { return freshness.source == .none ? .notFresh : .expired }
        }
        return nil
    }
}

/// What becomes of a stored response's fields.
package enum StoredFields {
    /// Fields of a connection, of framing, or of the way here, which are never stored
    /// (RFC 9111 §3.1).
    package static func isExcluded(_ name: Text) -> Bool {
        if name.hasPrefix(":") { return true }
        switch name.count {
        case 2: return name == "te"
        case 3: return name == "age"
        case 7: return name == "trailer" || name == "upgrade"
        case 10: return name == "connection" || name == "keep-alive"
        case 14: return name == "content-length"
        case 16: return name == "proxy-connection"
        case 17: return name == "transfer-encoding" || name == "surrogate-control"
        case 18: return name == "proxy-authenticate"
        case 19: return name == "proxy-authorization"
        case 25: return name == "proxy-authentication-info"
        default: return false
        }
    }

    /// Whether a 304 updates the stored field of this name (RFC 9111 §3.2).
    ///
    /// Not the fields that say how the stored bytes are to be read: a 304 has no bytes, and an
    /// origin that names others in it would spoil those that are stored.
    package static func isUpdated(_ name: Text) -> Bool {
        if isExcluded(name) { return false }
        switch name.count {
        case 13: return name != "content-range"
        case 16: return name != "content-encoding"
        default: return true
        }
    }

    /// Whether a field tells of the bytes that a 304 has not (RFC 9110 §15.4.5).
    package static func isOfContent(_ name: Text) -> Bool {
        guard name.count > 8, name.hasPrefix("content-") else { return false }
        return name == "content-type" || name == "content-encoding" || name == "content-language"
            || name == "content-range" || name == "content-disposition"
    }
}
