import HTTP
import Testing

/// Framing, connection and expectation of requests.
struct RequestRulesTests {
    @Test(arguments: [
        ("", BodyFraming.none), ("Content-Length: 0\r\n", .none),
        ("Content-Length: 1\r\n", .length(1)), ("content-length:\t0042 \r\n", .length(42)),
        ("Content-Length: 9223372036854775807\r\n", .length(.max)),
        ("Transfer-Encoding: chunked\r\n", .chunked), ("transfer-encoding: CHUNKED\r\n", .chunked),
    ])
    func `the length of a body is read`(fields: String, framing: BodyFraming) {
        let parsed = get(fields, method: "POST")
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.framing == framing)
        let hasLength = fields.lowercased().hasPrefix("content-length")
        #expect(parsed.head.flags.contains(.hasContentLength) == hasLength)
    }

    @Test(arguments: [
        ("Content-Length: 5, 5\r\n", HeadError.badContentLength),
        ("Content-Length:\r\n", .badContentLength), ("Content-Length: +1\r\n", .badContentLength),
        ("Content-Length: 9223372036854775808\r\n", .badContentLength),
        ("Content-Length: 9999999999999999999\r\n", .badContentLength),
        ("Content-Length: 10000000000000000000\r\n", .badContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", .repeatedContentLength),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .contentLengthWithTransferEncoding),
        ("Transfer-Encoding: x\r\nContent-Length: 5\r\n", .contentLengthWithTransferEncoding),
        ("Transfer-Encoding: gzip\r\n", .badTransferEncoding),
        ("Transfer-Encoding:\r\n", .badTransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", .badTransferEncoding),
        ("Transfer-Encoding: gzip, chunked, chunked\r\n", .badTransferEncoding),
        ("Transfer-Encoding: chunked, gzip, chunked\r\n", .badTransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .badTransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", .unsupportedTransferEncoding),
        ("Transfer-Encoding: a ; b=c , d\t,\tChunked\r\n", .unsupportedTransferEncoding),
        ("Connection: a b\r\n", .badConnection), ("Connection: host\r\n", .badConnection),
        ("Connection: close\r\nConnection: (\r\n", .badConnection),
        ("Connection: upgrade\r\nUpgrade: ,\r\n", .badUpgrade),
        ("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b/\r\n", .badUpgrade),
        ("Expect: other\r\n", .badExpect),
        ("Expect: 100-continue\r\nExpect: 100-continue\r\n", .badExpect),
    ])
    func `fields that contradict themselves or each other are refused`(
        fields: String,
        error: HeadError
    ) {
        #expect(get(fields, method: "POST").outcome == .invalid(error))
    }

    @Test
    func `a coding in HTTP/1.0 is refused`() {
        let parsed = get("Transfer-Encoding: chunked\r\n", version: "1.0")
        #expect(parsed.outcome == .invalid(.transferEncodingInHTTP10))
    }

    @Test
    func `TRACE may have a length of 0 and no other`() {
        #expect(get("Content-Length: 0\r\n", method: "TRACE").outcome == .complete)
        let parsed = get("Content-Length: 1\r\n", method: "TRACE")
        #expect(parsed.outcome == .invalid(.bodyNotAllowed))
    }

    @Test(arguments: [
        ("1.1", "", true), ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE, keep-alive\r\n", false),
        ("1.1", "Connection: x\r\nConnection: ,Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true), ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true), ("1.0", "Connection: closed\r\n", false),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ])
    func `the version and Connection say whether the connection is kept`(
        version: String,
        fields: String,
        isKept: Bool
    ) {
        let parsed = get(fields, version: version)
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.flags.contains(.keepAlive) == isKept)
    }

    @Test
    func `fields of the connection are dropped, named or not`() {
        let parsed = get(
            """
            Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\n\
            Connection: close\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\nDate: x\r\n
            """
        )
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.flags.contains(.hasDropped))
        #expect(
            parsed.droppedNames == [
                "Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "Connection",
                "Transfer-Encoding",
            ]
        )
        #expect(!get("Trailer: X\r\nDate: x\r\n").head.flags.contains(.hasDropped))
    }

    @Test
    func `repeated fields of the connection are all dropped`() {
        let parsed = get("TE: a\r\nX: y\r\nTE: b\r\nConnection: te\r\nConnection: x\r\n")
        #expect(parsed.droppedNames == ["TE", "X", "TE", "Connection", "Connection"])
    }

    @Test
    func `fields that Connection names are dropped, known or not, in any case`() {
        let parsed = get(
            """
            X-Secret: 1\r\nAccept: 2\r\nx-secret: 3\r\nX-Secre: 4\r\n\
            Connection: X-SECRET , accept,, close\r\nACCEPT: 5\r\nCookie: 6\r\n
            """
        )
        #expect(parsed.outcome == .complete)
        #expect(
            parsed.droppedNames == ["X-Secret", "Accept", "x-secret", "Connection", "ACCEPT"]
        )
        #expect(!parsed.head.flags.contains(.keepAlive))
    }

    @Test(arguments: [31, 32, 33])
    func `Connection may hold 32 options`(count: Int) {
        let options = Array(repeating: "a", count: count).joined(separator: ",")
        let outcome = get("Connection: \(options)\r\n").outcome
        #expect(outcome == (count > 32 ? .invalid(.badConnection) : .complete))
        let halves = get("Connection: x\r\nConnection: \(options.dropLast(2))\r\n").outcome
        #expect(halves == (count > 32 ? .invalid(.badConnection) : .complete))
    }

    @Test(arguments: [
        ("Connection: upgrade\r\nUpgrade: websocket\r\n", "1.1", true),
        ("Connection: close, Upgrade\r\nUpgrade: a/1, b\r\n", "1.1", true),
        ("Upgrade: websocket\r\n", "1.1", false), ("Connection: upgrade\r\n", "1.1", false),
        ("Connection: upgrade\r\nUpgrade: websocket\r\n", "1.0", false),
        ("Connection: upgrade\r\nUpgrade: (\r\n", "1.0", false),
        ("Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 1\r\n", "1.1", true),
        ("Connection: upgrade\r\nUpgrade: h2cx, xh2c\r\n", "1.1", true),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", "1.1", false),
        ("Connection: upgrade\r\nUpgrade: websocket , H2C\r\n", "1.1", false),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", "1.1", false),
    ])
    func `an upgrade needs both fields and HTTP/1.1, and is not to HTTP/2`(
        fields: String,
        version: String,
        isUpgrade: Bool
    ) {
        let parsed = get(fields, version: version)
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.flags.contains(.upgrade) == isUpgrade)
    }

    @Test(arguments: [
        ("TE: trailers\r\n", true), ("TE: gzip;q=0.5 , Trailers\r\n", true), ("TE:\r\n", false),
        ("TE: gzip\r\nTE: trailers\r\n", true), ("TE: trailersx\r\n", false), ("TE: ,\r\n", false),
    ])
    func `TE says whether trailers are welcome`(fields: String, isWelcome: Bool) {
        let parsed = get(fields)
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.flags.contains(.acceptsTrailers) == isWelcome)
    }

    @Test
    func `an expectation is read in HTTP/1.1 and ignored in HTTP/1.0`() {
        let parsed = get("Expect: 100-Continue\r\n", method: "POST")
        #expect(parsed.head.flags.contains(.expectContinue))
        #expect(parsed.droppedNames.isEmpty)
        let old = get("Expect: 100-continue\r\n", method: "POST", version: "1.0")
        #expect(old.outcome == .complete)
        #expect(!old.head.flags.contains(.expectContinue))
    }
}
