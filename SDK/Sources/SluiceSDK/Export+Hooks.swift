public import CSluice

// The hooks. Each `Offer` closure of a plugin becomes one of these with everything inlined.

extension Export where P: ~Copyable {
    /// Runs a hook.
    ///
    /// A failure that the exchange noted makes the verdict an error.
    @inlinable
    @inline(__always)
    static func run(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?,
        _ body: (borrowing P, borrowing Exchange<P>) -> Verdict
    ) -> UInt32 {
        // Safe: the host passes what `create` and `workerStart` gave it, and its own arguments.
        let instance = state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
        let args = args.unsafelyUnwrapped
        args.pointee.error_code = 0
        let exchange = Exchange<P>(
            args: args,
            request: request,
            context: context,
            slot: slot,
            services: instance.pointee.head.services
        )
        let verdict = body(instance.pointee.plugin, exchange)
        return args.pointee.error_code == 0 ? verdict.rawValue : Verdict.error.rawValue
    }
}

extension Export where P: RequestHeadersHook, P: ~Copyable {
    /// The C function of `RequestHeadersHook`.
    @inlinable
    public static func requestHeaders(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.requestHeaders($1) }
    }
}

extension Export where P: RequestBodyHook, P: ~Copyable {
    /// The C function of `RequestBodyHook`.
    @inlinable
    public static func requestBody(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.requestBody($1) }
    }
}

extension Export where P: UpstreamRequestHook, P: ~Copyable {
    /// The C function of `UpstreamRequestHook`.
    @inlinable
    public static func upstreamRequest(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.upstreamRequest($1) }
    }
}

extension Export where P: UpstreamResultHook, P: ~Copyable {
    /// The C function of `UpstreamResultHook`.
    @inlinable
    public static func upstreamResult(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.upstreamResult($1) }
    }
}

extension Export where P: UpstreamResponseHook, P: ~Copyable {
    /// The C function of `UpstreamResponseHook`.
    @inlinable
    public static func upstreamResponse(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.upstreamResponse($1) }
    }
}

extension Export where P: UpstreamBodyHook, P: ~Copyable {
    /// The C function of `UpstreamBodyHook`.
    @inlinable
    public static func upstreamBody(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.upstreamBody($1) }
    }
}

extension Export where P: ResponseHeadersHook, P: ~Copyable {
    /// The C function of `ResponseHeadersHook`.
    @inlinable
    public static func responseHeaders(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.responseHeaders($1) }
    }
}

extension Export where P: ResponseBodyHook, P: ~Copyable {
    /// The C function of `ResponseBodyHook`.
    @inlinable
    public static func responseBody(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.responseBody($1) }
    }
}

extension Export where P: LocalReplyHook, P: ~Copyable {
    /// The C function of `LocalReplyHook`.
    @inlinable
    public static func localReply(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.localReply($1) }
    }
}

extension Export where P: RequestEndHook, P: ~Copyable {
    /// The C function of `RequestEndHook`.
    @inlinable
    public static func requestEnd(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) {
            $0.requestEnd($1)
            return .next
        }
    }
}

extension Export where P: ResumedHook, P: ~Copyable {
    /// The C function of `ResumedHook`.
    @inlinable
    public static func resumed(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?
    ) -> UInt32 {
        run(state, slot, request, context, args) { $0.resumed($1) }
    }
}
