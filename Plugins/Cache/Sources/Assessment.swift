import CSluice
import CachePolicy
import SluiceSDK

/// What a response's fields say to a cache.
struct Assessment {
    var directives = ResponseDirectives()
    /// Whether they are of a targeted field (RFC 9213).
    var isTargeted = false
    /// Whether a field is named in `no-cache` or `private`.
    var hasExcluded = false
    var expires = Freshness.Expires.absent
    var age: Int64 = 0
    var date: Int64?
    var lastModified: Int64?
    var entityTag: Text = .empty
    var hasSetCookie = false
    var hasVary = false

    /// - Parameters:
    ///   - fields: of the response.
    ///   - now: seconds since 1970.
    init(_ fields: UnsafeBufferPointer<sluice_field>, now: Int64) {
        var hasControl = false
        var hasAge = false
        for field in fields {
            let value = field.valueText
            switch Int(field.id) {
            case Int(SLUICE_FIELD_CACHE_CONTROL): hasControl = true
            case Int(SLUICE_FIELD_EXPIRES):
                let time = HTTPDate.parse(value.trimmed, now: now)
                expires = expires.stricter(time.map { .at($0) } ?? .invalid)
            case Int(SLUICE_FIELD_AGE):
                // Of several members the first counts (RFC 9111 §5.1).
                if !hasAge { age = Freshness.age(value) ?? 0 }
                hasAge = true
            case Int(SLUICE_FIELD_DATE):
                if date == nil { date = HTTPDate.parse(value.trimmed, now: now) }
            case Int(SLUICE_FIELD_LAST_MODIFIED):
                if lastModified == nil { lastModified = HTTPDate.parse(value.trimmed, now: now) }
            case Int(SLUICE_FIELD_ETAG):
                if entityTag.isEmpty { entityTag = value }
            case Int(SLUICE_FIELD_SET_COOKIE): hasSetCookie = true
            case Int(SLUICE_FIELD_VARY): hasVary = true
            default: break
            }
        }
        if readTargeted(fields) || readSurrogate(fields) {
            isTargeted = true
        } else if hasControl {
            read(fields, Int(SLUICE_FIELD_CACHE_CONTROL))
        }
        hasExcluded = !directives.flags.isDisjoint(with: [.noCacheFields, .privateFields])
    }

    private mutating func read(_ fields: UnsafeBufferPointer<sluice_field>, _ id: Int) {
        for field in fields where Int(field.id) == id { directives.add(field.valueText) }
    }

    /// `CDN-Cache-Control`, if it is a dictionary with a member.
    private mutating func readTargeted(_ fields: UnsafeBufferPointer<sluice_field>) -> Bool {
        var found = ResponseDirectives()
        var members = 0
        for field in fields where Int(field.id) == Int(SLUICE_FIELD_CDN_CACHE_CONTROL) {
            guard let count = TargetedControl.add(field.valueText, to: &found) else { return false }
            members += count
        }
        guard members > 0 else { return false }
        directives = found
        return true
    }

    private mutating func readSurrogate(_ fields: UnsafeBufferPointer<sluice_field>) -> Bool {
        var isThere = false
        for field in fields where Int(field.id) == Int(SLUICE_FIELD_SURROGATE_CONTROL) {
            directives.add(field.valueText)
            isThere = true
        }
        return isThere
    }

    var hasValidator: Bool { !entityTag.isEmpty || lastModified != nil }

    /// Whether a field is not stored, as `no-cache` or `private` name it.
    func excludes(_ name: Text, _ fields: UnsafeBufferPointer<sluice_field>) -> Bool {
        guard hasExcluded else { return false }
        for field in fields {
            switch Int(field.id) {
            case Int(SLUICE_FIELD_CACHE_CONTROL), Int(SLUICE_FIELD_CDN_CACHE_CONTROL),
                Int(SLUICE_FIELD_SURROGATE_CONTROL):
                if ResponseDirectives.excludes(name, in: field.valueText) { return true }
            default: break
            }
        }
        return false
    }

    /// The same of either list.
    func excludes(
        _ name: Text,
        _ stored: UnsafeBufferPointer<sluice_field>,
        _ new: UnsafeBufferPointer<sluice_field>
    ) -> Bool {
        excludes(name, stored) || excludes(name, new)
    }

    /// Whether the response may be stored, and what its head then says.
    ///
    /// - Parameters:
    ///   - delay: seconds since the request was sent.
    ///   - time: now, by the clock of each.
    func head(
        status: Int,
        _ configuration: CacheConfiguration,
        delay: Int64,
        hasAuthorization: Bool,
        variesByAll: Bool,
        time: (monotonic: UInt64, wall: Int64)
    ) -> (head: ObjectHead, refusal: Refusal?) {
        var input = Freshness.Input(status: status, directives: directives, now: time.wall)
        input.isTargeted = isTargeted
        input.expires = expires
        input.date = date
        input.lastModified = lastModified
        input.configured = configuration.lifetime(status)
        let freshness = Freshness(input, heuristic: configuration.heuristic)
        var head = ObjectHead()
        head.status = UInt32(status)
        head.flags = directives.flags.rawValue
        head.isShared = directives.sharedMaxAge >= 0 ? 1 : 0
        head.storedAt = time.monotonic
        head.storedWall = time.wall
        head.initialAge = Freshness.initialAge(
            age: age,
            date: date,
            now: time.wall,
            delay: delay
        )
        head.lifetime = freshness.lifetime
        head.lastModified = lastModified ?? ObjectHead.timeNone
        head.date = date ?? time.wall
        // What the configuration adds is not for responses whose origin set a limit to all caches.
        let isLimited = directives.sharedMaxAge >= 0
        head.staleWhileRevalidate =
            directives.staleWhileRevalidate >= 0
            ? directives.staleWhileRevalidate
            : isLimited ? 0 : configuration.staleWhileRevalidate
        head.staleIfError =
            directives.staleIfError >= 0
            ? directives.staleIfError : isLimited ? 0 : configuration.staleIfError
        var storability = Storability(
            status: status,
            directives: directives,
            freshness: freshness
        )
        storability.initialAge = head.initialAge
        storability.hasAuthorization = hasAuthorization
        storability.hasSetCookie = hasSetCookie
        storability.storesCookies = configuration.storesCookies
        storability.hasValidator = hasValidator
        storability.hasExpires = expires != .absent && !isTargeted
        storability.variesByAll = variesByAll
        storability.staleSeconds = max(head.staleWhileRevalidate, head.staleIfError)
        return (head, storability.refusal)
    }
}
