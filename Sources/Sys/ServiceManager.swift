import CLinux
import Glibc

/// The service manager that started this process, told of its state as in sd_notify(3).
///
/// A message is one datagram of lines. Nothing comes back, and a message that cannot be sent is
/// lost: a service manager that is gone must not stop a proxy.
public struct ServiceManager: Sendable, Equatable {
    /// Path of a Unix socket, or an abstract name behind `@`.
    public let address: String
    /// How long it waits for a sign of life before it ends the process; nil is for ever.
    public let watchdogNanoseconds: UInt64?

    /// What a process can say of itself.
    public enum State: Sendable, Equatable {
        /// It serves; also the end of `reloading`.
        case ready
        /// It is about to change what it serves.
        case reloading(monotonicNanoseconds: UInt64)
        /// It finishes the requests at hand.
        case stopping
        /// A line for people.
        case status(String)
        /// Another process of the unit is the main one from now on.
        case mainProcess(Int32)
        /// A sign of life.
        case alive

        /// As the protocol writes it, without a line end.
        var line: String {
            switch self {
            case .ready: "READY=1"
            case .reloading(let now): "RELOADING=1\nMONOTONIC_USEC=\(now / 1_000)"
            case .stopping: "STOPPING=1"
            case .status(let text):
                "STATUS=" + String(text.map { $0.isNewline || $0 == "\0" ? " " : $0 })
            case .mainProcess(let process): "MAINPID=\(process)"
            case .alive: "WATCHDOG=1"
            }
        }
    }

    /// - Parameter address: as `NOTIFY_SOCKET` has it.
    public init?(address: String, watchdogNanoseconds: UInt64? = nil) {
        let bytes = Array(address.utf8)
        guard bytes.count >= 2, bytes.count <= SocketAddress.unixPathBytesMax,
            bytes[0] == UInt8(ascii: "/") || bytes[0] == UInt8(ascii: "@"), !bytes.contains(0)
        else { return nil }
        self.address = address
        self.watchdogNanoseconds = watchdogNanoseconds
    }

    /// How often to say `alive`: twice within the time that the service manager waits.
    public var aliveNanoseconds: UInt64? { watchdogNanoseconds.map { $0 / 2 } }

    /// Sends one message; whether the service manager's socket took it.
    @discardableResult
    public func tell(_ states: State...) -> Bool {
        var name = Array(address.utf8)
        // The first byte of an abstract name is NUL (unix(7)).
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        let text = Array(states.map(\.line).joined(separator: "\n").utf8)
        return name.withUnsafeBytes { name in
            // Safe: both outlive the call, which reads no more than their counts.
            name.withMemoryRebound(to: CChar.self) { name in
                clinux_send_datagram(
                    name.baseAddress,
                    UInt32(name.count),
                    text,
                    UInt32(text.count)
                ) >= 0
            }
        }
    }
}

/// What a service manager said by the environment.
///
/// It is meant for this process alone, so it is taken out of the environment before children could
/// inherit it. Call `take` once, before the first thread.
public struct ServiceEnvironment: Sendable, Equatable {
    public private(set) var manager: ServiceManager?
    /// Descriptors that the process was started with for its listeners: `firstSocket` and on.
    public private(set) var socketCount = 0
    /// Names of these descriptors, as many; empty where none were given.
    public private(set) var socketNames: [String] = []
    /// What was not understood; a line each.
    public private(set) var problems: [String] = []

    /// Number of the first descriptor (SD_LISTEN_FDS_START).
    public static let firstSocket: Int32 = 3
    /// Descriptors that a service manager may hand over.
    public static let socketsMax = 4_096

    private static let variables = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
        "LISTEN_FDNAMES",
    ]

    /// Reads the variables of systemd and removes them.
    public static func take() -> ServiceEnvironment {
        var values: [String: String] = [:]
        for name in variables {
            values[name] = Process.environment(name)
            unsetenv(name)
        }
        return ServiceEnvironment(values, process: Process.id)
    }

    /// - Parameters:
    ///   - values: environment variables by name.
    ///   - process: the number of this process: variables for another one are left out.
    public init(_ values: [String: String], process: Int32) {
        readManager(values, process)
        readSockets(values, process)
    }

    private mutating func readManager(_ values: [String: String], _ process: Int32) {
        guard let address = values["NOTIFY_SOCKET"], !address.isEmpty else { return }
        var watchdog: UInt64?
        let isOurs = values["WATCHDOG_PID"].map { $0 == String(process) } ?? true
        if let text = values["WATCHDOG_USEC"], isOurs {
            if let time = UInt64(text), time > 0, time <= UInt64(Int64.max) / 1_000 {
                watchdog = time * 1_000
            } else {
                problems.append("WATCHDOG_USEC: \(text) is no time in microseconds")
            }
        }
        manager = ServiceManager(address: address, watchdogNanoseconds: watchdog)
        if manager == nil {
            problems.append(
                "NOTIFY_SOCKET: \(address) is neither a path nor an abstract name (@...)"
            )
        }
    }

    private mutating func readSockets(_ values: [String: String], _ process: Int32) {
        // As sd_listen_fds(3) has it: without the number of this process they are not for us.
        guard let text = values["LISTEN_FDS"], values["LISTEN_PID"] == String(process) else {
            return
        }
        guard let count = Int(text), (0...Self.socketsMax).contains(count) else {
            problems.append("LISTEN_FDS: \(text) is no number from 0 to \(Self.socketsMax)")
            return
        }
        socketCount = count
        if let names = values["LISTEN_FDNAMES"], !names.isEmpty {
            let parts = names.split(separator: ":", omittingEmptySubsequences: false)
            // A list of another length names nothing for sure.
            if parts.count == count { socketNames = parts.map(String.init) }
        }
    }
}
