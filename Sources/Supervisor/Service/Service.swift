internal import Admin
internal import Reactor
package import Sys

/// The supervisor as a part of its machine: what it tells a service manager, its pid file and its
/// log file, and handing its sockets to another process.
///
/// Only the supervisor's thread uses it. Nothing here stops the proxy: what goes wrong after the
/// start is a line in the log.
package final class Service {
    /// What the supervisor does, as far as others are told.
    package enum Activity: Equatable, Sendable {
        case starting
        case serving
        /// It serves, and is about to serve something else.
        case changing
        /// Nothing serves; why.
        case interrupted(String)
        case stopping
    }

    let options: ServiceOptions
    private var pidFile: PIDFile?
    private var report: Daemon.Report?
    private var takeOver: TakeOverHost?
    private var activity = Activity.starting
    private var hasServed = false
    private var isHandedOver = false
    /// Milliseconds at which the serving process is asked for a sign of life.
    private var nextPing: UInt64?
    private var log = Supervisor.makeLog(level: 3)

    /// - Parameters:
    ///   - pidFile: nil where there is none, or where the process that serves now still has it.
    ///   - report: of a daemon, to the process that started it.
    package init(
        _ options: ServiceOptions,
        pidFile: consuming PIDFile?,
        report: Daemon.Report?
    ) {
        self.options = options
        self.pidFile = pidFile
        self.report = report
    }

    /// Sockets that another process made.
    var inherited: [InheritedSocket] { options.inherited }

    var warnings: [String] { options.warnings }

    /// Whether another process still has what this one is to take over.
    var isWaitingForOther: Bool { options.guest != nil && !hasServed }

    func setLogLevel(_ level: Int) { log = Supervisor.makeLog(level: level) }

    // MARK: What it does

    /// Tells those who want to know what the supervisor does now.
    ///
    /// The first time that it serves, everything happens that waits for that.
    ///
    /// - Throws: it must not serve, for another process does.
    /// - Returns: the log file that all processes are to write to from now on, if there is one.
    func announce(
        _ now: Activity,
        workers: Int
    ) throws(TakeOverFailure) -> SharedDescriptor? {
        guard now != activity else { return nil }
        var file: SharedDescriptor?
        if now == .serving, !hasServed {
            file = try begin()
            hasServed = true
        }
        activity = now
        tell(workers)
        return file
    }

    private func tell(_ workers: Int) {
        guard let manager = options.manager else { return }
        switch activity {
        case .starting: break
        case .serving:
            // After a take-over this may be another process than the service manager's.
            let word = workers == 1 ? "worker" : "workers"
            let status = ServiceManager.State.status("serving, \(workers) \(word)")
            manager.tell(.ready, .mainProcess(Process.id), status)
        case .changing:
            let time = Clock.kernelNanoseconds()
            manager.tell(.reloading(monotonicNanoseconds: time), .status("changing what is served"))
        case .interrupted(let reason): manager.tell(.status(reason))
        // The process that took over is the unit's own from now on, and goes on.
        case .stopping where isHandedOver: break
        case .stopping: manager.tell(.stopping, .status("finishing requests"))
        }
    }

    /// What waits until the process serves.
    private func begin() throws(TakeOverFailure) -> SharedDescriptor? {
        if let guest = options.guest {
            try guest.finish()
            log.write(3) { $0.text("the process that served before drains") }
            takePIDFile()
        }
        listenForTakeOver(replacing: options.guest != nil)
        let file = moveOutput()
        endReport(code: 0)
        return file
    }

    /// What is held by now, after an `execve`.
    func goOn() {
        hasServed = true
        activity = .changing
        listenForTakeOver(replacing: true)
    }

    /// The number of the pid file's descriptor, which holds its lock.
    var pidFileDescriptor: Int32? { pidFile?.number }

    private func takePIDFile() {
        guard pidFile == nil, let path = options.pidFile else { return }
        do throws(PIDFile.Failure) {
            pidFile = try PIDFile.take(path)
        } catch {
            log.write(1) { $0.text("pid_file: \(path): \(error)") }
        }
    }

    private func listenForTakeOver(replacing: Bool) {
        guard let place = options.takeOver else { return }
        do throws(Errno) {
            let listener = try MessageListener(
                path: place.path,
                mode: 0o600,
                replacing: replacing
            )
            takeOver = TakeOverHost(listener, timeout: place.timeout)
        } catch {
            log.write(1) { $0.text("take_over.listen: unix:\(place.path): \(error.description)") }
        }
    }

    /// Lets go of the outputs that the process was started with.
    private func moveOutput() -> SharedDescriptor? {
        do throws(Errno) {
            if options.errorLog != nil { return reopenLog() }
            guard options.isDaemon else { return nil }
            let nothing = SharedDescriptor(try ErrorOutput.open("/dev/null"))
            try ErrorOutput.redirect(to: nothing.number)
            return nothing
        } catch {
            log.write(1) { $0.text("the outputs can't be let go of: \(error.description)") }
            return nil
        }
    }

    private func endReport(code: Int32) {
        report?.end(code: code)
        report = nil
    }

    /// Opens the log file again, after it was renamed; nil when there is none.
    ///
    /// What can't be opened leaves the lines where they go now.
    func reopenLog() -> SharedDescriptor? {
        guard let path = options.errorLog else { return nil }
        do throws(Errno) {
            let file = SharedDescriptor(try ErrorOutput.open(path))
            try ErrorOutput.redirect(to: file.number)
            return file
        } catch {
            log.write(1) { $0.text("error_log: \(path): \(error.description)") }
            return nil
        }
    }

    /// The end: of the process, with this code, or of its start.
    func end(code: Int32) {
        if !isHandedOver { takeOver?.close() }
        takeOver = nil
        pidFile.take()?.remove()
        endReport(code: code)
    }

    // MARK: Signs of life

    /// Whether it is time to ask the serving process for a sign of life.
    ///
    /// - Parameter now: milliseconds.
    func mustPing(now: UInt64) -> Bool {
        guard let interval = options.manager?.aliveNanoseconds else { return false }
        guard let next = nextPing, now < next else {
            nextPing = now + max(interval / 1_000_000, 1)
            return true
        }
        return false
    }

    /// The serving process has given one.
    func isAlive() { options.manager?.tell(.alive) }

    // MARK: Take-over

    /// What to wait for.
    var descriptors: [Int32] { takeOver?.descriptors ?? [] }

    /// Milliseconds at which `turn` is to be called at the latest; nil is never.
    var deadline: UInt64? {
        // Rounded up, so that the time has come when it is looked at.
        let end = takeOver?.deadline.map { $0 / 1_000_000 + 1 }
        guard options.manager?.aliveNanoseconds != nil else { return end }
        return min(end ?? .max, nextPing ?? 0)
    }

    /// What has become of a process that takes over.
    enum TakeOverResult: Equatable {
        /// It has not, and will not: this one goes on with everything.
        case failed
        /// It has: this one is to drain.
        case done
    }

    /// Goes on with a process that takes over; nil as long as nothing is decided.
    ///
    /// - Parameters:
    ///   - sockets: all listening sockets.
    ///   - prepare: lets go of what the other process needs when it serves.
    func turn(
        sockets: () -> [SharedDescriptor],
        prepare: () -> Void
    ) -> TakeOverResult? {
        guard takeOver != nil, !isHandedOver else { return nil }
        let events = takeOver?.turn(
            now: Clock.kernelNanoseconds(),
            sockets: sockets,
            prepare: {
                pidFile.take()?.remove()
                prepare()
            }
        )
        var result: TakeOverResult?
        for event in events ?? [] {
            switch event {
            case .began(let process):
                log.write(3) { $0.text("process \(process) takes over, and starts") }
            case .failed(let process, let reason):
                log.write(2) { $0.text("process \(process) does not take over: \(reason)") }
                takePIDFile()
                result = .failed
            case .handedOver(let process):
                log.write(3) { $0.text("process \(process) has taken over") }
                options.manager?.tell(.mainProcess(process))
                takeOver = nil
                isHandedOver = true
                result = .done
            }
        }
        return result
    }
}
