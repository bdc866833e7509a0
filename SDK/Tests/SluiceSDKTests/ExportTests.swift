import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

/// Counts its requests per worker, and answers as its configuration says.
private struct Probe: RequestHeadersHook, UpstreamRequestHook, LocalReplyHook, RequestEndHook {
    static let id: StaticString = "org.sluice.test.probe"
    static let version: StaticString = "1.2.3"
    static let summary: StaticString = "Counts."

    struct Context: BitwiseCopyable {
        var hooks = 0
    }

    struct Worker {
        let index: Int
        var requests = 0
    }

    let verdict: Verdict
    let host: Host

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(["verdict"])
        let number = try configuration.integer("verdict", in: 0...7) ?? 0
        verdict = Verdict(rawValue: UInt32(number))
        self.host = host
        host.log(.info) { "made" }
    }

    func makeWorker(_ index: Int) -> Worker { Worker(index: index) }

    func requestHeaders(_ exchange: borrowing Exchange<Probe>) -> Verdict {
        exchange.worker.requests += 1
        exchange.context.hooks += 1
        var writer = exchange.writer(capacity: 40)
        writer.append(decimal: UInt64(exchange.worker.index))
        writer.append(":")
        writer.append(decimal: UInt64(exchange.worker.requests))
        exchange.edits.set(.server, writer.bytes)
        return verdict
    }

    func upstreamRequest(_ exchange: borrowing Exchange<Probe>) -> Verdict {
        exchange.context.hooks += 1
        return exchange.fail(FailureCode(rawValue: 1_000))
    }

    func localReply(_ exchange: borrowing Exchange<Probe>) -> Verdict {
        exchange.edits.setStatus(404)
        return .next
    }

    func requestEnd(_ exchange: borrowing Exchange<Probe>) {
        host.log(.debug) { "\(exchange.context.hooks) hooks" }
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Probe>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Probe>.requestHeaders($0, $1, $2, $3, $4) }
        offer.upstreamRequest = { Export<Probe>.upstreamRequest($0, $1, $2, $3, $4) }
        offer.localReply = { Export<Probe>.localReply($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<Probe>.requestEnd($0, $1, $2, $3, $4) }
    }
}

struct ExportTests {
    @Test
    func `says what it is, and what it hooks`() throws {
        let plugin = try PluginFixture(Probe.self)
        #expect(String(plugin.hello.id) == "org.sluice.test.probe")
        #expect(String(plugin.hello.version) == "1.2.3")
        #expect(String(plugin.hello.description) == "Counts.")
        #expect(plugin.hello.abi_minor == SLUICE_ABI_MINOR)
        let required = try #require(plugin.hello.required)
        #expect(required[0].map { String(cString: $0) } == SLUICE_CORE_ID)
        #expect(required[1] == nil)
        #expect(plugin.hello.roles == nil)
        #expect(plugin.hello.factory.pointee.check_config == nil)
        let phases = [
            SLUICE_PHASE_REQUEST_HEADERS, SLUICE_PHASE_UPSTREAM_REQUEST, SLUICE_PHASE_LOCAL_REPLY,
            SLUICE_PHASE_REQUEST_END,
        ]
        #expect(plugin.hookedPhases == phases)
        #expect(plugin.hello.hooks_mask == phases.reduce(0) { $0 | 1 << UInt64($1) })
        #expect(plugin.contextByteCount == 16)
        #expect(plugin.table("sluice.lb/1") == nil)
    }

    @Test
    func `refuses structs of another size`() {
        var host = FakeHost.hello()
        var out = sluice_plugin_hello()
        #expect(Export<Probe>.hello(&host, &out) == SLUICE_EINVAL)
        out.size = UInt32(MemoryLayout<sluice_plugin_hello>.size)
        host.size += 8
        #expect(Export<Probe>.hello(&host, &out) == SLUICE_EINVAL)
        host.size -= 8
        #expect(Export<Probe>.hello(&host, &out) == SLUICE_OK)
        host.get_extension = { _ in nil }
        #expect(Export<Probe>.hello(&host, &out) == SLUICE_ENOTSUP)
        #expect(Export<Probe>.hello(nil, nil) == SLUICE_EINVAL)
    }

    @Test
    func `each worker has its own state, each request its own context`() throws {
        let host = FakeHost()
        let plugin = try PluginFixture(Probe.self, host: host, workers: 2)
        for (worker, value) in [(0, "0:1"), (1, "1:1"), (0, "0:2"), (0, "0:3")] {
            let request = RequestFixture()
            #expect(plugin.requestHeaders(request, worker: worker) == .next)
            #expect(request.request["server"] == value)
            plugin.requestEnd(request, worker: worker)
        }
        #expect(host.log.map(\.line) == ["made"] + Array(repeating: "1 hooks", count: 4))
        host.logLevel = 3
        plugin.requestEnd(RequestFixture())
        #expect(host.log.count == 5)
    }

    @Test(arguments: [Verdict.next, .detach, .reset, .error])
    func `passes verdicts on`(verdict: Verdict) throws {
        let plugin = try PluginFixture(
            Probe.self,
            ["verdict": .integer(Int(verdict.rawValue))]
        )
        let request = RequestFixture()
        #expect(plugin.requestHeaders(request) == verdict)
        // What is cut off has no head any more.
        let isCut = verdict == .error || verdict == .reset
        #expect((request.request["server"] == nil) == isCut)
    }

    @Test
    func `a failure carries its number, and a local reply its status`() throws {
        let plugin = try PluginFixture(Probe.self)
        let request = RequestFixture()
        #expect(plugin.upstreamRequest(request) == .error)
        #expect(request.errorCode == 1_000)
        request.respond(status: 502, isLocal: true)
        #expect(plugin.localReply(request) == .next)
        #expect(request.errorCode == 0)
        #expect(request.response[":status"] == "404")
    }

    @Test
    func `cuts an error's line at a whole character`() {
        let plugin = #expect(throws: PluginFixture.Refused.self) {
            // The path of the key is too long for the buffer of 256 bytes.
            let key = "x" + String(repeating: "é", count: 200)
            _ = try PluginFixture(Probe.self, .object([key: 1]))
        }
        #expect(plugin?.line == "x" + String(repeating: "é", count: 127))
        #expect(plugin?.code == Int32(SLUICE_ECONFIG))
    }
}
