public import CSluice

/// What is known of a request besides its fields.
///
/// Valid until the hook returns.
public struct Facts {
    @usableFromInline let facts: UnsafePointer<sluice_facts>

    /// Facts that the host gave to a hook, or a test made.
    @inlinable public init(_ facts: UnsafePointer<sluice_facts>) { self.facts = facts }

    /// The client's address as text: "192.0.2.1", "2001:db8::1" or "unix:".
    @inlinable public var clientAddress: Bytes { Bytes(facts.pointee.client_address) }

    /// The client's address as bits; nil for a Unix socket.
    @inlinable
    public var clientIP: IPAddress? {
        // Safe: `client_ip` has 16 bytes.
        let ip = facts.pointee.client_ip
        return withUnsafeBytes(of: ip) { bytes in
            switch facts.pointee.client_family {
            case 4: IPAddress(v4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
            case 6:
                IPAddress(
                    high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                    low: UInt64(
                        bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                    )
                )
            default: nil
            }
        }
    }

    /// 4, 6, or 0 for a Unix socket.
    @inlinable public var clientFamily: Int { Int(facts.pointee.client_family) }

    /// The client's port; 0 for a Unix socket.
    @inlinable public var clientPort: Int { Int(facts.pointee.client_port) }

    /// The address of the listener, as in the manifest.
    @inlinable public var localAddress: Bytes { Bytes(facts.pointee.local_address) }

    /// Name of the route; empty before routing.
    @inlinable public var route: Bytes { Bytes(facts.pointee.route) }

    /// Name of the upstream; empty before it is chosen.
    @inlinable public var upstream: Bytes { Bytes(facts.pointee.upstream) }

    /// Address of the peer of this attempt; empty before it is chosen.
    @inlinable public var peer: Bytes { Bytes(facts.pointee.peer) }

    /// Whether the client's connection is TLS.
    @inlinable public var isSecure: Bool { facts.pointee.secure != 0 }

    /// "https" or "http", by the client's connection.
    @inlinable public var scheme: Bytes { isSecure ? "https" : "http" }

    /// Version of the client's request: 10, 11 or 20.
    @inlinable public var httpVersion: Int { Int(facts.pointee.http_version) }

    /// A number that is unique in this process.
    @inlinable public var requestNumber: UInt64 { facts.pointee.request_number }

    /// 0 before the first attempt, then 1, 2, ...
    @inlinable public var attempt: Int { Int(facts.pointee.attempt) }

    /// Status of the response; 0 before there is one.
    @inlinable public var status: Int { Int(facts.pointee.status) }

    /// How the request ended: a number of `SLUICE_OUTCOME_`, in the last hook.
    @inlinable public var outcome: UInt32 { facts.pointee.outcome }

    /// When the request began, in nanoseconds of the monotonic clock.
    @inlinable public var startNanoseconds: UInt64 { facts.pointee.time_start }

    /// When the running batch of events began, by the same clock.
    @inlinable public var nowNanoseconds: UInt64 { facts.pointee.time_now }

    /// Bytes of the request's body that were read so far.
    @inlinable public var bytesIn: UInt64 { facts.pointee.bytes_in }

    /// Bytes of the response's body that were written so far.
    @inlinable public var bytesOut: UInt64 { facts.pointee.bytes_out }

    /// What came of the attempt; in `upstreamResult`.
    @inlinable
    public var attemptResult: AttemptResult {
        AttemptResult(rawValue: facts.pointee.attempt_result) ?? .malformed
    }

    /// When this attempt began, by the monotonic clock; 0 before the first.
    @inlinable public var attemptNanoseconds: UInt64 { facts.pointee.time_attempt }

    /// Whether the attempt's connection came from the pool.
    @inlinable public var isReused: Bool { facts.pointee.is_reused != 0 }

    /// When this attempt's connection was there, by the monotonic clock; 0 for one from the pool.
    @inlinable public var connectedNanoseconds: UInt64 { facts.pointee.time_connected }

    /// When this attempt's response began, by the monotonic clock; 0 when it has not.
    @inlinable public var firstByteNanoseconds: UInt64 { facts.pointee.time_first_byte }

    /// Requests on the client's connection so far, with this one.
    @inlinable
    public var connectionRequests: Int { Int(facts.pointee.connection_requests) }

    /// A number of the client's connection that is unique in this process.
    @inlinable public var connectionNumber: UInt64 { facts.pointee.connection_number }

    /// Name of the instance that answered, reset or failed the request; empty when none did.
    @inlinable public var answeredBy: Bytes { Bytes(facts.pointee.answered_by) }

    /// Why the host ended the request by itself, in the last hook; empty when it did not.
    @inlinable public var reason: Bytes { Bytes(facts.pointee.reason) }

    /// What the cache did: a number of `SLUICE_CACHE_STATUS_`; 0 on a route without one.
    @inlinable public var cacheStatus: UInt32 { facts.pointee.cache_status }

    /// Bytes of the request line and the fields as they came; over HTTP/2 decoded.
    @inlinable public var headBytesIn: Int { Int(facts.pointee.head_bytes_in) }

    /// The same of the response that was sent; 0 before it is.
    @inlinable public var headBytesOut: Int { Int(facts.pointee.head_bytes_out) }

    /// What is known of the client's TLS connection; nil when it is not TLS.
    @inlinable
    public var tls: TLSFacts? {
        guard let tls = facts.pointee.tls else { return nil }
        return TLSFacts(tls)
    }
}

/// What came of an attempt at a peer.
public enum AttemptResult: UInt32, Sendable {
    /// A response's head came; `Facts.status` has its status.
    case response = 0
    /// No connection.
    case connect = 1
    /// No connection or no response in time.
    case timeout = 2
    /// The connection ended before a response.
    case closed = 3
    /// The response breaks HTTP.
    case malformed = 4
    /// Given up for another attempt beside it: no fault of the peer.
    case abandoned = 5
}

/// What is known of a client's TLS connection.
///
/// Valid until the hook returns.
public struct TLSFacts {
    @usableFromInline let tls: UnsafePointer<sluice_tls_facts>

    @inlinable init(_ tls: UnsafePointer<sluice_tls_facts>) { self.tls = tls }

    /// 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.
    @inlinable public var version: Int { Int(tls.pointee.version) }

    /// Name of the cipher suite.
    @inlinable public var cipher: Bytes { Bytes(tls.pointee.cipher) }

    /// The name in the client's hello; empty when it had none.
    @inlinable public var serverName: Bytes { Bytes(tls.pointee.server_name) }

    /// The protocol that was agreed on; empty when none was.
    @inlinable public var alpn: Bytes { Bytes(tls.pointee.alpn) }

    /// The subject of a client certificate that was verified; else empty.
    @inlinable public var clientSubject: Bytes { Bytes(tls.pointee.client_subject) }

    /// SHA-256 of that certificate in lower-case hexadecimal digits; else empty.
    @inlinable public var clientFingerprint: Bytes { Bytes(tls.pointee.client_fingerprint) }

    /// Whether the session was resumed.
    @inlinable public var isResumed: Bool { tls.pointee.is_resumed != 0 }

    /// Whether the request came as early data, and may be a replay.
    @inlinable public var isEarlyData: Bool { tls.pointee.is_early_data != 0 }
}
