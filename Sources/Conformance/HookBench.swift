import CSluice
import HTTP
package import PluginHost
import Sys

/// What a hook costs: calls of one request's, as a worker makes them.
package struct HookBench: ~Copyable {
    /// What was measured of one phase.
    package struct Row: Sendable {
        package let name: String
        /// Nanoseconds of a call, the best of `runs`.
        package let nanoseconds: Double
        /// Bytes of memory for each peer, of a balancer's table.
        package var bytesPerPeer: Double?
    }

    /// Runs of which the best counts.
    package static let runs = 7
    /// Calls of a run.
    package static let calls = 100_000
    /// Bytes of a request's memory; its chunks from the heap come on top.
    private static let blockBytes = 16_384
    /// Calls after which the request begins anew, so that its memory does not run out.
    private static let callsPerRequest = 100

    /// As many as a few plugins make: each adds to what the next has to look at.
    private static let editsPerRequest = 10

    private let instance: PluginInstance
    private var call: HookCall
    private let slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let block = UnsafeMutableRawPointer.allocate(byteCount: blockBytes, alignment: 16)
    private let context: UnsafeMutablePointer<RequestContext>
    private let contexts: UnsafeMutableRawPointer

    private static let request = """
        GET /a/path?with=query HTTP/1.1\r
        Host: example.com\r
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r
        Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r
        Accept-Language: en-US,en;q=0.5\r
        Accept-Encoding: gzip, deflate, br\r
        Cookie: session=0123456789abcdef\r
        Referer: https://example.com/\r
        Cache-Control: no-cache\r
        \r\n
        """
    private static let response = """
        HTTP/1.1 200 OK\r
        Content-Type: text/html\r
        Content-Length: 1024\r
        ETag: "0123456789"\r
        Cache-Control: max-age=60\r
        Server: origin\r
        \r\n
        """
    private static let phases: [Phase] = [
        .requestHeaders, .upstreamRequest, .upstreamResponse, .responseHeaders, .requestEnd,
    ]
    private static let bodyPhases: [Phase] = [.requestBody, .upstreamBody, .responseBody]
    /// Bytes of a chunk of a body.
    private static let chunkBytes = 4_096

    /// Measures the boundary, then an instance of the plugin.
    ///
    /// - Returns: rows of what hooks do at the least, one for each hook of the plugin, and of a
    ///   balancer's picks.
    package static func measure(
        _ library: PluginLibrary,
        _ configuration: ConfigurationTree.Node
    ) throws(PluginError) -> [Row] {
        var rows = try measureBoundary()
        var bench = try HookBench(library, configuration)
        for phase in phases where bench.instance.hook(phase) != nil {
            rows.append(Row(name: phase.name, nanoseconds: bench.phase(phase)))
        }
        for phase in bodyPhases where bench.instance.hook(phase) != nil {
            let name = "\(phase.name), 4 KiB"
            rows.append(Row(name: name, nanoseconds: bench.chunk(phase)))
        }
        rows += try PickBench.measure(bench.instance, slot: bench.slots.pointee)
        bench.end()
        return rows
    }

    private static func measureBoundary() throws(PluginError) -> [Row] {
        let library = try PluginLibrary(linked: ReferencePlugin.hello, name: "reference")
        var bench = try HookBench(library, .object([]))
        let empty = bench.phase(ReferencePlugin.empty)
        let rows = [
            Row(name: "empty hook", nanoseconds: bench.bareCall()),
            Row(name: "and the host's work", nanoseconds: empty),
            Row(name: "view of the request", nanoseconds: bench.view()),
            Row(
                name: "8 fields read",
                nanoseconds: max(0, bench.phase(ReferencePlugin.reading) - empty)
            ),
            Row(name: "edit of a field", nanoseconds: max(0, bench.edit() - empty)),
        ]
        bench.end()
        return rows
    }

    private init(
        _ library: PluginLibrary,
        _ configuration: ConfigurationTree.Node
    ) throws(PluginError) {
        instance = try CheckContext.makeInstance(library, configuration, "subject")
        slots = .allocate(capacity: 1)
        ThreadRole.enter(.worker(0))
        slots.initialize(to: instance.startWorker(0))
        call = HookCall(worker: WorkerLinks(slots: slots, waits: nil, workerIndex: 0))
        let bytes = MemoryLayout<RequestContext>.stride
        context = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
            .bindMemory(to: RequestContext.self, capacity: 1)
        let size = max(instance.contextBytes, 16)
        contexts = .allocate(byteCount: size, alignment: 16)
        contexts.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        UnsafeMutableRawPointer(context).initializeMemory(
            as: UInt8.self,
            repeating: 0,
            count: bytes
        )
        begin()
    }

    private mutating func end() {
        instance.stopWorker(0, slots.pointee)
        ThreadRole.enter(.control)
        instance.destroy()
        context.pointee.arena.release()
    }

    deinit {
        UnsafeMutableRawPointer(context).deallocate()
        contexts.deallocate()
        block.deallocate()
        slots.deallocate()
    }

    // MARK: The request

    /// Begins the request anew.
    private mutating func begin() {
        let size = MemoryLayout<RequestContext>.stride
        UnsafeMutableRawPointer(context).initializeMemory(as: UInt8.self, repeating: 0, count: size)
        contexts.initializeMemory(
            as: UInt8.self,
            repeating: 0,
            count: max(instance.contextBytes, 16)
        )
        var arena = Arena(block: block, count: Self.blockBytes)
        let request = Self.parseRequest(&arena)
        let response = Self.parseResponse(&arena)
        RequestContext.prepare(context, arena: arena, request: request, worker: call.worker)
        context.pointee.globalContexts = contexts
        context.pointee.replaceResponse(response)
    }

    private static func copy(_ text: String, _ arena: inout Arena) -> UnsafePointer<UInt8> {
        guard let copy = arena.copy(Array(text.utf8), text.utf8.count) else {
            preconditionFailure("no room for a head")
        }
        return UnsafePointer(copy)
    }

    private static func fields(_ arena: inout Arena) -> UnsafeMutablePointer<FieldSpan> {
        guard let fields = arena.allocate(FieldSpan.self, count: 100) else {
            preconditionFailure("no room for fields")
        }
        return fields
    }

    private static func parseRequest(_ arena: inout Arena) -> Message {
        let bytes = copy(request, &arena)
        var head = RequestHead()
        var message = Message(isRequest: true, head: bytes, fields: fields(&arena))
        _ = HeadParser.parseRequest(
            bytes,
            count: request.utf8.count,
            limits: HeadLimits(),
            fields: message.fields,
            into: &head
        )
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.method = Slice(bytes + Int(head.methodStart), Int(head.methodLength))
        message.path = Slice(bytes + Int(head.pathStart), Int(head.targetLength))
        message.authority = Slice(bytes + Int(head.authorityStart), Int(head.authorityLength))
        return message
    }

    private static func parseResponse(_ arena: inout Arena) -> Message {
        let bytes = copy(response, &arena)
        var head = ResponseHead()
        var message = Message(isRequest: false, head: bytes, fields: fields(&arena))
        _ = HeadParser.parseResponse(
            bytes,
            count: response.utf8.count,
            limits: HeadLimits(),
            fields: message.fields,
            requestMethod: .get,
            into: &head
        )
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.status = head.status
        return message
    }

    // MARK: Measuring

    /// The best time of a call, without what it takes to begin a request.
    private mutating func best(
        callsPerRequest: Int = callsPerRequest,
        _ body: (inout HookBench) -> Void
    ) -> Double {
        var best = Double.infinity
        for _ in 0..<Self.runs {
            var total: UInt64 = 0
            for _ in 0..<Self.calls / callsPerRequest {
                context.pointee.arena.release()
                begin()
                let start = Clock.kernelNanoseconds()
                for _ in 0..<callsPerRequest { body(&self) }
                total += Clock.kernelNanoseconds() - start
            }
            best = min(best, Double(total) / Double(Self.calls))
        }
        return best
    }

    /// A call of the empty hook's function, through its pointer and with arguments.
    private mutating func bareCall() -> Double {
        guard let hook = instance.hook(ReferencePlugin.empty) else { return 0 }
        var args = sluice_args()
        return best { bench in
            let request = OpaquePointer(bench.context)
            _ = hook(nil, bench.slots.pointee, request, bench.contexts, &args)
        }
    }

    /// A hook that sets a field: its edit is checked and applied, and the view made again.
    private mutating func edit() -> Double {
        let chain = PhaseChain(global: [instance], route: [])
        return best(callsPerRequest: Self.editsPerRequest) { bench in
            _ = bench.call.run(
                ReferencePlugin.editing,
                of: chain,
                positions: 0..<1,
                bench.context,
                flags: 0
            )
        }
    }

    private mutating func phase(_ phase: Phase) -> Double {
        let chain = PhaseChain(global: [instance], route: [])
        return best { bench in
            bench.context.pointee.detached = 0
            _ = bench.call.run(phase, of: chain, positions: 0..<1, bench.context, flags: 0)
        }
    }

    /// A call with a chunk of a body, without edits.
    private mutating func chunk(_ phase: Phase) -> Double {
        let chain = PhaseChain(global: [instance], route: [])
        let entry = chain.entry(phase, 0)
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.chunkBytes)
        defer { bytes.deallocate() }
        bytes.initialize(repeating: UInt8(ascii: "a"), count: Self.chunkBytes)
        return best { bench in
            _ = bench.call.runBody(
                entry,
                phase,
                bench.context,
                bytes,
                Self.chunkBytes,
                chunkFlags: 0,
                offset: 0,
                trailers: nil,
                isHeld: false,
                resumption: nil
            )
        }
    }

    /// A call for which the view is built anew.
    private mutating func view() -> Double {
        let chain = PhaseChain(global: [instance], route: [])
        let both = best { bench in
            bench.context.pointee.requestChanged()
            _ = bench.call.run(
                .requestHeaders,
                of: chain,
                positions: 0..<1,
                bench.context,
                flags: 0
            )
        }
        return max(0, both - phase(.requestHeaders))
    }
}
