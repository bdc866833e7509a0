package import SluiceSDK
import Synchronization

/// Takes part in traces: gives requests and their attempts ids, and exports spans of them.
///
/// A request costs ids and one edit an attempt. When it has ended, and is one of those that are
/// recorded, its spans are written into the worker's queue; batches of them go to a collector
/// through the host's client.
package struct TracingFilter: RequestHeadersHook, UpstreamRequestHook, UpstreamResultHook,
    ResponseHeadersHook, RequestEndHook, WorkHook, CalloutHook, DrainHook, HandoverPlugin,
    ~Copyable
{
    package static let id: StaticString = "org.sluice.tracing"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Takes part in traces (W3C Trace Context), and exports spans (OTLP)."
    package static var needs: HostTables { [.http, .httpClient] }

    package typealias Context = RequestTrace

    /// One worker's side.
    package struct Worker {
        /// The instance's.
        let export: UnsafeMutablePointer<WorkerExport>
    }

    package enum Work: UInt8, BitwiseCopyable {
        /// Comes again and again.
        case tick
        /// A batch is full, or it is time to try again.
        case send
    }

    /// The number of a request to the collector, of those of a worker.
    package typealias Callout = UInt64

    let configuration: TracingConfiguration
    let host: Host
    let counters: TracingCounters
    let scheduler: Scheduler<TracingFilter>
    let callouts: Callouts<TracingFilter>
    let inbox: SpanInbox
    private let traceAttribute: BytesAttribute
    private let spanAttribute: BytesAttribute
    private let traceResponse: FieldName
    let exports: UnsafeMutablePointer<WorkerExport>
    let exportCount: Int
    private let inPlace = InPlace()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let compiled = try TracingConfiguration(configuration, host)
        let counters = try TracingCounters(host)
        let traceAttribute = try host.bytesAttribute("trace.id")
        let spanAttribute = try host.bytesAttribute("span.id")
        let traceResponse = try FieldName(named: "traceresponse")
        self.configuration = compiled
        self.host = host
        self.counters = counters
        self.traceAttribute = traceAttribute
        self.spanAttribute = spanAttribute
        self.traceResponse = traceResponse
        scheduler = Scheduler(host)
        callouts = Callouts(host)
        exportCount = host.isChecking ? 0 : host.workerCount
        inbox = SpanInbox(most: exportCount * compiled.export.queueSize)
        exports = .allocate(capacity: exportCount)
        for worker in 0..<exportCount {
            // Safe: there is room for one a worker.
            (exports + worker).initialize(
                to: WorkerExport(worker, capacity: compiled.export.queueSize)
            )
        }
    }

    deinit {
        countLost()
        exports.deinitialize(count: exportCount)
        exports.deallocate()
    }

    package func makeWorker(_ index: Int) -> Worker {
        // There is room for the first timer of a worker.
        _ = try? scheduler.every(nanoseconds: configuration.export.delay, .tick)
        return Worker(export: exports + index)
    }

    // MARK: Requests

    package func requestHeaders(_ exchange: borrowing Exchange<TracingFilter>) -> Verdict {
        // What the host asks for itself is no client's.
        if exchange.isInternal { return .next }
        begin(exchange)
        return .next
    }

    package func upstreamRequest(_ exchange: borrowing Exchange<TracingFilter>) -> Verdict {
        if exchange.isInternal { return .next }
        let trace = exchange.contextPointer
        if !trace.hasBegun { begin(exchange) }
        let spanID = newSpanID()
        let edits = exchange.edits
        edits.set(.traceparent, trace.traceparent(spanID))
        let fields = exchange.fields
        if trace.pointee.marks & RequestTrace.Mark.keepsState == 0, fields.contains(.tracestate) {
            edits.remove(.tracestate)
        }
        // It would say something else than the traceparent.
        if configuration.readsB3, fields.contains(.b3) { edits.remove(.b3) }
        let facts = exchange.facts
        add(
            trace,
            Attempt(
                facts.attempt,
                spanID: spanID,
                start: facts.nowNanoseconds,
                peer: facts.peer
            )
        )
        return .next
    }

    package func upstreamResult(_ exchange: borrowing Exchange<TracingFilter>) -> Verdict {
        let trace = exchange.contextPointer
        if !trace.hasBegun { return .next }
        let facts = exchange.facts
        let now = facts.nowNanoseconds
        var index = trace.attempt(facts.attempt)
        if index == nil || trace.pointee.attempts[index ?? 0].end != 0 {
            // It failed before a head could be sent: no connection.
            index = add(
                trace,
                Attempt(
                    facts.attempt,
                    spanID: newSpanID(),
                    start: max(trace.pointee.begun, trace.pointee.lastEnd),
                    peer: facts.peer
                )
            )
        }
        trace.pointee.lastEnd = now
        guard let index else { return .next }
        let result = facts.attemptResult
        trace.pointee.attempts[index].end = now
        trace.pointee.attempts[index].result = UInt8(result.rawValue)
        trace.pointee.attempts[index].isReused = facts.isReused
        if result == .response {
            trace.pointee.attempts[index].status = UInt16(truncatingIfNeeded: facts.status)
            trace.pointee.attempts[index].firstByte = facts.firstByteNanoseconds
        }
        return .next
    }

    package func responseHeaders(_ exchange: borrowing Exchange<TracingFilter>) -> Verdict {
        let trace = exchange.contextPointer
        guard trace.hasBegun else { return .next }
        let traceparent = trace.traceparent(trace.pointee.context.spanID)
        let fields = configuration.response
        if fields.contains(.traceResponse) { exchange.edits.set(traceResponse, traceparent) }
        if fields.contains(.serverTiming) {
            exchange.edits.append(.serverTiming, trace.serverTiming())
        }
        return .next
    }

    package func requestEnd(_ exchange: borrowing Exchange<TracingFilter>) {
        if exchange.isInternal { return }
        let trace = exchange.contextPointer
        // The host has refused it before a plugin saw it.
        if !trace.hasBegun { begin(exchange) }
        let cause: SpanRecord.Cause
        if trace.pointee.context.isSampled {
            cause = .sampled
            counters.sampled.add()
        } else if let late = lateCause(exchange) {
            cause = late
            (late == .error ? counters.forError : counters.forSlow).add()
        } else {
            counters.unsampled.add()
            return
        }
        record(exchange, cause)
    }

    /// Why a request that is not recorded is exported all the same; nil for one that is not.
    private func lateCause(_ exchange: borrowing Exchange<TracingFilter>) -> SpanRecord.Cause? {
        let facts = exchange.facts
        if configuration.exportsErrors, facts.status >= 500 || facts.isFault { return .error }
        guard configuration.slow > 0 else { return nil }
        let time = endOfRequest(exchange) &- facts.startNanoseconds
        return time >= configuration.slow ? .slow : nil
    }

    // MARK: Ids

    private func begin(_ exchange: borrowing Exchange<TracingFilter>) {
        let trace = exchange.contextPointer
        let fields = exchange.requestFields
        let facts = exchange.facts
        var rule = configuration.parent
        var wanted: Bool?
        var parent = Self.single(fields, .traceparent).flatMap { TraceContext(traceparent: $0) }
        let isW3C = parent != nil
        if !isW3C, configuration.readsB3, let b3 = Self.single(fields, .b3).flatMap({ B3($0) }) {
            parent = b3.context
            // The sampler is ours where the field leaves it open.
            if b3.isSampled == nil, rule == .follow { rule = .ratio }
            wanted = b3.isSampled
        }
        if parent != nil || wanted != nil, !configuration.trusts(facts.clientIP) { rule = .restart }
        let decision = SamplingDecision(parent, rule, configuration.ratio, wanted: wanted) {
            host.random()
        }
        trace.pointee.context = decision.context
        trace.pointee.context.spanID = newSpanID()
        trace.pointee.parentID = decision.parentID
        trace.pointee.begun = facts.nowNanoseconds
        var marks = RequestTrace.Mark.begun
        if let link = decision.link {
            trace.pointee.link = link
            marks |= RequestTrace.Mark.link
        }
        if isW3C, decision.parentID != 0, TraceState.isValid(fields) {
            marks |= RequestTrace.Mark.keepsState
        }
        trace.pointee.marks = marks
        // Of what is not recorded only a slow request needs to be explained.
        if configuration.slowHook > 0, decision.context.isSampled || configuration.slow > 0 {
            exchange.watchHooks(nanoseconds: configuration.slowHook)
        }
        let text = trace.traceparent(trace.pointee.context.spanID)
        exchange.setAttribute(traceAttribute, text[3..<35])
        exchange.setAttribute(spanAttribute, text[36..<52])
    }

    /// The value of a field that may occur once; nil when it does not, or occurs twice.
    private static func single(_ fields: Fields, _ id: FieldID) -> Bytes? {
        guard let value = fields[id] else { return nil }
        for field in fields where field.id == id && field.isRepeated { return nil }
        return value
    }

    func newSpanID() -> UInt64 {
        let number = host.random()
        return number == 0 ? 1 : number
    }

    /// Keeps an attempt when there is a place for it.
    @discardableResult
    private func add(
        _ trace: UnsafeMutablePointer<RequestTrace>,
        _ attempt: Attempt
    ) -> Int? {
        let count = Int(trace.pointee.attemptCount)
        guard count < RequestTrace.attemptsMax else { return nil }
        trace.pointee.attempts[count] = attempt
        trace.pointee.attemptCount += 1
        return count
    }
}

extension Facts {
    /// Whether a request ended by a fault of the origin, or a plugin's verdict.
    var isFault: Bool { outcome == 2 || outcome == 3 }
}
