internal import PluginHost
internal import Proxy
internal import Sys

/// Metrics of the process itself, by the names that Prometheus's own libraries give them.
enum ProcessMetrics {
    /// Has these, and what workers count, among the metrics of the process from now on.
    static func publish(_ tables: PlanTables) {
        Metrics.setSource("process") { write(to: $0) }
        tables.publishMetrics()
    }

    private static func write(to writer: MetricWriter) {
        writer.family("sluice_build_info", .info, "What runs: always 1.")
        writer.sample(1, [("version", Version.host), ("plugin_abi", Version.pluginABI)])
        writer.family(
            "process_cpu_seconds_total",
            .counter,
            "CPU time of the serving process, in user space and in the kernel."
        )
        writer.sample(Double(Usage.cpuNanoseconds) / 1e9)
        if let start = Usage.startSeconds {
            writer.family(
                "process_start_time_seconds",
                .gauge,
                "When the serving process began, in seconds since the epoch."
            )
            writer.sample(start)
        }
        if let memory = Usage.memory {
            writer.family("process_resident_memory_bytes", .gauge, "Memory of the process.")
            writer.sample(memory.resident)
            writer.family("process_virtual_memory_bytes", .gauge, "Its address space.")
            writer.sample(memory.virtual)
        }
        if let open = Usage.openDescriptors {
            writer.family("process_open_fds", .gauge, "Open descriptors.")
            writer.sample(open)
        }
        writer.family("process_max_fds", .gauge, "Descriptors that may be open.")
        writer.sample(Usage.descriptorLimit)
    }
}
