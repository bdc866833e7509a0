package import Admin
internal import Reactor
package import Supervisor
package import Sys

/// The serving process's end of the control channel.
///
/// Until the process serves, the main thread asks and waits for answers; then `follow` takes over
/// with two threads: one reads, and one carries out what may take its time.
package final class SupervisorLink: Sendable {
    /// Why the supervisor does not give what was asked for, in words.
    package struct Failure: Error {
        package var reason: String
    }

    /// What the supervisor may have this process do.
    ///
    /// Each is called on a thread of the link.
    package struct Hooks: Sendable {
        /// A request of the admin interface; one at a time.
        package var command: AdminHandler
        /// State for the next process, nil when there is none; on the thread of commands.
        package var exportState: (@Sendable () -> [UInt8]?)?
        /// What was counted since; on the main thread, after the last worker has ended.
        package var exportRest: (@Sendable () -> [UInt8]?)?
        /// What the process before counted until its end; on the thread of commands.
        package var importState: (@Sendable ([UInt8]) -> Void)?
        /// Take no more connections, and let requests finish.
        ///
        /// Tunnels end after `grace` milliseconds; with `handsOver` another process serves on.
        package var drain: @Sendable (_ grace: Int, _ handsOver: Bool) -> Void
        /// Call `done` when every worker's loop has turned.
        package var ping: @Sendable (_ done: @escaping @Sendable () -> Void) -> Void
        package var reopenLogs: @Sendable () -> Void
        /// Milliseconds that tunnels have when the supervisor is gone without a word.
        package var graceAlone: Int
    }

    /// Bytes of the state that one process hands to the next.
    package static let stateBytesMax = 1 << 30

    private let channel: ControlChannel
    /// With what this process was told to begin.
    package let start: SupervisorMessage.Start
    private let commands = Monitor(Commands())
    private let answers = Monitor(Answers())

    /// Answers about sockets, once another thread reads the channel.
    private struct Answers {
        var isFollowed = false
        var waiting: [SupervisorMessage] = []
        /// There will be no more.
        var isOver = false
    }

    /// What waits for the thread of commands.
    private struct Commands {
        var waiting: [Order] = []
        /// Another process takes over, and wants the state that this one ends with.
        var handsOver = false
    }

    private enum Order {
        case command(id: Int, AdminRequest)
        case export(id: Int)
        case importState(SharedDescriptor)
    }

    /// Says hello, and waits for the answer.
    ///
    /// - Parameter descriptor: of the control channel.
    package init(descriptor: Int32) throws(Failure) {
        guard let owned = Processes.adopt(descriptor) else {
            throw Failure(reason: "descriptor \(descriptor) is no control channel")
        }
        channel = ControlChannel(SharedDescriptor(owned))
        try Self.send(
            .hello(
                protocol: SupervisorMessage.protocolVersion,
                resume: ResumeState.version,
                process: Int(Process.id)
            ),
            channel
        )
        guard case .start(let start) = try Self.receive(channel) else {
            throw Failure(reason: "the supervisor does not begin with \"start\"")
        }
        guard start.protocol == SupervisorMessage.protocolVersion else {
            throw Failure(reason: "the supervisor speaks version \(start.protocol) of the channel")
        }
        self.start = start
    }

    // MARK: Sockets

    /// Sockets of an address, bound; the caller closes them. [one thread at a time]
    package func sockets(
        _ order: ListenOrder
    ) throws(Failure) -> (address: SocketAddress, descriptors: [Int32]) {
        try Self.send(.listen(id: 0, order), channel)
        var taken: [SharedDescriptor] = []
        while true {
            switch try nextAnswer() {
            case .failed(_, let problem): throw Failure(reason: problem)
            case .sockets(_, let text, let descriptors, let isLast):
                taken += descriptors
                guard isLast else { continue }
                guard let address = SocketAddress(text), !taken.isEmpty else {
                    throw Failure(reason: "the supervisor has no socket for \(text)")
                }
                do throws(Errno) {
                    // Copies, because workers close them by their numbers.
                    var copies: [Int32] = []
                    for socket in taken { copies.append(try Socket.duplicate(socket.number)) }
                    return (address, copies)
                } catch {
                    throw Failure(reason: error.description)
                }
            // Asked to end before it served anything.
            case .stop, .drain: Process.exit(ExitCode.ok.rawValue)
            default: throw Failure(reason: "the supervisor does not answer \"listen\"")
            }
        }
    }

    private func nextAnswer() throws(Failure) -> SupervisorMessage {
        guard answers.change({ $0.isFollowed }) else { return try Self.receive(channel) }
        let answer = answers.wait { state -> SupervisorMessage?? in
            if !state.waiting.isEmpty { return .some(state.waiting.removeFirst()) }
            return state.isOver ? .some(nil) : nil
        }
        guard let answer = answer ?? nil else { throw Failure(reason: "the supervisor is gone") }
        return answer
    }

    // MARK: While it starts

    /// Says why this process ends without having served.
    package func failed(_ problems: [String]) {
        try? Self.send(.failed(problems: problems), channel)
    }

    /// Says that this process serves; again whenever it serves another manifest.
    ///
    /// - Parameter manifest: its text.
    package func ready(
        workers: Int,
        manifest: [UInt8],
        settings: SupervisorSettings
    ) throws(Failure) {
        let file = try Self.file(manifest, name: "manifest")
        let ready = Ready(workers: workers, manifest: file, settings: settings)
        try Self.send(.ready(ready), channel)
    }

    // MARK: While it serves

    /// Says what this process listens on from now on: the supervisor closes the other sockets.
    package func keep(_ keys: [SocketKey]) throws(Failure) {
        try Self.send(.keep(keys), channel)
    }

    /// Asks to be replaced by another process of the same program. [any thread]
    package func askForReplacement(reason: String) throws(Failure) {
        try Self.send(.upgrade(reason: reason), channel)
    }

    /// Does what the supervisor says from now on, until the process ends.
    package func follow(_ hooks: Hooks, logLevel: UInt32) {
        answers.change { $0.isFollowed = true }
        _ = PinnedThread.start(name: "supervisor") { self.read(hooks, logLevel) }
        _ = PinnedThread.start(name: "commands") { self.carryOut(hooks, logLevel) }
    }

    /// Says the last word: state for the process that took over, if one did.
    package func finish(_ hooks: Hooks) {
        guard commands.change({ $0.handsOver }), let state = hooks.exportRest?() else { return }
        try? sendState(id: 0, state)
    }

    private func read(_ hooks: Hooks, _ level: UInt32) {
        var log = ErrorLog(level: level, source: "main")
        while true {
            do throws(Failure) {
                obey(try Self.receive(channel), hooks, &log)
            } catch {
                log.write(1) { $0.text("supervisor: \(error.reason); draining") }
                answers.change { $0.isOver = true }
                hooks.drain(hooks.graceAlone, false)
                return
            }
        }
    }

    private func obey(_ message: SupervisorMessage, _ hooks: Hooks, _ log: inout ErrorLog) {
        switch message {
        case .command(let id, let request): queue(.command(id: id, request))
        case .export(let id): queue(.export(id: id))
        case .importState(let file): queue(.importState(file))
        case .ping(let id):
            let channel = channel
            hooks.ping {
                // On a worker, which may not wait.
                try? channel.send(ServingMessage.alive(id: id).packet, waits: false)
            }
        case .drain(let grace, let handsOver):
            log.write(3) { $0.text("draining: no new connections, requests finish") }
            commands.change { $0.handsOver = handsOver }
            hooks.drain(grace, handsOver)
        case .stop: Process.exit(ExitCode.ok.rawValue)
        case .reopenLogs(let file):
            do throws(Errno) {
                if let file { try ErrorOutput.redirect(to: file.number) }
            } catch {
                log.write(1) { $0.text("error_log: \(error.description)") }
            }
            hooks.reopenLogs()
        case .sockets, .failed: answers.change { $0.waiting.append(message) }
        case .start: log.write(2) { $0.text("supervisor: it says \"start\" once more") }
        }
    }

    private func queue(_ order: Order) {
        commands.change { $0.waiting.append(order) }
    }

    private func carryOut(_ hooks: Hooks, _ level: UInt32) {
        ThreadRole.enter(.control)
        var log = ErrorLog(level: level, source: "main")
        while true {
            let order = commands.wait { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
            guard let order else { continue }
            do throws(Failure) {
                switch order {
                case .command(let id, let request):
                    try reply(id, hooks.command(request))
                case .export(let id): try sendState(id: id, hooks.exportState?())
                case .importState(let file): try importState(file, hooks)
                }
            } catch {
                log.write(1) { $0.text("supervisor: \(error.reason)") }
            }
        }
    }

    private func reply(_ id: Int, _ response: AdminResponse) throws(Failure) {
        do throws(Failure) {
            try Self.send(.reply(id: id, response), channel)
        } catch {
            try Self.send(.reply(id: id, .refusal(500, [error.reason])), channel)
        }
    }

    private func sendState(id: Int, _ bytes: [UInt8]?) throws(Failure) {
        let file: SharedDescriptor? =
            if let bytes { try Self.file(bytes, name: "state") } else { nil }
        try Self.send(.state(id: id, file), channel)
    }

    private static func file(
        _ bytes: [UInt8],
        name: String
    ) throws(Failure) -> SharedDescriptor {
        do throws(Errno) {
            return try MemoryFile.holding(bytes, name: name)
        } catch {
            throw Failure(reason: "\(name) can't be handed over: \(error.description)")
        }
    }

    private func importState(_ file: SharedDescriptor, _ hooks: Hooks) throws(Failure) {
        do throws(Errno) {
            hooks.importState?(try MemoryFile.bytes(of: file, bytesMax: Self.stateBytesMax))
        } catch {
            throw Failure(reason: "state could not be taken over: \(error.description)")
        }
    }

    // MARK: The channel

    private static func send(
        _ message: ServingMessage,
        _ channel: ControlChannel
    ) throws(Failure) {
        do throws(ChannelError) {
            try channel.send(message.packet, waits: true)
        } catch {
            throw Failure(reason: error.message)
        }
    }

    private static func receive(_ channel: ControlChannel) throws(Failure) -> SupervisorMessage {
        do throws(ChannelError) {
            if case .packet(let packet) = try channel.receive(waits: true) {
                return try SupervisorMessage(packet)
            }
        } catch {
            throw Failure(reason: error.message)
        }
        throw Failure(reason: "it is gone")
    }
}
