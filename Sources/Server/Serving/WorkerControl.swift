internal import Admin
internal import Proxy
internal import Reactor
internal import Synchronization
internal import Sys

/// What can be asked of running workers as a whole. [any thread]
final class WorkerControl: Sendable {
    /// Milliseconds between two looks for tunnels, once their time of grace is over: a request that
    /// ran until then may become one.
    private static let tunnelsAgain = 1_000

    private let mailboxes: [Mailbox<WorkerMessage>]
    private let generations: Generations
    private let manifest: String
    private let surroundings: ManifestSurroundings
    private let logLevel: UInt32
    /// Milliseconds that tunnels have once this process drains.
    let grace: Int
    private let draining = Atomic(false)

    /// Whether it was told to finish what it has, by whomever.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    init(
        _ mailboxes: [Mailbox<WorkerMessage>],
        _ generations: Generations,
        manifest: String,
        _ surroundings: ManifestSurroundings
    ) {
        self.mailboxes = mailboxes
        self.generations = generations
        self.manifest = manifest
        self.surroundings = surroundings
        logLevel = generations.running.settings.logLevel.rawValue
        grace = generations.running.settings.lifecycle.shutdownGrace
    }

    /// Closes the listeners and lets requests finish; tunnels end after `grace` milliseconds, and
    /// so do idle connections if another process serves on.
    ///
    /// - Parameter handsOver: another process serves on.
    func drain(grace: Int, handsOver: Bool) {
        draining.store(true, ordering: .relaxed)
        for mailbox in mailboxes { mailbox.post(.drain(handsOver: handsOver)) }
        let mailboxes = mailboxes
        _ = PinnedThread.start(name: "grace") {
            Process.sleep(milliseconds: UInt32(grace))
            while true {
                for mailbox in mailboxes {
                    mailbox.post(.drain(handsOver: false))
                    mailbox.post(.endTunnels)
                }
                Process.sleep(milliseconds: UInt32(Self.tunnelsAgain))
            }
        }
    }

    private func reload(_ generations: Generations) -> AdminResponse {
        generations.reload(manifest, surroundings, isDry: false)
    }

    /// Has plugins open their files again.
    private func reopenLogs() {
        _ = generations.ledger.submit { _ = self.generations.reopenLogs() }
    }

    // MARK: State

    /// What another process begins with in place of this one.
    private func exportState() -> [UInt8]? {
        generations.perform { ProcessState.export($0.running) }.map(take)
    }

    private func take(_ state: (bytes: [UInt8], problems: [String])) -> [UInt8] {
        complain(state.problems)
        return state.bytes
    }

    /// Adds what the process before counted until its end.
    private func importRest(_ bytes: [UInt8]) {
        guard let state = ProcessState(bytes) else {
            return complain(["the last state of the process before is damaged"])
        }
        complain(generations.perform { state.importRest($0.running) } ?? [])
    }

    private func complain(_ problems: [String]) {
        var log = ErrorLog(level: logLevel, source: "main")
        for problem in problems { log.write(2) { $0.text(problem) } }
    }

    /// What the supervisor may have this process do.
    ///
    /// - Parameter command: answers what it passes on of the admin interface.
    func hooks(_ command: @escaping AdminHandler) -> SupervisorLink.Hooks {
        SupervisorLink.Hooks(
            command: command,
            exportState: { self.exportState() },
            exportRest: { self.take(self.generations.exportRest()) },
            importState: { self.importRest($0) },
            drain: { self.drain(grace: $0, handsOver: $1) },
            ping: { done in
                let round = WorkerRound(workers: self.mailboxes.count, done: done)
                // A worker that has ended takes no messages, and needs no answer any more.
                for mailbox in self.mailboxes { mailbox.post(.ping(round)) }
            },
            reopenLogs: { self.reopenLogs() },
            graceAlone: grace
        )
    }

    /// Does what signals say, as long as the process lives.
    ///
    /// TERM and QUIT drain; a second one, or INT, ends the process at once.
    func handleSignals() {
        var log = ErrorLog(level: logLevel, source: "main")
        while true {
            switch Signals.wait() {
            case .interrupt:
                log.write(3) { $0.text("stopping at once") }
                Process.exit(ExitCode.ok.rawValue)
            case .terminate where isDraining:
                log.write(3) { $0.text("stopping at once: asked twice") }
                Process.exit(ExitCode.ok.rawValue)
            case .terminate:
                log.write(3) { $0.text("draining: no new connections, requests finish") }
                drain(grace: grace, handsOver: false)
            case .reopenLogs: reopenLogs()
            case .reload: _ = generations.ledger.submit { _ = self.reload(self.generations) }
            case .upgrade:
                log.write(2) { $0.text("USR2: there is no supervisor, which upgrades") }
            }
        }
    }
}
