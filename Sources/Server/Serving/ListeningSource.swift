internal import Proxy
internal import Supervisor
internal import Sys

/// Where listening sockets come from: this process itself, or the supervisor, which keeps them.
struct ListeningSource: Sendable {
    /// Why there are no sockets for an address, in words that follow on its name.
    struct Failure: Error {
        var reason: String
    }

    /// What was bound.
    struct Bound {
        /// In the order of the listeners.
        var addresses: [SocketAddress] = []
        /// By worker.
        var sockets: [[ListeningSocket]] = []

        func close() {
            for socket in sockets.joined() { Syscall.close(socket.descriptor) }
        }
    }

    /// The address as bound, and its sockets: for TCP at least as many as workers, for a Unix
    /// address one.
    private let bind:
        @Sendable (ListenerSettings, SocketAddress, _ occurrence: Int, _ workerCount: Int)
            throws(Failure) -> (SocketAddress, [Int32])

    /// This process binds.
    static let own = ListeningSource { listener, address, _, count throws(Failure) in
        do throws(Errno) {
            return try bind(listener, address, count: count)
        } catch {
            throw Failure(
                reason: error.description
                    + (error == .addressInUse ? " (who has it: ss -ltnp)" : "")
            )
        }
    }

    /// The supervisor binds, and keeps the sockets over the lives of serving processes.
    static func supervised(_ link: SupervisorLink) -> ListeningSource {
        ListeningSource { listener, address, occurrence, count throws(Failure) in
            do throws(SupervisorLink.Failure) {
                let key = SocketKey(address: address.text, occurrence: occurrence)
                let (bound, descriptors) = try link.sockets(
                    ListenOrder(
                        key: key,
                        keepaliveSeconds: listener.tcpKeepaliveSeconds,
                        mode: Int(listener.unixMode),
                        count: address.isUnix ? 1 : count
                    )
                )
                return (bound, descriptors)
            } catch {
                throw Failure(reason: error.reason)
            }
        }
    }

    /// Sockets for all listeners; what can't be bound is a problem, and closes the others.
    func bind(
        _ settings: ProxySettings,
        _ addresses: [SocketAddress],
        workerCount: Int,
        _ problems: inout [String]
    ) -> Bound {
        var bound = Bound()
        bound.sockets = Array(repeating: [], count: workerCount)
        var occurrences: [String: Int] = [:]
        for (index, listener) in settings.listeners.enumerated() {
            let occurrence = occurrences[addresses[index].text, default: 0]
            occurrences[addresses[index].text] = occurrence + 1
            do throws(Failure) {
                let (address, descriptors) = try bind(
                    listener,
                    addresses[index],
                    occurrence,
                    workerCount
                )
                bound.addresses.append(address)
                try bound.share(descriptors, listener: index, backlog: listener.backlog)
            } catch {
                problems.append("listeners[\(index)].listen: \(listener.address): \(error.reason)")
            }
        }
        return bound
    }

    /// A listening socket for each worker; of a Unix address, one.
    private static func bind(
        _ listener: ListenerSettings,
        _ address: SocketAddress,
        count: Int
    ) throws(Errno) -> (SocketAddress, [Int32]) {
        var options = Socket.ListenOptions()
        options.keepaliveSeconds = Int32(listener.tcpKeepaliveSeconds)
        options.unixMode = listener.unixMode
        if address.isUnix { return (address, [try Socket.bind(address, options).release()]) }
        let bound = try Socket.freeAddress(address, options)
        var descriptors: [Int32] = []
        do throws(Errno) {
            for _ in 0..<count {
                descriptors.append(try Socket.bind(bound, options).release())
            }
        } catch {
            for fd in descriptors { Syscall.close(fd) }
            throw error
        }
        return (bound, descriptors)
    }
}

extension ListeningSource.Bound {
    /// Begins to listen, and gives each worker its share.
    ///
    /// With more sockets than workers, as after a change of their number, a worker has several: no
    /// socket may be left out, because the kernel spreads new connections over all of them.
    fileprivate mutating func share(
        _ descriptors: [Int32],
        listener: Int,
        backlog: Int
    ) throws(ListeningSource.Failure) {
        do throws(Errno) {
            for fd in descriptors { try Socket.listen(fd, backlog: Int32(backlog)) }
            let workers = sockets.count
            // As the one socket of a Unix address, or what a service manager made.
            let isShared = descriptors.count < workers
            for (place, fd) in descriptors.enumerated() {
                sockets[place % workers].append(
                    ListeningSocket(descriptor: fd, listener: listener, isShared: isShared)
                )
            }
            for worker in stride(from: descriptors.count, to: workers, by: 1) {
                let copy = try Socket.duplicate(descriptors[worker % descriptors.count])
                sockets[worker].append(
                    ListeningSocket(descriptor: copy, listener: listener, isShared: true)
                )
            }
        } catch {
            throw ListeningSource.Failure(reason: error.description)
        }
    }
}
