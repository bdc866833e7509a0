internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// A serving process: its workers, and what signals do to them.
struct Serving: ~Copyable {
    private let preparation: Preparation
    private let logLevel: LogLevel
    private let hangTime: Int

    /// - Parameter settings: those that the preparation was made of.
    init(_ preparation: consuming Preparation, _ settings: ProxySettings) {
        self.preparation = preparation
        logLevel = settings.logLevel
        hangTime = settings.hangTime
    }

    /// Serves until the last worker has ended.
    ///
    /// TERM and QUIT close the listeners and let requests finish; a second one, or INT, ends the
    /// process at once. Signals must be blocked (`Signals.block`) before the first thread begins.
    consuming func run() -> ExitCode {
        var mailboxes: [Mailbox<WorkerMessage>] = []
        var threads: [PinnedThread] = []
        let started = Latch()
        var log = ErrorLog(level: logLevel.rawValue, source: "main")
        do throws(Errno) {
            for _ in 0..<preparation.plan.workerCount { mailboxes.append(try Mailbox()) }
            for index in 0..<preparation.plan.workerCount {
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
        for address in preparation.addresses {
            log.write(3) { $0.text("listening on \(address.text)") }
        }
        log.write(3) { $0.text("ready, workers: \(preparation.plan.workerCount)") }
        let boxes = mailboxes
        let level = logLevel.rawValue
        _ = PinnedThread.start(name: "signals") { Self.handleSignals(boxes, level) }
        if hangTime > 0 {
            let hang = UInt64(hangTime) * 1_000_000
            _ = PinnedThread.start(name: "watchdog") { Watchdog.run(hang: hang) }
        }
        let watch = preparation.watch
        if !watch.isEmpty {
            _ = PinnedThread.start(name: "certificates") { watch.run(level) }
        }
        for thread in threads { thread.join() }
        for instance in preparation.instances { instance.destroy() }
        for address in preparation.addresses where address.isUnix {
            File.remove(String(address.text.dropFirst("unix:".count)))
        }
        log.write(3) { $0.text("stopped") }
        return .ok
    }

    private static func startWorker(
        _ index: Int,
        _ plan: Plan,
        _ listening: [Int32],
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

    private static func handleSignals(_ mailboxes: [Mailbox<WorkerMessage>], _ level: UInt32) {
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
            case .reload:
                log.write(2) { $0.text("HUP: this version does not reload; restart it") }
            case .upgrade:
                log.write(2) { $0.text("USR2: this version does not upgrade; restart it") }
            }
        }
    }
}
