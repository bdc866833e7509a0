import CSluice
import Testing

@testable import PluginHost

/// A chain of scripted plugins with one request that goes through it.
final class Chain {
    let exchange: Exchange
    let chain: PhaseChain
    private let globalContexts: UnsafeMutableRawPointer
    private let routeContexts: UnsafeMutableRawPointer
    /// What the hooks noted, in the order in which they ran.
    let notes: Notes

    /// Notes of hooks.
    final class Notes {
        var lines: [String] = []
    }

    init(
        global: [PluginInstance] = [],
        route: [PluginInstance],
        notes: Notes = Notes(),
        exchange: Exchange = Exchange()
    ) {
        self.exchange = exchange
        self.notes = notes
        chain = PhaseChain(global: global, route: route)
        globalContexts = .allocate(byteCount: chain.globalContextBytes + 16, alignment: 16)
        routeContexts = .allocate(byteCount: chain.routeContextBytes + 16, alignment: 16)
        for (block, count) in [
            (globalContexts, chain.globalContextBytes), (routeContexts, chain.routeContextBytes),
        ] {
            block.initializeMemory(as: UInt8.self, repeating: 0, count: count + 16)
        }
        exchange.context.pointee.globalContexts = globalContexts
        exchange.context.pointee.routeContexts = routeContexts
    }

    deinit {
        globalContexts.deallocate()
        routeContexts.deallocate()
    }

    func run(_ phase: Phase, _ positions: Range<Int>? = nil, flags: Int = 0) -> PhaseOutcome {
        exchange.run(
            phase,
            of: chain,
            positions: positions ?? 0..<chain.pluginCount,
            flags: UInt32(flags)
        )
    }

    var failure: HookFailure? { exchange.call.failure }

    var reply: sluice_reply { exchange.call.reply.pointee }

    func applyReplyFields() -> EditError? {
        exchange.call.applyReplyFields(
            to: &exchange.context.pointee.response,
            &exchange.context.pointee.arena
        )
    }

    /// The block that the contexts of global plugins, or of the route's, are in.
    func contexts(isGlobal: Bool) -> UnsafeMutableRawPointer {
        isGlobal ? globalContexts : routeContexts
    }

    /// Plugins that hook every phase: each notes its name and answers what `verdict` says.
    static func noting(
        _ names: [String],
        _ notes: Notes,
        index: Int = 0,
        failureStatus: UInt16 = 502,
        verdict: @escaping (String, HookRun) -> Int = { _, _ in SLUICE_CONTINUE }
    ) throws -> [PluginInstance] {
        try names.enumerated().map { offset, name in
            var hooks: [Phase: Script.Hook] = [:]
            for phase in Phase.allCases {
                hooks[phase] = { run in
                    notes.lines.append(name)
                    return verdict(name, run)
                }
            }
            return try Script(hooks).instance(
                name,
                index: index + offset,
                failureStatus: failureStatus
            )
        }
    }
}
