import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// The response's body on its way to the client.
extension Worker {
    /// Moves the response's body as far as both sides allow.
    mutating func pumpResponse(_ exchange: UnsafeMutablePointer<Exchange>) {
        var turns = Self.turnsMax
        while exchange.pointee.response == .body, !exchange.pointee.isEnded {
            if exchange.pointee.responseBody.hasHeld, !flushResponse(exchange) { return }
            if exchange.pointee.responseBody.transform != nil {
                switch goOnBody(exchange, .response) {
                case .more: break
                case .done:
                    finishWritten(exchange)
                    return
                case .blocked, .waiting, .left: return
                }
            } else if exchange.pointee.responseBody.reader.isDone,
                exchange.pointee.responseBody.spliced == 0
            {
                finish(exchange)
                return
            }
            guard let up = exchange.pointee.up else {
                if exchange.pointee.cache != nil { pumpAnswer(exchange) }
                return
            }
            if let input = up.pointee.input, up.pointee.inputCount > 0 {
                // It came with a head that had to wait.
                let count = up.pointee.inputCount
                up.pointee.input = nil
                up.pointee.inputCount = 0
                forwardResponse(exchange, up, headCount: 0, input.bytes, count)
                buffers.give(input)
                continue
            }
            if up.pointee.isStream {
                guard pumpStream(exchange, up) else { return }
                continue
            }
            guard up.pointee.flags.contains(.readable) || exchange.pointee.responseBody.spliced > 0
            else {
                armRead(up, exchange)
                _ = flushStages(exchange, .response)
                return
            }
            guard turns > 0 else {
                enqueue(exchange.pointee.down)
                return
            }
            turns &-= 1
            if exchange.pointee.responseBody.canSplice,
                exchange.pointee.down.pointee.isPlain, up.pointee.isPlain
            {
                guard spliceResponse(exchange, up) else { return }
                // No pipe to be had: copy.
            }
            readResponseBody(exchange, up)
        }
    }

    /// Takes what came on a stream; false when there is nothing more now.
    private mutating func pumpStream(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        if let arrived = takeArrived(up), let bytes = arrived.bytes {
            forwardResponse(exchange, up, headCount: 0, bytes, arrived.count)
            return true
        }
        guard !exchange.pointee.responseBody.reader.isDone else { return false }
        if up.pointee.flags.contains(.ended) {
            forwardResponse(exchange, up, headCount: 0, scratch, 0)
            return true
        }
        if up.pointee.flags.contains(.failed) {
            upstreamCut(exchange)
        } else {
            armRead(up, exchange)
            _ = flushStages(exchange, .response)
        }
        return false
    }

