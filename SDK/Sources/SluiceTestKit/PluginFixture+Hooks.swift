import CSluice
public import SluiceSDK

extension PluginFixture {
    /// Runs the `request_headers` hook and applies its edits.
    ///
    /// A plugin without it goes on, as with all hooks.
    @discardableResult
    public func requestHeaders(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        head(request, worker, .requestHeaders)
    }

    /// Runs the `upstream_request` hook and applies its edits.
    @discardableResult
    public func upstreamRequest(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        head(request, worker, .upstreamRequest)
    }

    /// Runs the `upstream_result` hook.
    @discardableResult
    public func upstreamResult(
        _ request: RequestFixture,
        _ result: AttemptResult,
        worker: Int = 0
    ) -> Verdict {
        request.facts.attempt_result = result.rawValue
        return head(request, worker, .upstreamResult)
    }

    /// Runs the `upstream_response` hook and applies its edits.
    @discardableResult
    public func upstreamResponse(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        head(request, worker, .upstreamResponse)
    }

    /// Runs the `response_headers` hook and applies its edits.
    @discardableResult
    public func responseHeaders(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        head(request, worker, .responseHeaders)
    }

    /// Runs the `local_reply` hook and applies its edits.
    @discardableResult
    public func localReply(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        head(request, worker, .localReply)
    }

    /// Runs the `request_end` hook, after the request's wait and its callouts were cancelled.
    @discardableResult
    public func requestEnd(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        if let wait = request.wait { Waits.remove(wait) }
        request.wait = nil
        host.pendingCallouts.removeAll { $0.request === request }
        defer { request.endContext(of: self) }
        return head(request, worker, .requestEnd)
    }

    /// Runs the `resumed` hook when the request's wait has ended, and goes on with the phase.
    ///
    /// - Returns: the phase's verdict; nil when there is no wait, or it lasts.
    public func resumed(_ request: RequestFixture) -> Verdict? {
        guard let wait = request.wait, let end = locked({ wait.end }) else { return nil }
        Waits.remove(wait)
        request.wait = nil
        if wait.phase.isBody {
            return pump(request, wait.phase, wait.worker, resumption: end)
        }
        return call(request, wait.worker, wait.phase, resumption: end)
    }

    private func head(_ request: RequestFixture, _ worker: Int, _ phase: Phase) -> Verdict {
        guard wants(request, phase) else { return .next }
        request.headPhases.insert(phase)
        return call(request, worker, phase, resumption: nil)
    }

    /// Whether the instance has the hook, and is still to be called for this request.
    func wants(_ request: RequestFixture, _ phase: Phase) -> Bool {
        guard hook(phase) != nil else { return false }
        if phase == .requestEnd { return true }
        return !request.isDetached && request.interest?.contains(PhaseSet(phase)) != false
    }
}

/// The hook that runs for a request.
struct RunningHook {
    let host: FakeHost
    let phase: Phase
    let worker: Int
    let canResume: Bool
}

/// What one call of a hook gets, all of it in one arena.
struct HookArguments {
    let arena = Arena()
    let args: UnsafeMutablePointer<sluice_args>
    let edits: UnsafeMutablePointer<sluice_edits>
    let reply: UnsafeMutablePointer<sluice_reply>

    init(_ request: RequestFixture, _ phase: Phase, _ host: FakeHost, _ body: BodyRecord?) {
        args = arena.allocate(sluice_args(), count: 1)
        reply = arena.allocate(sluice_reply(), count: 1)
        edits = Self.makeEdits(arena, request.editCapacity)
        reply.pointee.size = UInt32(MemoryLayout<sluice_reply>.size)
        reply.pointee.edits = Self.makeEdits(arena, request.editCapacity)

        args.pointee.size = UInt32(MemoryLayout<sluice_args>.size)
        args.pointee.phase = phase.rawValue
        if request.isLocal { args.pointee.flags |= UInt32(SLUICE_ARGS_LOCAL) }
        if request.isHeld { args.pointee.flags |= UInt32(SLUICE_ARGS_HELD) }
        if request.hasNoBody { args.pointee.flags |= UInt32(SLUICE_ARGS_EOS) }
        args.pointee.request_headers = request.request.layOut(in: arena)
        args.pointee.headers =
            phase.isResponse ? request.response.layOut(in: arena) : args.pointee.request_headers
        args.pointee.facts = request.layOutFacts(in: arena, host.nowNanoseconds)
        if Self.hasEdits(request, phase, body) { args.pointee.edits = edits }
        if Self.hasReply(request, phase) { args.pointee.reply = reply }
    }

    private static func hasEdits(
        _ request: RequestFixture,
        _ phase: Phase,
        _ body: BodyRecord?
    ) -> Bool {
        switch phase {
        case .requestEnd, .upstreamResult: false
        case .requestBody, .upstreamBody, .responseBody:
            request.isHeld || body?.isEnd == true && body?.trailers != nil
        default: true
        }
    }

    private static func hasReply(_ request: RequestFixture, _ phase: Phase) -> Bool {
        switch phase {
        case .requestEnd, .upstreamResult, .localReply: false
        default: true
        }
    }

    static func records(_ edits: UnsafeMutablePointer<sluice_edits>) -> [EditRecord] {
        (0..<Int(edits.pointee.count)).map { EditRecord(edits.pointee.ops[$0]) }
    }

    private static func makeEdits(
        _ arena: Arena,
        _ capacity: Int
    ) -> UnsafeMutablePointer<sluice_edits> {
        let edits = arena.allocate(sluice_edits(), count: 1)
        edits.pointee.size = UInt32(MemoryLayout<sluice_edits>.size)
        edits.pointee.capacity = UInt32(capacity)
        edits.pointee.ops = arena.allocate(sluice_edit(), count: capacity)
        return edits
    }
}

