import CLinux
import Glibc

/// A listening socket that another process made: a service manager, or the proxy before this one.
public struct InheritedSocket: Sendable {
    public let descriptor: SharedDescriptor
    /// What it is bound to.
    public let address: SocketAddress

    init(_ descriptor: SharedDescriptor, _ address: SocketAddress) {
        self.descriptor = descriptor
        self.address = address
    }

    /// Takes a descriptor if it is a listening socket.
    public init(_ descriptor: SharedDescriptor) throws(Problem) {
        address = try Self.address(of: descriptor.number)
        self.descriptor = descriptor
    }

    /// Why a descriptor can't be used.
    public enum Problem: Error, Equatable, Sendable, CustomStringConvertible {
        case notOpen
        case notSocket
        case notStream
        case notListening
        /// Neither IPv4, IPv6 nor a Unix socket with a path.
        case otherFamily
        case failed(Errno)

        public var description: String {
            switch self {
            case .notOpen: "is not open"
            case .notSocket: "is no socket"
            case .notStream: "is no stream socket"
            case .notListening: "does not listen"
            case .otherFamily: "is neither IPv4, IPv6 nor a Unix socket with a path"
            case .failed(let error): error.description
            }
        }
    }

    /// What a listening socket is bound to.
    ///
    /// From now on it does not block and is closed by an `execve`. Whoever owns it still does.
    public static func address(of number: Int32) throws(Problem) -> SocketAddress {
        let result = Int(clinux_set_inherited(number, 0))
        if result == -Int(EBADF) { throw .notOpen }
        return try check(number)
    }

    private static func check(_ number: Int32) throws(Problem) -> SocketAddress {
        let kind = Int(clinux_get_option(number, SOL_SOCKET, SO_TYPE))
        if kind == -Int(ENOTSOCK) { throw .notSocket }
        guard kind == Int(SOCK_STREAM.rawValue) else { throw .notStream }
        guard clinux_get_option(number, SOL_SOCKET, SO_ACCEPTCONN) == 1 else {
            throw .notListening
        }
        do throws(Errno) {
            _ = try Errno.check(Int(clinux_set_nonblocking(number)))
            let address = try Socket.localAddress(number)
            let isNamed = address.isUnix && address.text.utf8.count > "unix:".utf8.count
            if isNamed { return address }
            if address.family == AF_INET || address.family == AF_INET6 {
                // Connections inherit it, as from those that are made here.
                let result = clinux_set_option(number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
                _ = try Errno.check(Int(result))
                return address
            }
        } catch {
            throw .failed(error)
        }
        throw .otherFamily
    }
}

extension InheritedSocket {
    /// Takes over what `environment` announces.
    ///
    /// - Returns: listening sockets with their addresses; and a line for each descriptor that
    ///   can't be used, which is closed.
    public static func take(
        _ environment: ServiceEnvironment
    ) -> (sockets: [InheritedSocket], problems: [String]) {
        var sockets: [InheritedSocket] = []
        var problems: [String] = []
        for index in 0..<environment.socketCount {
            let number = ServiceEnvironment.firstSocket + Int32(index)
            do throws(InheritedSocket.Problem) {
                let address = try InheritedSocket.address(of: number)
                let descriptor = SharedDescriptor(FileDescriptor(owning: number))
                sockets.append(InheritedSocket(descriptor, address))
            } catch {
                if error != .notOpen { Syscall.close(number) }
                let name =
                    environment.socketNames.isEmpty ? "" : " (\(environment.socketNames[index]))"
                problems.append("socket activation: descriptor \(number)\(name) \(error)")
            }
        }
        return (sockets, problems)
    }
}
