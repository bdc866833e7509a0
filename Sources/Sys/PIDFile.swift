import CLinux
import Glibc

/// A file with the number of the running process in it, which is locked as long as that process
/// lives.
///
/// The lock, not the number, says whether somebody runs: a process that was killed leaves the
/// number behind, and the number may be another program's by now.
public struct PIDFile: ~Copyable, Sendable {
    public let path: String
    private let descriptor: FileDescriptor

    /// Why there is none.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// Another process has it; its number, when it can be read.
        case taken(Int32?)
        case failed(Errno)

        public var description: String {
            switch self {
            case .taken(let process?): "another sluice runs, as process \(process)"
            case .taken: "another sluice runs"
            case .failed(let error): "can't be made: \(error)"
            }
        }
    }

    /// Bytes that are read of a file that is there.
    private static let bytesMax = 64
    /// Other processes may come and go while the file is taken; after so many it is an error.
    private static let attemptsMax = 16

    /// Takes the file for this process, in the place of one that nobody holds.
    ///
    /// The file appears with the number in it, at once: whoever reads it never sees half of it.
    public static func take(_ path: String) throws(Failure) -> PIDFile {
        let new = path + ".\(Process.id)"
        defer { File.remove(new) }
        let descriptor: FileDescriptor
        do throws(Errno) {
            descriptor = try make(new)
        } catch {
            throw .failed(error)
        }
        try put(new, at: path)
        return PIDFile(path, adopting: descriptor.release())
    }

    /// The file of this same process from before its `execve`.
    ///
    /// - Parameter descriptor: `number` of it; from now on this file's.
    public init(_ path: String, adopting descriptor: Int32) {
        self.path = path
        self.descriptor = FileDescriptor(owning: descriptor)
    }

    /// The open file, whose lock goes with it.
    public var number: Int32 { descriptor.number }

    /// A file with the number of this process and its lock.
    private static func make(_ path: String) throws(Errno) -> FileDescriptor {
        File.remove(path)
        try File.writeNew(path, Array("\(Process.id)\n".utf8), mode: 0o644)
        let opened = try Errno.check(Int(clinux_open_update(path)))
        let descriptor = FileDescriptor(owning: Int32(opened))
        // Whatever the umask says, those who ask for the number may read it.
        guard fchmod(descriptor.number, 0o644) == 0 else { throw Errno(errno) }
        _ = try Errno.check(Int(clinux_lock(descriptor.number)))
        return descriptor
    }

    private static func put(_ new: String, at path: String) throws(Failure) {
        for _ in 0..<attemptsMax {
            // Nobody's name: a link, unlike a rename, fails when somebody was faster.
            if link(new, path) == 0 { return }
            guard errno == EEXIST else { throw .failed(Errno(errno)) }
            let opened = Int(clinux_open_update(path))
            if opened == -Int(ENOENT) { continue }
            guard opened >= 0 else { throw .failed(Errno(Int32(truncatingIfNeeded: -opened))) }
            let old = FileDescriptor(owning: Int32(opened))
            guard clinux_lock(old.number) >= 0 else { throw .taken(read(old.number)) }
            // While this lock is held nobody else replaces the file, if it still is that file.
            guard clinux_is_same_file(path, old.number) != 0 else { continue }
            guard rename(new, path) == 0 else { throw .failed(Errno(errno)) }
            return
        }
        throw .failed(Errno(EBUSY))
    }

    private static func read(_ fd: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        let count = Int(clinux_read_at(fd, &bytes, bytes.count, 0))
        guard count > 0 else { return nil }
        let digits = bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }
        return Int32(String(decoding: digits, as: UTF8.self))
    }

    /// Gives the file to the user that the process is about to become.
    public func give(to identity: Identity) throws(Errno) {
        guard fchown(descriptor.number, identity.user, identity.group) == 0 else {
            throw Errno(errno)
        }
    }

    /// Removes the file, or empties it where its folder is another user's; at the end of the
    /// process.
    public consuming func remove() {
        guard clinux_is_same_file(path, descriptor.number) != 0 else { return }
        if unlink(path) != 0 { _ = ftruncate(descriptor.number, 0) }
    }
}
