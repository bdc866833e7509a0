import HTTP
import Testing

struct WholeMessageTests {
    private static func limits(head: Int = 512, body: Int = 16) -> WholeLimits {
        var limits = WholeLimits(bodyBytesMax: body)
        limits.head.headBytesMax = head
        return limits
    }

    /// What a request is when it comes in pieces of a size, each in turn.
    private func read(_ text: String, pieces: Int = .max) -> (WholeRequest, WholeOutcome) {
        var request = WholeRequest(limits: Self.limits())
        var outcome = WholeOutcome.incompleteHead
        var rest = latin1(text)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(pieces)
            rest = rest.dropFirst(piece.count)
            outcome = request.receive(Array(piece))
        }
        return (request, outcome)
    }

    private static let post =
        "POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        + "Content-Length: 5\r\n\r\nhello"
    private static let chunked =
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    @Test(arguments: [1, 2, 3, 7, 64, 1_000])
    func `a request is the same in pieces of any size`(pieces: Int) {
        let (request, outcome) = read(Self.post, pieces: pieces)
        #expect(outcome == .complete)
        #expect(request.method == "POST")
        #expect(request.path == "/a/b")
        #expect(!request.hasQuery)
        #expect(request.values(of: .contentType) == ["text/plain"])
        #expect(request.hasBody)
        #expect(text(request.body) == "hello")
        let (other, end) = read(
            Self.chunked + "2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
            pieces: pieces
        )
        #expect(end == .complete)
        #expect(text(other.body) == "hello")
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "/", false),
        ("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "/a", true),
        ("GET /a? HTTP/1.1\r\nHost: x\r\n\r\n", "/a", true),
        ("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", "/", false),
        ("GET http://x/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "/a", true),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "*", false),
    ])
    func `the path has no query`(request: String, path: String, hasQuery: Bool) {
        let (read, outcome) = read(request)
        #expect(outcome == .complete)
        #expect(read.path == path)
        #expect(read.hasQuery == hasQuery)
        #expect(!read.hasBody)
    }

    @Test func `what follows a request is left out`() {
        let (request, outcome) = read(Self.post + "GET /other HTTP/1.1\r\n\r\n")
        #expect(outcome == .complete)
        #expect(text(request.body) == "hello")
        #expect(request.path == "/a/b")
    }

    @Test func `a head that is there is told before its body`() {
        let (request, outcome) = read(
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        #expect(outcome == .incompleteBody)
        #expect(request.expectsContinue)
        #expect(read(Self.post.dropLast().description).1 == .incompleteBody)
        #expect(read("GET / HTTP/1.1\r\nHost: x\r\n").1 == .incompleteHead)
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400, "missingHost"),
        ("GET /\n", 400, "bareLineFeed"),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "unsupportedVersion"),
        ("\u{16}\u{3}\u{1}", 400, "badMethod"),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400,
            "repeatedContentLength"
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400, "contentLengthWithTransferEncoding"
        ),
        (chunked + "x\r\n", 400, "badSize"), (chunked + "1\r\nab", 400, "badLineEnd"),
        (chunked + "0\r\nX: y\r\n\r\n", 400, "trailers are not taken"),
    ])
    func `what the parsers refuse is refused`(request: String, status: UInt16, reason: String) {
        let (_, outcome) = read(request)
        guard case .invalid(let error) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(error.status == status)
        #expect(error.reason == reason)
        #expect(read(request, pieces: 1).1 == outcome)
        #expect(read(request + "more").1 == outcome)
    }

    @Test func `a head has a bound`() {
        let begin = "GET / HTTP/1.1\r\nHost: x\r\nA: "
        let fill = String(repeating: "a", count: 512 - begin.utf8.count - 4)
        #expect(read(begin + fill + "\r\n\r\n").1 == .complete)
        guard case .invalid(let error) = read(begin + fill + "a\r\n\r\n").1 else {
            Issue.record("taken")
            return
        }
        #expect(error.status == 431)
    }

    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n",
        chunked + "11\r\n", chunked + "8\r\n12345678\r\n9\r\n", chunked + "ffffffffffff\r\n",
    ])
    func `a body over its bound is refused before it comes`(request: String) {
        let (read, outcome) = read(request)
        guard case .invalid(let error) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(error.status == 413)
        #expect(error.reason == "a body of more than 16 bytes")
        #expect(read.body.isEmpty)
    }

    @Test func `a body may be as long as its bound`() {
        let body = "0123456789abcdef"
        let begin = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n"
        #expect(text(read(begin + body).0.body) == body)
        let chunks = Self.chunked + "8\r\n01234567\r\n8\r\n89abcdef\r\n0\r\n\r\n"
        #expect(text(read(chunks).0.body) == body)
    }

    // MARK: Responses

    private func respond(
        _ text: String,
        to method: Method = .get,
        pieces: Int = .max,
        ends: Bool = false
    ) -> (WholeResponse, WholeOutcome) {
        var response = WholeResponse(to: method, limits: Self.limits())
        var outcome = WholeOutcome.incompleteHead
        var rest = latin1(text)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(pieces)
            rest = rest.dropFirst(piece.count)
            outcome = response.receive(Array(piece))
        }
        return (response, ends ? response.end() : outcome)
    }

    @Test(arguments: [1, 5, 1_000])
    func `a response is the same in pieces of any size`(pieces: Int) {
        let (response, outcome) = respond(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                + "HTTP/1.1 409 Conflict\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi",
            pieces: pieces
        )
        #expect(outcome == .complete)
        #expect(response.status == 409)
        #expect(response.values(of: .contentType) == ["a/b"])
        #expect(text(response.body) == "hi")
    }

    @Test func `a response may end with its connection`() {
        let begin = "HTTP/1.1 200 OK\r\n\r\nhi"
        #expect(respond(begin).1 == .incompleteBody)
        let (response, outcome) = respond(begin, ends: true)
        #expect(outcome == .complete)
        #expect(text(response.body) == "hi")
        let cut = respond("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", ends: true)
        #expect(cut.1 == .incompleteBody)
        let long = respond("HTTP/1.1 200 OK\r\n\r\n0123456789abcdefg")
        #expect(long.1 != .incompleteBody)
    }

    @Test func `interim responses have a bound`() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n"
        let final = "HTTP/1.1 204 No Content\r\n\r\n"
        let most = WholeResponse.interimMax
        #expect(respond(String(repeating: interim, count: most) + final).1 == .complete)
        let more = respond(String(repeating: interim, count: most + 1) + final, pieces: 10).1
        guard case .invalid(let error) = more else {
            Issue.record("\(more)")
            return
        }
        #expect(error.reason == "too many interim responses")
    }
}
