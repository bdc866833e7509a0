import CSluice
import HTTP
import Sys

/// One hook of a compiled chain.
public struct HookEntry {
    let call: sluice_hook
    /// Called in its place after a wait; nil when the instance can't wait.
    let resumed: sluice_hook?
    let state: UnsafeMutableRawPointer?
    /// Index of the plugin's instance: of its slot in a worker's table.
    let instance: Int32
    /// Place of the plugin in the chain, 0 first.
    public let position: Int32
    /// Offset of its request context, from the global or the route's block.
    let contextOffset: Int32
    let isGlobal: Bool
    let plugin: UnsafeMutablePointer<PluginRecord>
    let meter: HookMeter
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
    private let header: UnsafeMutablePointer<Header>

    /// What a chain's memory begins with; a `PhaseHooks` for each phase of the ABI follows.
    private struct Header {
        let plugins: UnsafeMutablePointer<ChainPlugin>
        let pluginCount: Int
        let globalCount: Int
        var globalContextBytes = 0
        var routeContextBytes = 0
        var hooked: UInt64 = 0
        /// Nil in a chain without a cache.
        var cache: UnsafePointer<ChainCache>?
    }

    @inline(__always)
    private var phases: UnsafeMutablePointer<PhaseHooks> {
        // Safe: `init` allocates them there.
        UnsafeMutableRawPointer(header + 1).assumingMemoryBound(to: PhaseHooks.self)
    }

    public var plugins: UnsafeMutablePointer<ChainPlugin> { header.pointee.plugins }
    public var pluginCount: Int { header.pointee.pluginCount }
    /// Plugins of the chain that every request goes through; they come first.
    public var globalCount: Int { header.pointee.globalCount }
    public var globalContextBytes: Int { header.pointee.globalContextBytes }
    public var routeContextBytes: Int { header.pointee.routeContextBytes }
    /// The plugin with the cache's role; nil when there is none.
    @inline(__always)
    public var cache: UnsafePointer<ChainCache>? { header.pointee.cache }

    /// Plugins in a chain.
    public static let pluginsMax = 64

    /// - Parameters:
    ///   - global: instances that run before routing.
    ///   - route: instances that run after it; in all at most `pluginsMax`, of which at most one is
    ///     a cache.
    public init(global: [PluginInstance], route: [PluginInstance]) {
        let all = global + route
        precondition(all.count <= Self.pluginsMax, "a chain of \(all.count) plugins")
        let plugins = UnsafeMutablePointer<ChainPlugin>.allocate(capacity: max(all.count, 1))
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<Header>.stride
                + Phase.countOfABI * MemoryLayout<PhaseHooks>.stride,
            alignment: 64
        )
        header = memory.bindMemory(to: Header.self, capacity: 1)
        header.initialize(
            to: Header(plugins: plugins, pluginCount: all.count, globalCount: global.count)
        )
        (memory + MemoryLayout<Header>.stride)
            .bindMemory(to: PhaseHooks.self, capacity: Phase.countOfABI)
            .initialize(repeating: PhaseHooks(), count: Phase.countOfABI)
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
        header.pointee.globalContextBytes = bytes.global
        header.pointee.routeContextBytes = bytes.route
        for phase in Phase.allCases {
            var entries: [HookEntry] = []
            for (position, instance) in all.enumerated() {
                guard let call = instance.hook(phase) else { continue }
                entries.append(
                    HookEntry(
                        call: call,
                        resumed: instance.resumedHook,
                        state: instance.hookState,
                        instance: Int32(instance.index),
                        position: Int32(position),
                        contextOffset: Int32(offsets[position]),
                        isGlobal: position < global.count,
                        plugin: instance.record,
                        meter: instance.record.pointee.hookMeter(phase)
                    )
                )
            }
            if phase.isReversed { entries.reverse() }
            guard !entries.isEmpty else { continue }
            header.pointee.hooked |= 1 << UInt64(phase.rawValue)
            let list = UnsafeMutablePointer<HookEntry>.allocate(capacity: entries.count)
            list.initialize(from: &entries, count: entries.count)
            phases[phase.rawValue].entries = list
            phases[phase.rawValue].count = entries.count
        }
        for (position, instance) in all.enumerated() {
            guard let table = instance.cacheTable else { continue }
            let entry = HookEntry(
                call: { _, _, _, _, _ in UInt32(SLUICE_ERROR) },
                resumed: nil,
                state: instance.state,
                instance: Int32(instance.index),
                position: Int32(position),
                contextOffset: Int32(offsets[position]),
                isGlobal: position < global.count,
                plugin: instance.record,
                meter: instance.record.pointee.hookMeter(.cacheLookup)
            )
            header.pointee.cache = ChainCache.make(table, entry)
            header.pointee.hooked |= 1 << UInt64(Phase.cacheLookup.rawValue)
        }
    }

    /// Whether any plugin hooks one of these phases.
    @inline(__always)
    public func hooks(any phases: PhaseSet) -> Bool {
        header.pointee.hooked & phases.bits != 0
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

    /// The hook at this place of a phase's order, below `hookCount`.
    public func entry(_ phase: Phase, _ index: Int) -> UnsafeMutablePointer<HookEntry> {
        // Safe: a phase with hooks has a list.
        phases[phase.rawValue].entries.unsafelyUnwrapped + index
    }

    /// Whether a plugin hooks a phase.
    func hasHook(_ phase: Phase, position: Int) -> Bool {
        for index in 0..<hookCount(phase)
        where Int(entry(phase, index).pointee.position) == position {
            return true
        }
        return false
    }
}

/// What the host must know of a plugin while it runs.
public struct ChainPlugin {
    /// Name of the instance, for the log; never freed.
    public let name: Slice
    /// Status of the answer when a hook fails; 0 goes on without it.
    public let failureStatus: UInt16
    public let record: UnsafeMutablePointer<PluginRecord>

    init(_ instance: PluginInstance) {
        record = instance.record
        name = instance.nameText
        failureStatus = instance.failureStatus
    }
}
