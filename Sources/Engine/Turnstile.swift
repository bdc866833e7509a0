import PluginHost
import Synchronization
import Sys

/// Lets one engine at a time be open in a process: the others wait until it is closed.
enum Turnstile {
    /// The thread whose engine is open; 0 for none.
    private static let owner = Atomic<UInt>(0)

    /// Waits for its turn.
    ///
    /// - Throws: when this thread has an engine already, which would wait for itself.
    static func enter() throws(PluginError) {
        let thread = Sys.Process.thread
        while true {
            let (isTaken, other) = owner.compareExchange(
                expected: 0,
                desired: thread,
                ordering: .acquiringAndReleasing
            )
            if isTaken { return }
            guard other != thread else {
                throw PluginError("this thread has an engine that is not closed")
            }
            Sys.Process.sleep(milliseconds: 1)
        }
    }

    static func leave() {
        owner.store(0, ordering: .releasing)
    }
}
