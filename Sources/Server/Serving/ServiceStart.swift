internal import Proxy
internal import Supervisor
internal import Sys

/// The start of `sluice run` as a service of its machine: into the background, its pid file, its
/// user, and what it takes from others.
///
/// All of it happens before the first thread and the first child, which get no more than they need.
struct ServiceStart {
    let terminal: Terminal
    let order: Command.RunOrder

    enum Outcome {
        case supervise(Service)
        /// This process has nothing to serve.
        case end(ExitCode)
    }

    /// Why the service can't start.
    private struct Failure: Error {
        var line: String
        var code = ExitCode.configuration
    }

    // MARK: With a supervisor

    /// Makes this process what the supervisor runs in.
    func supervised(_ settings: ServiceSettings) -> Outcome {
        Signals.ignorePipe()
        do throws(Failure) {
            return try start(settings)
        } catch {
            terminal.complain(error.line)
            return .end(error.code)
        }
    }

    private func start(_ settings: ServiceSettings) throws(Failure) -> Outcome {
        let environment = ServiceEnvironment.take()
        let identity = try identity(settings)
        try prepareLog(settings.errorLog, identity)
        var report: Daemon.Report?
        if order.isDaemon {
            switch try detach() {
            case .starter(let code):
                return .end(code.map { ExitCode(rawValue: $0) ?? .failure } ?? .failure)
            case .daemon(let made): report = made
            }
        }
        let path = order.pidFile ?? settings.pidFile
        // The process that serves now has it still.
        var pidFile: PIDFile?
        if order.takeOver == nil, let path {
            do throws(PIDFile.Failure) {
                pidFile = try PIDFile.take(path)
            } catch {
                throw Failure(line: "\(place("pid_file")): \(path): \(error)", code: .failure)
            }
        }
        do throws(Failure) {
            try become(identity, pidFile)
            try checkLog(settings.errorLog)
            let options = try options(settings, environment)
            return .supervise(Service(options, pidFile: pidFile.take(), report: report))
        } catch {
            pidFile.take()?.remove()
            throw error
        }
    }

    private func place(_ key: String) -> String { "\(order.manifest): \(key)" }

    private func identity(_ settings: ServiceSettings) throws(Failure) -> Identity {
        do throws(Identity.Failure) {
            return try Identity(
                user: order.user ?? settings.user,
                group: order.group ?? settings.group
            )
        } catch {
            throw Failure(line: "\(order.manifest): \(error.text)")
        }
    }

    private func detach() throws(Failure) -> Daemon.Side {
        do throws(Errno) {
            return try Daemon.detach()
        } catch {
            throw Failure(line: "sluice: no daemon: \(error.description)", code: .failure)
        }
    }

    private func become(
        _ identity: Identity,
        _ pidFile: borrowing PIDFile?
    ) throws(Failure) {
        do throws(Identity.Failure) {
            if !identity.isCurrent { try? pidFile?.give(to: identity) }
            try identity.assume()
        } catch {
            throw Failure(line: "\(order.manifest): \(error.text)")
        }
    }

    /// Makes a log file that is not there yet, for the user who is to write to it.
    private func prepareLog(_ path: String?, _ identity: Identity) throws(Failure) {
        guard let path, !File.exists(path) else { return }
        do throws(Errno) {
            let file = try ErrorOutput.open(path)
            if !identity.isCurrent { try ErrorOutput.give(file, to: identity) }
        } catch {
            throw Failure(line: "\(place("error_log")): \(path): \(error.description)")
        }
    }

    /// Whether the file can be written as the user that this process is by now.
    private func checkLog(_ path: String?) throws(Failure) {
        guard let path else { return }
        do throws(Errno) {
            _ = try ErrorOutput.open(path)
        } catch {
            throw Failure(line: "\(place("error_log")): \(path): \(error.description)")
        }
    }

    /// What comes from others: a service manager, and the process that serves now.
    private func options(
        _ settings: ServiceSettings,
        _ environment: ServiceEnvironment
    ) throws(Failure) -> ServiceOptions {
        var options = ServiceOptions()
        options.manager = environment.manager
        options.isDaemon = order.isDaemon
        options.errorLog = settings.errorLog
        options.pidFile = order.pidFile ?? settings.pidFile
        options.takeOver = settings.takeOver.map { .init(path: $0.path, timeout: $0.timeout) }
        let (activated, problems) = InheritedSocket.take(environment)
        options.inherited = activated
        options.warnings = environment.problems + problems
        guard let path = order.takeOver else { return options }
        do throws(TakeOverFailure) {
            let guest = try TakeOverGuest(path: path)
            options.guest = guest
            options.inherited += guest.sockets
        } catch {
            throw Failure(line: "sluice: --take-over \(path): \(error.reason)", code: .failure)
        }
        return options
    }

    // MARK: Without

    /// Makes this process what serves by itself; the code to end with, if it can't be.
    func directly(_ settings: ServiceSettings) -> ExitCode? {
        let idle = [
            ("pid_file", settings.pidFile != nil), ("error_log", settings.errorLog != nil),
            ("take_over", settings.takeOver != nil),
        ]
        for (key, isSet) in idle where isSet {
            terminal.complain("\(place(key)): warning: has no effect without the supervisor")
        }
        do throws(Failure) {
            try become(try identity(settings), nil)
            return nil
        } catch {
            terminal.complain(error.line)
            return error.code
        }
    }
}
