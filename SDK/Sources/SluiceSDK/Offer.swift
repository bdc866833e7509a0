public import CSluice

/// What a plugin offers: one C function each, NULL for what it does not offer.
///
/// `{ Export<Self>.hook($0, $1, $2, $3, $4) }` with the property's name for `hook`, and for others
/// what their description says.
public struct Offer {
    /// The C function that makes an instance.
    public typealias Create =
        @convention(c) (
            UnsafePointer<sluice_create_args>?, UnsafeMutablePointer<sluice_instance>?,
            UnsafeMutablePointer<sluice_errbuf>?
        ) -> Int32
    /// The C function that checks a configuration.
    public typealias Check =
        @convention(c) (UnsafePointer<sluice_value>?, UnsafeMutablePointer<sluice_errbuf>?) -> Int32
    /// The C function that builds a balancer's table.
    public typealias Build =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafePointer<sluice_peer_set>?,
            UnsafeMutablePointer<sluice_errbuf>?
        ) -> UnsafeMutableRawPointer?
    /// The C function that frees a balancer's table.
    public typealias Drop =
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void
    /// The C function that picks from a balancer's table.
    public typealias PickPeer =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafeMutablePointer<sluice_pick>?
        ) -> UInt32
    /// The C function that is told that a worker ends.
    public typealias Drain =
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void
    /// The C function that runs a job.
    public typealias Run =
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void
    /// The C function that takes the result of a callout.
    public typealias CalloutDone =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafePointer<sluice_call_result>?
        ) -> Void
    /// The C function that takes the result of a probe.
    public typealias ProbeDone =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafePointer<sluice_probe_result>?
        ) -> Void
    /// The C function that writes an instance's state.
    public typealias ExportState =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafePointer<sluice_sink>?,
            UnsafeMutablePointer<sluice_errbuf>?
        ) -> Int32
    /// The C function that takes another instance's state.
    public typealias ImportState =
        @convention(c) (
            UnsafeMutableRawPointer?, sluice_slice, UnsafeMutablePointer<sluice_errbuf>?
        ) -> Int32
    /// The C function that gets an instance ready for requests.
    public typealias Warm =
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<sluice_errbuf>?) -> Int32
    /// The C function that opens an instance's files again.
    public typealias Reopen = @convention(c) (UnsafeMutableRawPointer?) -> Void

    /// Needed: `{ Export<Self>.create($0, $1, $2) }`.
    public var create: Create?
    /// Checks a configuration before anything is made of it: `{ Export<Self>.check($0, $1) }`.
    public var check: Check?

    /// Of `RequestHeadersHook`.
    public var requestHeaders: sluice_hook?
    /// Of `RequestBodyHook`.
    public var requestBody: sluice_hook?
    /// Of `UpstreamRequestHook`.
    public var upstreamRequest: sluice_hook?
    /// Of `UpstreamResultHook`.
    public var upstreamResult: sluice_hook?
    /// Of `UpstreamResponseHook`.
    public var upstreamResponse: sluice_hook?
    /// Of `UpstreamBodyHook`.
    public var upstreamBody: sluice_hook?
    /// Of `ResponseHeadersHook`.
    public var responseHeaders: sluice_hook?
    /// Of `ResponseBodyHook`.
    public var responseBody: sluice_hook?
    /// Of `LocalReplyHook`.
    public var localReply: sluice_hook?
    /// Of `RequestEndHook`.
    public var requestEnd: sluice_hook?
    /// Of `ResumedHook`; without it no hook can wait.
    public var resumed: sluice_hook?

    /// With `drop` and `pick` the balancer's role: `{ Export<Self>.build($0, $1, $2) }`.
    public var build: Build?
    /// `{ Export<Self>.drop($0, $1) }`.
    public var drop: Drop?
    /// `{ Export<Self>.pick($0, $1, $2, $3) }`.
    public var pick: PickPeer?

    /// The role of `ResponseCache`: `offer.cache.lookup = { Export<Self>.cacheLookup($0, ...) }`,
    /// and so on for each function of the table.
    public var cache = sluice_cache()

    /// Of `WorkHook`, for timers and posted work: `{ Export<Self>.perform($0, $1, $2) }`.
    public var perform: sluice_task?
    /// Of `DrainHook`: `{ Export<Self>.drain($0, $1) }`.
    public var drain: Drain?
    /// With `finish` of `JobHook`: `{ Export<Self>.run($0, $1) }`.
    public var run: Run?
    /// `{ Export<Self>.finish($0, $1, $2) }`.
    public var finish: sluice_task?
    /// Of `CalloutHook`: `{ Export<Self>.calloutDone($0, $1, $2, $3) }`.
    public var calloutDone: CalloutDone?
    /// Of `PeersHook`: `{ Export<Self>.peersChanged($0, $1, $2, $3) }`.
    public var peersChanged: sluice_peers_changed?
    /// Of `ProbeHook`: `{ Export<Self>.probeDone($0, $1, $2, $3) }`.
    public var probeDone: ProbeDone?

    /// With `importState` of `StatefulPlugin`: `{ Export<Self>.exportState($0, $1, $2) }`.
    public var exportState: ExportState?
    /// `{ Export<Self>.importState($0, $1, $2) }`.
    public var importState: ImportState?

    /// With `exportRest` and `importRest` the role of `HandoverPlugin`:
    /// `{ Export<Self>.warm($0, $1) }`.
    public var warm: Warm?
    /// `{ Export<Self>.exportRest($0, $1, $2) }`.
    public var exportRest: ExportState?
    /// `{ Export<Self>.importRest($0, $1, $2) }`.
    public var importRest: ImportState?

    /// Of `ReopenHook`: `{ Export<Self>.reopenLogs($0) }`.
    public var reopenLogs: Reopen?

    init() {}

    var isBalancer: Bool { build != nil && drop != nil && pick != nil }

    var isCache: Bool { cache.lookup != nil && cache.admit != nil && cache.read != nil }

    var hasHandover: Bool { warm != nil || exportRest != nil || importRest != nil }

    /// The hooks as the host reads them.
    var hooks: sluice_http_hooks {
        var hooks = sluice_http_hooks()
        hooks.size = UInt32(MemoryLayout<sluice_http_hooks>.size)
        hooks.request_headers = requestHeaders
        hooks.request_body = requestBody
        hooks.upstream_request = upstreamRequest
        hooks.upstream_result = upstreamResult
        hooks.upstream_response = upstreamResponse
        hooks.upstream_body = upstreamBody
        hooks.response_headers = responseHeaders
        hooks.response_body = responseBody
        hooks.local_reply = localReply
        hooks.request_end = requestEnd
        hooks.resumed = resumed
        return hooks
    }

    /// A bit for each hook of a phase.
    var mask: PhaseSet {
        var mask: PhaseSet = []
        if requestHeaders != nil { mask.insert(.requestHeaders) }
        if requestBody != nil { mask.insert(.requestBody) }
        if upstreamRequest != nil { mask.insert(.upstreamRequest) }
        if upstreamResult != nil { mask.insert(.upstreamResult) }
        if upstreamResponse != nil { mask.insert(.upstreamResponse) }
        if upstreamBody != nil { mask.insert(.upstreamBody) }
        if responseHeaders != nil { mask.insert(.responseHeaders) }
        if responseBody != nil { mask.insert(.responseBody) }
        if localReply != nil { mask.insert(.localReply) }
        if requestEnd != nil { mask.insert(.requestEnd) }
        return mask
    }

    /// What the plugin cannot do without, by what it offers.
    var needs: HostTables {
        var needs: HostTables = []
        if resumed != nil { needs.insert(.http) }
        if calloutDone != nil { needs.insert(.httpClient) }
        if peersChanged != nil || probeDone != nil { needs.insert(.peers) }
        return needs
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

    /// The cache's table as the host reads it.
    var cacheTable: sluice_cache {
        var table = cache
        table.size = UInt32(MemoryLayout<sluice_cache>.size)
        return table
    }

    /// The table of the hand-over as the host reads it.
    var handover: sluice_handover {
        var table = sluice_handover()
        table.size = UInt32(MemoryLayout<sluice_handover>.size)
        table.warm = warm
        table.export_rest = exportRest
        table.import_rest = importRest
        return table
    }
}
