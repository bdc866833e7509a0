import HTTP

/// Text of the test, as frames for the proxy.
extension Translation {
    /// Takes text of an end, as far as the windows allow.
    ///
    /// A head is sent when it is whole, content as it comes.
    func send(_ bytes: UnsafeRawBufferPointer, on stream: TextStream) -> TestEngine.Transfer {
        if problem(of: stream) != nil { return .refused }
        guard !stream.isOver, !isOver else { return .closed }
        var taken = 0
        while taken < bytes.count, stream.problem == nil {
            let count = take(bytes[taken...], stream)
            flush(stream)
            guard count > 0 else { break }
            taken += count
        }
        if problem(of: stream) != nil { return .refused }
        return taken > 0 ? .bytes(taken) : .later
    }

    /// Takes bytes of one part of a message; their number.
    private func take(_ bytes: Slice<UnsafeRawBufferPointer>, _ stream: TextStream) -> Int {
        let room = max(0, TextStream.contentBytesMax - stream.content.count)
        switch stream.place {
        case .head: return takeHead(bytes, stream)
        case .body(let rest):
            let part = min(rest, Int64(min(room, bytes.count)))
            add(bytes.prefix(Int(part)), stream)
            guard part > 0 else { return 0 }
            stream.place = part == rest ? .whole : .body(rest - part)
            stream.endsContent = part == rest
            return Int(part)
        case .chunks(let decoder): return takeChunks(bytes.prefix(room), decoder, stream)
        case .trailers: return takeTrailers(bytes, stream)
        case .untilEnd:
            add(bytes.prefix(room), stream)
            return min(room, bytes.count)
        case .whole:
            guard role == .client else {
                stream.problem = Self.refusal("bytes follow the whole response")
                return 0
            }
            guard stream.hasReceivedAll, !connection.isOpen(stream.id) else { return 0 }
            stream.beginNext()
            return takeHead(bytes, stream)
        }
    }

    private func add(_ bytes: Slice<UnsafeRawBufferPointer>, _ stream: TextStream) {
        if !stream.isDiscarded { stream.content += bytes }
    }

    static func refusal(_ reason: String) -> String {
        "the test's text cannot be sent over HTTP/2: \(reason)"
    }

