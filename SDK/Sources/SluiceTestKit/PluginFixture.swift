public import CSluice
public import SluiceSDK

/// An instance of a plugin behind the same C tables that its library would export.
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
    private var slots: [Int: UnsafeMutableRawPointer?] = [:]

    /// Makes an instance of a plugin that is linked into the test.
    ///
    /// - Parameter folder: of the manifest that there is none of.
    /// - Throws: `Refused` when the configuration is.
    public convenience init<P: Plugin & ~Copyable>(
        _ type: P.Type,
        _ configuration: TestValue = .object([:]),
        host: FakeHost = FakeHost(),
        folder: String = ".",
        workers: Int = 1
    ) throws {
        try self.init(
            hello: { Export<P>.hello($0, $1) },
            configuration,
            host: host,
            folder: folder,
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
        folder: String = ".",
        workers: Int
    ) throws {
        self.host = host
        var hello = sluice_plugin_hello()
        hello.size = UInt32(MemoryLayout<sluice_plugin_hello>.size)
        let greeting = arena.allocate(FakeHost.hello(), count: 1)
        let answer = function(greeting, &hello)
        self.hello = hello
        guard answer == SLUICE_OK else { throw Refused(line: "", code: answer) }

        var args = sluice_create_args()
        args.size = UInt32(MemoryLayout<sluice_create_args>.size)
        args.worker_count = UInt32(workers)
        args.host = host.handle
        args.name = arena.slice("test")
        args.config = configuration.layOut(in: arena)
        args.folder = arena.slice(folder)
        instance.size = UInt32(MemoryLayout<sluice_instance>.size)
        try Self.calling { error in
            hello.factory.pointee.check_config?(args.config, error) ?? Int32(SLUICE_OK)
        }
        try Self.calling { error in hello.factory.pointee.create(&args, &instance, error) }
    }

    deinit {
        guard instance.state != nil else { return }
        for slot in slots.values { instance.worker_stop?(instance.state, slot) }
        instance.destroy(instance.state)
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

    private static func calling(
        _ body: (UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) throws {
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: 256)
        defer { text.deallocate() }
        var error = sluice_errbuf()
        error.size = UInt32(MemoryLayout<sluice_errbuf>.size)
        error.cap = 256
        error.ptr = text
        let code = body(&error)
        guard code != SLUICE_OK else { return }
        let bytes = UnsafeRawBufferPointer(start: text, count: Int(error.len))
        throw Refused(line: String(decoding: bytes, as: UTF8.self), code: code)
    }

    /// The slot of a worker, made when it is asked for first.
    public func slot(_ worker: Int) -> UnsafeMutableRawPointer? {
        if let slot = slots[worker] { return slot }
        let slot = instance.worker_start.flatMap { $0(instance.state, UInt32(worker)) }
        slots[worker] = .some(slot)
        return slot
    }

    /// The phases that the instance hooks, from its table and not from what the library said.
    public var hookedPhases: [Int] {
        guard let hooks = instance.hooks?.pointee else { return [] }
        let slots: [(Int, sluice_hook?)] = [
            (SLUICE_PHASE_REQUEST_HEADERS, hooks.request_headers),
            (SLUICE_PHASE_UPSTREAM_REQUEST, hooks.upstream_request),
            (SLUICE_PHASE_RESPONSE_HEADERS, hooks.response_headers),
            (SLUICE_PHASE_LOCAL_REPLY, hooks.local_reply),
            (SLUICE_PHASE_REQUEST_END, hooks.request_end),
        ]
        return slots.filter { $0.1 != nil }.map(\.0)
    }

    /// Bytes of request context that the instance asks for.
    public var contextByteCount: Int { Int(instance.context_size) }

    /// A table of a role.
    public func table(_ id: String) -> UnsafeRawPointer? {
        instance.get_extension?(instance.state, id)
    }
}

extension PluginFixture {
    /// Runs the `request_headers` hook and applies its edits.
    ///
    /// A plugin without it goes on.
    @discardableResult
    public func requestHeaders(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        run(request, worker, SLUICE_PHASE_REQUEST_HEADERS, instance.hooks?.pointee.request_headers)
    }

    /// Runs the `upstream_request` hook and applies its edits.
    @discardableResult
    public func upstreamRequest(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        run(
            request,
            worker,
            SLUICE_PHASE_UPSTREAM_REQUEST,
            instance.hooks?.pointee.upstream_request
        )
    }

    /// Runs the `response_headers` hook and applies its edits.
    @discardableResult
    public func responseHeaders(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        run(
            request,
            worker,
            SLUICE_PHASE_RESPONSE_HEADERS,
            instance.hooks?.pointee.response_headers
        )
    }

    /// Runs the `local_reply` hook and applies its edits.
    @discardableResult
    public func localReply(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        run(request, worker, SLUICE_PHASE_LOCAL_REPLY, instance.hooks?.pointee.local_reply)
    }

    /// Runs the `request_end` hook.
    @discardableResult
    public func requestEnd(_ request: RequestFixture, worker: Int = 0) -> Verdict {
        run(request, worker, SLUICE_PHASE_REQUEST_END, instance.hooks?.pointee.request_end)
    }

    private func run(
        _ request: RequestFixture,
        _ worker: Int,
        _ phase: Int,
        _ hook: sluice_hook?
    ) -> Verdict {
        guard let hook else { return .next }
        let arena = Arena()
        let isResponse = phase >= SLUICE_PHASE_RESPONSE_HEADERS
        let room = arena.allocate(sluice_edit(), count: request.editCapacity)
        let edits = makeEdits(arena, room, request.editCapacity)
        let replyRoom = arena.allocate(sluice_edit(), count: request.editCapacity)
        let reply = arena.allocate(sluice_reply(), count: 1)
        reply.pointee.size = UInt32(MemoryLayout<sluice_reply>.size)
        reply.pointee.edits = makeEdits(arena, replyRoom, request.editCapacity)

        let args = arena.allocate(sluice_args(), count: 1)
        args.pointee.size = UInt32(MemoryLayout<sluice_args>.size)
        args.pointee.phase = UInt32(phase)
        args.pointee.flags = request.isLocal ? UInt32(SLUICE_ARGS_LOCAL) : 0
        args.pointee.request_headers = request.request.layOut(in: arena)
        args.pointee.headers =
            isResponse ? request.response.layOut(in: arena) : args.pointee.request_headers
        args.pointee.facts = UnsafePointer(arena.allocate(request.facts, count: 1))
        args.pointee.edits = phase == SLUICE_PHASE_REQUEST_END ? nil : edits
        args.pointee.reply = phase == SLUICE_PHASE_REQUEST_END ? nil : reply

        let context = request.context(of: self, byteCount: Int(instance.context_size))
        let number = hook(instance.state, slot(worker), request.handle, context, args)
        request.errorCode = args.pointee.error_code
        request.edits = Self.records(edits)
        let verdict = Verdict(rawValue: number)
        if verdict == .error { return verdict }
        return apply(verdict, to: request, isResponse, reply)
    }

    /// Does what the host does after a hook; a refused edit makes the verdict an error.
    private func apply(
        _ verdict: Verdict,
        to request: RequestFixture,
        _ isResponse: Bool,
        _ reply: UnsafeMutablePointer<sluice_reply>
    ) -> Verdict {
        if verdict == .respond {
            guard (200...599).contains(reply.pointee.status) else { return .error }
            request.respond(status: Int(reply.pointee.status), isLocal: true)
            request.replyBody = String(reply.pointee.body)
            return request.response.apply(Self.records(reply.pointee.edits)) ? verdict : .error
        }
        let taken =
            isResponse
            ? request.response.apply(request.edits) : request.request.apply(request.edits)
        return taken ? verdict : .error
    }

    private static func records(_ edits: UnsafeMutablePointer<sluice_edits>) -> [EditRecord] {
        (0..<Int(edits.pointee.count)).map { EditRecord(edits.pointee.ops[$0]) }
    }

    private func makeEdits(
        _ arena: Arena,
        _ room: UnsafeMutablePointer<sluice_edit>,
        _ capacity: Int
    ) -> UnsafeMutablePointer<sluice_edits> {
        let edits = arena.allocate(sluice_edits(), count: 1)
        edits.pointee.size = UInt32(MemoryLayout<sluice_edits>.size)
        edits.pointee.capacity = UInt32(capacity)
        edits.pointee.ops = room
        return edits
    }
}
