internal import Admin
package import Sys

/// What a serving process says of the manifest that it serves.
package struct Ready: Sendable {
    package var workers: Int
    /// The manifest's text.
    package var manifest: SharedDescriptor
    package var settings: SupervisorSettings

    package init(workers: Int, manifest: SharedDescriptor, settings: SupervisorSettings) {
        self.workers = workers
        self.manifest = manifest
        self.settings = settings
    }

    init(_ fields: inout MessageFields) throws(ChannelError) {
        workers = try fields.number("workers", 1...ServingMessage.countMax)
        manifest = try fields.descriptor()
        settings = try SupervisorSettings(&fields)
    }

    var packet: ControlChannel.Packet {
        var members = settings.members
        members.insert(JSON.Member("type", "ready"), at: 0)
        members.append(JSON.Member("workers", .integer(Int64(workers))))
        return ControlChannel.Packet(.object(members), [manifest])
    }
}

/// What the manifest says to the supervisor, which does not read it.
package struct SupervisorSettings: Equatable, Sendable {
    /// Milliseconds: the longest that any of its times may be.
    package static let millisecondsMax = 86_400_000

    /// 1 error to 4 debug.
    package var logLevel = 3
    /// Crashes within `crashWindow` after which restarts wait.
    package var crashesMax = 5
    /// Milliseconds.
    package var crashWindow = 30_000
    /// Milliseconds of serving after which a process counts as sound.
    package var soundAfter = 10_000
    /// Milliseconds of the first wait before a restart; each further one is twice as long.
    package var waitFirst = 1_000
    /// Milliseconds of the longest wait.
    package var waitMax = 30_000
    /// Milliseconds that a new process has until it serves.
    package var upgradeTimeout = 30_000
    /// Milliseconds that tunnels of a process that drains may last.
    package var grace = 30_000
    /// The admin interface; nil is none.
    package var admin: AdminPlace?

    /// Where the admin interface listens.
    package struct AdminPlace: Equatable, Sendable {
        /// "unix:/path" or "host:port".
        package var address: String
        package var tokenFile: String?
        /// Whether browsers get a page; nil: where only this machine can ask for it.
        package var page: Bool?

        package init(address: String, tokenFile: String?, page: Bool? = nil) {
            self.address = address
            self.tokenFile = tokenFile
            self.page = page
        }
    }

    package init() {}

    private static let times: [(name: String, path: any WritableKeyPath<Self, Int> & Sendable)] = [
        ("crash_window", \.crashWindow), ("sound_after", \.soundAfter),
        ("wait_first", \.waitFirst), ("wait_max", \.waitMax),
        ("upgrade_timeout", \.upgradeTimeout), ("grace", \.grace),
    ]

    init(_ fields: inout MessageFields) throws(ChannelError) {
        logLevel = try fields.number("log_level", 1...4)
        crashesMax = try fields.number("crashes_max", 1...1_000)
        for (name, path) in Self.times {
            self[keyPath: path] = try fields.number(name, 0...Self.millisecondsMax)
        }
        if let address = try fields.optionalText("admin_address") {
            admin = AdminPlace(
                address: address,
                tokenFile: try fields.optionalText("admin_token_file"),
                page: try fields.optionalFlag("admin_page")
            )
        }
    }

    var members: [JSON.Member] {
        var members = [
            JSON.Member("log_level", .integer(Int64(logLevel))),
            JSON.Member("crashes_max", .integer(Int64(crashesMax))),
        ]
        for (name, path) in Self.times {
            members.append(JSON.Member(name, .integer(Int64(self[keyPath: path]))))
        }
        guard let admin else { return members }
        members.append(JSON.Member("admin_address", .string(admin.address)))
        if let file = admin.tokenFile {
            members.append(JSON.Member("admin_token_file", .string(file)))
        }
        if let page = admin.page { members.append(JSON.Member("admin_page", .bool(page))) }
        return members
    }
}
