import SluiceSDK

/// Takes the attributes of a span, in one encoding or the other.
protocol AttributeVisitor: ~Copyable {
    mutating func text(_ key: StaticString, _ value: Bytes)
    mutating func number(_ key: StaticString, _ value: UInt64)
    mutating func flag(_ key: StaticString, _ value: Bool)
}

/// What a span is called and what it says, by OpenTelemetry's semantic conventions for HTTP (1.30);
/// names that begin with "sluice." are our own.
extension SpanPlace {
    /// Methods that the conventions know (RFC 9110 §9, RFC 5789); all others are "_OTHER".
    private static func isKnown(_ method: Bytes) -> Bool {
        switch method.count {
        case 3: method == "GET" || method == "PUT"
        case 4: method == "POST" || method == "HEAD"
        case 5: method == "PATCH" || method == "TRACE"
        case 6: method == "DELETE"
        case 7: method == "OPTIONS" || method == "CONNECT"
        default: false
        }
    }

    /// The method, or "HTTP" for one that is not known.
    var methodName: Bytes { Self.isKnown(text(.method)) ? text(.method) : "HTTP" }

    /// What stands behind the method in a request's name: the route's; empty without one.
    var routeName: Bytes { isRequest ? text(.route) : .empty }

    var isRequest: Bool { record.pointee.kind == SpanRecord.Kind.request.rawValue }

    var isCache: Bool { record.pointee.kind == SpanRecord.Kind.cache.rawValue }

    var isHook: Bool { record.pointee.kind == SpanRecord.Kind.hook.rawValue }

    /// Name of a hook's phase.
    var phaseName: Bytes { SlowHook.phaseName(UInt32(record.pointee.phase)) }

    /// Whether the span failed (`STATUS_CODE_ERROR`): a server's at 5xx, a client's at 4xx, too.
    var isError: Bool { !isCache && !isHook && (failedBy != nil || isErrorStatus) }

    private var isErrorStatus: Bool {
        let status = record.pointee.status
        return isRequest ? status >= 500 : status >= 400
    }

    /// What failed, where it is not the status that says so.
    private var failedBy: Bytes? {
        if isRequest {
            return switch record.pointee.outcome {
            case 2: "upstream_cut"
            case 3: "reset"
            default: nil
            }
        }
        return switch AttemptEnd(rawValue: record.pointee.result) {
        case .connect: "connect"
        case .timeout: "timeout"
        case .closed: "closed"
        case .malformed: "malformed"
        default: nil
        }
    }

    private var outcomeName: Bytes {
        switch record.pointee.outcome {
        case 0: "complete"
        case 1: "client_gone"
        case 2: "upstream_cut"
        case 3: "reset"
        default: "malformed"
        }
    }

    private var cacheName: Bytes {
        switch record.pointee.cacheStatus {
        case 1: "bypass"
        case 2: "miss"
        case 3: "hit"
        case 4: "stale"
        case 5: "revalidated"
        case 6: "stale_error"
        default: "updated"
        }
    }

    /// Goes through the attributes.
    func visitAttributes<Visitor: AttributeVisitor & ~Copyable>(_ visitor: inout Visitor) {
        if isCache {
            visitor.text("sluice.cache.status", cacheName)
            return
        }
        if isHook {
            visitHook(&visitor)
            return
        }
        visitMethod(&visitor)
        if record.pointee.status > 0 {
            visitor.number("http.response.status_code", UInt64(record.pointee.status))
        }
        if let failedBy {
            visitor.text("error.type", failedBy)
        } else if isErrorStatus {
            let status = UInt64(record.pointee.status)
            withDigits(status) { visitor.text("error.type", $0) }
        }
        if isRequest { visitRequest(&visitor) } else { visitAttempt(&visitor) }
    }

    private func visitMethod<Visitor: AttributeVisitor & ~Copyable>(_ visitor: inout Visitor) {
        let method = text(.method)
        // A request that was refused before it was read has none.
        if method.isEmpty || Self.isKnown(method) {
            visitor.text("http.request.method", method.isEmpty ? "_OTHER" : method)
        } else {
            visitor.text("http.request.method", "_OTHER")
            visitor.text("http.request.method_original", method)
        }
    }

