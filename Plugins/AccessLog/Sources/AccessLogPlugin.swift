package import SluiceSDK

/// Writes a line about each request once it is over.
///
/// The worker writes it into memory of its own, and a job takes it to the output: no request waits
/// for a disk or a socket. When the output is slower than the requests, lines are dropped and
/// counted.
package struct AccessLogPlugin: RequestHeadersHook, UpstreamResultHook, ResponseHeadersHook,
    RequestEndHook, ReopenHook, WorkHook, JobHook, ~Copyable
{
    package static let id: StaticString = "org.sluice.access-log"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString = "Writes a line about each request."

    package typealias Context = Record

    package struct Worker {
        /// Nil without memory for one.
        var lane: Lane?
        var clock: Clock
        /// What `written` of the lane was when a job was last woken.
        var wokenAt: UInt64 = 0
    }

    package enum Work: UInt8, BitwiseCopyable {
        case flush
    }

    package struct Job {}

    let configuration: AccessLogConfiguration
    let format: LineFormat
    let conditions: Conditions
    let host: Host
    let counters: Counters
    private let spool: Spool
    private let scheduler: Scheduler<AccessLogPlugin>
    private let jobs: Jobs<AccessLogPlugin>
    private let inPlace = InPlace()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let compiled = try AccessLogConfiguration(configuration, host)
        let counters = try Counters(host)
        let spool = Spool(
            compiled.destination,
            capacity: compiled.bufferBytes,
            lineBytes: compiled.lineBytes + 1,
            host,
            counters
        )
        if !host.isChecking { try spool.open() }
        self.configuration = compiled
        self.host = host
        self.counters = counters
        self.spool = spool
        format = compiled.format
        conditions = compiled.conditions
        scheduler = Scheduler(host)
        jobs = Jobs(host)
    }

    // MARK: Requests

    package func requestHeaders(_ exchange: borrowing Exchange<AccessLogPlugin>) -> Verdict {
        exchange.context.begin(exchange, format.layout)
        return .next
    }

    package func upstreamResult(_ exchange: borrowing Exchange<AccessLogPlugin>) -> Verdict {
        exchange.context.add(exchange.facts, format.layout)
        return .next
    }

    package func responseHeaders(_ exchange: borrowing Exchange<AccessLogPlugin>) -> Verdict {
        for item in format.items where item.variable == .responseField {
            let field = exchange.fields.first(item.field)
            var value = field?.value
            if field?.isSensitive == true, !item.showsSecrets { value = LineFormat.hidden }
            exchange.context.keep(value, at: Int(item.place), format.layout)
        }
        return .next
    }

    package func requestEnd(_ exchange: borrowing Exchange<AccessLogPlugin>) {
        let worker = exchange.workerPointer
        guard conditions.hold(exchange, format.layout) else {
            counters.skipped.add()
            return
        }
        guard let lane = worker.pointee.lane else { return spool.drop() }
        worker.pointee.clock.look()
        var line = LineWriter(
            start: lane.line,
            capacity: configuration.lineBytes,
            reserve: format.reserve
        )
        configuration.syslog?.write(worker.pointee.clock, to: &line)
        format.write(exchange, worker.pointee.clock, to: &line)
        if line.isCut { counters.cut.add() }
        // Safe: the lane has a byte more than a line may have.
        lane.line[line.count] = 0x0A
        guard lane.push(line.count &+ 1) else { return spool.drop() }
        if lane.written &- worker.pointee.wokenAt >= UInt64(configuration.wakeBytes) {
            worker.pointee.wokenAt = lane.written
            wake()
        }
    }

    // MARK: The output

    /// Has a job write what is there.
    @inline(never)
    private func wake() {
        guard spool.wakes() else { return }
        do throws(ServiceError) {
            try jobs.startDetached(Job())
        } catch {
            spool.notStarted()
        }
    }

    package func makeWorker(_ index: Int) -> Worker {
        let lane = spool.addLane(index)
        _ = try? scheduler.every(nanoseconds: configuration.flushNanoseconds, .flush)
        let nowhere = UnsafeMutablePointer(mutating: Bytes.empty.start)
        return Worker(lane: lane, clock: Clock(room: lane?.clockRoom ?? nowhere))
    }

    package func perform(_ work: Work, on worker: inout Worker) {
        if let lane = worker.lane, !lane.isEmpty || spool.hasRest {
            worker.wokenAt = lane.written
            wake()
        }
        spool.tell(now: host.nowNanoseconds)
    }

    package func reopenLogs() {
        spool.reopen()
        wake()
    }

    package func run(_ job: inout Job) { spool.drain() }

    package func finish(_ job: consuming Job, on worker: inout Worker) {}
}
