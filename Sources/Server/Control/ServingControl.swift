internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Synchronization
internal import Sys

/// What can be asked of a serving process: by its admin interface, and by signals.
final class ServingControl: Sendable {
    /// What it tells of the process.
    struct Facts: Sendable {
        /// As it was given on the command line.
        var manifest: String
        var addresses: [SocketAddress]
        var instances: [PluginInstance]
        var workerCount: Int
        var logLevel: UInt32
    }

    private let facts: Facts
    private let mailboxes: [Mailbox<WorkerMessage>]
    /// Nanoseconds of the monotonic clock.
    private let started = Clock.monotonicNanoseconds()
    private let isDraining = Atomic(false)

    private static let router = AdminRouter<ServingControl>([
        AdminRoute("GET", "/v1/status", { $0.status }),
        AdminRoute("GET", "/v1/metrics", { $0.metrics }),
        AdminRoute("POST", "/v1/stop", members: ["fast"], { $0.stop }),
        AdminRoute("POST", "/v1/reopen_logs", { $0.reopenLogs }),
    ])

    init(_ facts: Facts, _ mailboxes: [Mailbox<WorkerMessage>]) {
        self.facts = facts
        self.mailboxes = mailboxes
    }

    /// The handler of the admin interface.
    func answer(_ request: AdminRequest) -> AdminResponse {
        Self.router.answer(request, by: self)
    }

    /// Does what must wait until the answer is on its way.
    func finish(_ request: AdminRequest, _ response: AdminResponse) {
        guard request.path == "/v1/stop", response.status == 202 else { return }
        if request.body["fast"] == true { stopAtOnce("asked by the admin interface") }
        _ = drain()
    }

    // MARK: Stopping

    /// Closes the listeners and lets requests finish.
    ///
    /// - Returns: false when that was begun before.
    func drain() -> Bool {
        guard !isDraining.exchange(true, ordering: .relaxed) else { return false }
        write { $0.text("draining: no new connections, requests finish") }
        for mailbox in mailboxes { mailbox.post(.drain) }
        return true
    }

    func stopAtOnce(_ reason: String = "") -> Never {
        write { line in
            line.text("stopping at once")
            if !reason.isEmpty { line.text(": \(reason)") }
        }
        Process.exit(ExitCode.ok.rawValue)
    }

    private func write(_ body: (inout LogLine) -> Void) {
        var log = ErrorLog(level: facts.logLevel, source: "main")
        log.write(3, body)
    }

    // MARK: Endpoints

    private func status(_ call: AdminCall) -> AdminResponse {
        let seconds = (Clock.monotonicNanoseconds() - started) / 1_000_000_000
        return AdminResponse(
            200,
            [
                "version": .string(Version.host),
                "pid": .integer(Int64(Process.id)),
                "state": isDraining.load(ordering: .relaxed) ? "draining" : "serving",
                "uptime_seconds": .integer(Int64(seconds)),
                "workers": .integer(Int64(facts.workerCount)),
                "manifest": .string(facts.manifest),
                "listeners": .array(
                    facts.addresses.map { ["address": .string($0.text)] }
                ),
                "plugins": .array(facts.instances.map(Self.row)),
            ]
        )
    }

    private static func row(_ instance: PluginInstance) -> JSON {
        let facts = instance.library.facts
        return [
            "name": .string(instance.name),
            "id": .string(facts.id),
            "version": .string(facts.version),
            "library": .string(instance.library.path),
            "sha256": .string(instance.library.sha256),
        ]
    }

    private func metrics(_ call: AdminCall) -> AdminResponse {
        AdminResponse(200, .string(Metrics.text))
    }

    private func stop(_ call: AdminCall) -> AdminResponse {
        if let fast = call.body["fast"], fast.bool == nil {
            return .refusal(422, ["fast: expected true or false, found \(fast.text)"])
        }
        let isFast = call.body["fast"] == true
        guard isFast || !isDraining.load(ordering: .relaxed) else {
            return .refusal(409, ["it is draining already; fast stops it at once"])
        }
        return AdminResponse(202, ["state": isFast ? "stopping" : "draining"])
    }

    private func reopenLogs(_ call: AdminCall) -> AdminResponse {
        // The log is the error output: there is no file to open again.
        AdminResponse(200, ["reopened": []])
    }
}
