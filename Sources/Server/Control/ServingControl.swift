internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// Answers the admin interface for what serves: asked by the supervisor, or by the interface itself
/// when there is none. [any thread but control]
final class ServingControl: Sendable {
    private let workers: WorkerControl
    private let generations: Generations
    private let manifest: String
    private let surroundings: ManifestSurroundings
    private let logLevel: UInt32
    private let tables: PlanTables
    /// Nanoseconds of the monotonic clock.
    private let started = Clock.monotonicNanoseconds()

    private static let router = AdminRouter<ServingControl>([
        AdminRoute("GET", "/v1/status", { $0.status }),
        AdminRoute("GET", "/v1/metrics", { $0.metrics }),
        AdminRoute("GET", AdminWire.openMetricsPath, { $0.openMetrics }),
        AdminRoute("GET", "/v1/generations", { $0.generationsStatus }),
        AdminRoute("GET", "/v1/upstreams", { $0.upstreams }),
        AdminRoute("GET", "/v1/routes", { $0.routes }),
        AdminRoute("GET", "/v1/plugins", { $0.plugins }),
        AdminRoute("GET", "/v1/faults", { $0.faults }),
        AdminRoute("POST", "/v1/reload", members: ["dry_run", "manifest_text"], { $0.reload }),
        AdminRoute("POST", "/v1/plugins/*/swap", members: SwapOrder.members, { $0.swap }),
        AdminRoute("POST", "/v1/plugins/*/promote", { $0.promote }),
        AdminRoute("POST", "/v1/plugins/*/rollback", { $0.rollBack }),
        AdminRoute("POST", "/v1/plugins/*/reset", { $0.reset }),
        AdminRoute("POST", "/v1/cache/*/purge", members: PurgeOrder.members, { $0.purge }),
        AdminRoute("POST", "/v1/stop", members: ["fast"], { $0.stop }),
        AdminRoute("POST", "/v1/reopen_logs", { $0.reopenLogs }),
    ])

    /// - Parameter manifest: its file, as it was given on the command line.
    init(
        _ workers: WorkerControl,
        _ generations: Generations,
        manifest: String,
        _ surroundings: ManifestSurroundings
    ) {
        self.workers = workers
        self.generations = generations
        self.manifest = manifest
        self.surroundings = surroundings
        logLevel = generations.running.settings.logLevel.rawValue
        tables = generations.running.plan.tables
    }

    /// The handler of the admin interface.
    func answer(_ request: AdminRequest) -> AdminResponse {
        Self.router.answer(request, by: self)
    }

    /// Does what must wait until the answer is on its way, for want of a supervisor.
    func finish(_ request: AdminRequest, _ response: AdminResponse) {
        guard request.path == "/v1/stop", response.status == 200 else { return }
        var log = ErrorLog(level: logLevel, source: "main")
        if request.body["fast"] == true {
            log.write(3) { $0.text("stopping at once: asked by the admin interface") }
            Process.exit(ExitCode.ok.rawValue)
        }
        log.write(3) { $0.text("draining: no new connections, requests finish") }
        workers.drain(grace: workers.grace, handsOver: false)
    }

    /// Has the control thread answer.
    private func perform(
        _ body: @escaping @Sendable (Generations) -> AdminResponse
    ) -> AdminResponse {
        generations.perform(body) ?? .refusal(503, ["the process is ending"])
    }

    /// The value of a member that is true or false; nil when it is neither.
    private static func flag(_ name: String, of call: AdminCall) -> Bool? {
        guard let value = call.body[name] else { return false }
        return value.bool
    }

    private static func refusal(_ name: String, of call: AdminCall) -> AdminResponse {
        let found = call.body[name]?.text ?? ""
        return .refusal(422, ["\(name): expected true or false, found \(found)"])
    }

    // MARK: Looking

    private func metrics(_ call: AdminCall) -> AdminResponse {
        Self.metrics(.text)
    }

    private func openMetrics(_ call: AdminCall) -> AdminResponse {
        Self.metrics(.openMetrics)
    }

    private static func metrics(_ format: MetricFormat) -> AdminResponse {
        let text = JSON.string(Metrics.text(format))
        // Over the bound it would not come through the supervisor.
        guard text.text.utf8.count <= AdminWire.metricBytesMax else {
            return .refusal(
                503,
                [
                    "the metrics are over \(AdminWire.metricBytesMax) bytes; the plugin"
                        + " org.sluice.metrics gives them all"
                ]
            )
        }
        return AdminResponse(200, text)
    }

