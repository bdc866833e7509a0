import CSluice
import HTTP
import Sys

/// What a worker's calls of the cache's role use.
struct CacheCallMemory {
    let lookup: UnsafeMutablePointer<sluice_cache_lookup>
    let response: UnsafeMutablePointer<sluice_cache_response>
    let answer: UnsafeMutablePointer<sluice_cache_answer>
    let chunk: UnsafeMutablePointer<sluice_cache_chunk>

    init(
        edits: UnsafeMutablePointer<sluice_edits>,
        reply: UnsafeMutablePointer<sluice_reply>
    ) {
        lookup = .allocate(capacity: 1)
        lookup.initialize(to: sluice_cache_lookup())
        lookup.pointee.size = UInt32(MemoryLayout<sluice_cache_lookup>.size)
        response = .allocate(capacity: 1)
        response.initialize(to: sluice_cache_response())
        response.pointee.size = UInt32(MemoryLayout<sluice_cache_response>.size)
        answer = .allocate(capacity: 1)
        answer.initialize(to: sluice_cache_answer())
        chunk = .allocate(capacity: 1)
        chunk.initialize(to: sluice_cache_chunk())
        lookup.pointee.edits = edits
        lookup.pointee.reply = reply
        lookup.pointee.answer = answer
        response.pointee.edits = edits
        response.pointee.answer = answer
    }

    func deallocate() {
        lookup.deallocate()
        response.deallocate()
        answer.deallocate()
        chunk.deallocate()
    }
}

/// What came of a lookup.
public enum CacheLookup: Equatable, Sendable {
    case bypass
    /// To the origin; the edits are in the request.
    case miss
    /// `HookCall.cacheAnswer` has the answer.
    case hit
    /// The same, and the host fetches in the background.
    case stale
    /// `HookCall.takeWait` names the wait.
    case wait
    /// The same, and the host fetches in the background.
    case fetch
    /// `HookCall.reply` has the answer.
    case respond
    /// The plugin failed.
    case failed
}

/// What came of `admit` or `failed`.
public enum CacheAdmission {
    case pass
    /// The writer.
    case store(UnsafeMutableRawPointer?)
    /// `HookCall.cacheAnswer` has the answer.
    case answer
    /// The plugin failed.
    case failed
}

/// What came of bytes for a writer.
public enum CacheWrite: Sendable {
    case taken
    /// The same, and `HookCall.takeWait` names a wait before which there is to come no more.
    case wait
    /// They can't be stored.
    case refused
}

/// What came of a read.
public enum CacheRead {
    case bytes(UnsafePointer<UInt8>, Int)
    case file(Int32, offset: UInt64, count: Int)
    /// `HookCall.takeWait` names the wait.
    case again
    case end
    /// There will be no more, or what the plugin gave is none of these.
    case broken
}

extension HookCall {
    // MARK: Lookups

    /// Asks the cache about a request whose hooks have run.
    ///
    /// With `.miss` the fields are taken off the request that are between client and cache alone
    /// (Range and conditions, RFC 9110 §13 and §14), and the plugin's edits are in it.
    ///
    /// - Parameters:
    ///   - hasBody: whether the request has a body.
    ///   - again: `SLUICE_CACHE_AGAIN_*`, 0 the first time.
    public mutating func lookUp(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        hasBody: Bool,
        again: UInt32
    ) -> CacheLookup {
        failure = nil
        guard prepare(.requestHeaders, context, flags: 0) else {
            return fail(cache, verdict: 0, .outOfMemory, .failed)
        }
        let lookup = self.cache.lookup
        lookup.pointee.flags = context.pointee.flags
        if !hasBody { lookup.pointee.flags |= UInt32(SLUICE_ARGS_EOS) }
        lookup.pointee.again = again
        lookup.pointee.cache_status = UInt32(SLUICE_CACHE_STATUS_NONE)
        lookup.pointee.headers = args.pointee.request_headers
        lookup.pointee.facts = args.pointee.facts
        clearAnswer()
        let call = cache.pointee.lookup
        let waiting: UInt32 = 1 << SLUICE_CACHE_WAIT | 1 << SLUICE_CACHE_FETCH
        let verdict = enter(cache, context, waiting: waiting) { call($0, $1, $2, $3, lookup) }
        switch Int(verdict) {
        case SLUICE_CACHE_WAIT where hasWait: return .wait
        case SLUICE_CACHE_FETCH where hasWait: return .fetch
        default: cancelWait()
        }
        let status = lookup.pointee.cache_status
        switch Int(verdict) {
        case SLUICE_CACHE_BYPASS:
            note(status, or: SLUICE_CACHE_STATUS_BYPASS, context)
            return .bypass
        case SLUICE_CACHE_MISS:
            context.pointee.request.dropConditions()
            context.pointee.requestChanged()
            if edits.pointee.count > 0, let error = commitMiss(context) {
                return fail(cache, verdict: verdict, error, .failed)
            }
            note(status, or: SLUICE_CACHE_STATUS_MISS, context)
            return .miss
        case SLUICE_CACHE_HIT: return .hit
        case SLUICE_CACHE_STALE: return .stale
        case SLUICE_CACHE_RESPOND where 200...599 ~= reply.pointee.status:
            note(status, or: SLUICE_CACHE_STATUS_NONE, context)
            return .respond
        default: return fail(cache, verdict: verdict, nil, .failed)
        }
    }

