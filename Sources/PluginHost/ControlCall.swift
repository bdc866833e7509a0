internal import Sys

/// Calls into a plugin outside of requests, which a caller waits for, but not for ever.
///
/// Each runs on a thread of its own. One that does not return keeps its thread and all that it was
/// given, so whatever a call uses must be its own; the order that it was for fails, and those that
/// come later go on.
struct ControlCall: Sendable {
    /// Nanoseconds; 0 waits for ever, on the caller's thread.
    let limit: UInt64

    /// - Parameter what: is called, for the error.
    /// - Returns: what the call returned.
    /// - Throws: when the time is over.
    func run<Result: Sendable>(
        _ what: String,
        _ body: @escaping @Sendable () -> Result
    ) throws(PluginError) -> Result {
        guard limit > 0 else { return body() }
        let role = ThreadRole.current
        let box = Monitor<Result?>(nil)
        let thread = PinnedThread.start(name: "plugin-call") {
            ThreadRole.enter(role)
            let result = body()
            box.change { $0 = result }
        }
        let deadline = Clock.kernelNanoseconds() + limit
        guard let result = box.wait(deadline: deadline, { $0 }) else {
            thread.abandon()
            let milliseconds = limit / 1_000_000
            throw PluginError("\(what) has not returned in \(milliseconds) ms (budgets.control)")
        }
        thread.join()
        return result
    }
}
