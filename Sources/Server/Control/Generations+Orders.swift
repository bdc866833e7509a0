internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// What operators ask of a running process; each answers for the admin interface.
extension Generations {
    // MARK: Reload

    /// Goes over to a manifest.
    ///
    /// - Parameters:
    ///   - given: its text; nil reads the file.
    ///   - isDry: says what would change, and changes nothing.
    func reload(
        _ manifest: String,
        _ surroundings: ManifestSurroundings,
        text given: [UInt8]? = nil,
        isDry: Bool
    ) -> AdminResponse {
        let text: [UInt8]
        let settings: ProxySettings
        do throws(ManifestFailure) {
            if let given {
                text = given
            } else {
                text = try Manifest.text(of: manifest, surroundings)
            }
            settings = withDiscovered(try Manifest.parse(text, path: manifest, surroundings))
        } catch {
            return refuse("reload", 422, error.lines)
        }
        let response = go(to: settings, manifest, "reload", isDry: isDry)
        if response.status == 200, !isDry {
            self.manifest = ServedManifest(text: text)
            sayServed()
        }
        return response
    }

    private func go(
        to settings: ProxySettings,
        _ manifest: String,
        _ what: String,
        isDry: Bool
    ) -> AdminResponse {
        if let canary {
            return refuse(
                what,
                409,
                [
                    "the canary of \(canary.plugin) is running: promote it or roll it back first"
                ]
            )
        }
        let wanted = settings.workers ?? Process.coreCount()
        guard wanted == workerCount else {
            // A supervisor has another process take over then.
            let line =
                "\(manifest): workers: \(workerCount) run, \(wanted) are wanted: their number "
                + "changes with the process alone; restart it"
            guard served != nil, !isDry else { return refuse(what, 409, [line]) }
            return AdminResponse(409, ["problems": [.string(line)], "replace": true])
        }
        let stage = PluginStage(settings, present: running.plugins(trustedBy: settings))
        guard stage.problems.isEmpty else {
            return refuse(what, 422, stage.problems.map { "\(manifest): \($0)" })
        }
        let changes = ManifestChanges(from: running, to: settings, stage).lines
        let list = JSON.array(changes.map { .string($0) })
        let areFilesCurrent = running.tls.isCurrent
        if isDry || (changes.isEmpty && areFilesCurrent) {
            if !isDry { log.write(3) { $0.text("\(what): nothing has changed") } }
            return AdminResponse(
                200,
                [
                    "generation": .integer(Int64(running.plan.number)), "changes": list,
                    "switched": false,
                ]
            )
        }
        let prepared: Preparation
        do throws(Preparation.Failure) {
            prepared = try prepare(settings, manifest: manifest)
        } catch {
            return refuse(what, 422, error.lines)
        }
        for warning in prepared.warnings { log.write(2) { $0.text(warning) } }
        let isWhole = switchOver(to: prepared.running)
        log.write(3) { line in
            line.text(what)
            line.text(": generation ")
            line.number(Int(running.plan.number))
            line.text(isWhole ? " serves" : " serves, but for workers that are in a long hook")
        }
        return AdminResponse(
            200,
            [
                "generation": .integer(Int64(running.plan.number)), "changes": list,
                "switched": true, "workers_behind": .bool(!isWhole),
            ]
        )
    }

    // MARK: Swap

    /// Puts another library, or the same anew, behind an instance.
    func swap(_ order: SwapOrder, manifest: String) -> AdminResponse {
        guard let place = running.settings.plugins.firstIndex(where: { $0.name == order.plugin })
        else {
            let names = running.settings.plugins.map(\.name).joined(separator: ", ")
            return refuse(
                "swap",
                404,
                ["plugins.\(order.plugin): there is none; there are: \(names)"]
            )
        }
        var settings = running.settings
        settings.plugins[place].libraryPath = order.library
        settings.plugins[place].sha256 = order.sha256
        guard let share = order.canary else {
            let response = go(to: settings, manifest, "swap", isDry: false)
            if response.status == 200 { noteSwap(of: order.plugin) }
            return response
        }
        return begin(order, settings, share: share, manifest: manifest)
    }

