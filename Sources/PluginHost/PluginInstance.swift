public import CSluice
public import Sys

/// One entry of the manifest's `plugins`, made from a library.
public final class PluginInstance: @unchecked Sendable {
    // Safe: written in `init` only; the plugin's own state is the plugin's to guard.
    public let name: String
    /// Place in the worker's table of slots.
    public let index: Int
    public let library: PluginLibrary
    /// Status when one of its hooks fails; 0 goes on without it.
    public let failureStatus: UInt16
    /// The name as bytes that are never freed.
    let nameText: Slice
    private let table: UnsafePointer<sluice_instance>
    /// Nil but in tests.
    private var probe: HookProbe?
    private let handle: InstanceHandle
    let control: ControlCall
    /// Never freed.
    let record: UnsafeMutablePointer<PluginRecord>

    /// Bytes of buffers that an instance may have, unless the manifest says otherwise.
    public static let memoryBytesDefault = InstanceHandle.memoryBytesDefault
    /// How long `destroy` waits for offloaded work that runs.
    private static let drainNanoseconds: UInt64 = 10_000_000_000
    /// Bytes of request context that an instance may ask for.
    public static let contextBytesMax = 4_096
    /// Bytes of an error text.
    private static let errorBytesMax = 1_024

    /// Makes an instance.
    ///
    /// - Parameters:
    ///   - failureStatus: 0, or 400 to 599.
    ///   - folder: where relative paths of the configuration begin.
    ///   - logLevel: the highest level that is written.
    ///   - memoryBytes: bytes of buffers that may be out at the same time.
    ///   - guards: how far it is trusted.
    public init(
        name: String,
        index: Int,
        library: PluginLibrary,
        failureStatus: UInt16,
        configuration: ConfigurationTree.Node,
        folder: String = ".",
        workerCount: Int,
        logLevel: UInt32,
        memoryBytes: Int = memoryBytesDefault,
        guards: PluginGuards = PluginGuards()
    ) throws(PluginError) {
        self.name = name
        self.index = index
        self.library = library
        self.failureStatus = failureStatus
        let text = sluice_slice(permanent: name)
        guard let textBytes = text.ptr, let factory = library.hello.pointee.factory else {
            throw PluginError("plugins.\(name): no factory")
        }
        nameText = Slice(textBytes, Int(text.len))
        record = PluginRecord.make(
            of: library,
            name: name,
            guards: guards,
            workerCount: workerCount
        )
        handle = InstanceHandle(
            name: name,
            levelMax: logLevel,
            workerCount: workerCount,
            memoryBytesMax: memoryBytes,
            record: record
        )
        let label = PluginRecord.label(record)
        let instance = UnsafeMutablePointer<sluice_instance>.allocate(capacity: 1)
        instance.initialize(to: sluice_instance())
        instance.pointee.size = UInt32(MemoryLayout<sluice_instance>.size)
        var args = sluice_create_args()
        args.size = UInt32(MemoryLayout<sluice_create_args>.size)
        args.worker_count = UInt32(workerCount)
        args.host = handle.makeReference()
        args.name = text
        args.config = ConfigurationTree.make(configuration)
        args.folder = sluice_slice(permanent: folder)
        library.image?.began(handle)
        control = ControlCall(limit: guards.controlNanoseconds)
        // Safe: all of it is in memory that is never freed.
        nonisolated(unsafe) let given = (args: args, factory: factory, to: instance, label: label)
        let created = try control.run("plugins.\(name): create") {
            Self.create(given.args, given.factory, given.to, given.label)
        }
        guard created.result == SLUICE_OK else {
            handle.end()
            library.image?.ended(handle)
            let reason = created.text.isEmpty ? "result \(created.result)" : created.text
            throw PluginError("plugins.\(name).config: \(reason)")
        }
        table = UnsafePointer(instance)
        do throws(PluginError) {
            try check()
        } catch {
            destroy()
            throw error
        }
        handle.begin(state: table.pointee.state)
    }

