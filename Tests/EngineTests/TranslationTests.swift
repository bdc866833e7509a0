import HTTP
import Testing

@testable import Engine

/// A client's end and an origin's face to face, in place of the proxy between them.
private final class Pair {
    let client: Translation
    let origin: Translation

    init() {
        let room = TranslationRoom()
        client = Translation(role: .client, room: room)
        origin = Translation(role: .server, room: room)
    }

    /// Moves frames until there are none.
    func move() {
        while pass(client, origin) || pass(origin, client) {}
    }

    private func pass(_ from: Translation, _ to: Translation) -> Bool {
        guard let output = from.output else { return false }
        var bytes = Array(output.bindMemory(to: UInt8.self))
        from.consumeOutput(bytes.count)
        bytes.withUnsafeMutableBufferPointer { to.input($0, now: 0) }
        return true
    }

    /// Sends text in pieces of a size, as far as it is taken; its bytes.
    @discardableResult
    func send(_ text: String, _ from: Translation, _ stream: TextStream, size: Int = .max) -> Int {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let transfer = rest.prefix(size).withUnsafeBytes { from.send($0, on: stream) }
            guard case .bytes(let count) = transfer else { break }
            rest = rest.dropFirst(count)
            move()
        }
        return text.utf8.count - rest.count
    }

    /// All that is there for the test, and what the end says then.
    func receive(_ to: Translation, _ stream: TextStream) -> (String, TestEngine.Transfer) {
        move()
        var bytes: [UInt8] = []
        while true {
            var piece = [UInt8](repeating: 0, count: 1_000)
            let transfer = piece.withUnsafeMutableBytes { to.receive($0, on: stream) }
            guard case .bytes(let count) = transfer else {
                move()
                return (String(decoding: bytes, as: UTF8.self), transfer)
            }
            bytes += piece[..<count]
        }
    }

    func request(_ text: String) throws -> TextStream {
        send(text, client, client.client)
        move()
        return try #require(origin.takeArrival())
    }
}

