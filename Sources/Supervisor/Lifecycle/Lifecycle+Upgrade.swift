internal import Admin
internal import Sys

/// Another process that takes the place of the one that serves.
extension Lifecycle {
    /// What takes its place.
    enum UpgradeKind: Equatable {
        /// Another process of the same program, with the manifest as it is now.
        case replace
        /// The same with what is served now: the process asked for it, and nobody changed anything.
        case renew
        /// Another program, also in place of the supervisor.
        case upgrade(program: String)
    }

    /// A replacement under way.
    struct Upgrade {
        var kind: UpgradeKind
        var requester: Requester
        /// The process that is to serve.
        var id: ID
        /// Milliseconds.
        var deadline: UInt64
        /// Until when the state of the old process is waited for; nil when that is over.
        var exportDeadline: UInt64?
        var state: SharedDescriptor?
        /// It has said hello, and waits for its start.
        var isWaiting = false
        /// It serves, and was asked to show that its workers turn.
        var ready: Ready?
        /// This process is about to become the other program.
        var isCommitted = false
    }

    /// The one export or ping at a time, so that an id of 0 stays free for the last state.
    private static let exchangeID = 1

    mutating func beginUpgrade(_ kind: UpgradeKind, for requester: Requester) {
        guard stage == .running, let main = first(.main), main.readyAt != nil else {
            return answer(requester, .refusal(503, [whyNot]))
        }
        guard upgrade == nil else {
            return answer(requester, .refusal(409, ["another upgrade is under way"]))
        }
        let leaving = processes.filter { $0.role == .leaving && $0.killedFor == nil }
        if leaving.count >= Self.leavingMax, let oldest = leaving.first {
            guard now - oldest.leavingSince >= UInt64(settings.grace) else {
                let reason = "\(leaving.count) processes still drain: try again later"
                return answer(requester, .refusal(409, [reason]))
            }
            log(2, "process \(oldest.process) is ended: \(leaving.count - 1) others drain, too")
            end(oldest.id, for: "too many processes drain")
        }
        let program = if case .upgrade(let other) = kind { other } else { self.program }
        log(3, "starting another process: \(program)")
        let id = start(.next, program)
        actions.append(.send(main.id, .export(id: Self.exchangeID)))
        upgrade = Upgrade(
            kind: kind,
            requester: requester,
            id: id,
            deadline: now + UInt64(settings.upgradeTimeout),
            exportDeadline: now + UInt64(Self.exportTimeout)
        )
    }

    /// Ends it without a change.
    mutating func abortUpgrade(_ reasons: [String], _ status: Int) {
        guard let ended = upgrade else { return }
        upgrade = nil
        if case .admin = ended.requester {
            for reason in reasons { log(1, "upgrade: \(reason)") }
        }
        end(ended.id, for: reasons.first ?? "the upgrade has failed")
        actions.append(.keepSockets(processes.filter { $0.role == .main }.map(\.id)))
        answer(ended.requester, .refusal(status, reasons))
        commandHeld()
    }

    mutating func abortUpgrade(_ reason: String, _ status: Int) {
        abortUpgrade([reason], status)
    }

    mutating func expireUpgrade() {
        guard let upgrade, !upgrade.isCommitted else { return }
        if upgrade.deadline <= now {
            let time = settings.upgradeTimeout
            let what = upgrade.ready == nil ? "does not serve" : "does not answer"
            abortUpgrade("the new process \(what) after upgrade.timeout, \(time) ms", 422)
        } else if let time = upgrade.exportDeadline, time <= now {
            log(2, "upgrade: the old process does not give its state in \(Self.exportTimeout) ms")
            self.upgrade?.exportDeadline = nil
            startNext()
        }
    }

    // MARK: Steps

    mutating func nextSaidHello(_ place: Int, _ resume: Int) {
        guard upgrade?.id == processes[place].id else { return }
        if case .upgrade? = upgrade?.kind, resume != ResumeState.version {
            abortUpgrade(
                "the other program takes up state \(resume) of a supervisor, this one has"
                    + " \(ResumeState.version): restart instead",
                422
            )
            return
        }
        upgrade?.isWaiting = true
        startNext()
    }

    mutating func exported(_ place: Int, _ id: Int, _ file: SharedDescriptor?) {
        if id == Self.exchangeID, processes[place].role == .main {
            upgrade?.state = file
            upgrade?.exportDeadline = nil
            startNext()
        } else if id == 0, let file, let main = first(.main), processes[place].role == .leaving {
            actions.append(.send(main.id, .importState(file)))
        }
    }

    /// Has the new process begin, once it listens and the state for it is there.
    private mutating func startNext() {
        guard let current = upgrade, current.isWaiting, current.exportDeadline == nil else {
            return
        }
        upgrade?.isWaiting = false
        var start = SupervisorMessage.Start()
        start.quarantine = crashes.quarantine
        start.state = current.state
        if current.kind == .renew { start.manifest = crashes.manifestFile }
        actions.append(.send(current.id, .start(start)))
    }

    mutating func nextIsReady(_ place: Int, _ ready: Ready) {
        guard upgrade?.id == processes[place].id else { return }
        upgrade?.ready = ready
        actions.append(.send(processes[place].id, .ping(id: Self.exchangeID)))
    }

    /// The workers of a process turn.
    mutating func probed(_ place: Int) {
        guard let current = upgrade, current.id == processes[place].id, current.ready != nil,
            !current.isCommitted, stage != .stopping
        else { return }
        let process = processes[place].process
        answer(
            current.requester,
            AdminResponse(200, ["serving_pid": .integer(Int64(process))])
        )
        switch current.kind {
        case .replace, .renew: promote()
        case .upgrade(let program):
            upgrade?.isCommitted = true
            leaveHeld()
            actions.append(.become(program: program))
        }
    }

    /// The new process is the one that serves; the old one drains.
    mutating func promote() {
        guard let current = upgrade, let next = place(current.id) else { return }
        upgrade = nil
        if stage != .stopping { stage = .running }
        for place in processes.indices where processes[place].role == .main {
            processes[place].role = .leaving
            processes[place].leavingSince = now
            let drain = SupervisorMessage.drain(grace: settings.grace, handsOver: true)
            actions.append(.send(processes[place].id, drain))
            log(3, "process \(processes[place].process) drains")
        }
        processes[next].role = .main
        log(3, "process \(processes[next].process) serves")
        commandHeld()
        if let ready = current.ready { serves(processes[next], ready) }
    }

    mutating func notReplaced(_ error: Errno) {
        upgrade?.isCommitted = false
        // It was answered already.
        upgrade?.requester = .signal("upgrade")
        abortUpgrade("this process can't become the other program: \(error.description)", 500)
    }
}
