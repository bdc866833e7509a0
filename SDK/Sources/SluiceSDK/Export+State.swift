public import CSluice

// The C functions that move state from one instance to another.

extension Export where P: StatefulPlugin, P: ~Copyable {
    /// The C function that writes the instance's state.
    public static func exportState(
        _ state: UnsafeMutableRawPointer?,
        _ sink: UnsafePointer<sluice_sink>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        withPlugin(state, error) { plugin throws(PluginError) in
            try write(sink) { out throws(PluginError) in try plugin.exportState(to: &out) }
        }
    }

    /// The C function that takes another instance's state.
    public static func importState(
        _ state: UnsafeMutableRawPointer?,
        _ bytes: sluice_slice,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        withPlugin(state, error) { plugin throws(PluginError) in
            try plugin.importState(Bytes(bytes))
            return Int32(SLUICE_OK)
        }
    }

    /// What `body` returns, or what its failure is to the host.
    private static func withPlugin(
        _ state: UnsafeMutableRawPointer?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?,
        _ body: (borrowing P) throws(PluginError) -> Int32
    ) -> Int32 {
        guard let state else { return Int32(SLUICE_EINVAL) }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        do throws(PluginError) {
            return try body(instance.pointee.plugin)
        } catch let failure {
            return report(failure, error, Int32(SLUICE_EINVAL))
        }
    }

    private static func write(
        _ sink: UnsafePointer<sluice_sink>?,
        _ body: (inout StateSink) throws(PluginError) -> Void
    ) throws(PluginError) -> Int32 {
        guard let sink, sink.pointee.size == UInt32(MemoryLayout<sluice_sink>.size)
        else { return Int32(SLUICE_EINVAL) }
        var out = StateSink(sink)
        try body(&out)
        return out.result
    }
}

extension Export where P: HandoverPlugin, P: ~Copyable {
    /// The C function that gets an instance ready.
    public static func warm(
        _ state: UnsafeMutableRawPointer?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        withPlugin(state, error) { plugin throws(PluginError) in
            try plugin.warm()
            return Int32(SLUICE_OK)
        }
    }

    /// The C function that writes what has changed since the state was written.
    public static func exportRest(
        _ state: UnsafeMutableRawPointer?,
        _ sink: UnsafePointer<sluice_sink>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        withPlugin(state, error) { plugin throws(PluginError) in
            try write(sink) { out throws(PluginError) in try plugin.exportRest(to: &out) }
        }
    }

    /// The C function that adds it.
    public static func importRest(
        _ state: UnsafeMutableRawPointer?,
        _ bytes: sluice_slice,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        withPlugin(state, error) { plugin throws(PluginError) in
            try plugin.importRest(Bytes(bytes))
            return Int32(SLUICE_OK)
        }
    }
}
