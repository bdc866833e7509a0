import HTTP

/// A connection of HTTP/2 with the proxy at whose test's end stands text of HTTP/1.1; no I/O.
///
/// The test writes and reads what it does where the proxy speaks HTTP/1.1: heads, bodies by their
/// length or in chunks, trailers, interim responses. The frames are made and read by the host's own
/// `H2Connection`, with the proxy's peer in its other role.
///
/// - The test takes content at its own pace: windows open when it has received the text.
/// - What HTTP/2 has no form for is not made into something else. Malformed text, HTTP/1.0,
///   upgrades and CONNECT end in a `problem` that says so, and so does a proxy that breaks
///   the rules of HTTP/2.
/// - Reasons of status lines are lost, and trailers behind a body with Content-Length: HTTP/1.1
///   has no place for them.
final class Translation {
    let role: H2Role
    var connection: H2Connection
    var encoder = HPACKEncoder()
    var decoder = HPACKDecoder()
    let room: TranslationRoom
    /// The client's only end.
    let client = TextStream()
    /// Streams of an origin that are open, in their order.
    var streams: [TextStream] = []
    private var arrivals: [TextStream] = []
    /// How the proxy has broken a rule of HTTP/2.
    private(set) var problem: String?
    /// No more comes from the proxy.
    private(set) var isOver = false

    /// The proxy is the peer, and may do as it likes as often as it likes: a test's clock stands
    /// still, and allowances grow with time.
    private static let limits: H2Limits = {
        var limits = H2Limits()
        let much = H2Allowance(burst: 1_000_000, perSecond: 1_000_000)
        limits.peerResets = much
        limits.ownResets = much
        limits.streams = much
        limits.settings = much
        limits.pings = much
        limits.priorities = much
        limits.windowUpdates = much
        limits.unknownFrames = much
        limits.emptyData = much
        limits.lateFrames = much
        return limits
    }()

    /// - Parameters:
    ///   - role: the test's: `.client`, or `.server` for an origin.
    ///   - room: of no other thread.
    init(role: H2Role, room: TranslationRoom) {
        self.role = role
        self.room = room
        connection = H2Connection(
            role: role,
            settings: H2Settings.local(role),
            limits: Self.limits
        )
    }

    /// Why an end is of no more use, in one line; nil when nothing is wrong.
    func problem(of stream: TextStream) -> String? { stream.problem ?? problem }

    /// The next stream that the proxy has opened to an origin.
    func takeArrival() -> TextStream? { arrivals.isEmpty ? nil : arrivals.removeFirst() }

    /// Streams that are open.
    var openCount: Int { connection.streamCount }

    /// Sets what was found wrong, which ends the use of the connection.
    func fail(_ problem: String) {
        if self.problem == nil { self.problem = problem }
    }

    // MARK: From the proxy

    /// Reads bytes of the proxy's.
    ///
    /// - Parameter now: milliseconds of the engine's clock.
    func input(_ bytes: UnsafeMutableBufferPointer<UInt8>, now: UInt64) {
        guard let start = bytes.baseAddress else { return }
        var at = 0
        while problem == nil {
            var consumed = 0
            // Safe: `at` never passes `bytes.count`.
            let event = connection.next(
                start + at,
                bytes.count - at,
                consumed: &consumed,
                now: now
            )
            at += consumed
            if case .needsMore = event { break }
            take(event)
        }
        streams.removeAll { !connection.isOpen($0.id) }
        flushAll()
    }

    /// The proxy has closed the connection.
    func inputEnded() { isOver = true }

    private func take(_ event: H2Event) {
        switch event {
        case .settings: encoder.setTableLimit(connection.peerSettings.headerTableSize)
        case .headers(let headers): take(headers)
        case .discardedHeaders(_, let block, let count): discard(block, count)
        case .data(let data): take(data)
        case .streamReset(let reset): take(reset)
        case .connectionError(let failure):
            fail("the proxy broke the rules of HTTP/2: \(failure.reason)")
        case .needsMore, .settingsAcknowledged, .windowOpened, .goAway, .pingAnswered: break
        }
    }

    private func take(_ headers: H2Headers) {
        if headers.isNew {
            let stream = TextStream(id: headers.stream.id)
            streams.append(stream)
            arrivals.append(stream)
        }
        guard let stream = stream(headers.stream.id) else {
            discard(headers.block, headers.count)
            return
        }
        if headers.isTrailers {
            takeTrailers(headers, stream)
        } else if role == .client {
            takeResponse(headers, stream)
        } else {
            takeRequest(headers, stream)
        }
    }

