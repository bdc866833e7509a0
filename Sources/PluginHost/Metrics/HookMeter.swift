import Synchronization

/// How requests are picked whose hooks are timed.
public enum HookSampling {
    /// Requests of which one is: a power of two, so that reading the clock costs next to nothing,
    /// and a slow plugin shows soon.
    public static let period: UInt32 = 64
}

/// Where calls of one plugin's hooks of one phase are counted.
struct HookMeter {
    /// A cell of the registry, which every call adds 1 to.
    let calls: Int
    /// Series of the registry.
    let errors: UInt32
    let times: UInt32

    init(instance: String, _ phase: Phase, workers: Int) {
        let registry = MetricRegistry.shared
        func series(_ metric: HostMetric) -> UInt32 {
            registry.hostSeries(metric, of: instance, phase.name, workers: workers)
        }
        errors = series(.hookErrors)
        times = series(.hookTimes)
        calls = registry.series(series(.hookCalls))?.pointee.cell ?? registry.nowhere
    }
}

extension MetricRegistry {
    /// Where a worker counts calls.
    func pages(ofWorker worker: Int) -> MetricCells.Pages {
        definitions.withLock { _ in
            cells.grow(workers: worker + 1)
            return cells.pages(ofWorker: worker)
        }
    }
}
