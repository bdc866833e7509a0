import CSluice
import SluiceSDK
import SluiceTestKit
import Synchronization
import Testing

/// Waits in its hooks, as its configuration says, and keeps the token where the test finds it.
private struct Waiter: RequestHeadersHook, RequestBodyHook, UpstreamResultHook, ResumedHook,
    RequestEndHook
{
    static let id: StaticString = "org.sluice.test.waiter"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Waits."

    struct Context: BitwiseCopyable {
        var token: Token
        var key: SharedKey
    }

    let mode: String
    let host: Host
    let token: NumberAttribute
    let waitset: Waitset

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        mode = String(try configuration.string("mode") ?? "suspend")
        self.host = host
        token = try host.numberAttribute("test.sequence")
        waitset = Waitset(host)
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        switch mode {
        case "body": return .next
        case "verdict only": return .suspend
        case "never returned":
            exchange.context.token = (try? exchange.suspend()) ?? .none
            return .next
        case "twice":
            _ = try? exchange.suspend()
            let second = Result { () throws(ServiceError) in try exchange.suspend() }
            return second == .failure(.invalid) ? .suspend : .error
        case "key": return waitForKey(exchange, isLate: false)
        case "late": return waitForKey(exchange, isLate: true)
        default: return suspend(exchange)
        }
    }

    func requestBody(_ exchange: borrowing Exchange<Self>) -> Verdict {
        guard exchange.chunk.offset == 0 else { return .next }
        exchange.output.consume(min(2, exchange.chunk.data.count))
        return suspend(exchange)
    }

    func upstreamResult(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let result = Result { () throws(ServiceError) in try exchange.suspend() }
        return result == .failure(.unsupported) ? .next : .error
    }

    func suspend(_ exchange: borrowing Exchange<Self>) -> Verdict {
        guard let token = try? exchange.suspend(nanoseconds: 1_000_000) else { return .error }
        exchange.context.token = token
        if mode == "early" { token.resume(payload: 5) }
        handOut(token)
        return .suspend
    }

    func waitForKey(_ exchange: borrowing Exchange<Self>, isLate: Bool) -> Verdict {
        let key = SharedKey(low: 7, high: 0)
        let ticket = waitset.ticket(key)
        if isLate { waitset.wake(key) }
        do {
            exchange.context.token = try exchange.wait(for: key, ticket, nanoseconds: 1_000_000)
            return .suspend
        } catch {
            return error == .again ? .detach : .error
        }
    }

    func resumed(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let reason = exchange.resumeReason.map { Int($0.rawValue) } ?? 0
        host.log(.info, "resumed") { pairs in
            pairs.add("phase", Int(exchange.phase.rawValue))
            pairs.add("reason", reason)
            pairs.add("payload", Int(exchange.resumePayload))
        }
        if exchange.resumePayload == 99 { return suspend(exchange) }
        return exchange.resumePayload == 403 ? exchange.respond(status: 403) : .next
    }

    func requestEnd(_ exchange: borrowing Exchange<Self>) {
        host.log(.info, "end") { $0.add("resumes", exchange.context.token.resume() ? 1 : 0) }
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.requestBody = { Export<Self>.requestBody($0, $1, $2, $3, $4) }
        offer.upstreamResult = { Export<Self>.upstreamResult($0, $1, $2, $3, $4) }
        offer.resumed = { Export<Self>.resumed($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<Self>.requestEnd($0, $1, $2, $3, $4) }
    }
}

// Where a test finds tokens: each runs alone in its task.
@TaskLocal private var tokens: Tokens = Tokens()

private final class Tokens: Sendable {
    let all = Mutex<[Token]>([])

    var last: Token { all.withLock { $0.last } ?? .none }
}

private func handOut(_ token: Token) { tokens.all.withLock { $0.append(token) } }

struct WaitTests {
    /// A plugin and a request that waits.
    private func wait(_ mode: String) throws -> (PluginFixture, RequestFixture, Verdict) {
        let plugin = try PluginFixture(Waiter.self, ["mode": .string(mode)])
        let request = RequestFixture()
        return (plugin, request, plugin.requestHeaders(request))
    }

