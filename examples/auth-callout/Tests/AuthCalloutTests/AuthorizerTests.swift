import AuthCallout
import SluiceSDK
import SluiceTestKit
import Testing

struct AuthorizerTests {
    private let basic = ("Authorization", "Basic c2VjcmV0")

    private func plugin(_ over: [String: TestValue] = [:]) throws -> PluginFixture {
        let host = FakeHost()
        host.upstreams = ["auth"]
        let configuration: [String: TestValue] = [
            "upstream": "auth", "path": "/check", "copy": ["x-user", "x-group"],
        ]
        return try PluginFixture(
            Authorizer.self,
            .object(configuration.merging(over) { $1 }),
            host: host
        )
    }

    /// A request that the service was asked about and has answered.
    private func ask(
        _ plugin: PluginFixture,
        _ answer: CalloutAnswer,
        _ fields: [(String, String)],
        _ target: String = "/page?a=b"
    ) throws -> (RequestFixture, Verdict) {
        let request = RequestFixture("POST", target, fields: fields)
        #expect(plugin.requestHeaders(request) == .suspend)
        plugin.host.answer = { _ in answer }
        #expect(plugin.finishCallouts() == 1)
        return (request, try #require(plugin.resumed(request)))
    }

    private func yes(_ fields: [(String, String)] = [("X-User", "ann")]) -> CalloutAnswer {
        .response(status: 200, fields: Message(fields))
    }

    @Test
    func `asks with the credentials and what was asked for`() throws {
        let plugin = try plugin()
        let (request, verdict) = try ask(
            plugin,
            yes([("X-User", "ann"), ("X-Group", "a"), ("x-group", "b"), ("X-Other", "no")]),
            [basic, ("X-User", "root"), ("X-Group", "wheel")]
        )
        #expect(verdict == .next)
        let call = try #require(plugin.host.callouts.first)
        #expect((call.upstream, call.method, call.path) == ("auth", "GET", "/check"))
        #expect(
            call.fields
                == Message([
                    ("authorization", "Basic c2VjcmV0"), ("x-original-method", "POST"),
                    ("x-original-host", "example.com"), ("x-original-uri", "/page?a=b"),
                ])
        )
        #expect(call.timeoutNanoseconds == 2_000_000_000)
        #expect(request.request.values("x-user") == ["ann"])
        #expect(request.request.values("x-group") == ["a", "b"])
        #expect(request.request["x-other"] == nil)
    }

    @Test(arguments: [401, 403])
    func `a no is passed on with its challenges`(status: Int) throws {
        let fields = Message([
            ("WWW-Authenticate", "Basic realm=\"a\""), ("X-User", "x"),
            ("WWW-Authenticate", "Bearer"),
        ])
        let (request, verdict) = try ask(
            plugin(),
            .response(status: status, fields: fields),
            [basic]
        )
        #expect(verdict == .respond)
        #expect(request.response[":status"] == "\(status)")
        #expect(request.response.values("www-authenticate") == ["Basic realm=\"a\"", "Bearer"])
        #expect(request.response["x-user"] == nil)
    }

