import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

/// Uses services of the host, one a request: the target says which.
private struct User: RequestHeadersHook, WorkHook, JobHook, CalloutHook, ResumedHook,
    StatefulPlugin
{
    static let id: StaticString = "org.sluice.test.user"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Uses services."
    static var needs: HostTables { [.shared] }

    enum Work: BitwiseCopyable, Equatable {
        case tick
        case add(UInt32)
    }

    struct Job {
        var text: String
    }

    struct Worker {
        let index: Int
        var sum = 0
        var ticks = 0
    }

    typealias Callout = Token

    let host: Host
    let scheduler: Scheduler<User>
    let jobs: Jobs<User>
    let callouts: Callouts<User>
    let requests: Counter
    let open: Gauge
    let seconds: Histogram
    let denied: Metric
    let user: BytesAttribute
    let score: NumberAttribute
    let counters: SharedCounters
    let buckets: SharedBuckets
    let values: SharedValues

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
        scheduler = Scheduler(host)
        jobs = Jobs(host)
        callouts = Callouts(host)
        let name = try configuration.string("metric") ?? "requests_total"
        requests = try host.counter(name, help: "Requests.")
        open = try host.gauge("open", help: "Open ones.")
        seconds = try host.histogram("duration_seconds", help: "Time.", buckets: [0.1, 1])
        denied = try host.counters("denied_total", help: "No.", labels: ["why"], seriesMax: 2)
        user = try host.bytesAttribute("test.user")
        score = try host.numberAttribute("test.score")
        counters = try SharedCounters(host, "counters", capacity: 64)
        buckets = try SharedBuckets(host, "buckets", capacity: 64)
        values = try SharedValues(host, "values", capacity: 64)
        try? jobs.startDetached(Job(text: "made"))
    }

    func makeWorker(_ index: Int) -> Worker {
        _ = try? scheduler.every(nanoseconds: 1_000_000_000, .tick)
        return Worker(index: index)
    }

    func perform(_ work: Work, on worker: inout Worker) {
        switch work {
        case .tick:
            worker.ticks += 1
            return
        case .add(let amount): worker.sum += Int(amount)
        }
        let line = "worker \(worker.index): \(worker.ticks) ticks, sum \(worker.sum)"
        host.log(.debug) { line }
    }

    func run(_ job: inout Job) {
        job.text += " on " + (host.thread == .blocking ? "a blocking thread" : "another thread")
        let text = job.text
        host.log(.info) { text }
    }

    func finish(_ job: consuming Job, on worker: inout Worker) {
        worker.sum += job.text.count
        let text = "finished \(job.text) on worker \(host.workerIndex ?? -1)"
        host.log(.info) { text }
    }

    func calloutDone(_ callout: Token, _ result: CallResult, on worker: inout Worker) {
        worker.sum += 1
        let field = result.fields?.first(named: "x-user").map { String($0) } ?? "-"
        let text = "\(result.outcome) \(result.status) \(field) \(String(result.body))"
        host.log(.info) { text }
        callout.resume(payload: UInt64(result.status))
    }

    func resumed(_ exchange: borrowing Exchange<User>) -> Verdict {
        exchange.resumePayload == 200 ? .next : exchange.respond(status: 403)
    }

    func exportState(to sink: inout StateSink) throws(PluginError) {
        sink.write("v1")
        sink.write(value: UInt32(7))
    }

    func importState(_ state: Bytes) throws(PluginError) {
        guard state.hasPrefix("v1"), let number = state.load(UInt32.self, at: 2) else {
            throw PluginError("no state of mine")
        }
        host.log(.info) { "imported \(number)" }
    }

    func requestHeaders(_ exchange: borrowing Exchange<User>) -> Verdict {
        let target = exchange.fields.target
        switch target {
        case "/metrics": return count()
        case "/attributes": return pass(exchange)
        case "/work": return post()
        case "/job":
            try? jobs.start(Job(text: "read"))
            return .next
        case "/call": return call(exchange)
        case "/alone": return callAlone()
        case "/shared": return share(exchange)
        case "/slow": return watch(exchange)
        case "/key":
            try? exchange.setHashKey("abc")
            return .next
        default: return .error
        }
    }

    func count() -> Verdict {
        requests.add()
        requests.add(2)
        open.set(5)
        open.add(-1)
        seconds.observe(0.25)
        for why in ["a", "b", "c", "d"] as [Bytes] { try? denied.counter(why).add() }
        return (try? denied.gauge("a")) == nil && (try? denied.counter()) == nil ? .next : .error
    }

    func watch(_ exchange: borrowing Exchange<User>) -> Verdict {
        // Nothing is kept before somebody asks.
        guard exchange.slowHooks.count == 0, !exchange.watchHooks(nanoseconds: 0),
            exchange.watchHooks(nanoseconds: 100)
        else { return .error }
        for hook in exchange.slowHooks {
            let name = "\(String(hook.instance))/\(String(SlowHook.phaseName(hook.phase)))"
            let times = "\(hook.startNanoseconds) \(hook.endNanoseconds) \(hook.busyNanoseconds)"
            host.log(.info) { "\(name) \(times) \(hook.waits)" }
        }
        return .next
    }

    func pass(_ exchange: borrowing Exchange<User>) -> Verdict {
        let before = exchange.attribute(score) ?? 0
        exchange.setAttribute(score, before + 1)
        exchange.setAttribute(user, "alice")
        guard let name = exchange.attribute(user) else { return .error }
        exchange.edits.set(.from, name)
        return .next
    }

    func post() -> Verdict {
        try? scheduler.post(.add(3), to: .all)
        try? scheduler.post(.add(4), to: .worker(1))
        let isRefused = (try? scheduler.post(.tick, to: .worker(2))) == nil
        guard let timer = try? scheduler.after(nanoseconds: 10, .tick) else { return .error }
        return isRefused && scheduler.cancel(timer) && !scheduler.cancel(timer)
            ? .next : .error
    }

    func call(_ exchange: borrowing Exchange<User>) -> Verdict {
        do throws(ServiceError) {
            let token = try exchange.suspend()
            try exchange.call(CallRequest("auth", "/check"), token) { fields in
                fields.add("x-number", -12)
                fields.add("authorization", exchange.fields[.authorization] ?? "none")
            }
            return .suspend
        } catch {
            return exchange.respond(status: error == .stale ? 502 : 500)
        }
    }

    func callAlone() -> Verdict {
        var request = CallRequest("auth", "/alone")
        request.method = "POST"
        request.body = "body"
        guard let call = try? callouts.start(request, .none) else { return .error }
        _ = call
        return callouts.hasUpstream("auth") && !callouts.hasUpstream("other") ? .next : .error
    }

    func share(_ exchange: borrowing Exchange<User>) -> Verdict {
        let key = counters.key(of: exchange.facts.clientAddress)
        let count = counters.add(1, to: key, ttlNanoseconds: 1_000)
        guard counters.value(key) == count else { return .error }
        let answer = try? buckets.take(from: key, ratePerSecondMilli: 1_000, burst: 2)
        guard let answer else { return .error }
        do throws(ServiceError) {
            let seen = values.read(key) { value, version in (value.count, version) }
            let expected = seen.map { SharedValues.Expectation.version($0.1) } ?? .nothing
            try values.set("x", for: key, if: expected, ttlNanoseconds: 0)
            return exchange.respond(status: answer.isGranted ? 200 + count : 429)
        } catch {
            return .error
        }
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.resumed = { Export<Self>.resumed($0, $1, $2, $3, $4) }
        offer.perform = { Export<Self>.perform($0, $1, $2) }
        offer.run = { Export<Self>.run($0, $1) }
        offer.finish = { Export<Self>.finish($0, $1, $2) }
        offer.calloutDone = { Export<Self>.calloutDone($0, $1, $2, $3) }
        offer.exportState = { Export<Self>.exportState($0, $1, $2) }
        offer.importState = { Export<Self>.importState($0, $1, $2) }
    }
}

