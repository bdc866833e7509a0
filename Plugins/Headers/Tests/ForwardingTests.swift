import Headers
import SluiceSDK
import SluiceTestKit
import Testing

struct ForwardingTests {
    private func send(
        _ forwarded: TestValue,
        _ request: RequestFixture
    ) throws -> Message {
        let plugin = try PluginFixture(
            HeadersFilter.self,
            ["forwarded": forwarded, "request_id": false]
        )
        #expect(plugin.requestHeaders(request) == .next)
        return request.request
    }

    private let claims = [
        ("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Port", "443"),
        ("X-Forwarded-User", "root"), ("X-Real-IP", "203.0.113.7"),
        ("Forwarded", "for=203.0.113.7"), ("X-Forward", "stays"),
    ]

    @Test
    func `tells the client, the scheme and the host`() throws {
        let message = try send(nil, RequestFixture(authority: "example.com:8080", secure: true))
        #expect(message.values("x-forwarded-for") == ["192.0.2.1"])
        #expect(message.values("x-forwarded-proto") == ["https"])
        #expect(message.values("x-forwarded-host") == ["example.com:8080"])
        #expect(message["forwarded"] == nil)
    }

    @Test
    func `removes what an untrusted client says of itself`() throws {
        let message = try send(nil, RequestFixture(fields: claims))
        #expect(message.values("x-forwarded-for") == ["192.0.2.1"])
        #expect(message.values("x-forwarded-proto") == ["http"])
        #expect(message.values("x-forwarded-host") == ["example.com"])
        for name in ["x-forwarded-port", "x-forwarded-user", "x-real-ip", "forwarded"] {
            #expect(message[name] == nil, "\(name)")
        }
        #expect(message["x-forward"] == "stays")
    }

    @Test(arguments: ["x-forwarded", "rfc7239", "both"])
    func `removes claims one by one, in each mode`(mode: String) throws {
        for claim in claims.dropLast() {
            let message = try send(["mode": .string(mode)], RequestFixture(fields: [claim]))
            #expect(!message.values(claim.0.lowercased()).contains(claim.1), "\(claim)")
        }
    }

    @Test
    func `keeps what a trusted proxy says, and appends its address in one field`() throws {
        let fields = claims + [("X-Forwarded-For", "198.51.100.2, 198.51.100.3")]
        let message = try send(
            ["trusted_proxies": ["192.0.2.0/24"]],
            RequestFixture(fields: fields)
        )
        #expect(
            message.values("x-forwarded-for")
                == ["203.0.113.7, 198.51.100.2, 198.51.100.3, 192.0.2.1"]
        )
        for claim in claims.dropFirst() { #expect(message[claim.0.lowercased()] == claim.1) }
    }

    @Test
    func `a trusted proxy that says nothing is a client`() throws {
        let message = try send(
            ["trusted_proxies": ["2001:db8::/32"]],
            RequestFixture(client: "2001:db8::1")
        )
        #expect(message.values("x-forwarded-for") == ["2001:db8::1"])
        #expect(message["x-forwarded-proto"] == "http")
        #expect(message["x-forwarded-host"] == "example.com")
    }

    @Test
    func `trusts only the blocks that are named`() throws {
        let trusted: TestValue = ["trusted_proxies": ["10.0.0.0/8", "::1"]]
        let field = [("X-Forwarded-For", "203.0.113.7")]
        for (client, value) in [
            ("10.1.2.3", "203.0.113.7, 10.1.2.3"), ("11.1.2.3", "11.1.2.3"),
            ("::1", "203.0.113.7, ::1"), ("::2", "::2"),
        ] {
            let message = try send(trusted, RequestFixture(fields: field, client: client))
            #expect(message.values("x-forwarded-for") == [value])
        }
    }

    @Test
    func `appends the port when that is asked for`() throws {
        let four = try send(["append_port": true], RequestFixture(port: 80))
        #expect(four["x-forwarded-for"] == "192.0.2.1:80")
        let six = try send(
            ["append_port": true, "mode": "both"],
            RequestFixture(client: "2001:db8::1", port: 65_535)
        )
        #expect(six["x-forwarded-for"] == "[2001:db8::1]:65535")
        #expect(six["forwarded"]?.hasPrefix("for=\"[2001:db8::1]:65535\";") == true)
    }

    @Test
    func `a Unix socket has no address`() throws {
        let fields = [("X-Forwarded-For", "203.0.113.7")]
        let message = try send(["mode": "both"], RequestFixture(fields: fields, client: "unix:"))
        #expect(message["x-forwarded-for"] == nil)
        #expect(message["forwarded"] == "for=unknown;host=example.com;proto=http")
        let trusted = try send(
            ["trusted_proxies": ["unix:"]],
            RequestFixture(fields: fields, client: "unix:")
        )
        #expect(trusted.values("x-forwarded-for") == ["203.0.113.7"])
    }

    @Test
    func `writes Forwarded by the rules of tokens`() throws {
        func forwarded(_ request: RequestFixture) throws -> [String] {
            let message = try send(["mode": "rfc7239"], request)
            #expect(message["x-forwarded-for"] == nil)
            return message.values("forwarded")
        }
        #expect(
            try forwarded(RequestFixture()) == ["for=192.0.2.1;host=example.com;proto=http"]
        )
        #expect(
            try forwarded(RequestFixture(authority: "example.com:8080", secure: true))
                == ["for=192.0.2.1;host=\"example.com:8080\";proto=https"]
        )
        #expect(
            try forwarded(RequestFixture(authority: "", client: "2001:db8::1"))
                == ["for=\"[2001:db8::1]\";proto=http"]
        )
        #expect(
            try forwarded(RequestFixture(authority: "a\"\\b"))
                == ["for=192.0.2.1;host=\"a\\\"\\\\b\";proto=http"]
        )
    }

    @Test
    func `appends to a trusted proxy's Forwarded`() throws {
        let message = try send(
            ["mode": "rfc7239", "trusted_proxies": ["192.0.2.1"]],
            RequestFixture(fields: [("Forwarded", "for=a"), ("Forwarded", "for=b;proto=http")])
        )
        #expect(
            message.values("forwarded")
                == ["for=a, for=b;proto=http, for=192.0.2.1;host=example.com;proto=http"]
        )
    }

    @Test
    func `off touches nothing`() throws {
        let request = RequestFixture(fields: claims)
        let before = request.request
        #expect(try send(["mode": "off"], request) == before)
    }

    @Test
    func `a request without a host loses the client's claim of one`() throws {
        let message = try send(
            nil,
            RequestFixture(authority: "", fields: [("X-Forwarded-Host", "evil.example")])
        )
        #expect(message["x-forwarded-host"] == nil)
    }

    @Test(
        arguments: [
            (
                ["mode": "on"],
                "forwarded.mode: no mode: \"on\"; there are x-forwarded, rfc7239, both and off"
            ),
            (
                ["trusted_proxies": ["10.0.0.0/8", "x"]],
                "forwarded.trusted_proxies[1]: no address or block: \"x\""
            ),
            (
                ["trusted_proxies": "::1"],
                "forwarded.trusted_proxies: an array is wanted, not a string"
            ),
        ] as [(TestValue, String)]
    )
    func `refuses what it does not understand`(forwarded: TestValue, line: String) {
        #expect(PluginFixture.refusal(HeadersFilter.self, ["forwarded": forwarded]) == line)
    }
}
