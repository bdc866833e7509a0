internal import Proxy
internal import Supervisor
internal import Synchronization
internal import Sys

/// Sockets that the supervisor binds, and keeps over the lives of serving processes.
final class SupervisedListeners: ListenerSource {
    private let link: SupervisorLink
    /// What this process uses, by one of its descriptors.
    private let keys = Mutex<[Int32: SocketKey]>([:])

    init(_ link: SupervisorLink) {
        self.link = link
    }

    func open(
        _ listener: ListenerSettings,
        _ address: SocketAddress,
        count: Int
    ) throws(ListenerFailure) -> ListenerSockets {
        let key = newKey(address.text)
        let order = ListenOrder(
            key: key,
            keepaliveSeconds: listener.tcpKeepaliveSeconds,
            mode: Int(listener.unixMode),
            count: address.isUnix ? 1 : count
        )
        var sockets: ListenerSockets
        do throws(SupervisorLink.Failure) {
            let (bound, descriptors) = try link.sockets(order)
            sockets = ListenerSockets(address: bound, descriptors: descriptors)
        } catch {
            throw ListenerFailure(error.reason)
        }
        do throws(Errno) {
            for fd in sockets.descriptors {
                try Socket.listen(fd, backlog: Int32(listener.backlog))
            }
            // Workers share the one socket of a Unix address, and those that were inherited.
            let made = sockets.descriptors.count
            for place in stride(from: made, to: count, by: 1) {
                sockets.descriptors.append(try Socket.duplicate(sockets.descriptors[place % made]))
            }
        } catch {
            for fd in sockets.descriptors { Syscall.close(fd) }
            throw ListenerFailure(error.description)
        }
        if let first = sockets.descriptors.first { keys.withLock { $0[first] = key } }
        return sockets
    }

    /// A key that this process does not use: several listeners may ask for port 0.
    private func newKey(_ address: String) -> SocketKey {
        let used = keys.withLock { Set($0.values) }
        var key = SocketKey(address: address, occurrence: 0)
        while used.contains(key) { key.occurrence += 1 }
        return key
    }

    func settle(keeping kept: [ListenerSockets], dropping dropped: [ListenerSockets]) {
        let left = keys.withLock { keys in
            for sockets in dropped {
                if let first = sockets.descriptors.first { keys[first] = nil }
            }
            return Array(keys.values)
        }
        // A process that ends keeps nothing, and says nothing: others may use the same addresses.
        guard !kept.isEmpty else { return }
        try? link.keep(left)
    }
}
