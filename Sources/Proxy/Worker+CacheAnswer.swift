import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Answers from a cache: the head, and whose bytes follow it.
extension Worker {
    /// Takes over what the cache has just answered with; nil when that is no answer, which was
    /// logged.
    mutating func prepareAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) -> Message? {
        state.pointee.reader = calls.cacheAnswer.pointee.reader
        state.pointee.hasReader = state.pointee.reader != nil
        if let message = takeAnswer(exchange, state) { return message }
        if let failure = calls.failure { logFailure(failure, exchange) }
        closeReader(state)
        return nil
    }

    /// Answers with what was prepared.
    ///
    /// - Parameter reuse: the origin's connection can take another request.
    mutating func answer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ message: Message,
        reuse: Bool = false
    ) {
        if reuse { detachUpstream(exchange, reuse: true) }
        guard dropWork(exchange) else { return }
        exchange.pointee.flags.remove(.localReply)
        state.pointee.step = .answer
        exchange.pointee.context.replaceResponse(message)
        exchange.pointee.context.facts.status = UInt32(message.status)
        if exchange.pointee.down.pointee.isAbsent {
            finish(exchange)
            return
        }
        guard runResponseHooks(exchange, .responseHeaders) == .done else { return }
        passAnswer(exchange)
    }

    /// Checks an answer and takes it over; nil when it is none.
    private mutating func takeAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) -> Message? {
        let answer = calls.cacheAnswer
        guard 200...599 ~= answer.pointee.status, takeParts(exchange, state, answer.pointee) else {
            calls.failAnswer(state.pointee.cache, .badStatus)
            return nil
        }
        let status = UInt16(truncatingIfNeeded: answer.pointee.status)
        var message = emptyResponse(exchange, status)
        let error = calls.addFields(
            of: answer,
            to: &message,
            &exchange.pointee.context.arena,
            copies: !state.pointee.hasReader
        )
        if let error {
            calls.failAnswer(state.pointee.cache, error)
            return nil
        }
        let isHead = exchange.pointee.head.method == .head
        var length = state.pointee.left
        if state.pointee.partCount == 0, isHead || status == 304 {
            length = answer.pointee.content_length
        }
        var head = ResponseHead()
        head.status = status
        if isHead || status == 204 || status == 304 || length == 0 {
            state.pointee.partCount = 0
        } else {
            head.framing = length == .max ? .chunked : .length(Int64(length))
        }
        if length != .max, status != 204,
            !message.setContentLength(length, arena: &exchange.pointee.context.arena)
        {
            calls.failAnswer(state.pointee.cache, .outOfMemory)
            return nil
        }
        exchange.pointee.responseHead = head
        let cacheStatus = answer.pointee.cache_status
        exchange.pointee.context.facts.cache_status =
            1...UInt32(SLUICE_CACHE_STATUS_UPDATED) ~= cacheStatus
            ? cacheStatus : UInt32(SLUICE_CACHE_STATUS_HIT)
        return message
    }

    /// Takes over the parts of an answer's body; false when they are none.
    private mutating func takeParts(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ answer: sluice_cache_answer
    ) -> Bool {
        let count = Int(answer.part_count)
        state.pointee.part = 0
        state.pointee.partCount = count
        state.pointee.left = 0
        guard count > 0 else { return true }
        guard count <= SLUICE_CACHE_PARTS_MAX, var parts = answer.parts else { return false }
        if !state.pointee.hasReader {
            guard let copy = copyParts(exchange, parts, count) else { return false }
            parts = UnsafePointer(copy)
        }
        state.pointee.parts = parts
        var total: UInt64 = 0
        for index in 0..<count {
            let part = parts[index]
            let length = part.text.ptr == nil ? part.length : part.text.len
            if part.text.ptr == nil, length == .max {
                total = .max
            } else if total != .max {
                let (sum, isOver) = total.addingReportingOverflow(length)
                guard !isOver, sum <= UInt64(Int64.max) else { return false }
                total = sum
            }
        }
        state.pointee.left = total
        return true
    }

    /// Copies parts that are texts alone: without a reader they are gone after the call.
    private mutating func copyParts(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ parts: UnsafePointer<sluice_cache_part>,
        _ count: Int
    ) -> UnsafeMutablePointer<sluice_cache_part>? {
        let copy = exchange.pointee.context.arena.allocate(sluice_cache_part.self, count: count)
        guard let copy else { return nil }
        for index in 0..<count {
            guard let text = parts[index].text.ptr,
                let bytes = exchange.pointee.context.arena.copy(
                    text,
                    Int(clamping: parts[index].text.len)
                )
            else { return nil }
            copy.advanced(by: index).initialize(to: parts[index])
            copy[index].text.ptr = UnsafePointer(bytes)
        }
        return copy
    }

    // MARK: The way out

    /// Writes an answer whose hooks have run.
    mutating func passAnswer(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let state = exchange.pointee.cache else { return }
        let framing = exchange.pointee.responseHead.framing
        exchange.pointee.response = .body
        // The parts say themselves when they end.
        exchange.pointee.responseBody.reader = BodyReader(
            framing == .chunked ? .untilClose : framing
        )
        // The client is waited for no more before its answer is out.
        exchange.pointee.requestBody.isBlocked = true
        if mayTransform(exchange) { prepareResponseBody(exchange) }
        let transform = exchange.pointee.responseBody.transform
        if transform == nil || transform?.pointee.holder ?? -1 < 0 {
            guard let count = startResponse(exchange) else { return }
            state.pointee.headCount = count
            if let transform {
                transform.pointee.pendingHead = count
                state.pointee.headCount = 0
            }
        }
        pumpAnswer(exchange)
        // It may have become another answer by now, with a head of its own.
        guard !exchange.pointee.isEnded, state.pointee.step == .answer else { return }
        if exchange.pointee.responseBody.transform != nil {
            writePendingHead(exchange, .response)
        } else if state.pointee.headCount > 0 {
            let count = state.pointee.headCount
            state.pointee.headCount = 0
            _ = emitResponse(exchange, headCount: count, data: scratch, count: 0, isEnd: false)
        }
    }

    /// Sends as much of an answer as the client takes now.
    mutating func pumpAnswer(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let state = exchange.pointee.cache, state.pointee.step == .answer else { return }
        var turns = Self.turnsMax
        exchange.pointee.responseBody.isBlocked = false
        while !exchange.pointee.isEnded, exchange.pointee.response == .body,
            !state.pointee.isWaiting, !exchange.pointee.responseBody.hasHeld
        {
            guard turns > 0 else {
                enqueue(exchange.pointee.down)
                return
            }
            turns &-= 1
            switch nextBytes(exchange, state) {
            case .bytes: guard sendBytes(exchange, state) else { return }
            case .file: guard sendFile(exchange, state) else { return }
            case .end:
                endAnswer(exchange, state)
                return
            case .wait:
                waitForBytes(exchange, state)
                return
            case .broken:
                breakAnswer(exchange, state)
                return
            }
        }
    }

    /// What is to be done next for an answer's body.
    private enum AnswerStep {
        case bytes, file, end, wait, broken
    }

    /// Bytes that are asked for at once: of memory that is sent as it lies, and of what is copied
    /// on its way.
    private static let readMost = 1_048_576
    private static let copiedMost = 65_536

    private mutating func nextBytes(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) -> AnswerStep {
        let isDiscarded = exchange.pointee.responseBody.writing == .discard
        while !isDiscarded {
            if state.pointee.count > 0 { return state.pointee.file < 0 ? .bytes : .file }
            guard state.pointee.part < state.pointee.partCount, let parts = state.pointee.parts
            else { break }
            let part = parts[state.pointee.part]
            let length = part.text.ptr == nil ? part.length : part.text.len
            let offset = state.pointee.offset
            guard length == .max || offset < length else {
                nextPart(state)
                continue
            }
            if let text = part.text.ptr {
                state.pointee.bytes = text
                state.pointee.count = Int(clamping: length)
                state.pointee.file = -1
                state.pointee.offset = length
                continue
            }
            guard state.pointee.hasReader else { return .broken }
            if let step = read(exchange, state, part, length) { return step }
        }
        return .end
    }

    private func nextPart(_ state: UnsafeMutablePointer<CacheState>) {
        state.pointee.part &+= 1
        state.pointee.offset = 0
    }

    /// Reads on in a part; nil when there are bytes now, or the part is over.
    private mutating func read(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ part: sluice_cache_part,
        _ length: UInt64
    ) -> AnswerStep? {
        let isDirect = sendsDirectly(exchange)
        let offset = state.pointee.offset
        let (place, isOver) = part.offset.addingReportingOverflow(offset)
        guard !isOver else { return .broken }
        let outcome = calls.read(
            state.pointee.cache,
            context(of: exchange),
            state.pointee.reader,
            offset: place,
            count: Int(
                min(
                    UInt64(isDirect ? Self.readMost : Self.copiedMost),
                    length == .max ? .max : length &- offset
                )
            ),
            wantsBytes: !isDirect || !exchange.pointee.down.pointee.isPlain
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
        switch outcome {
        case .bytes(let bytes, let count):
            state.pointee.bytes = bytes
            state.pointee.count = count
            state.pointee.file = -1
            state.pointee.offset &+= UInt64(count)
        case .file(let file, let place, let count):
            state.pointee.file = file
            state.pointee.fileOffset = place
            state.pointee.count = count
            state.pointee.offset &+= UInt64(count)
        case .again: return .wait
        case .end:
            guard length == .max else { return .broken }
            nextPart(state)
        case .broken: return .broken
        }
        return nil
    }

    /// Whether bytes go from where they lie to the client: by no plugin, and in no chunks.
    private func sendsDirectly(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.responseBody.transform == nil
            && (exchange.pointee.responseBody.writing == .plain
                || exchange.pointee.down.pointee.isStream)
    }

    /// A read waits.
    private mutating func waitForBytes(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) {
        state.pointee.isWaiting = true
        guard wait(exchange, .cacheLookup, index: 0) else { return }
        let down = exchange.pointee.down
        if let session = down.pointee.session {
            session.pointee.connection.setWantsToWrite(down.pointee.stream, false)
        }
        _ = flushStages(exchange, .response)
    }

    /// There is no more, and there should be: the client must not take what it got for the whole.
    mutating func breakAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) {
        let name = exchange.pointee.chain.plugins[state.pointee.cache.pointee.position].name
        log.write(2) { line in
            line.text("cache ")
            line.escaped(name.bytes, name.count)
            line.text(" has not the whole of what it answers with")
        }
        let isUnsent =
            state.pointee.headCount > 0
            || exchange.pointee.responseBody.transform?.pointee.pendingHead ?? 0 > 0
            || exchange.pointee.responseBody.transform?.pointee.holder ?? -1 >= 0
        if isUnsent {
            exchange.pointee.flags.remove(.responseStarted)
            reply(exchange, 500, reason: "a plugin failed")
        } else {
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_UPSTREAM_CUT)
            cut(exchange)
        }
    }

    /// All parts are out.
    private mutating func endAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) {
        let down = exchange.pointee.down
        closeReader(state)
        exchange.pointee.responseBody.reader.finish()
        exchange.pointee.requestBody.isBlocked = false
        if let transform = exchange.pointee.responseBody.transform {
            guard !transform.pointee.isFed else { return }
            let progress = feed(exchange, .response, scratch, 0, isEnd: true, flush: true)
            if progress == .done, !exchange.pointee.isEnded { finishWritten(exchange) }
            return
        }
        let headCount = state.pointee.headCount
        state.pointee.headCount = 0
        let hasFraming =
            exchange.pointee.responseBody.writing == .chunked
            || down.pointee.isStream && !state.pointee.isEndSent
        if headCount > 0 || hasFraming {
            let written = emitResponse(
                exchange,
                headCount: headCount,
                data: scratch,
                count: 0,
                isEnd: true
            )
            guard written == .done else { return }
        }
        finish(exchange)
    }
}
