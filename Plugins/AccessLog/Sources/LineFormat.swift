import SluiceSDK

/// What a line looks like: compiled from the configuration, and read without a reference count.
struct LineFormat: BitwiseCopyable {
    /// Variables, each with what stands before it.
    var items: List<Item>
    /// What stands behind the last one.
    var tail: Bytes
    var isJSON: Bool
    var escape: LineWriter.Escape
    var layout: Record.Layout
    /// Names of fields of the response that are kept, by place.
    var responseFields: List<FieldName>
    /// Names of parameters whose values are not shown.
    var redacted: List<Bytes>
    /// What came of a request that was refused before it was one.
    var requestBegin: BytesAttribute
    /// The trace's id, when a plugin has set it.
    var traceID: BytesAttribute
    var hostname: Bytes
    var processID: UInt64

    /// What stands for a value that is not there.
    static var absent: Bytes { "-" }
    /// What stands for a value that must not be shown.
    static var hidden: Bytes { "***" }

    /// Bytes that a line keeps for its mark.
    var reserve: Int { isJSON ? LineWriter.jsonReserve : LineWriter.textReserve }
}

extension LineFormat {
    /// Writes the line of a request that is over.
    func write(
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        _ clock: Clock,
        to line: inout LineWriter
    ) {
        if isJSON {
            writeObject(exchange, clock, to: &line)
            return
        }
        for item in items {
            line.append(item.literal)
            if !append(item, exchange, clock, to: &line) { line.append(LineFormat.absent) }
            if line.isCut { break }
        }
        line.append(tail)
        if line.isCut { line.mark(LineWriter.textMark) }
    }

    private func writeObject(
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        _ clock: Clock,
        to line: inout LineWriter
    ) {
        for item in items {
            // A name is whole, or it is not there: with `null`, or with the first quotation mark.
            guard line.makeRoom(item.literal.count &+ 4) else { break }
            let before = line.count
            line.append(item.literal)
            if item.variable.isNumber {
                let value = line.count
                if !append(item, exchange, clock, to: &line), !line.isCut {
                    line.rewind(to: value)
                    line.append("null")
                }
                // Half a number is another number.
                if line.isCut { line.rewind(to: before) }
            } else {
                let value = line.count
                line.append(UInt8(ascii: "\""))
                if append(item, exchange, clock, to: &line) || line.isCut {
                    line.close()
                } else {
                    line.rewind(to: value)
                    line.append("null")
                }
            }
            if line.isCut { break }
        }
        line.isCut ? line.mark(LineWriter.jsonMark) : line.append(tail)
    }

    /// Writes a value; false when there is none, and nothing was written.
    private func append(
        _ item: Item,
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        _ clock: Clock,
        to line: inout LineWriter
    ) -> Bool {
        let facts = exchange.facts
        switch item.variable {
        case .remoteAddr: return append(facts.clientAddress, to: &line)
        case .remoteUser: return false
        case .timeLocal: line.append(clock.local)
        case .timeISO8601: line.append(clock.iso)
        case .request: return appendRequest(exchange, to: &line)
        case .status: appendStatus(facts, to: &line)
        case .bodyBytesSent: line.append(decimal: facts.bytesOut)
        case .bytesSent: line.append(decimal: facts.bytesOut &+ UInt64(facts.headBytesOut))
        case .requestLength: line.append(decimal: facts.bytesIn &+ UInt64(facts.headBytesIn))
        case .requestTime: line.append(seconds: Line.duration(facts))
        case .requestField, .responseField, .cookie:
            return appendField(item, exchange, to: &line)
        case .remotePort, .msec, .connection, .connectionRequests, .pid, .attempts, .number:
            return appendNumber(item, exchange, clock, to: &line)
        case .sslProtocol, .sslCipher, .sslServerName, .sslALPNProtocol, .sslSessionReused,
            .sslClientSubject, .sslClientFingerprint:
            return appendTLS(item.variable, facts, to: &line)
        case .upstreamAddr, .upstreamStatus, .upstreamConnectTime, .upstreamHeaderTime,
            .upstreamResponseTime:
            return appendAttempts(item.variable, exchange, to: &line)
        case .requestMethod, .requestURI, .uri, .args, .host:
            return appendTarget(item.variable, exchange, to: &line)
        default: return appendText(item, exchange, to: &line)
        }
        return true
    }

