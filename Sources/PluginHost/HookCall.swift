public import CSluice
import HTTP
public import Sys

/// What came of a phase.
public enum PhaseOutcome: Equatable, Sendable {
    case proceed
    /// The plugin at this position answers; `HookCall.reply` has the answer.
    case respond(position: Int)
    case reset(position: Int)
    /// The plugin failed and its manifest entry says closed, with this status.
    case failed(position: Int, status: UInt16)
    /// The hook at this place of the phase's order waits; `HookCall.takeWait` names the wait. The
    /// phase goes on with `run(from:resume:)`.
    case suspended(index: Int)
    /// The hook at this place keeps the response's head until its body hook lets it go. The phase
    /// goes on with `run(from:)` behind it.
    case held(index: Int)
}

/// A failure of a hook, for the log.
public struct HookFailure: Sendable {
    public var position: Int
    public var phase: Phase
    /// What the plugin gave as `error_code`.
    public var code: UInt32
    public var verdict: UInt32
    public var edit: EditError?
}

/// Why a hook is called again.
public struct Resumption: Sendable {
    /// `SLUICE_RESUMED` or another reason of the ABI.
    public let reason: UInt32
    public let payload: UInt64

    public init(reason: UInt32, payload: UInt64) {
        self.reason = reason
        self.payload = payload
    }
}

/// The memory that a worker's calls into plugins use, one set per worker.
public struct HookCall: ~Copyable {
    /// Edits that one hook may make.
    public static let editsMax = 64

    let views: HeaderView
    let editor: Edits
    /// Where the facts stand in a context: looked up once, because a key path is not folded.
    private let factsOffset = MemoryLayout<RequestContext>.offset(of: \.facts) ?? 0
    /// What all requests of the worker point to.
    public let worker: UnsafeMutablePointer<WorkerLinks>
    let args: UnsafeMutablePointer<sluice_args>
    let edits: UnsafeMutablePointer<sluice_edits>
    let replyEdits: UnsafeMutablePointer<sluice_edits>
    public let reply: UnsafeMutablePointer<sluice_reply>
    let body: BodyCallMemory
    let cache: CacheCallMemory
    /// The last failure of the phase that ran last; nil when there was none.
    public internal(set) var failure: HookFailure?

    public init(worker links: WorkerLinks) {
        views = HeaderView()
        editor = Edits(names: views.templates)
        worker = .allocate(capacity: 1)
        worker.initialize(to: links)
        WorkerLinks.settle(worker)
        args = links.args
        edits = Self.makeEdits()
        replyEdits = Self.makeEdits()
        reply = .allocate(capacity: 1)
        reply.initialize(to: sluice_reply())
        reply.pointee.size = UInt32(MemoryLayout<sluice_reply>.size)
        reply.pointee.edits = replyEdits
        args.pointee.reply = reply
        body = BodyCallMemory()
        cache = CacheCallMemory(edits: edits, reply: reply)
    }

    deinit {
        if Breadcrumb.here == WorkerLinks.crumb(worker) { Breadcrumb.use(nil) }
        worker.deallocate()
        args.deallocate()
        edits.pointee.ops.deallocate()
        edits.deallocate()
        replyEdits.pointee.ops.deallocate()
        replyEdits.deallocate()
        reply.deallocate()
        body.deallocate()
        cache.deallocate()
    }

    private static func makeEdits() -> UnsafeMutablePointer<sluice_edits> {
        let edits = UnsafeMutablePointer<sluice_edits>.allocate(capacity: 1)
        edits.initialize(
            to: sluice_edits(
                size: UInt32(MemoryLayout<sluice_edits>.size),
                count: 0,
                capacity: UInt32(editsMax),
                reserved: 0,
                ops: .allocate(capacity: editsMax)
            )
        )
        return edits
    }

    // MARK: Running a phase

    /// Runs the hooks of a phase whose plugins stand in `positions`.
    ///
    /// - Parameters:
    ///   - first: place in the phase's order where it goes on.
    ///   - positions: plugins to run, by place in the chain.
    ///   - flags: `SLUICE_ARGS_*`.
    ///   - resumption: why the first one is called again; nil when it is called for the first time.
    @inline(__always)
    public mutating func run(
        _ phase: Phase,
        of chain: PhaseChain,
        from first: Int = 0,
        positions: Range<Int>,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32,
        resumption: Resumption? = nil
    ) -> PhaseOutcome {
        failure = nil
        let hooks = chain.hooks(phase)
        guard let entries = hooks.entries else { return .proceed }
        return run(
            phase,
            chain,
            UnsafeMutableBufferPointer(start: entries, count: hooks.count),
            from: first,
            positions,
            context,
            flags: flags,
            resumption
        )
    }

