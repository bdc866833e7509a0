import Proxy
import Testing

@testable import Server

struct CanaryTests {
    /// Requests, failures, and microseconds that each request took.
    struct Side {
        var requests: UInt64
        var failures: UInt64 = 0
        var microseconds: UInt64 = 1_000

        var sums: Canary.Sums {
            var sums = Canary.Sums()
            sums.requests = requests
            sums.failures = failures
            sums.times[GenerationCounts.Times.index(microseconds)] = requests
            return sums
        }
    }

    private func judge(_ canary: Side, _ stable: Side, isOver: Bool = false) -> Canary.Verdict {
        let order = SwapOrder(
            plugin: "one",
            library: "/lib.so",
            sha256: nil,
            canary: 5,
            errorBudget: 1,
            latencyBudget: 2,
            duration: nil
        )
        return Canary.judge(canary.sums, stable.sums, order, isOver: isOver)
    }

    @Test(arguments: [false, true])
    func `nothing is said of few requests, whatever came of them`(isOver: Bool) {
        let few = Side(requests: 19, failures: 19, microseconds: 1_000_000)
        #expect(judge(few, Side(requests: 1_000), isOver: isOver) == .waits)
        #expect(judge(Side(requests: 0), Side(requests: 0), isOver: isOver) == .waits)
    }

    @Test
    func `within its budgets a canary waits until its time is over`() {
        let stable = Side(requests: 1_000)
        #expect(judge(Side(requests: 20), stable) == .waits)
        #expect(judge(Side(requests: 20), stable, isOver: true) == .good)
    }

    @Test(arguments: [
        (failures: 10, stable: 0, isBad: false), (failures: 11, stable: 0, isBad: true),
        (failures: 60, stable: 50, isBad: false), (failures: 61, stable: 50, isBad: true),
        (failures: 0, stable: 50, isBad: false),
    ])
    func `failures count beyond those of the others`(
        failures: UInt64,
        stable: UInt64,
        isBad: Bool
    ) {
        let verdict = judge(
            Side(requests: 1_000, failures: failures),
            Side(requests: 1_000, failures: stable),
            isOver: true
        )
        if isBad {
            let lines: [UInt64: String] = [11: "1.1 % of its requests fail, 0.0 % of the others"]
            let line = lines[failures] ?? "6.1 % of its requests fail, 5.0 % of the others"
            #expect(verdict == .bad(line))
        } else {
            #expect(verdict == .good)
        }
    }

    @Test
    func `failures count even where nobody else has a request`() {
        #expect(
            judge(Side(requests: 20, failures: 1), Side(requests: 0))
                == .bad("5.0 % of its requests fail, 0.0 % of the others")
        )
    }

    @Test
    func `the slowest requests are compared with those of the others`() {
        let stable = Side(requests: 1_000, microseconds: 1_023)
        #expect(judge(Side(requests: 100, microseconds: 2_047), stable, isOver: true) == .good)
        #expect(
            judge(Side(requests: 100, microseconds: 4_095), stable)
                == .bad("its slowest requests take 4.0 times as long as the others'")
        )
        // Of a few nothing can be said.
        let few = Side(requests: 19, microseconds: 1_023)
        #expect(judge(Side(requests: 100, microseconds: 4_095), few, isOver: true) == .good)
    }

    @Test
    func `one request of a hundred may be slow`() {
        var sums = Side(requests: 99, microseconds: 100).sums
        sums.times[GenerationCounts.Times.index(1_000_000)] = 1
        #expect(sums.slowMicroseconds == 111)
        sums.times[GenerationCounts.Times.index(1_000_000)] = 2
        #expect(sums.slowMicroseconds > 900_000)
        #expect(Canary.Sums().slowMicroseconds == 0)
    }
}
