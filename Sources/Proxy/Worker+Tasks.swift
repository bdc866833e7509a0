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

    /// The timer has fired.
    func runTaskTimers() {
        port.runTimers(now: nowNanoseconds)
    }
}
