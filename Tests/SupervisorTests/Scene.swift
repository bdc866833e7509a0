import Admin
import Sys
import Testing

@testable import Supervisor

/// A lifecycle whose processes and clock are the test's.
struct Scene {
    var lifecycle = Lifecycle(program: "/sluice")
    /// Milliseconds.
    var now: UInt64 = 1_000
    /// Of the last event, as a line each.
    private(set) var did: [String] = []
    private(set) var answers: [Int: AdminResponse] = [:]
    /// Where the admin interface was to listen, in turn.
    private(set) var adminPlaces: [String] = []
    /// Files of the last `start` that was sent.
    private(set) var lastStart: SupervisorMessage.Start?

    @discardableResult
    mutating func happens(_ event: Lifecycle.Event) -> [String] {
        did = []
        for action in lifecycle.handle(event, now: now) { note(action) }
        return did
    }

    /// Lets time pass, up to every deadline on the way.
    mutating func pass(_ milliseconds: UInt64) -> [String] {
        let end = now + milliseconds
        var all: [String] = []
        while let deadline = lifecycle.deadline, deadline <= end {
            now = max(deadline, now)
            all += happens(.time)
        }
        now = end
        did = all
        return all
    }

    private mutating func note(_ action: Lifecycle.Action) {
        switch action {
        case .start(let id, let program): did.append("start \(id) \(program)")
        case .send(let id, let message):
            if case .start(let start) = message { lastStart = start }
            did.append("send \(id) \(Self.name(message))")
        case .kill(let id): did.append("kill \(id)")
        case .keepSockets(let ids): did.append("keep \(ids)")
        case .closeSockets: did.append("close sockets")
        case .answer(let id, let response):
            answers[id] = response
            did.append("answer \(id) \(response.status)")
        case .serveAdmin(let place): adminPlaces.append(place?.address ?? "none")
        case .setLogLevel: break
        case .reopenLogs: did.append("reopen_logs")
        case .become(let program): did.append("become \(program)")
        case .raiseReload: did.append("raise HUP")
        case .exit(let code): did.append("exit \(code)")
        case .log: break
        }
    }

    private static func name(_ message: SupervisorMessage) -> String {
        switch message {
        case .drain(let grace, let handsOver): "drain \(grace)\(handsOver ? " hands over" : "")"
        case .command(let id, let request): "command \(id) \(request.method) \(request.path)"
        default: message.packet.json["type"]?.string ?? "?"
        }
    }

    // MARK: What processes do

    mutating func saysHello(_ id: Int, resume: Int = ResumeState.version) {
        happens(.started(id, process: Int32(100 + id)))
        happens(.message(id, .hello(protocol: 1, resume: resume, process: 100 + id)))
    }

    mutating func isReady(
        _ id: Int,
        manifest: String = "a",
        settings: SupervisorSettings = SupervisorSettings()
    ) throws {
        let file = try MemoryFile.holding(Array(manifest.utf8), name: "test")
        happens(.message(id, .ready(Ready(workers: 1, manifest: file, settings: settings))))
    }

    /// A first process that serves.
    static func serving(
        manifest: String = "a",
        settings: SupervisorSettings = SupervisorSettings()
    ) throws -> Scene {
        var scene = Scene()
        scene.happens(.begin)
        scene.saysHello(1)
        try scene.isReady(1, manifest: manifest, settings: settings)
        return scene
    }

    mutating func serves(_ id: Int, manifest: String = "a") throws {
        saysHello(id)
        try isReady(id, manifest: manifest)
    }

    @discardableResult
    mutating func crashes(_ id: Int, _ report: CrashReport? = nil) -> [String] {
        happens(.ended(id, .signalled(11), report))
    }
}
