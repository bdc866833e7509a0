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

/// The host's services for one instance.
///
/// Valid as long as the instance.
public struct Host: BitwiseCopyable {
    @usableFromInline let core: UnsafePointer<sluice_core>?
    @usableFromInline let handle: OpaquePointer?

    /// Memory that lives as long as the instance.
    public let memory: InstanceMemory

    /// The manifest's folder, where relative paths of a configuration begin; nil while a
    /// configuration is only checked, as files are not looked at then.
    public let folder: Bytes?

    /// Without services a host is what a configuration is checked with.
    init(
        core: UnsafePointer<sluice_core>?,
        handle: OpaquePointer?,
        folder: Bytes? = nil,
        _ blocks: Blocks
    ) {
        self.core = core
        self.handle = handle
        self.folder = folder
        memory = InstanceMemory(blocks: .passUnretained(blocks))
    }

    /// A path of the configuration as the system needs it: a relative one begins in `folder`.
    ///
    /// Nil where there is no folder.
    public func path(_ path: Bytes) -> Bytes? {
        guard let folder else { return nil }
        return path.hasPrefix("/") ? path : memory.join([folder, "/", path])
    }

    /// Whether lines of this level are written now; ask before building a message.
    public func logs(_ level: LogLevel) -> Bool {
        guard let core, let handle else { return false }
        return core.pointee.log_level(handle) >= level.rawValue
    }

    /// Writes one line, prefixed by the host with the instance's name.
    public func log(_ level: LogLevel, _ message: Bytes) {
        guard let core, let handle else { return }
        core.pointee.log(handle, level.rawValue, message.slice)
    }

    /// Writes one line, built only when the level is written.
    public func log(_ level: LogLevel, _ message: () -> String) {
        guard logs(level) else { return }
        var text = message()
        text.withUTF8 { utf8 in
            guard let start = utf8.baseAddress else { return }
            log(level, Bytes(start, count: utf8.count))
        }
    }

    /// The monotonic clock in nanoseconds; 0 without a host.
    public var nowNanoseconds: UInt64 {
        guard let core, let handle else { return 0 }
        return core.pointee.now(handle)
    }

    /// Seconds since the epoch; 0 without a host.
    public var wallClockSeconds: UInt64 {
        guard let core, let handle else { return 0 }
        return core.pointee.wall_clock(handle)
    }

    /// 64 random bits, not for keys or secrets; 0 without a host.
    @inlinable
    public func random() -> UInt64 {
        guard let core, let handle else { return 0 }
        return core.pointee.random(handle)
    }
}
