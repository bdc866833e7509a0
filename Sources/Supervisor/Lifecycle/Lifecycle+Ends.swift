internal import Admin
internal import Sys

/// Processes that end: because they were told to, or by themselves.
extension Lifecycle {
    /// Exit code when the first process does not come to serve for another reason than its own.
    private static let failure: Int32 = 1

    // MARK: Stopping

    /// Closes the addresses, and has all processes end.
    ///
    /// - Parameters:
    ///   - fast: does not wait for requests.
    ///   - handsOver: an unrelated process serves on.
    mutating func stop(fast: Bool, handsOver: Bool = false) {
        let isFirst = stage != .stopping
        stage = .stopping
        if isFirst {
            abortUpgrade("the process is stopping", 409)
            // Before the process closes its own: then the queue that it empties is the last one.
            actions.append(.closeSockets)
        }
        for process in processes {
            if fast || process.role == .next {
                end(process.id, for: "the process is stopping")
            } else if isFirst {
                // Also one that drains: it keeps idle connections while another one serves on.
                let drain = SupervisorMessage.drain(grace: settings.grace, handsOver: handsOver)
                actions.append(.send(process.id, drain))
            }
        }
        exitWhenEmpty()
    }

    private mutating func exitWhenEmpty() {
        guard stage == .stopping, processes.isEmpty else { return }
        actions.append(.exit(0))
    }

    // MARK: Ends

    mutating func notStarted(_ id: ID, _ error: Errno) {
        guard let place = place(id) else { return }
        processes[place].problems = ["\(program): \(error.description)"]
        log(1, "no serving process: \(program): \(error.description)")
        ended(id, .exited(Self.failure), nil)
    }

    mutating func ended(_ id: ID, _ ending: ChildProcess.Ending, _ report: CrashReport?) {
        guard let place = place(id) else { return }
        let process = processes.remove(at: place)
        loseCommands(of: id)
        switch process.role {
        case .leaving:
            if stage != .stopping || ending != .exited(0) {
                log(
                    ending == .exited(0) ? 3 : 1,
                    "process \(process.process) that drained \(words(process, ending))"
                )
            }
        case .next:
            let reason = process.killedFor ?? "the new process \(words(process, ending))"
            let line = reason + (report.map { "; \($0.line)" } ?? "")
            abortUpgrade(process.problems.isEmpty ? [line] : process.problems, 422)
        case .main: mainEnded(process, ending, report)
        }
        exitWhenEmpty()
    }

    /// How a process ended, as it goes on after its number.
    private func words(_ process: Serving, _ ending: ChildProcess.Ending) -> String {
        switch ending {
        case .exited(let code): "ended with status \(code)"
        case .signalled(let number):
            "ended by \(ChildProcess.Ending.signalName(number))"
                + (process.killedFor.map { ": \($0)" } ?? "")
        }
    }

    private mutating func mainEnded(
        _ process: Serving,
        _ ending: ChildProcess.Ending,
        _ report: CrashReport?
    ) {
        guard stage != .stopping else { return }
        guard stage != .beginning else { return failedToBegin(process, ending) }
        let line = "process \(process.process) \(words(process, ending))"
        log(1, line + (report.map { "; \($0.line)" } ?? ""))
        crashes.lastLine = line + (report.map { "; \($0.line)" } ?? "")
        let wait = crashes.note(at: now, settings)
        if let report, let plugin = report.plugin, isHalted(by: report, plugin) { return }
        if crashes.fallBack() {
            log(
                2,
                "the manifest crashed \(Self.manifestCrashesMax) times: back to the last sound one"
            )
        }
        guard wait > 0 else {
            startMain()
            return
        }
        log(
            1,
            "crashes: \(crashes.times.count) in \(settings.crashWindow) ms; restart in \(wait) ms"
        )
        stage = .waiting(until: now + UInt64(wait))
    }

    /// Does what a plugin's `on_crash` says; true when that is to end.
    private mutating func isHalted(by report: CrashReport, _ plugin: Quarantined) -> Bool {
        switch report.policy {
        case .restart: return false
        case .quarantine:
            guard !crashes.quarantine.contains(plugin),
                crashes.quarantine.count < Quarantined.countMax
            else { return false }
            crashes.quarantine.append(plugin)
            log(
                1,
                "plugin \(plugin.instance) is in quarantine: sluice plugin reset \(plugin.instance)"
            )
            return false
        case .halt:
            log(1, "plugin \(plugin.instance): on_crash is halt: stopping")
            for process in processes { end(process.id, for: "on_crash is halt") }
            actions.append(.closeSockets)
            actions.append(.exit(Self.failure))
            return true
        }
    }

    /// The first process did not come to serve: whoever started the supervisor is told by its code.
    private mutating func failedToBegin(_ process: Serving, _ ending: ChildProcess.Ending) {
        actions.append(.closeSockets)
        switch ending {
        case .exited(let code):
            actions.append(.exit(code == 0 ? Self.failure : code))
        case .signalled:
            log(1, "the first process \(words(process, ending)) before it served")
            actions.append(.exit(Self.failure))
        }
    }
}
