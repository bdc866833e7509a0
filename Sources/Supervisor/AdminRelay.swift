internal import Admin
internal import Sys

/// Requests of the admin interface on their way from its thread to the supervisor's, and back.
final class AdminRelay: Sendable {
    /// Milliseconds that an answer may take before the caller is told that there is none: longer
    /// than the serving process may take.
    private static let answerTimeout = UInt64(Lifecycle.commandTimeout) + 10_000

    private struct State {
        var lastID = 0
        var waiting: [(id: Int, request: AdminRequest)] = []
        /// Those whose callers wait.
        var asked: Set<Int> = []
        var answers: [Int: AdminResponse] = [:]
        /// Given to the server, and not yet on their way to the client.
        var unsent = 0
        var isClosed = false
    }

    private let state = Monitor(State())
    private let wakeup: Wakeup

    init() throws(Errno) {
        wakeup = try Wakeup()
    }

    /// Readable when there are requests.
    var number: Int32 { wakeup.number }

    // MARK: The thread of the interface

    /// Asks the supervisor, and waits for the answer.
    func ask(_ request: AdminRequest) -> AdminResponse {
        let id = state.change { state -> Int? in
            guard !state.isClosed else { return nil }
            state.lastID += 1
            state.unsent += 1
            state.asked.insert(state.lastID)
            state.waiting.append((state.lastID, request))
            return state.lastID
        }
        guard let id else { return .refusal(503, ["the process is stopping"]) }
        wakeup.signal()
        let deadline = Clock.kernelNanoseconds() + Self.answerTimeout * 1_000_000
        let answer = state.wait(deadline: deadline) { $0.answers.removeValue(forKey: id) }
        state.change { _ = $0.asked.remove(id) }
        return answer ?? .refusal(503, ["the supervisor does not answer"])
    }

    /// An answer was sent, or could not be.
    func sent() {
        state.change { $0.unsent = max(0, $0.unsent - 1) }
    }

    // MARK: The thread of the supervisor

    func take() -> [(id: Int, request: AdminRequest)] {
        wakeup.clear()
        return state.change { state in
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    func answer(_ id: Int, _ response: AdminResponse) {
        state.change { state in
            if state.asked.contains(id) { state.answers[id] = response }
        }
    }

    /// Refuses what has no answer yet and what comes, and waits until all answers are on their way.
    ///
    /// - Parameter milliseconds: the longest wait.
    func close(milliseconds: UInt64) {
        state.change { state in
            state.isClosed = true
            for id in state.asked where state.answers[id] == nil {
                state.answers[id] = .refusal(503, ["the process is stopping"])
            }
        }
        let deadline = Clock.kernelNanoseconds() + milliseconds * 1_000_000
        _ = state.wait(deadline: deadline) { $0.unsent == 0 ? true : nil }
    }

    /// Takes requests again.
    func open() {
        state.change { $0.isClosed = false }
    }
}