    private func status(_ call: AdminCall) -> AdminResponse {
        let seconds = (Clock.monotonicNanoseconds() - started) / 1_000_000_000
        let state = workers.isDraining ? "draining" : "serving"
        let manifest = manifest
        return perform { generations in
            let facts: JSON = [
                "version": .string(Version.host), "pid": .integer(Int64(Process.id)),
                "state": .string(state), "uptime_seconds": .integer(Int64(seconds)),
                "workers": .integer(Int64(generations.workerCount)),
                "manifest": .string(manifest),
            ]
            return AdminResponse(
                200,
                .object((facts.members ?? []) + GenerationStatus.members(generations))
            )
        }
    }

    private func generationsStatus(_ call: AdminCall) -> AdminResponse {
        perform { AdminResponse(200, $0.generationsJSON) }
    }

    private func upstreams(_ call: AdminCall) -> AdminResponse {
        AdminResponse(200, ["upstreams": UpstreamStatus.json(tables)])
    }

    private func routes(_ call: AdminCall) -> AdminResponse {
        perform { AdminResponse(200, RouteStatus.json($0.running.settings)) }
    }

    private func plugins(_ call: AdminCall) -> AdminResponse {
        perform { AdminResponse(200, GenerationStatus.plugins($0)) }
    }

    private func faults(_ call: AdminCall) -> AdminResponse {
        perform { AdminResponse(200, GenerationStatus.faults($0)) }
    }

    // MARK: Changing

    private func reload(_ call: AdminCall) -> AdminResponse {
        guard let isDry = Self.flag("dry_run", of: call) else {
            return Self.refusal("dry_run", of: call)
        }
        if let text = call.body["manifest_text"], text.string == nil {
            return .refusal(422, ["manifest_text: expected a string, found \(text.text)"])
        }
        let text = call.body["manifest_text"]?.string.map { Array($0.utf8) }
        let (manifest, surroundings) = (manifest, surroundings)
        return perform { generations in
            let before = generations.running.settings.admin
            var response = generations.reload(
                manifest,
                surroundings,
                text: text,
                isDry: isDry
            )
            // A supervisor moves its own.
            if generations.served == nil, generations.running.settings.admin != before,
                case .object(let members) = response.body
            {
                let line = "admin: its address changes with a restart alone"
                response.body = .object(members + [JSON.Member("warnings", [.string(line)])])
            }
            return response
        }
    }

    private func swap(_ call: AdminCall) -> AdminResponse {
        do throws(SwapOrder.Refusal) {
            let order = try SwapOrder(plugin: call.name, call.body)
            let manifest = manifest
            return perform { $0.swap(order, manifest: manifest) }
        } catch {
            return .refusal(422, error.lines)
        }
    }

    private func promote(_ call: AdminCall) -> AdminResponse {
        perform { $0.promote(call.name) }
    }

    private func rollBack(_ call: AdminCall) -> AdminResponse {
        perform { $0.rollBack(call.name, because: "asked to") }
    }

    private func reset(_ call: AdminCall) -> AdminResponse {
        let manifest = manifest
        return perform { $0.reset(call.name, manifest: manifest) }
    }

    private func purge(_ call: AdminCall) -> AdminResponse {
        do throws(PurgeOrder.Refusal) {
            let order = try PurgeOrder(plugin: call.name, call.body)
            return perform { $0.purge(order) }
        } catch {
            return .refusal(422, [error.line])
        }
    }

    // MARK: Stopping

    private func stop(_ call: AdminCall) -> AdminResponse {
        guard let isFast = Self.flag("fast", of: call) else {
            return Self.refusal("fast", of: call)
        }
        guard isFast || !workers.isDraining else {
            return .refusal(409, ["it is stopping already; fast ends it at once"])
        }
        return AdminResponse(200, ["stopping": true])
    }

    private func reopenLogs(_ call: AdminCall) -> AdminResponse {
        // The log itself is the error output: only plugins have files to open again.
        perform { generations in
            AdminResponse(200, ["reopened": .array(generations.reopenLogs().map { .string($0) })])
        }
    }
}