    /// Moves the body by a pipe; true when it must be copied instead.
    private mutating func spliceResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        let down = exchange.pointee.down
        var moved = 0
        var read = 0
        let result = splice(
            &exchange.pointee.responseBody,
            from: up.pointee.fd,
            to: down.pointee.fd,
            moved: &moved,
            read: &read
        )
        if moved > 0 { exchange.pointee.lastWrite = now }
        exchange.pointee.context.facts.bytes_out &+= UInt64(moved)
        switch result {
        case .unavailable: return true
        case .done: finish(exchange)
        case .empty:
            up.pointee.flags.remove(.readable)
            armRead(up, exchange)
        case .blocked: armWrite(exchange)
        case .turn: enqueue(down)
        case .ended, .readFailed: upstreamCut(exchange)
        case .writeFailed: clientGone(exchange)
        }
        return false
    }

    private mutating func readResponseBody(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        let room = min(
            exchange.pointee.listener.pointee.settings.limits.bufferBytes,
            Self.scratchBytes &- ChunkLimits.trailerBytesMax &- 64
        )
        let count = up.receive(scratch, room)
        guard count > 0 else {
            if count == Syscall.wouldBlock { return }
            if count == 0, exchange.pointee.responseBody.reader.kind == .untilClose {
                exchange.pointee.responseBody.reader.finish()
                exchange.pointee.flags.insert(.closeUpstream)
                forwardResponse(exchange, up, headCount: 0, scratch, 0)
            } else {
                upstreamCut(exchange)
            }
            return
        }
        forwardResponse(exchange, up, headCount: 0, scratch, count)
    }

    /// Writes a head and a run of the peer's bytes.
    mutating func forwardResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        headCount: Int,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) {
        var result = BodyReader.Result()
        if up.pointee.isStream {
            result = exchange.pointee.responseBody.reader.read(bytes, count)
            credit(up, result.consumed)
            noteEnd(exchange, up)
        } else if count > 0 {
            result = readBody(&exchange.pointee.responseBody, bytes, count)
            // What is behind the response was not asked for: the connection is not used again.
            if result.consumed < count { exchange.pointee.flags.insert(.closeUpstream) }
        }
        exchange.pointee.responseBody.byteCount &+= UInt64(result.dataCount)
        let isEnd = exchange.pointee.responseBody.reader.isDone && result.error == nil
        // Before the client sees the end, so that whoever asks next counts it no more.
        if isEnd { leavePeer(exchange, up) }
        if let transform = exchange.pointee.responseBody.transform {
            transform.pointee.pendingHead = headCount
            transformResponse(exchange, up, bytes, result, isEnd: isEnd)
            return
        }
        let written = emitResponse(
            exchange,
            headCount: headCount,
            data: bytes + result.dataStart,
            count: result.dataCount,
            isEnd: isEnd
        )
        guard written != .failed else { return }
        if result.error != nil {
            upstreamCut(exchange)
            return
        }
        if isEnd, written == .done { finish(exchange) }
    }

    /// Gives a run of the peer's bytes to the plugins.
    private mutating func transformResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ result: BodyReader.Result,
        isEnd: Bool
    ) {
        let progress = feed(
            exchange,
            .response,
            bytes + result.dataStart,
            result.dataCount,
            isEnd: isEnd,
            flush: !up.pointee.flags.contains(.readable)
        )
        guard !exchange.pointee.isEnded, exchange.pointee.up == up else { return }
        // Also when the client has left meanwhile: what broke is not stored.
        if result.error != nil {
            upstreamCut(exchange)
        } else if progress == .done {
            finishWritten(exchange)
        }
    }

    /// All of the body has come out of the plugins; the client may still have to take some.
    mutating func finishWritten(_ exchange: UnsafeMutablePointer<Exchange>) {
        if !exchange.pointee.responseBody.hasHeld { finish(exchange) }
    }

    /// Writes to the client; a failure ends the exchange.
    mutating func emitResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        headCount: Int,
        data: UnsafePointer<UInt8>,
        count: Int,
        isEnd: Bool
    ) -> WriteResult {
        var sent = 0
        let result = writeDown(
            exchange,
            headCount: headCount,
            data: data,
            count: count,
            isEnd: isEnd,
            sent: &sent
        )
        if sent > 0 { exchange.pointee.lastWrite = now }
        exchange.pointee.context.facts.bytes_out &+= UInt64(count)
        if result == .failed {
            clientGone(exchange)
        } else if result == .blocked {
            armWrite(exchange)
        }
        return result
    }

    /// Writes what is held for the client; false when the exchange can't go on now.
    mutating func flushResponse(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        var sent = 0
        let result = flushDown(exchange, sent: &sent)
        if sent > 0 { exchange.pointee.lastWrite = now }
        switch result {
        case .done: return true
        case .blocked: return false
        case .failed:
            clientGone(exchange)
            return false
        }
    }

    /// The peer failed after its response had begun: the client must not take what it got for the
    /// whole.
    mutating func upstreamCut(_ exchange: UnsafeMutablePointer<Exchange>) {
        if let up = exchange.pointee.up {
            let text = peers[Int(up.pointee.peer)].text
            log.write(2) { line in
                line.text("peer ")
                line.escaped(text.bytes, text.count)
                line.text(" ended in the middle of its response")
            }
            peers[Int(up.pointee.peer)].setFailures(true)
        }
        exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_UPSTREAM_CUT)
        noteReason(exchange, "the peer ended in the middle of its response")
        cut(exchange)
    }
}
