import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// The request's way to the peer.
extension Worker {
    /// Writes the head, if there is one, and moves the body as far as both sides allow.
    mutating func pumpRequest(_ exchange: UnsafeMutablePointer<Exchange>, headCount: Int = 0) {
        guard let up = exchange.pointee.up, up.pointee.state == .active else { return }
        var headCount = headCount
        var turns = Self.turnsMax
        while true {
            if exchange.pointee.requestBody.hasHeld, !flushRequest(exchange, up) { return }
            if exchange.pointee.requestBody.spliced > 0 {
                // What is in the pipe has been read already: it goes on without the client.
                guard spliceRequest(exchange, up) == true else { return }
            }
            if exchange.pointee.requestBody.transform != nil {
                guard goesOn(exchange, goOnBody(exchange, .request)) else { return }
            } else if exchange.pointee.requestBody.reader.isDone, headCount == 0 {
                requestSent(exchange)
                return
            }
            var bytes = scratch
            var count = 0
            if !exchange.pointee.requestBody.reader.isDone {
                guard
                    nextRequestBytes(
                        exchange,
                        up,
                        headCount: headCount,
                        turns: &turns,
                        &bytes,
                        &count
                    )
                else { return }
            }
            guard forward(exchange, up, headCount: headCount, bytes, count) else { return }
            headCount = 0
        }
    }

    /// Writes what is held; false when the request can't go on now.
    private mutating func flushRequest(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        var sent = 0
        let result = flushUp(exchange, up, sent: &sent)
        if sent > 0 {
            exchange.pointee.flags.insert(.sentToPeer)
            armWrite(up, exchange)
        }
        switch result {
        case .done:
            // The client was not asked for more while the peer took none: its rate counts anew.
            exchange.pointee.rateStart = now
            exchange.pointee.rateBytes = exchange.pointee.requestBody.byteCount
            exchange.pointee.lastRead = now
            return true
        case .blocked: return false
        case .failed:
            requestWriteFailed(exchange)
            return false
        }
    }

    /// Gets the next bytes of the body: those that wait, or by a read.
    ///
    /// - Returns: false when the body can't go on now. A head alone goes out without bytes.
    private mutating func nextRequestBytes(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        headCount: Int,
        turns: inout Int,
        _ bytes: inout UnsafeMutablePointer<UInt8>,
        _ count: inout Int
    ) -> Bool {
        let down = exchange.pointee.down
        if let input = waitingInput(down) {
            (bytes, count) = input
            return true
        }
        if headCount > 0 { return true }
        if down.pointee.isStream, down.pointee.flags.contains(.ended) { return true }
        guard down.pointee.flags.contains(.readable) else {
            armBody(exchange)
            _ = flushStages(exchange, .request)
            return false
        }
        guard turns > 0 else {
            enqueue(down)
            return false
        }
        turns &-= 1
        if canSpliceRequest(exchange, up) {
            guard let result = spliceRequest(exchange, up) else { return false }
            if !result { return false }
        }
        return readRequestBody(exchange, &bytes, &count)
    }

    private mutating func canSpliceRequest(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        exchange.pointee.requestBody.canSplice && !keepsReplay(exchange, up)
            && exchange.pointee.down.pointee.isPlain && up.pointee.isPlain
    }

