import SluiceSDK
import Synchronization

/// Uses a service of the host for each path, so that a test sees the Swift layer in the real one.
struct Everything: RequestHeadersHook, ResponseHeadersHook, ResponseBodyHook, ResumedHook,
    WorkHook, JobHook, CalloutHook, HandoverPlugin
{
    static let id: StaticString = "org.sluice.test.everything"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Uses all services."
    static var needs: HostTables { [.http, .shared, .waitset] }

    enum Work: BitwiseCopyable {
        case tick
        case wake(UInt32)
    }

    struct Job {
        var number: UInt64
        let token: Token
    }

    struct Worker {
        var ticks = 0
    }

    /// Requests for "/count" that this instance and those before it have seen.
    final class Total: Sendable {
        let seen = Atomic<UInt64>(0)
        /// Of those, what an instance that comes after knows.
        let told = Atomic<UInt64>(0)
    }

    typealias Callout = Token

    let host: Host
    let scheduler: Scheduler<Everything>
    let jobs: Jobs<Everything>
    let requests: Counter
    let buckets: SharedBuckets
    let number: NumberAttribute
    let waitset: Waitset
    let key = SharedKey(low: 7, high: 0)
    let total = Total()

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
        scheduler = Scheduler(host)
        jobs = Jobs(host)
        requests = try host.counter("everything_total", help: "Requests.")
        buckets = try SharedBuckets(host, "buckets", capacity: 64)
        number = try host.numberAttribute("test.number")
        waitset = Waitset(host)
    }

    func makeWorker(_ index: Int) -> Worker {
        _ = try? scheduler.every(nanoseconds: 20_000_000, .tick)
        return Worker()
    }

    func perform(_ work: Work, on worker: inout Worker) {
        switch work {
        case .tick:
            worker.ticks += 1
            guard worker.ticks == 3 else { return }
            let ticks = worker.ticks
            host.log(.info, "timer") { $0.add("ticks", ticks) }
        case .wake(let payload): waitset.wake(key, payload: UInt64(payload))
        }
    }

    func run(_ job: inout Job) { job.number += host.thread == .blocking ? 100 : 0 }

    func finish(_ job: consuming Job, on worker: inout Worker) {
        job.token.resume(payload: job.number)
    }

    func calloutDone(_ token: Token, _ result: CallResult, on worker: inout Worker) {
        token.resume(payload: UInt64(result.status + result.body.count))
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        requests.add()
        exchange.setAttribute(number, (exchange.attribute(number) ?? 0) + 7)
        do throws(ServiceError) {
            return try serve(exchange)
        } catch {
            host.log(.error, Bytes(error.text))
            return .error
        }
    }

    func serve(_ exchange: borrowing Exchange<Self>) throws(ServiceError) -> Verdict {
        switch exchange.fields.target {
        case "/job":
            try jobs.start(Job(number: 3, token: try exchange.suspend()))
            return .suspend
        case "/deadline":
            _ = try exchange.suspend(nanoseconds: 30_000_000)
            return .suspend
        case "/call":
            let token = try exchange.suspend()
            try exchange.call(CallRequest("app", "/called"), token) { $0.add("x-number", -12) }
            return .suspend
        case "/count":
            var writer = exchange.writer(capacity: 20)
            writer.append(
                decimal: total.seen.wrappingAdd(1, ordering: .relaxed).newValue
            )
            return exchange.respond(status: 200, body: writer.bytes)
        case "/wait":
            let ticket = waitset.ticket(key)
            try scheduler.post(.wake(9), to: .all)
            _ = try exchange.wait(for: key, ticket)
            return .suspend
        case "/bucket":
            let answer = try buckets.take(
                from: buckets.key(of: "k"),
                ratePerSecondMilli: 1,
                burst: 1
            )
            return exchange.respond(status: answer.isGranted ? 200 : 429)
        default: return .next
        }
    }

    /// Answers with why and with what the wait ended, and with the attribute.
    func resumed(_ exchange: borrowing Exchange<Self>) -> Verdict {
        var writer = exchange.writer(capacity: 62)
        writer.append(decimal: UInt64(exchange.resumeReason?.rawValue ?? 0))
        writer.append(":")
        writer.append(decimal: exchange.resumePayload)
        writer.append(":")
        writer.append(decimal: exchange.attribute(number) ?? 0)
        return exchange.respond(status: 200, body: writer.bytes)
    }

    func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        exchange.setBodyPolicy(.unknown)
        return exchange.fields.status == 203 ? .hold : .next
    }

    /// Writes "&lt;" in place of "<".
    func responseBody(_ exchange: borrowing Exchange<Self>) -> Verdict {
        if exchange.isHeld {
            exchange.edits.set(.etag, "held")
            exchange.release()
        }
        let (data, output) = (exchange.chunk.data, exchange.output)
        var offset = 0
        while offset < data.count {
            let run = data.dropFirst(offset).firstIndex(of: 0x3C) ?? data.count - offset
            offset += output.pass(offset..<offset + run)
            if offset == data.count { break }
            guard data[offset] == 0x3C, output.push("&lt;") else {
                return exchange.more(consumed: offset)
            }
            offset += 1
        }
        return .next
    }

    func exportState(to sink: inout StateSink) throws(PluginError) {
        let seen = total.seen.load(ordering: .relaxed)
        sink.write(value: seen)
        total.told.store(seen, ordering: .relaxed)
    }

    func importState(_ state: Bytes) throws(PluginError) {
        let seen = try Self.number(state)
        total.seen.store(seen, ordering: .relaxed)
        total.told.store(seen, ordering: .relaxed)
    }

    func warm() throws(PluginError) { host.log(.info, "warm") }

    func exportRest(to sink: inout StateSink) throws(PluginError) {
        let seen = total.seen.load(ordering: .relaxed)
        let change = seen - total.told.load(ordering: .relaxed)
        total.told.store(seen, ordering: .relaxed)
        if change > 0 { sink.write(value: change) }
    }

    func importRest(_ rest: Bytes) throws(PluginError) {
        total.seen.wrappingAdd(try Self.number(rest), ordering: .relaxed)
    }

    private static func number(_ state: Bytes) throws(PluginError) -> UInt64 {
        guard state.count == 8, let number = state.load(UInt64.self, at: 0), number < 1 << 53
        else { throw PluginError("no total") }
        return number
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
        offer.responseBody = { Export<Self>.responseBody($0, $1, $2, $3, $4) }
        offer.resumed = { Export<Self>.resumed($0, $1, $2, $3, $4) }
        offer.perform = { Export<Self>.perform($0, $1, $2) }
        offer.run = { Export<Self>.run($0, $1) }
        offer.finish = { Export<Self>.finish($0, $1, $2) }
        offer.calloutDone = { Export<Self>.calloutDone($0, $1, $2, $3) }
        offer.exportState = { Export<Self>.exportState($0, $1, $2) }
        offer.importState = { Export<Self>.importState($0, $1, $2) }
        offer.warm = { Export<Self>.warm($0, $1) }
        offer.exportRest = { Export<Self>.exportRest($0, $1, $2) }
        offer.importRest = { Export<Self>.importRest($0, $1, $2) }
    }
}
