import CSluice
import Sys

/// The tables of services that need no request: `sluice.core/1`, `sluice.metrics/1` and
/// `sluice.thread_check/1`.
enum CoreTable {
    /// `sluice.core/1`.
    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_core> = {
        let core = UnsafeMutablePointer<sluice_core>.allocate(capacity: 1)
        core.initialize(to: sluice_core())
        core.pointee.size = UInt32(MemoryLayout<sluice_core>.size)
        fillLog(core)
        core.pointee.now = { _ in Clock.monotonicNanoseconds() }
        core.pointee.wall_clock = { _ in Clock.wallSeconds() }
        core.pointee.random = { _ in Process.randomWord() }
        fillMemory(core)
        fillMetrics(core)
        core.pointee.attr_key = { _, name, type, key in
            guard let key else { return Int32(SLUICE_EINVAL) }
            return Attributes.key(name, type: type, key)
        }
        fillTasks(core)
        return UnsafePointer(core)
    }()

    private static func fillLog(_ core: UnsafeMutablePointer<sluice_core>) {
        core.pointee.log = { host, level, message in
            guard let host, message.ptr != nil else { return }
            InstanceHandle.with(host) { PluginLog.write($0, level, message, nil, 0) }
        }
        core.pointee.log_pairs = { host, level, message, pairs, count in
            guard let host else { return }
            InstanceHandle.with(host) { PluginLog.write($0, level, message, pairs, count) }
        }
        core.pointee.log_level = { host in
            guard let host else { return 0 }
            return InstanceHandle.with(host) { $0.levelMax }
        }
    }

    private static func fillMemory(_ core: UnsafeMutablePointer<sluice_core>) {
        core.pointee.request_alloc = { request, length in
            guard let request, length > 0, length <= UInt64(RequestContext.pluginBytesMax) else {
                return nil
            }
            // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
            return UnsafeMutablePointer<RequestContext>(request).pointee
                .allocateForPlugin(Int(length))
        }
        core.pointee.buf_new = { host, capacity in
            guard let host else { return nil }
            return InstanceHandle.with(host) { Buffers.new($0, capacity: capacity) }
        }
        core.pointee.buf_wrap = { host, bytes, free, context in
            guard let host else { return nil }
            return InstanceHandle.with(host) {
                Buffers.wrap($0, bytes, free: free, context: context)
            }
        }
        core.pointee.buf_slice = { buf, offset, length in
            guard let buf else { return nil }
            return Buffers.slice(buf, offset: offset, length: length)
        }
        core.pointee.buf_retain = { buf in
            if let buf { Buffers.retain(buf) }
        }
        core.pointee.buf_release = { buf in
            if let buf { Buffers.release(buf) }
        }
    }

    private static func fillMetrics(_ core: UnsafeMutablePointer<sluice_core>) {
        core.pointee.metric_define = { host, metric, id, error in
            guard let host, let metric, let id else { return Int32(SLUICE_EINVAL) }
            return InstanceHandle.with(host) {
                MetricRegistry.shared.define($0, metric.pointee, id, error)
            }
        }
        core.pointee.metric_series = { id, values, count, series in
            guard let series else { return Int32(SLUICE_EINVAL) }
            return MetricRegistry.shared.series(id, values, count, series)
        }
        core.pointee.metric_add = { MetricRegistry.shared.add($0, $1) }
        core.pointee.metric_set = { MetricRegistry.shared.set($0, $1) }
        core.pointee.metric_observe = { MetricRegistry.shared.observe($0, $1) }
    }

    private static func fillTasks(_ core: UnsafeMutablePointer<sluice_core>) {
        core.pointee.timer_set = { host, delay, period, task, context, timer in
            guard let host, let task, let timer else { return Int32(SLUICE_EINVAL) }
            return InstanceHandle.with(host) {
                Tasks.setTimer($0, delay: delay, period: period, task, context, timer)
            }
        }
        core.pointee.timer_cancel = { host, timer in
            guard let host, let timer else { return Int32(SLUICE_ESTALE) }
            return InstanceHandle.with(host) { Tasks.cancelTimer($0, timer.pointee) }
        }
        core.pointee.post = { host, worker, task, context in
            guard let host, let task else { return Int32(SLUICE_EINVAL) }
            return InstanceHandle.with(host) { Tasks.post($0, worker: worker, task, context) }
        }
        core.pointee.offload = { host, work, done, context in
            guard let host, let work else { return Int32(SLUICE_EINVAL) }
            return InstanceHandle.with(host) { Tasks.offload($0, work, done, context) }
        }
    }

    /// `sluice.metrics/1`.
    // Safe: as `functions`.
    nonisolated(unsafe) static let metrics: UnsafePointer<sluice_metrics> = {
        let table = UnsafeMutablePointer<sluice_metrics>.allocate(capacity: 1)
        table.initialize(to: sluice_metrics())
        table.pointee.size = UInt32(MemoryLayout<sluice_metrics>.size)
        table.pointee.write = { sink in
            guard let sink else { return Int32(SLUICE_EINVAL) }
            return Metrics.write(.text, to: sink.pointee)
        }
        table.pointee.write_as = { format, sink in
            guard let sink, let format = MetricFormat(rawValue: format) else {
                return Int32(SLUICE_EINVAL)
            }
            return Metrics.write(format, to: sink.pointee)
        }
        return UnsafePointer(table)
    }()

    /// `sluice.thread_check/1`.
    // Safe: as `functions`.
    nonisolated(unsafe) static let threadCheck: UnsafePointer<sluice_thread_check> = {
        let table = UnsafeMutablePointer<sluice_thread_check>.allocate(capacity: 1)
        table.initialize(to: sluice_thread_check())
        table.pointee.size = UInt32(MemoryLayout<sluice_thread_check>.size)
        table.pointee.current = {
            switch ThreadRole.current {
            case .other: UInt32(SLUICE_THREAD_OTHER)
            case .control: UInt32(SLUICE_THREAD_CONTROL)
            case .worker: UInt32(SLUICE_THREAD_WORKER)
            case .blocking: UInt32(SLUICE_THREAD_BLOCKING)
            }
        }
        table.pointee.worker_index = {
            let index = ThreadRole.workerIndex
            return index < 0 ? .max : UInt32(index)
        }
        return UnsafePointer(table)
    }()
}
