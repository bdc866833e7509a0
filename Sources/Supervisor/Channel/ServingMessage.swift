package import Admin
package import Sys

/// What a serving process says to the supervisor.
package enum ServingMessage: Sendable {
    /// The first message.
    ///
    /// `resume` is the form of the state that a supervisor of this program takes up when it is put
    /// in place of another one (`ResumeState.version`).
    case hello(protocol: Int, resume: Int, process: Int)
    /// Asks for listening sockets; answered by `sockets` or `failed`.
    case listen(id: Int, ListenOrder)
    /// What it listens on from now on: other sockets may be closed.
    case keep([SocketKey])
    /// It serves: at the start, and again whenever it serves another manifest.
    case ready(Ready)
    /// Why it ends, before it does; a line each.
    case failed(problems: [String])
    /// The answer to a command.
    case reply(id: Int, AdminResponse)
    /// Asks to be replaced by another process of the same program.
    case upgrade(reason: String)
    /// The answer to `export`; with id 0 what it had to say last, before it ends.
    case state(id: Int, SharedDescriptor?)
    /// The answer to `ping`: every worker's loop has turned.
    case alive(id: Int)

    /// Addresses of one process: listeners of a manifest.
    static let socketsMax = 1_024
    /// Sockets of one address: one a worker.
    static let countMax = 1_024
    static let idMax = Int(Int32.max)

    // MARK: Writing

    package var packet: ControlChannel.Packet {
        switch self {
        case .hello(let version, let resume, let process):
            ControlChannel.Packet([
                "type": "hello", "protocol": .integer(Int64(version)),
                "resume": .integer(Int64(resume)), "pid": .integer(Int64(process)),
            ])
        case .listen(let id, let order):
            ControlChannel.Packet([
                "type": "listen", "id": .integer(Int64(id)),
                "address": .string(order.key.address),
                "occurrence": .integer(Int64(order.key.occurrence)),
                "keepalive": .integer(Int64(order.keepaliveSeconds)),
                "mode": .integer(Int64(order.mode)), "count": .integer(Int64(order.count)),
            ])
        case .keep(let keys):
            ControlChannel.Packet(["type": "keep", "sockets": .array(keys.map(\.json))])
        case .ready(let ready): ready.packet
        case .failed(let problems):
            ControlChannel.Packet([
                "type": "failed", "problems": .array(problems.map { .string($0) }),
            ])
        case .reply(let id, let response):
            ControlChannel.Packet([
                "type": "reply", "id": .integer(Int64(id)),
                "status": .integer(Int64(response.status)), "body": response.body,
                "allow": .array(response.allow.map { .string($0) }),
            ])
        case .upgrade(let reason):
            ControlChannel.Packet(["type": "upgrade", "reason": .string(reason)])
        case .state(let id, let file):
            ControlChannel.Packet(
                ["type": "state", "id": .integer(Int64(id)), "has_state": .bool(file != nil)],
                file.map { [$0] } ?? []
            )
        case .alive(let id):
            ControlChannel.Packet(["type": "alive", "id": .integer(Int64(id))])
        }
    }

    // MARK: Reading

    /// - Throws: a line about what is not understood.
    package init(_ packet: ControlChannel.Packet) throws(ChannelError) {
        var fields = try MessageFields(packet)
        switch fields.type {
        case "hello":
            self = .hello(
                protocol: try fields.number("protocol", 1...Self.idMax),
                resume: try fields.number("resume", 1...Self.idMax),
                process: try fields.number("pid", 1...Self.idMax)
            )
        case "listen":
            self = .listen(id: try fields.number("id", 0...Self.idMax), try ListenOrder(&fields))
        case "keep":
            var keys: [SocketKey] = []
            for var element in try fields.objects("sockets", countMax: Self.socketsMax) {
                keys.append(try SocketKey(&element))
                try element.finish()
            }
            self = .keep(keys)
        case "ready": self = .ready(try Ready(&fields))
        case "failed": self = .failed(problems: try fields.lines("problems"))
        case "reply":
            let id = try fields.number("id", 0...Self.idMax)
            var response = AdminResponse(
                try fields.number("status", 100...599),
                try fields.value("body")
            )
            response.allow = try fields.lines("allow")
            self = .reply(id: id, response)
        case "upgrade": self = .upgrade(reason: try fields.text("reason"))
        case "state":
            let id = try fields.number("id", 0...Self.idMax)
            self = .state(id: id, try fields.flag("has_state") ? try fields.descriptor() : nil)
        case "alive": self = .alive(id: try fields.number("id", 0...Self.idMax))
        default: throw ChannelError("a message \"\(fields.type)\", which is not known")
        }
        try fields.finish()
    }
}

/// What tells listening sockets apart over the lives of serving processes.
package struct SocketKey: Hashable, Sendable {
    /// As it was asked for: "192.0.2.1:80", "[::]:0" or "unix:/path".
    package var address: String
    /// How many listeners before this one ask for the same address; more than 0 for port 0 only.
    package var occurrence: Int

    package init(address: String, occurrence: Int) {
        self.address = address
        self.occurrence = occurrence
    }

    init(_ fields: inout MessageFields) throws(ChannelError) {
        address = try fields.text("address")
        occurrence = try fields.number("occurrence", 0...ServingMessage.socketsMax)
    }

    var json: JSON {
        ["address": .string(address), "occurrence": .integer(Int64(occurrence))]
    }
}

/// What a serving process wants to listen on.
package struct ListenOrder: Equatable, Sendable {
    package var key: SocketKey
    /// Seconds of silence before TCP probes begin; 0 is off.
    package var keepaliveSeconds: Int
    /// Of a Unix socket's file.
    package var mode: Int
    /// Sockets of one TCP address; a Unix address has one.
    package var count: Int

    package init(key: SocketKey, keepaliveSeconds: Int, mode: Int, count: Int) {
        self.key = key
        self.keepaliveSeconds = keepaliveSeconds
        self.mode = mode
        self.count = count
    }

    init(_ fields: inout MessageFields) throws(ChannelError) {
        key = try SocketKey(&fields)
        keepaliveSeconds = try fields.number("keepalive", 0...86_400 * 365)
        mode = try fields.number("mode", 0...0o777)
        count = try fields.number("count", 1...ServingMessage.countMax)
    }
}
