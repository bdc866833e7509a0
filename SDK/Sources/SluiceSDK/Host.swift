public import CSluice

/// Levels of the log, most important first.
public enum LogLevel: UInt32, Sendable {
    /// Something failed.
    case error = 1
    /// Something is odd.
    case warn = 2
    /// What an operator wants to know at a normal time.
    case info = 3
    /// What only somebody who looks for a fault wants to know.
    case debug = 4
}

/// Threads of the host.
public enum ThreadKind: UInt32, Sendable {
    /// Not the host's.
    case other = 0
    /// Makes and destroys instances; one at a time.
    case control = 1
    /// Runs requests.
    case worker = 2
    /// Runs jobs, which may block.
    case blocking = 3
}

/// The host's services for one instance.
///
/// Valid as long as the instance. While a configuration is only checked there is no host: clocks
/// and random numbers are then 0, nothing is logged, and what is asked for does nothing.
public struct Host: BitwiseCopyable {
    @usableFromInline let services: UnsafePointer<Services>?

    /// Memory that lives as long as the instance.
    public let memory: InstanceMemory

    /// Without services a host is what a configuration is checked with.
    init(_ services: UnsafePointer<Services>?, _ blocks: Blocks) {
        self.services = services
        memory = InstanceMemory(blocks: .passUnretained(blocks))
    }

    /// Whether a configuration is only checked, so that there is no host.
    public var isChecking: Bool { services == nil }

    /// The monotonic clock in nanoseconds; 0 without a host.
    public var nowNanoseconds: UInt64 {
        guard let services else { return 0 }
        return services.pointee.core.pointee.now(services.pointee.handle)
    }

    /// Seconds since the epoch; 0 without a host.
    public var wallClockSeconds: UInt64 {
        guard let services else { return 0 }
        return services.pointee.core.pointee.wall_clock(services.pointee.handle)
    }

    /// 64 random bits, not for keys or secrets; 0 without a host.
    @inlinable
    public func random() -> UInt64 {
        guard let services else { return 0 }
        return services.pointee.core.pointee.random(services.pointee.handle)
    }

    /// The folder of the manifest; empty without a host.
    public var folder: Bytes { services?.pointee.folder ?? .empty }

    /// Number of workers; 1 without a host.
    public var workerCount: Int { max(services?.pointee.workerCount ?? 1, 1) }

    /// A path of the configuration as the system needs it: a relative one begins in `folder`.
    ///
    /// Nil while a configuration is only checked: files are not looked at then.
    public func path(_ path: Bytes) -> Bytes? {
        guard services != nil, !folder.isEmpty else { return nil }
        return path.hasPrefix("/") ? path : memory.join([folder, "/", path])
    }

    /// Which thread this is; nil where the host does not say.
    public var thread: ThreadKind? {
        guard let threads = services?.pointee.threads else { return nil }
        return ThreadKind(rawValue: threads.pointee.current())
    }

    /// The worker whose thread this is; nil on other threads, or where the host does not say.
    public var workerIndex: Int? {
        guard let threads = services?.pointee.threads else { return nil }
        let index = threads.pointee.worker_index()
        return index == .max ? nil : Int(index)
    }
}
