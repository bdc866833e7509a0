import Testing

@testable import Admin

struct AdminExchangeTests {
    private static let word = "0123456789abcdef"

    /// What becomes of the bytes of a connection that come in pieces of a size.
    private func step(
        _ text: String,
        token: AdminToken? = nil,
        hasPage: Bool = false,
        pieces: Int = .max
    ) -> AdminExchange.Step {
        var exchange = AdminExchange(token: token, hasPage: hasPage, limits: AdminLimits())
        var rest = Array(text.utf8)[...]
        var isContinued = false
        while !rest.isEmpty {
            let piece = rest.prefix(pieces)
            rest = rest.dropFirst(piece.count)
            switch exchange.receive(Array(piece)) {
            case .more: continue
            case .sendContinue: isContinued = true
            case let end: return end
            }
        }
        return isContinued ? .sendContinue : .more
    }

    private func refusal(_ text: String, token: AdminToken? = nil) -> AdminResponse? {
        let step = step(text, token: token)
        #expect(self.step(text, token: token, pieces: 1) == step)
        guard case .answer(let answer) = step else {
            Issue.record("\(step)")
            return nil
        }
        return answer.response
    }

    private func post(_ body: String, type: String = "application/json") -> String {
        "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Type: \(type)\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    }

    @Test(arguments: [1, 3, 1_000])
    func `a request is passed on once it is whole`(pieces: Int) {
        let get = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
        #expect(step(get, pieces: pieces) == .call(AdminRequest("GET", "/v1/status")))
        #expect(step(String(get.dropLast()), pieces: pieces) == .more)
        let request = AdminRequest("POST", "/v1/x", ["a": 1])
        #expect(step(post("{\"a\":1}"), pieces: pieces) == .call(request))
        #expect(step(String(post("{\"a\":1}").dropLast()), pieces: pieces) == .more)
        let chunked =
            "POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            + "Content-Type: application/json\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n"
        #expect(step(chunked, pieces: pieces) == .call(request))
    }

    @Test(arguments: [
        ("application/openmetrics-text", true), ("*/*", false), ("text/plain", false),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", true),
        ("application/openmetrics-text;version=0.0.1", false),
        ("application/openmetrics-text ; q=0.5, text/plain ; q=0.5", true),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.5", false),
        ("application/openmetrics-text;q=0", false), ("application/openmetrics-text;q=x", false),
        ("", false), (",;=", false),
    ])
    func `metrics come in the format that is asked for`(accept: String, isOpen: Bool) {
        let get = "GET /v1/metrics HTTP/1.1\r\nHost: x\r\nAccept: \(accept)\r\n\r\n"
        let path = isOpen ? AdminWire.openMetricsPath : AdminWire.metricsPath
        #expect(step(get) == .call(AdminRequest("GET", path)))
        let other = get.replacing("/v1/metrics", with: "/v1/status")
        #expect(step(other) == .call(AdminRequest("GET", "/v1/status")))
    }

    @Test func `a text says which format it has`() {
        let text = AdminAnswer(response: AdminResponse(200, "a 1\n")).bytes(now: 0)
        #expect(String(decoding: text, as: UTF8.self).contains("Type: \(AdminWire.text)\r\n"))
        let open = AdminAnswer(response: AdminResponse(200, "a 1\n# EOF\n")).bytes(now: 0)
        #expect(
            String(decoding: open, as: UTF8.self).contains("Type: \(AdminWire.openMetrics)\r\n")
        )
    }

    @Test func `a request without a body has null`() {
        let empty = "POST /v1/stop HTTP/1.1\r\nHost: x\r\n\r\n"
        #expect(step(empty) == .call(AdminRequest("POST", "/v1/stop")))
        let length = "POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        #expect(step(length) == .call(AdminRequest("POST", "/v1/stop")))
    }

    @Test func `what follows a request is not another`() {
        let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
        let twice = get + "POST /v1/stop HTTP/1.1\r\nHost: x\r\n\r\n"
        #expect(step(twice) == .call(AdminRequest("GET", "/a")))
    }

    @Test(arguments: [
        "application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"", "application/json ; charset=utf-8",
    ])
    func `JSON is taken`(type: String) {
        #expect(step(post("{}", type: type)) == .call(AdminRequest("POST", "/v1/x", [:])))
    }

    @Test(arguments: [
        "text/plain", "application/x-www-form-urlencoded", "application/jsonp",
        "application/json; charset=latin1", "application/json;", "application/json, text/plain",
        "application/ json", "", "application/json; boundary=x", "json",
    ])
    func `a body of another type is refused`(type: String) {
        #expect(refusal(post("{}", type: type))?.status == 415)
    }

