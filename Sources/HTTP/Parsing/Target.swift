/// Request targets that are not in origin form (RFC 9112 §3.2.2 to §3.2.4).
enum Target {
    /// Parses a target whose bytes are all allowed; false when it fits none of the forms that the
    /// method may have.
    ///
    /// `query` is the offset of the first `?`, or `end`.
    ///
    /// Safe: reads `from..<end` only; a caller has checked that it holds at least one byte.
    @inline(never)  // Proxied requests only.
    static func parse(
        _ base: UnsafePointer<UInt8>,
        from: Int,
        query: Int,
        end: Int,
        tables: ParserTables,
        into head: inout RequestHead
    ) -> Bool {
        if head.method == .connect {
            return authorityForm(base, from: from, end: end, tables: tables, into: &head)
        }
        if base[from] == Byte.asterisk {
            guard end &- from == 1, head.method == .options else { return false }
            head.flags.insert(.asterisk)
            head.pathStart = UInt16(truncatingIfNeeded: from)
            head.pathLength = 1
            head.targetLength = 1
            return true
        }
        let scheme = schemeLength(base + from, count: end &- from)
        guard scheme > 0 else { return false }
        let authority = from &+ scheme
        var path = authority
        while path < query, base[path] != Byte.slash { path &+= 1 }
        let length = path &- authority
        guard HostSyntax.hostLength(base + authority, count: length, tables: tables) > 0 else {
            return false
        }
        head.flags.insert(.absoluteForm)
        head.authorityStart = UInt16(truncatingIfNeeded: authority)
        head.authorityLength = UInt16(truncatingIfNeeded: length)
        head.pathStart = UInt16(truncatingIfNeeded: path)
        head.pathLength = UInt16(truncatingIfNeeded: query &- path)
        head.targetLength = UInt16(truncatingIfNeeded: end &- path)
        return true
    }

    /// Host and port, both needed (RFC 9112 §3.2.3).
    ///
    /// There is no path: its length is 0.
    private static func authorityForm(
        _ base: UnsafePointer<UInt8>,
        from: Int,
        end: Int,
        tables: ParserTables,
        into head: inout RequestHead
    ) -> Bool {
        let count = end &- from
        let host = HostSyntax.hostLength(base + from, count: count, tables: tables)
        guard host > 0, count &- host >= 2 else { return false }
        head.authorityStart = UInt16(truncatingIfNeeded: from)
        head.authorityLength = UInt16(truncatingIfNeeded: count)
        head.pathStart = UInt16(truncatingIfNeeded: end)
        return true
    }

    /// The bytes of `http://` or `https://` in any case (RFC 9110 §4.2), or 0.
    private static func schemeLength(_ bytes: UnsafePointer<UInt8>, count: Int) -> Int {
        if count >= 7, FieldNames.equals(bytes, count: 7, "http://") { return 7 }
        if count >= 8, FieldNames.equals(bytes, count: 8, "https://") { return 8 }
        return 0
    }
}