    @Test(arguments: [
        CalloutAnswer.failed, .timeout, .response(status: 500), .response(status: 302),
        .response(status: 404),
        .response(status: 200, fields: Message([("X-User", String(repeating: "u", count: 1_021))])),
    ])
    func `anything else is 503, or a request without the fields`(answer: CalloutAnswer) throws {
        let (request, verdict) = try ask(plugin(), answer, [basic])
        #expect(verdict == .respond && request.response[":status"] == "503")
        #expect(request.response["retry-after"] == "1")

        let open = try plugin(["on_unavailable": "open"])
        let (passed, openVerdict) = try ask(open, answer, [basic, ("X-User", "root")])
        #expect(openVerdict == .next && passed.request["x-user"] == nil)
        #expect(!open.host.log.isEmpty)
        for line in open.host.log { #expect(!line.line.contains("c2VjcmV0")) }
    }

    @Test
    func `the largest answer that is kept`() throws {
        // Of 1,024 bytes the layout takes one, and the field three.
        let (request, verdict) = try ask(
            plugin(),
            yes([("X-User", String(repeating: "u", count: 1_020))]),
            [basic]
        )
        #expect(verdict == .next && request.request["x-user"]?.count == 1_020)
    }

    @Test(arguments: [16, 17])
    func `the most fields that are kept`(count: Int) throws {
        let fields = [(String, String)](repeating: ("X-Group", "g"), count: count)
        let (request, verdict) = try ask(plugin(), yes(fields), [basic])
        #expect(verdict == (count == 16 ? .next : .respond))
        #expect(request.request.values("x-group").count == (count == 16 ? 16 : 0))
    }

    @Test
    func `a wait that takes too long is given up`() throws {
        let plugin = try plugin(["timeout": .measured("60s", 60_000_000_000)])
        let request = RequestFixture(fields: [basic])
        #expect(plugin.requestHeaders(request) == .suspend)
        plugin.advance(nanoseconds: 60_000_000_000)
        #expect(plugin.resumed(request) == .respond)
        #expect(request.response[":status"] == "503")
        #expect(plugin.finishCallouts() == 0)
    }

    @Test
    func `two sets of credentials are refused`() throws {
        let request = RequestFixture(fields: [basic, ("Authorization", "Basic eA==")])
        #expect(try plugin().requestHeaders(request) == .respond)
        #expect(request.response[":status"] == "400")
    }

    @Test
    func `a yes is remembered for the same request`() throws {
        let plugin = try plugin()
        _ = try ask(plugin, yes(), [basic], "/page")
        let again = RequestFixture("POST", "/page", fields: [basic, ("X-User", "root")])
        #expect(plugin.requestHeaders(again) == .next)
        #expect(again.request.values("x-user") == ["ann"])
        for other in [
            RequestFixture("POST", "/other", fields: [basic]),
            RequestFixture("GET", "/page", fields: [basic]),
            RequestFixture("POST", "/page", authority: "b.example", fields: [basic]),
            RequestFixture("POST", "/page", fields: [("Authorization", "Basic eA==")]),
        ] {
            #expect(plugin.requestHeaders(other) == .suspend)
        }
        plugin.advance(nanoseconds: 10_000_000_001)
        let late = RequestFixture("POST", "/page", fields: [basic])
        #expect(plugin.requestHeaders(late) == .suspend)
    }

    @Test
    func `by credentials a yes holds for all requests`() throws {
        let plugin = try plugin(["cache_by": "credentials"])
        _ = try ask(plugin, yes([]), [basic], "/page")
        #expect(plugin.requestHeaders(RequestFixture("GET", "/x", fields: [basic])) == .next)
    }

    @Test
    func `what is no yes to credentials is asked again`() throws {
        let plugin = try plugin()
        let answers: [(CalloutAnswer, [(String, String)])] = [
            (.response(status: 403), [basic]), (.failed, [basic]), (yes(), []),
        ]
        for (answer, fields) in answers {
            for _ in 0..<2 { _ = try ask(plugin, answer, fields) }
        }
        #expect(plugin.host.callouts.count == 6)
        let never = try self.plugin(["cache_ttl": .measured("0s", 0)])
        for _ in 0..<2 { _ = try ask(never, yes(), [basic]) }
        #expect(never.host.callouts.count == 2)
    }

    @Test
    func `a request that ends takes its callout with it`() throws {
        let plugin = try plugin()
        let request = RequestFixture(fields: [basic])
        #expect(plugin.requestHeaders(request) == .suspend)
        plugin.requestEnd(request)
        plugin.host.answer = { _ in .response(status: 200) }
        #expect(plugin.finishCallouts() == 0)
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `a request without memory for the answer is not let through`() throws {
        let request = RequestFixture(fields: [basic])
        request.memoryBudget = 1_000
        #expect(try plugin().requestHeaders(request) == .respond)
        #expect(request.response[":status"] == "503")
    }

    @Test
    func `the upstream must be there`() {
        #expect(
            PluginFixture.refusal(Authorizer.self, ["upstream": "auth"])
                == "upstream: the manifest has no upstream \"auth\""
        )
        #expect(PluginFixture.refusal(Authorizer.self, [:]) == "upstream: is missing")
    }

    @Test(arguments: [16, 17])
    func `the number of fields is bounded`(count: Int) throws {
        let copy = (0..<count).map { TestValue.string("x-\($0)") }
        if count == 16 {
            _ = try plugin(["copy": .array(copy)])
        } else {
            let refused = #expect(throws: PluginFixture.Refused.self) {
                try plugin(["copy": .array(copy)])
            }
            #expect(refused?.line == "copy: more than 16 fields")
        }
    }
}
