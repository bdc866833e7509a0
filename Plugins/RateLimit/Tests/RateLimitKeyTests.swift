import RateLimit
import SluiceSDK
import SluiceTestKit
import Testing

struct RateLimitKeyTests {
    /// Whether two requests share a count of one.
    private func share(
        _ rule: [String: TestValue],
        _ left: RequestFixture,
        _ right: RequestFixture
    ) throws -> Bool {
        var rule = rule
        rule["name"] = "k"
        rule["limit"] = 1
        let plugin = try PluginFixture(RateLimitFilter.self, ["rules": [.object(rule)]])
        #expect(plugin.requestHeaders(left) == .next)
        return plugin.requestHeaders(right) == .respond
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", 32, true), ("192.0.2.1", "192.0.2.2", 32, false),
        ("192.0.2.1", "192.0.2.254", 24, true), ("192.0.2.1", "192.0.3.1", 24, false),
        ("192.0.2.1", "10.0.0.1", 1, false), ("192.0.2.1", "160.0.0.1", 1, true),
    ])
    func `clients of one IPv4 prefix share a count`(
        left: String,
        right: String,
        bits: Int,
        isShared: Bool
    ) throws {
        let shared = try share(
            ["ipv4_prefix": .integer(bits)],
            RequestFixture(client: left),
            RequestFixture(client: right)
        )
        #expect(shared == isShared)
    }

    @Test(arguments: [
        (64, "2001:db8::1", "2001:db8::2", true), (64, "2001:db8::1", "2001:db8:0:1::1", false),
        (128, "2001:db8::1", "2001:db8::2", false), (127, "2001:db8::2", "2001:db8::3", true),
        (48, "2001:db8::1", "2001:db8:0:1::1", true), (1, "2001:db8::1", "3001::1", true),
    ])
    func `clients of one IPv6 prefix share a count`(
        bits: Int,
        left: String,
        right: String,
        isShared: Bool
    ) throws {
        let shared = try share(
            ["ipv6_prefix": .integer(bits)],
            RequestFixture(client: left),
            RequestFixture(client: right)
        )
        #expect(shared == isShared)
    }

    @Test func `an IPv6 client shares its network by default`() throws {
        let left = RequestFixture(client: "2001:db8::1")
        #expect(try share([:], left, RequestFixture(client: "2001:db8::ffff")))
    }

    @Test func `other values have other counts, and the same the same`() throws {
        let cases: [(String, RequestFixture, RequestFixture)] = [
            (
                "header:X-User", RequestFixture(fields: [("x-user", "a")]),
                RequestFixture(fields: [("x-user", "b")])
            ),
            (
                "cookie:sid", RequestFixture(fields: [("cookie", "b=1; sid=a")]),
                RequestFixture(fields: [("cookie", "sid=b")])
            ),
            ("query:k", RequestFixture("GET", "/?a=1&k=1"), RequestFixture("GET", "/?k=2")),
            ("path", RequestFixture("GET", "/a?1"), RequestFixture("GET", "/b?1")),
            ("target", RequestFixture("GET", "/a?1"), RequestFixture("GET", "/a?2")),
            ("method", RequestFixture("GET"), RequestFixture("POST")),
            (
                "host", RequestFixture(authority: "a.example"),
                RequestFixture(authority: "b.example")
            ),
        ]
        for (key, left, right) in cases {
            #expect(try !share(["key": .string(key)], left, right))
            #expect(try share(["key": .string(key)], left, left))
            let both: [String: TestValue] = ["key": ["client_ip", .string(key)]]
            #expect(try !share(both, left, right))
            #expect(try share(both, left, left))
        }
    }

    @Test func `the order of values counts, and where one ends`() throws {
        func request(_ a: String, _ b: String) -> RequestFixture {
            RequestFixture(fields: [("a", a), ("b", b)])
        }
        let key: [String: TestValue] = ["key": ["header:a", "header:b"]]
        #expect(try !share(key, request("x", "yz"), request("xy", "z")))
        #expect(try !share(key, request("x", "y"), request("y", "x")))
    }

    @Test(arguments: [("A.example:80", "a.EXAMPLE:8080", true), ("[::1]:80", "[::1]", true)])
    func `a host is the same in any case and on any port`(
        left: String,
        right: String,
        isShared: Bool
    ) throws {
        let key: [String: TestValue] = ["key": "host"]
        let shared = try share(
            key,
            RequestFixture(authority: left),
            RequestFixture(authority: right)
        )
        #expect(shared == isShared)
    }

    @Test(arguments: [
        "header:x", "cookie:sid", "query:k", "attribute:test.user", "route",
        "client_fingerprint",
    ])
    func `requests without the value do not count, or share a count`(key: String) throws {
        let rule: [String: TestValue] = ["key": .string(key)]
        #expect(try !share(rule, RequestFixture(), RequestFixture()))
        let sharing = rule.merging(["if_missing": "share"]) { $1 }
        #expect(try share(sharing, RequestFixture(), RequestFixture()))
    }

    @Test func `counts by what another plugin has found out`() throws {
        let plugin = try PluginFixture(
            RateLimitFilter.self,
            ["rules": [["name": "k", "key": "attribute:test.user", "limit": 1]]]
        )
        func request(_ user: String) -> RequestFixture {
            let request = RequestFixture()
            request.setAttribute("test.user", .bytes(Array(user.utf8)), on: plugin.host)
            return request
        }
        #expect(plugin.requestHeaders(request("ann")) == .next)
        #expect(plugin.requestHeaders(request("bob")) == .next)
        #expect(plugin.requestHeaders(request("ann")) == .respond)
    }

    @Test func `a Unix socket's clients have no address`() throws {
        let unix = { RequestFixture(client: "unix:") }
        #expect(try !share([:], unix(), unix()))
        #expect(try share(["if_missing": "share"], unix(), unix()))
    }
}