    private func take(_ data: H2Data) {
        guard let stream = stream(data.stream.id) else {
            connection.consume(data.stream.id, data.count)
            return
        }
        if let bytes = data.bytes, data.count > 0 {
            guard !stream.isBodiless else {
                fail("the proxy sent a body where there can be none")
                return
            }
            // Safe: the event's bytes are in the input, which outlives it.
            let content = UnsafeBufferPointer(start: bytes, count: data.count)
            stream.append(
                stream.isChunked ? Self.chunk(content) : Array(content),
                content: data.count
            )
        }
        guard data.endStream else { return }
        if stream.isChunked { stream.append(Array("0\r\n\r\n".utf8)) }
        stream.hasReceivedAll = true
    }

    private static func chunk(_ content: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        Array("\(String(content.count, radix: 16))\r\n".utf8) + content + Array("\r\n".utf8)
    }

    private func take(_ reset: H2Reset) {
        guard let stream = stream(reset.stream.id) else { return }
        guard reset.isByPeer else {
            fail("the proxy broke the rules of HTTP/2 on a stream: \(reset.code)")
            return
        }
        // RFC 9113 §8.1: after a whole response it only says that no more of the request is wanted.
        if role == .client, stream.hasReceivedAll, reset.code == .noError {
            stream.isDiscarded = true
            stream.content = []
        } else {
            stream.isOver = true
        }
    }

    private func stream(_ id: UInt32) -> TextStream? {
        role == .client ? (client.id == id ? client : nil) : streams.first { $0.id == id }
    }

    // MARK: To the proxy

    /// Bytes for the proxy, valid until the next call; nil when there are none.
    var output: UnsafeRawBufferPointer? {
        guard let start = connection.output, connection.outputCount > 0 else { return nil }
        return UnsafeRawBufferPointer(start: start, count: connection.outputCount)
    }

    /// Takes bytes that were written from the start of the output.
    func consumeOutput(_ count: Int) {
        connection.consumeOutput(count)
        flushAll()
    }

    /// Says that no new stream is taken, before an origin closes the connection.
    func leave() { connection.finishShutdown() }

    // MARK: From and to the test

    /// Copies text of an end.
    func receive(_ buffer: UnsafeMutableRawBufferPointer, on stream: TextStream)
        -> TestEngine.Transfer
    {
        let count = stream.take(buffer) { connection.consume($0.stream, $0.content) }
        if count > 0 { return .bytes(count) }
        if problem(of: stream) != nil { return .refused }
        return stream.isOver || isOver ? .closed : .later
    }

    /// The test sends nothing more on an end.
    func finish(_ stream: TextStream) {
        switch stream.place {
        case .whole: return
        case .untilEnd:
            stream.endsContent = true
            stream.place = .whole
            flush(stream)
        case .head, .body, .chunks, .trailers:
            stream.isOver = true
            if role == .client { reset(stream) } else { stream.isLeft = true }
        }
    }

    /// The test closes an end.
    func close(_ stream: TextStream) {
        finish(stream)
        // Only a client may give up what it has sent whole.
        if role == .client { reset(stream) }
    }

    /// Ends the streams that an origin has left in the middle.
    ///
    /// Where an origin of HTTP/1.1 closes a connection, one of HTTP/2 does the same if no other
    /// stream is open on it, and else resets the stream.
    ///
    /// - Returns: whether the connection is to be closed.
    func giveUpLeft() -> Bool {
        guard streams.contains(where: { $0.isLeft }) else { return false }
        streams.removeAll { !connection.isOpen($0.id) }
        guard streams.contains(where: { !$0.isLeft }) else { return !streams.isEmpty }
        for stream in streams where stream.isLeft { reset(stream) }
        streams.removeAll { $0.isLeft }
        return false
    }

    private func reset(_ stream: TextStream) {
        connection.resetStream(stream.id, role == .client ? .cancel : .internalError)
        stream.content = []
        stream.isOver = true
    }
}

/// Memory that the translations of one thread share: what a call leaves there is of no more use.
final class TranslationRoom {
    static let limits: HeadLimits = {
        var limits = HeadLimits()
        limits.headBytesMax = 65_535
        limits.fieldCountMax = 1_024
        limits.targetBytesMax = 65_000
        return limits
    }()
    static let scratchBytes = HPACKDecoder.scratchBytes(
        blockBytes: H2Limits().headerBlockBytesMax
    )
    static let blockBytes = FieldBlock.writeRoom(
        headBytes: limits.headBytesMax,
        fieldCount: limits.fieldCountMax
    )

    /// For decoders: `scratchBytes`.
    let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: scratchBytes)
    /// A head or trailers as text: `FieldBlock.readRoom` of the limits.
    let text = UnsafeMutablePointer<UInt8>.allocate(
        capacity: FieldBlock.readRoom(headBytesMax: limits.headBytesMax)
    )
    /// A header block that is made: `blockBytes`.
    let block = UnsafeMutablePointer<UInt8>.allocate(capacity: blockBytes)
    /// `fieldCountMax` of the limits.
    let fields = UnsafeMutablePointer<FieldSpan>.allocate(capacity: limits.fieldCountMax)

    deinit {
        scratch.deallocate()
        text.deallocate()
        block.deallocate()
        fields.deallocate()
    }
}
