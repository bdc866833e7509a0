import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// The cache of a route (`sluice.cache/1`): what it says of requests and responses.
extension Worker {
    // MARK: Lookups

    /// Asks the cache of the route about a request whose hooks have run.
    mutating func lookUp(_ exchange: UnsafeMutablePointer<Exchange>, again: Int = 0) {
        guard let state = exchange.pointee.cache ?? makeCacheState(exchange) else {
            goUpstream(exchange)
            return
        }
        var again = again
        while true {
            let outcome = calls.lookUp(
                state.pointee.cache,
                context(of: exchange),
                hasBody: !exchange.pointee.head.framing.isNone,
                again: UInt32(again)
            )
            if let failure = calls.failure { logFailure(failure, exchange) }
            switch outcome {
            case .bypass:
                state.pointee.step = .over
                goUpstream(exchange)
            case .miss:
                state.pointee.step = .miss
                goUpstream(exchange)
            case .hit, .stale:
                guard let message = prepareAnswer(exchange, state) else {
                    cacheFailed(exchange, state)
                    return
                }
                if outcome == .stale { _ = beginAlone(for: exchange) }
                answer(exchange, state, message)
            case .wait: _ = wait(exchange, .cacheLookup, index: 0)
            case .fetch:
                guard beginAlone(for: exchange) else {
                    calls.dropWait()
                    again = SLUICE_CACHE_AGAIN_REFUSED
                    continue
                }
                _ = wait(exchange, .cacheLookup, index: 0)
            case .respond:
                state.pointee.step = .over
                replyOfPlugin(
                    exchange,
                    position: state.pointee.cache.pointee.position,
                    wasEntered: true
                )
            case .failed: cacheFailed(exchange, state)
            }
            return
        }
    }

    /// Nil when the request does not pass the cache.
    private mutating func makeCacheState(
        _ exchange: UnsafeMutablePointer<Exchange>
    ) -> UnsafeMutablePointer<CacheState>? {
        guard let cache = exchange.pointee.chain.cache else { return nil }
        // What follows a switch of protocols is no response.
        let switches =
            exchange.pointee.head.flags.contains(.upgrade)
            || exchange.pointee.down.pointee.flags.contains(.tunnels)
        guard !switches,
            exchange.pointee.context.isInterested(
                .cacheLookup,
                position: cache.pointee.position
            ),
            let state = exchange.pointee.context.arena.allocate(CacheState.self, count: 1)
        else {
            exchange.pointee.context.facts.cache_status = UInt32(SLUICE_CACHE_STATUS_BYPASS)
            return nil
        }
        state.initialize(to: CacheState(cache: cache))
        exchange.pointee.cache = state
        return state
    }

    /// A lookup failed: the request goes on without the cache, or is answered, as the plugin's
    /// `on_error` says.
    private mutating func cacheFailed(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) {
        guard refusesFailure(exchange, state) else {
            goUpstream(exchange)
            return
        }
    }

    /// Leaves the cache out of a request for which it failed.
    ///
    /// - Returns: whether `on_error` ends the request; it was answered then.
    private mutating func refusesFailure(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) -> Bool {
        let position = state.pointee.cache.pointee.position
        exchange.pointee.context.detached |= 1 << UInt64(position)
        exchange.pointee.context.facts.cache_status = UInt32(SLUICE_CACHE_STATUS_BYPASS)
        state.pointee.step = .over
        let status = exchange.pointee.chain.plugins[position].failureStatus
        guard status != 0 else { return false }
        noteAnswer(exchange, position: position)
        reply(exchange, status, reason: "a plugin failed")
        return true
    }

    /// A wait is over that began in a lookup or in a read.
    mutating func resumeCache(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ resumption: Resumption
    ) {
        guard let state = exchange.pointee.cache else { return }
        if state.pointee.step == .answer {
            state.pointee.isWaiting = false
            advance(exchange)
        } else if state.pointee.step == .lookup {
            let isLate = resumption.reason == UInt32(SLUICE_RESUME_DEADLINE)
            lookUp(
                exchange,
                again: isLate ? SLUICE_CACHE_AGAIN_DEADLINE : SLUICE_CACHE_AGAIN_WOKEN
            )
        }
    }

    // MARK: Responses