    private mutating func run(
        _ phase: Phase,
        _ chain: PhaseChain,
        _ entries: UnsafeMutableBufferPointer<HookEntry>,
        from first: Int,
        _ positions: Range<Int>,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32,
        _ resumption: Resumption?
    ) -> PhaseOutcome {
        // Safe: `first` and `index` are within the list, which has memory.
        let list = entries.baseAddress.unsafelyUnwrapped
        var skipped: UInt64 = 0
        if phase != .requestEnd {
            skipped = context.pointee.detached
            if let masks = context.pointee.masks { skipped |= masks[phase.rawValue] }
        } else {
            skipped = context.pointee.absent
        }
        var index = first
        while index < entries.count {
            let entry = list + index
            let position = Int(entry.pointee.position)
            guard positions.contains(position), skipped & (1 << UInt64(position)) == 0 else {
                index &+= 1
                continue
            }
            let outcome = call(
                entry,
                index,
                phase,
                chain,
                context,
                flags: flags,
                index == first ? resumption : nil
            )
            switch outcome {
            case .proceed: break
            case .failed:
                context.pointee.detached |= 1 << UInt64(position)
                let status = chain.plugins[position].failureStatus
                if status != 0, phase.mayFailRequest {
                    return .failed(position: position, status: status)
                }
            default: return outcome
            }
            index &+= 1
        }
        return .proceed
    }

    @inline(__always)
    private mutating func call(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ index: Int,
        _ phase: Phase,
        _ chain: PhaseChain,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32,
        _ resumption: Resumption?
    ) -> PhaseOutcome {
        guard prepare(phase, context, flags: flags) else {
            return fail(entry, phase, verdict: 0, edit: .outOfMemory)
        }
        let verdict = enter(entry, context, resumption)
        let asked = args.pointee.asks != 0
        if verdict == UInt32(SLUICE_CONTINUE), !asked, !hasWait {
            if edits.pointee.count > 0, phase.takesEdits, let error = commit(phase, context) {
                return fail(entry, phase, verdict: verdict, edit: error)
            }
            return .proceed
        }
        return settle(verdict, entry, index, phase, chain, context)
    }

    /// Calls the hook itself.
    @inline(__always)
    mutating func enter(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ context: UnsafeMutablePointer<RequestContext>,
        _ resumption: Resumption?
    ) -> UInt32 {
        let base =
            entry.pointee.isGlobal
            ? context.pointee.globalContexts : context.pointee.routeContexts
        worker.pointee.entry = entry
        worker.pointee.context = context
        var hook = entry.pointee.call
        if let resumption {
            args.pointee.resume_reason = resumption.reason
            args.pointee.resume_payload = resumption.payload
            if let resumed = entry.pointee.resumed { hook = resumed }
        }
        if worker.pointee.isCounting {
            worker.pointee.cells.increment(entry.pointee.meter.calls)
        }
        let isTimed = worker.pointee.isTimed || !context.pointee.timing.isEmpty
        if isTimed { beginTime() }
        let verdict = hook(
            entry.pointee.state,
            worker.pointee.slots[Int(entry.pointee.instance)],
            OpaquePointer(context),
            base?.advanced(by: Int(entry.pointee.contextOffset)),
            args
        )
        worker.pointee.context = nil
        if isTimed {
            noteTime(
                entry,
                context,
                isResumed: resumption != nil,
                verdict,
                waiting: 1 &<< UInt32(SLUICE_SUSPEND)
            )
        }
        if resumption != nil { args.pointee.resume_reason = 0 }
        return verdict
    }

    /// Acts on a verdict that is more than CONTINUE.
    @inline(never)
    private mutating func settle(
        _ verdict: UInt32,
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ index: Int,
        _ phase: Phase,
        _ chain: PhaseChain,
        _ context: UnsafeMutablePointer<RequestContext>
    ) -> PhaseOutcome {
        let position = Int(entry.pointee.position)
        if Int(verdict) != SLUICE_SUSPEND { cancelWait() }
        switch Int(verdict) {
        case SLUICE_CONTINUE, SLUICE_DETACH: break
        case SLUICE_SUSPEND where hasWait: break
        case SLUICE_HOLD
        where phase == .responseHeaders && args.pointee.flags & UInt32(SLUICE_ARGS_EOS) == 0
            && chain.hasHook(.responseBody, position: position)
            && context.pointee.isInterested(.responseBody, position: position):
            break
        case SLUICE_RESPOND where phase.mayAnswer:
            guard 200...599 ~= reply.pointee.status else {
                return fail(entry, phase, verdict: verdict, edit: .badStatus)
            }
            // The message that it asked something for does not go on.
            args.pointee.asks = 0
            return .respond(position: position)
        case SLUICE_RESET where phase != .requestEnd && phase != .upstreamResult:
            args.pointee.asks = 0
            return .reset(position: position)
        default:
            return fail(entry, phase, verdict: verdict, edit: nil)
        }
        // All of what the hook edited and asked for, or nothing.
        var error = args.pointee.asks == 0 ? nil : context.pointee.reserve(args, phase)
        if error == nil, edits.pointee.count > 0, phase.takesEdits {
            error = commit(phase, context)
        }
        if let error { return fail(entry, phase, verdict: verdict, edit: error) }
        grantAsks(phase, position, context)
        switch Int(verdict) {
        case SLUICE_DETACH: context.pointee.detached |= 1 << UInt64(position)
        case SLUICE_SUSPEND: return .suspended(index: index)
        case SLUICE_HOLD: return .held(index: index)
        default: break
        }
        return .proceed
    }

