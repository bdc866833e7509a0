import RateLimiting
import SluiceSDK

/// What is done beside requests: talking with the store, and looking how full the sketches are.
///
/// The first worker's timers start both; the work itself is done on a thread that may block.
extension RateLimitFilter: WorkHook, JobHook {
    /// Between two looks at the sketches.
    static let measureNanoseconds: UInt64 = 5_000_000_000

    package enum Work: UInt8, BitwiseCopyable {
        case sync
        case measure
    }

    package struct Job {
        let work: Work
    }

    package func makeWorker(_ index: Int) -> Worker {
        guard index == 0 else { return Worker() }
        if let synchronizer = configuration.synchronizer {
            _ = try? scheduler.every(nanoseconds: synchronizer.syncNanoseconds, .sync)
        }
        _ = try? scheduler.every(nanoseconds: Self.measureNanoseconds, .measure)
        return Worker()
    }

    package func perform(_ work: Work, on worker: inout Worker) {
        switch work {
        case .sync:
            // One that takes longer than the time between two is not hurried by more of them.
            if worker.isSyncing { return }
            worker.isSyncing = (try? jobs.start(Job(work: work))) != nil
        case .measure:
            if worker.isMeasuring { return }
            worker.isMeasuring = (try? jobs.start(Job(work: work))) != nil
        }
    }

    package func run(_ job: inout Job) {
        switch job.work {
        case .sync: configuration.synchronizer?.sync()
        case .measure: measure()
        }
    }

    package func finish(_ job: consuming Job, on worker: inout Worker) {
        switch job.work {
        case .sync: worker.isSyncing = false
        case .measure: worker.isMeasuring = false
        }
    }

    private func measure() {
        let now = host.nowNanoseconds
        for rule in configuration.rules {
            if rule.delay > 0 { rule.counters.waiting.set(rule.block.waitingCount) }
            if let sketch = rule.inFlight {
                rule.counters.keys.set(sketch.keyCount())
            } else if let table = rule.table {
                rule.counters.keys.set(table.keyCount())
            } else if let sketch = rule.sketch {
                let instant = WindowSketch.Instant(now: now, window: rule.window)
                rule.counters.keys.set(sketch.keyCount(at: instant))
            }
        }
    }
}
