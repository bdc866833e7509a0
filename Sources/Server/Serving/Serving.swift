internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// A serving process: its workers, and what signals do to them.
struct Serving: ~Copyable {
    private let preparation: Preparation
    /// The name of the manifest.
    private let manifest: String
    private let logLevel: LogLevel
    private var admin: AdminEntrance?

    init(
        _ preparation: consuming Preparation,
        manifest: String,
        logLevel: LogLevel,
        admin: consuming AdminEntrance?
    ) {
        self.preparation = preparation
        self.manifest = manifest
        self.logLevel = logLevel
        self.admin = admin
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
        if let warning = admin?.warning { log.write(2) { $0.text(warning) } }
        for address in preparation.addresses {
            log.write(3) { $0.text("listening on \(address.text)") }
        }
        if let address = admin?.address {
            log.write(3) { $0.text("admin interface on \(address.text)") }
        }
        let level = logLevel.rawValue
        let control = ServingControl(
            ServingControl.Facts(
                manifest: manifest,
                addresses: preparation.addresses,
                instances: preparation.instances,
                workerCount: preparation.plan.workerCount,
                logLevel: level
            ),
            mailboxes
        )
        let adminAddress = admin?.address
        let server: AdminServer?
        do throws(Errno) {
            server = try admin.take()?.open(to: control, logLevel: level)
        } catch {
            log.write(1) { $0.text("admin: \(error.description)") }
            return .failure
        }
        log.write(3) { $0.text("ready, workers: \(preparation.plan.workerCount)") }
        _ = PinnedThread.start(name: "signals") { Self.handleSignals(control, level) }
        let watch = preparation.watch
        if !watch.isEmpty {
            _ = PinnedThread.start(name: "certificates") { watch.run(level) }
        }
        for thread in threads { thread.join() }
        server?.stop()
        if let adminAddress { AdminEntrance.removeFile(of: adminAddress) }
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

    private static func handleSignals(_ control: ServingControl, _ level: UInt32) -> Never {
        var log = ErrorLog(level: level, source: "main")
        while true {
            switch Signals.wait() {
            case .interrupt: control.stopAtOnce()
            case .terminate: if !control.drain() { control.stopAtOnce("asked twice") }
            case .reopenLogs: break
            case .reload:
                log.write(2) { $0.text("HUP: this version does not reload; restart it") }
            case .upgrade:
                log.write(2) { $0.text("USR2: this version does not upgrade; restart it") }
            }
        }
    }
}