    /// Appends what somebody else wrote; false when it is empty.
    @inline(__always)
    func append(_ bytes: Bytes, to line: inout LineWriter) -> Bool {
        if bytes.isEmpty { return false }
        line.append(bytes, as: escape)
        return true
    }

    /// What the client got; of one that left before there was an answer 499, as in nginx.
    private func appendStatus(_ facts: Facts, to line: inout LineWriter) {
        line.append(decimal: UInt64(Line.status(facts)), width: isJSON ? 1 : 3)
    }

    private func appendNumber(
        _ item: Item,
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        _ clock: Clock,
        to line: inout LineWriter
    ) -> Bool {
        let facts = exchange.facts
        switch item.variable {
        case .remotePort:
            if facts.clientFamily == 0 { return false }
            line.append(decimal: UInt64(facts.clientPort))
        case .msec: line.append(seconds: clock.now)
        case .connection: line.append(decimal: facts.connectionNumber)
        case .connectionRequests: line.append(decimal: UInt64(facts.connectionRequests))
        case .pid: line.append(decimal: processID)
        case .attempts: line.append(decimal: UInt64(facts.attempt))
        default:
            guard let key = item.numberAttribute, let number = exchange.attribute(key) else {
                return false
            }
            line.append(decimal: number)
        }
        return true
    }

    private func appendText(
        _ item: Item,
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        to line: inout LineWriter
    ) -> Bool {
        let facts = exchange.facts
        switch item.variable {
        case .serverProtocol: return append(Line.version(facts), to: &line)
        case .scheme: return append(facts.scheme, to: &line)
        case .hostname: return append(hostname, to: &line)
        case .listener: return append(facts.localAddress, to: &line)
        case .route: return append(facts.route, to: &line)
        case .upstream: return append(facts.upstream, to: &line)
        case .outcome: return append(Line.outcome(facts), to: &line)
        case .answeredBy: return append(facts.answeredBy, to: &line)
        case .reason: return append(facts.reason, to: &line)
        case .upstreamCacheStatus: return append(Line.cacheStatus(facts), to: &line)
        case .requestID:
            return append(exchange.requestFields.first(named: "x-request-id") ?? .empty, to: &line)
        case .traceID: return append(trace(exchange), to: &line)
        case .attribute:
            guard let key = item.bytesAttribute, let value = exchange.attribute(key) else {
                return false
            }
            return append(value, to: &line)
        default: return false
        }
    }

    /// The trace's id: of the attribute, or of the request's traceparent
    /// (W3C Trace Context §3.2.2.3).
    private func trace(_ exchange: borrowing Exchange<AccessLogPlugin>) -> Bytes {
        if let known = exchange.attribute(traceID) { return known }
        guard let parent = exchange.requestFields.first(named: "traceparent"), parent.count >= 55,
            parent[2] == UInt8(ascii: "-"), parent[35] == UInt8(ascii: "-")
        else { return .empty }
        return parent[3..<35]
    }

    private func appendTLS(
        _ variable: Variable,
        _ facts: Facts,
        to line: inout LineWriter
    ) -> Bool {
        guard let tls = facts.tls else { return false }
        switch variable {
        case .sslProtocol: return append(Line.version(tls), to: &line)
        case .sslCipher: return append(tls.cipher, to: &line)
        case .sslServerName: return append(tls.serverName, to: &line)
        case .sslALPNProtocol: return append(tls.alpn, to: &line)
        case .sslSessionReused: return append(tls.isResumed ? "r" : ".", to: &line)
        case .sslClientSubject: return append(tls.clientSubject, to: &line)
        default: return append(tls.clientFingerprint, to: &line)
        }
    }
}