    private func takeChunks(
        _ bytes: Slice<UnsafeRawBufferPointer>,
        _ before: ChunkedDecoder,
        _ stream: TextStream
    ) -> Int {
        guard !bytes.isEmpty else { return 0 }
        var decoder = before
        var piece = Array(bytes)
        var (consumed, start, count) = (0, 0, 0)
        // Safe: the decoder stays within the piece.
        let outcome = piece.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map {
                decoder.decode(
                    $0,
                    count: buffer.count,
                    consumed: &consumed,
                    dataStart: &start,
                    dataCount: &count
                )
            } ?? .more
        }
        if !stream.isDiscarded { stream.content += piece[start..<start + count] }
        switch outcome {
        case .more: stream.place = .chunks(decoder)
        case .done:
            stream.place = .whole
            stream.endsContent = true
        case .trailers: stream.place = .trailers
        case .invalid(let error):
            stream.problem = Self.refusal("the chunked coding is broken: \(error)")
        }
        // A section that begins right here is one that takes more bytes.
        if case .trailers = outcome, consumed == 0 { return takeTrailers(bytes, stream) }
        return consumed
    }

    private func takeTrailers(
        _ bytes: Slice<UnsafeRawBufferPointer>,
        _ stream: TextStream
    ) -> Int {
        let before = stream.gathered.count
        stream.gathered += bytes
        var (fieldCount, consumed) = (0, 0)
        let outcome = parseTrailers(stream.gathered, &fieldCount, &consumed)
        switch outcome {
        case .incomplete: return bytes.count
        case .invalid(let error):
            stream.problem = Self.refusal("the trailer section is malformed: \(error)")
            return 0
        case .complete:
            stream.trailers = Array(stream.gathered.prefix(consumed))
            stream.gathered = []
            stream.place = .whole
            stream.endsContent = true
            return consumed - before
        }
    }

    private func parseTrailers(
        _ text: [UInt8],
        _ fieldCount: inout Int,
        _ consumed: inout Int
    ) -> HeadOutcome {
        text.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return .incomplete }
            // Safe: the room's fields are more than a trailer section may have.
            return HeadParser.parseTrailers(
                start,
                count: buffer.count,
                fields: room.fields,
                fieldCount: &fieldCount,
                consumed: &consumed
            )
        }
    }

    // MARK: Heads

    private func takeHead(_ bytes: Slice<UnsafeRawBufferPointer>, _ stream: TextStream) -> Int {
        let isOpening = role == .client
        guard connection.hasRoomForHeaders, !isOpening || connection.canOpenStream else { return 0 }
        stream.gathered += bytes
        let text = stream.gathered
        // Safe: the bytes are valid in the closure, in which they are used.
        let outcome = text.withUnsafeBufferPointer { buffer -> HeadOutcome in
            guard let start = buffer.baseAddress else { return .incomplete }
            return isOpening
                ? sendRequest(start, buffer.count, stream)
                : sendResponse(start, buffer.count, stream)
        }
        switch outcome {
        case .incomplete: return bytes.count
        case .invalid(let error):
            stream.problem = stream.problem ?? Self.refusal("the head is malformed: \(error)")
            return 0
        case .complete:
            // What is left of `gathered` follows the head, and comes again.
            let rest = stream.gathered.count
            stream.gathered = []
            return bytes.count - rest
        }
    }

    private func sendRequest(
        _ text: UnsafePointer<UInt8>,
        _ count: Int,
        _ stream: TextStream
    ) -> HeadOutcome {
        var head = RequestHead()
        let outcome = HeadParser.parseRequest(
            text,
            count: count,
            limits: TranslationRoom.limits,
            fields: room.fields,
            into: &head
        )
        guard outcome == .complete else { return outcome }
        if let reason = refusal(head.minorVersion, Int(head.fieldCount)) {
            stream.problem = Self.refusal(reason)
        } else if head.method == .connect {
            stream.problem = Self.refusal("CONNECT is not translated")
        }
        guard stream.problem == nil else { return .invalid(.badMethod) }
        var writer = FieldBlock.Writer(
            FieldBlock.Target(
                method: text + Int(head.methodStart),
                methodCount: Int(head.methodLength),
                isSecure: false,
                authority: text + Int(head.authorityStart),
                authorityCount: Int(head.authorityLength),
                path: text + Int(head.pathStart),
                pathCount: Int(head.targetLength)
            ),
            to: room.block,
            room: TranslationRoom.blockBytes,
            encoder: &encoder
        )
        // It belongs to the connection in HTTP/1.1 and to the request here (RFC 9113 §8.2.2).
        if head.flags.contains(.acceptsTrailers) { addTE(&writer) }
        writer.copyFields(text, room.fields, count: Int(head.fieldCount), encoder: &encoder)
        stream.method = head.method
        (stream.isChunked, stream.isBodiless) = (false, false)
        stream.id = connection.openStream(
            UnsafePointer(room.block),
            writer.count,
            endStream: head.framing.isNone,
            user: nil
        )
        begin(head.framing, byteCount: Int(head.byteCount), stream)
        return .complete
    }

    private func addTE(_ writer: inout FieldBlock.Writer) {
        let (name, value): (StaticString, StaticString) = ("te", "trailers")
        writer.field(
            .te,
            name.utf8Start,
            name.utf8CodeUnitCount,
            value.utf8Start,
            value.utf8CodeUnitCount,
            encoder: &encoder
        )
    }

    private func sendResponse(
        _ text: UnsafePointer<UInt8>,
        _ count: Int,
        _ stream: TextStream
    ) -> HeadOutcome {
        var head = ResponseHead()
        let outcome = HeadParser.parseResponse(
            text,
            count: count,
            limits: TranslationRoom.limits,
            fields: room.fields,
            requestMethod: stream.method,
            into: &head
        )
        guard outcome == .complete else { return outcome }
        if let reason = refusal(head.minorVersion, Int(head.fieldCount)) {
            stream.problem = Self.refusal(reason)
        } else if head.status == 101 {
            stream.problem = Self.refusal("101 is of HTTP/1.1 alone")
        }
        guard stream.problem == nil else { return .invalid(.badStatusLine) }
        var writer = FieldBlock.Writer(
            status: head.status,
            to: room.block,
            room: TranslationRoom.blockBytes,
            encoder: &encoder
        )
        writer.copyFields(text, room.fields, count: Int(head.fieldCount), encoder: &encoder)
        let isInterim = head.status < 200
        let ends = head.framing.isNone && !isInterim
        connection.sendHeaders(stream.id, UnsafePointer(room.block), writer.count, endStream: ends)
        if isInterim {
            stream.gathered.removeFirst(Int(head.byteCount))
        } else {
            begin(head.framing, byteCount: Int(head.byteCount), stream)
        }
        return .complete
    }

    /// Why a head that parses has no form in HTTP/2.
    private func refusal(_ minorVersion: UInt8, _ fieldCount: Int) -> String? {
        guard minorVersion == 1 else { return "HTTP/1.0 is another version" }
        for index in 0..<fieldCount where room.fields[index].id == .upgrade {
            return "Upgrade is of HTTP/1.1 alone"
        }
        return nil
    }

    /// Goes on with the body.
    private func begin(_ framing: BodyFraming, byteCount: Int, _ stream: TextStream) {
        stream.gathered.removeFirst(byteCount)
        switch framing {
        case .none:
            stream.place = .whole
            stream.hasEnded = true
        case .length(let count): stream.place = .body(count)
        case .chunked: stream.place = .chunks(ChunkedDecoder())
        case .untilClose: stream.place = .untilEnd
        }
    }

    // MARK: Content

    func flushAll() {
        if role == .client { flush(client) }
        for stream in streams { flush(stream) }
    }

    /// Sends what the windows allow of the content, and the end behind it.
    func flush(_ stream: TextStream) {
        guard stream.id != 0, !stream.hasEnded, connection.isOpen(stream.id) else { return }
        if !stream.content.isEmpty {
            let ends = stream.endsContent && stream.trailers == nil
            let count = stream.content.withUnsafeBufferPointer {
                connection.sendData(stream.id, $0.baseAddress, $0.count, endStream: ends)
            }
            stream.content.removeFirst(count)
            guard stream.content.isEmpty else { return }
            if ends { stream.hasEnded = true }
        }
        guard stream.endsContent, !stream.hasEnded else { return }
        if let trailers = stream.trailers {
            guard connection.hasRoomForHeaders else { return }
            send(trailers: trailers, stream)
        } else {
            _ = connection.sendData(stream.id, nil, 0, endStream: true)
        }
        stream.hasEnded = true
    }

    private func send(trailers text: [UInt8], _ stream: TextStream) {
        var (fieldCount, consumed) = (0, 0)
        _ = parseTrailers(text, &fieldCount, &consumed)
        var writer = FieldBlock.Writer(
            trailersTo: room.block,
            room: TranslationRoom.blockBytes,
            encoder: &encoder
        )
        // Safe: the spans are of these bytes, and were written just now.
        text.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            writer.copyFields(start, room.fields, count: fieldCount, encoder: &encoder)
        }
        connection.sendHeaders(
            stream.id,
            UnsafePointer(room.block),
            writer.count,
            endStream: true
        )
    }
}
