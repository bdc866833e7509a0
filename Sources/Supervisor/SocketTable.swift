internal import Sys

/// The listening sockets that the supervisor keeps over the lives of serving processes.
struct SocketTable {
    /// The sockets of one address.
    struct Entry {
        var key: SocketKey
        /// With the port that was taken for port 0.
        var address: SocketAddress
        var sockets: [SharedDescriptor]
        /// Another process made them, so that none can be bound beside them: its user may be
        /// another one, or they do not share their port.
        var isInherited = false
        /// The file of a Unix socket is removed with the socket.
        var ownsFile = true
        /// How many each process was given.
        var users: [Lifecycle.ID: Int] = [:]
    }

    /// Addresses at a time: those of two manifests.
    private static let entriesMax = 2 * ServingMessage.socketsMax

    var entries: [Entry] = []

    // MARK: Giving

    /// The answer to a process that wants to listen: messages to send in this order.
    ///
    /// It gets all sockets of the address, which may be more than it asked for: to close one would
    /// drop the connections in its queue.
    mutating func answer(
        _ order: ListenOrder,
        _ id: Int,
        for process: Lifecycle.ID
    ) -> [SupervisorMessage] {
        do throws(Errno) {
            let place = try place(of: order)
            entries[place].users[process] = entries[place].sockets.count
            return Self.messages(entries[place], id)
        } catch {
            let hint = error == .addressInUse ? " (who has it: ss -ltnp)" : ""
            return [.failed(id: id, problem: error.description + hint)]
        }
    }

    private static func messages(_ entry: Entry, _ id: Int) -> [SupervisorMessage] {
        let most = DescriptorPassing.descriptorsMax
        return stride(from: 0, to: entry.sockets.count, by: most).map { start in
            let end = min(start + most, entry.sockets.count)
            return .sockets(
                id: id,
                address: entry.address.text,
                Array(entry.sockets[start..<end]),
                isLast: end == entry.sockets.count
            )
        }
    }

    private mutating func place(of order: ListenOrder) throws(Errno) -> Int {
        var options = Socket.ListenOptions()
        options.keepaliveSeconds = Int32(order.keepaliveSeconds)
        options.unixMode = UInt32(order.mode)
        if let place = entries.firstIndex(where: { $0.key == order.key }) {
            let address = entries[place].address
            guard !address.isUnix else { return place }
            for socket in entries[place].sockets {
                try Socket.setKeepalive(socket.number, seconds: options.keepaliveSeconds)
            }
            let missing =
                entries[place].isInherited ? 0 : order.count - entries[place].sockets.count
            entries[place].sockets += try Self.bind(address, options, max(missing, 0))
            return place
        }
        guard let wanted = SocketAddress(order.key.address), entries.count < Self.entriesMax else {
            throw .outOfMemory
        }
        var address = wanted
        if !wanted.isUnix {
            address = try Socket.freeAddress(wanted, options)
        }
        let count = wanted.isUnix ? 1 : order.count
        let sockets = try Self.bind(address, options, count)
        entries.append(Entry(key: order.key, address: address, sockets: sockets))
        return entries.count - 1
    }

    /// Sockets that are bound and do not listen yet: the process that gets them has them listen
    /// when it is about to serve, so that no connection waits in the queue of one that fails.
    private static func bind(
        _ address: SocketAddress,
        _ options: Socket.ListenOptions,
        _ count: Int
    ) throws(Errno) -> [SharedDescriptor] {
        var sockets: [SharedDescriptor] = []
        for _ in 0..<count {
            sockets.append(SharedDescriptor(try Socket.bind(address, options)))
        }
        return sockets
    }

    // MARK: Taking over

    /// Takes sockets that another process made, and may still listen on.
    mutating func inherit(_ sockets: [InheritedSocket]) {
        for socket in sockets {
            let key = SocketKey(address: socket.address.text, occurrence: 0)
            if let place = entries.firstIndex(where: { $0.key == key }) {
                entries[place].sockets.append(socket.descriptor)
            } else {
                var entry = Entry(key: key, address: socket.address, sockets: [socket.descriptor])
                entry.isInherited = true
                entry.ownsFile = false
                entries.append(entry)
            }
        }
    }

    /// Nobody else listens any more on what was inherited.
    mutating func ownFiles() {
        for place in entries.indices { entries[place].ownsFile = true }
    }

    /// All sockets, for a process that takes over.
    var all: [SharedDescriptor] { entries.flatMap(\.sockets) }

    /// Lets another process have the sockets, and their files.
    mutating func giveAway() { entries = [] }

    // MARK: Taking back

    /// A process listens on these only, from now on.
    mutating func keep(_ keys: [SocketKey], for process: Lifecycle.ID) {
        for place in entries.indices where !keys.contains(entries[place].key) {
            entries[place].users[process] = nil
        }
    }

    /// Closes what none of these processes uses.
    ///
    /// - Returns: addresses whose sockets another process made for nothing.
    mutating func keepOnly(for processes: [Lifecycle.ID]) -> [String] {
        for place in entries.indices {
            entries[place].users = entries[place].users.filter { processes.contains($0.key) }
            let used = entries[place].users.values.max() ?? 0
            // Those at the end were made for a process that has failed, and never listened.
            entries[place].sockets.removeLast(max(0, entries[place].sockets.count - used))
            if used == 0 { removeFile(entries[place]) }
        }
        let unused = entries.filter { $0.sockets.isEmpty && $0.isInherited }
        entries.removeAll { $0.sockets.isEmpty }
        return unused.map(\.address.text)
    }

    mutating func closeAll() {
        for entry in entries { removeFile(entry) }
        entries = []
    }

    private func removeFile(_ entry: Entry) {
        guard entry.address.isUnix, entry.ownsFile else { return }
        File.remove(String(entry.address.text.dropFirst("unix:".count)))
    }
}
