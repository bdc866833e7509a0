/// DATA and what the receiver's windows allow (RFC 9113 §5.2, §6.1 and §6.9).
extension H2Connection {
    mutating func beginData() -> H2Event? {
        let frame = reader.frame
        guard frame.stream != 0 else { return fail(.protocolError, "DATA on stream 0") }
        // The whole payload counts, padding included (RFC 9113 §6.1), and whatever becomes of it.
        guard frame.length <= Int(receiveWindow) else {
            return fail(.flowControlError, "DATA beyond the connection's window")
        }
        let length = Int32(truncatingIfNeeded: frame.length)
        guard let stream = streams.find(frame.stream) else {
            receiveWindow &-= length
            return dataOnMissing()
        }
        receiveWindow &-= length
        if let code = faultOfData(stream) {
            credit(frame.length)
            reader.skip(frame.length)
            return streamError(frame.stream, code)
        }
        let isPadded = frame.has(FrameFlags.padded)
        guard frame.length >= (isPadded ? 1 : 0) else {
            return fail(.frameSizeError, "DATA too short for its flags")
        }
        stream.pointee.receiveWindow &-= length
        stream.pointee.held &+= length
        reader.padding = 0
        reader.remaining = frame.length
        guard isPadded else { return startData() }
        reader.phase = .padLength
        return nil
    }

    /// The error of a DATA frame on an open stream, by the stream's state and window.
    private func faultOfData(_ stream: UnsafeMutablePointer<H2Stream>) -> H2ErrorCode? {
        if !stream.pointee.canReceive { return .streamClosed }
        // RFC 9113 §8.1: content follows the header section of a final response.
        if !stream.pointee.hasFinalHeaders { return .protocolError }
        if reader.frame.length > Int(stream.pointee.receiveWindow) { return .flowControlError }
        return nil
    }

    private mutating func dataOnMissing() -> H2Event? {
        let frame = reader.frame
        guard case .closed(let finding) = missing(frame.stream) else {
            return fail(.protocolError, "DATA on an idle stream")
        }
        credit(frame.length)
        reader.skip(frame.length)
        switch finding {
        case .known(.ended), .neverOpened:
            return fail(.streamClosed, "DATA on a stream that has ended")
        case .known(.resetByPeer):
            return streamError(frame.stream, .streamClosed)
        case .known(.resetHere), .forgotten:
            return countLateFrame()
        }
    }

    /// The byte that says how much of the payload's end is padding.
    mutating func startPadded(_ padding: Int) -> H2Event? {
        guard padding < reader.frame.length else {
            return fail(.protocolError, "padding of DATA is longer than the frame")
        }
        reader.padding = padding
        reader.remaining = reader.frame.length &- 1 &- padding
        // Padding is never the caller's to pass on.
        consume(reader.frame.stream, padding &+ 1)
        return startData()
    }

    /// Begins to pass content on, once its length is known.
    private mutating func startData() -> H2Event? {
        let id = reader.frame.stream
        let length = reader.remaining
        let endsStream = reader.frame.has(FrameFlags.endStream)
        guard let stream = streams.find(id) else {
            // The caller reset it between two pieces.
            reader.skip(length &+ reader.padding)
            return nil
        }
        let expected = stream.pointee.expected
        if expected >= 0 {
            guard length <= expected, !endsStream || Int64(length) == expected else {
                reader.skip(length &+ reader.padding)
                return streamError(id, .protocolError)
            }
            stream.pointee.expected = expected &- Int64(length)
        }
        guard length == 0 else {
            budgets.pings.give()
            reader.phase = .data
            return nil
        }
        reader.skip(reader.padding)
        if endsStream { return endOfData(stream, at: nil, count: 0) }
        guard budgets.emptyData.take(limits.emptyData, now: now) else {
            return fail(over: .emptyData, "a flood of empty DATA frames")
        }
        return nil
    }

    /// Passes on what there is of the frame's content.
    ///
    /// Safe: the event's bytes lie in `bytes[consumed..<count]`.
    mutating func passData(
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int,
        _ consumed: inout Int
    ) -> H2Event? {
        guard let stream = streams.find(reader.frame.stream) else {
            // The caller reset it between two pieces; what it held is given back already.
            reader.skip(reader.remaining &+ reader.padding)
            return nil
        }
        let start = bytes + consumed
        let part = min(reader.remaining, count &- consumed)
        consumed &+= part
        reader.remaining &-= part
        if reader.remaining == 0 {
            reader.skip(reader.padding)
            if reader.frame.has(FrameFlags.endStream) {
                return endOfData(stream, at: start, count: part)
            }
        }
        return .data(
            H2Data(
                stream: stream.pointee.reference,
                bytes: start,
                count: part,
                endStream: false,
                isClosed: false
            )
        )
    }

    private mutating func endOfData(
        _ stream: UnsafeMutablePointer<H2Stream>,
        at start: UnsafeMutablePointer<UInt8>?,
        count: Int
    ) -> H2Event {
        let reference = stream.pointee.reference
        let isClosed = endRemote(stream)
        return .data(
            H2Data(
                stream: reference,
                bytes: start,
                count: count,
                endStream: true,
                isClosed: isClosed
            )
        )
    }

    // MARK: Windows for the peer

    /// Says that so many bytes of a stream's content were passed on.
    ///
    /// The windows open again when half of one is passed on: fewer frames than for each piece, and
    /// the peer never waits while its receiver keeps up. For a stream that is closed it does
    /// nothing: its bytes were given back then.
    public mutating func consume(_ id: UInt32, _ count: Int) {
        guard let stream = streams.find(id), count > 0 else { return }
        precondition(
            count <= Int(stream.pointee.held),
            "\(count) bytes passed on of \(stream.pointee.held) on stream \(id)"
        )
        stream.pointee.held &-= Int32(truncatingIfNeeded: count)
        credit(count)
        // Who has ended the stream needs no window on it.
        guard stream.pointee.canReceive else { return }
        stream.pointee.unannounced &+= Int32(truncatingIfNeeded: count)
        let unannounced = stream.pointee.unannounced
        guard unannounced >= max(1, Int32(localSettings.initialWindowSize / 2)) else { return }
        stream.pointee.unannounced = 0
        stream.pointee.receiveWindow &+= unannounced
        writeWindowUpdate(id, unannounced)
    }

    /// Gives bytes back to the connection's window.
    mutating func credit(_ count: Int) {
        unannounced &+= Int32(truncatingIfNeeded: count)
        guard unannounced >= Int32(limits.connectionWindowBytes / 2) else { return }
        receiveWindow &+= unannounced
        writeWindowUpdate(0, unannounced)
        unannounced = 0
    }
}
