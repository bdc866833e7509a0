internal import Admin
internal import Reactor
package import Sys

/// The process that holds the listening sockets and keeps a serving process alive.
///
/// It runs no plugin and reads no manifest. `Lifecycle` decides; this does what it says.
package final class Supervisor {
    /// How this program is called to do its parts.
    package struct Program: Sendable {
        /// The path of the program that was started, links not resolved: what is there later is
        /// what an upgrade starts.
        package var path: String
        /// The first argument of a serving process; the descriptors of the channel and of the crash
        /// record, and the manifest follow.
        package var serveCommand: String
        /// The first argument of a supervisor that takes the place of another one; the descriptor
        /// of its state follows.
        package var resumeCommand: String
        package var manifest: String

        package init(path: String, serveCommand: String, resumeCommand: String, manifest: String) {
            self.path = path
            self.serveCommand = serveCommand
            self.resumeCommand = resumeCommand
            self.manifest = manifest
        }
    }

    /// Messages of one process that are read before others get their turn.
    private static let messagesMax = 64
    /// Milliseconds that answers of the admin interface have before the process ends or changes.
    private static let answersTimeout: UInt64 = 1_000

    /// What belongs to one serving process.
    struct Peer {
        var process: Int32
        var channel: ControlChannel
        var channelFile: SharedDescriptor
        /// What it leaves when it dies.
        var crashRecord: SharedDescriptor
        /// The channel is still open.
        var isOpen = true
    }

    var program: Program
    var lifecycle: Lifecycle
    var peers: [Lifecycle.ID: Peer] = [:]
    var sockets = SocketTable()
    var log: ErrorLog
    let admin: AdminInterface
    let service: Service
    /// The code to exit with in place of that of a stop as it should be.
    var failure: Int32?
    private let signals: SignalSource
    private var exitCode: Int32?

    /// - Throws: what the kernel says when it refuses descriptors.
    package convenience init(_ program: Program, _ service: Service) throws(Errno) {
        try self.init(program, service, Lifecycle(program: program.path))
        sockets.inherit(service.inherited)
    }

    init(_ program: Program, _ service: Service, _ lifecycle: Lifecycle) throws(Errno) {
        self.program = program
        self.service = service
        self.lifecycle = lifecycle
        signals = try SignalSource()
        admin = AdminInterface(try AdminRelay())
        log = Self.makeLog(level: 3)
    }

    static func makeLog(level: Int) -> ErrorLog {
        ErrorLog(level: UInt32(level), source: "supervisor")
    }

    static var now: UInt64 { Clock.kernelNanoseconds() / 1_000_000 }

    // MARK: The loop

    /// Supervises until there is nothing left to supervise; the code to exit with.
    ///
    /// On the main thread, before any other is started.
    package func run() -> Int32 {
        run(.begin)
    }

    func run(_ first: Lifecycle.Event) -> Int32 {
        for warning in service.warnings { log.write(2) { $0.text(warning) } }
        handle(first)
        while exitCode == nil { turn() }
        admin.leave(milliseconds: Self.answersTimeout)
        let code = failure ?? exitCode ?? 0
        service.end(code: code)
        return code
    }

    private func turn() {
        let open = peers.filter(\.value.isOpen)
        let ids = Array(open.keys)
        let channels = ids.compactMap { open[$0]?.channel.number }
        let readable = Poll.readable(
            [signals.number, admin.number] + channels + service.descriptors,
            milliseconds: millisecondsToNext()
        )
        // What a process said comes before its end.
        for (place, id) in ids.enumerated() where readable[place + 2] { read(id) }
        if readable[0] { takeSignals() }
        if readable[1] { for (id, request) in admin.take() { handle(.request(id, request)) } }
        handle(.time)
        attendService()
    }

    private func millisecondsToNext() -> Int32 {
        let deadlines = [lifecycle.deadline, service.deadline].compactMap(\.self)
        guard let deadline = deadlines.min() else { return -1 }
        let now = Self.now
        return deadline <= now ? 0 : Int32(clamping: deadline - now)
    }

    private func takeSignals() {
        while let event = signals.take() {
            guard case .signal(let signal) = event else {
                reap()
                continue
            }
            handle(.signal(signal))
        }
    }

    /// Takes the processes that have ended.
    func reap() {
        while let (process, ending) = Processes.reap() {
            guard let id = peers.first(where: { $0.value.process == process })?.key else {
                continue
            }
            // Its last words.
            read(id)
            let peer = peers.removeValue(forKey: id)
            handle(.ended(id, ending, peer.flatMap { CrashReport(file: $0.crashRecord) }))
        }
    }

    /// Takes what a process has said.
    private func read(_ id: Lifecycle.ID) {
        for _ in 0..<Self.messagesMax {
            guard let peer = peers[id], peer.isOpen else { return }
            do throws(ChannelError) {
                switch try peer.channel.receive(waits: false) {
                case .nothing: return
                // The process is about to end: that is an event of its own.
                case .end: peers[id]?.isOpen = false
                case .packet(let packet): handle(id, try ServingMessage(packet))
                }
            } catch {
                peers[id]?.isOpen = false
                handle(.misspoke(id, error.message))
            }
        }
    }

    private func handle(_ id: Lifecycle.ID, _ message: ServingMessage) {
        switch message {
        case .listen(let number, let order):
            for answer in sockets.answer(order, number, for: id) { send(id, answer) }
        case .keep(let keys): sockets.keep(keys, for: id)
        case .alive(Self.lifePing): return service.isAlive()
        default: break
        }
        handle(.message(id, message))
    }

    // MARK: Doing

    func handle(_ event: Lifecycle.Event) {
        for action in lifecycle.handle(event, now: Self.now) { perform(action) }
    }

    func perform(_ action: Lifecycle.Action) {
        switch action {
        case .start(let id, let path): start(id, path)
        case .send(let id, let message): send(id, message)
        case .kill(let id): if let peer = peers[id] { Processes.kill(peer.process) }
        case .keepSockets(let ids):
            for address in sockets.keepOnly(for: ids) {
                log.write(2) { $0.text("no listener for the inherited socket \(address)") }
            }
        case .closeSockets: sockets.closeAll()
        case .answer(let id, let response): admin.answer(id, response)
        case .reopenLogs: reopenLogs(service.reopenLog())
        // The other process has it still.
        case .serveAdmin where service.isWaitingForOther: break
        case .serveAdmin(let place):
            serveAdmin(place)
        case .setLogLevel(let level):
            log = Self.makeLog(level: level)
            service.setLogLevel(level)
        case .become(let path): become(path)
        case .raiseReload: Processes.raiseReload()
        case .exit(let code): exitCode = code
        case .log(let level, let text): log.write(UInt32(level)) { $0.text(text) }
        }
    }

    private func serveAdmin(_ place: SupervisorSettings.AdminPlace?) {
        let before = admin.place
        if let problem = admin.serve(place, logLevel: log.level) {
            return log.write(1) { $0.text("admin.listen: \(problem)") }
        }
        guard place != before, let address = admin.address else { return }
        let (info, warning) = AdminServer.announcement(of: address)
        log.write(3) { $0.text(info) }
        if let warning { log.write(2) { $0.text(warning) } }
    }

    func send(_ id: Lifecycle.ID, _ message: SupervisorMessage) {
        guard let peer = peers[id], peer.isOpen else { return }
        do throws(ChannelError) {
            try peer.channel.send(message.packet, waits: false)
        } catch {
            handle(.misspoke(id, error.message))
        }
    }

    private func start(_ id: Lifecycle.ID, _ path: String) {
        do throws(Errno) {
            let (here, there) = try DescriptorPassing.pair()
            let record = SharedDescriptor(try CrashRecord.makeFile())
            let process = try Processes.start(
                path,
                [program.serveCommand, "3", "4", program.manifest],
                descriptors: [there.number, record.number]
            )
            peers[id] = Peer(
                process: process,
                channel: ControlChannel(here),
                channelFile: here,
                crashRecord: record
            )
            handle(.started(id, process: process))
        } catch {
            handle(.notStarted(id, error))
        }
    }

    private func become(_ path: String) {
        admin.close(milliseconds: Self.answersTimeout)
        do throws(Errno) {
            let (state, descriptors) = try resumeState()
            let error = Processes.become(
                path,
                [program.resumeCommand, "\(state.number)"],
                keeping: [state.number] + descriptors
            )
            throw error
        } catch {
            admin.open()
            handle(.notReplaced(error))
        }
    }
}
