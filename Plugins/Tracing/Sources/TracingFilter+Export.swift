import CTracing
package import SluiceSDK

/// Batches to the collector: one of each worker under way at a time.
extension TracingFilter {
    /// Nanoseconds that the collector has for a batch when the process ends; the host waits 5 s.
    private static let lastTimeout: UInt64 = 3_000_000_000

    package func perform(_ work: Work, on worker: inout Worker) {
        let export = worker.export
        switch work {
        case .tick:
            export.pointee.wallOffset = tracing_wall_offset()
            inbox.take(into: &export.pointee.queue)
            giveUpWaiting(export)
        case .send: export.pointee.isAsked = false
        }
        send(export)
    }

    /// Goes on without an answer that the host does not give: exports must not stop for ever.
    private func giveUpWaiting(_ export: UnsafeMutablePointer<WorkerExport>) {
        guard export.pointee.isSending, host.nowNanoseconds > export.pointee.deadline else {
            return
        }
        // Whatever comes of that request is of no interest any more.
        _ = export.pointee.nextRequest()
        export.pointee.isSending = false
        again(export, "no answer in time", nil)
    }

    package func drain(_ worker: inout Worker) {
        let export = worker.export
        export.pointee.isDraining = true
        export.pointee.schedule.hurry()
        inbox.take(into: &export.pointee.queue)
        send(export)
    }

    /// Has a full batch sent, once the request's hook is over.
    func ask(_ export: UnsafeMutablePointer<WorkerExport>) {
        guard export.pointee.queue.count >= configuration.export.batchSize,
            !export.pointee.isAsked, !export.pointee.isSending,
            export.pointee.schedule.holdUntil == 0
        else { return }
        let target = Scheduler<TracingFilter>.Target.worker(export.pointee.index)
        export.pointee.isAsked = (try? scheduler.post(.send, to: target)) != nil
    }

    /// Sends the batch that waits, or a new one.
    private func send(_ export: UnsafeMutablePointer<WorkerExport>) {
        let now = host.nowNanoseconds
        guard !export.pointee.isSending, export.pointee.queue.count > 0,
            now >= export.pointee.schedule.holdUntil
        else { return }
        let settings = configuration.export
        export.pointee.makeBatch(settings)
        export.pointee.schedule.begin(now: now)
        var request = CallRequest(settings.collector, settings.path)
        request.method = "POST"
        request.body = export.pointee.bytes
        request.timeoutNanoseconds =
            export.pointee.isDraining ? min(settings.timeout, Self.lastTimeout) : settings.timeout
        do throws(ServiceError) {
            try callouts.start(request, export.pointee.nextRequest()) { fields in
                fields.add("content-type", settings.encoder.encoding.contentType)
                fields.add("user-agent", "sluice-tracing/0.1.0")
                for header in settings.headers { fields.add(header.name, header.value) }
            }
            export.pointee.sent(now: now, timeout: request.timeoutNanoseconds)
        } catch {
            if error == .invalid {
                drop(export, "a batch can't be sent: it breaks a rule of HTTP")
            } else {
                again(export, Bytes(error.text), nil)
            }
        }
    }

    package func calloutDone(_ callout: UInt64, _ result: CallResult, on worker: inout Worker) {
        let export = worker.export
        guard callout == export.pointee.request else { return }
        export.pointee.isSending = false
        switch result.outcome {
        case .response: answered(export, result)
        case .failed: again(export, "no answer", nil)
        case .timeout: again(export, "no answer in time", nil)
        case .tooLarge: drop(export, "an answer of more than 64 KiB")
        }
    }

    private func answered(
        _ export: UnsafeMutablePointer<WorkerExport>,
        _ result: CallResult
    ) {
        switch result.status {
        case 200..<300: taken(export, result.body)
        // Those that OTLP/HTTP has tried again, and no others.
        case 429, 502, 503, 504:
            let wish = result.fields?[.retryAfter].flatMap {
                RetryAfter.nanoseconds($0, now: host.wallClockSeconds)
            }
            again(export, Self.reason(result.status), wish)
        default: drop(export, Self.reason(result.status))
        }
    }