    @Test func `a type that is missing, twice or encoded is refused`() {
        let begin = "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        let json = "Content-Type: application/json\r\n"
        #expect(refusal(begin + "\r\n{}")?.status == 415)
        #expect(refusal(begin + json + json + "\r\n{}")?.status == 415)
        #expect(refusal(begin + json + "Content-Encoding: gzip\r\n\r\n{}")?.status == 415)
    }

    private static let bad: [(String, Int, String)] = [
        ("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "a query is not taken"),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 400,
            "a body is taken with POST only"
        ),
        ("GET /a HTTP/1.1\r\n\r\n", 400, "the request is refused: missingHost"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "the request is refused: badTarget"),
        ("GET / HTTP/2.0\r\n\r\n", 505, "the request is refused: unsupportedVersion"),
        ("\u{16}\u{3}\u{1}\u{2}", 400, "the request is refused: badMethod"),
        (typed + "Content-Length: 1048577\r\n\r\n", 413, oversize),
        (
            typed + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
            "the request is refused: contentLengthWithTransferEncoding"
        ),
    ]
    private static let typed =
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    private static let oversize =
        "the request is refused: a body of more than 1048576 bytes"

    @Test(arguments: bad)
    func `what is not a request is refused`(text: String, status: Int, problem: String) {
        let response = refusal(text)
        #expect(response?.status == status)
        #expect(response?.problems == [problem])
    }

    @Test(arguments: [
        ("{", "line 1, column 2: expected a name in quotes, found the end of the text"),
        ("{\"a\":1,\"a\":2}", "line 1, column 8: the name \"a\" occurs twice"),
    ])
    func `a body that is not JSON is refused`(body: String, problem: String) {
        let response = refusal(post(body))
        #expect(response?.status == 400)
        #expect(response?.problems == ["the body is not JSON: " + problem])
    }

    @Test(arguments: ["1", "[]", "null", "\"a\""])
    func `a body that is not an object is refused`(body: String) {
        #expect(refusal(post(body))?.problems == ["the body is not an object"])
    }

    @Test func `a head has a bound`() {
        let begin = "GET /a HTTP/1.1\r\nHost: x\r\nA: "
        func text(_ count: Int) -> String {
            begin + String(repeating: "a", count: count - begin.utf8.count - 4) + "\r\n\r\n"
        }
        #expect(step(text(8_192)) == .call(AdminRequest("GET", "/a")))
        #expect(refusal(text(8_193))?.status == 431)
    }

    @Test func `a body has a bound`() {
        let most = AdminLimits().bodyBytes
        let body = "{\"a\":\"" + String(repeating: "b", count: most - 8) + "\"}"
        guard case .call(let request) = step(post(body)) else {
            Issue.record("refused")
            return
        }
        #expect(request.body["a"]?.string?.utf8.count == most - 8)
        #expect(step(post(body + " ")) != step(post(body)))
        guard case .answer(let answer) = step(post(body + " ")) else {
            Issue.record("taken")
            return
        }
        #expect(answer.response.status == 413)
    }

    @Test func `a client that waits for 100 is told to go on, and others are not`() {
        let begin =
            "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        #expect(step(begin) == .sendContinue)
        #expect(step(begin, pieces: 1) == .sendContinue)
        #expect(step(begin + "{}") == .call(AdminRequest("POST", "/v1/x", [:])))
        let refused = begin.replacing("json", with: "xml")
        #expect(refusal(refused)?.status == 415)
    }

    // MARK: Access

    @Test func `without the token nothing is said of a request`() throws {
        let token = try AdminToken(Array(Self.word.utf8))
        let heads = [
            "GET /v1/status HTTP/1.1\r\nHost: x\r\n", "GET /a?b HTTP/1.1\r\nHost: x\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n",
            "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n",
        ]
        for head in heads {
            let missing = refusal(head + "\r\n", token: token)
            #expect(missing?.status == 401)
            #expect(missing?.problems == ["Authorization: Bearer TOKEN is missing"])
            for field in ["Bearer 0123456789abcdeg", "Basic 0123456789abcdef", "x"] {
                let wrong = refusal(head + "Authorization: \(field)\r\n\r\n", token: token)
                #expect(wrong?.status == 401)
                #expect(wrong?.problems == ["the token is wrong"])
            }
            let field = "Authorization: Bearer \(Self.word)\r\n"
            #expect(refusal(head + field + field + "\r\n", token: token)?.status == 401)
        }
        let good = heads[0] + "Authorization: Bearer \(Self.word)\r\n\r\n"
        #expect(step(good, token: token) == .call(AdminRequest("GET", "/v1/status")))
    }

    @Test func `a refusal of access names the scheme`() throws {
        let token = try AdminToken(Array(Self.word.utf8))
        let head = "GET /v1/status HTTP/1.1\r\nHost: x\r\n"
        guard case .answer(let missing) = step(head + "\r\n", token: token),
            case .answer(let wrong) = step(head + "Authorization: Bearer x\r\n\r\n", token: token)
        else {
            Issue.record("taken")
            return
        }
        #expect(missing.challenge == "Bearer")
        #expect(wrong.challenge == "Bearer error=\"invalid_token\"")
    }

