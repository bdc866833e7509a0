import HTTP
import Testing

@testable import Proxy

struct RouteTableTests {
    @Test(arguments: [
        "a.example", "A.Example", "A.EXAMPLE:80", "a.example:", "a.example.", "a.example.:65535",
    ])
    func `a host matches in any case, without its port and last dot`(host: String) {
        let routes = Routes(hosts: [["b.example"], ["a.example"], []])
        #expect(routes.match(host) == 1)
    }

    @Test(arguments: [
        "a.example.example", "xa.example", "example", "a-example", "a.example..", "a.exampl",
        "[::1]", "a%2eexample",
    ])
    func `another host does not`(host: String) {
        let routes = Routes(hosts: [["a.example"]])
        #expect(routes.match(host) == nil)
        #expect(Routes(hosts: [["a.example"], []]).match(host) == 1)
    }

    @Test(arguments: [
        ("127.0.0.1", 0), ("127.0.0.1:8080", 0), ("[::1]", 1), ("[::1]:8080", 1), ("[::2]", nil),
        ("127.0.0.10", nil), ("127.0.0.", nil),
    ])
    func `an address is a host like others`(host: String, route: Int?) {
        #expect(Routes(hosts: [["127.0.0.1"], ["[::1]"]]).match(host) == route)
    }

    @Test(arguments: [
        ("x.example", 1), ("X.Example:81", 1), ("a.b.example", 0), ("x.a.b.example.", 0),
        ("b.example", 1), ("example", nil), (".example", nil), ("xexample", nil),
        ("x.example.net", nil), ("y.x.example", 1), (".b.example", 1), ("a..example", 1),
    ])
    func `the longest suffix wins, and matches longer names only`(host: String, route: Int?) {
        let routes = Routes(hosts: [["*.b.example"], ["*.example"]])
        #expect(routes.match(host) == route)
    }

    @Test
    func `the first match wins, whatever its kind`() {
        #expect(Routes(hosts: [[], ["a.example"]]).match("a.example") == 0)
        #expect(Routes(hosts: [["*.example"], ["a.example"]]).match("a.example") == 0)
        #expect(Routes(hosts: [["a.example"], ["*.example"], []]).match("a.example") == 0)
        #expect(Routes(hosts: [["*.example"], ["*.b.example"]]).match("a.b.example") == 0)
        #expect(Routes(hosts: [["b.example", "*.example"], []]).match("c.example") == 0)
        #expect(Routes(hosts: [["b.example"], [], ["a.example"]]).match("a.example") == 1)
        #expect(Routes(hosts: [["a.example"], ["a.example"]]).match("a.example") == 0)
    }

    @Test
    func `a host whose route asks for more falls through to the next`() {
        var first = RouteMatch.hosts(["a.example"])
        first.path = .exact("/only")
        var second = RouteMatch.hosts(["*.example"])
        second.methods = ["POST"]
        let routes = Routes([first, second, RouteMatch()])
        #expect(routes.match("a.example", "/only") == 0)
        #expect(routes.match("a.example", "/", method: "POST") == 1)
        #expect(routes.match("b.example", "/only", method: "POST") == 1)
        #expect(routes.match("a.example") == 2)
    }

    @Test
    func `without routes nothing matches`() {
        #expect(Routes([]).match("a.example") == nil)
    }

    @Test
    func `a request without a host matches routes for any host alone`() {
        let request = Request("a.example")
        request.setAuthority("")
        #expect(Routes(hosts: [["a.example"], ["*.example"], []]).match(request) == 2)
        #expect(Routes(hosts: [["a.example"], ["*.example"]]).match(request) == nil)
    }

    @Test(arguments: [
        ("/api", 0), ("/api?x", 0), ("/api?", 0), ("/api/", 1), ("/api/x", 1), ("/api/x?y", 1),
        ("/apis", 3), ("/API", 3), ("/ap", 3), ("/", 3), ("/?/api", 3), ("/v1", 2), ("/v1/", 2),
        ("/v1/x", 2), ("/v1x", 3), ("/v1?q", 2), ("/v", 3), ("/%61pi", 3), ("//api", 3),
    ])
    func `paths match byte for byte, without the query`(target: String, route: Int) {
        let routes = Routes([
            .path(.exact("/api")), .path(.prefix("/api/")), .path(.prefix("/v1/")), .path(.any),
        ])
        #expect(routes.match("h", target) == route)
    }

    @Test
    func `a prefix of the root is every path`() {
        let routes = Routes([.path(.prefix("/"))])
        for target in ["/", "/a", "/?q", "/a/b"] { #expect(routes.match("h", target) == 0) }
    }

    @Test(arguments: [("GET", 0), ("HEAD", 0), ("POST", 1), ("PURGE", 2), ("GETS", 2), ("get", 2)])
    func `methods match as they are sent`(method: String, route: Int) {
        let routes = Routes([.methods(["GET", "HEAD"]), .methods(["POST"]), .methods([])])
        #expect(routes.match("h", method: method) == route)
    }

    @Test
    func `a route bound to a listener is met there alone`() {
        let routes = Routes(
            [.listeners(["b"]), .listeners(["c", "a"]), .listeners(["none"])],
            listeners: ["a", "b", "c", "d"]
        )
        let request = Request("h")
        #expect((0..<4).map { routes.match(request, listener: $0) } == [1, 0, 1, nil])
        #expect(Routes([RouteMatch()], listeners: ["a"]).match(request, listener: 0) == 0)
    }

    @Test
    func `routes can be bound to the first 64 listeners`() {
        let listeners = (0..<66).map { "l\($0)" }
        let routes = Routes(
            [.listeners(["l63"]), .listeners(["l64"]), .listeners([])],
            listeners: listeners
        )
        let request = Request("h")
        let expected = [62: 2, 63: 0, 64: 2, 65: 2]
        for (listener, route) in expected {
            #expect(routes.match(request, listener: listener) == route)
        }
    }
}
