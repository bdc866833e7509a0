public import CSluice
public import SluiceSDK

/// An instance of a plugin behind the same C tables that its library exports: of a struct that is
/// linked into the test, or of a library that was built.
///
/// What hooks are given lives in memory of its own, which is filled with 0xDD when the hook has
/// returned: a view that a plugin kept shows.
public final class PluginFixture {
    /// Why an instance was not made: the line that the host would show.
    public struct Refused: Error, Equatable {
        /// The line.
        public let line: String
        /// The result of `create`.
        public let code: Int32
    }

    /// The host that the instance sees.
    public let host: FakeHost
    /// What the library said of itself.
    public let hello: sluice_plugin_hello
    /// The instance's table.
    public private(set) var instance = sluice_instance()

    private let arena = Arena()
    private let handle: InstanceHandle
    private var slots: [Int: UnsafeMutableRawPointer?] = [:]

    /// Makes an instance of a plugin that is linked into the test.
    ///
    /// - Throws: `Refused` when the configuration is.
    public convenience init<P: Plugin & ~Copyable>(
        _ type: P.Type,
        _ configuration: TestValue = .object([:]),
        host: FakeHost = FakeHost(),
        workers: Int = 1
    ) throws {
        try self.init(
            hello: { Export<P>.hello($0, $1) },
            configuration,
            host: host,
            workers: workers
        )
    }

    /// Makes an instance through a library's `hello` function.
    ///
    /// - Throws: `Refused` when the library or the configuration is.
    public init(
        hello function: (
            UnsafePointer<sluice_host_hello>?, UnsafeMutablePointer<sluice_plugin_hello>?
        ) -> Int32,
        _ configuration: TestValue,
        host: FakeHost,
        workers: Int
    ) throws {
        self.host = host
        handle = InstanceHandle(host, workerCount: workers)
        // Which tables there are is a matter of the whole process until an instance is made.
        Handshakes.begin()
        defer { Handshakes.end() }
        var hello = sluice_plugin_hello()
        hello.size = UInt32(MemoryLayout<sluice_plugin_hello>.size)
        let greeting = arena.allocate(FakeHost.hello(missing: host.missing), count: 1)
        let answer = ThreadRole.control.run { function(greeting, &hello) }
        self.hello = hello
        guard answer == SLUICE_OK else { throw Refused(line: "", code: answer) }
        for id in Self.strings(hello.required) {
            guard let table = FakeHost.knownTables[id], table.isDisjoint(with: host.missing) else {
                throw Refused(line: "needs \(id)", code: Int32(SLUICE_ENOTSUP))
            }
        }
        var args = sluice_create_args()
        args.size = UInt32(MemoryLayout<sluice_create_args>.size)
        args.worker_count = UInt32(workers)
        args.host = handle.pointer
        args.name = arena.slice("test")
        args.folder = arena.slice(host.folder)
        args.config = configuration.layOut(in: arena)
        instance.size = UInt32(MemoryLayout<sluice_instance>.size)
        try Self.calling { error in
            hello.factory.pointee.check_config?(args.config, error) ?? Int32(SLUICE_OK)
        }
        try Self.calling { error in hello.factory.pointee.create(&args, &instance, error) }
    }

    deinit {
        guard instance.state != nil else { return }
        stopWorkers()
        ThreadRole.control.run { instance.destroy(instance.state) }
    }

    private func stopWorkers() {
        for (worker, slot) in slots {
            ThreadRole.worker(worker).run { instance.worker_stop?(instance.state, slot) }
        }
        slots = [:]
    }

    /// Tells the instance that the process ends, on a worker that has started.
    public func drain(worker: Int = 0) {
        let slot = slot(worker)
        ThreadRole.worker(worker).run { instance.worker_drain?(instance.state, slot) }
    }

    /// The line of the error with which a configuration is refused; nil when it is taken.
    public static func refusal<P: Plugin & ~Copyable>(
        _ type: P.Type,
        _ configuration: TestValue
    ) -> String? {
        do {
            _ = try PluginFixture(type, configuration)
            return nil
        } catch let refused as Refused {
            return refused.line
        } catch {
            return "\(error)"
        }
    }

    /// The strings of a list that ends with NULL.
    static func strings(_ list: UnsafePointer<UnsafePointer<CChar>?>?) -> [String] {
        var strings: [String] = []
        while let list, let string = list[strings.count] { strings.append(String(cString: string)) }
        return strings
    }

