/// Known field names, and what names, values, hosts and targets may hold.
///
/// Safe: every function reads only the `count` bytes that its caller vouches for.
public enum FieldNames {
    /// The id of a name in any case; `unknown` where it is not in the table.
    public static func id(_ name: UnsafePointer<UInt8>, count: Int) -> FieldID {
        guard count > 0 else { return .unknown }
        let tables = ParserTables.shared
        return FieldID(
            rawValue: UInt8(
                truncatingIfNeeded: tables.id(
                    of: name,
                    count: count,
                    first: name.word(0, end: count)
                )
            )
        )
    }

    /// The lower-case text of a known name, which lives forever; no bytes for any other id.
    public static func lowercaseName(_ id: FieldID) -> (UnsafePointer<UInt8>, Int) {
        ParserTables.shared.name(of: id)
    }

    /// Whether the bytes are a token: a method or a field name (RFC 9110 §5.6.2).
    public static func isToken(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        count > 0 && ParserTables.shared.all(ParserTables.token, bytes, count: count)
    }

    /// Whether the bytes may be written as a field value: no control character but HTAB, and no
    /// white space at either end (RFC 9110 §5.5).
    ///
    /// Empty is allowed.
    public static func isFieldValue(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        guard count > 0 else { return count == 0 }
        // Blanks are the only bytes up to SP that the scan below lets through.
        guard bytes[0] > Byte.space, bytes[count &- 1] > Byte.space else { return false }
        // Eight bytes at a time, the last eight overlapping: bytes below SP and DEL show in the
        // high bits, and so do some that are fine, which the exact scan sorts out.
        guard count >= 8 else {
            if count >= 4 {
                // The two halves overlap.
                let first = UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self)
                let last = UnsafeRawPointer(bytes + (count &- 4)).loadUnaligned(as: UInt32.self)
                let word = UInt64(first) | UInt64(last) &<< 32
                let marks = (word &- Words.each(Byte.space)) | (word &+ Words.ones)
                if marks & Words.highs == 0 { return true }
            }
            var at = 0
            while at < count {
                let byte = bytes[at]
                guard byte >= Byte.space && byte != 0x7F || byte == Byte.tab else { return false }
                at &+= 1
            }
            return true
        }
        var word = bytes.word(count &- 8)
        var marks = (word &- Words.each(Byte.space)) | (word &+ Words.ones)
        var at = 0
        while at &+ 8 < count {
            word = bytes.word(at)
            marks |= (word &- Words.each(Byte.space)) | (word &+ Words.ones)
            at &+= 8
        }
        if marks & Words.highs == 0 { return true }
        return FieldLines.valueEnd(bytes, from: 0, end: count) == count
    }

    /// Whether two texts are equal but for the case of ASCII letters.
    public static func equalsIgnoringCase(
        _ first: UnsafePointer<UInt8>,
        _ firstCount: Int,
        _ second: UnsafePointer<UInt8>,
        _ secondCount: Int
    ) -> Bool {
        guard firstCount == secondCount else { return false }
        var at = 0
        while at < firstCount {
            let word = Words.lowercased(first.word(at, end: firstCount))
            guard word == Words.lowercased(second.word(at, end: firstCount)) else { return false }
            at &+= 8
        }
        return true
    }

    /// Whether the bytes are `uri-host [ ":" port ]` with a host (RFC 9110 §7.2).
    public static func isHost(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        HostSyntax.hostLength(bytes, count: count, tables: ParserTables.shared) > 0
    }

    /// Whether the bytes are a target in origin form (RFC 9112 §3.2.1), with the bytes that the
    /// parser lets through.
    public static func isTarget(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        count > 0 && bytes[0] == Byte.slash
            && ParserTables.shared.all(ParserTables.target, bytes, count: count)
    }

    /// Whether the host alone writes the field, because it frames the message or belongs to one
    /// connection (RFC 9110 §7.6.1, RFC 9112 §6).
    public static func isConnectionField(_ id: FieldID) -> Bool {
        // The ids from `connection` to `proxyConnection` are these fields and no others.
        id.rawValue >= FieldID.connection.rawValue
            && id.rawValue <= FieldID.proxyConnection.rawValue
    }

    /// Whether a trailer section may not carry the field: it frames, routes or modifies the
    /// message, authenticates, tells the content's format, controls the response, or belongs to the
    /// connection (RFC 9110 §6.5.1).
    ///
    /// Forwarding fields are here too: behind us they are trusted.
    public static func isForbiddenInTrailers(_ id: FieldID) -> Bool {
        if isConnectionField(id) { return true }
        switch id {
        case .host, .expect, .maxForwards, .cacheControl, .pragma, .range,
            .ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince, .ifRange,
            .authorization, .wwwAuthenticate, .proxyAuthenticate, .proxyAuthorization,
            .cookie, .setCookie,
            .contentEncoding, .contentType, .contentRange, .contentLanguage, .contentLocation,
            .age, .expires, .date, .location, .retryAfter, .vary, .warning,
            .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort,
            .xRealIp, .via:
            return true
        default:
            return false
        }
    }

    /// Whether the bytes equal a lower-case text but for case.
    public static func equals(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        _ lowercase: StaticString
    ) -> Bool {
        guard count == lowercase.utf8CodeUnitCount else { return false }
        let text = lowercase.utf8Start
        var at = 0
        while at < count {
            guard lowercased(bytes[at]) == text[at] else { return false }
            at &+= 1
        }
        return true
    }

    @inline(__always)  // Three instructions in the comparing loops.
    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}
