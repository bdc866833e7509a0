import CSluice
import Synchronization

/// What a probe is, beside its request.
public struct ProbeOrder {
    /// SLUICE_PROBE_TCP and so on.
    public let speaks: UInt32
    /// The peer's id.
    public let peer: UInt64
    /// The peer's place in the tables; it stays there until the end of this turn of the worker.
    public internal(set) var index = -1
    /// In place of the peer's; 0 for the peer's.
    public let port: UInt16
    /// SLUICE_PROBE_TLS_*.
    public let tls: UInt32
    /// What `ProbeTLS.Opening` made; never freed.
    public let tlsContext: OpaquePointer?
    let done:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafePointer<sluice_probe_result>?
        ) -> Void

    /// Probes of one worker at the same time.
    public static let probesMax = 256
    /// Bytes of the body that is sent.
    static let bodyBytesMax = 65_536
    /// Nanoseconds of all of it, unless it says otherwise.
    static let timeoutDefault: UInt64 = 1_000_000_000

    /// Nil when it breaks a bound.
    init?(_ probe: UnsafePointer<sluice_probe>) {
        guard probe.pointee.size == UInt32(MemoryLayout<sluice_probe>.size),
            probe.pointee.protocol <= UInt32(SLUICE_PROBE_HTTP2),
            probe.pointee.tls <= UInt32(SLUICE_PROBE_TLS_OWN), probe.pointee.port <= 65_535,
            probe.pointee.tls != UInt32(SLUICE_PROBE_TLS_OWN) || probe.pointee.tls_context != nil,
            let done = probe.pointee.done
        else { return nil }
        speaks = probe.pointee.protocol
        peer = probe.pointee.peer
        port = UInt16(probe.pointee.port)
        tls = probe.pointee.tls
        tlsContext = probe.pointee.tls_context
        self.done = done
    }
}

/// Settings of TLS for probes alone.
public struct ProbeTLS: Hashable, Sendable {
    public let verifies: Bool
    /// Empty for the peer's host.
    public let serverName: String
    /// Path of a file; empty for the system's authorities.
    public let authorities: String

    /// Makes a context that lives for ever, or says what is wrong.
    public typealias Opening =
        @Sendable (ProbeTLS) -> (context: OpaquePointer?, problem: String)

    /// Contexts of the process.
    static let contextsMax = 256

    init(_ settings: sluice_probe_tls) {
        verifies = settings.skip_verify == 0
        serverName = PeersTable.text(settings.server_name, most: 255)
        authorities = PeersTable.text(settings.ca_file, most: 4_096)
    }
}

extension PeerDirectory {
    /// Says how contexts are made. [control]
    public func setOpening(_ opening: @escaping ProbeTLS.Opening) {
        state.withLock { $0.openTLS = opening }
    }

    /// `tls_open` of the ABI. [control]
    func openTLS(_ settings: ProbeTLS) throws(Refusal) -> OpaquePointer {
        let (known, count, open) = state.withLock {
            ($0.contexts[settings], $0.contexts.count, $0.openTLS)
        }
        if let known { return known }
        guard count < ProbeTLS.contextsMax else {
            let text = "there are \(ProbeTLS.contextsMax) settings of TLS for probes already"
            throw Refusal(text, SLUICE_ENOMEM)
        }
        guard let open else { throw Refusal("no TLS here", SLUICE_ENOTSUP) }
        let (made, problem) = open(settings)
        guard let made else { throw Refusal(problem, SLUICE_ECONFIG) }
        state.withLock { $0.contexts[settings] = made }
        return made
    }

    /// Where a peer is: the number of its upstream's name, and its place in the tables.
    func place(of id: UInt64) -> (upstream: Int, index: Int)? {
        let found = state.withLock { state in
            state.records[id].map { ($0.upstream, $0.peer.index) }
        }
        return found.map { (CalloutPort.number(of: $0.0), $0.1) }
    }
}