    private static func create(
        _ args: sluice_create_args,
        _ factory: UnsafePointer<sluice_factory>,
        _ instance: UnsafeMutablePointer<sluice_instance>,
        _ label: UnsafePointer<CrashLabel>
    ) -> (result: Int32, text: String) {
        withErrorText { error in
            var args = args
            let checked = Breadcrumb.mark(.checkConfig, of: label) {
                factory.pointee.check_config?(args.config, error) ?? 0
            }
            guard checked == SLUICE_OK else { return checked }
            return Breadcrumb.mark(.create, of: label) {
                factory.pointee.create(&args, instance, error)
            }
        }
    }

    private func check() throws(PluginError) {
        try checkSize(of: sluice_instance.self, table.pointee.size)
        guard contextBytes <= Self.contextBytesMax else {
            throw PluginError(
                "plugins.\(name): asks for \(contextBytes) bytes of request context, at most "
                    + "\(Self.contextBytesMax) are given"
            )
        }
        if let hooks = table.pointee.hooks {
            try checkSize(of: sluice_http_hooks.self, hooks.pointee.size)
        }
        if let balancer { try checkSize(of: sluice_lb.self, balancer.pointee.size) }
        if let cacheTable {
            try checkSize(of: sluice_cache.self, cacheTable.pointee.size)
            try checkCache(cacheTable)
        }
        if let handoverTable {
            try checkSize(of: sluice_handover.self, handoverTable.pointee.size)
        }
    }

    /// A struct that the plugin compiled with another size would be read past its end.
    func checkSize<Table>(of _: Table.Type, _ size: UInt32) throws(PluginError) {
        guard Int(size) != MemoryLayout<Table>.size else { return }
        throw PluginError(
            "plugins.\(name): size of \(Table.self) is \(size), this host has "
                + "\(MemoryLayout<Table>.size)"
        )
    }

    /// Runs a call that may leave an error text.
    public static func withErrorText(
        _ body: (UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) -> (result: Int32, text: String) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: errorBytesMax) { buffer in
            var error = sluice_errbuf()
            error.size = UInt32(MemoryLayout<sluice_errbuf>.size)
            error.cap = UInt32(buffer.count)
            error.ptr = buffer.baseAddress
            let result = body(&error)
            let count = min(Int(error.len), buffer.count)
            let text = String(
                decoding: buffer[..<count].map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
            return (result, text)
        }
    }

    public var state: UnsafeMutableRawPointer? { table.pointee.state }

    /// What a crash in a call into it is laid to; never freed.
    public var label: UnsafePointer<CrashLabel> { PluginRecord.label(record) }

    /// Nanoseconds that a hook may take; 0 is no bound.
    public var hookNanoseconds: UInt64 { record.pointee.guards.hookNanoseconds }

    public var contextBytes: Int { Int(table.pointee.context_size) }

    /// The table of the balancer role, or nil when it has none.
    public var balancer: UnsafePointer<sluice_lb>? {
        handle.mark(.getExtension) {
            table.pointee.get_extension?(table.pointee.state, SLUICE_LB_ID)?
                .assumingMemoryBound(to: sluice_lb.self)
        }
    }

    /// The table of the cache's role (`sluice.cache/1`), or nil when it has none.
    public var cacheTable: UnsafePointer<sluice_cache>? {
        handle.mark(.getExtension) {
            table.pointee.get_extension?(table.pointee.state, SLUICE_CACHE_ID)?
                .assumingMemoryBound(to: sluice_cache.self)
        }
    }

    /// The table of `sluice.handover/1`, or nil when it has none.
    var handoverTable: UnsafePointer<sluice_handover>? {
        table.pointee.get_extension?(table.pointee.state, SLUICE_HANDOVER_ID)?
            .assumingMemoryBound(to: sluice_handover.self)
    }

    /// Whether it hooks any phase.
    public var hasHooks: Bool { Phase.allCases.contains { ownHook($0) != nil } }

    /// Whether it can be the cache of a route.
    public var isCache: Bool { cacheTable != nil }

    /// The hook of a phase; nil when the instance has none.
    public func hook(_ phase: Phase) -> sluice_hook? {
        let hook = ownHook(phase)
        return hook != nil && probe != nil ? HookProbe.call : hook
    }

