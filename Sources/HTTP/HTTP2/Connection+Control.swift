/// SETTINGS, PING, RST_STREAM, WINDOW_UPDATE and GOAWAY as received (RFC 9113 §6).
extension H2Connection {
    mutating func beginSettings() -> H2Event? {
        let frame = reader.frame
        guard frame.stream == 0 else {
            return fail(.protocolError, "SETTINGS on a stream")
        }
        guard budgets.settings.take(limits.settings, now: now) else {
            return fail(over: .settings, "a flood of SETTINGS frames")
        }
        if frame.has(FrameFlags.acknowledgement) {
            guard frame.length == 0 else {
                return fail(.frameSizeError, "SETTINGS with ACK and a payload")
            }
            return acknowledged()
        }
        guard frame.length % H2Settings.entryBytes == 0 else {
            return fail(.frameSizeError, "SETTINGS of a length that is no multiple of 6")
        }
        guard frame.length <= limits.settingsEntriesMax &* H2Settings.entryBytes else {
            return fail(over: .settingsEntries, "SETTINGS has too many entries")
        }
        reader.gather(frame.length)
        return nil
    }

    mutating func handleSettings(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        let isFirst = !hasPeerSettings
        var at = 0
        // One after the other (RFC 9113 §6.5.3): a window that is too large in between is an error.
        while at < reader.frame.length {
            let windowBefore = peerSettings.initialWindowSize
            if let failure = peerSettings.apply(
                payload.bigEndian16(at: at),
                payload.bigEndian32(at: at &+ 2),
                isFirst: isFirst,
                sender: role == .server ? .client : .server
            ) {
                return fail(failure)
            }
            at &+= H2Settings.entryBytes
            let change = Int64(peerSettings.initialWindowSize) &- Int64(windowBefore)
            if change != 0, !moveSendWindows(by: change) {
                return fail(.flowControlError, "SETTINGS makes a window larger than 2^31-1")
            }
        }
        hasPeerSettings = true
        writeSettingsAcknowledgement()
        return .settings
    }

    /// Applies a new initial size to all streams (RFC 9113 §6.9.2); false when one overflows.
    private mutating func moveSendWindows(by change: Int64) -> Bool {
        var slot = 0
        while let stream = streams.firstOpen(from: slot) {
            slot = Int(stream.pointee.slot) &+ 1
            // It may go below zero, not below -2^31: sizes go up to 2^31-1 and a window at most
            // that far below one of them.
            let window = Int64(stream.pointee.sendWindow) &+ change
            guard let size = Int32(exactly: window) else { return false }
            stream.pointee.sendWindow = size
            streams.refresh(stream)
        }
        return true
    }

    /// The peer has taken our settings (RFC 9113 §6.5.3).
    private mutating func acknowledged() -> H2Event? {
        reader.phase = .header
        guard !isAcknowledged else {
            return fail(.protocolError, "SETTINGS with ACK, but none was sent")
        }
        isAcknowledged = true
        // A smaller window holds from here on; streams that were opened before counted on more.
        let change = Int32(truncatingIfNeeded: localSettings.initialWindowSize) &- 65_535
        guard change < 0 else { return .settingsAcknowledged }
        var slot = 0
        while let stream = streams.firstOpen(from: slot) {
            slot = Int(stream.pointee.slot) &+ 1
            stream.pointee.receiveWindow &+= change
        }
        return .settingsAcknowledged
    }

    mutating func handlePing(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        guard budgets.pings.take(limits.pings, now: now) else {
            return fail(over: .pings, "a flood of PING frames")
        }
        guard reader.frame.has(FrameFlags.acknowledgement) else {
            writePing(payload, flags: FrameFlags.acknowledgement)
            return nil
        }
        let number =
            UInt64(payload.bigEndian32(at: 0)) &<< 32 | UInt64(payload.bigEndian32(at: 4))
        // An answer to nothing has no effect; the budget bounds it.
        guard let sentAt = pingSentAt, number == pingNumber else { return nil }
        pingSentAt = nil
        return .pingAnswered(milliseconds: now > sentAt ? now &- sentAt : 0)
    }

    mutating func handleReset(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        let id = reader.frame.stream
        guard let stream = streams.find(id) else {
            guard case .closed = missing(id) else {
                return fail(.protocolError, "RST_STREAM on an idle stream")
            }
            // It may have been sent before the peer knew of the stream's end (RFC 9113 §5.1).
            return countLateFrame()
        }
        // A client that has the whole response only ends its own upload.
        if role == .server, stream.pointee.canSend,
            !budgets.peerResets.take(limits.peerResets, now: now)
        {
            return fail(over: .clientResets, "too many streams were reset by the client")
        }
        let code = H2ErrorCode(rawValue: payload.bigEndian32(at: 0))
        let reference = stream.pointee.reference
        close(stream, .resetByPeer)
        return .streamReset(
            H2Reset(
                stream: reference,
                code: code,
                isByPeer: true,
                isUnprocessed: role == .client && code == .refusedStream
            )
        )
    }

    mutating func handleWindowUpdate(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        guard budgets.windowUpdates.take(limits.windowUpdates, now: now) else {
            return fail(over: .windowUpdates, "a flood of WINDOW_UPDATE frames")
        }
        let id = reader.frame.stream
        let increment = Int32(truncatingIfNeeded: payload.bigEndian32(at: 0) & 0x7FFF_FFFF)
        if id == 0 {
            guard increment > 0 else {
                return fail(.protocolError, "WINDOW_UPDATE by 0 for the connection")
            }
            let (sum, isOver) = sendWindow.addingReportingOverflow(increment)
            guard !isOver else {
                return fail(.flowControlError, "the connection's window is over 2^31-1")
            }
            sendWindow = sum
            return .windowOpened(nil)
        }
        guard let stream = streams.find(id) else {
            guard case .closed = missing(id) else {
                return fail(.protocolError, "WINDOW_UPDATE on an idle stream")
            }
            // Usual for a while after the last byte of a response (RFC 9113 §5.1).
            return nil
        }
        guard increment > 0 else { return streamError(id, .protocolError) }
        let (sum, isOver) = stream.pointee.sendWindow.addingReportingOverflow(increment)
        guard !isOver else { return streamError(id, .flowControlError) }
        stream.pointee.sendWindow = sum
        streams.refresh(stream)
        return .windowOpened(stream.pointee.reference)
    }

    mutating func handleGoAway(_ payload: UnsafePointer<UInt8>) -> H2Event? {
        let last = payload.bigEndian32(at: 0) & FrameHeader.streamMask
        let code = H2ErrorCode(rawValue: payload.bigEndian32(at: 4))
        reader.skip(reader.frame.length &- 8)
        if let lastProcessed {
            // RFC 9113 §6.8: what was given up stays given up.
            guard last <= lastProcessed else {
                return fail(.protocolError, "GOAWAY with a higher stream than before")
            }
            // A repetition is legal but free for its sender.
            if let event = countLateFrame() { return event }
        }
        lastProcessed = last
        hasUnprocessed = role == .client
        return .goAway(lastStream: last, code: code)
    }
}
