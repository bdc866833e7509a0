/// HEADERS and CONTINUATION (RFC 9113 §6.2 and §6.10).
extension H2Connection {
    mutating func beginHeaders() -> H2Event? {
        let frame = reader.frame
        guard frame.stream & 1 == 1 else {
            // Stream 0 carries no block, and even ids are a server's, which may not push.
            return fail(.protocolError, "HEADERS on a stream that a client cannot open")
        }
        let padding = frame.has(FrameFlags.padded) ? 1 : 0
        let priority = frame.has(FrameFlags.priority) ? 5 : 0
        guard frame.length >= padding &+ priority else {
            return fail(.frameSizeError, "HEADERS too short for its flags")
        }
        guard frame.length <= limits.headerBlockBytesMax &+ Self.headersExtraMax else {
            return fail(over: .headerBlock, "a header block is too large")
        }
        reader.continuations = 0
        reader.emptyFragments = 0
        reader.blockCount = 0
        reader.gather(frame.length)
        return nil
    }

    /// Bytes of a HEADERS payload that are not of the block: length of padding, priority, padding.
    static var headersExtraMax: Int { 1 + 5 + 255 }

    mutating func handleHeaders(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        let frame = reader.frame
        var start = 0
        var end = frame.length
        if frame.has(FrameFlags.padded) {
            end &-= Int(payload[0])
            start = 1
        }
        reader.blockDependsOnItself = false
        if frame.has(FrameFlags.priority) {
            guard start &+ 5 <= end else {
                return fail(.protocolError, "padding of HEADERS leaves no room for its fields")
            }
            let depends = payload.bigEndian32(at: start) & FrameHeader.streamMask
            reader.blockDependsOnItself = depends == frame.stream
            start &+= 5
        }
        guard start <= end else {
            return fail(.protocolError, "padding of HEADERS is longer than the frame")
        }
        reader.blockEndsStream = frame.has(FrameFlags.endStream)
        let count = end &- start
        guard count <= limits.headerBlockBytesMax else {
            return fail(over: .headerBlock, "a header block is too large")
        }
        if frame.has(FrameFlags.endHeaders) {
            return finishBlock(frame.stream, payload + start, count)
        }
        if count == 0, let event = countEmptyFragment() { return event }
        // What follows is gathered behind it.
        if gathered.count > 0 {
            gathered.keep(from: start, count: count)
        } else {
            gathered.append(payload + start, count)
        }
        reader.blockStream = frame.stream
        reader.blockCount = count
        return nil
    }

    mutating func beginContinuation() -> H2Event? {
        let frame = reader.frame
        guard reader.blockStream != 0 else {
            return fail(.protocolError, "CONTINUATION outside of a header block")
        }
        reader.continuations &+= 1
        guard reader.continuations <= limits.continuationFramesMax else {
            return fail(
                over: .continuationFrames,
                "a header block has too many CONTINUATION frames"
            )
        }
        guard frame.length <= limits.headerBlockBytesMax &- reader.blockCount else {
            return fail(over: .headerBlock, "a header block is too large")
        }
        if frame.length == 0, !frame.has(FrameFlags.endHeaders),
            let event = countEmptyFragment()
        {
            return event
        }
        reader.gather(frame.length)
        return nil
    }

    private mutating func countEmptyFragment() -> H2Event? {
        reader.emptyFragments &+= 1
        guard reader.emptyFragments <= limits.emptyFragmentsMax else {
            return fail(over: .emptyFragments, "a header block has too many empty frames")
        }
        return nil
    }

    mutating func handleContinuation(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        reader.blockCount &+= reader.frame.length
        guard reader.frame.has(FrameFlags.endHeaders) else { return nil }
        let id = reader.blockStream
        reader.blockStream = 0
        // An empty block has no bytes to point to, but an address all the same.
        return finishBlock(
            id,
            gathered.bytes.map { UnsafePointer($0) } ?? payload,
            reader.blockCount
        )
    }

    // MARK: Whole blocks

