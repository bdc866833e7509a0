package import Admin
package import Sys

/// What the supervisor says to a serving process.
package enum SupervisorMessage: Sendable {
    /// The answer to `hello`: begin.
    case start(Start)
    /// The answer to `listen`: the sockets of an address, bound; `isLast` false has more to come.
    case sockets(id: Int, address: String, [SharedDescriptor], isLast: Bool)
    /// The other answer to `listen`.
    case failed(id: Int, problem: String)
    /// A request of the admin interface; answered by `reply`.
    case command(id: Int, AdminRequest)
    /// Asks for the state that the next process goes on with; answered by `state`.
    case export(id: Int)
    /// What the process before had to say last.
    case importState(SharedDescriptor)
    /// Asks whether all workers turn; answered by `alive`.
    case ping(id: Int)
    /// Take no more connections, let requests finish, end.
    ///
    /// Tunnels are cut after `grace` milliseconds. With `handsOver` another process serves on, and
    /// gets what this one has to say last.
    case drain(grace: Int, handsOver: Bool)
    /// End at once.
    case stop
    /// Open what it logs to again; lines of the log go to this file from now on, if there is one.
    case reopenLogs(SharedDescriptor?)

    /// With what a serving process begins.
    package struct Start: Sendable {
        package var `protocol` = SupervisorMessage.protocolVersion
        /// Plugins that are not to be run.
        package var quarantine: [Quarantined] = []
        /// Text of the manifest in place of what the file says now; nil reads the file.
        package var manifest: SharedDescriptor?
        /// What the process before exported.
        package var state: SharedDescriptor?

        package init() {}
    }

    /// Version of all messages: both ends have the same, or part at once.
    package static let protocolVersion = 1

    // MARK: Writing

    package var packet: ControlChannel.Packet {
        switch self {
        case .start(let start): start.packet
        case .sockets(let id, let address, let descriptors, let isLast):
            ControlChannel.Packet(
                [
                    "type": "sockets", "id": .integer(Int64(id)), "address": .string(address),
                    "is_last": .bool(isLast),
                ],
                descriptors
            )
        case .failed(let id, let problem):
            ControlChannel.Packet([
                "type": "failed", "id": .integer(Int64(id)), "problem": .string(problem),
            ])
        case .command(let id, let request):
            ControlChannel.Packet([
                "type": "command", "id": .integer(Int64(id)), "method": .string(request.method),
                "path": .string(request.path), "body": request.body,
            ])
        case .export(let id):
            ControlChannel.Packet(["type": "export", "id": .integer(Int64(id))])
        case .importState(let file): ControlChannel.Packet(["type": "import"], [file])
        case .ping(let id): ControlChannel.Packet(["type": "ping", "id": .integer(Int64(id))])
        case .drain(let grace, let handsOver):
            ControlChannel.Packet([
                "type": "drain", "grace": .integer(Int64(grace)), "hands_over": .bool(handsOver),
            ])
        case .stop: ControlChannel.Packet(["type": "stop"])
        case .reopenLogs(let file):
            ControlChannel.Packet(
                ["type": "reopen_logs", "has_file": .bool(file != nil)],
                file.map { [$0] } ?? []
            )
        }
    }

    // MARK: Reading

    /// - Throws: a line about what is not understood.
    package init(_ packet: ControlChannel.Packet) throws(ChannelError) {
        var fields = try MessageFields(packet)
        let ids = 0...ServingMessage.idMax
        switch fields.type {
        case "start": self = .start(try Start(&fields))
        case "sockets":
            self = .sockets(
                id: try fields.number("id", ids),
                address: try fields.text("address"),
                fields.allDescriptors(),
                isLast: try fields.flag("is_last")
            )
        case "failed":
            self = .failed(id: try fields.number("id", ids), problem: try fields.text("problem"))
        case "command":
            self = .command(
                id: try fields.number("id", ids),
                AdminRequest(
                    try fields.text("method"),
                    try fields.text("path"),
                    try fields.value("body")
                )
            )
        case "export": self = .export(id: try fields.number("id", ids))
        case "import": self = .importState(try fields.descriptor())
        case "ping": self = .ping(id: try fields.number("id", ids))
        case "drain":
            self = .drain(
                grace: try fields.number("grace", 0...SupervisorSettings.millisecondsMax),
                handsOver: try fields.flag("hands_over")
            )
        case "stop": self = .stop
        case "reopen_logs":
            self = .reopenLogs(try fields.flag("has_file") ? try fields.descriptor() : nil)
        default: throw ChannelError("a message \"\(fields.type)\", which is not known")
        }
        try fields.finish()
    }
}

/// A plugin that crashed the process: this instance is not run as long as its library is the same.
package struct Quarantined: Hashable, Sendable {
    package var instance: String
    /// In hexadecimal.
    package var sha256: String

    package init(instance: String, sha256: String) {
        self.instance = instance
        self.sha256 = sha256
    }

    init(_ fields: inout MessageFields) throws(ChannelError) {
        instance = try fields.text("instance")
        sha256 = try fields.text("sha256")
    }

    var json: JSON { ["instance": .string(instance), "sha256": .string(sha256)] }

    /// Entries of one list.
    static let countMax = 1_024
}

extension SupervisorMessage.Start {
    init(_ fields: inout MessageFields) throws(ChannelError) {
        `protocol` = try fields.number("protocol", 1...ServingMessage.idMax)
        for var element in try fields.objects("quarantine", countMax: Quarantined.countMax) {
            quarantine.append(try Quarantined(&element))
            try element.finish()
        }
        if try fields.flag("has_manifest") { manifest = try fields.descriptor() }
        if try fields.flag("has_state") { state = try fields.descriptor() }
    }

    var packet: ControlChannel.Packet {
        ControlChannel.Packet(
            [
                "type": "start", "protocol": .integer(Int64(`protocol`)),
                "quarantine": .array(quarantine.map(\.json)),
                "has_manifest": .bool(manifest != nil), "has_state": .bool(state != nil),
            ],
            [manifest, state].compactMap(\.self)
        )
    }
}