    // MARK: Browsers

    @Test func `the page needs no token, and runs nothing but itself`() throws {
        let token = try AdminToken(Array(Self.word.utf8))
        let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        guard case .answer(let page) = step(get, token: token, hasPage: true),
            case .answer(let other) = step(get, token: token, hasPage: true)
        else {
            Issue.record("asked for")
            return
        }
        #expect(page.response.status == 200)
        let text = text(page)
        #expect(text.contains("Content-Type: text/html; charset=utf-8\r\n"))
        let policy = try #require(
            page.fields.first { $0.name == "Content-Security-Policy" }?.value
        )
        let nonce = try #require(policy.split(separator: "'").first { $0.hasPrefix("nonce-") })
        #expect(nonce.utf8.count > "nonce-".utf8.count + 16)
        #expect(policy.hasPrefix("default-src 'none'; "))
        #expect(text.contains("<script nonce=\"\(nonce.dropFirst("nonce-".count))\">"))
        #expect(page.fields != other.fields, "the number is another each time")
        for line in ["GET /?a HTTP/1.1", "POST / HTTP/1.1", "GET /index.html HTTP/1.1"] {
            guard
                case .answer(let refused) = step(
                    line + "\r\nHost: x\r\n\r\n",
                    token: token,
                    hasPage: true
                )
            else {
                Issue.record("taken: \(line)")
                continue
            }
            #expect(refused.response.status == 401, "\(line)")
        }
        #expect(refusal(get, token: token)?.status == 401)
        #expect(step(get) == .call(AdminRequest("GET", "/")))
    }

    @Test(arguments: [
        ("localhost:9000", "Sec-Fetch-Site: same-origin"),
        ("127.0.0.1:9000", "Sec-Fetch-Site: none"),
        ("[::1]:9000", "Sec-Fetch-Site: same-origin\r\nOrigin: http://[::1]:9000"),
        ("evil.example", "User-Agent: curl"),
    ])
    func `a browser's own page may ask`(host: String, fields: String) {
        let request = "GET /v1/status HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n\r\n"
        #expect(step(request) == .call(AdminRequest("GET", "/v1/status")))
    }

    @Test(arguments: [
        ("localhost:9000", "Sec-Fetch-Site: cross-site"),
        ("localhost:9000", "Sec-Fetch-Site: same-site"),
        ("localhost:9000", "Origin: http://evil.example"),
        ("localhost:9000", "Origin: null"),
        ("localhost:9000", "Origin: https://localhost:9000"),
        ("evil.example", "Sec-Fetch-Site: same-origin"),
        ("localhost.evil.example", "Sec-Fetch-Site: none"),
        ("evil.example", "Origin: http://evil.example"),
        ("[::1", "Origin: http://localhost"),
    ])
    func `another site's page may not`(host: String, fields: String) {
        let request = "POST /v1/stop HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n\r\n"
        let status = refusal(request)?.status
        // A Host that is none is refused before anything else.
        #expect(status == 403 || (host == "[::1" && status == 400))
    }

    // MARK: Answers

    private func text(_ answer: AdminAnswer) -> String {
        String(decoding: answer.bytes(now: 784_111_777), as: UTF8.self)
    }

    @Test func `answers are written`() {
        #expect(
            text(AdminAnswer(response: AdminResponse(200, ["a": "ü"])))
                == "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                + "Content-Type: application/json\r\nContent-Length: 11\r\n"
                + "Cache-Control: no-store\r\nConnection: close\r\n\r\n{\"a\":\"ü\"}\n"
        )
        let metrics = text(AdminAnswer(response: AdminResponse(200, "a 1\n")))
        #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(metrics.hasSuffix("\r\n\r\na 1\n"))
        var refused = AdminAnswer.refusal(405, "no")
        refused.response.allow = ["GET", "POST"]
        #expect(text(refused).contains("405 Method Not Allowed\r\n"))
        #expect(text(refused).contains("Allow: GET, POST\r\n"))
        refused.challenge = "Bearer"
        #expect(text(refused).contains("WWW-Authenticate: Bearer\r\n"))
        refused.hidesBody = true
        #expect(text(refused).contains("Content-Length: 20\r\n"))
        #expect(text(refused).hasSuffix("\r\n\r\n"))
    }

    @Test func `a refusal of HEAD has no body`() {
        guard case .answer(let answer) = step("HEAD /a?b HTTP/1.1\r\nHost: x\r\n\r\n") else {
            Issue.record("taken")
            return
        }
        #expect(answer.hidesBody)
    }
}
