public import CSluice

/// One request and its response, as a hook sees it.
///
/// Everything that comes from it is valid until the hook returns, unless said otherwise.
public struct Exchange<Owner: Plugin & ~Copyable>: ~Copyable {
    @usableFromInline let args: UnsafeMutablePointer<sluice_args>
    @usableFromInline let request: OpaquePointer?
    @usableFromInline let contextMemory: UnsafeMutableRawPointer?
    @usableFromInline let slot: UnsafeMutableRawPointer?
    @usableFromInline let services: UnsafePointer<Services>

    @inlinable
    init(
        args: UnsafeMutablePointer<sluice_args>,
        request: OpaquePointer?,
        context: UnsafeMutableRawPointer?,
        slot: UnsafeMutableRawPointer?,
        services: UnsafePointer<Services>
    ) {
        self.args = args
        self.request = request
        contextMemory = context
        self.slot = slot
        self.services = services
    }

    /// The phase; after a wait the one that waited.
    @inlinable public var phase: Phase {
        Phase(rawValue: args.pointee.phase) ?? .requestEnd
    }

    /// The fields of this phase's message: the request's, the response's, or the local reply's.
    @inlinable public var fields: Fields { Fields(args.pointee.headers) }

    /// The request's fields, in every phase.
    @inlinable public var requestFields: Fields { Fields(args.pointee.request_headers) }

    /// What else is known of the request.
    @inlinable public var facts: Facts { Facts(args.pointee.facts) }

    /// Changes to this phase's message.
    @inlinable public var edits: Edits { Edits(args.pointee.edits, failure: failure) }

    /// Whether no body follows this head.
    @inlinable public var isEndOfStream: Bool { has(SLUICE_ARGS_EOS) }

    /// Whether the host made the request itself.
    @inlinable public var isInternal: Bool { has(SLUICE_ARGS_INTERNAL) }

    /// Whether the response was made by the host or a plugin.
    @inlinable public var isLocal: Bool { has(SLUICE_ARGS_LOCAL) }

    /// The plugin's memory of this request.
    @inlinable
    public var context: Owner.Context {
        get { contextPointer.pointee }
        nonmutating _modify { yield &contextPointer.pointee }
    }

    /// Where `context` lies: until the end of the request, so that edits may point into it.
    @inlinable
    public var contextPointer: UnsafeMutablePointer<Owner.Context> {
        // Safe: the host gives the bytes that `create` asked for, zeroed, to every hook.
        contextMemory.unsafelyUnwrapped.assumingMemoryBound(to: Owner.Context.self)
    }

    /// The state of the worker that the request runs on.
    @inlinable
    public var worker: Owner.Worker {
        get { workerPointer.pointee }
        nonmutating _modify { yield &workerPointer.pointee }
    }

    /// Where `worker` lies: until the worker stops.
    @inlinable
    public var workerPointer: UnsafeMutablePointer<Owner.Worker> {
        // Safe: the slot is what `workerStart` made for this worker.
        slot.unsafelyUnwrapped.assumingMemoryBound(to: Owner.Worker.self)
    }

    @inlinable
    func has(_ flag: some BinaryInteger) -> Bool {
        args.pointee.flags & UInt32(truncatingIfNeeded: flag) != 0
    }

    /// Where a failure is noted; the hook's verdict becomes an error when it is not 0.
    @inlinable
    var failure: UnsafeMutablePointer<UInt32> {
        // Safe: `error_code` is the fourth word of the struct, which outlives the hook.
        (UnsafeMutableRawPointer(args) + 12).assumingMemoryBound(to: UInt32.self)
    }
}

extension Exchange where Owner: ~Copyable {
    /// Answers now: `return exchange.respond(status: 403, body: "no\n")`.
    ///
    /// - Parameters:
    ///   - status: 200 to 599.
    ///   - body: valid for the instance, or memory of `writer`.
    @inlinable
    public func respond(status: Int, body: Bytes = .empty) -> Verdict {
        guard let reply = args.pointee.reply else { return fail(.noReply) }
        reply.pointee.status = UInt32(status)
        reply.pointee.body = body.slice
        return .respond
    }

    /// Fields of the reply that `respond` gives.
    @inlinable
    public var replyEdits: Edits { Edits(args.pointee.reply?.pointee.edits, failure: failure) }

    /// Fails with a number for the host's log: `return exchange.fail(code)`.
    @inlinable
    public func fail(_ code: FailureCode) -> Verdict {
        failure.pointee = code.rawValue
        return .error
    }

    /// A writer of up to `capacity` bytes of memory that lives until the end of the request.
    ///
    /// When the request's budget is used up the writer has no room, and the hook's verdict becomes
    /// an error whatever it returns.
    @inlinable
    public func writer(capacity: Int) -> Writer { memory.writer(capacity: capacity) }

    /// `count` bytes of memory that live until the end of the request, aligned to 16; nil when the
    /// request's budget is used up, which is not counted as a failure.
    @inlinable
    public func memory(_ count: Int) -> UnsafeMutableRawPointer? {
        services.pointee.core.pointee.request_alloc(request, UInt64(count))
    }

    @inlinable
    var memory: RequestMemory {
        RequestMemory(core: services.pointee.core, request: request, failure: failure)
    }
}

/// Where memory of a request comes from.
@usableFromInline
struct RequestMemory {
    let core: UnsafePointer<sluice_core>
    let request: OpaquePointer?
    let failure: UnsafeMutablePointer<UInt32>

    @usableFromInline
    init(
        core: UnsafePointer<sluice_core>,
        request: OpaquePointer?,
        failure: UnsafeMutablePointer<UInt32>
    ) {
        self.core = core
        self.request = request
        self.failure = failure
    }

    @usableFromInline
    func writer(capacity: Int) -> Writer {
        let memory = core.pointee.request_alloc(request, UInt64(capacity))
        guard let memory else {
            if capacity > 0 { failure.pointee = FailureCode.outOfMemory.rawValue }
            // Safe: nothing is written, as there is no room.
            let nothing = UnsafeMutablePointer(mutating: Bytes.empty.start)
            return Writer(start: nothing, capacity: 0, failure: failure)
        }
        // Safe: the host gave `capacity` bytes, until the end of the request.
        let start = memory.assumingMemoryBound(to: UInt8.self)
        return Writer(start: start, capacity: capacity, failure: failure)
    }
}
