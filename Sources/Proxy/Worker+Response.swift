import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// The response's head: read, checked, passed through the hooks and written.
extension Worker {
    /// Reads until the response's head is whole, and begins to pass it on.
    mutating func readResponseHead(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up, up.pointee.state == .active else { return }
        if exchange.pointee.responseBody.hasHeld {
            // An interim response had to wait; what came behind it is looked at now.
            guard flushResponse(exchange) else { return }
            if let input = up.pointee.input {
                parseResponse(exchange, up, input.bytes, up.pointee.inputCount)
                if exchange.pointee.isEnded || exchange.pointee.responseBody.hasHeld { return }
                guard exchange.pointee.up == up else { return }
            }
        }
        if up.pointee.isStream {
            readStreamHead(exchange, up)
            return
        }
        while exchange.pointee.response == .head, up.pointee.flags.contains(.readable) {
            let (to, room) = responseRoom(up)
            let count = up.receive(to, room)
            guard count > 0 else {
                if count == Syscall.wouldBlock,
                    !exchange.pointee.flags.contains(.peerStoppedReading)
                {
                    return
                }
                upstreamFailedBeforeResponse(
                    exchange,
                    status: 502,
                    reason: "the peer closed before its response"
                )
                return
            }
            if let input = up.pointee.input {
                up.pointee.inputCount &+= count
                parseResponse(exchange, up, input.bytes, up.pointee.inputCount)
            } else {
                parseResponse(exchange, up, scratch, count)
            }
            if exchange.pointee.isEnded { return }
            if exchange.pointee.responseBody.hasHeld { return }
            // The response was dropped for another attempt.
            guard exchange.pointee.up == up else { return }
        }
    }

    private mutating func responseRoom(
        _ up: UnsafeMutablePointer<Upstream>
    ) -> (UnsafeMutablePointer<UInt8>, Int) {
        guard let input = up.pointee.input else { return (scratch, Self.headReadBytes) }
        let count = up.pointee.inputCount
        if count < input.capacity { return (input.bytes + count, input.capacity &- count) }
        let larger = buffers.take(count &+ 1)
        larger.bytes.update(from: input.bytes, count: count)
        buffers.give(input)
        up.pointee.input = larger
        return (larger.bytes + count, larger.capacity &- count)
    }

