import Balancing
import SluiceSDK
import SluiceTestKit
import Testing

/// A plugin that does nothing but to make keys.
private struct Keys: RequestHeadersHook {
    static let id: StaticString = "test.keys"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Makes keys."
    static let needs: HostTables = [.http]

    let rule: KeyRule?

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        rule = try KeyRule(configuration, host)
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        rule?.apply(exchange)
        return .next
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
    }
}

struct KeyRuleTests {
    private func key(_ rule: TestValue, _ request: RequestFixture) throws -> String? {
        let plugin = try PluginFixture(Keys.self, ["key": rule])
        #expect(plugin.requestHeaders(request) == .next)
        #expect(plugin.host.misuses == [])
        return request.hashKey
    }

    private func request(_ target: String = "/a/b?k=v&K=w&empty=&k=2") -> RequestFixture {
        RequestFixture(
            "GET",
            target,
            authority: "example.com:8080",
            fields: [
                ("X-User", "ada"), ("X-User", "bob"), ("Cookie", "a=1; sid=s=1 ;b=2"),
                ("Cookie", "late=3"),
            ],
            client: "2001:db8::1"
        )
    }

    @Test(
        arguments: [
            ("client_ip", "2001:db8::1"), ("host", "example.com:8080"), ("path", "/a/b"),
            ("target", "/a/b?k=v&K=w&empty=&k=2"), ("header:x-USER", "ada"),
            ("cookie:a", "1"), ("cookie:sid", "s=1"), ("cookie:late", "3"),
            ("query:k", "v"), ("query:K", "w"),
        ]
    )
    func `takes each part of a request`(rule: String, expected: String) throws {
        #expect(try key(.string(rule), request()) == expected)
    }

    @Test(
        arguments: [
            "header:x-none", "cookie:si", "cookie:SID", "query:empty", "query:v",
            "attribute:test.none",
        ]
    )
    func `what is missing or empty sets no key`(rule: String) throws {
        #expect(try key(.string(rule), request()) == nil)
    }

    @Test
    func `a target without a query has no arguments, and is its own path`() throws {
        #expect(try key("query:k", request("/k=v")) == nil)
        #expect(try key("path", request("/k=v")) == "/k=v")
        #expect(try key("query:k", request("/?k")) == nil)
        #expect(try key("query:k", request("/?kk=1&k=%20")) == "%20")
    }

    @Test
    func `joins several`() throws {
        #expect(try key(["client_ip", "path"], request()) == "2001:db8::1/a/b")
        #expect(try key(["header:x-none", "query:k"], request()) == "v")
        #expect(try key(["header:x-none", "query:none"], request()) == nil)
    }

    @Test
    func `takes an attribute that an earlier plugin has set`() throws {
        let plugin = try PluginFixture(Keys.self, ["key": "attribute:test.tenant"])
        let request = request()
        request.setAttribute("test.tenant", .bytes(Array("acme".utf8)), on: plugin.host)
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.hashKey == "acme")
    }

    @Test
    func `of a longer key the first 4,096 bytes count`() throws {
        func long(_ count: Int) -> RequestFixture {
            RequestFixture(fields: [("X-Long", String(repeating: "x", count: count))])
        }
        for count in [4_095, 4_096, 4_097] {
            let expected = min(count, KeyRule.bytesMax)
            #expect(try key("header:x-long", long(count))?.utf8.count == expected)
            let joined = try key(["path", "header:x-long"], long(count - 1))
            #expect(joined?.utf8.count == expected)
        }
    }

    @Test
    func `takes up to eight parts`() {
        func refusal(_ count: Int) -> String? {
            let parts = [TestValue](repeating: "path", count: count)
            return PluginFixture.refusal(Keys.self, ["key": .array(parts)])
        }
        #expect(refusal(8) == nil)
        #expect(refusal(9) == "key: 9 entries; there may be 1 to 8")
    }
}
