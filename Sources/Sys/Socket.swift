import CLinux
import Glibc

/// A descriptor that closes itself.
///
/// Connections of a worker are bare numbers in slabs instead.
public struct FileDescriptor: ~Copyable, Sendable {
    public let number: Int32

    public init(owning number: Int32) {
        precondition(number >= 0, "descriptor \(number)")
        self.number = number
    }

    deinit { Syscall.close(number) }

    /// Gives the number away; the caller closes it.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }
}

/// Making sockets.
public enum Socket {
    /// Options of a listening socket.
    public struct ListenOptions: Sendable {
        public var backlog: Int32 = 4_096
        /// Each worker has a socket of its own on the same port; not for Unix sockets.
        public var reusePort = true
        /// Seconds of silence before TCP probes begin; 0 is off.
        public var keepaliveSeconds: Int32 = 60
        /// Mode of a Unix socket's file.
        public var unixMode: UInt32 = 0o660

        public init() {}
    }

    /// A bound and listening socket.
    ///
    /// - Throws: what `socket`, `bind` or `listen` said.
    public static func listen(
        _ address: SocketAddress,
        _ options: ListenOptions
    ) throws(Errno) -> FileDescriptor {
        let fd = try bind(address, options)
        try listen(fd.number, backlog: options.backlog)
        return fd
    }

    /// Takes connections from now on; one that does so already gets another backlog.
    public static func listen(_ fd: Int32, backlog: Int32) throws(Errno) {
        _ = try Errno.check(Int(clinux_listen(fd, backlog)))
    }

    /// A bound socket, which refuses connections until it listens.
    ///
    /// Connections inherit TCP_NODELAY and keep-alive from it, which saves a call per connection.
    ///
    /// - Throws: what `socket` or `bind` said.
    public static func bind(
        _ address: SocketAddress,
        _ options: ListenOptions
    ) throws(Errno) -> FileDescriptor {
        let fd = try FileDescriptor(
            owning: Int32(
                Errno.check(Int(clinux_socket(address.family, Int32(SOCK_STREAM.rawValue))))
            )
        )
        var address = address
        if !address.isUnix {
            _ = try set(fd.number, SOL_SOCKET, SO_REUSEADDR, 1)
            if options.reusePort { _ = try set(fd.number, SOL_SOCKET, SO_REUSEPORT, 1) }
            if address.family == AF_INET6 {
                _ = try set(fd.number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0)
            }
            _ = try set(fd.number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            if options.keepaliveSeconds > 0 {
                try setKeepalive(fd.number, seconds: options.keepaliveSeconds)
            }
            _ = try Errno.check(Int(clinux_bind(fd.number, &address.storage, address.length)))
        } else {
            try bindUnix(fd.number, &address, mode: options.unixMode)
        }
        return fd
    }

    /// Has connections that are accepted from now on probed after so many seconds of silence; 0 has
    /// them not probed.
    public static func setKeepalive(_ fd: Int32, seconds: Int32) throws(Errno) {
        _ = try set(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0 ? 1 : 0)
        if seconds > 0 { _ = try set(fd, Int32(IPPROTO_TCP), TCP_KEEPIDLE, seconds) }
    }

    /// Binds a Unix socket.
    ///
    /// A file left behind by a process that is gone is replaced; one that somebody still listens on
    /// is not.
    private static func bindUnix(
        _ fd: Int32,
        _ address: inout SocketAddress,
        mode: UInt32
    ) throws(Errno) {
        // The file is made with the mode of the socket, less the umask, so it is never open wider
        // than asked, and the umask, which other threads share, is left alone.
        guard fchmod(fd, mode) == 0 else { throw Errno(errno) }
        var result = Int(clinux_bind(fd, &address.storage, address.length))
        if result == -Int(EADDRINUSE), isAbandoned(address) {
            _ = unlink(String(address.text.dropFirst("unix:".count)))
            result = Int(clinux_bind(fd, &address.storage, address.length))
        }
        _ = try Errno.check(result)
        let path = String(address.text.dropFirst("unix:".count))
        guard chmod(path, mode) == 0 else { throw Errno(errno) }
    }

    /// Another descriptor of the same socket; the caller closes it.
    public static func duplicate(_ fd: Int32) throws(Errno) -> Int32 {
        Int32(try Errno.check(Int(clinux_duplicate(fd))))
    }

    /// A TCP address that nobody listens on, with a port of its own for port 0.
    ///
    /// Another process of this user could share the port by SO_REUSEPORT without anybody noticing;
    /// a socket without that option finds out.
    ///
    /// - Throws: EADDRINUSE, or what else `socket`, `bind` and `listen` said.
    public static func freeAddress(
        _ address: SocketAddress,
        _ options: ListenOptions
    ) throws(Errno) -> SocketAddress {
        var probe = options
        probe.reusePort = false
        let socket = try listen(address, probe)
        return try localAddress(socket.number)
    }

    /// Whether the file is a socket that nobody listens on.
    ///
    /// Connecting to a file that is no socket is refused too, and a listener with a full queue says
    /// EAGAIN.
    private static func isAbandoned(_ address: SocketAddress) -> Bool {
        let mode = clinux_file_mode(String(address.text.dropFirst("unix:".count)))
        guard mode >= 0, UInt32(mode) & S_IFMT == S_IFSOCK else { return false }
        do {
            Syscall.close(try connect(address).descriptor)
            return false
        } catch {
            return error.code == ECONNREFUSED
        }
    }

    private static func set(
        _ fd: Int32,
        _ level: Int32,
        _ option: Int32,
        _ value: Int32
    ) throws(Errno) -> Int {
        try Errno.check(Int(clinux_set_option(fd, level, option, value)))
    }

    /// Begins a connection.
    ///
    /// The caller closes the descriptor.
    ///
    /// - Returns: the descriptor, and whether the connection already stands.
    /// - Throws: what `socket` or `connect` said, but for "in progress".
    public static func connect(
        _ address: borrowing SocketAddress
    ) throws(Errno) -> (descriptor: Int32, established: Bool) {
        let number = Int32(
            try Errno.check(Int(clinux_socket(address.family, Int32(SOCK_STREAM.rawValue))))
        )
        if !address.isUnix {
            _ = clinux_set_option(number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        }
        var copy = copy address
        let result = Int(clinux_connect(number, &copy.storage, copy.length))
        if result >= 0 { return (number, true) }
        if result == Syscall.inProgress { return (number, false) }
        Syscall.close(number)
        throw Errno(Int32(truncatingIfNeeded: -result))
    }

    /// Two ends of a connection within the process; the caller closes both.
    public static func pair() throws(Errno) -> (Int32, Int32) {
        var ends: (Int32, Int32) = (0, 0)
        let result = withUnsafeMutablePointer(to: &ends) { ends in
            // Safe: a pair of 32-bit words is laid out as an array of two.
            ends.withMemoryRebound(to: Int32.self, capacity: 2) { Int(clinux_socket_pair($0)) }
        }
        _ = try Errno.check(result)
        return ends
    }

    /// The address that a socket is bound to.
    public static func localAddress(_ fd: Int32) throws(Errno) -> SocketAddress {
        var address = SocketAddress()
        _ = try Errno.check(Int(clinux_local_address(fd, &address.storage, &address.length)))
        return address
    }

    /// Takes one connection off a listener's queue; the result is a descriptor or a negated errno.
    @inline(__always)
    public static func accept(_ fd: Int32, from peer: inout SocketAddress) -> Int {
        Int(clinux_accept(fd, &peer.storage, &peer.length))
    }
}
