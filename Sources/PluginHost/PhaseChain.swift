public import CSluice
import HTTP
public import Sys

/// The phases whose hooks the host calls.
public enum Phase: Int, CaseIterable, Sendable {
    case requestHeaders = 0
    case upstreamRequest = 4
    case responseHeaders = 8
    case localReply = 10
    case requestEnd = 11
}

/// One hook of a compiled chain.
public struct HookEntry {
    let call: sluice_hook
    let state: UnsafeMutableRawPointer?
    /// Index of the plugin's instance: of its slot in a worker's table.
    let instance: Int32
    /// Place of the plugin in the chain, 0 first.
    let position: Int32
    /// Offset of its request context, from the global or the route's block.
    let contextOffset: Int32
    let isGlobal: Bool
}

/// The hooks of one phase in the order in which they run.
public struct PhaseHooks {
    var entries: UnsafeMutablePointer<HookEntry>?
    public fileprivate(set) var count = 0
}

/// The plugins that a route's requests go through, compiled: made once, read by all workers.
///
/// A phase holds only the plugins that hook it, so a plugin without a hook costs nothing there.
public struct PhaseChain: @unchecked Sendable {
    // Safe: filled before any worker starts and never changed.
    private let phases: UnsafeMutablePointer<PhaseHooks>
    public let plugins: UnsafeMutablePointer<ChainPlugin>
    public let pluginCount: Int
    /// Plugins of the chain that every request goes through; they come first.
    public let globalCount: Int
    public let globalContextBytes: Int
    public let routeContextBytes: Int

    /// Plugins in a chain.
    public static let pluginsMax = 64

    /// - Parameters:
    ///   - global: instances that run before routing.
    ///   - route: instances that run after it; in all at most `pluginsMax`.
    public init(global: [PluginInstance], route: [PluginInstance]) {
        let all = global + route
        precondition(all.count <= Self.pluginsMax, "a chain of \(all.count) plugins")
        phases = .allocate(capacity: 12)
        phases.initialize(repeating: PhaseHooks(), count: 12)
        plugins = .allocate(capacity: max(all.count, 1))
        pluginCount = all.count
        globalCount = global.count
        var offsets: [Int] = []
        var bytes = (global: 0, route: 0)
        for (position, instance) in all.enumerated() {
            plugins.advanced(by: position).initialize(to: ChainPlugin(instance))
            let size = (instance.contextBytes + 15) & ~15
            if position < global.count {
                offsets.append(bytes.global)
                bytes.global += size
            } else {
                offsets.append(bytes.route)
                bytes.route += size
            }
        }
        (globalContextBytes, routeContextBytes) = bytes
        for phase in Phase.allCases {
            var entries: [HookEntry] = []
            for (position, instance) in all.enumerated() {
                guard let call = instance.hook(phase) else { continue }
                entries.append(
                    HookEntry(
                        call: call,
                        state: instance.state,
                        instance: Int32(instance.index),
                        position: Int32(position),
                        contextOffset: Int32(offsets[position]),
                        isGlobal: position < global.count
                    )
                )
            }
            // Response phases are left in the reverse of the order of entering.
            if phase == .responseHeaders || phase == .localReply { entries.reverse() }
            guard !entries.isEmpty else { continue }
            let list = UnsafeMutablePointer<HookEntry>.allocate(capacity: entries.count)
            list.initialize(from: &entries, count: entries.count)
            phases[phase.rawValue].entries = list
            phases[phase.rawValue].count = entries.count
        }
    }

    /// Number of hooks of a phase.
    @inline(__always)
    public func hookCount(_ phase: Phase) -> Int {
        phases[phase.rawValue].count
    }

    @inline(__always)
    func hooks(_ phase: Phase) -> PhaseHooks {
        phases[phase.rawValue]
    }
}

/// What the host must know of a plugin while it runs.
public struct ChainPlugin {
    /// Name of the instance, for the log; never freed.
    public let name: Slice
    /// Status of the answer when a hook fails; 0 goes on without it.
    public let failureStatus: UInt16

    init(_ instance: PluginInstance) {
        name = instance.nameText
        failureStatus = instance.failureStatus
    }
}

/// What came of a phase.
public enum PhaseOutcome: Equatable, Sendable {
    case proceed
    /// The plugin at this position answers; `HookCall.reply` has the answer.
    case respond(position: Int)
    case reset(position: Int)
    /// The plugin failed and its manifest entry says closed, with this status.
    case failed(position: Int, status: UInt16)
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

/// The memory that a worker's calls into plugins use, one set per worker.
public struct HookCall: ~Copyable {
    /// Edits that one hook may make.
    public static let editsMax = 64

    private let views: HeaderView
    private let editor: Edits
    /// Where the facts stand in a context: looked up once, because a key path is not folded.
    private let factsOffset = MemoryLayout<RequestContext>.offset(of: \.facts) ?? 0
    private let args: UnsafeMutablePointer<sluice_args>
    private let edits: UnsafeMutablePointer<sluice_edits>
    private let replyEdits: UnsafeMutablePointer<sluice_edits>
    public let reply: UnsafeMutablePointer<sluice_reply>
    /// The last failure of the phase that ran last; nil when there was none.
    public private(set) var failure: HookFailure?

