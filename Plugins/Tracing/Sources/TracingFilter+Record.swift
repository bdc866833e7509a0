import SluiceSDK

/// Spans of a request that has ended.
extension TracingFilter {
    /// Writes a request's spans into the worker's queue, all of them or none.
    func record(_ exchange: borrowing Exchange<TracingFilter>, _ cause: SpanRecord.Cause) {
        let trace = exchange.contextPointer
        let export = exchange.worker.export
        let facts = exchange.facts
        let hasCache = facts.cacheStatus > 0
        let attempts = Int(trace.pointee.attemptCount)
        let number = 1 + attempts + (hasCache ? 1 : 0)
        guard export.pointee.queue.room >= number else {
            counters.queueFull.add(number)
            return
        }
        var shared = SpanRecord()
        shared.traceHigh = trace.pointee.context.traceHigh
        shared.traceLow = trace.pointee.context.traceLow
        shared.traceFlags = trace.pointee.context.flags
        shared.cause = cause.rawValue
        request(exchange, shared, export)
        shared.parentID = trace.pointee.context.spanID
        if hasCache { cache(exchange, shared, export) }
        for index in 0..<attempts { attempt(exchange, index, shared, export) }
        ask(export)
    }

    /// The span of the request itself.
    private func request(
        _ exchange: borrowing Exchange<TracingFilter>,
        _ shared: SpanRecord,
        _ export: UnsafeMutablePointer<WorkerExport>
    ) {
        let trace = exchange.contextPointer
        let facts = exchange.facts
        let fields = exchange.requestFields
        var record = shared
        record.kind = SpanRecord.Kind.request.rawValue
        record.spanID = trace.pointee.context.spanID
        record.parentID = trace.pointee.parentID
        record.start = export.pointee.wall(facts.startNanoseconds)
        record.end = export.pointee.wall(max(facts.nowNanoseconds, facts.startNanoseconds))
        record.bytesIn = facts.bytesIn
        record.bytesOut = facts.bytesOut
        record.status = UInt16(truncatingIfNeeded: facts.status)
        record.clientPort = UInt16(truncatingIfNeeded: facts.clientPort)
        record.attempt = UInt16(truncatingIfNeeded: facts.attempt)
        record.tlsVersion = UInt16(truncatingIfNeeded: facts.tls?.version ?? 0)
        record.httpVersion = UInt8(truncatingIfNeeded: facts.httpVersion)
        record.outcome = UInt8(truncatingIfNeeded: facts.outcome)
        record.cacheStatus = UInt8(truncatingIfNeeded: facts.cacheStatus)
        if record.parentID != 0 { record.marks |= SpanRecord.Mark.remoteParent }
        if facts.isSecure { record.marks |= SpanRecord.Mark.secure }
        if fields[.contentType]?.hasPrefix("application/grpc") == true {
            record.marks |= SpanRecord.Mark.grpc
        }
        if trace.pointee.marks & RequestTrace.Mark.link != 0 {
            record.marks |= SpanRecord.Mark.link
            record.linkHigh = trace.pointee.link.traceHigh
            record.linkLow = trace.pointee.link.traceLow
            record.linkSpan = trace.pointee.link.spanID
            record.linkFlags = trace.pointee.link.flags
        }
        var writer = SpanWriter(export.pointee.queue.add(), record)
        texts(of: exchange, &writer)
    }

    private func texts(
        of exchange: borrowing Exchange<TracingFilter>,
        _ writer: inout SpanWriter
    ) {
        let facts = exchange.facts
        let fields = exchange.requestFields
        writer.put(.method, fields.method)
        let target = fields.target
        let mark = target.firstIndex(of: 0x3F) ?? target.count
        writer.put(.path, target.prefix(mark))
        if mark < target.count {
            writer.put(.query) { configuration.query.copy(target.dropFirst(mark + 1), to: &$0) }
        }
        writer.put(.host, fields.authority)
        // A route without a name is called by its place in the manifest, which says nothing.
        if !facts.route.hasPrefix("routes[") { writer.put(.route, facts.route) }
        writer.put(.userAgent, fields[.userAgent] ?? .empty)
        writer.put(.client, facts.clientAddress)
        writer.put(.upstream, facts.upstream)
        writer.put(.answeredBy, facts.answeredBy)
        writer.put(.reason, facts.reason)
        if exchange.contextPointer.pointee.marks & RequestTrace.Mark.keepsState != 0 {
            writer.put(.state) { copier in
                var isFirst = true
                for field in fields where field.id == .tracestate {
                    if !isFirst { copier.append(",") }
                    isFirst = false
                    copier.append(field.value)
                }
            }
        }
    }

    /// The span of the cache: until a peer was asked, or the end.
    private func cache(
        _ exchange: borrowing Exchange<TracingFilter>,
        _ shared: SpanRecord,
        _ export: UnsafeMutablePointer<WorkerExport>
    ) {
        let trace = exchange.contextPointer
        let facts = exchange.facts
        let end =
            trace.pointee.attemptCount > 0
            ? trace.pointee.attempts[0].start : facts.nowNanoseconds
        var record = shared
        record.kind = SpanRecord.Kind.cache.rawValue
        record.spanID = max(host.random(), 1)
        record.start = export.pointee.wall(trace.pointee.begun)
        record.end = export.pointee.wall(max(end, trace.pointee.begun))
        record.cacheStatus = UInt8(truncatingIfNeeded: facts.cacheStatus)
        _ = SpanWriter(export.pointee.queue.add(), record)
    }

    /// The span of an attempt.
    ///
    /// One whose response went to the client ends with the request, as its body passed through.
    private func attempt(
        _ exchange: borrowing Exchange<TracingFilter>,
        _ index: Int,
        _ shared: SpanRecord,
        _ export: UnsafeMutablePointer<WorkerExport>
    ) {
        let trace = exchange.contextPointer
        let attempt = trace.pointee.attempts[index]
        let facts = exchange.facts
        let now = max(facts.nowNanoseconds, attempt.start)
        var record = shared
        record.kind = SpanRecord.Kind.attempt.rawValue
        record.spanID = attempt.spanID
        record.attempt = attempt.number
        record.start = export.pointee.wall(attempt.start)
        record.result = attempt.result
        record.status = attempt.status
        if attempt.isReused { record.marks |= SpanRecord.Mark.reused }
        if attempt.firstByte != 0 { record.firstByte = export.pointee.wall(attempt.firstByte) }
        let answers = lastAnswer(trace)
        if attempt.end == 0 || answers == index {
            record.end = export.pointee.wall(now)
        } else {
            record.end = export.pointee.wall(max(attempt.end, attempt.start))
        }
        let isOpen = attempt.result == AttemptEnd.open.rawValue
        // Another one had answered in the same moment: it was ended for that, not for its time.
        let isBeaten =
            attempt.result == AttemptEnd.timeout.rawValue
            && answers.map {
                $0 != index && trace.pointee.attempts[$0].end == attempt.end
            } == true
        if isOpen || isBeaten { record.result = AttemptEnd.cancelled.rawValue }
        var writer = SpanWriter(export.pointee.queue.add(), record)
        writer.put(.method, exchange.requestFields.method)
        writer.put(.upstream, facts.upstream)
        writer.put(.peer, trace.peer(index))
    }

    /// The last attempt that had a response; nil when none had.
    private func lastAnswer(_ trace: UnsafeMutablePointer<RequestTrace>) -> Int? {
        for index in (0..<Int(trace.pointee.attemptCount)).reversed()
        where trace.pointee.attempts[index].result == AttemptEnd.response.rawValue {
            return index
        }
        return nil
    }
}
