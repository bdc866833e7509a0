import HTTP
import Testing

/// Each bound below, at and above it, and one message for each error.
struct HeadLimitsTests {
    private func limits(
        headBytes: Int = 32_768,
        fields: Int = 100,
        targetBytes: Int = 8_192
    ) -> HeadLimits {
        var limits = HeadLimits()
        limits.headBytesMax = headBytes
        limits.fieldCountMax = fields
        limits.targetBytesMax = targetBytes
        return limits
    }

    private func head(ofBytes count: Int, line: String) -> [UInt8] {
        var bytes = latin1(line + "\r\nHost: a\r\nX: \r\n\r\n")
        let padding = [UInt8](repeating: 0x79, count: count - bytes.count)
        bytes.insert(contentsOf: padding, at: bytes.count - 4)
        return bytes
    }

    @Test(arguments: [256, 1_000, 32_768, 65_535], [-1, 0, 1])
    func `a head may be as large as its bound`(bound: Int, excess: Int) {
        let limits = limits(headBytes: bound)
        let expected: HeadOutcome = excess > 0 ? .invalid(.headTooLarge) : .complete
        let asked = head(ofBytes: bound + excess, line: "GET / HTTP/1.1")
        #expect(request(asked, limits: limits).outcome == expected)
        #expect(request(asked + latin1("more"), limits: limits).outcome == expected)
        let answered = head(ofBytes: bound + excess, line: "HTTP/1.1 200 OK")
        #expect(response(answered, limits: limits).outcome == expected)
        #expect(response(answered + latin1("more"), limits: limits).outcome == expected)
        if excess <= 0 {
            #expect(Int(request(asked, limits: limits).head.byteCount) == bound + excess)
        }
    }

    @Test(arguments: [-1, 0, 1])
    func `an unfinished head is refused when it fills its bound`(excess: Int) {
        let limits = limits(headBytes: 256)
        let bytes = Array(head(ofBytes: 400, line: "GET / HTTP/1.1")[..<(256 + excess)])
        let expected: HeadOutcome = excess < 0 ? .incomplete : .invalid(.headTooLarge)
        #expect(request(bytes, limits: limits).outcome == expected)
        let method = [UInt8](repeating: 0x41, count: 256 + excess)
        #expect(request(method, limits: limits).outcome == expected)
    }

    @Test(arguments: [1, 2, 100, 1_024], [-1, 0, 1])
    func `a head may have as many fields as its bound`(bound: Int, excess: Int) {
        let limits = limits(fields: bound)
        let expected: HeadOutcome = excess > 0 ? .invalid(.tooManyFields) : .complete
        let fields = String(repeating: "X: y\r\n", count: bound + excess)
        #expect(request("GET / HTTP/1.0\r\n\(fields)\r\n", limits: limits).outcome == expected)
        let answered = response("HTTP/1.1 200 OK\r\n\(fields)\r\n", limits: limits)
        #expect(answered.outcome == expected)
        if excess <= 0 { #expect(answered.fields.count == bound + excess) }
    }

    @Test(arguments: [1, 2, 7, 8, 9, 8_192], [-1, 0, 1])
    func `a target may be as long as its bound`(bound: Int, excess: Int) {
        guard bound + excess > 0 else { return }
        let limits = limits(targetBytes: bound)
        let target = "/" + String(repeating: "a", count: bound + excess - 1)
        let expected: HeadOutcome = excess > 0 ? .invalid(.targetTooLong) : .complete
        let whole = request("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits)
        #expect(whole.outcome == expected)
        let unfinished = request("GET \(target)", limits: limits)
        #expect(unfinished.outcome == (excess > 0 ? .invalid(.targetTooLong) : .incomplete))
    }

    @Test(arguments: [-1, 0, 1])
    func `a trailer section may be as large as its bound`(excess: Int) {
        let count = ChunkLimits.trailerBytesMax + excess
        let value = String(repeating: "y", count: count - 7)
        let section = trailers("X: \(value)\r\n\r\n")
        #expect(section.outcome == (excess > 0 ? .invalid(.headTooLarge) : .complete))
        let unfinished = trailers("X: \(value)yyyy")
        #expect(unfinished.outcome == (excess < 0 ? .incomplete : .invalid(.headTooLarge)))
    }

    @Test(arguments: [-1, 0, 1])
    func `a trailer section may have as many fields as its bound`(excess: Int) {
        let fields = String(repeating: "X: y\r\n", count: ChunkLimits.trailerFieldsMax + excess)
        let section = trailers(fields + "\r\n")
        #expect(section.outcome == (excess > 0 ? .invalid(.tooManyFields) : .complete))
    }

    static let causes: [(HeadError, String)] = [
        (.badMethod, "G(T / HTTP/1.1\r\n"), (.badTarget, "GET a HTTP/1.1\r\n"),
        (.targetTooLong, "GET /" + String(repeating: "a", count: 8_192)),
        (.badRequestLine, "GET /\r\n"), (.unsupportedVersion, "GET / HTTP/3.1\r\n"),
        (.bareLineFeed, "GET / HTTP/1.1\n"), (.bareCarriageReturn, "GET / HTTP/1.1\r\r"),
        (.headTooLarge, "GET / HTTP/1.1\r\nX:" + String(repeating: " ", count: 40_000)),
        (.tooManyFields, "GET / HTTP/1.1\r\n" + String(repeating: "X:\r\n", count: 101)),
        (.badFieldName, "GET / HTTP/1.1\r\nX\r\n"),
        (.spaceBeforeColon, "GET / HTTP/1.1\r\nX : y\r\n"),
        (.obsoleteFolding, "GET / HTTP/1.1\r\nX: y\r\n z\r\n"),
        (.badFieldValue, "GET / HTTP/1.1\r\nX: \u{1}\r\n"),
        (.missingHost, "GET / HTTP/1.1\r\n\r\n"),
        (.repeatedHost, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (.badHost, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (.badContentLength, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
        (
            .repeatedContentLength,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"
        ),
        (
            .contentLengthWithTransferEncoding,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: a\r\n\r\n"
        ),
        (.badTransferEncoding, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: a\r\n\r\n"),
        (
            .unsupportedTransferEncoding,
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: a,chunked\r\n\r\n"
        ),
        (.transferEncodingInHTTP10, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (.badConnection, "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n"),
        (.badExpect, "GET / HTTP/1.1\r\nHost: a\r\nExpect: a\r\n\r\n"),
        (.badUpgrade, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n"),
        (.bodyNotAllowed, "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"),
    ]

    @Test
    func `each error has a cause, and a status of its own kind`() {
        for (error, raw) in HeadLimitsTests.causes {
            #expect(request(raw).outcome == .invalid(error))
        }
        #expect(response("HTTP/1.1 2 OK\r\n").outcome == .invalid(.badStatusLine))
        let caused = Set(HeadLimitsTests.causes.map { $0.0 } + [.badStatusLine])
        #expect(caused == Set(HeadError.allCases))
        #expect(
            HeadError.allCases.allSatisfy { [400, 414, 417, 431, 501, 505].contains($0.status) }
        )
    }
}
