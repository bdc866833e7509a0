import CLinux
import Glibc

/// A Unix socket with a path whose connections keep the bounds of messages (SOCK_SEQPACKET).
///
/// What is sent and received on them: `DescriptorPassing`.
public final class MessageListener: Sendable {
    public let path: String
    private let descriptor: FileDescriptor
    /// Device and inode of the socket's file.
    private let file: FileVersion

    /// Connections that wait to be accepted.
    private static let backlog: Int32 = 8

    /// Listens at a path, in the place of a socket that is there already, in one step: there is no
    /// moment without one.
    ///
    /// - Parameters:
    ///   - mode: of the socket's file.
    ///   - replacing: false throws EADDRINUSE when somebody listens there.
    public init(path: String, mode: UInt32, replacing: Bool) throws(Errno) {
        if !replacing, Self.isAlive(path) { throw .addressInUse }
        let new = path + ".\(Process.id)"
        guard var address = SocketAddress(unixPath: new) else { throw Errno(ENAMETOOLONG) }
        let made = Int(clinux_socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue)))
        descriptor = FileDescriptor(owning: Int32(try Errno.check(made)))
        File.remove(new)
        // Before the bind: the file never has a wider mode.
        guard fchmod(descriptor.number, mode) == 0 else { throw Errno(errno) }
        _ = try Errno.check(
            Int(clinux_bind(descriptor.number, &address.storage, address.length))
        )
        guard chmod(new, mode) == 0, let file = FileVersion(new),
            clinux_listen(descriptor.number, Self.backlog) >= 0, rename(new, path) == 0
        else {
            let error = Errno(errno)
            File.remove(new)
            throw error
        }
        self.file = file
        self.path = path
    }

    /// Readable when somebody has connected.
    public var number: Int32 { descriptor.number }

    /// The next connection, which does not block; nil when there is none.
    public func accept() -> SharedDescriptor? {
        var peer = SocketAddress()
        let accepted = Socket.accept(descriptor.number, from: &peer)
        guard accepted >= 0 else { return nil }
        return SharedDescriptor(FileDescriptor(owning: Int32(accepted)))
    }

    /// Removes the socket's file, unless another process has put its own there.
    public func remove() {
        guard let now = FileVersion(path), now.device == file.device, now.inode == file.inode
        else { return }
        File.remove(path)
    }

    /// Connects to such a socket; the connection does not block.
    public static func connect(path: String) throws(Errno) -> SharedDescriptor {
        guard var address = SocketAddress(unixPath: path) else { throw Errno(ENAMETOOLONG) }
        let made = Int(clinux_socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue)))
        let descriptor = FileDescriptor(owning: Int32(try Errno.check(made)))
        _ = try Errno.check(
            Int(clinux_connect(descriptor.number, &address.storage, address.length))
        )
        return SharedDescriptor(descriptor)
    }

    private static func isAlive(_ path: String) -> Bool {
        guard File.exists(path) else { return false }
        do {
            _ = try connect(path: path)
            return true
        } catch {
            // A file that nobody listens on; anything else is left for `rename` to judge.
            return error.code != ECONNREFUSED
        }
    }
}
