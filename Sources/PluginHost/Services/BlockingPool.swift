import CSluice
import Synchronization
import Sys

/// Threads for work of plugins that may block: a few, made when they are first needed.
final class BlockingPool: Sendable {
    static let shared = BlockingPool()

    /// Threads at most.
    static let threadsMax = 4
    /// Work of one instance that waits or runs.
    static let jobsPerInstanceMax = 1_024

    typealias Work =
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void

    struct Job: @unchecked Sendable {
        // Safe: the plugin says with `offload` that its context may go to another thread.
        let handle: Unmanaged<InstanceHandle>
        let work: Work
        let done: sluice_task?
        let context: UnsafeMutableRawPointer?
        /// Where `done` runs.
        let worker: Int
    }

    private struct State {
        var jobs: [Job] = []
        /// Jobs before this one were taken.
        var first = 0
        var threads = 0
        var idle = 0
        /// Handles whose work runs, once for each.
        var running: [UnsafeRawPointer] = []
    }

    private let monitor = Monitor(State())

    /// Leaves work for the next thread that is free.
    func submit(_ job: Job) {
        let number = monitor.change { state -> Int? in
            state.jobs.append(job)
            let waiting = state.jobs.count - state.first
            guard waiting > state.idle, state.threads < Self.threadsMax else { return nil }
            state.threads += 1
            return state.threads
        }
        guard let number else { return }
        _ = PinnedThread.start(name: "blocking-\(number)") { self.run() }
    }

    private func run() {
        ThreadRole.enter(.blocking)
        while let job = next() {
            job.handle._withUnsafeGuaranteedRef { handle in
                // Work that waited while its instance was refused or destroyed is left out.
                if handle.isLive {
                    handle.mark(.offload) { job.work(handle.instance, job.context) }
                }
                if let done = job.done {
                    let task = WorkerPort.Task(
                        handle: job.handle,
                        call: done,
                        context: job.context,
                        isCounted: false
                    )
                    _ = WorkerPort.of(worker: job.worker).post(task)
                }
                handle.offloads.wrappingSubtract(1, ordering: .releasing)
            }
            finished(job)
        }
    }

    /// The oldest work; sleeps until there is some.
    private func next() -> Job? {
        monitor.change { $0.idle += 1 }
        return monitor.wait { state in
            guard state.first < state.jobs.count else { return nil }
            let job = state.jobs[state.first]
            state.first += 1
            if state.first == state.jobs.count || state.first == Self.jobsPerInstanceMax {
                state.jobs.removeFirst(state.first)
                state.first = 0
            }
            state.idle -= 1
            state.running.append(UnsafeRawPointer(job.handle.toOpaque()))
            return job
        }
    }

    private func finished(_ job: Job) {
        monitor.change { state in
            let address = UnsafeRawPointer(job.handle.toOpaque())
            guard let index = state.running.firstIndex(of: address) else { return }
            state.running.swapAt(index, state.running.count - 1)
            state.running.removeLast()
        }
    }

    /// Waits until no work of an instance runs that has ended (`InstanceHandle.end`).
    ///
    /// - Returns: false when some still runs at the deadline.
    func drain(_ handle: InstanceHandle, deadline: UInt64) -> Bool {
        let address = UnsafeRawPointer(Unmanaged.passUnretained(handle).toOpaque())
        let isDone: Bool? = monitor.wait(deadline: deadline) { state in
            state.running.contains(address) ? nil : true
        }
        return isDone ?? false
    }
}