    static func calling(_ body: (UnsafeMutablePointer<sluice_errbuf>) -> Int32) throws {
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: 256)
        defer { text.deallocate() }
        var error = sluice_errbuf()
        error.size = UInt32(MemoryLayout<sluice_errbuf>.size)
        error.cap = 256
        error.ptr = text
        let code = ThreadRole.control.run { body(&error) }
        guard code != SLUICE_OK else { return }
        let bytes = UnsafeRawBufferPointer(start: text, count: Int(error.len))
        throw Refused(line: String(decoding: bytes, as: UTF8.self), code: code)
    }

    /// The slot of a worker, made when it is asked for first.
    public func slot(_ worker: Int) -> UnsafeMutableRawPointer? {
        if let slot = slots[worker] { return slot }
        let slot = ThreadRole.worker(worker).run {
            instance.worker_start.flatMap { $0(instance.state, UInt32(worker)) }
        }
        slots[worker] = .some(slot)
        return slot
    }

    /// What the library says is its id.
    public var id: String { String(hello.id) }

    /// The phases that the instance hooks, from its table and not from what the library said.
    public var hookedPhases: [Int] {
        Phase.all.filter { hook($0) != nil }.map { Int($0.rawValue) }
    }

    func hook(_ phase: Phase) -> sluice_hook? {
        guard let hooks = instance.hooks?.pointee else { return nil }
        return switch phase {
        case .requestHeaders: hooks.request_headers
        case .requestBody: hooks.request_body
        case .upstreamRequest: hooks.upstream_request
        case .upstreamResult: hooks.upstream_result
        case .upstreamResponse: hooks.upstream_response
        case .upstreamBody: hooks.upstream_body
        case .responseHeaders: hooks.response_headers
        case .responseBody: hooks.response_body
        case .localReply: hooks.local_reply
        case .requestEnd: hooks.request_end
        }
    }

    /// Bytes of request context that the instance asks for.
    public var contextByteCount: Int { Int(instance.context_size) }

    /// The state as the instance exports it.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func exportState() throws -> [UInt8] {
        try Self.collect { sink, error in
            instance.export_state?(instance.state, sink, error) ?? Int32(SLUICE_ENOTSUP)
        }
    }

    /// Stops the workers, and gives what the instance writes last, of what has changed since its
    /// state was exported.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func exportRest() throws -> [UInt8] {
        stopWorkers()
        guard let call = handover?.pointee.export_rest else { return [] }
        return try Self.collect { sink, error in call(instance.state, sink, error) }
    }

    /// Adds what another instance wrote last.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func importRest(_ rest: [UInt8]) throws {
        let arena = Arena()
        let slice = arena.slice(rest)
        try Self.calling { error in
            handover?.pointee.import_rest?(instance.state, slice, error)
                ?? Int32(SLUICE_ENOTSUP)
        }
        arena.poison()
    }

    /// Has the instance open its files again.
    public func reopenLogs() {
        ThreadRole.control.run { instance.reopen_logs?(instance.state) }
    }

    /// Gets the instance ready for requests.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func warm() throws {
        try Self.calling { error in
            handover?.pointee.warm?(instance.state, error) ?? Int32(SLUICE_OK)
        }
    }

    private var handover: UnsafePointer<sluice_handover>? {
        table(SLUICE_HANDOVER_ID)?.assumingMemoryBound(to: sluice_handover.self)
    }

    private static func collect(
        _ call: (UnsafePointer<sluice_sink>, UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) throws -> [UInt8] {
        let state = Box<[UInt8]>([])
        var sink = sluice_sink()
        sink.size = UInt32(MemoryLayout<sluice_sink>.size)
        sink.context = Unmanaged.passUnretained(state).toOpaque()
        sink.write = { context, bytes in
            guard let context else { return Int32(SLUICE_EINVAL) }
            let state = Unmanaged<Box<[UInt8]>>.fromOpaque(context).takeUnretainedValue()
            state.value += UnsafeBufferPointer(start: bytes.ptr, count: Int(bytes.len))
            return Int32(SLUICE_OK)
        }
        try Self.calling { error in call(&sink, error) }
        return state.value
    }

    /// Gives the instance a state, before any of its hooks has run.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func importState(_ state: [UInt8]) throws {
        precondition(slots.isEmpty, "a state is imported before a worker starts")
        let arena = Arena()
        let slice = arena.slice(state)
        try Self.calling { error in
            instance.import_state?(instance.state, slice, error) ?? Int32(SLUICE_ENOTSUP)
        }
        arena.poison()
    }

    /// A table of a role.
    public func table(_ id: String) -> UnsafeRawPointer? {
        instance.get_extension?(instance.state, id)
    }
}

/// A value behind a pointer.
private final class Box<Value> {
    var value: Value

    init(_ value: Value) { self.value = value }
}

extension Phase {
    /// All phases in call order.
    static let all: [Phase] = [
        .requestHeaders, .requestBody, .upstreamRequest, .upstreamResult, .upstreamResponse,
        .upstreamBody, .responseHeaders, .responseBody, .localReply, .requestEnd,
    ]

    /// Whether a chunk comes with it.
    var isBody: Bool { self == .requestBody || self == .upstreamBody || self == .responseBody }

    /// Whether its message is the response.
    var isResponse: Bool {
        rawValue > Phase.upstreamResult.rawValue && self != .requestEnd
    }
}
