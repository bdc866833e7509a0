/// What the caller sends on streams.
extension H2Connection {
    /// Whether headers may be queued: `output` is below its bound.
    ///
    /// Ask before encoding a block: one that is encoded must be sent, because it changed the state
    /// of the encoder.
    public var hasRoomForHeaders: Bool {
        // Mutating, because callers in other modules copy the connection for what is not.
        mutating get { pending.count < limits.outputBytesMax }
    }

    /// Whether a client may open a stream: one more is allowed, no GOAWAY was read, ids are left.
    ///
    /// Ask before encoding a block.
    /// Before the server's settings are read the bound is `H2Limits.ownStreamsMax` alone; one that
    /// allows fewer refuses what is above, which may be sent again (RFC 9113 §5.1.2).
    public var canOpenStream: Bool {
        // Mutating, because callers in other modules copy the connection for what is not.
        mutating get {
            role == .client && failure == nil && lastProcessed == nil && !isShuttingDown
                && nextOwnStream <= FrameHeader.streamMask
                && streams.count < streams.countMax
                && streams.count < Int(peerSettings.maxConcurrentStreams)
        }
    }

    /// Opens a client's stream with its header block; `canOpenStream` must hold.
    ///
    /// - Returns: the stream's id.
    public mutating func openStream(
        _ block: UnsafePointer<UInt8>,
        _ count: Int,
        endStream: Bool,
        user: UnsafeMutableRawPointer?
    ) -> UInt32 {
        precondition(canOpenStream, "no stream can be opened")
        let id = nextOwnStream
        guard
            let stream = streams.insert(
                id,
                sendWindow: Int32(truncatingIfNeeded: peerSettings.initialWindowSize),
                receiveWindow: firstReceiveWindow
            )
        else { preconditionFailure("\(streams.count) streams are open") }
        // Ids above 2^31 - 1 stand for "used up"; the addition cannot overflow 32 bits.
        nextOwnStream &+= 2
        stream.pointee.user = user
        writeBlock(id, block, count, endStream: endStream)
        if endStream { endLocal(stream) }
        return id
    }

    /// Sends a header block on an open stream: a response's, interim or final, or trailers.
    ///
    /// It is queued whole, even if `output` goes over its bound by it. After a failure of the
    /// connection nothing is queued.
    public mutating func sendHeaders(
        _ id: UInt32,
        _ block: UnsafePointer<UInt8>,
        _ count: Int,
        endStream: Bool
    ) {
        guard failure == nil else { return }
        guard let stream = streams.find(id), stream.pointee.canSend else {
            preconditionFailure("headers for stream \(id), which is not open for sending")
        }
        writeBlock(id, block, count, endStream: endStream)
        if endStream { endLocal(stream) }
    }

    /// A HEADERS frame and as many CONTINUATION frames as the peer's frame size asks for.
    ///
    /// Safe: reads `block[0..<count]`.
    private mutating func writeBlock(
        _ id: UInt32,
        _ block: UnsafePointer<UInt8>,
        _ count: Int,
        endStream: Bool
    ) {
        let largest = Int(peerSettings.maxFrameSize)
        var at = 0
        repeat {
            let part = min(count &- at, largest)
            var flags: UInt8 = at &+ part == count ? FrameFlags.endHeaders : 0
            if at == 0, endStream { flags |= FrameFlags.endStream }
            writeHeader(at == 0 ? .headers : .continuation, flags, id, part)
            pending.append(block + at, part)
            at &+= part
        } while at < count
        budgets.pings.give()
    }

    private mutating func writeHeader(
        _ type: FrameType,
        _ flags: UInt8,
        _ id: UInt32,
        _ length: Int
    ) {
        let out = pending.makeRoom(FrameHeader.byteCount &+ length)
        FrameHeader(length: length, type: type, flags: flags, stream: id).write(to: out)
        pending.grow(FrameHeader.byteCount)
        lastData = type == .data ? (id, length) : (0, 0)
    }

    /// Bytes below which a frame is not begun only because `output` is nearly full.
    private static var smallestPiece: Int { 1_024 }

    /// Sends content, as much as the windows of stream and connection and the room in `output`
    /// allow.
    ///
    /// `endStream` is sent with the last byte; with `count` 0 it is sent by itself, for which no
    /// window is needed.
    ///
    /// - Returns: bytes taken, 0 to `count`; 0 as well when the stream is closed.
    public mutating func sendData(
        _ id: UInt32,
        _ bytes: UnsafePointer<UInt8>?,
        _ count: Int,
        endStream: Bool
    ) -> Int {
        guard failure == nil, let stream = streams.find(id) else { return 0 }
        precondition(stream.pointee.canSend, "data for stream \(id), which was ended")
        guard let bytes, count > 0 else {
            guard endStream else { return 0 }
            if !lengthenData(id, nil, 0, endStream: true) {
                writeHeader(.data, FrameFlags.endStream, id, 0)
            }
            endLocal(stream)
            return 0
        }
        let allowed = min(count, Int(min(stream.pointee.sendWindow, sendWindow)))
        // Content that comes in short parts makes one frame of a turn: a window that ends in the
        // middle of a part would otherwise cut that one too, at each turn of the windows at
        // another place, until a peer that answers each frame answers a frame of a few bytes.
        var taken =
            lengthenData(
                id,
                bytes,
                allowed,
                endStream: endStream && allowed == count
            ) ? allowed : 0
        while taken < allowed {
            let rest = allowed &- taken
            let room = limits.outputBytesMax &- pending.count &- FrameHeader.byteCount
            guard room >= min(rest, Self.smallestPiece) else { break }
            let part = min(rest, room, Int(peerSettings.maxFrameSize))
            let isLast = endStream && taken &+ part == count
            writeHeader(.data, isLast ? FrameFlags.endStream : 0, id, part)
            pending.append(bytes + taken, part)
            taken &+= part
            budgets.pings.give()
        }
        guard taken > 0 else { return 0 }
        sendWindow &-= Int32(truncatingIfNeeded: taken)
        stream.pointee.sendWindow &-= Int32(truncatingIfNeeded: taken)
        // Four thousandths a byte: 250 bytes pay for one WINDOW_UPDATE. Content that is short by
        // itself pays for an update of its stream and one of the connection: peers of gRPC send
        // them for each message. What a small window has cut short does not.
        let isWhole = taken == count
        budgets.windowUpdates.give(thousandths: UInt64(taken) &* 4 &+ (isWhole ? 2_000 : 0))
        if endStream, taken == count {
            endLocal(stream)
        } else {
            streams.refresh(stream)
        }
        return taken
    }

