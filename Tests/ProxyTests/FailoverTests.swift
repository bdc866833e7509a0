import Testing

@testable import Proxy

/// What decides about further attempts, and counts what is under way.
struct FailoverTests {
    // MARK: Conditions

    @Test func `a status is listed, and no other`() {
        for listed in RetryConditions.statusRange {
            var conditions = RetryConditions(events: [])
            conditions.add(status: listed)
            for status in UInt16(300)...700 {
                #expect(conditions.contains(status: status) == (status == listed))
            }
            #expect(conditions.hasStatuses && conditions.includesSent)
        }
    }

    @Test func `a body is kept only where it may be needed again`() {
        typealias Events = RetryConditions.Events
        let cases: [(Events, Bool)] = [
            ([], false), (.connect, false), (.refused, false), ([.connect, .refused], false),
            (.reset, true), (.timeout, true), ([.connect, .reset], true),
        ]
        for (events, keeps) in cases {
            #expect(RetryConditions(events: events).includesSent == keeps)
        }
    }

    @Test(arguments: [
        // percent, min, active, most
        (20, 3, 0, 3), (20, 3, 15, 3), (20, 3, 19, 3), (20, 3, 20, 4), (20, 3, 1_000, 200),
        (0, 0, 1_000, 0), (0, 2, 1_000, 2), (100, 0, 7, 7), (1, 0, 99, 0), (1, 0, 100, 1),
    ])
    func `a budget is a share of the requests`(percent: Int, min: Int, active: Int, most: Int) {
        var budget = RetryBudget()
        budget.percent = percent
        budget.min = min
        #expect(budget.most(active: active) == most)
    }

    // MARK: Plans

    @Test func `an upstream that asks for nothing has no plan`() {
        var settings = UpstreamSettings(name: "app")
        let load = UpstreamLoad(workers: 1)
        #expect(FailoverPlan.make(settings, load) == nil)
        // These two were there before, and need none.
        settings.retries.attempts = 16
        settings.retries.replayBytes = 1
        // They bound what is not there.
        settings.limits.pending = 5
        settings.retries.budget.percent = 1
        #expect(FailoverPlan.make(settings, load) == nil)
    }

    @Test func `each wish makes a plan`() {
        let wishes: [(inout UpstreamSettings) -> Void] = [
            { $0.retries.on = RetryConditions(events: []) },
            { $0.retries.tryTimeout = 1 }, { $0.retries.timeout = 1 }, { $0.hedge.after = 1 },
            { $0.limits.connections = 1 }, { $0.limits.inFlight = 1 },
            { $0.limits.perPeer.connections = 1 }, { $0.limits.perPeer.inFlight = 1 },
        ]
        for wish in wishes {
            var settings = UpstreamSettings(name: "app")
            wish(&settings)
            #expect(FailoverPlan.make(settings, UpstreamLoad(workers: 1)) != nil)
        }
    }

    @Test func `counters last over plans, by the upstream's name`() {
        let tables = PlanTables(workerCount: 2)
        #expect(tables.meters.load(ofUpstream: "app").addActive(2) == 2)
        #expect(tables.meters.load(ofUpstream: "app").active == 2)
        #expect(tables.meters.load(ofUpstream: "other").active == 0)
    }

    // MARK: Counters

    @Test func `counts are apart`() {
        let load = UpstreamLoad(workers: 3)
        #expect(load.addActive(1) == 1)
        #expect(load.addRetries(2) == 2)
        #expect(load.addConnections(3) == 3)
        #expect(load.addWaiting(4, worker: 2) == 4)
        #expect(load.addWaiting(1, worker: 0) == 5)
        #expect([load.active, load.retries, load.connections, load.waiting] == [1, 2, 3, 5])
        #expect((0..<3).map { load.waiting(worker: $0) } == [1, 0, 4])
    }

    @Test func `workers that wait are found in turn`() {
        let load = UpstreamLoad(workers: 4)
        #expect(load.waitingWorker(from: 0) == nil)
        _ = load.addWaiting(1, worker: 1)
        _ = load.addWaiting(1, worker: 3)
        #expect((0..<8).map { load.waitingWorker(from: $0) } == [1, 1, 3, 3, 1, 1, 3, 3])
    }

    // MARK: Queues

    /// Calls with so many states that are in no queue.
    private func withStates(
        _ count: Int,
        _ body: (UnsafeMutablePointer<FailoverState>) -> Void
    ) {
        let exchange = UnsafeMutablePointer<Exchange>.allocate(capacity: 1)
        let plan = UnsafeMutablePointer<FailoverPlan>.allocate(capacity: 1)
        let states = UnsafeMutablePointer<FailoverState>.allocate(capacity: count)
        for index in 0..<count {
            states.advanced(by: index)
                .initialize(to: FailoverState(exchange: exchange, plan: plan, begun: 0))
        }
        body(states)
        states.deallocate()
        plan.deallocate()
        exchange.deallocate()
    }

    private func order(
        _ queue: PendingQueue,
        _ states: UnsafeMutablePointer<FailoverState>
    ) -> [Int] {
        var found: [Int] = []
        var next = queue.first
        while let state = next {
            found.append(state - states)
            #expect(state.pointee.isQueued)
            next = state.pointee.next
        }
        return found
    }

    @Test func `the first that came is the first`() {
        withStates(3) { states in
            var queue = PendingQueue()
            for index in 0..<3 { queue.append(states + index) }
            #expect(order(queue, states) == [0, 1, 2])
            #expect(queue.last == states + 2)
        }
    }

    @Test(arguments: 0..<3)
    func `any of them may leave`(leaving: Int) {
        withStates(3) { states in
            var queue = PendingQueue()
            for index in 0..<3 { queue.append(states + index) }
            queue.remove(states + leaving)
            #expect(order(queue, states) == [0, 1, 2].filter { $0 != leaving })
            #expect(!states[leaving].isQueued)
            queue.append(states + leaving)
            #expect(order(queue, states).last == leaving)
            for index in 0..<3 { queue.remove(states + index) }
            #expect(queue.first == nil && queue.last == nil)
        }
    }

    @Test func `the time of all attempts ends at its bound`() {
        withStates(1) { state in
            state.pointee.begun = 100
            var settings = UpstreamSettings(name: "app")
            settings.retries.timeout = 50
            guard let plan = FailoverPlan.make(settings, UpstreamLoad(workers: 1)) else { return }
            state.pointee.plan.initialize(to: plan.pointee)
            #expect(state.pointee.bound == 150)
        }
    }
}
