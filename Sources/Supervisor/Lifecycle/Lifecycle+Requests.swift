internal import Admin
internal import Sys

/// Requests of the admin interface, and what of them goes to the process that serves.
extension Lifecycle {
    /// Whom an answer goes to.
    enum Requester: Equatable {
        /// A request of the admin interface.
        case admin(Int)
        /// A signal, by its name: the answer goes to the log.
        case signal(String)
    }

    /// A request that the serving process is to answer.
    struct Command {
        var id: Int
        var request: AdminRequest
        var requester: Requester
        var process: ID
        /// Milliseconds.
        var deadline: UInt64
    }

    /// A request that is made when the upgrade is over: what it changed in the old process would be
    /// lost to the new one, which has its state already.
    struct Held {
        var request: AdminRequest
        var requester: Requester
        /// Milliseconds.
        var deadline: UInt64
    }

    mutating func handle(_ request: AdminRequest, _ id: Int) {
        switch (request.method, request.path) {
        case ("POST", "/v1/upgrade"): askedToUpgrade(request, id)
        case ("POST", "/v1/stop"):
            if let refusal = request.refusal(unlessMembers: ["fast"]) {
                return answer(.admin(id), refusal)
            }
            let fast = request.body["fast"] ?? .bool(false)
            guard let fast = fast.bool else {
                let line = "fast: expected true or false, found \(fast.text)"
                return answer(.admin(id), .refusal(422, [line]))
            }
            guard fast || stage != .stopping else {
                let line = "it is stopping already; fast ends it at once"
                return answer(.admin(id), .refusal(409, [line]))
            }
            log(3, "asked to stop")
            answer(.admin(id), AdminResponse(200, ["stopping": true]))
            stop(fast: fast)
        case ("POST", "/v1/reopen_logs"):
            actions.append(.reopenLogs)
            answer(.admin(id), AdminResponse(200, ["reopened": true]))
        default: command(request, for: .admin(id))
        }
    }

    private mutating func askedToUpgrade(_ request: AdminRequest, _ id: Int) {
        if let refusal = request.refusal(unlessMembers: ["binary"]) {
            return answer(.admin(id), refusal)
        }
        guard let binary = request.body["binary"], binary != .null else {
            return beginUpgrade(.upgrade(program: program), for: .admin(id))
        }
        guard let path = binary.string, path.hasPrefix("/") else {
            return answer(.admin(id), .refusal(422, ["binary: must be a path from the root"]))
        }
        beginUpgrade(.upgrade(program: path), for: .admin(id))
    }

    /// Passes a request on to the process that serves.
    mutating func command(_ request: AdminRequest, for requester: Requester) {
        // While it drains it can still be looked at.
        let isAnswered = stage == .running || (stage == .stopping && request.method == "GET")
        guard isAnswered, let main = first(.main), main.readyAt != nil else {
            return answer(requester, describe(.refusal(503, [whyNot]), request))
        }
        guard commands.count + held.count < Self.commandsMax else {
            return answer(requester, .refusal(503, ["\(Self.commandsMax) commands are under way"]))
        }
        let deadline = now + UInt64(Self.commandTimeout)
        guard upgrade == nil || request.method == "GET" else {
            held.append(Held(request: request, requester: requester, deadline: deadline))
            return
        }
        lastCommand = lastCommand == ServingMessage.idMax ? 1 : lastCommand + 1
        commands.append(
            Command(
                id: lastCommand,
                request: request,
                requester: requester,
                process: main.id,
                deadline: deadline
            )
        )
        actions.append(.send(main.id, .command(id: lastCommand, request)))
    }

    /// Makes the requests that waited for the end of an upgrade.
    mutating func commandHeld() {
        let waiting = held
        held = []
        for one in waiting { command(one.request, for: one.requester) }
    }

    /// The same, where the program that takes this one's place has to make them.
    mutating func leaveHeld() {
        let waiting = held
        held = []
        for one in waiting {
            if case .signal = one.requester {
                actions.append(.raiseReload)
            } else {
                let reason = "another program takes over at this moment: ask again"
                answer(one.requester, .refusal(503, [reason]))
            }
        }
    }

    mutating func reply(_ id: Int, _ response: AdminResponse) {
        guard let place = commands.firstIndex(where: { $0.id == id }) else { return }
        let command = commands.remove(at: place)
        // What can't be done in place is done by another process.
        if response.status == 409, response.body["replace"]?.bool == true {
            return beginUpgrade(.replace, for: command.requester)
        }
        if response.status == 200 { lift(command.request) }
        answer(command.requester, describe(response, command.request))
    }

    /// A plugin that was reset is out of quarantine for later processes, too.
    private mutating func lift(_ request: AdminRequest) {
        let parts = request.path.split(separator: "/")
        guard request.method == "POST", parts.count == 4, parts[1] == "plugins",
            parts[3] == "reset"
        else { return }
        crashes.quarantine.removeAll { $0.instance == parts[2] }
    }

    mutating func expireCommands() {
        let late =
            commands.filter { $0.deadline <= now }.map(\.requester)
            + held.filter { $0.deadline <= now }.map(\.requester)
        commands.removeAll { $0.deadline <= now }
        held.removeAll { $0.deadline <= now }
        for requester in late {
            let reason = "the serving process does not answer in \(Self.commandTimeout) ms"
            answer(requester, .refusal(503, [reason]))
        }
    }

    mutating func loseCommands(of process: ID) {
        let lost = commands.filter { $0.process == process }
        commands.removeAll { $0.process == process }
        for command in lost {
            answer(command.requester, .refusal(503, ["the serving process has ended"]))
        }
    }

    // MARK: Answers

    mutating func answer(_ requester: Requester, _ response: AdminResponse) {
        switch requester {
        case .admin(let id): actions.append(.answer(id, response))
        case .signal(let name):
            guard !(200..<300 ~= response.status) else {
                return log(3, "\(name): done")
            }
            for problem in response.problems { log(1, "\(name): \(problem)") }
        }
    }

    /// Why no process serves, in words.
    var whyNot: String {
        switch stage {
        case .beginning: "the first process is starting"
        case .running: "a process is starting after a crash: \(crashes.lastLine ?? "")"
        case .waiting: "a restart waits after crashes, the last: \(crashes.lastLine ?? "")"
        case .stopping: "the process is stopping"
        }
    }

    /// Adds what only the supervisor knows to the answer about the status.
    private func describe(_ response: AdminResponse, _ request: AdminRequest) -> AdminResponse {
        guard request.method == "GET", request.path == "/v1/status",
            var members = response.body.members
        else { return response }
        members.append(JSON.Member("supervisor", status))
        return AdminResponse(response.status, .object(members))
    }

    private var status: JSON {
        let main = first(.main)
        return [
            "pid": .integer(Int64(Process.id)),
            "state": .string(stateName),
            "serving_pid": main.map { .integer(Int64($0.process)) } ?? .null,
            "draining_pids": .array(
                processes.filter { $0.role == .leaving }.map { .integer(Int64($0.process)) }
            ),
            "restarts": .integer(Int64(crashes.count)),
            "last_crash": crashes.lastLine.map { .string($0) } ?? .null,
            "quarantine": .array(crashes.quarantine.map(\.json)),
        ]
    }

    private var stateName: String {
        switch stage {
        case .beginning: "starting"
        case .running where upgrade != nil: "upgrading"
        case .running: first(.main)?.readyAt == nil ? "restarting" : "serving"
        case .waiting: "waiting"
        case .stopping: "stopping"
        }
    }
}
