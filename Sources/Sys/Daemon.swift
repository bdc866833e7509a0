import CLinux
import Glibc

/// A process in the background, and the one that started it.
///
/// The starter stays until the daemon says how its start went, and ends with that.
public enum Daemon {
    /// Which of the two this process is.
    public enum Side: Sendable {
        /// The one that goes on; tell the report what came of it.
        case daemon(Report)
        /// The one that was called: end with this code. Nil: the daemon ended without a word.
        case starter(code: Int32?)
    }

    /// How the daemon's start went; gone without a word is a failure too.
    public final class Report: Sendable {
        private let descriptor: FileDescriptor

        init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

        /// Lets the starter end with this code, 0 when the daemon serves.
        public func end(code: Int32) {
            let byte = [UInt8(truncatingIfNeeded: code)]
            // A starter that was interrupted no longer asks.
            _ = clinux_write(descriptor.number, byte, 1)
        }
    }

    /// Divides the process in two, of which the daemon has a session of its own, no terminal, an
    /// empty input and no output.
    ///
    /// Its errors stay those of the starter, so that its problems are seen, until
    /// `ErrorOutput.redirect`. Only for a process with one thread. SIGPIPE must be ignored.
    public static func detach() throws(Errno) -> Side {
        var end: Int32 = 0
        let isDaemon = try Errno.check(Int(clinux_detach(&end))) == 1
        let descriptor = FileDescriptor(owning: end)
        if isDaemon { return .daemon(Report(descriptor)) }
        var byte: [UInt8] = [0]
        let count = Int(clinux_read(descriptor.number, &byte, 1))
        return .starter(code: count == 1 ? Int32(byte[0]) : nil)
    }
}

/// Where the lines of the log go: descriptor 2, which is also that of the runtime's last words.
public enum ErrorOutput {
    /// Mode of a new file, less the umask.
    public static let fileMode: UInt32 = 0o640

    /// Opens a log file to add to, and makes it when it is not there.
    ///
    /// - Throws: what `open` said; ELOOP when the path ends in a symbolic link, ENXIO for a pipe
    ///   that nobody reads.
    public static func open(_ path: String) throws(Errno) -> FileDescriptor {
        let number = try Errno.check(Int(clinux_open_append(path, fileMode)))
        return FileDescriptor(owning: Int32(number))
    }

    /// Lets all further lines go to an open file, in one step: none is lost or divided.
    public static func redirect(to file: Int32) throws(Errno) {
        _ = try Errno.check(Int(clinux_replace(file, 2)))
    }

    /// Gives a log file to the user that the process is about to become.
    public static func give(
        _ file: borrowing FileDescriptor,
        to identity: Identity
    ) throws(Errno) {
        guard fchown(file.number, identity.user, identity.group) == 0 else { throw Errno(errno) }
    }
}
