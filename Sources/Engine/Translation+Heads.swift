import HTTP

/// Header blocks of the proxy, as text for the test.
extension Translation {
    func takeRequest(_ headers: H2Headers, _ stream: TextStream) {
        var request = FieldBlock.Request()
        let outcome = FieldBlock.readRequest(
            headers.block,
            count: headers.count,
            decoder: &decoder,
            scratch: room.scratch,
            scratchCount: TranslationRoom.scratchBytes,
            limits: TranslationRoom.limits,
            allowsProtocol: false,
            to: room.text,
            into: &request
        )
        guard isComplete(outcome, "request") else { return }
        var head = RequestHead()
        // The proxy asks in HTTP/2 for what the text asks in HTTP/1.1: what was read parses.
        let parsed = HeadParser.parseRequest(
            UnsafePointer(room.text),
            count: request.byteCount,
            limits: TranslationRoom.limits,
            fields: room.fields,
            into: &head
        )
        guard parsed == .complete else {
            fail("the proxy sent a request that HTTP/1.1 has no form for: \(parsed)")
            return
        }
        stream.method = head.method
        appendHead(
            headers,
            stream,
            byteCount: request.byteCount,
            contentLength: request.contentLength,
            framing: ""
        )
    }

    func takeResponse(_ headers: H2Headers, _ stream: TextStream) {
        var response = FieldBlock.Response()
        let outcome = FieldBlock.readResponse(
            headers.block,
            count: headers.count,
            decoder: &decoder,
            scratch: room.scratch,
            scratchCount: TranslationRoom.scratchBytes,
            limits: TranslationRoom.limits,
            to: room.text,
            into: &response
        )
        guard isComplete(outcome, "response") else { return }
        let isInterim = response.status < 200
        guard !isInterim || !headers.endStream else {
            fail("the proxy ended a stream with an interim response")
            return
        }
        if !isInterim { connection.markFinalHeaders(stream.id) }
        stream.isBodiless =
            isInterim || response.status == 204 || response.status == 304 || stream.method == .head
        appendHead(
            headers,
            stream,
            byteCount: response.byteCount,
            contentLength: response.contentLength,
            framing: "content-length: 0\r\n"
        )
    }

    /// Gives the test the head that stands in the room, with the field that frames its body.
    ///
    /// - Parameter framing: what HTTP/1.1 says of a message without a body.
    private func appendHead(
        _ headers: H2Headers,
        _ stream: TextStream,
        byteCount: Int,
        contentLength: Int64,
        framing: String
    ) {
        // Safe: `byteCount` bytes were written, and the last two are the empty line.
        var text = Array(UnsafeBufferPointer(start: room.text, count: byteCount - 2))
        stream.isChunked = false
        if contentLength >= 0 {
            if !stream.isBodiless {
                guard !headers.endStream || contentLength == 0 else {
                    fail("the proxy sent Content-Length: \(contentLength) and no body")
                    return
                }
                connection.setExpectedLength(stream.id, UInt64(contentLength))
            }
        } else if headers.endStream {
            if !stream.isBodiless { text += Array(framing.utf8) }
        } else if !stream.isBodiless {
            text += Array("transfer-encoding: chunked\r\n".utf8)
            stream.isChunked = true
        }
        stream.append(text + Array("\r\n".utf8))
        if headers.endStream { stream.hasReceivedAll = true }
    }

    func takeTrailers(_ headers: H2Headers, _ stream: TextStream) {
        var count = 0
        let outcome = readTrailers(headers.block, headers.count, &count)
        guard isComplete(outcome, "trailer section") else { return }
        stream.hasReceivedAll = true
        guard stream.isChunked else { return }
        // Safe: `count` bytes were written, the empty line included.
        stream.append(Array("0\r\n".utf8) + UnsafeBufferPointer(start: room.text, count: count))
    }

    /// Decodes a block of no stream: it has changed the decoder's table (RFC 9113 §4.3).
    func discard(_ block: UnsafePointer<UInt8>, _ count: Int) {
        var ignored = 0
        if case .invalid(let error) = readTrailers(block, count, &ignored) {
            fail("the proxy sent a header block that cannot be decoded: \(error.reason)")
        }
    }

    private func readTrailers(
        _ block: UnsafePointer<UInt8>,
        _ count: Int,
        _ byteCount: inout Int
    ) -> FieldBlock.Outcome {
        FieldBlock.readTrailers(
            block,
            count: count,
            decoder: &decoder,
            scratch: room.scratch,
            scratchCount: TranslationRoom.scratchBytes,
            to: room.text,
            byteCount: &byteCount
        )
    }

    private func isComplete(_ outcome: FieldBlock.Outcome, _ message: StaticString) -> Bool {
        switch outcome {
        case .complete: return true
        case .tooLarge: fail("the proxy sent a \(message) that is too large")
        case .malformed(let error):
            fail("the proxy sent a malformed \(message): \(error.reason)")
        case .invalid(let error):
            fail("the proxy sent a \(message) that cannot be decoded: \(error.reason)")
        }
        return false
    }
}
