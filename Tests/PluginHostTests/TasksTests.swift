import CSluice
import Synchronization
import Sys
import Testing

@testable import PluginHost

/// What tasks of a test note; their context, and the instance's state.
private final class Notes: Sendable {
    let lines = Mutex<[String]>([])

    var text: [String] { lines.withLock { $0 } }

    func note(_ line: String) { lines.withLock { $0.append(line) } }

    var address: UnsafeMutableRawPointer { Unmanaged.passRetained(self).toOpaque() }

    static func of(_ address: UnsafeMutableRawPointer?) -> Notes? {
        address.map { Unmanaged<Notes>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// Notes the worker, and the slot that it was given.
private let noteTask: sluice_task = { state, slot, context in
    guard state == context else { return }
    Notes.of(context)?.note("worker \(ThreadRole.workerIndex) slot \(Int(bitPattern: slot))")
}

/// Ports are the process's, so each test has workers of its own.
@Suite(.serialized)
struct TasksTests {
    private let core = CoreTable.functions.pointee

    /// An instance that is made, on workers up to this one.
    private func instance(_ notes: Notes, workers: Int) -> (InstanceHandle, OpaquePointer) {
        let instance = Host.instance("tasks", workerCount: workers)
        instance.begin(state: notes.address)
        return (instance, instance.makeReference())
    }

    /// Runs the body as this worker, whose instances are started.
    private func asWorker(
        _ worker: Int,
        _ instance: InstanceHandle,
        slot: Int = 5,
        _ body: @escaping @Sendable (WorkerPort) -> Void
    ) {
        Threads.run(1, as: { _ in .worker(worker) }) { _ in
            instance.began(worker: worker, slot: UnsafeMutableRawPointer(bitPattern: slot))
            let port = WorkerPort.of(worker: worker)
            port.open {}
            body(port)
            port.close()
            instance.stopped(worker: worker)
        }
    }

    // MARK: Posting

    @Test
    func `a task that comes before its worker runs when it is there`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 23)
        #expect(core.post(host, 22, noteTask, notes.address) == SLUICE_OK)
        #expect(core.post(host, 22, noteTask, nil) == SLUICE_OK)
        asWorker(22, instance) { $0.runTasks() }
        #expect(notes.text == ["worker 22 slot 5"])
    }

    @Test
    func `a task for all runs on each`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 4)
        #expect(core.post(host, .max, noteTask, notes.address) == SLUICE_OK)
        for worker in 0..<4 { asWorker(worker, instance, slot: 10 + worker) { $0.runTasks() } }
        #expect(notes.text == (0..<4).map { "worker \($0) slot \(10 + $0)" })
    }

    @Test
    func `there must be such a worker`() {
        let (_, host) = instance(Notes(), workers: 3)
        #expect(core.post(host, 3, noteTask, nil) == SLUICE_EINVAL)
        #expect(core.post(host, .max - 1, noteTask, nil) == SLUICE_EINVAL)
        #expect(core.post(host, 0, nil, nil) == SLUICE_EINVAL)
        #expect(core.post(nil, 0, noteTask, nil) == SLUICE_EINVAL)
    }

    @Test
    func `the worker is woken once for many tasks`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 6)
        nonisolated(unsafe) let handle = host
        let context = Int(bitPattern: notes.address)
        let wakes = Woken()
        Threads.run(1, as: { _ in .worker(5) }) { _ in
            instance.began(worker: 5, slot: nil)
            let port = WorkerPort.of(worker: 5)
            port.open { wakes.count.wrappingAdd(1, ordering: .relaxed) }
            for _ in 0..<10 {
                _ = CoreTable.functions.pointee.post(
                    handle,
                    5,
                    noteTask,
                    UnsafeMutableRawPointer(bitPattern: context)
                )
            }
            port.runTasks()
            _ = CoreTable.functions.pointee.post(
                handle,
                5,
                noteTask,
                UnsafeMutableRawPointer(bitPattern: context)
            )
            port.runTasks()
            port.close()
            instance.stopped(worker: 5)
        }
        #expect(notes.text.count == 11)
        #expect(wakes.count.load(ordering: .relaxed) == 2)
    }

    private final class Woken: Sendable { let count = Atomic<Int>(0) }

    @Test
    func `after the worker has stopped none runs`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 7)
        asWorker(6, instance) { _ in }
        #expect(core.post(host, 6, noteTask, notes.address) == SLUICE_OK)
        // The worker's port is open again, but the instance has stopped on it.
        let port = WorkerPort.of(worker: 6)
        port.open {}
        #expect(core.post(host, 6, noteTask, notes.address) == SLUICE_OK)
        port.runTasks()
        #expect(notes.text == [])
        port.close()
    }

    @Test
    func `an instance that is started later finds its tasks`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 9)
        _ = core.post(host, 8, noteTask, notes.address)
        let port = WorkerPort.of(worker: 8)
        let wakes = Woken()
        port.open { wakes.count.wrappingAdd(1, ordering: .relaxed) }
        port.runTasks()
        #expect(notes.text == [])
        instance.began(worker: 8, slot: nil)
        port.started()
        #expect(wakes.count.load(ordering: .relaxed) == 2)
        port.runTasks()
        #expect(notes.text.count == 1)
        port.close()
    }

    @Test
    func `a refused instance's tasks never run`() {
        let notes = Notes()
        let instance = Host.instance("refused", workerCount: 10)
        let host = instance.makeReference()
        #expect(core.post(host, 9, noteTask, notes.address) == SLUICE_OK)
        #expect(
            core.offload(
                host,
                { _, context in Notes.of(context)?.note("work") },
                nil,
                notes.address
            ) == SLUICE_OK
        )
        instance.end()
        asWorker(9, instance) { $0.runTasks() }
        #expect(BlockingPool.shared.drain(instance, deadline: .max))
        #expect(notes.text == [])
    }

    @Test
    func `tasks that wait are bounded, for all workers or none`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 12)
        for _ in 0..<65_536 { _ = core.post(host, 11, noteTask, nil) }
        #expect(core.post(host, 11, noteTask, notes.address) == SLUICE_EAGAIN)
        #expect(core.post(host, .max, noteTask, notes.address) == SLUICE_EAGAIN)
        asWorker(11, instance) { $0.runTasks() }
        asWorker(10, instance) { $0.runTasks() }
        #expect(notes.text == [])
        #expect(core.post(host, .max, noteTask, notes.address) == SLUICE_OK)
    }

    // MARK: Timers

    @Test
    func `timers are the worker's`() {
        let (_, host) = instance(Notes(), workers: 1)
        var token = sluice_token()
        #expect(core.timer_set(host, 0, 0, noteTask, nil, &token) == SLUICE_ENOTSUP)
        #expect(core.timer_cancel(host, &token) == SLUICE_ESTALE)
    }

    @Test
    func `a timer runs with the worker's slot, and can be cancelled`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 14)
        nonisolated(unsafe) let handle = host
        asWorker(13, instance) { port in
            let core = CoreTable.functions.pointee
            var once = sluice_token()
            var again = sluice_token()
            let second: UInt64 = 1_000_000_000
            let start = Clock.monotonicNanoseconds()
            _ = core.timer_set(handle, second, 0, noteTask, notes.address, &once)
            _ = core.timer_set(handle, second, second, noteTask, notes.address, &again)
            notes.note("next \((port.takeNextTimer() ?? 0) >= start + second)")
            notes.note("known \(port.takeNextTimer() == nil)")
            port.runTimers(now: start)
            port.runTimers(now: start + 2 * second)
            notes.note("over \(core.timer_cancel(handle, &once))")
            port.runTimers(now: start + 4 * second)
            notes.note("cancelled \(core.timer_cancel(handle, &again))")
            notes.note("twice \(core.timer_cancel(handle, &again))")
            port.runTimers(now: start + 8 * second)
            notes.note("none \(port.takeNextTimer() == .max)")
        }
        let run = "worker 13 slot 5"
        #expect(
            notes.text == [
                "next true", "known true", run, run, "over \(SLUICE_ESTALE)", run,
                "cancelled \(SLUICE_OK)", "twice \(SLUICE_ESTALE)", "none true",
            ]
        )
    }

    @Test
    func `timers of an instance and worker are bounded`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 15)
        nonisolated(unsafe) let handle = host
        asWorker(14, instance) { port in
            let core = CoreTable.functions.pointee
            var token = sluice_token()
            var count = 0
            while core.timer_set(handle, 1, 0, noteTask, nil, &token) == SLUICE_OK { count += 1 }
            notes.note("\(count) \(core.timer_set(handle, 1, 0, noteTask, nil, &token))")
            _ = core.timer_cancel(handle, &token)
            notes.note("\(core.timer_set(handle, 1, 0, noteTask, nil, &token))")
            port.runTimers(now: .max)
            notes.note("\(core.timer_set(handle, 1, 0, noteTask, nil, &token))")
            let other = Host.instance("other", workerCount: 15)
            other.begin(state: nil)
            notes.note("\(core.timer_set(other.makeReference(), 1, 0, noteTask, nil, &token))")
        }
        #expect(notes.text == ["1024 \(SLUICE_ENOMEM)", "0", "0", "0"])
    }

    // MARK: Offloading

    /// Waits until so many notes are there.
    private func wait(_ notes: Notes, count: Int) {
        let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
        while notes.text.count < count, Clock.monotonicNanoseconds() < deadline { Process.yield() }
    }

    @Test
    func `work runs on a blocking thread, and what follows on the worker that asked`() {
        let notes = Notes()
        let (instance, host) = instance(notes, workers: 17)
        nonisolated(unsafe) let handle = host
        asWorker(16, instance) { port in
            let work: BlockingPool.Work = { state, context in
                let isBlocking = ThreadRole.current == .blocking
                Notes.of(context)?.note("work \(isBlocking) \(state == context)")
            }
            _ = CoreTable.functions.pointee.offload(handle, work, noteTask, notes.address)
            let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
            while notes.text.count < 2, Clock.monotonicNanoseconds() < deadline {
                port.runTasks()
                Process.yield()
            }
        }
        #expect(notes.text == ["work true true", "worker 16 slot 5"])
    }

    @Test
    func `off a worker there is nothing to follow`() {
        let notes = Notes()
        let (_, host) = instance(notes, workers: 1)
        let work: BlockingPool.Work = { _, context in Notes.of(context)?.note("work") }
        #expect(core.offload(host, work, noteTask, notes.address) == SLUICE_EINVAL)
        #expect(core.offload(host, nil, nil, nil) == SLUICE_EINVAL)
        #expect(core.offload(host, work, nil, notes.address) == SLUICE_OK)
        wait(notes, count: 1)
        #expect(notes.text == ["work"])
    }

    @Test
    func `work that is asked for in create runs after it`() {
        let notes = Notes()
        let instance = Host.instance("early")
        let host = instance.makeReference()
        let work: BlockingPool.Work = { state, context in
            Notes.of(context)?.note("\(state == context)")
        }
        #expect(core.offload(host, work, nil, notes.address) == SLUICE_OK)
        instance.begin(state: notes.address)
        wait(notes, count: 1)
        #expect(notes.text == ["true"])
        instance.end()
        #expect(BlockingPool.shared.drain(instance, deadline: .max))
    }

    @Test
    func `work of an instance is bounded, and its end is waited for`() {
        // Its first jobs hold all threads until the gate is opened.
        let gate = Monitor(false)
        let address = Unmanaged.passRetained(gate).toOpaque()
        let (instance, host) = instance(Notes(), workers: 1)
        let work: BlockingPool.Work = { _, context in
            guard let context else { return }
            _ = Unmanaged<Monitor<Bool>>.fromOpaque(context).takeUnretainedValue()
                .wait { $0 ? true : nil }
        }
        for _ in 0..<1_024 { #expect(core.offload(host, work, nil, address) == SLUICE_OK) }
        #expect(core.offload(host, work, nil, address) == SLUICE_EAGAIN)
        let (_, other) = self.instance(Notes(), workers: 1)
        #expect(core.offload(other, work, nil, address) == SLUICE_OK)
        // Until a job of it runs there is nothing to wait for.
        while BlockingPool.shared.drain(instance, deadline: 0) { Process.yield() }
        instance.end()
        let soon = Clock.monotonicNanoseconds() + 20_000_000
        #expect(!BlockingPool.shared.drain(instance, deadline: soon))
        gate.change { $0 = true }
        #expect(BlockingPool.shared.drain(instance, deadline: .max))
        while instance.offloads.load(ordering: .acquiring) > 0 { Process.yield() }
    }
}