    public init() {
        views = HeaderView()
        editor = Edits(names: views.templates)
        args = .allocate(capacity: 1)
        args.initialize(to: sluice_args())
        args.pointee.size = UInt32(MemoryLayout<sluice_args>.size)
        edits = Self.makeEdits()
        replyEdits = Self.makeEdits()
        reply = .allocate(capacity: 1)
        reply.initialize(to: sluice_reply())
    }

    deinit {
        args.deallocate()
        edits.pointee.ops.deallocate()
        edits.deallocate()
        replyEdits.pointee.ops.deallocate()
        replyEdits.deallocate()
        reply.deallocate()
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

    /// Runs the hooks of a phase whose plugins stand in `positions`.
    ///
    /// - Parameters:
    ///   - positions: plugins to run, by place in the chain.
    ///   - flags: `SLUICE_ARGS_*`.
    public mutating func run(
        _ phase: Phase,
        of chain: PhaseChain,
        positions: Range<Int>,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32
    ) -> PhaseOutcome {
        failure = nil
        let hooks = chain.hooks(phase)
        guard let entries = hooks.entries else { return .proceed }
        for index in 0..<hooks.count {
            let entry = entries + index
            let position = Int(entry.pointee.position)
            guard positions.contains(position),
                context.pointee.detached & (1 << UInt64(position)) == 0 || phase == .requestEnd
            else { continue }
            let outcome = call(entry, phase, context, flags: flags)
            switch outcome {
            case .proceed: continue
            case .failed:
                context.pointee.detached |= 1 << UInt64(position)
                let status = chain.plugins[position].failureStatus
                if status == 0 || phase == .requestEnd || phase == .localReply { continue }
                return .failed(position: position, status: status)
            case .respond, .reset:
                return outcome
            }
        }
        return .proceed
    }

    private mutating func call(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ phase: Phase,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32
    ) -> PhaseOutcome {
        let position = Int(entry.pointee.position)
        guard prepare(phase, context, flags: flags) else {
            return fail(position, phase, verdict: 0, edit: .outOfMemory)
        }
        let base =
            entry.pointee.isGlobal
            ? context.pointee.globalContexts : context.pointee.routeContexts
        let verdict = entry.pointee.call(
            entry.pointee.state,
            context.pointee.slots[Int(entry.pointee.instance)],
            OpaquePointer(context),
            base?.advanced(by: Int(entry.pointee.contextOffset)),
            args
        )
        switch Int(verdict) {
        case SLUICE_CONTINUE, SLUICE_DETACH:
            if edits.pointee.count > 0, phase != .requestEnd,
                let error = commit(phase, context)
            {
                return fail(position, phase, verdict: verdict, edit: error)
            }
            if Int(verdict) == SLUICE_DETACH {
                context.pointee.detached |= 1 << UInt64(position)
            }
            return .proceed
        case SLUICE_RESPOND where phase != .requestEnd && phase != .localReply:
            guard 200...599 ~= reply.pointee.status else {
                return fail(position, phase, verdict: verdict, edit: .badStatus)
            }
            return .respond(position: position)
        case SLUICE_RESET where phase != .requestEnd:
            return .reset(position: position)
        default:
            return fail(position, phase, verdict: verdict, edit: nil)
        }
    }

    private mutating func fail(
        _ position: Int,
        _ phase: Phase,
        verdict: UInt32,
        edit: EditError?
    ) -> PhaseOutcome {
        failure = HookFailure(
            position: position,
            phase: phase,
            code: args.pointee.error_code,
            verdict: verdict,
            edit: edit
        )
        return .failed(position: position, status: 0)
    }

    /// Fills the arguments; false when the arena's bound is reached.
    private func prepare(
        _ phase: Phase,
        _ context: UnsafeMutablePointer<RequestContext>,
        flags: UInt32
    ) -> Bool {
        guard
            let request = views.make(
                &context.pointee.request,
                &context.pointee.requestView,
                &context.pointee.requestViewIsCurrent,
                &context.pointee.arena
            )
        else { return false }
        args.pointee.request_headers = UnsafePointer(request)
        args.pointee.headers = UnsafePointer(request)
        if phase == .responseHeaders || phase == .localReply {
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
        args.pointee.phase = UInt32(phase.rawValue)
        args.pointee.flags = flags
        args.pointee.error_code = 0
        // Safe: the context stays where it is while the hook runs.
        args.pointee.facts = UnsafePointer(
            (UnsafeRawPointer(context) + factsOffset).assumingMemoryBound(to: sluice_facts.self)
        )
        edits.pointee.count = 0
        args.pointee.edits = phase == .requestEnd ? nil : edits
        replyEdits.pointee.count = 0
        reply.pointee.size = UInt32(MemoryLayout<sluice_reply>.size)
        reply.pointee.status = 0
        reply.pointee.body = sluice_slice()
        reply.pointee.edits = replyEdits
        args.pointee.reply = reply
        return true
    }

    private func commit(
        _ phase: Phase,
        _ context: UnsafeMutablePointer<RequestContext>
    ) -> EditError? {
        if phase == .responseHeaders || phase == .localReply {
            context.pointee.responseViewIsCurrent = false
            return editor.apply(
                edits,
                to: &context.pointee.response,
                known: context.pointee.responseView?.pointee.known_bits ?? (.max, .max),
                &context.pointee.arena
            )
        }
        context.pointee.requestViewIsCurrent = false
        return editor.apply(
            edits,
            to: &context.pointee.request,
            known: context.pointee.requestView?.pointee.known_bits ?? (.max, .max),
            &context.pointee.arena
        )
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
