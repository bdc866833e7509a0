internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// What operators read of generations.
extension Generations {
    /// Milliseconds that workers get to name what holds a generation; one in a long hook does not.
    private static let censusMilliseconds: UInt64 = 1_000

    /// The current generation, those that drain with what holds them, and the canary. [control]
    var generationsJSON: JSON {
        var members: [JSON.Member] = [
            JSON.Member("current", .integer(Int64(running.plan.number)))
        ]
        let census = census()
        members.append(
            JSON.Member("draining", .array(retiring.map { row($0, census) }))
        )
        members.append(JSON.Member("canary", canary?.json ?? .null))
        if let lastCanary { members.append(JSON.Member("last_canary", .string(lastCanary))) }
        return .object(members)
    }

    private func row(_ one: Retiring, _ census: Counts) -> JSON {
        let number = one.running.plan.number
        let holders = census.holders.filter { $0.generation == number }
        let seconds = (Clock.kernelNanoseconds() - one.since) / 1_000_000_000
        return [
            "generation": .integer(Int64(number)), "seconds": .integer(Int64(seconds)),
            "holders": .array(holders.map(Self.row)),
            "plugins": .array(
                one.running.plan.instances(notIn: [running.plan]).map { .string($0.name) }
            ),
        ]
    }

    private static func row(_ holder: Holder) -> JSON {
        [
            "kind": .string(holder.kind.rawValue), "worker": .integer(Int64(holder.worker)),
            "what": .string(holder.what), "client": .string(holder.client),
            "seconds": holder.seconds.map { .integer(Int64($0)) } ?? .null,
        ]
    }

    private struct Counts: Sendable {
        var holders: [Holder] = []
        var count = 0
        var answers = 0
    }

    private func census() -> Counts {
        guard !retiring.isEmpty else { return Counts() }
        let counts = Monitor(Counts())
        let census = Census(generations: Set(retiring.map(\.running.plan.number))) {
            holders,
            count in
            counts.change { state in
                state.holders += holders
                state.count += count
                state.answers += 1
            }
        }
        let asked = post { _ in .census(census) }
        let deadline = Clock.kernelNanoseconds() + Self.censusMilliseconds * 1_000_000
        let all = counts.wait(deadline: deadline) { $0.answers >= asked ? $0 : nil }
        return all ?? counts.change { $0 }
    }
}
