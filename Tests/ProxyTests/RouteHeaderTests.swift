import HTTP
import Testing

@testable import Proxy

struct RouteHeaderTests {
    /// 0 for the route that asks for the fields, 1 for the other.
    private func match(_ patterns: [(String, String?)], _ request: Request) -> Int? {
        let headers = patterns.map { HeaderPattern(name: $0.0, value: $0.1) }
        return Routes([.headers(headers), RouteMatch()]).match(request)
    }

    private func match(_ patterns: [(String, String?)], _ fields: String) -> Int? {
        match(patterns, Request("a.example", fields: fields))
    }

    @Test(arguments: [
        ("accept", "text/html", "Accept: text/html\r\n", 0),
        ("accept", "text/html", "ACCEPT:\ttext/html \r\n", 0),
        ("accept", "text/html", "Accept: text/HTML\r\n", 1),
        ("accept", "text/html", "Accept: text/html, a\r\n", 1),
        ("accept", "text/html", "Accept: a\r\nAccept: text/html\r\n", 0),
        ("accept", "text/html", "", 1), ("accept", nil, "Accept:\r\n", 0),
        ("accept", nil, "Accept-Encoding: a\r\n", 1), ("accept", "", "Accept:\r\n", 0),
        ("x-tenant", "one", "X-Tenant: one\r\n", 0), ("x-tenant", "one", "x-TENANT: one\r\n", 0),
        ("x-tenant", "one", "X-Tenant: two\r\n", 1), ("x-tenant", "one", "X-Tenants: one\r\n", 1),
        ("x-tenant", "one", "X-Tenant: two\r\nX-Tenant: one\r\n", 0),
        ("x-tenant", nil, "X-Tenant: two\r\n", 0), ("x-tenant", nil, "X-Other: two\r\n", 1),
        ("host", "a.example", "", 0), ("host", "b.example", "", 1),
    ])
    func `a field matches by name in any case and by the bytes of its value`(
        name: String,
        value: String?,
        fields: String,
        route: Int
    ) {
        #expect(match([(name, value)], fields) == route)
    }

    @Test
    func `every field that a route asks for must be there`() {
        let patterns: [(String, String?)] = [("accept", "a"), ("x-one", nil)]
        #expect(match(patterns, "X-One: 1\r\nAccept: a\r\n") == 0)
        #expect(match(patterns, "X-One: 1\r\nAccept: b\r\n") == 1)
        #expect(match(patterns, "Accept: a\r\n") == 1)
    }

    @Test
    func `fields that a plugin added are met, in any case`() {
        let request = Request("a.example")
        request.add(.unknown, "X-Tenant", "one")
        request.add(.accept, "accept", "a")
        #expect(match([("x-tenant", "one"), ("accept", "a")], request) == 0)
        #expect(match([("x-tenant", nil)], request) == 0)
        #expect(match([("x-tenant", "two")], request) == 1)
        request.drop(.accept)
        #expect(match([("accept", nil)], request) == 1)
    }

    @Test
    func `fields that were dropped are not met`() {
        let request = Request("a.example", fields: "X-Tenant: one\r\nAccept: a\r\n")
        request.drop(.accept)
        #expect(match([("accept", nil)], request) == 1)
        #expect(match([("x-tenant", "one")], request) == 0)
        request.dropAll()
        #expect(match([("x-tenant", "one")], request) == 1)
    }

    @Test
    func `fields of the connection are not met`() {
        let fields = "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n"
        #expect(match([("x-hop", nil)], fields) == 1)
        #expect(match([("keep-alive", nil)], fields) == 1)
    }
}
