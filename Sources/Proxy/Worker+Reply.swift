import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Answers that the host or a plugin makes.
extension Worker {
    /// Answers when nothing of a response has gone out, else cuts the connection.
    mutating func replyOrCut(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ status: UInt16,
        reason: StaticString
    ) {
        if exchange.pointee.flags.contains(.responseStarted) {
            if reason.utf8CodeUnitCount > 0 {
                noteReason(exchange, reason)
                logReply(exchange, status, reason, nil, isCut: true)
            }
            cut(exchange)
        } else {
            reply(exchange, status, reason: reason)
        }
    }

    /// Answers with a status and its name as the body.
    ///
    /// - Parameters:
    ///   - reason: why, for the log; empty for nothing to log.
    ///   - peer: the peer that is to blame, for the log.
    ///   - fields: further fields of the answer.
    ///   - retryAfter: seconds that a 503 tells the client to wait.
    mutating func reply(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ status: UInt16,
        reason: StaticString,
        peer: Int? = nil,
        fields: [(id: FieldID, value: StaticString)] = [],
        retryAfter: Int = 1
    ) {
        if exchange.pointee.cache != nil, 502...504 ~= status, answersFailed(exchange) { return }
        if reason.utf8CodeUnitCount > 0 {
            noteReason(exchange, reason)
            logReply(exchange, status, reason, peer)
        }
        var message = emptyResponse(exchange, status)
        for field in fields { append(field.id, Slice(field.value), to: &message, exchange) }
        if status == 503 {
            append(.retryAfter, decimal(retryAfter, exchange), to: &message, exchange)
        }
        var body = Slice("")
        let name = HeadWriter.reason(of: status)
        if status != 204,
            let text = exchange.pointee.context.arena.allocate(
                UInt8.self,
                count: name.utf8CodeUnitCount &+ 8
            )
        {
            var at = HeadWriter.writeDecimal(UInt64(status), to: text)
            text[at] = UInt8(ascii: " ")
            at &+= 1
            at &+= HeadWriter.copy(name, to: text + at)
            text[at] = UInt8(ascii: "\n")
            body = Slice(text, at &+ 1)
            append(.contentType, Slice("text/plain"), to: &message, exchange)
        }
        sendLocal(exchange, message, body)
    }

    /// A number as the value of a field.
    private mutating func decimal(_ number: Int, _ exchange: UnsafeMutablePointer<Exchange>)
        -> Slice
    {
        guard number > 1,
            let text = exchange.pointee.context.arena.allocate(UInt8.self, count: 20)
        else { return Slice("1") }
        return Slice(text, HeadWriter.writeDecimal(UInt64(number), to: text))
    }

    /// - Parameter isCut: whether a response had begun, so that the status can't be told any more.
    private mutating func logReply(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ status: UInt16,
        _ reason: StaticString,
        _ peer: Int?,
        isCut: Bool = false
    ) {
        let request = exchange.pointee.context.request
        let down = exchange.pointee.down
        log.write(status >= 500 ? 2 : 3) { line in
            if isCut {
                line.text("cut")
            } else {
                line.number(Int(status))
            }
            line.text(": ")
            line.text(reason)
            if let peer {
                let text = peers[peer].text
                line.text("; peer ")
                line.escaped(text.bytes, text.count)
            } else if let upstream = exchange.pointee.upstream {
                let name = upstream.pointee.name
                line.text("; upstream ")
                line.escaped(name.bytes, name.count)
            }
            line.text("; ")
            line.escaped(request.method.bytes, request.method.count)
            line.text(" ")
            var path = 0
            while path < request.path.count, request.path.bytes[path] != UInt8(ascii: "?") {
                path &+= 1
            }
            line.escaped(request.path.bytes, path)
            line.text("; client ")
            line.address(down.pointee.ip, port: down.pointee.port)
        }
    }

    /// Sends what the plugin at this place of the chain put into its reply.
    ///
    /// - Parameter wasEntered: whether the request has come to all plugins, so that all see the
    ///   answer; else those before this one.
    mutating func replyOfPlugin(
        _ exchange: UnsafeMutablePointer<Exchange>,
        position: Int,
        wasEntered: Bool = false
    ) {
        let status = UInt16(truncatingIfNeeded: calls.reply.pointee.status)
        let body = calls.reply.pointee.body
        if !wasEntered {
            exchange.pointee.context.leaving = min(exchange.pointee.context.leaving, position)
        }
        noteAnswer(exchange, position: position)
        var message = emptyResponse(exchange, status)
        if let error = calls.applyReplyFields(
            to: &message,
            &exchange.pointee.context.arena
        ) {
            let name = exchange.pointee.chain.plugins[position].name
            log.write(1) { line in
                line.text("plugin ")
                line.escaped(name.bytes, name.count)
                line.text(" made a reply with a field that is refused: ")
                line.text("\(error)")
            }
            reply(exchange, 500, reason: "")
            return
        }
        let hasBody = status != 204 && status != 304
        sendLocal(
            exchange,
            message,
            hasBody ? Slice(body.ptr, Int(clamping: body.len)) : Slice("")
        )
    }

