import HTTP
import Testing

/// The request line, its target and the authority.
struct RequestHeadTests {
    @Test
    func `a plain request is taken apart`() {
        let parsed = request("GET /a/b?c=d&e HTTP/1.1\r\nHost: a.example:81\r\nX-Y:z\r\n\r\nrest")
        #expect(parsed.outcome == .complete)
        let head = parsed.head
        #expect(head.method == .get)
        #expect(head.minorVersion == 1)
        #expect(parsed.slice(head.methodStart, head.methodLength) == "GET")
        #expect(parsed.slice(head.pathStart, head.pathLength) == "/a/b")
        #expect(parsed.slice(head.pathStart, head.targetLength) == "/a/b?c=d&e")
        #expect(parsed.slice(head.authorityStart, head.authorityLength) == "a.example:81")
        #expect(head.fieldCount == 2)
        #expect(head.fieldsStart == 25)
        #expect(parsed.slice(head.fieldsEnd, 6) == "\r\nrest")
        #expect(head.byteCount == head.fieldsEnd + 2)
        #expect(head.flags == [.keepAlive])
        #expect(head.framing == .none)
        #expect(
            parsed.fields == [
                Field(
                    name: "Host",
                    value: "a.example:81",
                    id: .host,
                    isDropped: false,
                    isRepeated: false
                ),
                Field(
                    name: "X-Y",
                    value: "z",
                    id: .unknown,
                    isDropped: false,
                    isRepeated: false
                ),
            ]
        )
    }

    @Test
    func `one empty line before the request line is counted`() {
        let parsed = request("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(parsed.outcome == .complete)
        #expect(parsed.slice(parsed.head.methodStart, 3) == "GET")
        #expect(parsed.head.pathStart == 6)
        #expect(Int(parsed.head.byteCount) == parsed.bytes.count)
    }

    @Test(arguments: [
        ("GET", HTTP.Method.get), ("HEAD", .head), ("POST", .post), ("PUT", .put),
        ("DELETE", .delete), ("TRACE", .trace), ("PATCH", .patch), ("OPTIONS", .options),
        ("get", .other), ("GE", .other), ("GETT", .other), ("PATCHES", .other), ("X", .other),
        ("OPTIONSX", .other), ("PROPFIND", .other), ("BASELINE-CONTROL", .other),
    ])
    func `methods are known by their exact names`(name: String, method: HTTP.Method) {
        let parsed = request("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.method == method)
        #expect(parsed.slice(parsed.head.methodStart, parsed.head.methodLength) == name)
    }

    @Test
    func `CONNECT has an authority and no path`() {
        let parsed = request("CONNECT a.example:443 HTTP/1.1\r\nHost: A.example:443\r\n\r\n")
        #expect(parsed.outcome == .complete)
        let head = parsed.head
        #expect(head.method == .connect)
        #expect(parsed.slice(head.authorityStart, head.authorityLength) == "a.example:443")
        #expect(head.targetLength == 0)
    }

    @Test
    func `the asterisk form is marked`() {
        let parsed = request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.flags.contains(.asterisk))
        #expect(parsed.slice(parsed.head.pathStart, parsed.head.targetLength) == "*")
    }

    @Test(arguments: [
        ("http://A.b/x?y", "A.b", "/x", "/x?y"), ("http://a.b", "a.b", "", ""),
        ("hTTpS://a.b:8?y/z", "a.b:8", "", "?y/z"), ("http://[::1]:80/", "[::1]:80", "/", "/"),
        ("http://a.b/?", "a.b", "/", "/?"), ("http://a.b/http://c.d", "a.b", "/http:", ""),
    ])
    func `an absolute target gives the authority`(
        target: String,
        authority: String,
        path: String,
        pathAndQuery: String
    ) {
        let parsed = request("GET \(target) HTTP/1.1\r\nHost: \(authority)\r\n\r\n")
        #expect(parsed.outcome == .complete)
        let head = parsed.head
        #expect(head.flags.contains(.absoluteForm))
        #expect(parsed.slice(head.authorityStart, head.authorityLength) == authority)
        #expect(head.authorityStart < 20)
        if !pathAndQuery.isEmpty || path.isEmpty {
            #expect(parsed.slice(head.pathStart, head.pathLength) == path)
            #expect(parsed.slice(head.pathStart, head.targetLength) == pathAndQuery)
        } else {
            #expect(parsed.slice(head.pathStart, head.pathLength) == "/http://c.d")
        }
    }

    @Test
    func `HTTP/1.0 needs no Host, and an absolute target stands in for it`() {
        let none = request("GET / HTTP/1.0\r\n\r\n")
        #expect(none.outcome == .complete)
        #expect(none.head.minorVersion == 0)
        #expect(none.head.authorityLength == 0)
        let absolute = request("GET http://a.example/ HTTP/1.0\r\n\r\n")
        #expect(absolute.outcome == .complete)
        #expect(absolute.slice(absolute.head.authorityStart, 9) == "a.example")
    }

    @Test(arguments: ["1.1", "1.2", "1.9"])
    func `minor versions over 1 count as 1`(version: String) {
        #expect(get("", version: version).head.minorVersion == 1)
    }

    /// Every byte in turn within a target (RFC 9112 §3.2).
    @Test
    func `a target may hold any byte but controls, space, DEL and the number sign`() {
        for byte in UInt8.min...UInt8.max {
            let bytes =
                latin1("GET /abcdefgh") + [byte] + latin1("ijk HTTP/1.1\r\nHost: a\r\n\r\n")
            let isGood = byte > 0x20 && byte != 0x7F && byte != 0x23
            #expect((request(bytes).outcome == .complete) == isGood, "byte \(byte)")
        }
    }

    /// Every byte in turn within a method (RFC 9110 §9.1).
    @Test
    func `a method may hold token characters alone`() {
        let token = latin1("!#$%&'*+-.^_`|~")
        for byte in UInt8.min...UInt8.max where byte != 0x20 {
            let bytes = latin1("GE") + [byte] + latin1("T / HTTP/1.1\r\nHost: a\r\n\r\n")
            let isLetter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            let isGood = isLetter || (0x30...0x39).contains(byte) || token.contains(byte)
            #expect((request(bytes).outcome == .complete) == isGood, "byte \(byte)")
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HeadError.repeatedHost),
        ("GET / HTTP/1.1\r\n\r\n", .missingHost), ("GET / HTTP/1.1\r\nHost: /\r\n\r\n", .badHost),
        ("G\u{7F}T / HTTP/1.1\r\n", .badMethod), (" / HTTP/1.1\r\n", .badMethod),
        ("\tGET / HTTP/1.1\r\n", .badMethod), ("GET\t/ HTTP/1.1\r\n", .badMethod),
        ("GET /# HTTP/1.1\r\n", .badTarget), ("GET x HTTP/1.1\r\n", .badTarget),
        ("GET * HTTP/1.1\r\n", .badTarget), ("CONNECT a HTTP/1.1\r\n", .badTarget),
        ("GET http://u@a/ HTTP/1.1\r\n", .badTarget), ("GET  / HTTP/1.1\r\n", .badRequestLine),
        ("GET\r\n", .badRequestLine), ("GET /\r\n", .badRequestLine),
        ("GET / HTTP/1.1 \r\n", .badRequestLine), ("GET / http/1.1\r\n", .badRequestLine),
        ("\r\n\r\nGET / HTTP/1.1\r\n", .badRequestLine),
        ("GET / HTTP/2.0\r\n", .unsupportedVersion), ("GET / HTTP/0.9\r\n", .unsupportedVersion),
        ("GET / HTTP/1.1\n", .bareLineFeed), ("GET\n", .bareLineFeed), ("GET /\n", .bareLineFeed),
        ("\nGET", .bareLineFeed), ("\rG", .bareCarriageReturn), ("GET\rX", .bareCarriageReturn),
        ("GET /\rX", .bareCarriageReturn), ("GET / HTTP/1.1\rX", .bareCarriageReturn),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", .badHost),
        ("CONNECT b:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", .badHost),
    ])
    func `a bad request line or Host is refused`(raw: String, error: HeadError) {
        #expect(request(raw).outcome == .invalid(error))
    }
}
