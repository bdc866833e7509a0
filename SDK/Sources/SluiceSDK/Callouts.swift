import CSluice

/// Takes the responses to the plugin's own requests.
public protocol CalloutHook: Plugin, ~Copyable {
    /// What a callout is for: kept from its start to its end, as the token of the request that
    /// waits for it.
    associatedtype Callout: BitwiseCopyable

    /// Takes what came of a callout, on the worker that started it. Not called for one that was
    /// cancelled.
    func calloutDone(_ callout: Callout, _ result: CallResult, on worker: inout Worker)
}

/// Sends what it keeps when the process ends.
public protocol DrainHook: Plugin, ~Copyable {
    /// Begins to send it: the worker's last request has ended.
    ///
    /// Callouts without a request that run, or are started here or in `calloutDone`, are waited
    /// for, 5 s at most for all of it. Not called when another instance takes the place of this
    /// one: `HandoverPlugin` is for that.
    func drain(_ worker: inout Worker)
}

/// A request to an upstream of the manifest.
///
/// What it points to is copied by the start.
public struct CallRequest: BitwiseCopyable {
    /// Name of the upstream.
    public var upstream: Bytes
    /// Begins with "/".
    public var path: Bytes
    /// A token.
    public var method: Bytes = "GET"
    /// The Host; empty for the upstream's.
    public var authority: Bytes = .empty
    /// Up to 1 MiB.
    public var body: Bytes = .empty
    /// Bytes that the response's body may have: up to 1 MiB; 0 for 64 KiB.
    public var bodyBytesMax = 0
    /// For all of it: up to 60 s; 0 for 5 s.
    public var timeoutNanoseconds: UInt64 = 0

    /// A GET of a path.
    public init(_ upstream: Bytes, _ path: Bytes) {
        self.upstream = upstream
        self.path = path
    }
}

/// What came of a callout.
///
/// Valid until `calloutDone` returns.
public struct CallResult {
    /// How a callout ended.
    public enum Outcome: UInt32, Sendable {
        /// There is a whole response, whatever its status.
        case response = 0
        /// No peer could be reached, or it broke HTTP or off.
        case failed = 1
        /// Not done in time.
        case timeout = 2
        /// The body is over the bound.
        case tooLarge = 3
    }

    private let result: UnsafePointer<sluice_call_result>

    init(_ result: UnsafePointer<sluice_call_result>) { self.result = result }

    /// How it ended.
    public var outcome: Outcome { Outcome(rawValue: result.pointee.outcome) ?? .failed }

    /// Status of the response; 0 when there is none.
    public var status: Int { outcome == .response ? Int(result.pointee.status) : 0 }

    /// Fields of the response; nil when there is none.
    public var fields: Fields? {
        guard outcome == .response, let headers = result.pointee.headers else { return nil }
        return Fields(headers)
    }

    /// Body of the response; empty when there is none.
    public var body: Bytes { outcome == .response ? Bytes(result.pointee.body) : .empty }
}

/// A callout that runs; a plain value.
public struct RunningCall: Equatable, Sendable, BitwiseCopyable {
    let token: HostToken
}

/// What the host passes back with a result.
struct CalloutCell<Callout: BitwiseCopyable>: BitwiseCopyable {
    let callout: Callout
    /// Whether the cell is the plugin's, and not the request's memory.
    let isOwned: Bool
}

