public import CSluice

/// What a plugin offers: one C function each, NULL for what it does not offer.
public struct Offer {
    /// Needed: `{ Export<P>.create($0, $1, $2) }`.
    public var create:
        (
            @convention(c) (
                UnsafePointer<sluice_create_args>?, UnsafeMutablePointer<sluice_instance>?,
                UnsafeMutablePointer<sluice_errbuf>?
            ) -> Int32
        )?
    /// Checks a configuration before anything is made of it: `{ Export<P>.check($0, $1) }`.
    public var check:
        (
            @convention(c) (UnsafePointer<sluice_value>?, UnsafeMutablePointer<sluice_errbuf>?)
                -> Int32
        )?
    /// `{ Export<P>.requestHeaders($0, $1, $2, $3, $4) }`.
    public var requestHeaders: sluice_hook?
    /// `{ Export<P>.upstreamRequest($0, $1, $2, $3, $4) }`.
    public var upstreamRequest: sluice_hook?
    /// `{ Export<P>.responseHeaders($0, $1, $2, $3, $4) }`.
    public var responseHeaders: sluice_hook?
    /// `{ Export<P>.localReply($0, $1, $2, $3, $4) }`.
    public var localReply: sluice_hook?
    /// `{ Export<P>.requestEnd($0, $1, $2, $3, $4) }`.
    public var requestEnd: sluice_hook?
    /// With `drop` and `pick` the balancer's role: `{ Export<P>.build($0, $1, $2) }`.
    public var build:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafePointer<sluice_peer_set>?,
                UnsafeMutablePointer<sluice_errbuf>?
            ) -> UnsafeMutableRawPointer?
        )?
    /// `{ Export<P>.drop($0, $1) }`.
    public var drop: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?
    /// `{ Export<P>.pick($0, $1, $2, $3) }`.
    public var pick:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
                UnsafeMutablePointer<sluice_pick>?
            ) -> UInt32
        )?

    init() {}

    var isBalancer: Bool { build != nil && drop != nil && pick != nil }

    /// The hooks as the host reads them.
    var hooks: sluice_http_hooks {
        var hooks = sluice_http_hooks()
        hooks.size = UInt32(MemoryLayout<sluice_http_hooks>.size)
        hooks.request_headers = requestHeaders
        hooks.upstream_request = upstreamRequest
        hooks.response_headers = responseHeaders
        hooks.local_reply = localReply
        hooks.request_end = requestEnd
        return hooks
    }

    /// A bit for each hook.
    var mask: UInt64 {
        var mask: UInt64 = 0
        if requestHeaders != nil { mask |= 1 << UInt64(SLUICE_PHASE_REQUEST_HEADERS) }
        if upstreamRequest != nil { mask |= 1 << UInt64(SLUICE_PHASE_UPSTREAM_REQUEST) }
        if responseHeaders != nil { mask |= 1 << UInt64(SLUICE_PHASE_RESPONSE_HEADERS) }
        if localReply != nil { mask |= 1 << UInt64(SLUICE_PHASE_LOCAL_REPLY) }
        if requestEnd != nil { mask |= 1 << UInt64(SLUICE_PHASE_REQUEST_END) }
        return mask
    }

    /// The balancer's table as the host reads it.
    var balancer: sluice_lb {
        var table = sluice_lb()
        table.size = UInt32(MemoryLayout<sluice_lb>.size)
        table.build = build
        table.drop = drop
        table.pick = pick
        return table
    }
}