struct ServiceTests {
    private func get(_ target: String, _ plugin: PluginFixture) -> (RequestFixture, Verdict) {
        let request = RequestFixture("GET", target)
        return (request, plugin.requestHeaders(request))
    }

    private func lines(_ plugin: PluginFixture) -> [String] { plugin.host.log.map(\.line) }

    @Test
    func `says which tables it cannot do without`() throws {
        let plugin = try PluginFixture(User.self)
        let required = try #require(plugin.hello.required)
        let ids = (0..<4).compactMap { required[$0].map { String(cString: $0) } }
        let wanted = [SLUICE_CORE_ID, SLUICE_HTTP_ID, SLUICE_HTTP_CLIENT_ID, SLUICE_SHARED_ID]
        #expect(ids == wanted && required[4] == nil)
        for (missing, id) in [(HostTables.shared, SLUICE_SHARED_ID), (.http, SLUICE_HTTP_ID)] {
            let refused = #expect(throws: PluginFixture.Refused.self) {
                try PluginFixture(User.self, host: FakeHost(missing: missing))
            }
            #expect(refused?.line == "needs \(id)")
        }
    }

    @Test
    func `counts, sets and observes`() throws {
        let plugin = try PluginFixture(User.self)
        #expect(get("/metrics", plugin).1 == .next)
        #expect(plugin.host.metric("requests_total") == 3)
        #expect(plugin.host.metric("open") == 4)
        #expect(plugin.host.observations("duration_seconds") == [0.25])
        #expect(plugin.host.metric("denied_total", "a") == 1)
        #expect(plugin.host.metric("denied_total", "c") == nil)
        #expect(plugin.host.metric("denied_total", "other") == 2)
        #expect(plugin.host.metric("unknown") == nil)
        let line = PluginFixture.refusal(User.self, ["metric": "Bad"])
        #expect(line == "metric Bad: no name of a metric")
        let taken = PluginFixture.refusal(User.self, ["metric": "denied_total"])
        #expect(taken == "metric denied_total: it has another kind or other labels already")
    }

    @Test
    func `passes attributes on`() throws {
        let plugin = try PluginFixture(User.self)
        let request = RequestFixture("GET", "/attributes")
        request.setAttribute("test.score", .number(41), on: plugin.host)
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.attribute("test.score", on: plugin.host) == .number(42))
        #expect(request.attribute("test.user", on: plugin.host) == .bytes(Array("alice".utf8)))
        #expect(request.request["from"] == "alice")
        #expect(plugin.requestHeaders(RequestFixture("GET", "/key")) == .next)
        let (keyed, _) = get("/key", plugin)
        #expect(keyed.hashKey == "abc")
    }

    @Test
    func `is told which hooks took long`() throws {
        let plugin = try PluginFixture(User.self)
        let request = RequestFixture("GET", "/slow")
        request.addSlowHook(of: "quick", phase: 0, start: 1_000, end: 1_099)
        request.addSlowHook(of: "slow", phase: 11, start: 1_000, end: 1_100)
        request.addSlowHook(of: "store", phase: 1, start: 1_000, end: 0, busy: 10, waits: 2)
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.slowHookThreshold == 100)
        #expect(
            lines(plugin) == [
                "slow/request_end 1000 1100 100 0", "store/cache_lookup 1000 0 10 2",
            ]
        )
        // As many as the host keeps.
        let full = RequestFixture("GET", "/slow")
        for _ in 0..<20 { full.addSlowHook(of: "slow", phase: 0, start: 1, end: 101) }
        #expect(plugin.requestHeaders(full) == .next)
        #expect(lines(plugin).count == 2 + 16)
    }

    @Test
    func `does work on workers, and on time`() throws {
        let plugin = try PluginFixture(User.self, workers: 2)
        #expect(get("/work", plugin).1 == .next)
        #expect(lines(plugin) == [])
        #expect(plugin.runPosted() == 3)
        let sums = ["worker 0: 0 ticks, sum 3", "worker 1: 0 ticks, sum 3"]
        #expect(lines(plugin) == sums + ["worker 1: 0 ticks, sum 7"])
        plugin.advance(nanoseconds: 2_500_000_000)
        #expect(get("/work", plugin).1 == .next)
        #expect(plugin.runPosted() == 3)
        let later = ["worker 0: 2 ticks, sum 6", "worker 1: 2 ticks, sum 10"]
        #expect(lines(plugin).suffix(3) == later + ["worker 1: 2 ticks, sum 14"])
        #expect(plugin.host.nowNanoseconds == 3_500_000_000)
    }

    @Test
    func `runs jobs`() throws {
        let plugin = try PluginFixture(User.self)
        #expect(get("/job", plugin).1 == .next)
        #expect(lines(plugin) == [])
        #expect(plugin.runJobs() == 2)
        #expect(
            lines(plugin) == [
                "made on a blocking thread", "read on a blocking thread",
                "finished read on a blocking thread on worker 0",
            ]
        )
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `a request waits for its callout`() throws {
        let plugin = try PluginFixture(User.self)
        plugin.host.upstreams = ["auth"]
        let (request, verdict) = get("/call", plugin)
        #expect(verdict == .suspend)
        let call = try #require(plugin.host.callouts.first)
        #expect(call.upstream == "auth" && call.path == "/check" && call.hasRequest)
        #expect(call.fields == Message([("x-number", "-12"), ("authorization", "none")]))
        #expect(plugin.finishCallouts() == 0)
        plugin.host.answer = { _ in
            .response(status: 200, fields: Message([("x-user", "bob")]), body: "ok")
        }
        #expect(plugin.finishCallouts() == 1)
        #expect(lines(plugin) == ["response 200 bob ok"])
        #expect(plugin.resumed(request) == .next)
    }

    @Test
    func `a callout fails, takes too long, is too large, or goes nowhere`() throws {
        let plugin = try PluginFixture(User.self)
        #expect(get("/call", plugin).0.response[":status"] == "502")
        plugin.host.upstreams = ["auth"]
        let (slow, _) = get("/call", plugin)
        plugin.advance(nanoseconds: 5_000_000_000)
        #expect(plugin.resumed(slow) == .respond)
        let large = String(repeating: "x", count: 65_537)
        for answer in [CalloutAnswer.failed, .response(status: 200, body: large)] {
            plugin.host.answer = { _ in answer }
            let (request, _) = get("/call", plugin)
            #expect(plugin.finishCallouts() == 1)
            #expect(plugin.resumed(request) == .respond)
        }
        let outcomes = ["timeout 0 - ", "failed 0 - ", "tooLarge 0 - "]
        #expect(lines(plugin) == outcomes)
    }

    @Test
    func `the end of a request cancels its callouts, not others`() throws {
        let plugin = try PluginFixture(User.self)
        plugin.host.upstreams = ["auth"]
        plugin.host.answer = { _ in .response(status: 200) }
        let (request, _) = get("/call", plugin)
        #expect(get("/alone", plugin).1 == .next)
        plugin.requestEnd(request)
        #expect(plugin.finishCallouts() == 1)
        #expect(lines(plugin) == ["response 200 - "])
        #expect(plugin.host.callouts.map(\.method) == ["GET", "POST"])
    }

    @Test
    func `shares counters, buckets and values`() throws {
        let plugin = try PluginFixture(User.self)
        let statuses = (0..<3).map { _ in get("/shared", plugin).0.response[":status"] }
        #expect(statuses == ["201", "202", "429"])
        // An instance that takes the place of this one finds what it left.
        plugin.host.nowNanoseconds += 999
        let next = try PluginFixture(User.self, host: plugin.host)
        #expect(get("/shared", next).0.response[":status"] == "429")
        plugin.host.nowNanoseconds += 1_000_000_000
        #expect(get("/shared", next).0.response[":status"] == "201")
    }

    @Test
    func `state moves over, and is refused when it is not understood`() throws {
        let state = try PluginFixture(User.self).exportState()
        #expect(state == Array("v1".utf8) + [7, 0, 0, 0])
        let plugin = try PluginFixture(User.self)
        try plugin.importState(state)
        #expect(lines(plugin) == ["imported 7"])
        for broken in [[], Array("v1".utf8), Array("v2xxxx".utf8)] {
            let refused = #expect(throws: PluginFixture.Refused.self) {
                try plugin.importState(broken)
            }
            #expect(refused?.line == "no state of mine")
            #expect(refused?.code == Int32(SLUICE_EINVAL))
        }
    }
}
