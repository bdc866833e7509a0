internal import Admin
internal import Proxy
internal import Reactor

extension Generations {
    /// Loads a plugin that is in quarantine. [control]
    ///
    /// A supervisor that sees it done forgets the quarantine, too.
    func reset(_ plugin: String, manifest: String) -> AdminResponse {
        guard let held = running.plugin(plugin) else {
            return refuse("reset", 404, ["plugins.\(plugin): there is none"])
        }
        if let canary {
            let line = "the canary of \(canary.plugin) is running: promote it or roll it back first"
            return refuse("reset", 409, [line])
        }
        guard held.isAbsent else {
            return refuse("reset", 409, ["plugins.\(plugin) is not in quarantine"])
        }
        do throws(Preparation.Failure) {
            let prepared = try prepare(
                running.settings,
                manifest: manifest,
                quarantine: running.quarantine.filter {
                    !$0.holds(held.settings, sha256: held.sha256)
                }
            )
            let isWhole = switchOver(to: prepared.running)
            log.write(2) { line in
                line.text("plugin ")
                line.text(plugin)
                line.text(" is out of quarantine")
            }
            return AdminResponse(
                200,
                [
                    "generation": .integer(Int64(running.plan.number)),
                    "workers_behind": .bool(!isWhole),
                ]
            )
        } catch {
            return refuse("reset", 422, error.lines)
        }
    }
}
