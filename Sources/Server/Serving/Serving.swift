internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Supervisor
internal import Sys

/// A serving process: its workers, and what signals or the supervisor do to them.
struct Serving: ~Copyable {
    /// Who tells the process what to do.
    enum Master {
        case signals
        /// With the manifest's text.
        case supervisor(SupervisorLink, [UInt8])
    }

    private let running: Running
    private let warnings: [String]
    private let source: any ListenerSource
    private let manifest: String
    private let surroundings: ManifestSurroundings
    private var admin: AdminEntrance?

    /// - Parameters:
    ///   - manifest: its file, which a reload reads.
    ///   - source: where the sockets came from.
    ///   - admin: where commands are taken; nil when the supervisor takes them, or nobody.
    init(
        _ preparation: Preparation,
        _ source: any ListenerSource,
        manifest: String,
        _ surroundings: ManifestSurroundings,
        admin: consuming AdminEntrance? = nil
    ) {
        running = preparation.running
        warnings = preparation.warnings
        self.source = source
        self.manifest = manifest
        self.surroundings = surroundings
        self.admin = admin
        PeerDirectory.shared.publish(running.plan.directory(running.settings))
    }

    /// Serves until the last worker has ended.
    ///
    /// When told to drain it closes its listeners and lets requests finish. Signals must be blocked
    /// (`Signals.block`) before the first thread begins.
    consuming func run(_ master: Master) -> ExitCode {
        let level = running.settings.logLevel.rawValue
        var mailboxes: [Mailbox<WorkerMessage>] = []
        var threads: [PinnedThread] = []
        let started = Latch()
        let ledger = GenerationLedger()
        var log = ErrorLog(level: level, source: "main")
        do throws(Errno) {
            for _ in 0..<running.plan.workerCount { mailboxes.append(try Mailbox()) }
        } catch {
            log.write(1) { $0.text("a worker could not be started: \(error.description)") }
            return .failure
        }
        for index in 0..<running.plan.workerCount {
            threads.append(Self.startWorker(index, running, mailboxes, ledger, started))
        }
        // A worker that can't start ends the process.
        started.wait(for: threads.count)
        for warning in warnings { log.write(2) { $0.text(warning) } }
        if case .supervisor(let link, let text) = master {
            do throws(SupervisorLink.Failure) {
                try link.ready(text, running.settings, workers: running.plan.workerCount)
            } catch {
                log.write(1) { $0.text("supervisor: \(error.reason)") }
                return .failure
            }
        }
        for sockets in running.sockets {
            log.write(3) { $0.text("listening on \(sockets.address.text)") }
        }
        log.write(3) { $0.text("ready, workers: \(running.plan.workerCount)") }
        let generations = Generations(
            running,
            mailboxes: mailboxes,
            ledger: ledger,
            source: source
        )
        let hangTime = running.settings.hangTime
        if hangTime > 0 {
            let hang = UInt64(hangTime) * 1_000_000
            _ = PinnedThread.start(name: "watchdog") { Watchdog.run(hang: hang) }
        }
        let control = PinnedThread.start(name: "control") { generations.work() }
        let workers = WorkerControl(mailboxes, generations, manifest: manifest, surroundings)
        let commands = ServingControl(workers, generations, manifest: manifest, surroundings)
        let hooks = workers.hooks { commands.answer($0) }
        let adminAddress = admin?.address
        let server: AdminServer?
        do throws(Errno) {
            server = try admin.take()?.open(to: commands, &log)
        } catch {
            log.write(1) { $0.text("admin: \(error.description)") }
            return .failure
        }
        switch master {
        case .signals: _ = PinnedThread.start(name: "signals") { workers.handleSignals() }
        case .supervisor(let link, let bytes):
            Self.follow(link, bytes, generations)
            link.follow(hooks, logLevel: level)
        }
        for thread in threads { thread.join() }
        server?.stop()
        if let adminAddress { AdminEntrance.removeFile(of: adminAddress) }
        ledger.close()
        control.join()
        if case .supervisor(let link, _) = master { link.finish(hooks) }
        generations.end()
        log.write(3) { $0.text("stopped") }
        return .ok
    }

    /// What the supervisor is told of generations.
    private static func follow(
        _ link: SupervisorLink,
        _ bytes: [UInt8],
        _ generations: Generations
    ) {
        generations.manifest = ServedManifest(bytes)
        generations.wantsReplacement = { try? link.askForReplacement(reason: $0) }
        generations.served = { text, settings, count in
            try? link.ready(text, settings, workers: count)
        }
    }

    private static func startWorker(
        _ index: Int,
        _ running: Running,
        _ mailboxes: [Mailbox<WorkerMessage>],
        _ ledger: GenerationLedger,
        _ started: Latch
    ) -> PinnedThread {
        let (plan, listening) = (running.plan, running.listening(ofWorker: index))
        return PinnedThread.start(name: "worker-\(index)") {
            do throws(Errno) {
                var worker = Worker(
                    index: index,
                    plan: plan,
                    listening: listening,
                    mailbox: mailboxes[index],
                    mailboxes: mailboxes,
                    reports: ledger.reports,
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

extension SupervisorLink {
    /// Says that this process serves a manifest.
    ///
    /// - Parameter text: the manifest's.
    func ready(_ text: [UInt8], _ settings: ProxySettings, workers: Int) throws(Failure) {
        try ready(workers: workers, manifest: text, settings: SupervisorSettings(settings))
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
        admin = settings.admin.map {
            AdminPlace(address: $0.address, tokenFile: $0.tokenFile, page: $0.page)
        }
    }
}
