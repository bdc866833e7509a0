extension H2Connection {
    /// Checks a frame by its header and says how its payload is read; an event when it is an error.
    mutating func beginFrame() -> H2Event? {
        let frame = reader.frame
        let type = FrameType(rawValue: frame.type)
        guard frame.length <= Int(localSettings.maxFrameSize) else {
            return fail(.frameSizeError, "a frame is longer than SETTINGS_MAX_FRAME_SIZE")
        }
        // RFC 9113 §3.4: SETTINGS comes first.
        if !hasPeerSettings {
            guard type == .settings, !frame.has(FrameFlags.acknowledgement) else {
                return fail(.protocolError, "the first frame is not SETTINGS")
            }
        }
        // RFC 9113 §6.10, and for extensions §5.5.
        if reader.blockStream != 0 {
            guard type == .continuation, frame.stream == reader.blockStream else {
                return fail(.protocolError, "a frame other than CONTINUATION in a header block")
            }
        }
        switch type {
        case .data: return beginData()
        case .headers: return beginHeaders()
        case .continuation: return beginContinuation()
        case .settings: return beginSettings()
        case .goAway: return beginGoAway()
        case .priorityUpdate: return beginPriorityUpdate()
        case .priority: return beginPriority()
        case .pushPromise:
            // RFC 9113 §8.4: clients may not push, and our SETTINGS_ENABLE_PUSH is 0.
            return fail(.protocolError, "PUSH_PROMISE though push is off")
        case .rstStream:
            return beginFixed(4, onStream: true, "RST_STREAM of a length other than 4")
        case .ping:
            return beginFixed(8, onStream: false, "PING of a length other than 8")
        case .windowUpdate:
            return beginFixed(4, onStream: nil, "WINDOW_UPDATE of a length other than 4")
        case nil:
            // RFC 9113 §5.5.
            guard budgets.unknownFrames.take(limits.unknownFrames, now: now) else {
                return fail(over: .unknownFrames, "a flood of frames of unknown types")
            }
            reader.skip(frame.length)
            return nil
        }
    }

    /// A frame of one size, on a stream, on the connection, or (nil) either.
    private mutating func beginFixed(
        _ length: Int,
        onStream: Bool?,
        _ reason: StaticString
    ) -> H2Event? {
        guard reader.frame.length == length else { return fail(.frameSizeError, reason) }
        if let onStream, onStream == (reader.frame.stream == 0) {
            return onStream
                ? fail(.protocolError, "RST_STREAM on stream 0")
                : fail(.protocolError, "PING on a stream")
        }
        reader.gather(length)
        return nil
    }

    private mutating func beginGoAway() -> H2Event? {
        guard reader.frame.stream == 0 else {
            return fail(.protocolError, "GOAWAY on a stream")
        }
        guard reader.frame.length >= 8 else {
            return fail(.frameSizeError, "GOAWAY shorter than 8")
        }
        // The debug data behind them are dropped.
        reader.gather(8)
        return nil
    }

    private mutating func beginPriority() -> H2Event? {
        let frame = reader.frame
        guard frame.stream != 0 else { return fail(.protocolError, "PRIORITY on stream 0") }
        guard budgets.priorities.take(limits.priorities, now: now) else {
            return fail(over: .priorities, "a flood of PRIORITY frames")
        }
        guard frame.length == 5 else {
            // RFC 9113 §6.3: a stream error.
            reader.skip(frame.length)
            return streamError(frame.stream, .frameSizeError)
        }
        reader.gather(5)
        return nil
    }

    private mutating func beginPriorityUpdate() -> H2Event? {
        let frame = reader.frame
        // RFC 9218 §7.1.
        guard role == .server else {
            return fail(.protocolError, "PRIORITY_UPDATE from a server")
        }
        guard frame.stream == 0 else {
            return fail(.protocolError, "PRIORITY_UPDATE on a stream")
        }
        guard frame.length >= 4 else {
            return fail(.frameSizeError, "PRIORITY_UPDATE shorter than 4")
        }
        guard budgets.priorities.take(limits.priorities, now: now) else {
            return fail(over: .priorities, "a flood of PRIORITY_UPDATE frames")
        }
        if frame.length > 4 &+ Self.priorityBytesMax {
            reader.skip(frame.length)
        } else {
            reader.gather(frame.length)
        }
        return nil
    }

    /// Bytes of a priority that are read; what is longer says nothing that is known here.
    private static var priorityBytesMax: Int { 256 }

    /// Handles a payload that was read whole.
    mutating func handle(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        switch FrameType(rawValue: reader.frame.type) {
        case .headers: return handleHeaders(payload)
        case .continuation: return handleContinuation(payload)
        case .settings: return handleSettings(payload)
        case .goAway: return handleGoAway(payload)
        case .priority: return handlePriority(payload)
        case .priorityUpdate: return handlePriorityUpdate(payload)
        case .rstStream: return handleReset(payload)
        case .ping: return handlePing(payload)
        case .windowUpdate: return handleWindowUpdate(payload)
        case .data, .pushPromise, nil: return nil
        }
    }

    /// The old scheme's priorities are not used (RFC 9113 §5.3.2); its errors are errors still.
    private mutating func handlePriority(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        let depends = payload.bigEndian32(at: 0) & FrameHeader.streamMask
        guard depends == reader.frame.stream else { return nil }
        return streamError(reader.frame.stream, .protocolError)
    }

    private mutating func handlePriorityUpdate(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        let id = payload.bigEndian32(at: 0) & FrameHeader.streamMask
        guard id != 0, id & 1 == 1 else {
            return fail(.protocolError, "PRIORITY_UPDATE for no stream that a client can open")
        }
        // For idle streams RFC 9218 §7.1 asks to keep it, and lets a server bound that: none here.
        // The request's own Priority field says the same.
        guard let stream = streams.find(id) else { return nil }
        let priority = H2Priority(parsing: payload + 4, count: reader.frame.length &- 4)
        streams.setPriority(stream, priority)
        return nil
    }

    // MARK: Streams that are not open

    /// What an odd or even id is that is not open.
    enum Missing {
        case idle
        case closed(ClosedStreams.Finding)
    }

    mutating func missing(_ id: UInt32) -> Missing {
        // Nobody pushes: even ids stay idle.
        let isIdle = id & 1 == 0 || (role == .server ? id > lastPeerStream : id >= nextOwnStream)
        return isIdle ? .idle : .closed(streams.closed.find(id))
    }

    /// Counts a frame on a closed stream that may have been under way; an event when there are too
    /// many.
    mutating func countLateFrame() -> H2Event? {
        guard budgets.lateFrames.take(limits.lateFrames, now: now) else {
            return fail(over: .lateFrames, "a flood of frames on closed streams")
        }
        return nil
    }

    /// Answers a fault of the peer on one stream with RST_STREAM (RFC 9113 §5.4.2); the event says
    /// so if the caller knew the stream.
    ///
    /// On an idle stream RST_STREAM may not be sent (§6.4), so there it ends the connection.
    mutating func streamError(_ id: UInt32, _ code: H2ErrorCode) -> H2Event? {
        let stream = streams.find(id)
        if stream == nil, case .idle = missing(id) {
            return fail(code, "a faulty frame on an idle stream")
        }
        guard budgets.ownResets.take(limits.ownResets, now: now) else {
            return fail(over: .serverResets, "too many streams had to be reset")
        }
        writeReset(id, code)
        guard let stream else {
            streams.markResetHere(id)
            return nil
        }
        let reference = stream.pointee.reference
        close(stream, .resetHere)
        return .streamReset(
            H2Reset(stream: reference, code: code, isByPeer: false, isUnprocessed: false)
        )
    }

    /// Forgets a stream; what it holds of the connection's window is given back.
    mutating func close(_ stream: UnsafeMutablePointer<H2Stream>, _ end: ClosedStreams.End) {
        credit(Int(stream.pointee.held))
        if end == .ended { countUsefulStream() }
        streams.remove(stream, end)
    }

    /// A stream that ended as it should pays for its opening and for one that was reset.
    mutating func countUsefulStream() {
        budgets.streams.give()
        budgets.peerResets.give()
        // Clients open the windows of the stream and of the connection once more for each response.
        budgets.windowUpdates.give(thousandths: 2_000)
    }

    /// The peer has sent END_STREAM; true when the stream is closed by it.
    mutating func endRemote(_ stream: UnsafeMutablePointer<H2Stream>) -> Bool {
        guard stream.pointee.canSend else {
            close(stream, .ended)
            return true
        }
        stream.pointee.state = .halfClosedRemote
        return false
    }

    /// This side has sent END_STREAM; the stream may be gone by it.
    mutating func endLocal(_ stream: UnsafeMutablePointer<H2Stream>) {
        guard stream.pointee.canReceive else { return close(stream, .ended) }
        stream.pointee.state = .halfClosedLocal
        stream.pointee.wantsToWrite = false
        streams.refresh(stream)
    }
}
