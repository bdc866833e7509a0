internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Supervisor
internal import Sys

/// A serving process: its workers, and what signals or the supervisor do to them.
struct Serving: ~Copyable {
    private let preparation: Preparation
    private let settings: ProxySettings

    /// Who tells the process what to do.
    enum Master {
        case signals
        case supervisor(SupervisorLink, manifest: [UInt8])
    }

    init(_ preparation: consuming Preparation, settings: ProxySettings) {
        self.preparation = preparation
        self.settings = settings
    }

    /// Serves until the last worker has ended.
    ///
    /// When told to drain it closes its listeners and lets requests finish. Signals must be blocked
    /// (`Signals.block`) before the first thread begins.
    consuming func run(_ master: Master) -> ExitCode {
        let level = settings.logLevel.rawValue
        let workerCount = preparation.plan.workerCount
        var mailboxes: [Mailbox<WorkerMessage>] = []
        var threads: [PinnedThread] = []
        let started = Latch()
        var log = ErrorLog(level: level, source: "main")
        do throws(Errno) {
            for _ in 0..<workerCount { mailboxes.append(try Mailbox()) }
            for index in 0..<workerCount {
                threads.append(
                    Self.startWorker(
                        index,
                        preparation.plan,
                        preparation.listening[index],
                        mailboxes,
                        started
                    )
                )
            }
        } catch {
            log.write(1) { $0.text("a worker could not be started: \(error.description)") }
            return .failure
        }
        // A worker that can't start ends the process.
        started.wait(for: threads.count)
        for warning in preparation.warnings { log.write(2) { $0.text(warning) } }
        let control = WorkerControl(mailboxes, settings, level)
        let hooks = control.hooks
        if case .supervisor(let link, let manifest) = master {
            do throws(SupervisorLink.Failure) {
                let settings = SupervisorSettings(settings)
                try link.ready(workers: workerCount, manifest: manifest, settings: settings)
            } catch {
                log.write(1) { $0.text("supervisor: \(error.reason)") }
                return .failure
            }
        }
        for address in preparation.addresses {
            log.write(3) { $0.text("listening on \(address.text)") }
        }
        log.write(3) { $0.text("ready, workers: \(workerCount)") }
        switch master {
        case .signals: _ = PinnedThread.start(name: "signals") { control.handleSignals() }
        case .supervisor(let link, _): link.follow(hooks, logLevel: level)
        }
        let watch = preparation.watch
        if !watch.isEmpty {
            _ = PinnedThread.start(name: "certificates") { watch.run(level) }
        }
        for thread in threads { thread.join() }
        finish(master, hooks)
        log.write(3) { $0.text("stopped") }
        return .ok
    }

    private consuming func finish(_ master: Master, _ hooks: SupervisorLink.Hooks) {
        if case .supervisor(let link, _) = master { link.finish(hooks) }
        for instance in preparation.instances { instance.destroy() }
        // The supervisor keeps the addresses for the process that follows.
        guard case .signals = master else { return }
        for address in preparation.addresses where address.isUnix {
            File.remove(String(address.text.dropFirst("unix:".count)))
        }
    }

    private static func startWorker(
        _ index: Int,
        _ plan: Plan,
        _ listening: [ListeningSocket],
        _ mailboxes: [Mailbox<WorkerMessage>],
        _ started: Latch
    ) -> PinnedThread {
        PinnedThread.start(name: "worker-\(index)") {
            do throws(Errno) {
                var worker = Worker(
                    index: index,
                    plan: plan,
                    listening: listening,
                    mailbox: mailboxes[index],
                    mailboxes: mailboxes,
                    poller: try Epoll()
                )
                try worker.start()
                started.arrive()
                worker.run()
            } catch {
                // Without one of its workers the process would serve by half.
                File.write("error worker=\(index) can't start: \(error.description)\n", to: 2)
                Process.exit(ExitCode.failure.rawValue)
            }
        }
    }
}

extension SupervisorSettings {
    /// What the supervisor must know of a manifest.
    init(_ settings: ProxySettings) {
        self.init()
        logLevel = Int(settings.logLevel.rawValue)
        crashesMax = settings.lifecycle.restarts.crashes
        crashWindow = settings.lifecycle.restarts.window
        soundAfter = settings.lifecycle.restarts.soundAfter
        waitFirst = settings.lifecycle.restarts.wait
        waitMax = settings.lifecycle.restarts.waitMax
        upgradeTimeout = settings.lifecycle.upgradeTimeout
        grace = settings.lifecycle.shutdownGrace
    }
}
