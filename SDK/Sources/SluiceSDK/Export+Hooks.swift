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
            core: instance.pointee.head.core
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

extension Export where P: Balancer, P: ~Copyable {
    /// The C function that builds a table.
    public static func build(
        _ state: UnsafeMutableRawPointer?,
        _ set: UnsafePointer<sluice_peer_set>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> UnsafeMutableRawPointer? {
        guard let state, let set,
            set.pointee.size == UInt32(MemoryLayout<sluice_peer_set>.size)
        else { return nil }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        do throws(PluginError) {
            let table = try instance.pointee.plugin.build(PeerSet(set))
            return Unmanaged.passRetained(table).toOpaque()
        } catch let failure {
            _ = report(failure, error)
            return nil
        }
    }

    /// The C function that frees a table.
    public static func drop(
        _ state: UnsafeMutableRawPointer?,
        _ table: UnsafeMutableRawPointer?
    ) {
        // Safe: the table is what `build` gave, and no worker uses it any more.
        Unmanaged<P.Table>.fromOpaque(table.unsafelyUnwrapped).release()
    }

    /// The C function that picks.
    @inlinable
    public static func pick(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ table: UnsafeMutableRawPointer?,
        _ pick: UnsafeMutablePointer<sluice_pick>?
    ) -> UInt32 {
        // Safe: instance and table are what `create` and `build` gave; the pick is the host's.
        let instance = state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
        let table = Unmanaged<P.Table>.fromOpaque(table.unsafelyUnwrapped)
        let pick = pick.unsafelyUnwrapped
        pick.pointee.count = 0
        // The host keeps the table alive for the pick, so it need not be retained.
        table._withUnsafeGuaranteedRef { instance.pointee.plugin.pick(from: $0, Pick(pick)) }
        return UInt32(pick.pointee.count > 0 ? SLUICE_PICK_OK : SLUICE_PICK_NONE)
    }
}