struct TranslationTests {
    private static let get = "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX-A: b\r\n\r\n"
    private static let getHead = "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nx-a: b\r\n\r\n"

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func `a request and its response arrive in pieces of any size`(size: Int) throws {
        let pair = Pair()
        let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        #expect(pair.send(text, pair.client, pair.client.client, size: size) == text.utf8.count)
        let stream = try #require(pair.origin.takeArrival())
        let request = pair.receive(pair.origin, stream)
        #expect(request.0 == "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\nhello")
        #expect(request.1 == .later)
        let answer = "HTTP/1.1 200 Fine\r\nX-O: p\r\nContent-Length: 3\r\n\r\nbye"
        #expect(pair.send(answer, pair.origin, stream, size: size) == answer.utf8.count)
        let response = pair.receive(pair.client, pair.client.client)
        #expect(response.0 == "HTTP/1.1 200 OK\r\nx-o: p\r\ncontent-length: 3\r\n\r\nbye")
        #expect(response.1 == .later)
        #expect(pair.client.openCount == 0 && pair.origin.openCount == 0)
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func `chunks and trailers go both ways`(size: Int) throws {
        let pair = Pair()
        let body = "4;x=y\r\nsome\r\n5\r\nthing\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n"
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n"
        pair.send(
            head + "Transfer-Encoding: chunked\r\n\r\n" + body,
            pair.client,
            pair.client.client,
            size: size
        )
        let stream = try #require(pair.origin.takeArrival())
        let request = pair.receive(pair.origin, stream).0
        #expect(
            request.hasPrefix(
                "POST / HTTP/1.1\r\nHost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n"
            )
        )
        #expect(request.hasSuffix("0\r\nx-sum: 1\r\nx-two: 2\r\n\r\n"))
        pair.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
            pair.origin,
            stream,
            size: size
        )
        let response = pair.receive(pair.client, pair.client.client).0
        #expect(response.hasPrefix("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"))
        #expect(response.hasSuffix("0\r\nx-sum: 1\r\nx-two: 2\r\n\r\n"))
        #expect(pair.client.openCount == 0 && pair.origin.openCount == 0)
    }

    @Test func `interim responses come before the final one`() throws {
        let pair = Pair()
        let stream = try pair.request(Self.get)
        #expect(pair.receive(pair.origin, stream).0 == Self.getHead)
        pair.send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            pair.origin,
            stream
        )
        #expect(
            pair.receive(pair.client, pair.client.client).0
                == "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
                + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        )
    }

    @Test(
        arguments: [
            ("HEAD", "200 OK", "content-length: 9\r\n"), ("GET", "304 Not Modified", ""),
            ("GET", "204 No Content", ""), ("GET", "304 Not Modified", "content-length: 9\r\n"),
        ]
    )
    func `responses without a body end with their head`(
        method: String,
        status: String,
        field: String
    ) throws {
        let pair = Pair()
        let stream = try pair.request("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = "HTTP/1.1 \(status)\r\n\(field)\r\n"
        pair.send(answer, pair.origin, stream)
        #expect(pair.receive(pair.client, pair.client.client).0 == answer)
        #expect(pair.client.openCount == 0)
    }

    @Test func `requests of a connection are streams one after the other`() throws {
        let pair = Pair()
        #expect(
            pair.send(Self.get + Self.get, pair.client, pair.client.client) == Self.get.utf8.count
        )
        for expected: UInt32 in [1, 3] {
            pair.send(Self.get, pair.client, pair.client.client)
            let stream = try #require(pair.origin.takeArrival())
            #expect(stream.id == expected)
            #expect(pair.origin.takeArrival() == nil)
            pair.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", pair.origin, stream)
            #expect(pair.receive(pair.client, pair.client.client).0.hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    // MARK: Ends

    @Test func `a body up to the end of the connection ends with the stream`() throws {
        let pair = Pair()
        let stream = try pair.request(Self.get)
        pair.send("HTTP/1.1 200 OK\r\n\r\nsome", pair.origin, stream)
        #expect(pair.receive(pair.client, pair.client.client).0.hasSuffix("4\r\nsome\r\n"))
        pair.origin.close(stream)
        #expect(pair.receive(pair.client, pair.client.client) == ("0\r\n\r\n", .later))
        #expect(pair.client.openCount == 0)
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"])
    func `an origin that leaves its only stream closes the connection`(text: String) throws {
        let pair = Pair()
        let stream = try pair.request(Self.get)
        pair.send(text, pair.origin, stream)
        #expect(!pair.origin.giveUpLeft())
        pair.origin.close(stream)
        #expect(pair.origin.giveUpLeft())
        #expect(pair.receive(pair.origin, stream).1 == .closed)
        pair.client.inputEnded()
        let (received, transfer) = pair.receive(pair.client, pair.client.client)
        #expect(received.hasSuffix("ab") == text.hasSuffix("ab"))
        #expect(transfer == .closed)
    }

    @Test func `a client that leaves resets the stream, whatever it has sent`() throws {
        for text in [Self.get, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"] {
            let pair = Pair()
            let stream = try pair.request(text)
            pair.client.close(pair.client.client)
            let (received, transfer) = pair.receive(pair.origin, stream)
            #expect(received.hasSuffix("ab") == text.hasSuffix("ab"))
            #expect(transfer == .closed)
        }
    }

    @Test func `the rest of a request that the proxy wants no more of is dropped`() throws {
        let pair = Pair()
        let stream = try pair.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
        pair.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", pair.origin, stream)
        // RFC 9113 §8.1.
        pair.origin.connection.resetStream(stream.id, .noError)
        #expect(pair.receive(pair.client, pair.client.client).1 == .later)
        let next = try pair.request("cdefghi" + Self.get)
        #expect(next.id == 3)
        #expect(pair.receive(pair.origin, next).0 == Self.getHead)
    }

    @Test func `a client that sends no more waits for its response`() throws {
        let pair = Pair()
        let stream = try pair.request(Self.get)
        pair.client.finish(pair.client.client)
        pair.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", pair.origin, stream)
        #expect(pair.receive(pair.client, pair.client.client).0.hasSuffix("\r\n\r\nok"))
        let other = Pair()
        let cut = try other.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
        other.client.finish(other.client.client)
        #expect(other.receive(other.origin, cut).1 == .closed)
    }

    @Test func `windows open when the test has received the text`() throws {
        let pair = Pair()
        let count = 300_000
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n"
        let stream = try pair.request(head)
        let body = String(repeating: "x", count: count)
        // The first window, which is 65,535 before the origin's settings, and what waits for one.
        let first = pair.send(body, pair.client, pair.client.client)
        #expect(first <= 65_536 + TextStream.contentBytesMax)
        #expect(first >= 65_535)
        #expect(pair.send("x", pair.client, pair.client.client) == 0)
        var received = pair.receive(pair.origin, stream).0.utf8.count
        var sent = first
        while sent < count {
            let more = pair.send(String(body.prefix(count - sent)), pair.client, pair.client.client)
            try #require(more > 0)
            sent += more
            received += pair.receive(pair.origin, stream).0.utf8.count
        }
        received += pair.receive(pair.origin, stream).0.utf8.count
        #expect(received == head.utf8.count + count)
        #expect(pair.client.problem == nil && pair.origin.problem == nil)
    }

    // MARK: What has no form

    @Test(arguments: [-1, 0, 1])
    func `a head has a bound`(over: Int) {
        let pair = Pair()
        let (start, end) = ("GET / HTTP/1.1\r\nHost: a\r\nX-A: ", "\r\n\r\n")
        let rest = TranslationRoom.limits.headBytesMax + over - (start + end).utf8.count
        let text = start + String(repeating: "a", count: rest) + end
        // All at once and nothing moved: what the other end makes of it is not asked.
        let transfer = Array(text.utf8).withUnsafeBytes {
            pair.client.send($0, on: pair.client.client)
        }
        #expect(transfer == (over > 0 ? .refused : .bytes(text.utf8.count)))
        let problem =
            "the test's text cannot be sent over HTTP/2: the head is malformed: headTooLarge"
        #expect(pair.client.problem(of: pair.client.client) == (over > 0 ? problem : nil))
    }

    @Test(
        arguments: [
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "HTTP/1.0 is another version"),
            ("GET / HTTP/1.1\r\n\r\n", "the head is malformed: missingHost"),
            ("GET / HTTP/1.1\nHost: a\n\n", "the head is malformed: bareLineFeed"),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "CONNECT is not translated"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                "Upgrade is of HTTP/1.1 alone"
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
                "the chunked coding is broken: badSize"
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na b\r\n\r\n",
                "the trailer section is malformed: badFieldName"
            ),
        ]
    )
    func `a request that HTTP/2 has no form for is refused`(text: String, reason: String) {
        let pair = Pair()
        pair.send(text, pair.client, pair.client.client)
        let problem = pair.client.problem(of: pair.client.client)
        #expect(problem == "the test's text cannot be sent over HTTP/2: \(reason)")
        #expect(pair.receive(pair.client, pair.client.client) == ("", .refused))
    }

    @Test(
        arguments: [
            ("HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.0 is another version"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 is of HTTP/1.1 alone"),
            ("HTTP/1.1 OK\r\n\r\n", "the head is malformed: badStatusLine"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
                "bytes follow the whole response"
            ),
        ]
    )
    func `a response that HTTP/2 has no form for is refused`(text: String, reason: String) throws {
        let pair = Pair()
        let stream = try pair.request(Self.get)
        pair.send(text, pair.origin, stream)
        let problem = pair.origin.problem(of: stream)
        #expect(problem == "the test's text cannot be sent over HTTP/2: \(reason)")
        #expect(pair.receive(pair.origin, stream).1 == .refused)
    }

    @Test func `a proxy that breaks the rules is a problem of all ends`() throws {
        let pair = Pair()
        let stream = try pair.request(Self.get)
        // WINDOW_UPDATE by 0 (RFC 9113 §6.9).
        var bytes: [UInt8] = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        bytes.withUnsafeMutableBufferPointer { pair.origin.input($0, now: 0) }
        let problem = "the proxy broke the rules of HTTP/2: WINDOW_UPDATE by 0 for the connection"
        #expect(pair.origin.problem(of: stream) == problem)
    }
}
