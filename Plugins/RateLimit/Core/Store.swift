internal import CRateLimit

/// Where a store is and how it is used.
public struct StoreSettings {
    /// An address without brackets; a path with `isUnix`.
    public var host: String
    /// 1 to 65,535; 0 of a Unix socket.
    public var port: UInt16
    /// Whether `host` is the path of a socket.
    public var isUnix: Bool
    /// Empty for none.
    public var user: [UInt8] = []
    /// A secret, which goes to the store and nowhere else; empty for none.
    public var password: [UInt8] = []
    /// Number of the database.
    public var database = 0
    /// For a connection, and for each batch, in nanoseconds.
    public var timeoutNanoseconds: UInt64 = 250_000_000

    /// A place, and the usual ways.
    public init(host: String, port: UInt16, isUnix: Bool) {
        self.host = host
        self.port = port
        self.isUnix = isUnix
    }
}

/// Why the store did not do what it should: one line, without a secret.
public struct StoreFailure: Error, Equatable {
    /// What the store does, as in "has closed the connection".
    public let line: String
}

/// A connection to a Redis server, or one that speaks as it does (Valkey), for blocking threads.
///
/// One thread at a time. Every call ends within the time of the settings.
public final class Store {
    /// Commands that are sent at once.
    public static let batchMax = 256
    private static let receiveBytes = 65_536

    private var settings: StoreSettings
    private var socket: Int32 = -1
    private var batch = StoreBatch()
    private var received: [UInt8] = []

    /// Connects when it is first used.
    public init(_ settings: StoreSettings) { self.settings = settings }

    deinit {
        disconnect()
        settings.password.withUnsafeMutableBytes { bytes in
            if let start = bytes.baseAddress { ratelimit_wipe(start, bytes.count) }
        }
    }

    /// Whether there is a connection.
    public var isConnected: Bool { socket >= 0 }

    /// Ends the connection, if there is one.
    public func disconnect() {
        guard socket >= 0 else { return }
        ratelimit_close(socket)
        socket = -1
    }

    /// Tells the store what has been let in here, and notes what it says of all machines.
    ///
    /// - Parameters:
    ///   - table: whose keys they are.
    ///   - changes: up to `batchMax`.
    ///   - prefix: what the names of the table's counters begin with.
    ///   - lifeMilliseconds: after which the store forgets a counter.
    /// - Throws: why it failed; there is no connection then, and the changes that were not settled
    ///   will be found again.
    public func push(
        _ table: KeyTable,
        _ changes: [KeyTable.Change],
        prefix: [UInt8],
        lifeMilliseconds: Int64
    ) throws(StoreFailure) {
        precondition(changes.count <= Store.batchMax, "\(changes.count) changes")
        try connect()
        batch.clear()
        prefix.withUnsafeBytes { prefix in
            for change in changes {
                batch.begin(words: 3)
                batch.word("INCRBY")
                batch.word(prefix: prefix, key: change.key, epoch: change.epoch)
                batch.word(decimal: change.amount)
                guard change.isFirst else { continue }
                batch.begin(words: 3)
                batch.word("PEXPIRE")
                batch.word(prefix: prefix, key: change.key, epoch: change.epoch)
                batch.word(decimal: lifeMilliseconds)
            }
        }
        var index = 0
        var isExpiry = false
        try exchange { (reply) throws(StoreFailure) in
            let change = changes[index]
            guard case .integer(let number) = reply else {
                throw StoreFailure(line: "answers with something else than a number")
            }
            if !isExpiry { table.settle(change, total: number) }
            isExpiry = !isExpiry && change.isFirst
            if !isExpiry { index += 1 }
        }
    }

    /// Asks the store whether it is there.
    ///
    /// - Throws: why it failed.
    public func ping() throws(StoreFailure) {
        try connect()
        batch.clear()
        batch.begin(words: 1)
        batch.word("PING")
        try exchange { (reply) throws(StoreFailure) in
            guard reply == .line else { throw StoreFailure(line: "does not answer with PONG") }
        }
    }

