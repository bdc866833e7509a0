import CSluice
public import Sys

/// What a plugin did that it should not; the process goes on.
public enum FaultKind: Int, Sendable, CaseIterable {
    /// A hook's verdict was ERROR.
    case error
    /// An edit that is refused, or a wish that can't be had.
    case edit
    /// No verdict of the phase.
    case verdict
    /// A hook took longer than `budgets.hook`.
    case overrun
    /// A call on a thread or at a time where it does not work.
    case misuse
    /// Buffers that the instance still had when it was destroyed.
    case leak

    /// As the metric `sluice_plugin_faults_total` has it.
    public var name: String { "\(self)" }
}

/// What the manifest says of how far a plugin is trusted.
public struct PluginGuards: Sendable, Equatable {
    /// Nanoseconds of a hook; 0 is no bound.
    public var hookNanoseconds: UInt64
    /// Nanoseconds of a call outside of requests; 0 is no bound.
    public var controlNanoseconds: UInt64
    public var circuit: CircuitSettings
    public var onCrash: CrashPolicy

    public init(
        hookNanoseconds: UInt64 = 0,
        controlNanoseconds: UInt64 = 0,
        circuit: CircuitSettings = .off,
        onCrash: CrashPolicy = .restart
    ) {
        self.hookNanoseconds = hookNanoseconds
        self.controlNanoseconds = controlNanoseconds
        self.circuit = circuit
        self.onCrash = onCrash
    }
}

/// What the request path and the crash handler know of an instance: plain memory that is never
/// freed.
public struct PluginRecord {
    // First, so that its address is the record's: hooks' entries point here.
    var label: CrashLabel
    public let name: Slice
    let guards: PluginGuards
    let workerCount: Int
    /// For the log; set as soon as there is one, and kept for ever.
    var handle: Unmanaged<InstanceHandle>?
    /// By worker, each touched by it alone.
    let circuits: UnsafeMutablePointer<Circuit>
    /// Series of the metrics, by `FaultKind`.
    let faults: UnsafePointer<UInt32>
    let skipped: UInt32
    let openCircuits: UInt32
    /// By phase, made when the first chain calls one of its hooks.
    private let hookMeters: UnsafeMutablePointer<HookMeter?>

    /// Where calls of its hooks are counted. [control]
    func hookMeter(_ phase: Phase) -> HookMeter {
        if let meter = hookMeters[phase.rawValue] { return meter }
        let instance = String(
            decoding: UnsafeBufferPointer(start: name.bytes, count: name.count),
            as: UTF8.self
        )
        let meter = HookMeter(instance: instance, phase, workers: workerCount)
        hookMeters[phase.rawValue] = meter
        return meter
    }

    static func make(
        name: String,
        label: CrashLabel,
        guards: PluginGuards,
        workerCount: Int
    ) -> UnsafeMutablePointer<PluginRecord> {
        let record = UnsafeMutablePointer<PluginRecord>.allocate(capacity: 1)
        let workers = max(workerCount, 1)
        let circuits = UnsafeMutablePointer<Circuit>.allocate(capacity: workers)
        circuits.initialize(repeating: Circuit(), count: workers)
        let kinds = FaultKind.allCases
        let faults = UnsafeMutablePointer<UInt32>.allocate(capacity: kinds.count)
        let registry = MetricRegistry.shared
        for kind in kinds {
            let number = registry.hostSeries(.faults, of: name, kind.name, workers: workers)
            faults.advanced(by: kind.rawValue).initialize(to: number)
        }
        let text = sluice_slice(permanent: name)
        let hookMeters = UnsafeMutablePointer<HookMeter?>.allocate(capacity: Phase.countOfABI)
        hookMeters.initialize(repeating: nil, count: Phase.countOfABI)
        record.initialize(
            to: PluginRecord(
                label: label,
                name: Slice(text.ptr, Int(text.len)),
                guards: guards,
                workerCount: workers,
                handle: nil,
                circuits: circuits,
                faults: UnsafePointer(faults),
                skipped: registry.hostSeries(.skipped, of: name, nil, workers: workers),
                openCircuits: registry.hostSeries(.circuits, of: name, nil, workers: workers),
                hookMeters: hookMeters
            )
        )
        return record
    }

    /// The record of an instance of a library.
    static func make(
        of library: PluginLibrary,
        name: String,
        guards: PluginGuards,
        workerCount: Int
    ) -> UnsafeMutablePointer<PluginRecord> {
        let record = make(
            name: name,
            label: library.label.of(instance: name, policy: guards.onCrash),
            guards: guards,
            workerCount: workerCount
        )
        if let create = library.hello.pointee.factory?.pointee.create {
            // Safe: the address is not read.
            let address = unsafeBitCast(create, to: UnsafeRawPointer.self)
            CrashRecord.add(codeAround: address, of: label(record))
        }
        return record
    }

    /// For the breadcrumb.
    @inline(__always)
    static func label(
        _ record: UnsafeMutablePointer<PluginRecord>
    ) -> UnsafePointer<CrashLabel> {
        // Safe: the label is the first member.
        UnsafeRawPointer(record).assumingMemoryBound(to: CrashLabel.self)
    }

    /// Writes a line of the log in the plugin's name.
    func tell(_ level: Int, _ text: String) {
        var text = text
        text.withUTF8 { bytes in
            let line = sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count))
            handle?._withUnsafeGuaranteedRef { PluginLog.write($0, UInt32(level), line, nil, 0) }
        }
    }

    /// Counts a fault, from any thread.
    func count(_ fault: FaultKind) {
        MetricRegistry.shared.add(faults[fault.rawValue], 1)
    }

    /// Faults so far, of all instances that ever had this name.
    func count(of fault: FaultKind) -> Int64 {
        MetricRegistry.shared.value(faults[fault.rawValue])
    }
}

/// The faults of a plugin, for who looks after it.
public struct FaultReport: Sendable, Equatable {
    /// Name of the instance.
    public var name: String
    /// Faults by kind, since the process began.
    public var counts: [FaultKind: Int64]
    /// Requests that did not pass the plugin because its circuit was open.
    public var skipped: Int64
    /// Workers on which its circuit is open.
    public var openCircuits: Int64
}

extension PluginInstance {
    public var faultReport: FaultReport {
        let counts = FaultKind.allCases.map { ($0, record.pointee.count(of: $0)) }
        return FaultReport(
            name: name,
            counts: Dictionary(uniqueKeysWithValues: counts),
            skipped: MetricRegistry.shared.value(record.pointee.skipped),
            openCircuits: MetricRegistry.shared.value(record.pointee.openCircuits)
        )
    }
}