    private func visitRequest<Visitor: AttributeVisitor & ~Copyable>(_ visitor: inout Visitor) {
        let numbers = record.pointee
        visitor.text("url.scheme", numbers.marks & SpanRecord.Mark.secure != 0 ? "https" : "http")
        let path = text(.path)
        if !path.isEmpty { visitor.text("url.path", path) }
        let query = text(.query)
        if !query.isEmpty { visitor.text("url.query", query) }
        visitAddress(text(.host), &visitor)
        let route = text(.route)
        if !route.isEmpty { visitor.text("http.route", route) }
        let version: Bytes =
            switch numbers.httpVersion {
            case 10: "1.0"
            case 20: "2"
            default: "1.1"
            }
        visitor.text("network.protocol.version", version)
        let client = text(.client)
        if !client.isEmpty { visitor.text("client.address", client) }
        if numbers.clientPort > 0 { visitor.number("client.port", UInt64(numbers.clientPort)) }
        let agent = text(.userAgent)
        if !agent.isEmpty { visitor.text("user_agent.original", agent) }
        visitor.number("http.request.body.size", numbers.bytesIn)
        visitor.number("http.response.body.size", numbers.bytesOut)
        if numbers.tlsVersion == 0x0303 { visitor.text("tls.protocol.version", "1.2") }
        if numbers.tlsVersion == 0x0304 { visitor.text("tls.protocol.version", "1.3") }
        if numbers.marks & SpanRecord.Mark.grpc != 0 { visitor.text("rpc.system", "grpc") }
        let upstream = text(.upstream)
        if !upstream.isEmpty { visitor.text("sluice.upstream", upstream) }
        visitor.number("sluice.attempts", UInt64(numbers.attempt))
        visitor.text("sluice.outcome", outcomeName)
        let plugin = text(.plugin)
        if !plugin.isEmpty { visitor.text("sluice.answered_by", plugin) }
        let reason = text(.reason)
        if !reason.isEmpty { visitor.text("sluice.reason", reason) }
        if numbers.cacheStatus > 0 { visitor.text("sluice.cache.status", cacheName) }
        switch SpanRecord.Cause(rawValue: numbers.cause) {
        case .error: visitor.text("sluice.exported_for", "error")
        case .slow: visitor.text("sluice.exported_for", "slow")
        default: break
        }
    }

    private func visitAttempt<Visitor: AttributeVisitor & ~Copyable>(_ visitor: inout Visitor) {
        let numbers = record.pointee
        visitAddress(text(.peer), &visitor)
        let upstream = text(.upstream)
        if !upstream.isEmpty { visitor.text("sluice.upstream", upstream) }
        if numbers.attempt > 1 {
            visitor.number("http.request.resend_count", UInt64(numbers.attempt - 1))
        }
        visitor.flag("sluice.connection.reused", numbers.marks & SpanRecord.Mark.reused != 0)
        if numbers.result == AttemptEnd.cancelled.rawValue {
            visitor.flag("sluice.cancelled", true)
        }
    }

    private func visitHook<Visitor: AttributeVisitor & ~Copyable>(_ visitor: inout Visitor) {
        let numbers = record.pointee
        visitor.text("sluice.plugin", text(.plugin))
        visitor.text("sluice.phase", phaseName)
        visitor.number("sluice.hook.busy_ns", numbers.busy)
        visitor.number("sluice.hook.waits", UInt64(numbers.attempt))
        if numbers.result == AttemptEnd.cancelled.rawValue {
            visitor.flag("sluice.cancelled", true)
        }
    }

    /// A host with or without a port, as two attributes.
    private func visitAddress<Visitor: AttributeVisitor & ~Copyable>(
        _ address: Bytes,
        _ visitor: inout Visitor
    ) {
        guard !address.isEmpty else { return }
        var colon = address.count
        while colon > 0, address[colon - 1] &- 0x30 < 10 { colon -= 1 }
        var (host, port) = (address, UInt64?.none)
        if colon > 1, colon < address.count, address[colon - 1] == 0x3A,
            !address.hasPrefix("unix:")
        {
            host = address.prefix(colon - 1)
            port = address.dropFirst(colon).decimal
        }
        if host.count > 2, host[0] == 0x5B, host[host.count - 1] == 0x5D {
            host = host[1..<host.count - 1]
        }
        visitor.text("server.address", host)
        if let port { visitor.number("server.port", port) }
    }

    private func withDigits(_ number: UInt64, _ body: (Bytes) -> Void) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { room in
            // Safe: 20 bytes hold every number, and last until the closure returns.
            var sink = ByteSink(room.baseAddress.unsafelyUnwrapped, capacity: 20)
            sink.append(decimal: number)
            body(sink.bytes)
        }
    }
}
