internal import Admin
internal import Proxy
internal import Sys

/// A generation that gets a share of the requests, and what it is judged by.
struct Canary {
    /// Milliseconds between two looks.
    static let lookMilliseconds = 100
    /// Requests that a canary must have ended before its budgets say anything.
    static let requestsMin: UInt64 = 20

    enum Verdict: Equatable {
        case waits
        case good
        case bad(String)
    }

    let plugin: String
    let running: Running
    let trial: Trial
    private let order: SwapOrder
    private let share: Double
    private let began = Clock.kernelNanoseconds()

    init(_ order: SwapOrder, _ running: Running, beside present: Running, share: Double) {
        plugin = order.plugin
        self.order = order
        self.share = share
        self.running = running
        trial = Trial(
            plan: running.plan,
            baseline: present.plan,
            share: UInt32((share / 100 * 65_536).rounded())
        )
    }

    /// Requests of one generation that have ended since the canary began.
    struct Sums: Equatable {
        var requests: UInt64 = 0
        var failures: UInt64 = 0
        var times = [UInt64](repeating: 0, count: GenerationCounts.Times.count)

        init() {}

        init(_ plan: Plan) {
            for worker in 0..<plan.workerCount {
                let counts = plan.counts(ofWorker: worker)
                requests += counts.requests
                failures += counts.failures
                for index in times.indices { times[index] += counts.time(index) }
            }
        }

        var failurePercent: Double {
            requests == 0 ? 0 : Double(failures) / Double(requests) * 100
        }

        /// Microseconds that all but the slowest hundredth took at most, to a quarter.
        var slowMicroseconds: UInt64 {
            let total = times.reduce(0, +)
            var left = total - total / 100
            for (index, count) in times.enumerated() {
                guard left > count else { return GenerationCounts.Times.upperBound(index) }
                left -= count
            }
            return 0
        }
    }

    /// What the budgets say now.
    var verdict: Verdict {
        let elapsed = Int((Clock.kernelNanoseconds() - began) / 1_000_000)
        return Self.judge(
            Sums(trial.plan),
            Sums(trial.baseline),
            order,
            isOver: order.duration.map { elapsed >= $0 } ?? false
        )
    }

    static func judge(
        _ canary: Sums,
        _ baseline: Sums,
        _ order: SwapOrder,
        isOver: Bool
    ) -> Verdict {
        guard canary.requests >= requestsMin else { return .waits }
        let (failed, usual) = (canary.failurePercent, baseline.failurePercent)
        if failed > usual + order.errorBudget {
            return .bad(
                "\(tenths(failed)) % of its requests fail, \(tenths(usual)) % of the others"
            )
        }
        if baseline.requests >= requestsMin, baseline.slowMicroseconds > 0 {
            // Each is the last microsecond of a range.
            let times =
                Double(canary.slowMicroseconds + 1) / Double(baseline.slowMicroseconds + 1)
            if times > order.latencyBudget {
                return .bad(
                    "its slowest requests take \(tenths(times)) times as long as the others'"
                )
            }
        }
        return isOver ? .good : .waits
    }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    var json: JSON {
        func side(_ plan: Plan) -> JSON {
            let sums = Sums(plan)
            return [
                "generation": .integer(Int64(plan.number)),
                "requests": .integer(Int64(sums.requests)),
                "failures": .integer(Int64(sums.failures)),
                "p99_microseconds": .integer(Int64(sums.slowMicroseconds)),
            ]
        }
        return [
            "plugin": .string(plugin), "share_percent": .number(share),
            "library": .string(order.library), "canary": side(trial.plan),
            "stable": side(trial.baseline),
        ]
    }
}