    /// Applies what a lookup edits, but for the method, which says whether a body follows.
    private func commitMiss(_ context: UnsafeMutablePointer<RequestContext>) -> EditError? {
        guard let ops = edits.pointee.ops else { return .tooMany }
        for index in 0..<min(Int(edits.pointee.count), Int(edits.pointee.capacity))
        where ops[index].op == UInt32(SLUICE_EDIT_SET_METHOD) {
            return .wrongMessage
        }
        return editor.apply(
            edits,
            to: &context.pointee.request,
            known: (.max, .max),
            &context.pointee.arena
        )
    }

    private func note(
        _ status: UInt32,
        or usual: Int,
        _ context: UnsafeMutablePointer<RequestContext>
    ) {
        context.pointee.facts.cache_status =
            1...UInt32(SLUICE_CACHE_STATUS_UPDATED) ~= status ? status : UInt32(usual)
    }

    // MARK: Responses

    /// Shows the cache the origin's response to a miss.
    ///
    /// - Parameters:
    ///   - hasBody: whether a body follows.
    ///   - length: of the body, `UInt64.max` when it is not known.
    public mutating func admit(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        hasBody: Bool,
        length: UInt64
    ) -> CacheAdmission {
        failure = nil
        guard prepare(.upstreamResponse, context, flags: 0) else {
            return fail(cache, verdict: 0, .outOfMemory, .failed)
        }
        let response = self.cache.response
        response.pointee.flags = context.pointee.flags
        if !hasBody { response.pointee.flags |= UInt32(SLUICE_ARGS_EOS) }
        response.pointee.result = UInt32(SLUICE_ATTEMPT_RESPONSE)
        response.pointee.headers = args.pointee.headers
        response.pointee.content_length = length
        return settle(cache, context, cache.pointee.admit, mayStore: true)
    }

    /// Tells the cache that no attempt of a miss had a response.
    ///
    /// - Parameter result: `SLUICE_ATTEMPT_*` of the last attempt.
    public mutating func tellFailed(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        result: UInt32
    ) -> CacheAdmission {
        failure = nil
        guard prepare(.requestHeaders, context, flags: 0) else {
            return fail(cache, verdict: 0, .outOfMemory, .failed)
        }
        let response = self.cache.response
        response.pointee.flags = context.pointee.flags | UInt32(SLUICE_ARGS_EOS)
        response.pointee.result = result
        response.pointee.headers = nil
        response.pointee.content_length = .max
        return settle(cache, context, cache.pointee.failed, mayStore: false)
    }

    private mutating func settle(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        _ call: ChainCache.Response,
        mayStore: Bool
    ) -> CacheAdmission {
        let response = self.cache.response
        response.pointee.cache_status = UInt32(SLUICE_CACHE_STATUS_NONE)
        response.pointee.request_headers = args.pointee.request_headers
        response.pointee.facts = args.pointee.facts
        response.pointee.writer = nil
        clearAnswer()
        let verdict = enter(cache, context) { call($0, $1, $2, $3, response) }
        cancelWait()
        let writer = response.pointee.writer
        switch Int(verdict) {
        case SLUICE_CACHE_ANSWER: return .answer
        case SLUICE_CACHE_PASS: break
        case SLUICE_CACHE_STORE where mayStore: break
        default: return fail(cache, verdict: verdict, nil, .failed)
        }
        let stores = Int(verdict) == SLUICE_CACHE_STORE
        if mayStore, edits.pointee.count > 0, let error = commitResponse(context) {
            if stores { end(cache, writer, isWhole: false) }
            return fail(cache, verdict: verdict, error, .failed)
        }
        note(
            response.pointee.cache_status,
            or: Int(context.pointee.facts.cache_status),
            context
        )
        return stores ? .store(writer) : .pass
    }

    // MARK: Writing

    /// Gives a writer bytes; when they are refused, `end` is to follow.
    ///
    /// - Parameter context: of the request that was admitted.
    public mutating func write(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        _ writer: UnsafeMutableRawPointer?,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) -> CacheWrite {
        let call = cache.pointee.write
        let piece = sluice_slice(ptr: bytes, len: UInt64(count))
        worker.pointee.entry = cache.pointee.entry
        worker.pointee.context = context
        args.pointee.phase = UInt32(SLUICE_PHASE_CACHE_LOOKUP)
        let result = enterAlone(cache) { call($0, $1, writer, piece) }
        worker.pointee.context = nil
        if result == SLUICE_OK { return hasWait ? .wait : .taken }
        cancelWait()
        return .refused
    }

    /// Ends a writer.
    ///
    /// - Parameter isWhole: whether it was given the whole body.
    public mutating func end(
        _ cache: UnsafePointer<ChainCache>,
        _ writer: UnsafeMutableRawPointer?,
        isWhole: Bool
    ) {
        let call = isWhole ? cache.pointee.commit : cache.pointee.abort
        enterAlone(cache) { call($0, $1, writer) }
    }

