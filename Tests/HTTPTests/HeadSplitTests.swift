import HTTP
import Testing

/// Heads that arrive in two parts, at every place, and the scanner that waits for their end.
struct HeadSplitTests {
    static let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.0\r\n\r\n",
        "POST /a?b HTTP/1.1\r\nHost:a.example:80\r\nContent-Length: 12\r\n"
            + "X:\t\u{E9} \t\r\nY:\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: close, x\r\nX: y\r\n\r\n",
        "PROPFIND http://a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nUser-Agent: b\u{FF}~\r\nAccept: */*\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA-Long-Unknown-Field-Name-Indeed: z\r\n"
            + "Cookie: a=b; c=d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: b/1\r\n\r\n",
    ]

    static let responses = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\n",
        "HTTP/1.0 200\r\n\r\n",
        "HTTP/1.1 503 Not \u{E9}ven\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ]

    static let refused = HostileVector.all.filter { $0.raw.count < 1_000 && $0.expect != "ok" }

    @Test(arguments: requests)
    func `every part of a request is incomplete, and the whole is not changed by more bytes`(
        raw: String
    ) {
        let bytes = latin1(raw)
        let whole = request(bytes)
        #expect(whole.outcome == .complete)
        for count in 0..<bytes.count {
            #expect(request(Array(bytes[..<count])).outcome == .incomplete, "\(count) bytes")
        }
        for rest in ["X", "\r\n\r\n", "GET / HTTP/1.1\r\n", "\u{0}\u{FF}:: :"] {
            let longer = request(bytes + latin1(rest))
            #expect(longer.outcome == .complete)
            #expect(longer.fields == whole.fields)
            #expect(longer.head.byteCount == whole.head.byteCount)
            #expect(longer.head.flags == whole.head.flags)
        }
    }

    @Test(arguments: responses)
    func `every part of a response is incomplete, and the whole is not changed by more bytes`(
        raw: String
    ) {
        let bytes = latin1(raw)
        let whole = response(bytes)
        #expect(whole.outcome == .complete)
        for count in 0..<bytes.count {
            #expect(response(Array(bytes[..<count])).outcome == .incomplete, "\(count) bytes")
        }
        let longer = response(bytes + latin1("HTTP/1.1 \r\n\r\n"))
        #expect(longer.outcome == .complete)
        #expect(longer.fields == whole.fields)
        #expect(longer.head.byteCount == whole.head.byteCount)
    }

    @Test(arguments: refused)
    func `part of a refused message is incomplete or refused for the same reason`(
        vector: HostileVector
    ) {
        let isRequest = vector.direction == "request"
        let whole = isRequest ? request(vector.raw).outcome : response(vector.raw).outcome
        guard case .invalid = whole else { return }
        var wasRefused = false
        for count in 0..<vector.raw.count {
            let part = Array(vector.raw[..<count])
            let outcome = isRequest ? request(part).outcome : response(part).outcome
            #expect(outcome == whole || (outcome == .incomplete && !wasRefused), "\(count) bytes")
            wasRefused = outcome == whole
        }
    }

    @Test(arguments: ["\r\n", "X: y\r\n\r\n", "A:\r\nLong-Field: \u{E9}\tb\r\nC: d \r\n\r\n"])
    func `every part of a trailer section is incomplete`(raw: String) {
        let bytes = latin1(raw)
        for count in 0..<bytes.count {
            #expect(trailers(Array(bytes[..<count])).outcome == .incomplete)
        }
        #expect(trailers(bytes + latin1("GET")).head.consumed == bytes.count)
    }

    @Test(arguments: requests + responses)
    func `the scanner finds the end of a head however it is cut`(raw: String) {
        let bytes = latin1(raw)
        for cut in 0...bytes.count {
            var scanner = HeadEndScanner()
            for count in [cut, bytes.count - 1] where count >= cut && count < bytes.count {
                #expect(!scan(bytes, count, &scanner))
            }
            #expect(scan(bytes, bytes.count, &scanner))
            #expect(scan(bytes + [0x58], bytes.count + 1, &scanner))
        }
        var scanner = HeadEndScanner()
        for count in 0..<bytes.count {
            #expect(!scan(bytes, count, &scanner))
        }
        #expect(scan(bytes, bytes.count, &scanner))
    }

    @Test
    func `the scanner takes two bare line feeds for an end, so that the parser may refuse them`() {
        for (raw, isEnd) in [
            ("GET / HTTP/1.1\nHost: a\n\n", true), ("a\n\r\n", true), ("a\r\n\n", true),
            ("\n\n", true), ("\r\n\r\n", true), ("a\n\rb\r\n", false), ("a\r\n\rb\n", false),
            ("a\r\rb\r\n", false), ("", false), ("\n", false), ("\r\n", false), ("\r\n\r", false),
        ] {
            let bytes = latin1(raw)
            for cut in 0...bytes.count {
                var scanner = HeadEndScanner()
                let early = scan(bytes, cut, &scanner)
                #expect(!early || isEnd)
                #expect(scan(bytes, bytes.count, &scanner) == isEnd, "\(raw.debugDescription)")
            }
        }
    }

    private func scan(_ bytes: [UInt8], _ count: Int, _ scanner: inout HeadEndScanner) -> Bool {
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
        defer { block.deallocate() }
        for index in 0..<count { block[index] = bytes[index] }
        return scanner.found(in: block, count: count)
    }
}