    /// Adds content to the last frame of the output, when that is DATA of the same stream and
    /// nobody has begun to send it; false when it does not fit there.
    ///
    /// Safe: the header of a frame with `lastData.count` bytes of content, the last in `pending`,
    /// begins so far before its end; one that was taken, in part as well, is not touched.
    private mutating func lengthenData(
        _ id: UInt32,
        _ bytes: UnsafePointer<UInt8>?,
        _ count: Int,
        endStream: Bool
    ) -> Bool {
        guard lastData.stream == id else { return false }
        let length = lastData.count &+ count
        let before = FrameHeader.byteCount &+ lastData.count
        guard pending.count >= before, length <= Int(peerSettings.maxFrameSize),
            pending.count &+ count <= limits.outputBytesMax
        else { return false }
        if let bytes { pending.append(bytes, count) }
        guard let held = pending.bytes else { return false }
        FrameHeader(
            length: length,
            type: .data,
            flags: endStream ? FrameFlags.endStream : 0,
            stream: id
        ).write(to: held + (pending.count &- length &- FrameHeader.byteCount))
        lastData.count = length
        return true
    }

    /// Ends a stream with RST_STREAM (RFC 9113 §6.4); nothing happens when it is closed.
    ///
    /// Codes that blame the peer (a malformed message is PROTOCOL_ERROR, RFC 9113 §8.1.1) count
    /// among the resets that it caused. NO_ERROR after a whole response only declines the rest of
    /// the request (§8.1).
    public mutating func resetStream(_ id: UInt32, _ code: H2ErrorCode) {
        guard failure == nil, let stream = streams.find(id) else { return }
        let isPeersFault =
            code == .protocolError || code == .streamClosed || code == .flowControlError
            || code == .frameSizeError || code == .enhanceYourCalm
        if isPeersFault, !budgets.ownResets.take(limits.ownResets, now: now) {
            pendingFailure = H2Failure(over: .serverResets, "too many streams had to be reset")
        }
        if code == .noError, !stream.pointee.canSend { countUsefulStream() }
        writeReset(id, code)
        close(stream, .resetHere)
    }

    // MARK: The connection's end

    /// Begins a drain: GOAWAY with the highest id says that the end is near (RFC 9113 §6.8).
    ///
    /// Streams are still accepted, because the peer may not have read it. Call `finishShutdown`
    /// after a round trip or more. Nothing happens the second time.
    public mutating func beginShutdown() {
        guard failure == nil, !isShuttingDown else { return }
        isShuttingDown = true
        writeGoAway(last: FrameHeader.streamMask, .noError)
    }

    /// Says which stream is the last: later ones are refused, those that are open go on.
    public mutating func finishShutdown() {
        guard failure == nil, lastAccepted == nil else { return }
        isShuttingDown = true
        lastAccepted = lastPeerStream
        writeGoAway(last: lastPeerStream, .noError)
    }

    /// The next of our streams that the peer's GOAWAY leaves unprocessed; nil after the last.
    mutating func nextUnprocessed() -> H2Event? {
        guard hasUnprocessed, let lastProcessed else { return nil }
        var slot = 0
        while let stream = streams.firstOpen(from: slot) {
            slot = Int(stream.pointee.slot) &+ 1
            guard stream.pointee.id > lastProcessed else { continue }
            let reference = stream.pointee.reference
            close(stream, .resetByPeer)
            return .streamReset(
                H2Reset(
                    stream: reference,
                    code: .refusedStream,
                    isByPeer: true,
                    isUnprocessed: true
                )
            )
        }
        hasUnprocessed = false
        return nil
    }

    /// Asks the peer for a sign of life; false while one is still waited for.
    ///
    /// The answer is the event `.pingAnswered`. How long `pingSentAt` may stay set is the caller's
    /// choice.
    public mutating func sendPing(now: UInt64) -> Bool {
        guard failure == nil, pingSentAt == nil else { return false }
        pingNumber &+= 1
        pingSentAt = now
        withUnsafeBytes(of: pingNumber.bigEndian) { raw in
            guard let number = raw.baseAddress else { return }
            writePing(number.assumingMemoryBound(to: UInt8.self), flags: 0)
        }
        return true
    }
}