    private func begin(
        _ order: SwapOrder,
        _ settings: ProxySettings,
        share: Double,
        manifest: String
    ) -> AdminResponse {
        if let canary {
            return refuse(
                "swap",
                409,
                [
                    "the canary of \(canary.plugin) is running: promote it or roll it back first"
                ]
            )
        }
        let prepared: Preparation
        do throws(Preparation.Failure) {
            prepared = try prepare(settings, manifest: manifest)
        } catch {
            return refuse("swap", 422, error.lines)
        }
        let started = Canary(order, prepared.running, beside: running, share: share)
        canary = started
        let workers = post { _ in .attempt(started.trial) }
        _ = ledger.waitAdopted(
            prepared.running.plan.number,
            workers: workers,
            milliseconds: Self.adoptMilliseconds
        )
        log.write(3) { line in
            line.text("canary of ")
            line.text(order.plugin)
            line.text(" begins")
        }
        return AdminResponse(200, started.json)
    }

    /// A process that takes this one's place after a crash is to serve the swapped library, too.
    private func noteSwap(of plugin: String) {
        guard let settings = running.plugin(plugin)?.settings else { return }
        manifest.add(
            ServedManifest.Swap(
                plugin: plugin,
                library: settings.libraryPath,
                sha256: settings.sha256
            )
        )
        sayServed()
    }

    private func sayServed() { served?(manifest.bytes, running.settings, workerCount) }

    /// Makes the canary what all requests get.
    func promote(_ plugin: String) -> AdminResponse {
        guard let canary, canary.plugin == plugin else {
            return refuse("promote", 409, ["\(plugin) has no canary"])
        }
        let counts = canary.json
        self.canary = nil
        ledger.forgetAdoption(canary.running.plan.number)
        _ = switchOver(to: canary.running)
        noteSwap(of: plugin)
        log.write(3) { line in
            line.text("canary of ")
            line.text(plugin)
            line.text(" is promoted")
        }
        return AdminResponse(200, counts)
    }

    /// Ends the canary; all requests get what they got before.
    func rollBack(_ plugin: String, because reason: String) -> AdminResponse {
        guard let canary, canary.plugin == plugin else {
            return refuse("rollback", 409, ["\(plugin) has no canary"])
        }
        let counts = canary.json
        self.canary = nil
        post { _ in .attempt(nil) }
        retire(canary.running)
        log.write(2) { line in
            line.text("canary of ")
            line.text(plugin)
            line.text(" is rolled back: ")
            line.text(reason)
        }
        lastCanary = "\(plugin): rolled back: \(reason)"
        return AdminResponse(200, counts)
    }

    /// Promotes or rolls back a canary by its budgets.
    func judge() {
        guard let canary else { return }
        switch canary.verdict {
        case .waits: return
        case .good: _ = promote(canary.plugin)
        case .bad(let reason): _ = rollBack(canary.plugin, because: reason)
        }
    }

    // MARK: Answers

    /// An answer that says why nothing was done; the log says it, too.
    func refuse(_ what: String, _ status: Int, _ lines: [String]) -> AdminResponse {
        for text in lines {
            log.write(1) { line in
                line.text(what)
                line.text(" refused: ")
                line.text(text)
            }
        }
        return .refusal(status, lines)
    }
}

/// What `plugin swap` is told.
struct SwapOrder: Sendable {
    var plugin: String
    /// Path from the root.
    var library: String
    var sha256: String?
    /// Percent of the requests; nil for all of them.
    var canary: Double?
    /// Percent of requests that may fail more than without the canary.
    var errorBudget: Double
    /// How many times as long the slowest hundredth of the requests may take.
    var latencyBudget: Double
    /// Milliseconds after which a canary within its budgets is promoted; nil waits for an order.
    var duration: Int?

    static let errorBudgetDefault = 1.0
    static let latencyBudgetDefault = 2.0
}