    private func ownHook(_ phase: Phase) -> sluice_hook? {
        guard let hooks = table.pointee.hooks else { return nil }
        return switch phase {
        case .requestHeaders: hooks.pointee.request_headers
        case .cacheLookup: nil
        case .requestBody: hooks.pointee.request_body
        case .upstreamRequest: hooks.pointee.upstream_request
        case .upstreamResult: hooks.pointee.upstream_result
        case .upstreamResponse: hooks.pointee.upstream_response
        case .upstreamBody: hooks.pointee.upstream_body
        case .responseHeaders: hooks.pointee.response_headers
        case .responseBody: hooks.pointee.response_body
        case .localReply: hooks.pointee.local_reply
        case .requestEnd: hooks.pointee.request_end
        }
    }

    /// What is called after a wait; nil when the instance can't wait.
    var resumedHook: sluice_hook? {
        let hook = table.pointee.hooks?.pointee.resumed
        return hook != nil && probe != nil ? HookProbe.callResumed : hook
    }

    /// What hooks are given as their instance.
    var hookState: UnsafeMutableRawPointer? { probe?.address ?? state }

    /// Puts a probe before the hooks; before a chain is made of the instance.
    public func watch(_ views: HookProbe.Views) -> HookProbe {
        self.probe = nil
        let probe = HookProbe(views, state: state)
        for phase in Phase.allCases {
            if let hook = ownHook(phase) { probe.add(hook, phase) }
        }
        if let hook = resumedHook { probe.add(resumed: hook) }
        self.probe = probe
        return probe
    }

    /// Writes a line in the instance's name.
    func writeLog(_ level: UInt32, _ text: sluice_slice) {
        PluginLog.write(handle, level, text, nil, 0)
    }

    /// Lines up to this level are written from now on. [control]
    public func setLogLevel(_ level: UInt32) { handle.setLevel(level) }

    /// Whether this is the host's side of the instance.
    func isBehind(_ handle: InstanceHandle) -> Bool { self.handle === handle }

    /// The table that the plugin filled, for checks of its functions.
    public var functions: UnsafePointer<sluice_instance> { table }

    /// The slot of a worker; from then on tasks of the instance run there. [worker]
    public func startWorker(_ worker: Int) -> UnsafeMutableRawPointer? {
        let slot = handle.mark(.workerStart) {
            table.pointee.worker_start?(table.pointee.state, UInt32(worker))
        }
        handle.began(worker: worker, slot: slot)
        WorkerPort.of(worker: worker).started()
        return slot
    }

    /// Whether it wants to send what it keeps before a worker stops.
    public var drains: Bool { table.pointee.worker_drain != nil }

    /// Lets it begin to send what it keeps: the worker's last request has ended. [worker]
    public func drainWorker(_ slot: UnsafeMutableRawPointer?) {
        handle.mark(.workerDrain) { table.pointee.worker_drain?(table.pointee.state, slot) }
    }

    /// Gives the slot back; no task and no timer of the instance runs there any more. [worker]
    public func stopWorker(_ worker: Int, _ slot: UnsafeMutableRawPointer?) {
        handle.mark(.workerStop) { table.pointee.worker_stop?(table.pointee.state, slot) }
        handle.stopped(worker: worker)
        _ = WorkerPort.of(worker: worker).cancelTimers(of: .passUnretained(handle))
    }

    /// After the last worker stopped. [control]
    ///
    /// Offloaded work that waits is dropped, and what runs is waited for. An instance whose work
    /// does not end is not destroyed, because the work still uses it.
    public func destroy() {
        handle.end()
        let deadline = Clock.kernelNanoseconds() + Self.drainNanoseconds
        guard BlockingPool.shared.drain(handle, deadline: deadline) else {
            writeLog(
                UInt32(SLUICE_LOG_ERROR),
                sluice_slice("offloaded work does not end; the instance is not destroyed")
            )
            return
        }
        defer { PeerDirectory.shared.forget(handle) }
        do throws(PluginError) {
            try control.run("destroy") { [self] in
                handle.mark(.destroy) { table.pointee.destroy?(table.pointee.state) }
            }
        } catch {
            return record.pointee.tell(1, error.description)
        }
        defer { library.image?.ended(handle) }
        let bytes = handle.memoryInUse
        guard bytes > 0 else { return }
        record.pointee.count(.leak)
        record.pointee.tell(2, "is destroyed, and has not given back \(bytes) bytes of buffers")
    }
}