    /// Parses heads until the final one: interim responses are passed on on the way.
    mutating func parseResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) {
        let limits = responseLimits
        var at = 0
        if up.pointee.input != nil, count < limits.headBytesMax,
            !up.pointee.scanner.found(in: bytes, count: count)
        {
            return
        }
        while at < count {
            var head = ResponseHead()
            switch HeadParser.parseResponse(
                bytes + at,
                count: count &- at,
                limits: limits,
                fields: responseFields,
                requestMethod: exchange.pointee.head.method,
                into: &head
            )
            {
            case .incomplete:
                keepResponse(up, bytes + at, count &- at)
                return
            case .invalid(let error):
                badResponse(exchange, "\(error)")
                return
            case .complete: break
            }
            let end = at &+ Int(head.byteCount)
            if head.status < 200, head.status != 101 {
                guard passInterim(exchange, bytes + at, head) else { return }
                at = end
                if exchange.pointee.responseBody.hasHeld {
                    keepResponse(up, bytes + at, count &- at)
                    return
                }
                continue
            }
            beginResponse(exchange, up, bytes + at, head, bytes + end, count &- end)
            return
        }
        freeInput(up)
    }

    /// Keeps part of a head; its bytes may lie in the present block.
    private mutating func keepResponse(
        _ up: UnsafeMutablePointer<Upstream>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        guard count > 0 else {
            freeInput(up)
            return
        }
        let old = up.pointee.input
        if let old, bytes == UnsafePointer(old.bytes) {
            up.pointee.inputCount = count
            return
        }
        let block = buffers.take(count)
        block.bytes.update(from: bytes, count: count)
        if let old { buffers.give(old) }
        up.pointee.input = block
        up.pointee.inputCount = count
        up.pointee.scanner = HeadEndScanner()
    }

    mutating func badResponse(_ exchange: UnsafeMutablePointer<Exchange>, _ why: String) {
        let peer = exchange.pointee.up.map { peers[Int($0.pointee.peer)].text }
        log.write(2) { line in
            line.text("response refused: ")
            line.text(why)
            guard let peer else { return }
            line.text("; peer ")
            line.escaped(peer.bytes, peer.count)
        }
        reportAttempt(exchange, SLUICE_ATTEMPT_MALFORMED)
        if goOnBeside(exchange) { return }
        detachUpstream(exchange, reuse: false)
        replyOrCut(exchange, 502, reason: "the peer's response breaks HTTP")
    }

    // MARK: Interim responses

    /// Passes a 1xx on where the client can take it (RFC 9110 §15.2).
    private mutating func passInterim(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ head: ResponseHead
    ) -> Bool {
        exchange.pointee.interimCount &+= 1
        guard exchange.pointee.interimCount <= ResponseLimits.interimMax else {
            badResponse(exchange, "more than \(ResponseLimits.interimMax) interim responses")
            return false
        }
        let isContinue = head.status == 100
        if isContinue, !exchange.pointee.flags.contains(.awaitsContinue) { return true }
        guard exchange.pointee.head.minorVersion > 0, !exchange.pointee.down.pointee.isAbsent
        else { return true }
        exchange.pointee.flags.remove(.awaitsContinue)
        let message = responseMessage(bytes, head)
        let count = writeResponseHead(exchange, message, head, framing: nil)
        let written = emitResponse(exchange, headCount: count, data: bytes, count: 0, isEnd: false)
        // A fill goes on without its client.
        return written != .failed || !exchange.pointee.isEnded
    }

    /// A message over the bytes just parsed; it lives as long as they do.
    private func responseMessage(
        _ bytes: UnsafePointer<UInt8>,
        _ head: ResponseHead
    ) -> Message {
        var message = Message(isRequest: false, head: bytes, fields: responseFields)
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.status = head.status
        return message
    }

    // MARK: The final response

    /// Passes the head on with what came of the body.
    private mutating func beginResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ head: ResponseHead,
        _ body: UnsafeMutablePointer<UInt8>,
        _ bodyCount: Int
    ) {
        let isTunnel = head.status == 101
        if isTunnel,
            !exchange.pointee.head.flags.contains(.upgrade) || !head.flags.contains(.upgrade)
        {
            badResponse(exchange, "101 for a request that asked for no upgrade")
            return
        }
        if !isTunnel, 200...299 ~= head.status,
            exchange.pointee.down.pointee.flags.contains(.tunnels)
        {
            // Passed on, it would tell the client that the tunnel stands (RFC 8441 §4).
            badResponse(exchange, "the origin did not switch protocols")
            return
        }
        peers[Int(up.pointee.peer)].setFailures(false)
        if up.pointee.sentAt != 0 {
            peers[Int(up.pointee.peer)].addLatency(nowNanoseconds &- up.pointee.sentAt)
        }
        countResponse(exchange, up, status: head.status)
        if exchange.pointee.failover != nil,
            !accepts(exchange, up, head, bodyCount: bodyCount)
        {
            return
        }
        if !head.flags.contains(.keepAlive) { exchange.pointee.flags.insert(.closeUpstream) }
        exchange.pointee.context.replaceResponse(responseMessage(bytes, head))
        exchange.pointee.context.facts.status = UInt32(head.status)
        exchange.pointee.context.facts.time_first_byte = nowNanoseconds
        exchange.pointee.responseHead = head
        if !isTunnel,
            exchange.pointee.chain.hooks(
                any: .responseHeads
            )
        {
            guard runHooks(exchange, body, bodyCount) else { return }
        }
        passHead(exchange, up, body, bodyCount)
        freeInput(up)
        if !exchange.pointee.isEnded { pumpResponse(exchange) }
    }

    /// What finds the end of the response's body.
    func responseReader(_ exchange: UnsafeMutablePointer<Exchange>) -> BodyReader {
        let framing = exchange.pointee.responseHead.framing
        // A stream says itself when it ends, and its connection compares that with the length.
        let isStream = exchange.pointee.up?.pointee.isStream == true
        return BodyReader(isStream && !framing.isNone ? .untilClose : framing)
    }

    /// Runs the hooks of the peer's response; false when it does not go on now.
    private mutating func runHooks(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ body: UnsafeMutablePointer<UInt8>,
        _ bodyCount: Int
    ) -> Bool {
        reportAttempt(exchange, SLUICE_ATTEMPT_RESPONSE)
        arrived = Arrived(bytes: body, count: bodyCount)
        let progress = runResponseHooks(exchange, .upstreamResponse)
        // Taken when a hook waits or holds: it is kept elsewhere then.
        let isKept = arrived.bytes == nil
        arrived = Arrived()
        guard progress == .done else { return false }
        guard isKept else { return true }
        exchange.pointee.response = .body
        exchange.pointee.responseBody.reader = responseReader(exchange)
        pumpResponse(exchange)
        return false
    }

    /// Writes the head, whose hooks have run, with what came of the body.
    mutating func passHead(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ body: UnsafeMutablePointer<UInt8>,
        _ bodyCount: Int
    ) {
        exchange.pointee.responseBody.reader = responseReader(exchange)
        if mayTransform(exchange) { prepareResponseBody(exchange) }
        guard let count = startResponse(exchange) else { return }
        if exchange.pointee.responseHead.status == 101 {
            beginTunnel(exchange, headCount: count, body, bodyCount)
            return
        }
        exchange.pointee.response = .body
        forwardResponse(exchange, up, headCount: count, body, bodyCount)
        if exchange.pointee.responseBody.transform != nil {
            writePendingHead(exchange, .response)
        }
    }

    /// Decides whether the client's connection can take another request.
    mutating func decideConnection(_ exchange: UnsafeMutablePointer<Exchange>) {
        if isDraining || exchange.pointee.down.pointee.flags.contains(.leaves) {
            exchange.pointee.flags.insert(.closeDownstream)
        }
        let body = exchange.pointee.requestBody.reader
        guard !body.isDone else { return }
        // The rest of a request that was answered early is thrown away when it is short, and when
        // the client is not still waiting for 100 before it sends it.
        let drainBytes = exchange.pointee.listener.pointee.settings.limits.drainBytes
        if exchange.pointee.flags.contains(.awaitsContinue)
            || (body.kind == .length && body.remaining > Int64(drainBytes))
        {
            exchange.pointee.flags.insert(.closeDownstream)
        }
    }

    /// Writes a head for the client into `out`; 0 when it does not fit.
    ///
    /// - Parameter framing: fields about the body; nil for an interim response.
    mutating func writeResponseHead(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ message: borrowing Message,
        _ head: ResponseHead,
        framing: StaticString?
    ) -> Int {
        guard message.fieldBytesMax &+ Int(head.reasonLength) &+ 512 <= Self.headOutBytes else {
            return 0
        }
        var at = HeadWriter.copy("HTTP/1.1 ", to: out)
        at &+= HeadWriter.writeDecimal(UInt64(message.status), to: out + at)
        out[at] = UInt8(ascii: " ")
        at &+= 1
        if message.status == head.status, head.reasonLength > 0 {
            at &+= HeadWriter.copy(
                message.head + Int(head.reasonStart),
                count: Int(head.reasonLength),
                to: out + at
            )
        } else if message.status != head.status || head.byteCount == 0 {
            at &+= HeadWriter.copy(HeadWriter.reason(of: message.status), to: out + at)
        }
        at &+= HeadWriter.copy("\r\n", to: out + at)
        at &+= message.writeFields(to: out + at)
        if let framing {
            at &+= HeadWriter.copy(framing, to: out + at)
            if message.status == 101 {
                at &+= HeadWriter.copy("Connection: Upgrade\r\nUpgrade: ", to: out + at)
                if let value = message.received(.upgrade) {
                    at &+= HeadWriter.copy(value.bytes, count: value.count, to: out + at)
                }
                at &+= HeadWriter.copy("\r\n", to: out + at)
            } else if exchange.pointee.flags.contains(.closeDownstream) {
                at &+= HeadWriter.copy("Connection: close\r\n", to: out + at)
            } else if exchange.pointee.head.minorVersion == 0 {
                at &+= HeadWriter.copy("Connection: keep-alive\r\n", to: out + at)
            }
            if !message.has(.date) {
                let date = currentDate()
                at &+= HeadWriter.copy("Date: ", to: out + at)
                at &+= HeadWriter.copy(date.bytes, count: date.count, to: out + at)
                at &+= HeadWriter.copy("\r\n", to: out + at)
            }
        }
        at &+= HeadWriter.copy("\r\n", to: out + at)
        return at
    }
}
