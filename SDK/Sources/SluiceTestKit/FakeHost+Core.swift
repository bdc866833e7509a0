import CSluice
import SluiceSDK

/// Work that is due at a time.
struct TimerRecord {
    let token: sluice_token
    let worker: Int
    var due: UInt64
    let period: UInt64
    let task: sluice_task
    let context: UnsafeMutableRawPointer?
}

/// Work that was posted; to all workers as one record each.
struct PostedTask {
    let worker: Int
    let task: sluice_task
    let context: UnsafeMutableRawPointer?
}

/// A job that waits for a thread.
struct JobRecord {
    let worker: Int
    let work: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void
    let done: sluice_task?
    let context: UnsafeMutableRawPointer?
}

/// The number of an attribute, and its type.
struct AttributeKey {
    let number: UInt32
    let type: UInt32
}

extension FakeHost {
    static let timersMax = 1_024
    static let jobsMax = 1_024
    static let attributesMax = 256

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let core: UnsafePointer<sluice_core> = {
        var core = sluice_core()
        core.size = UInt32(MemoryLayout<sluice_core>.size)
        core.log = { FakeHost.of($0).write($1, String($2)) }
        core.log_pairs = { FakeHost.of($0).write($1, line($2, $3, $4)) }
        core.log_level = { FakeHost.of($0).logLevel }
        core.now = { FakeHost.of($0).nowNanoseconds }
        core.wall_clock = { FakeHost.of($0).wallClockSeconds }
        core.random = { host in locked { FakeHost.of(host).random() } }
        core.request_alloc = { RequestFixture.of($0).allocate($1) }
        core.attr_key = { FakeHost.of($0).attributeKey(String($1), $2, $3) }
        core.timer_set = { host, delay, period, task, context, timer in
            FakeHost.of(host).setTimer(delay, period, task, context, timer)
        }
        core.timer_cancel = { FakeHost.of($0).cancelTimer($1) }
        core.post = { InstanceHandle.of($0).post($1, $2, $3) }
        core.offload = { FakeHost.of($0).offload($1, $2, $3) }
        addBuffers(to: &core)
        addMetrics(to: &core)
        return place(core)
    }()

    private func write(_ level: UInt32, _ line: String) {
        locked {
            if level <= logLevel { log.append((level: level, line: line)) }
        }
    }

    private static func line(
        _ message: sluice_slice,
        _ pairs: UnsafePointer<sluice_pair>?,
        _ count: UInt32
    ) -> String {
        var line = String(message)
        for index in 0..<Int(count) {
            guard let pair = pairs?[index] else { break }
            line += " \(String(pair.name))=\(String(pair.value))"
        }
        return line
    }

    func attributeKey(
        _ name: String,
        _ type: UInt32,
        _ key: UnsafeMutablePointer<UInt32>?
    ) -> Int32 {
        guard expect(.control, in: "attr_key") else { return Int32(SLUICE_ENOTSUP) }
        guard let known = knownAttribute(name, type) else { return Int32(SLUICE_ENOMEM) }
        guard known.type == type, !name.isEmpty, name.utf8.count <= 64 else {
            return Int32(SLUICE_EINVAL)
        }
        key?.pointee = known.number
        return Int32(SLUICE_OK)
    }

    /// The key of an attribute, made when it is asked for first; nil when there are too many.
    func knownAttribute(_ name: String, _ type: UInt32) -> AttributeKey? {
        if let known = attributeKeys[name] { return known }
        guard attributeKeys.count < Self.attributesMax else { return nil }
        let key = AttributeKey(number: UInt32(attributeKeys.count + 1), type: type)
        attributeKeys[name] = key
        return key
    }

    private func setTimer(
        _ delay: UInt64,
        _ period: UInt64,
        _ task: sluice_task?,
        _ context: UnsafeMutableRawPointer?,
        _ timer: UnsafeMutablePointer<sluice_token>?
    ) -> Int32 {
        guard expect(.worker(0), in: "timer_set"), let task else { return Int32(SLUICE_EINVAL) }
        let worker = Int(ThreadRole.current.worker)
        guard timers.filter({ $0.worker == worker }).count < Self.timersMax else {
            return Int32(SLUICE_ENOMEM)
        }
        let token = Waits.nextToken()
        timers.append(
            TimerRecord(
                token: token,
                worker: worker,
                due: nowNanoseconds + delay,
                period: period,
                task: task,
                context: context
            )
        )
        timer?.pointee = token
        return Int32(SLUICE_OK)
    }

    private func cancelTimer(_ timer: UnsafePointer<sluice_token>?) -> Int32 {
        let sequence = timer?.pointee.sequence
        guard let index = timers.firstIndex(where: { $0.token.sequence == sequence }) else {
            return Int32(SLUICE_ESTALE)
        }
        if ThreadRole.current != .worker(timers[index].worker) {
            misuses.append("timer_cancel was called on \(ThreadRole.current.text)")
        }
        timers.remove(at: index)
        return Int32(SLUICE_OK)
    }

    private func offload(
        _ work: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?,
        _ done: sluice_task?,
        _ context: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard expect(.worker(0), .control, in: "offload"), let work else {
            return Int32(SLUICE_EINVAL)
        }
        let role = ThreadRole.current
        guard role.kind == ThreadRole.worker(0).kind || done == nil else {
            misuses.append("offload was called on the control thread with `done`")
            return Int32(SLUICE_EINVAL)
        }
        guard jobs.count < Self.jobsMax else { return Int32(SLUICE_EAGAIN) }
        let worker = role == .control ? 0 : Int(role.worker)
        jobs.append(JobRecord(worker: worker, work: work, done: done, context: context))
        return Int32(SLUICE_OK)
    }
}

extension InstanceHandle {
    fileprivate func post(
        _ worker: UInt32,
        _ task: sluice_task?,
        _ context: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let task, worker == .max || Int(worker) < workerCount else {
            return Int32(SLUICE_EINVAL)
        }
        let workers = worker == .max ? 0..<workerCount : Int(worker)..<Int(worker) + 1
        locked {
            for worker in workers {
                host.posted.append(PostedTask(worker: worker, task: task, context: context))
            }
        }
        return Int32(SLUICE_OK)
    }
}
