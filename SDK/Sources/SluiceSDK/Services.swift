public import CSluice

/// Tables of the host that a plugin may need, beside `sluice.core/1`.
public struct HostTables: OptionSet, Sendable, BitwiseCopyable {
    /// A bit for each table.
    public let rawValue: UInt32

    /// Takes the bits as they are.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// `sluice.http/1`: waiting, attributes, the hash key, hooks that took long.
    public static var http: HostTables { HostTables(rawValue: 1) }
    /// `sluice.http_client/1`: requests of the plugin's own.
    public static var httpClient: HostTables { HostTables(rawValue: 2) }
    /// `sluice.shared/1`: counters and values that all workers share.
    public static var shared: HostTables { HostTables(rawValue: 4) }
    /// `sluice.waitset/1`: requests that wait for a key.
    public static var waitset: HostTables { HostTables(rawValue: 8) }
    /// `sluice.thread_check/1`: which thread this is.
    public static var threadCheck: HostTables { HostTables(rawValue: 16) }
    /// `sluice.metrics/1`: all that plugins have counted, as text.
    public static var metrics: HostTables { HostTables(rawValue: 32) }
    /// `sluice.peers/1`: the peers of upstreams, their health, and probes of them.
    public static var peers: HostTables { HostTables(rawValue: 64) }
}

/// The host's services for one instance, in the instance's memory: what `Host` and `Exchange` reach
/// through one pointer.
@usableFromInline
struct Services {
    @usableFromInline let core: UnsafePointer<sluice_core>
    @usableFromInline let http: UnsafePointer<sluice_http>?
    @usableFromInline let client: UnsafePointer<sluice_http_client>?
    @usableFromInline let shared: UnsafePointer<sluice_shared>?
    @usableFromInline let waitset: UnsafePointer<sluice_waitset>?
    @usableFromInline let threads: UnsafePointer<sluice_thread_check>?
    @usableFromInline let metrics: UnsafePointer<sluice_metrics>?
    @usableFromInline let peers: UnsafePointer<sluice_peers>?
    @usableFromInline let handle: OpaquePointer?
    @usableFromInline let folder: Bytes
    @usableFromInline let workerCount: Int
    // The plugin's own C functions, which the host calls back.
    @usableFromInline let perform: sluice_task?
    @usableFromInline let run: Offer.Run?
    @usableFromInline let finish: sluice_task?
    @usableFromInline let calloutDone: Offer.CalloutDone?
    @usableFromInline let peersChanged: sluice_peers_changed?
    @usableFromInline let probeDone: Offer.ProbeDone?
}