    /// What is done with a whole block, by the state of its stream (RFC 9113 §5.1).
    private mutating func finishBlock(
        _ id: UInt32,
        _ block: UnsafePointer<UInt8>,
        _ count: Int
    ) -> H2Event? {
        guard let stream = streams.find(id) else {
            if role == .server, id > lastPeerStream { return openByPeer(id, block, count) }
            return blockOnMissing(id, block, count)
        }
        guard stream.pointee.canReceive else {
            return discard(id, block, count, thenReset: .streamClosed)
        }
        let isTrailers = stream.pointee.hasFinalHeaders
        // RFC 9113 §8.1: trailers end the stream; and §8.1.1 for a content that ends short.
        let isMalformed =
            isTrailers && !reader.blockEndsStream
            || reader.blockEndsStream && stream.pointee.expected > 0 && isTrailers
        guard !isMalformed, !reader.blockDependsOnItself else {
            return discard(id, block, count, thenReset: .protocolError)
        }
        let reference = stream.pointee.reference
        let isClosed = reader.blockEndsStream && endRemote(stream)
        return .headers(
            H2Headers(
                stream: reference,
                block: block,
                count: count,
                endStream: reader.blockEndsStream,
                isTrailers: isTrailers,
                isNew: false,
                isClosed: isClosed
            )
        )
    }

    /// A client's new stream (RFC 9113 §5.1.1).
    private mutating func openByPeer(
        _ id: UInt32,
        _ block: UnsafePointer<UInt8>,
        _ count: Int
    ) -> H2Event? {
        lastPeerStream = id
        guard budgets.streams.take(limits.streams, now: now) else {
            return fail(over: .streams, "streams are opened faster than they end")
        }
        if let lastAccepted, id > lastAccepted {
            // RFC 9113 §6.8. The client is told at once, in case the GOAWAY is still on its way; it
            // may have done nothing wrong, so this is not one of the resets that are counted.
            writeReset(id, .refusedStream)
            streams.remember(id, .resetHere)
            return .discardedHeaders(stream: id, block: block, count: count)
        }
        budgets.priorities.give(thousandths: 4_000)
        budgets.unknownFrames.give()
        guard !reader.blockDependsOnItself else {
            return discard(id, block, count, thenReset: .protocolError)
        }
        guard
            let stream = streams.insert(
                id,
                sendWindow: Int32(truncatingIfNeeded: peerSettings.initialWindowSize),
                receiveWindow: firstReceiveWindow
            )
        else {
            // RFC 9113 §5.1.2: one that may be retried (§8.7).
            return discard(id, block, count, thenReset: .refusedStream)
        }
        stream.pointee.hasFinalHeaders = true
        if reader.blockEndsStream { stream.pointee.state = .halfClosedRemote }
        return .headers(
            H2Headers(
                stream: H2StreamReference(id, nil),
                block: block,
                count: count,
                endStream: reader.blockEndsStream,
                isTrailers: false,
                isNew: true,
                isClosed: false
            )
        )
    }

    /// Bytes that the peer may send on a new stream.
    ///
    /// Before it acknowledged a smaller window it may still count on the initial one; a larger one
    /// it may use at once (RFC 9113 §6.5.3).
    var firstReceiveWindow: Int32 {
        let local = Int32(truncatingIfNeeded: localSettings.initialWindowSize)
        return isAcknowledged ? local : max(local, 65_535)
    }

    private mutating func blockOnMissing(
        _ id: UInt32,
        _ block: UnsafePointer<UInt8>,
        _ count: Int
    ) -> H2Event? {
        guard case .closed(let finding) = missing(id) else {
            return fail(.protocolError, "HEADERS on an idle stream")
        }
        switch finding {
        case .known(.ended):
            return fail(.streamClosed, "HEADERS on a stream that has ended")
        case .known(.resetByPeer):
            // RFC 9113 §5.1 allows to end the connection; one confused stream need not.
            return discard(id, block, count, thenReset: .streamClosed)
        case .known(.resetHere), .forgotten:
            if let event = countLateFrame() { return event }
            return .discardedHeaders(stream: id, block: block, count: count)
        case .neverOpened:
            // RFC 9113 §5.1.1: ids go up.
            return fail(.protocolError, "HEADERS on a stream below one that was opened")
        }
    }

    /// Hands a block to the decoder alone and resets its stream.
    private mutating func discard(
        _ id: UInt32,
        _ block: UnsafePointer<UInt8>,
        _ count: Int,
        thenReset code: H2ErrorCode
    ) -> H2Event {
        // Refused or faulty at once: it was never in the table.
        if streams.find(id) == nil, case .neverOpened = streams.closed.find(id) {
            streams.remember(id, .resetHere)
        }
        if let event = streamError(id, code) {
            // The budget of resets is used up.
            if failure != nil { return event }
            following = event
        }
        return .discardedHeaders(stream: id, block: block, count: count)
    }
}
