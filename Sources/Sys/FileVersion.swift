import CLinux

/// What tells one version of a file from another without reading it.
public struct FileVersion: Sendable, Equatable {
    public let device: UInt64
    public let inode: UInt64
    /// Bytes.
    public let size: UInt64
    /// Of the last write, in nanoseconds since the epoch.
    public let changed: UInt64
    /// Kind and permissions, as in `stat`.
    public let mode: UInt32
    /// Number of the user that it belongs to.
    public let owner: UInt32
    /// Number of the group that it belongs to.
    public let group: UInt32

    /// The version that is there now; nil when there is none, or it can't be looked at.
    ///
    /// - Parameter followsLinks: false tells of a symbolic link itself.
    public init?(_ path: String, followsLinks: Bool = true) {
        var version = clinux_file_version()
        guard clinux_get_file_version(path, followsLinks ? 1 : 0, &version) == 0 else {
            return nil
        }
        self.init(version)
    }

    /// That of a file that is open.
    init(descriptor: Int32) throws(Errno) {
        var version = clinux_file_version()
        _ = try Errno.check(Int(clinux_get_open_file_version(descriptor, &version)))
        self.init(version)
    }

    private init(_ version: clinux_file_version) {
        device = version.device
        inode = version.inode
        size = version.size
        changed = version.changed_nanoseconds
        mode = version.mode
        owner = version.owner
        group = version.group
    }

    /// What it is of the kinds that a path is made of.
    public enum Kind: Sendable {
        case folder
        case link
        case other
    }

    public var kind: Kind {
        // The bits of `S_IFMT`, then `S_IFDIR` and `S_IFLNK`.
        switch mode & 0o170_000 {
        case 0o040_000: .folder
        case 0o120_000: .link
        default: .other
        }
    }

    /// Whether users that are neither the owner nor of its group may read the file.
    public var isReadableByOthers: Bool { mode & 0o004 != 0 }

    /// Whether anybody but the owner, and root, may read, write or run the file.
    public var isOpenToOthers: Bool { mode & 0o077 != 0 }

    /// Whether users that are neither the owner nor of its group may write the file.
    public var isWritableByOthers: Bool { mode & 0o002 != 0 }
}

/// A file that only grows.
public struct AppendedFile: ~Copyable, Sendable {
    private let descriptor: FileDescriptor

    /// Opens the file, and makes it with this mode when it is not there.
    ///
    /// - Throws: what `open` said; ELOOP when the path ends in a symbolic link.
    public init(_ path: String, mode: UInt32) throws(Errno) {
        let number = try Errno.check(Int(clinux_open_append(path, mode)))
        descriptor = FileDescriptor(owning: Int32(number))
    }

    /// Adds bytes with one call, so that lines of several threads do not mix; what can't be written
    /// is lost.
    public func append(_ bytes: [UInt8]) {
        _ = clinux_write(descriptor.number, bytes, bytes.count)
    }
}