    /// Connects if there is no connection, and says who this is.
    ///
    /// - Throws: why it failed.
    public func connect() throws(StoreFailure) {
        guard socket < 0 else { return }
        let deadline = ratelimit_monotonic() + settings.timeoutNanoseconds
        let result =
            settings.isUnix
            ? ratelimit_connect_unix(settings.host, deadline)
            : ratelimit_connect_tcp(settings.host, settings.port, deadline)
        guard result >= 0 else { throw failure("can't be reached", Int64(result)) }
        socket = result
        batch.clear()
        if !settings.password.isEmpty {
            batch.begin(words: settings.user.isEmpty ? 2 : 3)
            batch.word("AUTH")
            if !settings.user.isEmpty { settings.user.withUnsafeBytes { batch.word($0) } }
            settings.password.withUnsafeBytes { batch.word($0) }
        }
        batch.begin(words: 2)
        batch.word("SELECT")
        batch.word(decimal: Int64(settings.database))
        defer { batch.wipe() }
        try exchange { (reply) throws(StoreFailure) in
            guard reply == .line else { throw StoreFailure(line: "does not answer with OK") }
        }
    }

    /// Sends the batch and gives each reply to `take`; ends the connection when that fails.
    private func exchange(
        _ take: (StoreReply) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        do {
            try exchangeOnce(take)
        } catch {
            // What is still on its way would be taken for replies to the next batch.
            disconnect()
            throw error
        }
    }

    private func exchangeOnce(
        _ take: (StoreReply) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        let deadline = ratelimit_monotonic() + settings.timeoutNanoseconds
        let sent = batch.bytes.withUnsafeBytes { bytes in
            bytes.baseAddress.map { ratelimit_send(socket, $0, bytes.count, deadline) } ?? 0
        }
        guard sent >= 0 else { throw failure("does not take commands", Int64(sent)) }
        received.removeAll(keepingCapacity: true)
        var offset = 0
        var left = batch.replyCount
        while left > 0 {
            let reply = received.withUnsafeBytes { StoreReply.read($0, &offset) }
            switch reply {
            case .incomplete:
                received.removeFirst(offset)
                offset = 0
                try receive(until: deadline)
            case .malformed: throw StoreFailure(line: "does not speak as Redis does")
            case .error(let range): throw StoreFailure(line: "answers: " + text(range))
            case .integer, .line, .string:
                left -= 1
                try take(reply)
            }
        }
        guard offset == received.count else {
            throw StoreFailure(line: "sends more replies than there were commands")
        }
    }

    private func receive(until deadline: UInt64) throws(StoreFailure) {
        let known = received.count
        guard known <= StoreReply.stringBytesMax + StoreReply.lineBytesMax else {
            throw StoreFailure(line: "does not speak as Redis does")
        }
        received.append(contentsOf: repeatElement(0, count: Store.receiveBytes))
        let count = received.withUnsafeMutableBytes { bytes in
            // Safe: there are `receiveBytes` behind those that are known.
            bytes.baseAddress.map {
                ratelimit_receive(socket, $0 + known, Store.receiveBytes, deadline)
            } ?? 0
        }
        received.removeLast(Store.receiveBytes - max(0, Int(count)))
        guard count != 0 else { throw StoreFailure(line: "has closed the connection") }
        guard count > 0 else { throw failure("does not answer", count) }
    }

    /// Text of the server for the log: printable ASCII, and not much of it.
    private func text(_ range: Range<Int>) -> String {
        var text = ""
        for byte in received[range].prefix(100) {
            text.unicodeScalars.append(0x20...0x7E ~= byte ? Unicode.Scalar(byte) : "?")
        }
        return text
    }

    private func failure(_ what: String, _ result: Int64) -> StoreFailure {
        StoreFailure(line: what + ": " + String(cString: ratelimit_error(result)))
    }
}