    /// Moves the body by a pipe.
    ///
    /// True: copy instead; false: the body can't go on now; nil: it is done or failed, and was
    /// dealt with.
    private mutating func spliceRequest(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool? {
        let down = exchange.pointee.down
        var moved = 0
        var read = 0
        let result = splice(
            &exchange.pointee.requestBody,
            from: down.pointee.fd,
            to: up.pointee.fd,
            moved: &moved,
            read: &read
        )
        if read > 0 { exchange.pointee.lastRead = now }
        if moved > 0 {
            exchange.pointee.flags.insert(.sentToPeer)
            armWrite(up, exchange)
        }
        switch result {
        case .unavailable: return true
        case .done: requestSent(exchange)
        case .empty:
            down.pointee.flags.remove(.readable)
            armBody(exchange)
        case .blocked: break
        case .turn: enqueue(down)
        case .ended, .readFailed: clientGone(exchange)
        case .writeFailed: requestWriteFailed(exchange)
        }
        return nil
    }

    mutating func readRequestBody(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: inout UnsafeMutablePointer<UInt8>,
        _ count: inout Int
    ) -> Bool {
        let down = exchange.pointee.down
        var room = min(
            exchange.pointee.listener.pointee.settings.limits.bufferBytes,
            Self.scratchBytes &- ChunkLimits.trailerBytesMax &- 64
        )
        if exchange.pointee.requestBody.reader.kind == .length {
            // Not a byte of the next request is read.
            room = Int(min(Int64(room), exchange.pointee.requestBody.reader.remaining))
        }
        let got = down.receive(scratch, room)
        guard got > 0 else {
            if got == Syscall.wouldBlock {
                armBody(exchange)
            } else {
                clientGone(exchange)
            }
            return false
        }
        exchange.pointee.lastRead = now
        bytes = scratch
        count = got
        return true
    }

    /// Writes a head and a run of the client's bytes; what is behind the body is kept.
    ///
    /// - Returns: whether the body may go on.
    private mutating func forward(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        headCount: Int,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        var result = BodyReader.Result()
        if count > 0 || exchange.pointee.down.pointee.isStream {
            guard readMessage(exchange, bytes, count, &result) else { return false }
            guard countRequestBody(exchange, result.dataCount) else { return false }
        }
        let data = UnsafePointer(bytes + result.dataStart)
        if result.dataCount > 0 { exchange.pointee.flags.remove(.awaitsContinue) }
        let isEnd = exchange.pointee.requestBody.reader.isDone
        if exchange.pointee.requestBody.transform != nil {
            let progress = feed(
                exchange,
                .request,
                data,
                result.dataCount,
                isEnd: isEnd,
                flush: !exchange.pointee.down.pointee.flags.contains(.readable)
            )
            return goesOn(exchange, progress)
        }
        let written = sendToPeer(
            exchange,
            up,
            headCount: headCount,
            data,
            result.dataCount,
            isEnd: isEnd
        )
        return written == .done
    }

    /// Counts bytes of the body; false when it is over its bound, and was answered.
    mutating func countRequestBody(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ count: Int
    ) -> Bool {
        exchange.pointee.requestBody.byteCount &+= UInt64(count)
        guard
            exchange.pointee.requestBody.byteCount
                <= UInt64(exchange.pointee.listener.pointee.bodyBytesMax)
        else {
            bodyTooLarge(exchange)
            return false
        }
        return true
    }

    /// Acts on how far plugins let a body go; true when its next bytes are wanted.
    private mutating func goesOn(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ progress: BodyProgress
    ) -> Bool {
        switch progress {
        case .more: return true
        case .done: requestSent(exchange)
        case .blocked, .waiting, .left: break
        }
        return false
    }

    /// Writes a head and a run of body to the peer.
    ///
    /// Other than `.done` were dealt with.
    mutating func sendToPeer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        headCount: Int,
        _ data: UnsafePointer<UInt8>,
        _ count: Int,
        isEnd: Bool
    ) -> WriteResult {
        let keeps = count > 0 && keepsReplay(exchange, up)
        if keeps { keepReplay(exchange, data, count) }
        var sent = 0
        let written = writeUp(
            exchange,
            up,
            headCount: headCount,
            data: data,
            count: count,
            isEnd: isEnd,
            sent: &sent
        )
        if sent > 0 {
            exchange.pointee.flags.insert(.sentToPeer)
        } else if written == .failed, !exchange.pointee.flags.contains(.sentToPeer), !keeps {
            // Nothing of the request has left, so even one that must not be repeated may go again.
            keepReplay(exchange, data, count)
        }
        switch written {
        case .done: break
        case .blocked: armWrite(up, exchange)
        case .failed: requestWriteFailed(exchange)
        }
        return written
    }

    /// Splits a run of the client's bytes into body and what is behind it.
    ///
    /// - Returns: false when the body broke a rule and the request was answered.
    mutating func readMessage(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int,
        _ result: inout BodyReader.Result
    ) -> Bool {
        if exchange.pointee.down.pointee.isStream {
            result = exchange.pointee.requestBody.reader.read(bytes, count)
            consume(exchange.pointee.down, bytes, count, consumed: result.consumed)
            credit(exchange.pointee.down, result.consumed)
            noteEnd(exchange)
            return true
        }
        result = readBody(&exchange.pointee.requestBody, bytes, count)
        if let error = result.error {
            badRequestBody(exchange, error, status: result.isTooLarge ? 431 : 400)
            return false
        }
        consume(exchange.pointee.down, bytes, count, consumed: result.consumed)
        return true
    }

    /// Takes bytes off where they came from; those behind the message are kept.
    mutating func consume(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int,
        consumed: Int
    ) {
        if restOwner == down, restCount > 0 {
            rest += consumed
            restCount &-= consumed
        } else if down.pointee.input != nil, down.pointee.inputCount > 0 {
            down.pointee.inputStart &+= UInt32(consumed)
            // The block stays, though it may be empty now: `bytes` points into it.
        } else if consumed < count {
            keepInput(down, bytes + consumed, count &- consumed)
        }
    }

