package import Admin
package import Sys

/// What the supervisor decides: which processes there are, and what becomes of them.
///
/// It does no I/O and reads no clock: events go in, actions come out, in the order in which they
/// are to be done.
package struct Lifecycle {
    /// Names a serving process, also before it has a process number.
    package typealias ID = Int

    /// Something that has happened.
    package enum Event {
        /// The beginning: the first serving process is started.
        case begin
        case signal(Signals.Received)
        /// The program of `Action.start` runs.
        case started(ID, process: Int32)
        /// It does not.
        case notStarted(ID, Errno)
        case message(ID, ServingMessage)
        /// What it said was not understood, or could not be read: it can't be relied on.
        case misspoke(ID, String)
        case ended(ID, ChildProcess.Ending, CrashReport?)
        /// Somebody asks by the admin interface; answered by `Action.answer`.
        case request(Int, AdminRequest)
        /// This process could not become another program.
        case notReplaced(Errno)
        /// This process has become another program.
        case resumed
        /// An unrelated process has the sockets, and serves.
        case handedOver
        /// The time of `deadline` has come.
        case time
    }

    /// What is to be done.
    package enum Action {
        /// Start a serving process of this program.
        case start(ID, program: String)
        case send(ID, SupervisorMessage)
        /// End it by SIGKILL.
        case kill(ID)
        /// Of all listening sockets only those that these processes use are needed.
        case keepSockets([ID])
        /// Close all listening sockets.
        case closeSockets
        /// Have all processes open their logs again.
        case reopenLogs
        /// Answer a request of the admin interface.
        case answer(Int, AdminResponse)
        /// Listen for requests of the admin interface there, or, nil, no longer.
        case serveAdmin(SupervisorSettings.AdminPlace?)
        case setLogLevel(Int)
        /// Become this program, which goes on with `snapshot`; answers and lines go out before.
        case become(program: String)
        /// Send HUP to this process, for the program that it becomes.
        case raiseReload
        case exit(Int32)
        /// 1 error to 4 debug.
        case log(Int, String)
    }

    /// Crashes of a manifest that has not run clean yet after which the last clean one is served.
    package static let manifestCrashesMax = 3
    /// Processes that drain at a time.
    ///
    /// Another replacement ends the oldest, or is refused while
    /// that one is still within its time of grace.
    package static let leavingMax = 16
    /// Milliseconds that a process may take to export its state; then the next begins without.
    package static let exportTimeout = 5_000
    /// Milliseconds after which a command counts as lost.
    package static let commandTimeout = 120_000
    /// Commands that wait for their answers at a time.
    package static let commandsMax = 64

    // MARK: State

    /// What a process is there for.
    enum Role: String {
        /// Serves, or is about to.
        case main
        /// Is to take the place of `main`.
        case next
        /// Finishes its requests.
        case leaving
    }

    /// One serving process.
    struct Serving {
        var id: ID
        var role: Role
        /// 0 until it is known.
        var process: Int32 = 0
        /// Milliseconds.
        var startedAt: UInt64
        /// When it began to serve; nil before.
        var readyAt: UInt64?
        var workers = 0
        /// The text of its manifest, once it serves.
        var manifest: [UInt8] = []
        /// When it began to drain.
        var leavingSince: UInt64 = 0
        /// What it said before it ended.
        var problems: [String] = []
        /// Why its end was brought about.
        var killedFor: String?
    }

    enum Stage: Equatable {
        /// Nothing has served yet.
        case beginning
        case running
        /// A restart waits.
        case waiting(until: UInt64)
        case stopping
    }

    var stage = Stage.beginning
    var processes: [Serving] = []
    var lastID = 0
    /// The program of serving processes.
    var program: String
    var settings = SupervisorSettings()
    var crashes = CrashHistory()
    var upgrade: Upgrade?
    var commands: [Command] = []
    var held: [Held] = []
    var lastCommand = 0
    /// The admin interface has yet to listen where the manifest says.
    private var isAdminDue = false
    var actions: [Action] = []
    /// Milliseconds of the event that is being handled.
    var now: UInt64 = 0

    /// - Parameter program: a path.
    package init(program: String) {
        self.program = program
    }

    // MARK: Events

    /// - Parameter now: milliseconds of a clock that never goes back.
    /// - Returns: what is to be done, in this order.
    package mutating func handle(_ event: Event, now: UInt64) -> [Action] {
        self.now = now
        switch event {
        case .begin: startMain()
        case .signal(let signal): handle(signal)
        case .started(let id, let process):
            if let place = place(id) { processes[place].process = process }
        case .notStarted(let id, let error): notStarted(id, error)
        case .message(let id, let message): handle(message, id)
        case .misspoke(let id, let reason): end(id, for: "the control channel: \(reason)")
        case .ended(let id, let ending, let report): ended(id, ending, report)
        case .request(let id, let request): handle(request, id)
        case .notReplaced(let error): notReplaced(error)
        case .resumed: promote()
        case .handedOver: stop(fast: false, handsOver: true)
        case .time: break
        }
        handleTime()
        defer { actions = [] }
        return actions
    }

    /// Milliseconds at which `time` is to happen; nil for never.
    package var deadline: UInt64? {
        var times = commands.map(\.deadline) + held.map(\.deadline)
        if case .waiting(let until) = stage { times.append(until) }
        if let time = restartDeadline { times.append(time) }
        if let upgrade {
            times.append(upgrade.deadline)
            if let time = upgrade.exportDeadline { times.append(time) }
        }
        return times.min()
    }

    private mutating func handleTime() {
        if case .waiting(let until) = stage, until <= now {
            stage = .running
            startMain()
        }
        if let time = restartDeadline, time <= now, let main = first(.main) {
            end(main.id, for: "it does not serve after \(settings.upgradeTimeout) ms")
        }
        expireCommands()
        expireUpgrade()
        serveAdmin()
    }

    /// Until when a process that was started again must serve; whoever starts the first one sees
    /// for himself.
    private var restartDeadline: UInt64? {
        guard stage == .running, let main = first(.main), main.readyAt == nil,
            main.killedFor == nil
        else { return nil }
        return main.startedAt + UInt64(settings.upgradeTimeout)
    }

    private mutating func handle(_ signal: Signals.Received) {
        switch signal {
        case .interrupt:
            log(3, "INT: stopping at once")
            stop(fast: true)
        case .terminate:
            if stage == .stopping { log(3, "TERM again: stopping at once") }
            stop(fast: stage == .stopping)
        case .reload:
            command(AdminRequest("POST", "/v1/reload"), for: .signal("HUP"))
        case .upgrade: beginUpgrade(.upgrade(program: program), for: .signal("USR2"))
        case .reopenLogs:
            actions.append(.reopenLogs)
        }
    }

    private mutating func handle(_ message: ServingMessage, _ id: ID) {
        guard let place = place(id) else { return }
        switch message {
        case .hello(let version, let resume, _): hello(place, version, resume)
        // What is given is not decided on here.
        case .listen: break
        case .keep: if processes[place].role == .main { keepSockets() }
        case .ready(let ready): becameReady(place, ready)
        case .failed(let problems): processes[place].problems = problems
        case .reply(let command, let response): reply(command, response)
        case .upgrade(let reason):
            guard processes[place].role == .main else { return }
            log(3, "process \(processes[place].process) asks to be replaced: \(reason)")
            beginUpgrade(.renew, for: .signal("replacement"))
        case .state(let export, let file): exported(place, export, file)
        case .alive: probed(place)
        }
    }

    // MARK: Processes

    func place(_ id: ID) -> Int? { processes.firstIndex { $0.id == id } }

    func first(_ role: Role) -> Serving? { processes.first { $0.role == role } }

    mutating func start(_ role: Role, _ program: String) -> ID {
        lastID += 1
        processes.append(Serving(id: lastID, role: role, startedAt: now))
        actions.append(.start(lastID, program: program))
        return lastID
    }

    mutating func startMain() {
        _ = start(.main, program)
    }

    /// Brings about the end of a process that can't be relied on.
    mutating func end(_ id: ID, for reason: String) {
        guard let place = place(id), processes[place].killedFor == nil else { return }
        processes[place].killedFor = reason
        actions.append(.kill(id))
    }

    private mutating func hello(_ place: Int, _ version: Int, _ resume: Int) {
        guard version == SupervisorMessage.protocolVersion else {
            end(processes[place].id, for: "it speaks version \(version) of the control channel")
            return
        }
        guard processes[place].role == .main else {
            return nextSaidHello(place, resume)
        }
        var start = SupervisorMessage.Start()
        start.quarantine = crashes.quarantine
        start.manifest = crashes.manifestFile
        actions.append(.send(processes[place].id, .start(start)))
    }

    private mutating func becameReady(_ place: Int, _ ready: Ready) {
        let id = processes[place].id
        do throws(Errno) {
            processes[place].manifest = try MemoryFile.bytes(
                of: ready.manifest,
                bytesMax: CrashHistory.manifestBytesMax
            )
        } catch {
            end(id, for: "its manifest can't be read: \(error.description)")
            return
        }
        let isFirst = processes[place].readyAt == nil
        processes[place].readyAt = processes[place].readyAt ?? now
        processes[place].workers = ready.workers
        switch processes[place].role {
        case .main:
            if isFirst, let crashed = crashes.lastAt {
                let process = processes[place].process
                log(3, "process \(process) serves, \(now - crashed) ms after the crash")
            }
            serves(processes[place], ready)
        case .next: nextIsReady(place, ready)
        case .leaving: break
        }
    }

    /// The main process serves a manifest from now on.
    mutating func serves(_ process: Serving, _ ready: Ready) {
        if stage == .beginning { stage = .running }
        crashes.serves(process.manifest, ready.manifest, at: now, settings)
        settings = ready.settings
        guard stage != .stopping else { return }
        actions.append(.setLogLevel(settings.logLevel))
        keepSockets()
        isAdminDue = true
        serveAdmin()
    }

    /// Has the admin interface listen where the manifest says, once it has answered whoever waits:
    /// a reload may have moved it.
    private mutating func serveAdmin() {
        let requesters = commands.map(\.requester) + held.map(\.requester)
        let isAsked = requesters.contains { requester in
            if case .admin = requester { true } else { false }
        }
        guard isAdminDue, !isAsked, stage != .stopping else { return }
        isAdminDue = false
        actions.append(.serveAdmin(settings.admin))
    }

    /// What a service manager is told of it.
    var activity: Service.Activity {
        switch stage {
        case .beginning: .starting
        case .stopping: .stopping
        case .waiting: .interrupted(whyNot)
        case .running:
            if first(.main)?.readyAt == nil {
                .interrupted(whyNot)
            } else if upgrade != nil
                || commands.contains(where: { $0.request.path == "/v1/reload" })
            {
                .changing
            } else {
                .serving
            }
        }
    }

    /// Has the sockets closed that no process needs but those that drain.
    private mutating func keepSockets() {
        actions.append(.keepSockets(processes.filter { $0.role != .leaving }.map(\.id)))
    }

    mutating func log(_ level: Int, _ text: String) {
        actions.append(.log(level, text))
    }
}
