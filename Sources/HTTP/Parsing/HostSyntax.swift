/// Syntax of `uri-host [ ":" port ]` (RFC 9110 §4.2.1, RFC 3986 §3.2.2).
enum HostSyntax {
    /// The bytes of the host, or 0 when the text is not a host with an optional port.
    ///
    /// The text ends with the host, or `:` and the port's digits follow.
    ///
    /// An empty host is refused, and so are a port over 65,535, IPvFuture and zone ids. An empty
    /// port is allowed, as the grammar does.
    ///
    /// Safe: reads bytes below `count` only.
    static func hostLength(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        tables: ParserTables
    ) -> Int {
        guard count > 0 else { return 0 }
        var at = 0
        if bytes[0] == Byte.leftBracket {
            at = addressLength(bytes, count: count, tables: tables)
        } else {
            // Four at a time: hosts are longer than four bytes, and each request has one.
            while at &+ 4 <= count {
                let classes =
                    tables.classes[Int(bytes[at])] & tables.classes[Int(bytes[at &+ 1])]
                    & tables.classes[Int(bytes[at &+ 2])] & tables.classes[Int(bytes[at &+ 3])]
                guard classes & ParserTables.hostName != 0 else { break }
                at &+= 4
            }
            while at < count, tables.has(ParserTables.hostName, bytes[at]) {
                at &+= 1
            }
            if at < count, bytes[at] == Byte.percent {
                at = escapedNameLength(bytes, count: count, tables: tables)
            }
        }
        guard at > 0 else { return 0 }
        if at == count { return at }
        guard bytes[at] == Byte.colon else { return 0 }
        return isPort(bytes, from: at &+ 1, end: count) ? at : 0
    }

    /// The bytes of `[address]`, or 0.
    ///
    /// Only the characters and the number of colons are checked.
    private static func addressLength(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        tables: ParserTables
    ) -> Int {
        var at = 1
        var colons = 0
        while at < count, tables.has(ParserTables.address, bytes[at]) {
            if bytes[at] == Byte.colon { colons &+= 1 }
            at &+= 1
        }
        guard at < count, bytes[at] == Byte.rightBracket else { return 0 }
        return colons >= 2 && colons <= 8 && at <= 46 ? at &+ 1 : 0
    }

    /// The bytes of a registered name that may hold percent escapes, or 0.
    private static func escapedNameLength(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        tables: ParserTables
    ) -> Int {
        var at = 0
        while at < count, bytes[at] != Byte.colon {
            if bytes[at] == Byte.percent {
                guard at &+ 2 < count, tables.hexValue(bytes[at &+ 1]) < 16,
                    tables.hexValue(bytes[at &+ 2]) < 16
                else { return 0 }
                at &+= 3
            } else {
                guard tables.has(ParserTables.hostName, bytes[at]) else { return 0 }
                at &+= 1
            }
        }
        return at
    }

    private static func isPort(_ bytes: UnsafePointer<UInt8>, from: Int, end: Int) -> Bool {
        guard end &- from <= 5 else { return false }
        var port = 0
        var at = from
        while at < end {
            let digit = bytes[at] &- Byte.zero
            guard digit < 10 else { return false }
            port = port &* 10 &+ Int(digit)
            at &+= 1
        }
        return port <= 65_535
    }
}
