import CSluice

/// Takes the results of the plugin's own probes of peers.
public protocol ProbeHook: Plugin, ~Copyable {
    /// What a probe is for: kept from its start to its end.
    associatedtype Probe: BitwiseCopyable

    /// Takes what came of a probe, on the worker that started it.
    func probeDone(_ probe: Probe, _ result: ProbeResult, on worker: inout Worker)
}

/// Settings of TLS that were made for probes; valid for the process.
public struct ProbeTLSContext: BitwiseCopyable {
    let context: OpaquePointer?
}

/// How a probe speaks TLS.
public enum ProbeTLS: BitwiseCopyable {
    /// As the upstream's `tls` says.
    case upstream
    /// Not at all.
    case off
    /// With settings of its own.
    case own(ProbeTLSContext)
}

/// A probe of one peer: a connection of its own, and a request if it has one.
///
/// What it points to is copied by the start.
public struct ProbeRequest {
    /// How it speaks.
    public enum ProbeProtocol: UInt32, Sendable, BitwiseCopyable {
        /// A connection alone.
        case tcp = 0
        /// HTTP/1.1.
        case http1 = 1
        /// HTTP/2.
        case http2 = 2
    }

    /// Name of the upstream.
    public var upstream: Bytes
    /// The peer's id.
    public var peer: UInt64
    /// How it speaks.
    public var speaks = ProbeProtocol.tcp
    /// In place of the peer's; 0 for the peer's.
    public var port = 0
    /// How it speaks TLS.
    public var tls = ProbeTLS.upstream
    /// A token; empty for GET.
    public var method: Bytes = .empty
    /// Begins with "/"; empty for "/".
    public var path: Bytes = .empty
    /// The Host; empty for the peer's address.
    public var authority: Bytes = .empty
    /// Up to 64 KiB.
    public var body: Bytes = .empty
    /// Bytes that the response's body may have: up to 1 MiB; 0 for 64 KiB.
    public var bodyBytesMax = 0
    /// For all of it: up to 60 s; 0 for 1 s.
    public var timeoutNanoseconds: UInt64 = 0

    /// A connection to a peer.
    public init(_ upstream: Bytes, _ peer: UInt64) {
        self.upstream = upstream
        self.peer = peer
    }
}

/// What came of a probe.
///
/// Valid until `probeDone` returns.
public struct ProbeResult {
    /// Where a probe stopped.
    public enum Step: UInt32, Sendable {
        /// All of it succeeded, whatever the status.
        case done = 0
        /// No connection.
        case connect = 1
        /// TLS failed.
        case handshake = 2
        /// No whole head of a response.
        case request = 3
        /// No whole body, or a longer one than allowed.
        case body = 4
    }

    private let result: UnsafePointer<sluice_probe_result>

    init(_ result: UnsafePointer<sluice_probe_result>) { self.result = result }

    /// Where it stopped.
    public var step: Step { Step(rawValue: result.pointee.step) ?? .request }
    /// Whether the time was over in this step.
    public var isTimeout: Bool { result.pointee.is_timeout != 0 }
    /// Status of the response; 0 when there is none.
    public var status: Int { Int(result.pointee.status) }
    /// How long it took.
    public var nanoseconds: UInt64 { result.pointee.duration_ns }
    /// Fields of the response; nil when there is none.
    public var fields: Fields? { result.pointee.headers.map { Fields($0) } }
    /// Trailers of the response; nil when there are none.
    public var trailers: Fields? { result.pointee.trailers.map { Fields($0) } }
    /// Body of the response; empty when there is none.
    public var body: Bytes { Bytes(result.pointee.body) }
    /// Why it failed, in a few words; empty when it has not.
    public var reason: Bytes { Bytes(result.pointee.reason) }
}

/// A probe that runs; a plain value.
public struct RunningProbe: Equatable, Sendable, BitwiseCopyable {
    let token: HostToken
}

/// Where a plugin starts probes.
///
/// Make it in `init`, and keep it.
public struct Probes<Owner: ProbeHook & ~Copyable>: BitwiseCopyable {
    private let services: UnsafePointer<Services>?

    /// The probes of the plugin whose host this is, which must offer `probeDone`.
    public init(_ host: Host) { services = host.services }