    // MARK: The end of the request

    /// All of the request has been given to the peer.
    private mutating func requestSent(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.requestBody.isFinished = true
        if exchange.pointee.down.pointee.inputCount == 0 { freeInput(exchange.pointee.down) }
        guard let up = exchange.pointee.up, let upstream = exchange.pointee.upstream else { return }
        guard !exchange.pointee.head.framing.isNone else { return }
        if exchange.pointee.response == .body {
            // The response has begun before the request's end.
            armRead(up, exchange)
        } else {
            timers.set(
                timer(of: up),
                deadline: responseDeadline(exchange, up, upstream)
            )
        }
    }

    /// The peer takes no more.
    ///
    /// It may have answered before, so its answer is looked for first.
    mutating func requestWriteFailed(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up else { return }
        // The answer is read into the scratch, where the client's next bytes may still lie.
        keepRest(exchange.pointee.down)
        releaseHeld(&exchange.pointee.requestBody)
        exchange.pointee.requestBody.endsHeld = false
        exchange.pointee.flags.insert([.peerStoppedReading, .closeUpstream])
        exchange.pointee.requestBody.isFinished = true
        exchange.pointee.requestBody.isBlocked = false
        if !up.pointee.isStream { up.pointee.flags.insert([.readable, .readClosed]) }
        if exchange.pointee.response == .head { readResponseHead(exchange) }
    }

    private mutating func badRequestBody(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ error: ChunkError,
        status: UInt16
    ) {
        log.write(3) { line in
            line.number(Int(status))
            line.text(": request body refused: ")
            line.text("\(error)")
            line.text("; client ")
            line.address(
                exchange.pointee.down.pointee.ip,
                port: exchange.pointee.down.pointee.port
            )
        }
        exchange.pointee.flags.insert(.closeDownstream)
        exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_MALFORMED)
        noteReason(exchange, text: "request body refused: \(error)")
        replyOrCut(exchange, status, reason: "")
    }

    private mutating func bodyTooLarge(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.flags.insert(.closeDownstream)
        replyOrCut(exchange, 413, reason: "limits.body: the body is over it")
    }

    // MARK: Keeping the body for another attempt

    /// Whether the body must be kept: the connection may turn out to be closed already, and the
    /// method may be repeated.
    private mutating func keepsReplay(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        // Streams may be refused, which says that nothing was done (RFC 9113 §8.7).
        (up.pointee.isStream
            || exchange.pointee.head.method.isIdempotent
                && (up.pointee.flags.contains(.reused) || triesSentAgain(exchange)))
            && !exchange.pointee.flags.contains(.replayOverflow)
    }

    /// Whether the upstream's `retries.on` has what may happen after the body was sent.
    private mutating func triesSentAgain(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.failover?.pointee.plan.pointee.on.includesSent == true
    }

    private mutating func keepReplay(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ data: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        guard let upstream = exchange.pointee.upstream, count > 0 else { return }
        let limit = upstream.pointee.retries.replayBytes
        let total = exchange.pointee.replayCount &+ count
        guard total <= limit else {
            exchange.pointee.flags.insert(.replayOverflow)
            releaseReplay(exchange)
            return
        }
        if let block = exchange.pointee.replay, block.capacity < total {
            let larger = buffers.take(total)
            larger.bytes.update(from: block.bytes, count: exchange.pointee.replayCount)
            buffers.give(block)
            exchange.pointee.replay = larger
        }
        let block = exchange.pointee.replay ?? buffers.take(total)
        exchange.pointee.replay = block
        (block.bytes + exchange.pointee.replayCount).update(from: data, count: count)
        exchange.pointee.replayCount = total
    }

    mutating func releaseReplay(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let block = exchange.pointee.replay else { return }
        buffers.give(block)
        exchange.pointee.replay = nil
        exchange.pointee.replayCount = 0
    }

    /// Sends the head and the body bytes that an earlier attempt had read, then goes on.
    mutating func replayRequest(_ exchange: UnsafeMutablePointer<Exchange>, headCount: Int) {
        guard let up = exchange.pointee.up, let block = exchange.pointee.replay else { return }
        var sent = 0
        let written = writeUp(
            exchange,
            up,
            headCount: headCount,
            data: block.bytes,
            count: exchange.pointee.replayCount,
            isEnd: exchange.pointee.requestBody.transform?.pointee.isDone
                ?? exchange.pointee.requestBody.reader.isDone,
            sent: &sent
        )
        if sent > 0 { exchange.pointee.flags.insert(.sentToPeer) }
        switch written {
        case .done: pumpRequest(exchange)
        case .blocked: armWrite(up, exchange)
        case .failed: requestWriteFailed(exchange)
        }
    }
}
