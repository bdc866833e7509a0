import CSluice
import SluiceSDK

extension PluginFixture {
    /// Tasks that one call of `runPosted` does at most: work that posts itself would never end.
    static let tasksMax = 10_000

    /// Lets time pass: fires timers in their order, ends waits and callouts whose time is over.
    ///
    /// A request whose wait has ended goes on with `resumed`.
    public func advance(nanoseconds: UInt64) {
        let end = host.nowNanoseconds + nanoseconds
        while true {
            let times = [
                host.timers.map(\.due).min(), Waits.nextDeadline(host),
                host.pendingCallouts.map(\.deadline).min(),
                host.pendingProbes.map(\.deadline).min(),
            ]
            guard let next = times.compactMap({ $0 }).min(), next <= end else { break }
            host.nowNanoseconds = max(host.nowNanoseconds, next)
            Waits.expire(host)
            fireTimers()
            for pending in host.pendingCallouts where pending.deadline <= host.nowNanoseconds {
                finish(pending, .timeout)
            }
            for pending in host.pendingProbes where pending.deadline <= host.nowNanoseconds {
                let step = UInt32(SLUICE_PROBE_REQUEST)
                finish(pending, .failed(step: step, isTimeout: true, reason: "timed out"))
            }
        }
        host.nowNanoseconds = end
    }

    private func fireTimers() {
        for timer in host.timers.sorted(by: { $0.due < $1.due })
        where timer.due <= host.nowNanoseconds {
            let place = host.timers.firstIndex { $0.token.sequence == timer.token.sequence }
            // An earlier one may have cancelled it.
            guard let place else { continue }
            if timer.period == 0 {
                host.timers.remove(at: place)
            } else {
                host.timers[place].due += timer.period
            }
            run(timer.task, timer.context, timer.worker)
        }
    }

    /// Does the work that was posted, also what it posts in turn.
    ///
    /// - Returns: how many tasks there were.
    @discardableResult
    public func runPosted() -> Int {
        var count = 0
        while count < Self.tasksMax {
            let next = locked { host.posted.isEmpty ? nil : host.posted.removeFirst() }
            guard let next else { break }
            run(next.task, next.context, next.worker)
            count += 1
        }
        return count
    }

    /// Runs the jobs that were started, and gives each back to its worker.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func runJobs() -> Int {
        var count = 0
        while !host.jobs.isEmpty, count < Self.tasksMax {
            let job = host.jobs.removeFirst()
            ThreadRole.blocking.run { job.work(instance.state, job.context) }
            if let done = job.done { run(done, job.context, job.worker) }
            count += 1
        }
        return count
    }

    /// Gives the plugin the answers of `FakeHost.answer` to the callouts that wait.
    ///
    /// - Returns: how many had an answer.
    @discardableResult
    public func finishCallouts() -> Int {
        var count = 0
        for pending in host.pendingCallouts {
            guard let answer = host.answer(pending.callout) else { continue }
            if finish(pending, answer) { count += 1 }
        }
        return count
    }

    @discardableResult
    private func finish(_ pending: PendingCallout, _ answer: CalloutAnswer) -> Bool {
        let place = host.pendingCallouts.firstIndex {
            $0.token.sequence == pending.token.sequence
        }
        // The one before may have cancelled it.
        guard let place else { return false }
        host.pendingCallouts.remove(at: place)
        let slot = slot(pending.worker)
        pending.deliver(answer) { result in
            ThreadRole.worker(pending.worker).run {
                pending.done(instance.state, slot, pending.context, result)
            }
        }
        return true
    }

    private func run(_ task: sluice_task, _ context: UnsafeMutableRawPointer?, _ worker: Int) {
        let slot = slot(worker)
        ThreadRole.worker(worker).run { task(instance.state, slot, context) }
    }
}
