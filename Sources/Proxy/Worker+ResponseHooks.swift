import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// The hooks of a response's head: of one that came from a peer, and of one that was made here.
extension Worker {
    /// What came of the hooks of a head.
    enum HeadProgress {
        /// All have run, or one of them holds the head.
        case done
        /// One of them waits, or the response is another one now.
        case left
    }

    /// Runs the hooks of a response's head, or goes on with them.
    ///
    /// - Parameters:
    ///   - phase: where it begins: `upstreamResponse` or `responseHeaders`.
    ///   - first: place in this phase's order.
    mutating func runResponseHooks(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase,
        from first: Int = 0,
        _ resumption: Resumption? = nil
    ) -> HeadProgress {
        if phase == .upstreamResponse {
            let progress = runResponsePhase(exchange, .upstreamResponse, from: first, resumption)
            guard progress == .done else { return progress }
            if exchange.pointee.cache != nil {
                guard admit(exchange) else { return .left }
            }
            return runResponsePhase(exchange, .responseHeaders, from: 0, nil)
        }
        return runResponsePhase(exchange, phase, from: first, resumption)
    }

    private mutating func runResponsePhase(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase,
        from first: Int,
        _ resumption: Resumption?
    ) -> HeadProgress {
        let chain = exchange.pointee.chain
        guard chain.hookCount(phase) > 0 else { return .done }
        exchange.pointee.context.facts.time_now = nowNanoseconds
        let isLocal = exchange.pointee.flags.contains(.localReply)
        var flags = isLocal ? UInt32(SLUICE_ARGS_LOCAL) : 0
        if !hasBody(exchange) { flags |= UInt32(SLUICE_ARGS_EOS) }
        let outcome = calls.run(
            phase,
            of: chain,
            from: first,
            positions: 0..<exchange.pointee.context.leaving,
            context(of: exchange),
            flags: flags,
            resumption: resumption
        )
        switch outcome {
        case .proceed:
            if let failure = calls.failure { logFailure(failure, exchange) }
            return .done
        case .held(let index):
            if let failure = calls.failure { logFailure(failure, exchange) }
            // A second holder would wait for bytes that the first one keeps.
            if let transform = exchange.pointee.responseBody.transform,
                transform.pointee.holder >= 0
            {
                return runResponsePhase(exchange, phase, from: index &+ 1, nil)
            }
            return hold(exchange, index)
        case .suspended:
            guard keepResponseHead(exchange) else { return .left }
            exchange.pointee.response = .waiting
        default:
            if !isLocal { exchange.pointee.flags.insert(.closeUpstream) }
        }
        _ = settle(outcome, exchange, phase)
        return .left
    }

    /// Whether a body follows the response's head.
    private func hasBody(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard exchange.pointee.flags.contains(.localReply) else {
            return !exchange.pointee.responseHead.framing.isNone
        }
        let status = exchange.pointee.context.response.status
        return exchange.pointee.localBody.count > 0 && exchange.pointee.head.method != .head
            && status != 204 && status != 304
    }

