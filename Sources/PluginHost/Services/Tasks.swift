import CSluice
import Synchronization
import Sys

/// Timers, posted tasks and offloaded work: `timer_set` and what follows it in `sluice.core/1`.
enum Tasks {
    /// `timer_set` of the ABI.
    static func setTimer(
        _ handle: InstanceHandle,
        delay: UInt64,
        period: UInt64,
        _ task: sluice_task,
        _ context: UnsafeMutableRawPointer?,
        _ token: UnsafeMutablePointer<sluice_token>
    ) -> Int32 {
        let worker = ThreadRole.workerIndex
        guard worker >= 0 else {
            handle.noteMisuse()
            return Int32(SLUICE_ENOTSUP)
        }
        guard handle.phase(worker: worker) != .stopped, handle.takeTimer(worker: worker) else {
            return Int32(SLUICE_ENOMEM)
        }
        let timer = TimerQueue.Timer(
            handle: Unmanaged.passUnretained(handle),
            task: task,
            context: context,
            deadline: Clock.monotonicNanoseconds().addingSaturating(delay),
            period: period
        )
        guard let made = WorkerPort.of(worker: worker).addTimer(timer) else {
            handle.giveTimer(worker: worker)
            return Int32(SLUICE_ENOMEM)
        }
        token.pointee = made
        return Int32(SLUICE_OK)
    }

    /// `timer_cancel` of the ABI.
    static func cancelTimer(_ handle: InstanceHandle, _ token: sluice_token) -> Int32 {
        let worker = ThreadRole.workerIndex
        guard worker >= 0,
            WorkerPort.of(worker: worker).cancelTimer(token, of: Unmanaged.passUnretained(handle))
        else { return Int32(SLUICE_ESTALE) }
        handle.giveTimer(worker: worker)
        return Int32(SLUICE_OK)
    }

    /// `post` of the ABI.
    static func post(
        _ handle: InstanceHandle,
        worker: UInt32,
        _ call: sluice_task,
        _ context: UnsafeMutableRawPointer?
    ) -> Int32 {
        let workers: Range<Int>
        if worker == UInt32.max {
            workers = 0..<handle.workerCount
        } else {
            guard worker < UInt32(handle.workerCount) else {
                handle.noteMisuse()
                return Int32(SLUICE_EINVAL)
            }
            workers = Int(worker)..<Int(worker) + 1
        }
        // Room everywhere first, so that all of them run it or none.
        for (made, worker) in workers.enumerated() where !WorkerPort.of(worker: worker).reserve() {
            for reserved in workers.prefix(made) { WorkerPort.of(worker: reserved).unreserve() }
            return Int32(SLUICE_EAGAIN)
        }
        let task = WorkerPort.Task(
            handle: Unmanaged.passUnretained(handle),
            call: call,
            context: context,
            isCounted: true
        )
        for worker in workers {
            let port = WorkerPort.of(worker: worker)
            if !port.post(task) { port.unreserve() }
        }
        return Int32(SLUICE_OK)
    }

    /// `offload` of the ABI.
    static func offload(
        _ handle: InstanceHandle,
        _ work: BlockingPool.Work,
        _ done: sluice_task?,
        _ context: UnsafeMutableRawPointer?
    ) -> Int32 {
        let worker = ThreadRole.workerIndex
        guard done == nil || worker >= 0 else {
            handle.noteMisuse()
            return Int32(SLUICE_EINVAL)
        }
        let most = BlockingPool.jobsPerInstanceMax
        guard handle.offloads.wrappingAdd(1, ordering: .relaxed).newValue <= most else {
            handle.offloads.wrappingSubtract(1, ordering: .relaxed)
            return Int32(SLUICE_EAGAIN)
        }
        let job = BlockingPool.Job(
            handle: Unmanaged.passUnretained(handle),
            work: work,
            done: done,
            context: context,
            worker: worker
        )
        let isEarly = handle.early.withLock { jobs in
            guard handle.isMade else { return false }
            jobs.append(job)
            return true
        }
        if !isEarly { BlockingPool.shared.submit(job) }
        return Int32(SLUICE_OK)
    }
}
