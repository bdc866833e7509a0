internal import Admin
internal import Proxy
internal import Reactor
internal import Sys

/// What can be asked of running workers as a whole. [any thread]
final class WorkerControl: Sendable {
    /// Milliseconds between two looks for tunnels, once their time of grace is over: a request that
    /// ran until then may become one.
    private static let tunnelsAgain = 1_000

    private let mailboxes: [Mailbox<WorkerMessage>]
    private let grace: Int
    private let logLevel: UInt32

    init(_ mailboxes: [Mailbox<WorkerMessage>], _ settings: ProxySettings, _ logLevel: UInt32) {
        self.mailboxes = mailboxes
        self.logLevel = logLevel
        grace = settings.lifecycle.shutdownGrace
    }

    /// Closes the listeners and lets requests finish; tunnels end after `grace` milliseconds.
    func drain(grace: Int) {
        for mailbox in mailboxes { mailbox.post(.drain) }
        let mailboxes = mailboxes
        _ = PinnedThread.start(name: "grace") {
            Process.sleep(milliseconds: UInt32(grace))
            while true {
                for mailbox in mailboxes { mailbox.post(.endTunnels) }
                Process.sleep(milliseconds: UInt32(Self.tunnelsAgain))
            }
        }
    }

    /// What the supervisor may have this process do.
    var hooks: SupervisorLink.Hooks {
        SupervisorLink.Hooks(
            command: { request in
                let line = "\(request.path): this version does not do that; restart it"
                return .refusal(409, [line])
            },
            drain: { self.drain(grace: $0) },
            ping: { done in
                let round = WorkerRound(workers: self.mailboxes.count, done: done)
                // A worker that has ended takes no messages, and needs no answer any more.
                for mailbox in self.mailboxes { mailbox.post(.ping(round)) }
            },
            reopenLogs: {},
            graceAlone: grace
        )
    }

    /// Does what signals say, as long as the process lives.
    ///
    /// TERM and QUIT drain; a second one, or INT, ends the process at once.
    func handleSignals() {
        var log = ErrorLog(level: logLevel, source: "main")
        var isDraining = false
        while true {
            switch Signals.wait() {
            case .interrupt:
                log.write(3) { $0.text("stopping at once") }
                Process.exit(ExitCode.ok.rawValue)
            case .terminate where isDraining:
                log.write(3) { $0.text("stopping at once: asked twice") }
                Process.exit(ExitCode.ok.rawValue)
            case .terminate:
                isDraining = true
                log.write(3) { $0.text("draining: no new connections, requests finish") }
                drain(grace: grace)
            case .reopenLogs: break
            case .reload:
                log.write(2) { $0.text("HUP: this version does not reload; restart it") }
            case .upgrade:
                log.write(2) { $0.text("USR2: there is no supervisor, which upgrades") }
            }
        }
    }
}