    func emptyResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ status: UInt16
    ) -> Message {
        var message = Message(
            isRequest: false,
            head: exchange.pointee.context.request.head,
            fields: exchange.pointee.context.request.fields
        )
        message.status = status
        return message
    }

    private func append(
        _ id: FieldID,
        _ value: Slice,
        to message: inout Message,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        let name = FieldNames.lowercaseName(id)
        _ = message.append(
            id: id,
            name: Slice(name.0, name.1),
            value: value,
            arena: &exchange.pointee.context.arena
        )
    }

    /// Runs the hooks of an answer that did not come from a peer, and writes it.
    private mutating func sendLocal(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ message: Message,
        _ body: Slice
    ) {
        if exchange.pointee.cache != nil { endCache(exchange) }
        guard dropWork(exchange) else { return }
        exchange.pointee.flags.insert(.localReply)
        exchange.pointee.context.replaceResponse(message)
        exchange.pointee.context.facts.status = UInt32(message.status)
        exchange.pointee.responseHead = ResponseHead()
        exchange.pointee.localBody = body
        runLocalReply(exchange)
        guard !exchange.pointee.isEnded, exchange.pointee.localBody.bytes == body.bytes else {
            return
        }
        if exchange.pointee.context.leaving > 0 {
            guard runResponseHooks(exchange, .responseHeaders) == .done else { return }
        }
        passLocal(exchange)
    }

    /// Lets go of all that was done for a response that is not to come from a peer; false when the
    /// exchange was cut.
    mutating func dropWork(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        detachUpstream(exchange, reuse: false)
        if exchange.pointee.failover != nil { endBeside(exchange, reports: true) }
        releaseReplay(exchange)
        releaseHeld(&exchange.pointee.requestBody)
        // An interim response that the client has not taken yet can't be overtaken.
        guard !exchange.pointee.responseBody.hasHeld else {
            cut(exchange)
            return false
        }
        if exchange.pointee.hasWaits {
            cancelWaits(exchange)
        }
        if let transform = exchange.pointee.requestBody.transform {
            transform.pointee.release()
            exchange.pointee.requestBody.transform = nil
        }
        release(&exchange.pointee.responseBody)
        exchange.pointee.responseBody = BodyPipe()
        return true
    }

    /// Writes an answer whose hooks have run.
    mutating func passLocal(_ exchange: UnsafeMutablePointer<Exchange>) {
        let body = exchange.pointee.localBody
        let isHead = exchange.pointee.head.method == .head
        exchange.pointee.response = .body
        if mayTransform(exchange) { prepareResponseBody(exchange) }
        let transform = exchange.pointee.responseBody.transform
        if let transform, transform.pointee.holder >= 0 {
            _ = feed(exchange, .response, body.bytes, body.count, isEnd: true, flush: true)
            if !exchange.pointee.isEnded { pumpResponse(exchange) }
            return
        }
        guard let count = startResponse(exchange) else { return }
        if let transform {
            transform.pointee.pendingHead = count
            let progress = feed(
                exchange,
                .response,
                body.bytes,
                body.count,
                isEnd: true,
                flush: true
            )
            guard progress != .left, !exchange.pointee.isEnded else { return }
            writePendingHead(exchange, .response)
            if !exchange.pointee.isEnded { pumpResponse(exchange) }
            return
        }
        let written = emitResponse(
            exchange,
            headCount: count,
            data: body.bytes,
            count: isHead ? 0 : body.count,
            isEnd: true
        )
        if written == .done { finish(exchange) }
    }

    /// Runs `local_reply`, for errors; a plugin may change the reply there.
    private mutating func runLocalReply(_ exchange: UnsafeMutablePointer<Exchange>) {
        let chain = exchange.pointee.chain
        guard exchange.pointee.context.response.status >= 400, chain.hookCount(.localReply) > 0,
            exchange.pointee.context.leaving > 0
        else { return }
        let outcome = calls.run(
            .localReply,
            of: chain,
            positions: 0..<exchange.pointee.context.leaving,
            context(of: exchange),
            flags: UInt32(SLUICE_ARGS_LOCAL)
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
        if case .reset = outcome { _ = settle(outcome, exchange, .localReply) }
    }
}