    /// Makes settings of TLS for probes; in `init`.
    ///
    /// - Parameters:
    ///   - serverName: asked for and verified; empty for the peer's host.
    ///   - verifies: whether the certificate must be good.
    ///   - authorities: path of a file of certificates (PEM); empty for the system's.
    /// - Throws: what is wrong with them.
    public func tls(
        serverName: Bytes,
        verifies: Bool,
        authorities: Bytes
    ) throws(PluginError) -> ProbeTLSContext {
        guard let services else { return ProbeTLSContext(context: nil) }
        guard let table = services.pointee.peers else {
            throw PluginError("the host has no sluice.peers/1")
        }
        var settings = sluice_probe_tls()
        settings.size = UInt32(MemoryLayout<sluice_probe_tls>.size)
        settings.skip_verify = verifies ? 0 : 1
        settings.server_name = serverName.slice
        settings.ca_file = authorities.slice
        var context: OpaquePointer?
        var text = ErrorText()
        let result = text.withBuffer {
            table.pointee.tls_open(services.pointee.handle, &settings, &context, $0)
        }
        guard result == SLUICE_OK else {
            let reason = ServiceError(rawValue: result).text
            throw PluginError(text.text.isEmpty ? String(Bytes(reason)) : text.text)
        }
        return ProbeTLSContext(context: context)
    }

    /// Starts a probe, on a worker's thread.
    ///
    /// - Parameters:
    ///   - request: what to ask of whom.
    ///   - probe: passed to `probeDone`.
    ///   - fields: adds up to 16 fields; not those of framing, nor Host.
    /// - Throws: `invalid` when it breaks a rule of HTTP or a bound, `stale` when the peer is gone,
    ///   `again` when 256 of the worker run, `unsupported` where the host does not offer it.
    @discardableResult
    public func start(
        _ request: ProbeRequest,
        _ probe: Owner.Probe,
        fields: (inout Pairs) -> Void = { _ in }
    ) throws(ServiceError) -> RunningProbe {
        guard let services, let table = services.pointee.peers else { throw .unsupported }
        precondition(services.pointee.probeDone != nil, "offer.probeDone is missing")
        let cell = UnsafeMutablePointer<Owner.Probe>.allocate(capacity: 1)
        cell.initialize(to: probe)
        var token = sluice_token()
        let result = withPairs { pairs -> Int32 in
            fields(&pairs)
            if pairs.isOver { return Int32(SLUICE_EINVAL) }
            var call = request.cProbe
            call.fields = UnsafePointer(pairs.start)
            call.field_count = UInt32(pairs.count)
            call.done = services.pointee.probeDone
            call.context = UnsafeMutableRawPointer(cell)
            return table.pointee.probe(services.pointee.handle, &call, &token)
        }
        if result != SLUICE_OK {
            cell.deallocate()
            throw ServiceError(rawValue: result)
        }
        return RunningProbe(token: HostToken(token))
    }
}

extension ProbeRequest {
    var cProbe: sluice_probe {
        var call = sluice_probe()
        call.size = UInt32(MemoryLayout<sluice_probe>.size)
        call.protocol = speaks.rawValue
        call.upstream = upstream.slice
        call.peer = peer
        call.port = UInt32(clamping: port)
        switch tls {
        case .upstream: call.tls = UInt32(SLUICE_PROBE_TLS_UPSTREAM)
        case .off: call.tls = UInt32(SLUICE_PROBE_TLS_OFF)
        case .own(let own):
            call.tls = UInt32(SLUICE_PROBE_TLS_OWN)
            call.tls_context = own.context
        }
        call.method = method.slice
        call.path = path.slice
        call.authority = authority.slice
        call.body = body.slice
        call.body_max = UInt64(max(bodyBytesMax, 0))
        call.timeout_ns = timeoutNanoseconds
        return call
    }
}

extension Export where P: ProbeHook, P: ~Copyable {
    /// The C function that takes the result of a probe.
    public static func probeDone(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer?,
        _ result: UnsafePointer<sluice_probe_result>?
    ) {
        // Safe: the context is a cell that the start of the probe made; this is its last use.
        let cell = context.unsafelyUnwrapped.assumingMemoryBound(to: P.Probe.self)
        let probe = cell.pointee
        cell.deallocate()
        let answer = ProbeResult(result.unsafelyUnwrapped)
        withWorker(state, slot) { $0.probeDone(probe, answer, on: &$1) }
    }
}
