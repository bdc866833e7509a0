public import CSluice
public import SluiceSDK

/// A host for tests: a clock that stands still, seeded random numbers, services that do what a test
/// says, and a record of what was asked of them.
///
/// It is thin. What it says about HTTP, framing and the order of hooks is as little as a plugin's
/// logic needs; an exchange through the real engine is the judge of the rest.
///
/// Time, posted work, jobs and callouts wait for the test: `PluginFixture.advance`, `runPosted`,
/// `runJobs` and `finishCallouts`.
public final class FakeHost {
    /// Tables that this host does not have.
    public let missing: HostTables

    /// Lines that were logged, with their levels; pairs stand behind the message as `name=value`.
    public var log: [(level: UInt32, line: String)] = []
    /// The highest level that is written.
    public var logLevel: UInt32 = 4
    /// The monotonic clock; setting it fires nothing, see `PluginFixture.advance`.
    public var nowNanoseconds: UInt64 = 1_000_000_000
    /// Seconds since the epoch.
    public var wallClockSeconds: UInt64 = 1_700_000_000
    /// State of the random numbers; set it to repeat them.
    public var seed: UInt64 = 1
    /// The folder of the manifest that instances are told.
    public var folder = "/etc/sluice"
    /// Calls that break a rule of the headers, as on the wrong thread.
    ///
    /// The real host may do anything then, so a test expects it to be empty.
    public var misuses: [String] = []

    /// Upstreams of the manifest, which callouts may go to.
    public var upstreams: Set<String> = []
    /// What upstreams answer; nil leaves the callout waiting.
    public var answer: (Callout) -> CalloutAnswer? = { _ in nil }
    /// All callouts that were started, in order.
    public internal(set) var callouts: [Callout] = []

    /// Upstreams whose peers a plugin gives.
    public var discovered: Set<String> = []
    /// What peers answer to probes; nil leaves the probe waiting.
    public var probeAnswer: (Probe) -> ProbeAnswer? = { _ in nil }
    /// All probes that were begun, in order.
    public internal(set) var probes: [Probe] = []

    /// Bytes of buffers that an instance may have at a time.
    public var bufferBudget = 64 << 20
    /// Buffers that somebody has a reference to.
    public internal(set) var liveBuffers = 0

    var bufferBytes = 0
    var metrics: [MetricRecord] = []
    var attributeKeys: [String: AttributeKey] = [:]
    var timers: [TimerRecord] = []
    var posted: [PostedTask] = []
    var jobs: [JobRecord] = []
    var pendingCallouts: [PendingCallout] = []
    var tables: [String: FakeTable] = [:]
    var wakeUps: [KeyPair: UInt64] = [:]
    var peersByUpstream: [String: [FakePeer]] = [:]
    var peersVersion: UInt64 = 1
    var lastPeerID: UInt64 = 0
    var watches: [PeersWatch] = []
    var pendingProbes: [PendingProbe] = []
    /// What plugins may keep.
    let peerTexts = Arena()

    /// A host with its defaults.
    ///
    /// - Parameter missing: tables that it does not have; `sluice.core/1` it always has.
    public init(missing: HostTables = []) { self.missing = missing }

    func random() -> UInt64 {
        // SplitMix64.
        seed &+= 0x9E37_79B9_7F4A_7C15
        var word = seed
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// Notes a call that the headers allow on other threads only.
    func expect(_ allowed: ThreadRole..., in function: String) -> Bool {
        let role = ThreadRole.current
        if allowed.contains(where: { $0.kind == role.kind }) { return true }
        misuses.append("\(function) was called on \(role.text)")
        return false
    }

    static func of(_ handle: OpaquePointer?) -> FakeHost { InstanceHandle.of(handle).host }
}

/// What `sluice_host` points to: one instance of a host.
final class InstanceHandle {
    let host: FakeHost
    let workerCount: Int

    init(_ host: FakeHost, workerCount: Int) {
        self.host = host
        self.workerCount = workerCount
    }

    var pointer: OpaquePointer { OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

    static func of(_ handle: OpaquePointer?) -> InstanceHandle {
        guard let handle else { preconditionFailure("the plugin passed no host") }
        return Unmanaged<InstanceHandle>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }
}

extension FakeHost {
    /// What a host with all tables says to a library; the tables in it live for ever.
    public static func hello() -> sluice_host_hello { hello(missing: []) }

    /// What a host without some tables says.
    ///
    /// The function in it is the same for all hosts of the process, so what is missing counts until
    /// this is called again; `PluginFixture` shakes hands under a lock.
    static func hello(missing tables: HostTables) -> sluice_host_hello {
        locked { absent = tables }
        var hello = sluice_host_hello()
        hello.size = UInt32(MemoryLayout<sluice_host_hello>.size)
        hello.abi_minor = SLUICE_ABI_MINOR
        hello.get_extension = { id in
            guard let id else { return nil }
            let known = FakeHost.knownTables[String(cString: id)]
            guard let known else { return nil }
            let absent = locked { FakeHost.absent }
            return known.isDisjoint(with: absent) ? FakeHost.table(known) : nil
        }
        return hello
    }

    /// Tables by id; the core is in no set.
    static let knownTables: [String: HostTables] = [
        SLUICE_CORE_ID: [], SLUICE_HTTP_ID: .http, SLUICE_HTTP_CLIENT_ID: .httpClient,
        SLUICE_SHARED_ID: .shared, SLUICE_WAITSET_ID: .waitset,
        SLUICE_THREAD_CHECK_ID: .threadCheck,
        SLUICE_METRICS_ID: .metrics, SLUICE_PEERS_ID: .peers,
    ]

    // Safe: read and written under the lock.
    private nonisolated(unsafe) static var absent: HostTables = []

    private static func table(_ table: HostTables) -> UnsafeRawPointer? {
        switch table {
        case []: UnsafeRawPointer(core)
        case .http: UnsafeRawPointer(http)
        case .httpClient: UnsafeRawPointer(httpClient)
        case .shared: UnsafeRawPointer(shared)
        case .waitset: UnsafeRawPointer(waitset)
        case .metrics: UnsafeRawPointer(metricsText)
        case .peers: UnsafeRawPointer(peersTable)
        default: UnsafeRawPointer(threadCheck)
        }
    }

    /// A table that lives for ever.
    static func place<Table>(_ table: Table) -> UnsafePointer<Table> {
        let place = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        place.initialize(to: table)
        return UnsafePointer(place)
    }
}