extension Exchange where Owner: CalloutHook, Owner: ~Copyable {
    /// Starts a callout of this request, which is cancelled with it.
    ///
    ///     let token = try exchange.suspend()
    ///     try exchange.call(CallRequest("auth", "/check"), token) { fields in
    ///         fields.add("cookie", cookie)
    ///     }
    ///     return .suspend
    ///
    /// - Parameters:
    ///   - request: what to ask.
    ///   - callout: passed to `calloutDone`.
    ///   - fields: adds up to 16 fields; not those of framing, nor Host.
    /// - Throws: `invalid` when it breaks a rule of HTTP or a bound, `stale` for an unknown
    ///   upstream, `outOfMemory` when 16 of the request or 1,024 of the worker run already,
    ///   `unsupported` where the host does not offer it.
    @discardableResult
    public func call(
        _ request: CallRequest,
        _ callout: Owner.Callout,
        fields: (inout Pairs) -> Void = { _ in }
    ) throws(ServiceError) -> RunningCall {
        let cell = CalloutCell(callout: callout, isOwned: false)
        let size = MemoryLayout<CalloutCell<Owner.Callout>>.size
        precondition(
            MemoryLayout<CalloutCell<Owner.Callout>>.alignment <= 16,
            "a callout is aligned to 16 bytes"
        )
        guard
            let memory = services.pointee.core.pointee.request_alloc(self.request, UInt64(size))
        else { throw .outOfMemory }
        memory.initializeMemory(as: CalloutCell<Owner.Callout>.self, to: cell)
        return try start(services, self.request, request, memory, fields)
    }

    /// Cancels a callout: `calloutDone` will not be called.
    ///
    /// - Returns: false when it has been called.
    @discardableResult
    public func cancel(_ call: RunningCall) -> Bool {
        SluiceSDK.cancel(services, call)
    }
}

/// Where a plugin starts callouts that belong to no request.
///
/// Make it in `init`, and keep it.
public struct Callouts<Owner: CalloutHook & ~Copyable>: BitwiseCopyable {
    private let services: UnsafePointer<Services>?

    /// The callouts of the plugin whose host this is, which must offer `calloutDone`.
    public init(_ host: Host) { services = host.services }

    /// Whether the manifest has an upstream of this name; false without a host.
    public func hasUpstream(_ name: Bytes) -> Bool {
        guard let services, let client = services.pointee.client else { return false }
        return client.pointee.has_upstream(services.pointee.handle, name.slice) != 0
    }

    /// Starts a callout, on a worker's thread; see `Exchange.call`.
    ///
    /// - Throws: as `Exchange.call`; `unsupported` also on another thread than a worker's.
    @discardableResult
    public func start(
        _ request: CallRequest,
        _ callout: Owner.Callout,
        fields: (inout Pairs) -> Void = { _ in }
    ) throws(ServiceError) -> RunningCall {
        guard let services else { throw .unsupported }
        let cell = UnsafeMutablePointer<CalloutCell<Owner.Callout>>.allocate(capacity: 1)
        cell.initialize(to: CalloutCell(callout: callout, isOwned: true))
        do throws(ServiceError) {
            return try SluiceSDK.start(services, nil, request, cell, fields)
        } catch {
            cell.deallocate()
            throw error
        }
    }
}

private func start(
    _ services: UnsafePointer<Services>,
    _ exchange: OpaquePointer?,
    _ request: CallRequest,
    _ context: UnsafeMutableRawPointer,
    _ fields: (inout Pairs) -> Void
) throws(ServiceError) -> RunningCall {
    guard let client = services.pointee.client else { throw .unsupported }
    precondition(services.pointee.calloutDone != nil, "offer.calloutDone is missing")
    var token = sluice_token()
    let result = withPairs { pairs -> Int32 in
        fields(&pairs)
        if pairs.isOver { return Int32(SLUICE_EINVAL) }
        var call = sluice_call()
        call.size = UInt32(MemoryLayout<sluice_call>.size)
        call.upstream = request.upstream.slice
        call.method = request.method.slice
        call.path = request.path.slice
        call.authority = request.authority.slice
        call.body = request.body.slice
        call.body_max = UInt64(max(request.bodyBytesMax, 0))
        call.timeout_ns = request.timeoutNanoseconds
        call.fields = UnsafePointer(pairs.start)
        call.field_count = UInt32(pairs.count)
        call.done = services.pointee.calloutDone
        call.context = context
        return client.pointee.start(services.pointee.handle, exchange, &call, &token)
    }
    try ServiceError.check(result)
    return RunningCall(token: HostToken(token))
}

private func cancel(_ services: UnsafePointer<Services>, _ call: RunningCall) -> Bool {
    guard let client = services.pointee.client else { return false }
    var token = call.token.cToken
    return client.pointee.cancel(services.pointee.handle, &token) == SLUICE_OK
}
