internal import Proxy
internal import Sys

/// The sockets that listen on one address, for all workers.
struct ListenerSockets: Sendable {
    /// As bound: port 0 has become a real one.
    var address: SocketAddress
    /// One for each worker, or more: worker k of n watches those whose place divided by n leaves k.
    var descriptors: [Int32]

    /// Removes the file of a Unix socket.
    func removeFile() {
        guard address.isUnix else { return }
        File.remove(String(address.text.dropFirst("unix:".count)))
    }
}

/// Where a serving process gets its listening sockets from.
protocol ListenerSource: Sendable {
    /// Sockets that listen on an address, as the listener's settings want them.
    ///
    /// - Parameters:
    ///   - address: the listener's, resolved.
    ///   - count: sockets that there must be at least; of a Unix socket they are one and the same.
    func open(
        _ listener: ListenerSettings,
        _ address: SocketAddress,
        count: Int
    ) throws(ListenerFailure) -> ListenerSockets

    /// Says which addresses are still listened on, and which no more. Descriptors that `open` gave
    /// out are their taker's to close.
    func settle(keeping kept: [ListenerSockets], dropping dropped: [ListenerSockets])
}

/// Why an address can't be listened on, in words that follow "listeners[2].listen: ADDRESS: ".
struct ListenerFailure: Error {
    var reason: String

    init(_ reason: String) { self.reason = reason }
}

/// Sockets that the process binds itself.
struct OwnListeners: ListenerSource {
    func open(
        _ listener: ListenerSettings,
        _ address: SocketAddress,
        count: Int
    ) throws(ListenerFailure) -> ListenerSockets {
        do throws(Errno) {
            return try Self.listen(listener, address, count: count)
        } catch {
            throw ListenerFailure(
                error.description + (error == .addressInUse ? " (who has it: ss -ltnp)" : "")
            )
        }
    }

    func settle(keeping kept: [ListenerSockets], dropping dropped: [ListenerSockets]) {
        for sockets in dropped { sockets.removeFile() }
    }

    private static func listen(
        _ listener: ListenerSettings,
        _ address: SocketAddress,
        count: Int
    ) throws(Errno) -> ListenerSockets {
        var options = Socket.ListenOptions()
        options.backlog = Int32(listener.backlog)
        options.keepaliveSeconds = Int32(listener.tcpKeepaliveSeconds)
        options.unixMode = listener.unixMode
        var sockets = ListenerSockets(address: address, descriptors: [])
        if address.isUnix {
            let first = try Socket.listen(address, options)
            for _ in 1..<max(count, 1) {
                sockets.descriptors.append(try Socket.duplicate(first.number))
            }
            sockets.descriptors.append(first.release())
            return sockets
        }
        sockets.address = try Socket.freeAddress(address, options)
        do throws(Errno) {
            for _ in 0..<count {
                sockets.descriptors.append(try Socket.listen(sockets.address, options).release())
            }
        } catch {
            for fd in sockets.descriptors { Syscall.close(fd) }
            throw error
        }
        return sockets
    }
}
