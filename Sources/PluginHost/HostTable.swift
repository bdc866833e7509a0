public import CSluice
import HTTP
import Synchronization
import Sys

/// The functions that the host offers to plugins, and what it says of itself.
public enum HostTable {
    /// What a `sluice_host` handle points to; never freed.
    final class Handle: Sendable {
        let name: String
        let levelMax: UInt32
        /// Seconds and lines of the current second: a plugin can't flood the log.
        let lines = Atomic<UInt64>(0)

        init(name: String, levelMax: UInt32) {
            self.name = name
            self.levelMax = levelMax
        }

        static let linesPerSecondMax: UInt64 = 100

        /// Whether one more line may be written in this second.
        func mayWrite() -> Bool {
            let second = Clock.wallSeconds() & 0xffff_ffff
            let now = lines.load(ordering: .relaxed)
            guard now >> 32 == second else {
                lines.store(second << 32 | 1, ordering: .relaxed)
                return true
            }
            return lines.wrappingAdd(1, ordering: .relaxed).newValue & 0xffff_ffff
                <= Self.linesPerSecondMax
        }
    }

    /// The handle of an instance, for its `create`.
    static func makeHandle(name: String, levelMax: UInt32) -> OpaquePointer {
        OpaquePointer(
            Unmanaged.passRetained(Handle(name: name, levelMax: levelMax)).toOpaque()
        )
    }

    /// What the host says in the handshake; one for the process.
    // Safe: filled once, never changed and never freed.
    public nonisolated(unsafe) static let hello: UnsafePointer<sluice_host_hello> = {
        let hello = UnsafeMutablePointer<sluice_host_hello>.allocate(capacity: 1)
        hello.initialize(to: sluice_host_hello())
        hello.pointee.size = UInt32(MemoryLayout<sluice_host_hello>.size)
        hello.pointee.abi_minor = UInt32(SLUICE_ABI_MINOR)
        hello.pointee.host_name = sluice_slice("sluice")
        hello.pointee.host_version = sluice_slice(hostVersion)
        hello.pointee.get_extension = { id in
            guard let id else { return nil }
            if strcmp(id, SLUICE_CORE_ID) == 0 { return UnsafeRawPointer(HostTable.core) }
            if strcmp(id, SLUICE_HTTP_ID) == 0 { return UnsafeRawPointer(HTTPTable.table) }
            return nil
        }
        return UnsafePointer(hello)
    }()

    /// The least minor version that libraries may be made for: minor 1 was a draft.
    static let abiMinorMin: UInt32 = 2

    /// The version of the plugin ABI that this host offers, as in "0.2".
    public static let abi = "\(SLUICE_ABI_MAJOR).\(SLUICE_ABI_MINOR)"

    /// Why a library that needs this ABI can't be loaded; nil when it can.
    public static func complaint(aboutABI major: UInt32, _ minor: UInt32) -> String? {
        let host = abi
        if major == UInt32(SLUICE_ABI_MAJOR), minor < abiMinorMin {
            return "is made for plugin ABI \(major).\(minor), a draft; this host has \(host)"
        }
        if major != UInt32(SLUICE_ABI_MAJOR) || minor > UInt32(SLUICE_ABI_MINOR) {
            return "needs plugin ABI \(major).\(minor), this host has \(host)"
        }
        return nil
    }

    /// Whether there is a table with this id.
    public static func offers(_ id: String) -> Bool {
        id.withCString { hello.pointee.get_extension($0) } != nil
    }

    /// Version of the host, as plugins see it.
    public static let hostVersion: StaticString = "0.1.0"

    /// `sluice.core/1`.
    // Safe: as `hello`.
    nonisolated(unsafe) static let core: UnsafePointer<sluice_core> = {
        let core = UnsafeMutablePointer<sluice_core>.allocate(capacity: 1)
        core.initialize(to: sluice_core())
        core.pointee.size = UInt32(MemoryLayout<sluice_core>.size)
        core.pointee.log = { host, level, message in
            guard let host else { return }
            HostTable.log(host, level, message)
        }
        core.pointee.log_level = { host in
            guard let host else { return 0 }
            // Safe: handles are retained for ever by `makeHandle`.
            return Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(host))
                ._withUnsafeGuaranteedRef { $0.levelMax }
        }
        core.pointee.now = { _ in Clock.monotonicNanoseconds() }
        core.pointee.wall_clock = { _ in Clock.wallSeconds() }
        core.pointee.random = { _ in Process.randomWord() }
        core.pointee.request_alloc = { request, length in
            guard let request, length > 0, length <= UInt64(RequestContext.pluginBytesMax) else {
                return nil
            }
            // Safe: `sluice_req` is the address of a context (`HookCall.call`).
            let context = UnsafeMutablePointer<RequestContext>(request)
            let used = context.pointee.pluginBytes &+ Int(length)
            guard used <= RequestContext.pluginBytesMax else { return nil }
            context.pointee.pluginBytes = used
            return context.pointee.arena.allocate(Int(length))
        }
        return UnsafePointer(core)
    }()

    /// Bytes of a plugin's line.
    private static let lineBytesMax = 1_000

    private static func log(_ host: OpaquePointer, _ level: UInt32, _ message: sluice_slice) {
        // Safe: as in `log_level`.
        let handle = Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(host)).takeUnretainedValue()
        guard level <= handle.levelMax, handle.mayWrite(), let bytes = message.ptr else { return }
        let names: [StaticString] = ["error", "error", "warn", "info", "debug"]
        let name = names[Int(min(level, 4))]
        let time = Clock.timestamp(Clock.wallSeconds())
        var line: [UInt8] = Array("\(time) \(name) plugin=\(handle.name) ".utf8)
        for index in 0..<min(Int(clamping: message.len), lineBytesMax) {
            let byte = bytes[index]
            line.append(byte >= 0x20 && byte != 0x7f ? byte : UInt8(ascii: " "))
        }
        line.append(UInt8(ascii: "\n"))
        line.withUnsafeBytes {
            File.writeError($0.baseAddress ?? UnsafeRawPointer(bytes), $0.count)
        }
    }

    private static func strcmp(_ a: UnsafePointer<CChar>, _ b: String) -> Int32 {
        var index = 0
        for byte in b.utf8 {
            guard a[index] == CChar(bitPattern: byte) else { return 1 }
            index += 1
        }
        return a[index] == 0 ? 0 : 1
    }
}
