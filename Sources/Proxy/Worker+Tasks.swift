import PluginHost
import Reactor

/// Tasks and timers of plugins: what the port holds, brought into the loop.
extension Worker {
    /// Begins to take tasks; the instances are started.
    func openPort() {
        let mailbox = mailbox
        port.open { mailbox.post(.tasks) }
    }

    /// Sets the timer that stands for all of the plugins', before the loop waits.
    @inline(__always)
    mutating func armTasks() {
        guard let deadline = port.takeNextTimer() else { return }
        timers.cancel(taskTimer)
        guard deadline != .max else { return }
        // Rounded up: a timer fires at its time or after it.
        timers.set(taskTimer, deadline: deadline / 1_000_000 + 1)
    }

    /// Times hooks for a while after a turn that took long, as `budgets.hook` needs it.
    ///
    /// The time since the last turn has the wait in it: a worker with much to do, whose turns
    /// follow each other, reads no clock for its hooks, and for one that waits it does not matter.
    @inline(never)
    mutating func watchHooks(_ time: UInt64) {
        if time &- nowNanoseconds > hookBudget {
            timedUntil = time &+ Self.timedNanoseconds
            calls.setTimed(true)
        } else if timedUntil != 0, time > timedUntil {
            timedUntil = 0
            calls.setTimed(false)
        }
    }

    private static var timedNanoseconds: UInt64 { 1_000_000_000 }

    /// The timer has fired.
    func runTaskTimers() {
        port.runTimers(now: nowNanoseconds)
    }
}
