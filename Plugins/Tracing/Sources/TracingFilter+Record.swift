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
        let number = 1 + attempts + (hasCache ? 1 : 0) + slowHookCount(exchange)
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
        for hook in exchange.slowHooks where isSlow(hook) { span(of: hook, shared, export, facts) }
        ask(export)
    }

    // MARK: Hooks

    private func slowHookCount(_ exchange: borrowing Exchange<TracingFilter>) -> Int {
        var count = 0
        for hook in exchange.slowHooks where isSlow(hook) { count += 1 }
        return count
    }

    /// Whether a call gets a span: another plugin may have asked for quicker ones.
    private func isSlow(_ hook: SlowHook) -> Bool {
        guard configuration.slowHook > 0 else { return false }
        return hook.endNanoseconds == 0
            || hook.endNanoseconds &- hook.startNanoseconds >= configuration.slowHook
    }

    /// When the request was over: the loop's clock stands still while a hook runs.
    func endOfRequest(_ exchange: borrowing Exchange<TracingFilter>) -> UInt64 {
        var end = max(exchange.facts.nowNanoseconds, exchange.facts.startNanoseconds)
        for hook in exchange.slowHooks {
            end = max(end, hook.endNanoseconds, hook.startNanoseconds)
        }
        return end
    }

    /// The span of a call of a hook that took long.
    private func span(
        of hook: SlowHook,
        _ shared: SpanRecord,
        _ export: UnsafeMutablePointer<WorkerExport>,
        _ facts: Facts
    ) {
        var record = shared
        record.kind = SpanRecord.Kind.hook.rawValue
        record.spanID = newSpanID()
        record.start = export.pointee.wall(hook.startNanoseconds)
        record.phase = UInt8(truncatingIfNeeded: hook.phase)
        record.attempt = UInt16(truncatingIfNeeded: hook.waits)
        record.busy = hook.busyNanoseconds
        if hook.endNanoseconds == 0 {
            record.result = AttemptEnd.cancelled.rawValue
            let end = max(facts.nowNanoseconds, hook.startNanoseconds)
            record.end = export.pointee.wall(end)
        } else {
            record.end = export.pointee.wall(hook.endNanoseconds)
        }
        var writer = SpanWriter(export.pointee.queue.add(), record)
        writer.put(.plugin, hook.instance)
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
        record.end = export.pointee.wall(endOfRequest(exchange))
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
        writer.put(.plugin, facts.answeredBy)
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
        if attempt.end == 0 || lastAnswer(trace) == index {
            record.end = export.pointee.wall(now)
        } else {
            record.end = export.pointee.wall(max(attempt.end, attempt.start))
        }
        if attempt.result == AttemptEnd.open.rawValue {
            record.result = AttemptEnd.cancelled.rawValue
        }
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
