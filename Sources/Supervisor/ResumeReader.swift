internal import Admin
internal import Sys

/// Reads what `ResumeWriter` has written; takes the descriptors in it.
struct ResumeReader {
    private(set) var manifest = ""
    private(set) var peers: [Lifecycle.ID: Supervisor.Peer] = [:]
    private(set) var sockets: [SocketTable.Entry] = []
    /// What `Service` goes on with.
    private(set) var service = JSON.null
    private(set) var admin: (SupervisorSettings.AdminPlace, SharedDescriptor)?
    private var processes: [Lifecycle.Serving] = []
    private var lastID = 0
    private var lastCommand = 0
    private var settings = SupervisorSettings()
    private var crashes = CrashHistory()
    private var next: (id: Lifecycle.ID, ready: Ready)?

    private static let anyTime = 0...Int.max
    private static let countMax = 1 << 20

    init(_ json: JSON) throws(ChannelError) {
        var fields = try MessageFields(json)
        _ = try fields.number("version", ResumeState.version...ResumeState.version)
        manifest = try fields.text("manifest")
        lastID = try fields.number("last_id", 0...Int.max)
        lastCommand = try fields.number("last_command", 0...ServingMessage.idMax)
        settings = try Self.settings(&fields)
        for var process in try fields.objects("processes", countMax: Self.countMax) {
            try readProcess(&process)
            try process.finish()
        }
        if var history = try fields.object("crashes") {
            try readCrashes(&history)
            try history.finish()
        }
        for var entry in try fields.objects("sockets", countMax: Self.countMax) {
            sockets.append(try Self.socket(&entry))
            try entry.finish()
        }
        service = try fields.value("service")
        if var next = try fields.object("next") {
            let id = try next.number("id", 0...Int.max)
            let workers = try next.number("workers", 1...ServingMessage.countMax)
            let file = try Self.descriptor("manifest", &next)
            let settings = try Self.settings(&next)
            self.next = (id, Ready(workers: workers, manifest: file, settings: settings))
            try next.finish()
        }
        if var admin = try fields.object("admin") {
            let socket = try Self.descriptor("socket", &admin)
            let place = SupervisorSettings.AdminPlace(
                address: try admin.text("address"),
                tokenFile: try admin.optionalText("token_file"),
                page: try admin.optionalFlag("page")
            )
            self.admin = (place, socket)
            try admin.finish()
        }
        try fields.finish()
    }

    var logLevel: Int { settings.logLevel }

    /// What decides from now on.
    func lifecycle(program: String) -> Lifecycle {
        var lifecycle = Lifecycle(program: program)
        lifecycle.stage = .running
        lifecycle.processes = processes
        lifecycle.lastID = lastID
        lifecycle.lastCommand = lastCommand
        lifecycle.settings = settings
        lifecycle.crashes = crashes
        if let next {
            lifecycle.upgrade = Lifecycle.Upgrade(
                kind: .upgrade(program: program),
                requester: .signal("upgrade"),
                id: next.id,
                deadline: .max,
                ready: next.ready
            )
        }
        return lifecycle
    }

    // MARK: Parts

    private static func descriptor(
        _ name: String,
        _ fields: inout MessageFields
    ) throws(ChannelError) -> SharedDescriptor {
        let number = try fields.number(name, 0...Int(Int32.max))
        guard let owned = Processes.adopt(Int32(number)) else {
            throw ChannelError(
                "the state of a supervisor names descriptor \(number), which is not open"
            )
        }
        return SharedDescriptor(owned)
    }

    private static func settings(
        _ fields: inout MessageFields
    ) throws(ChannelError) -> SupervisorSettings {
        guard var inner = try fields.object("settings") else {
            throw ChannelError("the state of a supervisor has no settings")
        }
        let settings = try SupervisorSettings(&inner)
        try inner.finish()
        return settings
    }

    private mutating func readProcess(_ fields: inout MessageFields) throws(ChannelError) {
        let id = try fields.number("id", 0...Int.max)
        guard let role = Lifecycle.Role(rawValue: try fields.text("role")) else {
            throw ChannelError("the state of a supervisor has an unknown role")
        }
        let startedAt = try fields.number("started_at", Self.anyTime)
        var process = Lifecycle.Serving(id: id, role: role, startedAt: UInt64(startedAt))
        process.process = Int32(try fields.number("process", 1...Int(Int32.max)))
        let readyAt = try fields.number("ready_at", Self.anyTime)
        process.readyAt = readyAt == 0 ? nil : UInt64(readyAt)
        process.leavingSince = UInt64(try fields.number("leaving_since", Self.anyTime))
        process.workers = try fields.number("workers", 0...ServingMessage.countMax)
        let channel = try Self.descriptor("channel", &fields)
        peers[id] = Supervisor.Peer(
            process: process.process,
            channel: ControlChannel(channel),
            channelFile: channel,
            crashRecord: try Self.descriptor("crash_record", &fields),
            isOpen: try fields.flag("is_open")
        )
        processes.append(process)
    }

    private mutating func readCrashes(_ fields: inout MessageFields) throws(ChannelError) {
        crashes.count = try fields.number("count", 0...Int.max)
        crashes.wait = try fields.number("wait", 0...SupervisorSettings.millisecondsMax)
        for var time in try fields.objects("times", countMax: Self.countMax) {
            crashes.times.append(UInt64(try time.number("at", Self.anyTime)))
        }
        let since = try fields.number("served_since", Self.anyTime)
        crashes.servedSince = since == 0 ? nil : UInt64(since)
        for var entry in try fields.objects("quarantine", countMax: Quarantined.countMax) {
            crashes.quarantine.append(try Quarantined(&entry))
        }
        crashes.lastLine = try fields.optionalText("last_line")
        crashes.current = try Self.manifest("current", &fields)
        crashes.clean = try Self.manifest("clean", &fields)
    }

    private static func manifest(
        _ name: String,
        _ fields: inout MessageFields
    ) throws(ChannelError) -> CrashHistory.KeptManifest? {
        guard fields.has(name) else { return nil }
        let file = try descriptor(name, &fields)
        do throws(Errno) {
            let text = try MemoryFile.bytes(of: file, bytesMax: CrashHistory.manifestBytesMax)
            return CrashHistory.KeptManifest(text: text, file: file)
        } catch {
            throw ChannelError("the kept manifest can't be read: \(error.description)")
        }
    }

    private static func socket(
        _ fields: inout MessageFields
    ) throws(ChannelError) -> SocketTable.Entry {
        let key = try SocketKey(&fields)
        guard let address = SocketAddress(try fields.text("bound")) else {
            throw ChannelError("the state of a supervisor has an address that is none")
        }
        var entry = SocketTable.Entry(key: key, address: address, sockets: [])
        entry.isInherited = try fields.flag("is_inherited")
        entry.ownsFile = try fields.flag("owns_file")
        for var socket in try fields.objects("sockets", countMax: Self.countMax) {
            entry.sockets.append(try descriptor("descriptor", &socket))
        }
        for var user in try fields.objects("users", countMax: Self.countMax) {
            let id = try user.number("id", 0...Int.max)
            entry.users[id] = try user.number("count", 0...Self.countMax)
        }
        return entry
    }
}