    // MARK: Reading

    /// Asks for stored bytes.
    ///
    /// - Parameters:
    ///   - count: how many there is use for, 1 or more.
    ///   - wantsBytes: a file is of no use.
    public mutating func read(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        _ reader: UnsafeMutableRawPointer?,
        offset: UInt64,
        count: Int,
        wantsBytes: Bool
    ) -> CacheRead {
        failure = nil
        let chunk = self.cache.chunk
        chunk.pointee = sluice_cache_chunk()
        chunk.pointee.size = UInt32(MemoryLayout<sluice_cache_chunk>.size)
        chunk.pointee.wants_bytes = wantsBytes ? 1 : 0
        chunk.pointee.offset = offset
        chunk.pointee.length = UInt64(count)
        chunk.pointee.file = -1
        let call = cache.pointee.read
        let waiting: UInt32 = 1 << SLUICE_CACHE_AGAIN
        let verdict = enter(cache, context, waiting: waiting) { state, slot, request, _ in
            call(state, slot, request, reader, chunk)
        }
        if Int(verdict) == SLUICE_CACHE_AGAIN, hasWait { return .again }
        cancelWait()
        switch Int(verdict) {
        case SLUICE_CACHE_BYTES:
            let most = min(chunk.pointee.bytes.len, UInt64(count))
            if most > 0, let bytes = chunk.pointee.bytes.ptr { return .bytes(bytes, Int(most)) }
        case SLUICE_CACHE_FILE where !wantsBytes && chunk.pointee.file >= 0:
            let most = min(chunk.pointee.file_length, UInt64(count))
            if most > 0, chunk.pointee.file_offset <= UInt64(Int64.max) - most {
                return .file(
                    chunk.pointee.file,
                    offset: chunk.pointee.file_offset,
                    count: Int(most)
                )
            }
        case SLUICE_CACHE_END: return .end
        case SLUICE_CACHE_BROKEN: return .broken
        default: break
        }
        return fail(cache, verdict: verdict, nil, .broken)
    }

    /// Ends a reader.
    public mutating func close(
        _ cache: UnsafePointer<ChainCache>,
        _ reader: UnsafeMutableRawPointer?
    ) {
        let call = cache.pointee.close
        enterAlone(cache) { call($0, $1, reader) }
    }

    /// Counts a failure of the cache, whose answer could not be used.
    public mutating func failAnswer(_ cache: UnsafePointer<ChainCache>, _ error: EditError?) {
        fail(cache, verdict: 0, error, ())
    }

    // MARK: Calling

    /// Calls the cache for a request.
    ///
    /// - Parameter waiting: a bit for each result with which the host takes a wait.
    @inline(__always)
    private mutating func enter(
        _ cache: UnsafePointer<ChainCache>,
        _ context: UnsafeMutablePointer<RequestContext>,
        waiting: UInt32 = 0,
        _ call: (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, OpaquePointer?,
            UnsafeMutableRawPointer?
        ) -> UInt32
    ) -> UInt32 {
        let entry = cache.pointee.entry
        let base =
            entry.pointee.isGlobal
            ? context.pointee.globalContexts : context.pointee.routeContexts
        worker.pointee.entry = entry
        worker.pointee.context = context
        args.pointee.phase = UInt32(SLUICE_PHASE_CACHE_LOOKUP)
        if worker.pointee.isCounting {
            worker.pointee.cells.increment(entry.pointee.meter.calls)
        }
        let isTimed = worker.pointee.isTimed || !context.pointee.timing.isEmpty
        if isTimed { beginTime() }
        let result = call(
            entry.pointee.state,
            worker.pointee.slots[Int(entry.pointee.instance)],
            OpaquePointer(context),
            base?.advanced(by: Int(entry.pointee.contextOffset))
        )
        worker.pointee.context = nil
        if isTimed {
            noteTime(entry, context, isResumed: true, result, waiting: waiting)
        }
        return result
    }

    /// Calls the cache about a reader or a writer.
    @inline(__always)
    private mutating func enterAlone<Result>(
        _ cache: UnsafePointer<ChainCache>,
        _ call: (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Result
    ) -> Result {
        let entry = cache.pointee.entry
        let slot = worker.pointee.slots[Int(entry.pointee.instance)]
        if worker.pointee.isTimed { beginTime() }
        let result = Breadcrumb.mark(.write, of: PluginRecord.label(entry.pointee.plugin)) {
            call(entry.pointee.state, slot)
        }
        if worker.pointee.isTimed { noteTime(entry, nil, isResumed: false, 0, waiting: 0) }
        return result
    }

    @discardableResult
    private mutating func fail<Result>(
        _ cache: UnsafePointer<ChainCache>,
        verdict: UInt32,
        _ error: EditError?,
        _ result: Result
    ) -> Result {
        _ = fail(cache.pointee.entry, .cacheLookup, verdict: verdict, edit: error)
        return result
    }
}