    /// Shows the cache a response to a miss; false when the response does not go on.
    mutating func admit(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let state = exchange.pointee.cache, state.pointee.step == .miss else { return true }
        let framing = exchange.pointee.responseHead.framing
        var length = UInt64.max
        if case .length(let count) = framing { length = UInt64(count) }
        if framing.isNone { length = 0 }
        state.pointee.step = .over
        let outcome = calls.admit(
            state.pointee.cache,
            context(of: exchange),
            hasBody: !framing.isNone,
            length: length
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
        switch outcome {
        case .pass: return !endsUnwanted(exchange)
        case .store(let writer):
            state.pointee.step = .store
            state.pointee.writer = writer
            state.pointee.hasWriter = true
            guard framing.isNone else { return true }
            endStoring(state, isWhole: true)
            return !endsUnwanted(exchange)
        case .answer:
            // Of use to another request only when nothing of the response is still to come.
            let isWhole = arrived.bytes != nil && isReusable(exchange, bodyCount: arrived.count)
            guard let message = prepareAnswer(exchange, state) else { break }
            answer(exchange, state, message, reuse: isWhole)
            return false
        case .failed: break
        }
        return !refusesFailure(exchange, state) && !endsUnwanted(exchange)
    }

    /// Whether the connection of a response that is dropped can take another request.
    func isReusable(
        _ exchange: UnsafeMutablePointer<Exchange>,
        bodyCount: Int
    ) -> Bool {
        let head = exchange.pointee.responseHead
        return Self.isWhole(head, bodyCount: bodyCount)
            && !exchange.pointee.flags.contains(.closeUpstream)
            && exchange.pointee.requestBody.isFinished
            && exchange.pointee.requestBody.reader.isDone
    }

    /// Asks the cache for an answer in place of an error; true when there is one.
    mutating func answersFailed(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let state = exchange.pointee.cache, state.pointee.step == .miss,
            !exchange.pointee.flags.contains(.responseStarted)
        else { return false }
        state.pointee.step = .over
        let outcome = calls.tellFailed(
            state.pointee.cache,
            context(of: exchange),
            result: state.pointee.result
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
        switch outcome {
        case .answer:
            guard let message = prepareAnswer(exchange, state) else { break }
            answer(exchange, state, message)
            return true
        case .pass, .store: return false
        case .failed: break
        }
        return refusesFailure(exchange, state)
    }

    // MARK: Storing

    /// Gives the cache a run of the origin's body, as the `upstream_body` hooks left it.
    ///
    /// - Returns: whether the cache has begun a wait, before which it wants no more.
    mutating func store(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ run: StageRun
    ) -> Bool {
        guard let state = exchange.pointee.cache, state.pointee.hasWriter else { return false }
        // The body's end is given on only when its framing was right.
        let isEnd = run.flags & UInt32(SLUICE_BODY_EOS) != 0
        if run.count > 0 {
            let outcome = calls.write(
                state.pointee.cache,
                context(of: exchange),
                state.pointee.writer,
                run.bytes,
                run.count
            )
            switch outcome {
            case .taken: break
            case .wait where isEnd: calls.dropWait()
            case .wait: return true
            case .refused:
                endStoring(state, isWhole: false)
                return false
            }
        }
        if isEnd { endStoring(state, isWhole: true) }
        return false
    }

    /// What came of a body is not stored.
    mutating func abortStoring(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) {
        endStoring(state, isWhole: false)
    }

    private mutating func endStoring(
        _ state: UnsafeMutablePointer<CacheState>,
        isWhole: Bool
    ) {
        guard state.pointee.hasWriter else { return }
        state.pointee.hasWriter = false
        state.pointee.step = .over
        calls.end(state.pointee.cache, state.pointee.writer, isWhole: isWhole)
    }

    // MARK: The end

    /// Ends what the cache has open for a request that ends, or takes another way.
    mutating func endCache(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let state = exchange.pointee.cache else { return }
        endStoring(state, isWhole: false)
        closeReader(state)
        state.pointee.step = .over
    }

    mutating func closeReader(_ state: UnsafeMutablePointer<CacheState>) {
        guard state.pointee.hasReader else { return }
        state.pointee.hasReader = false
        state.pointee.bytes = nil
        state.pointee.count = 0
        calls.close(state.pointee.cache, state.pointee.reader)
    }
}
