import HTTP
import Testing

/// Status lines, and framing and connection of responses.
struct ResponseHeadTests {
    @Test
    func `a plain response is taken apart`() {
        let parsed = response("HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 3\r\n\r\nabc")
        #expect(parsed.outcome == .complete)
        let head = parsed.head
        #expect(head.status == 404)
        #expect(head.minorVersion == 1)
        #expect(parsed.slice(head.reasonStart, head.reasonLength) == "Not Found")
        #expect(head.fieldsStart == 24)
        #expect(parsed.slice(head.fieldsEnd, 5) == "\r\nabc")
        #expect(head.byteCount == head.fieldsEnd + 2)
        #expect(head.framing == .length(3))
        #expect(head.flags == [.keepAlive, .hasContentLength])
        #expect(parsed.fields.map { $0.id } == [.server, .contentLength])
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.1 200 ", 200, ""), ("HTTP/1.1 200", 200, ""),
        ("HTTP/1.1 100 a b\tc", 100, "a b\tc"), ("HTTP/1.1 999 \u{E9}", 999, "\u{E9}"),
        ("HTTP/1.0 200 OK ", 200, "OK "),
    ])
    func `status lines`(line: String, status: Int, reason: String) {
        let parsed = response(line + "\r\n\r\n")
        #expect(parsed.outcome == .complete)
        #expect(Int(parsed.head.status) == status)
        #expect(parsed.slice(parsed.head.reasonStart, parsed.head.reasonLength) == reason)
    }

    @Test(arguments: [
        ("HTTP/1.1 2000 OK\r\n", HeadError.badStatusLine), ("HTTP/1.1 20 OK\r\n", .badStatusLine),
        ("HTTP/1.1 099 OK\r\n", .badStatusLine), ("HTTP/1.1  200\r\n", .badStatusLine),
        ("HTTP/1.1 200\tOK\r\n", .badStatusLine), ("HTTP/1.1 200OK\r\n", .badStatusLine),
        ("HTTP/1.1 200 \u{0}\r\n", .badStatusLine), ("HTTP/1.1 200\u{1}\r\n", .badStatusLine),
        ("ICY 200 OK\r\n", .badStatusLine), ("\r\nHTTP/1.1 200 OK\r\n", .badStatusLine),
        ("HTTP/1 200 OK\r\n", .badStatusLine), ("HTTP/2.0 200 OK\r\n", .unsupportedVersion),
        ("HTTP/1.1 200 OK\n", .bareLineFeed), ("HTTP/1.1 200\n", .bareLineFeed),
        ("HTTP/1.1 200 O\rK\r\n", .bareCarriageReturn), ("HTTP/1.1 200\rO", .bareCarriageReturn),
    ])
    func `a bad status line is refused`(raw: String, error: HeadError) {
        #expect(response(raw + "\r\n").outcome == .invalid(error))
    }

    @Test(arguments: [
        (200, HTTP.Method.get, "Content-Length: 5\r\n", BodyFraming.length(5)),
        (200, .get, "Content-Length: 0\r\n", .none),
        (200, .get, "Transfer-Encoding: Chunked\r\n", .chunked), (200, .get, "", .untilClose),
        (500, .post, "", .untilClose), (200, .head, "", .none),
        (200, .head, "Content-Length: 5\r\n", .none),
        (200, .head, "Transfer-Encoding: chunked\r\n", .none),
        (304, .get, "Content-Length: 5\r\n", .none), (304, .get, "", .none),
        (304, .get, "Transfer-Encoding: chunked\r\n", .none), (204, .get, "", .none),
        (204, .get, "Content-Length: 5\r\n", .none), (100, .get, "", .none),
        (103, .get, "Content-Length: 5\r\n", .none), (101, .get, "", .none),
        (200, .connect, "Content-Length: 5\r\n", .none), (200, .connect, "", .none),
        (403, .connect, "Content-Length: 5\r\n", .length(5)), (205, .get, "", .untilClose),
    ])
    func `status and request method say how the body ends`(
        status: Int,
        method: HTTP.Method,
        fields: String,
        framing: BodyFraming
    ) {
        let parsed = answer(fields, status: status, to: method)
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.framing == framing)
        #expect(parsed.head.flags.contains(.keepAlive) == (framing != .untilClose))
    }

    @Test(arguments: [
        (200, "Content-Length: x\r\n", HeadError.badContentLength),
        (304, "Content-Length: 1, 1\r\n", .badContentLength),
        (200, "Content-Length: 1\r\nContent-Length: 1\r\n", .repeatedContentLength),
        (
            200, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            .contentLengthWithTransferEncoding
        ),
        (204, "Transfer-Encoding: chunked\r\n", .badTransferEncoding),
        (100, "Transfer-Encoding: chunked\r\n", .badTransferEncoding),
        (200, "Transfer-Encoding: gzip\r\n", .badTransferEncoding),
        (200, "Transfer-Encoding: a, chunked\r\n", .unsupportedTransferEncoding),
        (200, "Transfer-Encoding: chunked\r\nTransfer-Encoding: a\r\n", .badTransferEncoding),
        (200, "Connection: a b\r\n", .badConnection),
        (200, "Connection: transfer-encoding\r\n", .badConnection),
        (101, "Connection: upgrade\r\nUpgrade: (\r\n", .badUpgrade),
    ])
    func `bad fields are refused`(status: Int, fields: String, error: HeadError) {
        #expect(answer(fields, status: status).outcome == .invalid(error))
    }

    @Test
    func `a coding in HTTP/1.0 is refused`() {
        let parsed = answer("Transfer-Encoding: chunked\r\n", version: "1.0")
        #expect(parsed.outcome == .invalid(.transferEncodingInHTTP10))
    }

    @Test(arguments: [
        ("1.1", "", true), ("1.1", "Connection: close\r\n", false), ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ])
    func `the version and Connection say whether the connection is kept`(
        version: String,
        fields: String,
        isKept: Bool
    ) {
        let parsed = answer(fields + "Content-Length: 1\r\n", version: version)
        #expect(parsed.head.flags.contains(.keepAlive) == isKept)
    }

    @Test
    func `an upgrade counts in a 101 alone`() {
        let fields = "Connection: Upgrade, X\r\nUpgrade: websocket\r\nX: 1\r\n"
        let switched = answer(fields, status: 101)
        #expect(switched.head.flags.contains(.upgrade))
        #expect(switched.droppedNames == ["Connection", "Upgrade", "X"])
        #expect(!answer(fields).head.flags.contains(.upgrade))
        #expect(!answer("Upgrade: a\r\n", status: 101).head.flags.contains(.upgrade))
        #expect(answer("Connection: upgrade\r\nUpgrade: (\r\n").outcome == .complete)
    }

    @Test
    func `Host and Expect mean nothing in a response`() {
        let parsed = answer("Host: ?\r\nHost: ?\r\nExpect: x\r\n")
        #expect(parsed.outcome == .complete)
    }
}
