internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// A serving process: its workers, and what signals do to them.
struct Serving: ~Copyable {
    private let running: Running
    private let warnings: [String]
    private let source: any ListenerSource
    private let manifest: String
    private let surroundings: ManifestSurroundings

    /// - Parameters:
    ///   - manifest: its file, which a reload reads.
    ///   - source: where the sockets came from.
    init(
        _ preparation: Preparation,
        _ source: any ListenerSource,
        manifest: String,
        _ surroundings: ManifestSurroundings
    ) {
        running = preparation.running
        warnings = preparation.warnings
        self.source = source
        self.manifest = manifest
        self.surroundings = surroundings
    }

    /// Serves until the last worker has ended.
    ///
    /// TERM and QUIT close the listeners and let requests finish; a second one, or INT, ends the
    /// process at once. HUP reads the manifest again. Signals must be blocked (`Signals.block`)
    /// before the first thread begins.
    consuming func run() -> ExitCode {
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
        let control = PinnedThread.start(name: "control") { generations.work() }
        let (boxes, file, around) = (mailboxes, manifest, surroundings)
        _ = PinnedThread.start(name: "signals") {
            Self.handleSignals(boxes, level) {
                _ = generations.ledger.submit { _ = generations.reload(file, around, isDry: false) }
            }
        }
        for thread in threads { thread.join() }
        ledger.close()
        control.join()
        generations.end()
        log.write(3) { $0.text("stopped") }
        return .ok
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

    private static func handleSignals(
        _ mailboxes: [Mailbox<WorkerMessage>],
        _ level: UInt32,
        reload: () -> Void
    ) {
        var log = ErrorLog(level: level, source: "main")
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
                for mailbox in mailboxes { mailbox.post(.drain) }
            case .reopenLogs: break
            case .reload: reload()
            case .upgrade:
                log.write(2) { $0.text("USR2: this version does not upgrade; restart it") }
            }
        }
    }
}