    @Test
    func `a resume ends a wait once`() throws {
        try $tokens.withValue(Tokens()) {
            let (plugin, request, verdict) = try wait("suspend")
            #expect(verdict == .suspend && request.isSuspended)
            #expect(plugin.resumed(request) == nil)
            #expect(tokens.last.resume(payload: 403))
            #expect(!tokens.last.resume(payload: 1))
            #expect(!request.isSuspended)
            #expect(plugin.resumed(request) == .respond)
            #expect(request.response[":status"] == "403")
            #expect(plugin.resumed(request) == nil)
            #expect(!tokens.last.resume())
            plugin.requestEnd(request)
            #expect(
                plugin.host.log.map(\.line)
                    == ["resumed phase=0 reason=1 payload=403", "end resumes=0"]
            )
        }
    }

    @Test
    func `of eight threads one resumes`() async throws {
        let shared = Tokens()
        try await $tokens.withValue(shared) {
            let (plugin, request, _) = try wait("suspend")
            let token = shared.last
            let count = await withTaskGroup(of: Bool.self) { group in
                for payload in 1...8 {
                    group.addTask { token.resume(payload: UInt64(payload)) }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(count == 1)
            #expect(plugin.resumed(request) == .next)
        }
    }

    @Test
    func `a resume before the hook has returned is kept`() throws {
        let (plugin, request, verdict) = try wait("early")
        #expect(verdict == .suspend && !request.isSuspended)
        #expect(plugin.resumed(request) == .next)
        #expect(plugin.host.log.last?.line == "resumed phase=0 reason=1 payload=5")
    }

    @Test
    func `time ends a wait`() throws {
        try $tokens.withValue(Tokens()) {
            let (plugin, request, _) = try wait("suspend")
            plugin.advance(nanoseconds: 999_999)
            #expect(plugin.resumed(request) == nil)
            plugin.advance(nanoseconds: 1)
            #expect(!tokens.last.resume())
            #expect(plugin.resumed(request) == .next)
            #expect(plugin.host.log.last?.line == "resumed phase=0 reason=2 payload=0")
        }
    }

    @Test
    func `the end of a request cancels its wait`() throws {
        try $tokens.withValue(Tokens()) {
            let (plugin, request, _) = try wait("suspend")
            plugin.requestEnd(request)
            #expect(plugin.host.log.map(\.line) == ["end resumes=0"])
            #expect(plugin.resumed(request) == nil)
            #expect(!tokens.last.resume())
        }
    }

    @Test
    func `a resumed hook may wait again`() throws {
        try $tokens.withValue(Tokens()) {
            let (plugin, request, _) = try wait("suspend")
            let first = tokens.last
            first.resume(payload: 99)
            #expect(plugin.resumed(request) == .suspend)
            #expect(!first.resume())
            #expect(tokens.last.resume(payload: 0))
            #expect(plugin.resumed(request) == .next)
        }
    }

    @Test
    func `a wait in a body goes on with the rest`() throws {
        try $tokens.withValue(Tokens()) {
            let (plugin, request, _) = try wait("body")
            #expect(plugin.requestBody(request, "abcd") == .suspend)
            #expect(request.text(.requestBody) == "ab")
            #expect(plugin.requestBody(request, "ef", isEnd: true) == .suspend)
            #expect(tokens.last.resume())
            #expect(plugin.resumed(request) == .next)
            #expect(request.text(.requestBody) == "abcdef")
            #expect(plugin.host.log.last?.line == "resumed phase=2 reason=1 payload=0")
        }
    }

    @Test
    func `what is no wait is refused`() throws {
        #expect(try wait("verdict only").2 == .error)
        #expect(try wait("twice").2 == .suspend)
        let (plugin, request, verdict) = try wait("never returned")
        #expect(verdict == .next && !request.isSuspended)
        plugin.requestEnd(request)
        #expect(plugin.host.log.last?.line == "end resumes=0")
        #expect(plugin.upstreamResult(RequestFixture(), .connect) == .next)
        #expect(Token.none.isNone && !Token.none.resume())
    }

    @Test
    func `a wake-up ends a wait, also across requests`() throws {
        let (plugin, first, verdict) = try wait("key")
        #expect(verdict == .suspend)
        let second = RequestFixture()
        #expect(plugin.requestHeaders(second) == .suspend)
        let waker = try PluginFixture(Waiter.self, ["mode": "late"], host: plugin.host)
        #expect(waker.requestHeaders(RequestFixture()) == .detach)
        #expect(plugin.resumed(first) == .next && plugin.resumed(second) == .next)
        #expect(plugin.host.log.last?.line == "resumed phase=0 reason=3 payload=0")
        let (late, request, _) = try wait("key")
        late.advance(nanoseconds: 1_000_000)
        #expect(late.resumed(request) == .next)
        #expect(late.host.log.last?.line == "resumed phase=0 reason=2 payload=0")
    }

    @Test
    func `a host without waits refuses a plugin that offers to be resumed`() {
        let refused = #expect(throws: PluginFixture.Refused.self) {
            try PluginFixture(Waiter.self, host: FakeHost(missing: .http))
        }
        #expect(refused?.line == "needs sluice.http/1")
        let host = FakeHost(missing: [.waitset])
        #expect(throws: Never.self) { try PluginFixture(Waiter.self, host: host) }
    }
}

extension Result where Success: Equatable, Failure == ServiceError {
    fileprivate init(_ body: () throws(ServiceError) -> Success) {
        do throws(ServiceError) {
            self = .success(try body())
        } catch {
            self = .failure(error)
        }
    }
}
