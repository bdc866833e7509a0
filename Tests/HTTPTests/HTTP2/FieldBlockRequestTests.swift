import HTTP
import Testing

/// Requests as RFC 9113 §8.1 to §8.5 has them.
struct FieldBlockRequestTests {
    private static let start = ":method: GET\n:scheme: https\n:path: /a?b\n:authority: a.example\n"
    private static let connect = ":method: CONNECT\n:authority: a.example:443\n"
    private static let webSocket = """
        :method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /chat
        :authority: a.example\nsec-websocket-version: 13
        """

    /// A good request's line, with the fields given after it.
    private func outcome(_ lines: String, allowsProtocol: Bool = false) -> FieldBlock.Outcome {
        readRequest(fields(lines), allowsProtocol: allowsProtocol).outcome
    }

    // MARK: What is written

    private static let heads: [(String, String)] = [
        (start, "GET /a?b HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        // In any order (§8.3).
        (
            ":path: /\n:authority: [::1]:80\n:scheme: http\n:method: POST\ncontent-length: 3",
            "POST / HTTP/1.1\r\nHost: [::1]:80\r\ncontent-length: 3\r\n\r\n"
        ),
        (
            start + "x-a: 1\nx-b: \nx-a: 2\nte: trailers",
            "GET /a?b HTTP/1.1\r\nHost: a.example\r\nx-a: 1\r\nx-b: \r\nx-a: 2\r\n"
                + "te: trailers\r\n\r\n"
        ),
        // Host alone, and beside the authority (§8.3.1).
        (
            ":method: GET\n:scheme: http\n:path: /\nx: y\nhost: b.example:8080",
            "GET / HTTP/1.1\r\nx: y\r\nhost: b.example:8080\r\n\r\n"
        ),
        (start + "host: A.Example\nx: y", "GET /a?b HTTP/1.1\r\nHost: a.example\r\nx: y\r\n\r\n"),
        // Crumbs wherever they stand (§8.2.3).
        (
            start + "cookie: a=b\nx: y\ncookie: c=d\ncookie: e=f",
            "GET /a?b HTTP/1.1\r\nHost: a.example\r\nx: y\r\ncookie: a=b; c=d; e=f\r\n\r\n"
        ),
        (
            ":method: OPTIONS\n:scheme: https\n:path: *\n:authority: a.example",
            "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n"
        ),
        (connect, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"),
    ]

    @Test(arguments: heads)
    func `a request becomes the head that HTTP1 would have had`(lines: String, head: String) {
        let read = readRequest(fields(lines))
        #expect(read.outcome == .complete)
        #expect(read.head == head)
        let parsed = request(head)
        #expect(parsed.outcome == .complete)
        #expect(Int(parsed.head.byteCount) == read.message.byteCount)
    }

    @Test
    func `an extended CONNECT becomes an upgrade`() {
        let read = readRequest(fields(Self.webSocket), allowsProtocol: true)
        #expect(read.outcome == .complete)
        #expect(read.message.upgrade == .websocket)
        #expect(!read.message.isConnect)
        let expected = """
            GET /chat HTTP/1.1\r\nHost: a.example\r\nconnection: upgrade\r\nupgrade: websocket\r
            sec-websocket-version: 13\r\n\r\n
            """
        #expect(read.head == expected)
        let parsed = request(read.head)
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.flags.contains(.upgrade))
        let other = Self.webSocket.replacing("websocket\n", with: "connect-udp\n")
        #expect(readRequest(fields(other), allowsProtocol: true).message.upgrade == .other)
    }

    @Test
    func `what a request tells besides its head`() {
        let plain = readRequest(fields(Self.start)).message
        #expect(plain.contentLength == -1)
        #expect(plain.scheme == .https)
        #expect(plain.upgrade == .none)
        #expect(plain.priority == H2Priority())
        #expect(!plain.hasPriority)
        let more = Self.start + "content-length: 0\npriority: u=1, i"
        let read = readRequest(fields(more)).message
        #expect(read.contentLength == 0)
        #expect(read.priority.urgency == 1)
        #expect(read.priority.isIncremental)
        #expect(read.hasPriority)
        let tunnel = readRequest(fields(Self.connect)).message
        #expect(tunnel.isConnect)
        #expect(tunnel.scheme == .none)
        let other = Self.start.replacing("https", with: "coap+tcp")
        #expect(readRequest(fields(other)).message.scheme == .other)
    }

    /// RFC 7541 §6.2.3.
    @Test
    func `fields that came as never indexed are known after parsing`() {
        var list = fields(Self.start + "x-a: 1\nx-token: 2\ncookie: a=b\nx-b: 3")
        list[5].isNeverIndexed = true
        let read = readRequest(list)
        var parsed = request(read.head)
        #expect(parsed.outcome == .complete)
        parsed.spans.withUnsafeMutableBufferPointer { spans in
            guard let first = spans.baseAddress else { return }
            read.message.neverIndexed.mark(first, count: spans.count)
        }
        let marked = zip(parsed.spans, parsed.fields).filter {
            $0.0.flags & FieldSpan.neverIndexed != 0
        }
        #expect(marked.map { $0.1.name } == ["x-token", "cookie"])
    }

    // MARK: What is refused

    private static let badFields: [(String, FieldBlockError)] = [
        ("X-Upper: a", FieldBlockError.badName), ("x\u{0}: a", .badName), ("x y: a", .badName),
        ("x\u{7F}: a", .badName), ("x\u{E9}: a", .badName), ("x\t: a", .badName),
        ("Content-Length: 1", .badName), ("x(: a", .badName), ("x/y: a", .badName),
        ("x: a\u{0}", .badValue), ("x: a\rb", .badValue), ("x:  a", .badValue),
        ("x: a ", .badValue), ("x: \ta", .badValue), ("x: a\t", .badValue),
        ("x: a\u{1}b", .badValue),
        ("x: a\u{7F}b", .badValue), ("connection: close", .connectionField),
        ("connection: x", .connectionField), ("keep-alive: timeout=5", .connectionField),
        ("proxy-connection: keep-alive", .connectionField),
        ("transfer-encoding: chunked", .connectionField),
        ("transfer-encoding: identity", .connectionField), ("upgrade: websocket", .connectionField),
        ("te: gzip", .badTE), ("te: trailers, gzip", .badTE), ("te: ", .badTE),
        ("content-length: ", .badContentLength), ("content-length: -1", .badContentLength),
        ("content-length: +1", .badContentLength), ("content-length: 1x", .badContentLength),
        ("content-length: 5, 5", .badContentLength),
        ("content-length: 9223372036854775808", .badContentLength),
        ("content-length: 5\ncontent-length: 5", .repeatedContentLength),
        ("content-length: 5\ncontent-length: 6", .repeatedContentLength),
        ("host: a.example\nhost: a.example", .repeatedHost), ("host: b.example", .hostDiffers),
        ("host: a.example:443", .hostDiffers), ("host: a b", .badAuthority),
        ("host: ", .badAuthority), ("host: u@a.example", .badAuthority),
        ("x: y\n:path: /", .latePseudoField), ("x: y\n:new: /", .latePseudoField),
    ]

    /// Field names and values (§8.2.1), and fields of a connection (§8.2.2).
    @Test(arguments: badFields)
    func `a malformed field`(lines: String, error: FieldBlockError) {
        #expect(outcome(Self.start + lines) == .malformed(error))
    }

    @Test
    func `a line feed in a value, and a name of no bytes`() {
        for (field, error) in [
            (HeaderField("x", "a\nb"), FieldBlockError.badValue), (HeaderField("", "a"), .badName),
            (HeaderField("x\n", "a"), .badName), (HeaderField("x", "\n"), .badValue),
        ] {
            #expect(readRequest(fields(Self.start) + [field]).outcome == .malformed(error))
        }
    }

    private static let badStarts: [(String, FieldBlockError)] = [
        ("", FieldBlockError.missingMethod),
        (":scheme: https\n:path: /\n:authority: a", .missingMethod),
        (":method: GET\n:path: /\n:authority: a", .missingScheme),
        (":method: GET\n:scheme: https\n:authority: a", .missingPath),
        (":method: GET\n:scheme: https\n:path: /", .missingAuthority),
        (":method: GET\n:scheme: https\n:path: /\nx: y", .missingAuthority),
        ("x: y\n:method: GET\n:scheme: https\n:path: /\n:authority: a", .missingMethod),
        (start + ":method: GET", .repeatedPseudoField), (start + ":path: /", .repeatedPseudoField),
        (start + ":scheme: https", .repeatedPseudoField),
        (start + ":authority: a.example", .repeatedPseudoField),
        (start + ":status: 200", .unknownPseudoField), (start + ":x: y", .unknownPseudoField),
        (start + ":: y", .unknownPseudoField), (":Method: GET\n:scheme: https\n:path: /", .badName),
        (":method: \n:scheme: https\n:path: /", .badMethod),
        (":method: G T\n:scheme: https\n:path: /", .badMethod),
        (":method: GET\n:scheme: \n:path: /", .badScheme),
        (":method: GET\n:scheme: 1a\n:path: /", .badScheme),
        (":method: GET\n:scheme: ht_tp\n:path: /", .badScheme),
        (":method: GET\n:scheme: https://\n:path: /", .badScheme),
        (":method: GET\n:scheme: https\n:path: ", .badPath),
        (":method: GET\n:scheme: https\n:path: *", .badPath),
        (":method: options\n:scheme: https\n:path: *", .badPath),
        (":method: OPTIONS\n:scheme: https\n:path: **", .badPath),
        (":method: GET\n:scheme: https\n:path: a", .badPath),
        (":method: GET\n:scheme: https\n:path: /a b", .badPath),
        (":method: GET\n:scheme: https\n:path: /a#b", .badPath),
        (":method: GET\n:scheme: https\n:path: http://a/", .badPath),
        (":method: GET\n:scheme: https\n:path: /a\u{1}", .badValue),
        (":method: GET\n:scheme: https\n:path: /a\r", .badValue),
        (":method: GET\n:scheme: https\n:path: /\n:authority: ", .badAuthority),
        (":method: GET\n:scheme: https\n:path: /\n:authority: u@a", .badAuthority),
        (":method: GET\n:scheme: https\n:path: /\n:authority: a/b", .badAuthority),
        (":method: GET\n:scheme: https\n:path: /\n:authority: a:65536", .badAuthority),
    ]

    /// Pseudo-fields (§8.3 and §8.3.1).
    @Test(arguments: badStarts)
    func `a malformed start`(lines: String, error: FieldBlockError) {
        #expect(outcome(lines) == .malformed(error))
    }

    private static let badConnects: [(String, FieldBlockError, Bool)] = [
        (connect + ":scheme: https", FieldBlockError.connectTarget, true),
        (connect + ":path: /", .connectTarget, true),
        (":method: CONNECT", .missingAuthority, true),
        (":method: CONNECT\n:authority: a.example", .badAuthority, true),
        (":method: CONNECT\n:authority: a.example:", .badAuthority, true),
        (connect + "host: b.example:443", .hostDiffers, true),
        (webSocket, .unexpectedProtocol, false),
        (start + ":protocol: a", .unexpectedProtocol, true),
        (connect + ":protocol: websocket", .missingScheme, true),
        (connect + ":protocol: websocket\n:scheme: https", .missingPath, true),
        (webSocket.replacing("websocket\n", with: "\n"), .badProtocol, true),
        (webSocket.replacing("websocket\n", with: "a b\n"), .badProtocol, true),
        (webSocket + "\nupgrade: websocket", .connectionField, true),
    ]

    /// CONNECT (§8.5), and with a protocol (RFC 8441 §4).
    @Test(arguments: badConnects)
    func `a malformed CONNECT`(lines: String, error: FieldBlockError, allowsProtocol: Bool) {
        #expect(outcome(lines, allowsProtocol: allowsProtocol) == .malformed(error))
    }

    @Test
    func `an error of the block is one of the connection`() {
        #expect(readRequest(block: hex("82 80")).outcome == .invalid(.badIndex))
        #expect(readRequest(block: hex("80")).outcome == .invalid(.badIndex))
    }

    @Test
    func `every error has a reason`() {
        for error in FieldBlockError.allCases { #expect(!error.reason.description.isEmpty) }
    }

    // MARK: Bounds

    @Test(arguments: [-1, 0, 1])
    func `the list may have as many bytes as a head`(more: Int) {
        var limits = HeadLimits()
        limits.headBytesMax = 1_000
        let list = fields(Self.start)
        let used = list.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 }
        let value = String(repeating: "v", count: 1_000 - used - 33 + more)
        let read = readRequest(list + [HeaderField("x", value)], limits: limits)
        #expect(read.outcome == (more > 0 ? .tooLarge : .complete))
    }

    @Test(arguments: [3, 4, 5])
    func `a head may have so many lines, Host and one Cookie among them`(lines: Int) {
        var limits = HeadLimits()
        limits.fieldCountMax = 4
        let crumbs = String(repeating: "cookie: a=b\n", count: 6)
        let others = (0..<lines - 2).map { "x-\($0): y\n" }.joined()
        let read = readRequest(fields(Self.start + crumbs + others), limits: limits)
        #expect(read.outcome == (lines > 4 ? .tooLarge : .complete))
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `whatever is accepted is a head for the parser`(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        let samples = [
            Self.start + "x: y\nhost: a.example\ncookie: a\ncookie: b\nte: trailers",
            Self.webSocket,
            Self.connect, Self.start + "content-length: 3\npriority: u=9, i=?0;a=\"b\"",
        ]
        var accepted = 0
        for round in 0..<6_000 {
            var list = fields(samples[round % samples.count])
            for _ in 0..<Int.random(in: 1...2, using: &random) where !list.isEmpty {
                let place = Int.random(in: 0..<list.count, using: &random)
                let character = text([UInt8.random(in: 0...255, using: &random)])
                switch Int.random(in: 0..<5, using: &random) {
                case 0: list.remove(at: place)
                case 1: list[place].value += character
                case 2: list[place].name += character
                case 3: list.swapAt(place, 0)
                default: list[place].value = character
                }
            }
            let read = readRequest(list, allowsProtocol: true)
            guard read.outcome == .complete else { continue }
            accepted += 1
            let parsed = request(read.head)
            // An expectation or an upgrade that is unknown is the parser's to refuse.
            #expect(parsed.outcome == .complete, "\(list)")
            #expect(Int(parsed.head.byteCount) == read.message.byteCount)
        }
        #expect(accepted > 500)
    }
}
