internal import Proxy
internal import Sys

/// How far the workers are with each generation, and what the control thread is to do.
final class GenerationLedger: Sendable {
    /// Work for the control thread.
    typealias Job = @Sendable () -> Void

    struct State {
        var jobs: [Job] = []
        /// Workers that have gone over to a generation.
        var adopted: [UInt32: Int] = [:]
        /// Workers on which nothing of a generation is left.
        var drained: [UInt32: Int] = [:]
        /// Workers that have stopped what was retired with a generation.
        var retired: [UInt32: Int] = [:]
        /// Generations that the control thread has yet to look at.
        var hasNews = false
        var isOver = false
    }

    private let state = Monitor(State())

    /// What workers report to. [any thread]
    var reports: GenerationReports {
        GenerationReports { [self] _, report in
            state.change { state in
                switch report {
                case .adopted(let number): state.adopted[number, default: 0] += 1
                case .drained(let number): state.drained[number, default: 0] += 1
                case .retired(let number): state.retired[number, default: 0] += 1
                }
                state.hasNews = true
            }
        }
    }

    /// Leaves work for the control thread; false once that has ended. [any thread]
    func submit(_ job: @escaping Job) -> Bool {
        state.change { state in
            if !state.isOver { state.jobs.append(job) }
            return !state.isOver
        }
    }

    /// No more work is taken.
    func close() { state.change { $0.isOver = true } }

    enum Next {
        case job(Job)
        case news
        case timeOver
        case over
    }

    /// Waits for something to do. [control]
    ///
    /// - Parameter milliseconds: how long; nil for as long as it takes.
    func next(milliseconds: Int?) -> Next {
        let deadline = milliseconds.map { Clock.kernelNanoseconds() + UInt64($0) * 1_000_000 }
        return state.wait(deadline: deadline) { state -> Next? in
            if !state.jobs.isEmpty { return .job(state.jobs.removeFirst()) }
            if state.isOver { return .over }
            guard state.hasNews else { return nil }
            state.hasNews = false
            return .news
        } ?? .timeOver
    }

    /// Waits until this many workers have gone over; false when the time is over.
    func waitAdopted(_ number: UInt32, workers: Int, milliseconds: Int) -> Bool {
        let deadline = Clock.kernelNanoseconds() + UInt64(milliseconds) * 1_000_000
        return state.wait(deadline: deadline) { state -> Bool? in
            state.adopted[number, default: 0] >= workers ? true : nil
        } ?? false
    }

    func hasDrained(_ number: UInt32, workers: Int) -> Bool {
        state.change { $0.drained[number, default: 0] >= workers }
    }

    func hasRetired(_ number: UInt32, workers: Int) -> Bool {
        state.change { $0.retired[number, default: 0] >= workers }
    }

    /// Workers are to go over to a generation that they know already.
    func forgetAdoption(_ number: UInt32) { state.change { $0.adopted[number] = nil } }

    /// Forgets a generation that is gone.
    func forget(_ number: UInt32) {
        state.change { state in
            state.adopted[number] = nil
            state.drained[number] = nil
            state.retired[number] = nil
        }
    }
}