extension PluginFixture {
    /// Calls a hook, or `resumed`, and does what the host does after it.
    func call(
        _ request: RequestFixture,
        _ worker: Int,
        _ phase: Phase,
        resumption: (reason: ResumeReason, payload: UInt64)?,
        body: BodyRecord? = nil,
        chunk: BodyCall? = nil
    ) -> Verdict {
        let resumed = instance.hooks?.pointee.resumed
        guard let hook = resumption == nil ? hook(phase) : resumed else { return .error }
        let arguments = HookArguments(request, phase, host, body)
        let args = arguments.args
        chunk?.layOut(in: arguments.arena, args)
        if let resumption {
            args.pointee.resume_reason = resumption.reason.rawValue
            args.pointee.resume_payload = resumption.payload
        }
        let context = request.context(of: self, byteCount: contextByteCount)
        let canResume = resumed != nil
        request.running = RunningHook(
            host: host,
            phase: phase,
            worker: worker,
            canResume: canResume
        )
        let slot = slot(worker)
        let number = ThreadRole.worker(worker).run {
            hook(instance.state, slot, request.handle, context, args)
        }
        request.running = nil
        request.errorCode = args.pointee.error_code
        request.edits = HookArguments.records(arguments.edits)
        chunk?.takeBack(args)
        let replyEdits = HookArguments.records(arguments.reply.pointee.edits)
        let reply = args.pointee.reply == nil ? nil : arguments.reply.pointee
        let asks = args.pointee
        arguments.arena.poison()
        request.retired.append(arguments.arena)

        let verdict = settle(request, phase, Verdict(rawValue: number), body)
        switch verdict {
        case .error, .reset: return verdict
        case .respond:
            // A response whose head has gone out is cut.
            let isLate = phase.isBody && phase.isResponse && !request.isHeld
            if isLate, body?.isWhole != true { return .reset }
            return give(reply, replyEdits, to: request)
        default: break
        }
        guard apply(request, phase, body), request.take(asks, phase) else { return drop(request) }
        if verdict == .hold { request.isHeld = true }
        if verdict == .detach { request.isDetached = true }
        return verdict
    }

    /// Compares a verdict with its phase, and ends a wait that it does not want.
    private func settle(
        _ request: RequestFixture,
        _ phase: Phase,
        _ verdict: Verdict,
        _ body: BodyRecord?
    ) -> Verdict {
        let fits =
            switch verdict {
            case .suspend: request.wait != nil
            case .hold:
                phase == .responseHeaders && !request.hasNoBody && wants(request, .responseBody)
            case .more: phase.isBody
            case .reset: phase != .requestEnd && phase != .upstreamResult
            case .next, .detach, .respond: true
            default: false
            }
        if !fits || verdict != .suspend, let wait = request.wait {
            Waits.remove(wait)
            request.wait = nil
        }
        return fits ? verdict : .error
    }

    /// Applies edits to what the phase's message is; false when one is refused.
    private func apply(_ request: RequestFixture, _ phase: Phase, _ body: BodyRecord?) -> Bool {
        if phase.isBody, !request.isHeld {
            return body?.trailers?.apply(request.edits) ?? request.edits.isEmpty
        }
        return phase.isResponse
            ? request.response.apply(request.edits) : request.request.apply(request.edits)
    }

    private func drop(_ request: RequestFixture) -> Verdict {
        if let wait = request.wait { Waits.remove(wait) }
        request.wait = nil
        return .error
    }

    /// Answers with a reply, whose body the host reads only now: it must outlive the hook.
    private func give(
        _ reply: sluice_reply?,
        _ edits: [EditRecord],
        to request: RequestFixture
    ) -> Verdict {
        guard let reply, (200...599).contains(reply.status) else { return .error }
        request.respond(status: Int(reply.status), isLocal: true)
        request.replyBody = String(reply.body)
        return request.response.apply(edits) ? .respond : .error
    }
}

extension RequestFixture {
    /// Keeps what a hook has asked for besides its verdict; false when its phase does not give it.
    fileprivate func take(_ args: sluice_args, _ phase: Phase) -> Bool {
        func asks(_ bit: some BinaryInteger) -> Bool {
            args.asks & UInt64(truncatingIfNeeded: bit) != 0
        }
        let body: Phase? =
            switch phase {
            case .requestHeaders: .requestBody
            case .upstreamResponse: .upstreamBody
            case .responseHeaders: .responseBody
            default: nil
            }
        if asks(SLUICE_ASK_BODY_POLICY) {
            guard body != nil else { return false }
            bodyPolicies[phase.isResponse ? .response : .request] =
                switch Int(args.body_policy) {
                case SLUICE_BODY_UNKNOWN: .unknown
                case SLUICE_BODY_EXACT: .exact(args.body_length)
                case SLUICE_BODY_DROP: .drop
                default: .same
                }
        }
        if asks(SLUICE_ASK_BUFFER) {
            guard let body else { return false }
            buffering[body] = BodyBuffering(
                max: Int(args.buffer_max),
                overflow: BodyOverflow(rawValue: args.buffer_overflow) ?? .refuse
            )
        }
        if asks(SLUICE_ASK_RELEASE) {
            guard phase.isBody, isHeld else { return false }
            isHeld = false
        }
        if asks(SLUICE_ASK_INTEREST) {
            let phases = PhaseSet(rawValue: args.interest)
            interest = interest.map { $0.intersection(phases) } ?? phases
        }
        return true
    }
}
