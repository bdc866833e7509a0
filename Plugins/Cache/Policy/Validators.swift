/// An entity tag (RFC 9110 §8.8.3).
package struct EntityTag: BitwiseCopyable {
    /// With its quotation marks.
    package let opaque: Text
    package let isWeak: Bool

    /// - Returns: nil when the value is no tag.
    package init?(_ value: Text) {
        isWeak = value.hasPrefix("W/")
        opaque = isWeak ? value.dropFirst(2) : value
        guard opaque.count >= 2, opaque[0] == 0x22, opaque[opaque.count - 1] == 0x22 else {
            return nil
        }
        for offset in 1..<opaque.count - 1 {
            let byte = opaque[offset]
            if byte < 0x21 || byte == 0x22 || byte == 0x7F { return nil }
        }
    }

    package func matchesWeakly(_ other: EntityTag) -> Bool { opaque == other.opaque }

    package func matchesStrongly(_ other: EntityTag) -> Bool {
        !isWeak && !other.isWeak && opaque == other.opaque
    }
}

/// What a stored response can be recognised by.
package struct Validators: BitwiseCopyable {
    /// As it stands there; empty without.
    package var entityTag: Text = .empty
    /// Seconds since 1970.
    package var lastModified: Int64?
    package var date: Int64?

    package init() {}

    /// Whether a line of `If-None-Match` has the tag, compared weakly (RFC 9110 §13.1.2).
    ///
    /// Tags may have commas in them, so this is no list like others.
    package func isNoneMatched(by line: Text) -> Bool {
        if line.trimmed == "*" { return true }
        guard let own = EntityTag(entityTag) else { return false }
        var at = 0
        while at < line.count {
            if line[at] == 0x22 || (line[at] == 0x57 && line.dropFirst(at).hasPrefix("W/\"")) {
                let begin = at
                at += line[at] == 0x22 ? 1 : 3
                while at < line.count, line[at] != 0x22 { at += 1 }
                guard at < line.count else { return false }
                at += 1
                if let tag = EntityTag(line[begin..<at]), tag.matchesWeakly(own) { return true }
            } else {
                at += 1
            }
        }
        return false
    }

    /// Whether nothing has changed since a line of `If-Modified-Since` (RFC 9110 §13.1.3,
    /// RFC 9111 §4.3.2).
    ///
    /// - Parameter now: see `HTTPDate.parse`.
    package func isUnmodified(since line: Text, now: Int64) -> Bool {
        guard let time = HTTPDate.parse(line, now: now) else { return false }
        guard let changed = lastModified ?? date else { return false }
        return changed <= time
    }

    /// Whether `If-Range` lets a range be served (RFC 9110 §13.1.5): strong validators alone do.
    package func permitsRange(_ line: Text, now: Int64) -> Bool {
        let line = line.trimmed
        if line.hasPrefix("\"") || line.hasPrefix("W/") {
            guard let own = EntityTag(entityTag), let tag = EntityTag(line) else { return false }
            return tag.matchesStrongly(own)
        }
        // A date is strong when the response was made a second later or more (RFC 9110 §8.8.2.2).
        guard let time = HTTPDate.parse(line, now: now), let lastModified, let date else {
            return false
        }
        return time == lastModified && date - lastModified >= 1
    }

    /// Whether a 304 with these validators is about the stored response (RFC 9111 §4.3.4).
    package func selects(stored: Validators) -> Bool {
        if !entityTag.isEmpty, !stored.entityTag.isEmpty {
            guard let new = EntityTag(entityTag), let old = EntityTag(stored.entityTag) else {
                return entityTag == stored.entityTag
            }
            return new.matchesWeakly(old)
        }
        if let lastModified, let old = stored.lastModified { return lastModified == old }
        return true
    }
}
