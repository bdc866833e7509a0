import CLinux
import Glibc

/// Starting other programs, and becoming one.
public enum Processes {
    /// Starts a program without input, with the output and errors of this process.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - descriptors: what it gets as its descriptors 3, 4 and so on; nothing else is passed on.
    /// - Returns: its process.
    public static func start(
        _ path: String,
        _ arguments: [String],
        descriptors: [Int32]
    ) throws(Errno) -> Int32 {
        let result = withTexts([path] + arguments) { list in
            Int(clinux_start_process(path, list, descriptors, descriptors.count))
        }
        return Int32(try Errno.check(result))
    }

    /// Becomes another program, with the same process number, children and signal mask.
    ///
    /// Returns only when that failed.
    ///
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - descriptors: those that the program keeps, under the same numbers.
    public static func become(
        _ path: String,
        _ arguments: [String],
        keeping descriptors: [Int32]
    ) -> Errno {
        for fd in descriptors { _ = clinux_set_inherited(fd, 1) }
        let result = withTexts([path] + arguments) { list in Int(clinux_become(path, list)) }
        for fd in descriptors { _ = clinux_set_inherited(fd, 0) }
        return Errno(Int32(truncatingIfNeeded: -result))
    }

    /// Takes a descriptor that this process was started with; it is not passed on any further.
    ///
    /// - Returns: nil when there is none of this number.
    public static func adopt(_ number: Int32) -> FileDescriptor? {
        guard number >= 0, clinux_set_inherited(number, 0) >= 0 else { return nil }
        return FileDescriptor(owning: number)
    }

    /// A child that has ended, each once; nil when there is none now.
    ///
    /// Takes every child of this process, so nothing else may wait for one.
    public static func reap() -> (process: Int32, ending: ChildProcess.Ending)? {
        var status: Int32 = 0
        let process = clinux_reap(&status)
        guard process > 0 else { return nil }
        return (Int32(process), ChildProcess.Ending(status: status))
    }

    /// Ends a process at once.
    public static func kill(_ process: Int32) {
        _ = clinux_send_signal(process, SIGKILL)
    }

    /// Sends HUP to this process; blocked, it waits for whatever the process becomes.
    public static func raiseReload() {
        _ = clinux_send_signal(getpid(), SIGHUP)
    }

    /// Calls with the texts as C has lists of them: ended by a null pointer.
    private static func withTexts(
        _ texts: [String],
        _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int
    ) -> Int {
        let copies = texts.map { text in
            let bytes = text.utf8CString
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
            copy.initialize(from: Array(bytes), count: bytes.count)
            return copy
        }
        defer { for copy in copies { copy.deallocate() } }
        let list = copies.map { Optional($0) } + [nil]
        return list.withUnsafeBufferPointer { list in
            guard let start = list.baseAddress else { return -Int(EINVAL) }
            return body(start)
        }
    }
}

extension ChildProcess.Ending {
    /// - Parameter status: as wait(2) has it: the low seven bits are the signal, the next byte is
    ///   the code.
    init(status: Int32) {
        self =
            status & 0x7f == 0
            ? .exited(Int32(status >> 8 & 0xff)) : .signalled(Int32(status & 0x7f))
    }

    /// The name of a signal, as "SIGSEGV".
    public static func signalName(_ number: Int32) -> String {
        let names: [Int32: String] = [
            SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL",
            SIGTRAP: "SIGTRAP", SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE",
            SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGPIPE: "SIGPIPE", SIGTERM: "SIGTERM",
            SIGSYS: "SIGSYS",
        ]
        return names[number] ?? "signal \(number)"
    }
}

/// Signals of this process as something to poll.
public struct SignalSource: ~Copyable, Sendable {
    /// What has come.
    public enum Event: Equatable, Sendable {
        case signal(Signals.Received)
        /// A child may have ended: `Processes.reap` knows which.
        case childEnded
    }

    private let descriptor: FileDescriptor

    /// Blocks the signals of `Signals.block` and SIGCHLD; before the first thread is started.
    public init() throws(Errno) {
        descriptor = FileDescriptor(owning: Int32(try Errno.check(Int(clinux_signal_descriptor()))))
        Signals.ignorePipe()
    }

    /// Readable when there is one.
    public var number: Int32 { descriptor.number }

    /// The next one; nil when there is none now.
    public borrowing func take() -> Event? {
        let number = Int32(truncatingIfNeeded: clinux_take_signal(descriptor.number))
        guard number > 0 else { return nil }
        return number == SIGCHLD ? .childEnded : .signal(Signals.Received(number))
    }
}

/// Waiting for several descriptors.
public enum Poll {
    /// Waits until one of them has something to read, or its other end is closed.
    ///
    /// - Parameter milliseconds: the longest wait; -1 is for ever.
    /// - Returns: for each of them, in their order, whether it has.
    public static func readable(_ descriptors: [Int32], milliseconds: Int32) -> [Bool] {
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let result = clinux_poll_all(&entries, entries.count, milliseconds)
        guard result > 0 else { return descriptors.map { _ in false } }
        return entries.map { $0.revents != 0 }
    }
}