    /// A hook of the head has waited.
    mutating func resumeResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase,
        _ index: Int,
        _ resumption: Resumption
    ) {
        guard runResponseHooks(exchange, phase, from: index, resumption) == .done else { return }
        let transform = exchange.pointee.responseBody.transform
        if let transform, transform.pointee.isReleasing {
            exchange.pointee.response = .body
            finishRelease(exchange)
            advance(exchange)
        } else if exchange.pointee.flags.contains(.localReply) {
            passLocal(exchange)
        } else if exchange.pointee.cache?.pointee.step == .answer {
            passAnswer(exchange)
        } else if let transform, transform.pointee.holder >= 0 {
            // Held: the body goes to the plugin, the head stays.
            exchange.pointee.response = .body
            exchange.pointee.responseBody.reader = responseReader(exchange)
            advance(exchange)
        } else {
            passKeptHead(exchange)
        }
    }

    private mutating func passKeptHead(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up else { return }
        let input = up.pointee.input
        let count = up.pointee.inputCount
        // Taken off the connection, so that passing it on does not read it again.
        up.pointee.input = nil
        up.pointee.inputCount = 0
        passHead(exchange, up, input?.bytes ?? scratch, count)
        if let input { buffers.give(input) }
        if !exchange.pointee.isEnded { pumpResponse(exchange) }
    }

    /// Moves a response's head, and what came behind it, from where the next read would go.
    ///
    /// False when there is no memory for it; the exchange was answered then.
    private mutating func keepResponseHead(
        _ exchange: UnsafeMutablePointer<Exchange>
    ) -> Bool {
        guard !exchange.pointee.flags.contains(.localReply), let up = exchange.pointee.up,
            let body = arrived.bytes
        else { return true }
        let message = exchange.pointee.context.response
        let head = exchange.pointee.responseHead
        guard
            let bytes = exchange.pointee.context.arena.copy(message.head, Int(head.byteCount)),
            let fields = exchange.pointee.context.arena.allocate(
                FieldSpan.self,
                count: max(message.fieldCount, 1)
            )
        else {
            calls.dropWait()
            badResponse(exchange, "its head has no room in the request's memory")
            return false
        }
        fields.update(from: message.fields, count: message.fieldCount)
        exchange.pointee.context.moveResponse(head: bytes, fields: fields)
        let count = arrived.count
        arrived = Arrived()
        let old = up.pointee.input
        if count > 0 {
            let block = buffers.take(count)
            block.bytes.update(from: body, count: count)
            up.pointee.input = block
        } else {
            up.pointee.input = nil
        }
        up.pointee.inputCount = count
        if let old { buffers.give(old) }
        return true
    }

    // MARK: Holding the head

    /// A plugin keeps the head until its body hook lets it go.
    private mutating func hold(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ index: Int
    ) -> HeadProgress {
        let position = Int(
            exchange.pointee.chain.entry(.responseHeaders, index).pointee.position
        )
        prepareResponseBody(exchange)
        let stage = exchange.pointee.responseBody.transform?.pointee.stage(
            .responseBody,
            position: position
        )
        guard let stage, let transform = exchange.pointee.responseBody.transform else {
            // With the same call the plugin lost its interest in the body, which would end it.
            return runResponsePhase(exchange, .responseHeaders, from: index &+ 1, nil)
        }
        guard keepResponseHead(exchange) else { return .left }
        transform.pointee.holder = stage
        transform.pointee.holdIndex = index &+ 1
        waitForRelease(exchange)
        return .done
    }

    /// The held head may go: the hooks that have not seen it do.
    mutating func releaseHead(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ transform: UnsafeMutablePointer<BodyTransform>
    ) {
        guard !transform.pointee.isReleasing else { return }
        transform.pointee.isReleasing = true
        if let wait = exchange.pointee.holdWait { forget(wait) }
        let progress = runResponseHooks(
            exchange,
            .responseHeaders,
            from: transform.pointee.holdIndex
        )
        if progress == .done { finishRelease(exchange) }
    }

    private mutating func finishRelease(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let transform = exchange.pointee.responseBody.transform else { return }
        transform.pointee.isReleasing = false
        let next = transform.pointee.holder &+ 1
        transform.pointee.holder = -1
        let ends = transform.pointee.heldFlags & UInt32(SLUICE_BODY_EOS) != 0
        // Plugins that had not seen the head may have asked for something since.
        refreshStages(exchange, transform, from: next)
        if next < transform.pointee.count {
            let stage = transform.pointee.stages + next
            stage.pointee.rest = transform.pointee.heldOut
            stage.pointee.restFlags = transform.pointee.heldFlags
            if stage.pointee.collects > 0, ends {
                stage.pointee.restFlags |= UInt32(SLUICE_BODY_WHOLE)
            }
            stage.pointee.isDue =
                stage.pointee.collects > 0
                ? ends : !stage.pointee.rest.isEmpty || transform.pointee.heldFlags != 0
        } else {
            transform.pointee.outRest = transform.pointee.heldOut
            transform.pointee.outEnds = ends
            transform.pointee.produced = Int64(transform.pointee.outRest.count)
        }
        transform.pointee.heldOut = WaitingBytes()
        guard let count = startResponse(exchange),
            lengthIsRight(exchange, .response, transform, ends: transform.pointee.outEnds)
        else { return }
        _ = emitResponse(exchange, headCount: count, data: scratch, count: 0, isEnd: false)
    }

    // MARK: The head's way out

    /// Decides all that the head says about connection and body, and writes it into `out`.
    ///
    /// - Returns: its bytes; nil when it does not fit, and the exchange was answered or cut.
    mutating func startResponse(_ exchange: UnsafeMutablePointer<Exchange>) -> Int? {
        releaseReplay(exchange)
        exchange.pointee.flags.insert(.responseStarted)
        decideConnection(exchange)
        let framing = chooseWriting(exchange)
        let count = writeResponseHead(
            exchange,
            exchange.pointee.context.response,
            exchange.pointee.responseHead,
            framing: framing
        )
        guard count > 0 else {
            exchange.pointee.flags.remove(.responseStarted)
            if exchange.pointee.flags.contains(.localReply) {
                cut(exchange)
            } else {
                badResponse(exchange, "head is too large with its added fields")
            }
            return nil
        }
        exchange.pointee.context.facts.head_bytes_out = UInt32(truncatingIfNeeded: count)
        return count
    }

    /// Whether plugins may have to do with the response's body.
    @inline(__always)
    func mayTransform(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.chain.hooks(any: .responseBodies)
            || exchange.pointee.context.bodyWishes != nil
    }

    /// Makes the way of the response's body through plugins, when there are any that see it.
    mutating func prepareResponseBody(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard exchange.pointee.responseBody.transform == nil, hasBody(exchange) else { return }
        let isLocal =
            exchange.pointee.flags.contains(.localReply)
            || exchange.pointee.cache?.pointee.step == .answer
        let policy = exchange.pointee.context.bodyWishes?.pointee.responsePolicy ?? .same
        exchange.pointee.responseBody.transform = makeTransform(
            exchange,
            isLocal ? nil : .upstreamBody,
            .responseBody,
            positions: 0..<exchange.pointee.context.leaving,
            isNeeded: policy != .same
        )
        if let state = exchange.pointee.cache, state.pointee.step == .store,
            exchange.pointee.responseBody.transform == nil
        {
            // Without memory for the way of the body nothing comes to the cache.
            abortStoring(exchange, state)
        }
    }

    /// How the body is written for this client, and the fields that say so.
    private mutating func chooseWriting(_ exchange: UnsafeMutablePointer<Exchange>) -> StaticString
    {
        let status = exchange.pointee.context.response.status
        let isHead = exchange.pointee.head.method == .head
        let wishes = exchange.pointee.context.bodyWishes
        let policy = wishes?.pointee.responsePolicy ?? .same
        let transform = exchange.pointee.responseBody.transform
        exchange.pointee.responseBody.writing = .plain
        guard status != 204, status != 304 else {
            // Whatever a plugin made this status of: no body follows it (RFC 9110 §6.4.1).
            if status == 204 { exchange.pointee.context.response.drop(.contentLength) }
            exchange.pointee.responseBody.writing = .discard
            transform?.pointee.dropsAll = true
            return ""
        }
        guard policy != .same, hasBody(exchange) || isHead else {
            return chooseWritingOfPeer(exchange, transform)
        }
        switch policy {
        case .same, .unknown:
            exchange.pointee.context.response.drop(.contentLength)
            return writeInChunks(exchange)
        case .exact, .drop:
            let length = policy == .drop ? 0 : wishes?.pointee.responseLength ?? 0
            transform?.pointee.expected = Int64(length)
            transform?.pointee.dropsAll = policy == .drop
            return writeWithLength(length, exchange)
        }
    }

    private mutating func chooseWritingOfPeer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ transform: UnsafeMutablePointer<BodyTransform>?
    ) -> StaticString {
        if exchange.pointee.flags.contains(.localReply) {
            transform?.pointee.expected = Int64(exchange.pointee.localBody.count)
            return writeWithLength(UInt64(exchange.pointee.localBody.count), exchange)
        }
        switch exchange.pointee.responseHead.framing {
        case .none:
            let status = exchange.pointee.responseHead.status
            if status == 204 || status == 304, exchange.pointee.head.method != .head {
                // A plugin made it a status that has a body: an empty one.
                return writeWithLength(0, exchange)
            }
            return ""
        case .length(let count):
            transform?.pointee.expected = count
            return ""
        case .chunked, .untilClose: return writeInChunks(exchange)
        }
    }

    private mutating func writeWithLength(
        _ length: UInt64,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) -> StaticString {
        let isSet = exchange.pointee.context.response.setContentLength(
            length,
            arena: &exchange.pointee.context.arena
        )
        return isSet ? "" : writeInChunks(exchange)
    }

    private mutating func writeInChunks(_ exchange: UnsafeMutablePointer<Exchange>) -> StaticString
    {
        // A body that is never sent needs no framing (RFC 9112 §6.1).
        guard exchange.pointee.head.method != .head else { return "" }
        if exchange.pointee.head.minorVersion > 0 {
            exchange.pointee.responseBody.writing = .chunked
            return "Transfer-Encoding: chunked\r\n"
        }
        // An HTTP/1.0 client knows the end only by the connection's.
        exchange.pointee.flags.insert(.closeDownstream)
        return ""
    }

    // MARK: Attempts

    /// Tells the plugins what came of an attempt.
    mutating func reportAttempt(_ exchange: UnsafeMutablePointer<Exchange>, _ result: Int) {
        exchange.pointee.cache?.pointee.result = UInt32(result)
        if result != SLUICE_ATTEMPT_RESPONSE { tally(exchange, UpstreamWords.failed &+ result) }
        tellAttempt(exchange, result)
    }

    /// The same without counting it.
    mutating func tellAttempt(_ exchange: UnsafeMutablePointer<Exchange>, _ result: Int) {
        let chain = exchange.pointee.chain
        guard chain.hookCount(.upstreamResult) > 0 else { return }
        exchange.pointee.context.facts.attempt_result = UInt32(result)
        exchange.pointee.context.facts.time_now = nowNanoseconds
        _ = calls.run(
            .upstreamResult,
            of: chain,
            positions: 0..<exchange.pointee.context.entered,
            context(of: exchange),
            flags: 0
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
    }
}