    private static func reason(_ status: Int) -> Bytes {
        switch status {
        case 400: "status 400: the batch was refused"
        case 401, 403: "status 401 or 403: the collector wants credentials"
        case 404: "status 404: is the path right?"
        case 413: "status 413: smaller batches are wanted"
        case 429: "status 429"
        case 502: "status 502"
        case 503: "status 503"
        case 504: "status 504"
        default: "a status that is none of success"
        }
    }

    private func taken(_ export: UnsafeMutablePointer<WorkerExport>, _ answer: Bytes) {
        let count = export.pointee.dropBatch()
        let told = configuration.export.encoder.rejected(answer)
        let rejected = Int(min(told, UInt64(count)))
        counters.exported.add(count - rejected)
        counters.rejected.add(rejected)
        counters.sent.add()
        export.pointee.schedule.done()
        if export.pointee.isDown {
            export.pointee.isDown = false
            host.log(.info, "spans are exported again") {
                $0.add("collector", configuration.export.collector)
            }
        }
        goOn(export)
    }

    /// Sends what is a batch already; the rest waits for the timer.
    private func goOn(_ export: UnsafeMutablePointer<WorkerExport>) {
        let isFull = export.pointee.queue.count >= configuration.export.batchSize
        if isFull || export.pointee.isDraining { send(export) }
    }

    /// The batch was not taken, and may be sent again.
    private func again(
        _ export: UnsafeMutablePointer<WorkerExport>,
        _ reason: Bytes,
        _ wish: UInt64?
    ) {
        complain(export, reason)
        counters.again.add()
        let now = host.nowNanoseconds
        let isKept = export.pointee.schedule.failed(
            now: now,
            wish: wish,
            giveUp: configuration.export.giveUp,
            random: host.random()
        )
        if !isKept { counters.failed.add(export.pointee.dropBatch()) }
        // What is left goes to the next instance, or is counted as lost.
        if export.pointee.isDraining { return }
        // Without the timer the next tick tries again.
        let wait = export.pointee.schedule.holdUntil - now
        _ = try? scheduler.after(nanoseconds: max(wait, 1_000_000), .send)
    }

    /// The batch was refused for good: another attempt would be, too.
    private func drop(_ export: UnsafeMutablePointer<WorkerExport>, _ reason: Bytes) {
        complain(export, reason)
        counters.refused.add()
        counters.failed.add(export.pointee.dropBatch())
        export.pointee.schedule.done()
        goOn(export)
    }

    /// One line when exports begin to fail.
    private func complain(_ export: UnsafeMutablePointer<WorkerExport>, _ reason: Bytes) {
        if export.pointee.isDown { return }
        export.pointee.isDown = true
        host.log(.warn, "spans can't be exported") {
            $0.add("collector", configuration.export.collector)
            $0.add("reason", reason)
        }
    }
}

/// What is left when the instance ends.
extension TracingFilter {
    package func exportState(to sink: inout StateSink) throws(PluginError) {
        // What is kept is for the end: requests still add to it.
    }

    package func importState(_ state: Bytes) throws(PluginError) {
        guard state.isEmpty else { throw PluginError("a state of something else") }
    }

    package func exportRest(to sink: inout StateSink) throws(PluginError) {
        guard leftCount > 0 else { return }
        sink.write(value: SpanRest.magic)
        inbox.write(to: &sink)
        for worker in 0..<exportCount {
            SpanRest.write(exports[worker].queue, to: &sink)
            _ = exports[worker].removeAll()
        }
    }

    package func importRest(_ rest: Bytes) throws(PluginError) {
        counters.queueFull.add(try inbox.add(rest))
    }

    /// Spans that nobody has taken.
    private var leftCount: Int {
        var count = inbox.spanCount
        for worker in 0..<exportCount { count += exports[worker].queue.count }
        return count
    }

    func countLost() {
        let count = leftCount
        guard count > 0 else { return }
        counters.lost.add(count)
        host.log(.warn, "spans are lost: the collector has not taken them in time") {
            $0.add("spans", count)
        }
    }
}
