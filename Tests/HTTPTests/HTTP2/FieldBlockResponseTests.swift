import HTTP
import Testing

/// Responses and trailer sections as RFC 9113 §8.1 to §8.3 has them.
struct FieldBlockResponseTests {
    @Test(arguments: [
        (":status: 200", "HTTP/1.1 200 OK\r\n\r\n"),
        (":status: 299\na: ", "HTTP/1.1 299 \r\na: \r\n\r\n"),
        (":status: 103\nlink: </a>", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        (
            ":status: 404\ncontent-length: 9\nset-cookie: a=b\nset-cookie: c=d",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nset-cookie: a=b\r\n"
                + "set-cookie: c=d\r\n\r\n"
        ),
    ])
    func `a response becomes the head that HTTP1 would have had`(lines: String, head: String) {
        let read = readResponse(fields(lines))
        #expect(read.outcome == .complete)
        #expect(read.head == head)
        let parsed = response(head)
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.status == read.message.status)
        #expect(Int(parsed.head.byteCount) == read.message.byteCount)
        #expect(read.message.contentLength == (lines.contains("content-length") ? 9 : -1))
    }

    private static let badResponses: [(String, FieldBlockError)] = [
        ("", FieldBlockError.missingStatus), ("a: b", .missingStatus),
        ("a: b\n:status: 200", .missingStatus),
        (":status: 200\na: b\n:status: 200", .latePseudoField),
        (":status: 200\n:status: 200", .repeatedPseudoField), (":status: 101", .badStatus),
        (":status: 99", .badStatus), (":status: 099", .badStatus), (":status: 2000", .badStatus),
        (":status: 20x", .badStatus), (":status: ", .badStatus), (":status: +20", .badStatus),
        (":status: 200\n:path: /", .unknownPseudoField), (":method: GET", .unknownPseudoField),
        (":status: 200\n:a: /", .unknownPseudoField), (":Status: 200", .badName),
        (":status: 200\nServer: a", .badName), (":status: 200\na: b ", .badValue),
        (":status: 200\na: b\u{0}", .badValue), (":status: 200\nte: trailers", .connectionField),
        (":status: 200\nconnection: close", .connectionField),
        (":status: 200\nkeep-alive: timeout=5", .connectionField),
        (":status: 200\nproxy-connection: close", .connectionField),
        (":status: 200\ntransfer-encoding: chunked", .connectionField),
        (":status: 200\nupgrade: h2c", .connectionField),
        (":status: 200\ncontent-length: x", .badContentLength),
        (":status: 200\ncontent-length: 1\ncontent-length: 1", .repeatedContentLength),
    ]

    @Test(arguments: badResponses)
    func `a malformed response`(lines: String, error: FieldBlockError) {
        #expect(readResponse(fields(lines)).outcome == .malformed(error))
    }

    @Test(arguments: [1, 2, 3])
    func `a response may have so many lines`(lines: Int) {
        var limits = HeadLimits()
        limits.fieldCountMax = 2
        let list = fields(":status: 200\n" + (0..<lines).map { "x-\($0): y\n" }.joined())
        let outcome = readResponse(list, limits: limits).outcome
        #expect(outcome == (lines > 2 ? .tooLarge : .complete))
    }

    /// `:status: 200` counts 42.
    @Test(arguments: [-1, 0, 1])
    func `a response may have so many bytes`(more: Int) {
        var limits = HeadLimits()
        limits.headBytesMax = 300
        let value = String(repeating: "v", count: 300 - 42 - 33 + more)
        let list = [HeaderField(":status", "200"), HeaderField("x", value)]
        let outcome = readResponse(list, limits: limits).outcome
        #expect(outcome == (more > 0 ? .tooLarge : .complete))
    }

    // MARK: Trailers

    @Test
    func `trailers become lines`() {
        let read = readTrailers(fields("grpc-status: 0\ngrpc-message: fine"))
        #expect(read.outcome == .complete)
        #expect(read.head == "grpc-status: 0\r\ngrpc-message: fine\r\n\r\n")
        #expect(trailers(read.head).outcome == .complete)
        #expect(readTrailers([]).head == "\r\n")
    }

    @Test(arguments: [
        (":status: 200", FieldBlockError.pseudoFieldInTrailers),
        ("a: b\n:path: /", .pseudoFieldInTrailers), ("A: b", .badName), ("a: b ", .badValue),
        ("connection: close", .connectionField), ("te: trailers", .connectionField),
        ("transfer-encoding: chunked", .connectionField),
    ])
    func `malformed trailers`(lines: String, error: FieldBlockError) {
        #expect(readTrailers(fields(lines)).outcome == .malformed(error))
    }

    @Test(arguments: [63, 64, 65])
    func `a trailer section may have so many lines`(lines: Int) {
        let outcome = readTrailers(fields((0..<lines).map { "x-\($0): y\n" }.joined())).outcome
        #expect(outcome == (lines > ChunkLimits.trailerFieldsMax ? .tooLarge : .complete))
    }
}