    // MARK: Waits and wishes

    var hasWait: Bool { worker.pointee.wait.sequence != 0 }

    /// The wait that the hook began which has just returned SUSPEND.
    public mutating func takeWait() -> sluice_token {
        let wait = worker.pointee.wait
        worker.pointee.wait = sluice_token()
        return wait
    }

    /// Cancels the wait that the hook began which has just returned SUSPEND.
    public mutating func dropWait() { cancelWait() }

    mutating func cancelWait() {
        guard hasWait else { return }
        let wait = takeWait()
        worker.pointee.waits?._withUnsafeGuaranteedRef { $0.cancel(wait) }
    }

    /// Gives the hook what it asked for, once `RequestContext.reserve` has agreed.
    mutating func grantAsks(
        _ phase: Phase,
        _ position: Int,
        _ context: UnsafeMutablePointer<RequestContext>
    ) {
        guard args.pointee.asks != 0 else { return }
        context.pointee.grant(args, phase, position: position)
        args.pointee.asks = 0
    }

    @inline(never)
    mutating func fail(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ phase: Phase,
        verdict: UInt32,
        edit: EditError?
    ) -> PhaseOutcome {
        let position = Int(entry.pointee.position)
        cancelWait()
        noteFault(edit != nil ? .edit : Int(verdict) == SLUICE_ERROR ? .error : .verdict, entry)
        failure = HookFailure(
            position: position,
            phase: phase,
            code: args.pointee.error_code,
            verdict: verdict,
            edit: edit
        )
        args.pointee.asks = 0
        args.pointee.error_code = 0
        return .failed(position: position, status: 0)
    }

    // MARK: Arguments

    /// Fills the arguments; false when the arena's bound is reached.
    @inline(__always)
    mutating func prepare(
        _ phase: Phase,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32
    ) -> Bool {
        guard
            let request = views.make(
                &context.pointee.request,
                &context.pointee.requestView,
                &context.pointee.requestViewIsCurrent,
                &context.pointee.arena,
                secure: context.pointee.facts.secure
            )
        else { return false }
        args.pointee.request_headers = UnsafePointer(request)
        args.pointee.headers = UnsafePointer(request)
        if phase.isOfResponse {
            guard
                let response = views.make(
                    &context.pointee.response,
                    &context.pointee.responseView,
                    &context.pointee.responseViewIsCurrent,
                    &context.pointee.arena
                )
            else { return false }
            args.pointee.headers = UnsafePointer(response)
        }
        args.pointee.phase = UInt32(truncatingIfNeeded: phase.rawValue)
        args.pointee.flags = flags | context.pointee.flags
        args.pointee.error_code = 0
        // Safe: the context stays where it is while the hook runs.
        args.pointee.facts = UnsafePointer(
            (UnsafeRawPointer(context) + factsOffset).assumingMemoryBound(to: sluice_facts.self)
        )
        edits.pointee.count = 0
        args.pointee.edits = phase.takesEdits ? edits : nil
        replyEdits.pointee.count = 0
        reply.pointee.status = 0
        reply.pointee.body = sluice_slice()
        return true
    }

    @inline(__always)
    private func commit(
        _ phase: Phase,
        _ context: UnsafeMutablePointer<RequestContext>
    ) -> EditError? {
        phase.isOfResponse ? commitResponse(context) : commitRequest(context)
    }

    private func commitRequest(_ context: UnsafeMutablePointer<RequestContext>) -> EditError? {
        context.pointee.requestViewIsCurrent = false
        return editor.apply(
            edits,
            to: &context.pointee.request,
            known: context.pointee.requestView?.pointee.known_bits ?? (.max, .max),
            &context.pointee.arena
        )
    }

    func commitResponse(_ context: UnsafeMutablePointer<RequestContext>) -> EditError? {
        context.pointee.responseViewIsCurrent = false
        return editor.apply(
            edits,
            to: &context.pointee.response,
            known: context.pointee.responseView?.pointee.known_bits ?? (.max, .max),
            &context.pointee.arena
        )
    }

    /// A view of a message that is not a request's own, such as the answer to a callout.
    ///
    /// - Returns: nil when the arena's bound is reached.
    public func makeView(
        of message: inout Message,
        _ arena: inout Arena
    ) -> UnsafePointer<sluice_headers>? {
        var view: UnsafeMutablePointer<sluice_headers>?
        var isCurrent = false
        return views.make(&message, &view, &isCurrent, &arena).map { UnsafePointer($0) }
    }

    /// Puts the fields of the reply that a plugin made into a response.
    public func applyReplyFields(
        to message: inout Message,
        _ arena: inout Arena
    ) -> EditError? {
        guard replyEdits.pointee.count > 0 else { return nil }
        return editor.apply(replyEdits, to: &message, known: (.max, .max), &arena)
    }
}

extension Phase {
    /// Whether a failure of a plugin that is closed ends the request with its status.
    var mayFailRequest: Bool {
        self != .requestEnd && self != .localReply && self != .upstreamResult
    }

    /// Whether a hook may answer in place of what is going on.
    var mayAnswer: Bool { mayFailRequest }
}
