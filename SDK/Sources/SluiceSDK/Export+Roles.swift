public import CSluice

// The C functions that belong to no phase.

extension Export where P: Balancer, P: ~Copyable {
    /// The C function that builds a table.
    public static func build(
        _ state: UnsafeMutableRawPointer?,
        _ set: UnsafePointer<sluice_peer_set>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> UnsafeMutableRawPointer? {
        guard let state, let set,
            set.pointee.size == UInt32(MemoryLayout<sluice_peer_set>.size)
        else { return nil }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        do throws(PluginError) {
            let table = try instance.pointee.plugin.build(PeerSet(set))
            return Unmanaged.passRetained(table).toOpaque()
        } catch let failure {
            _ = report(failure, error)
            return nil
        }
    }

    /// The C function that frees a table.
    public static func drop(
        _ state: UnsafeMutableRawPointer?,
        _ table: UnsafeMutableRawPointer?
    ) {
        // Safe: the table is what `build` gave, and no worker uses it any more.
        Unmanaged<P.Table>.fromOpaque(table.unsafelyUnwrapped).release()
    }

    /// The C function that picks.
    @inlinable
    public static func pick(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ table: UnsafeMutableRawPointer?,
        _ pick: UnsafeMutablePointer<sluice_pick>?
    ) -> UInt32 {
        // Safe: instance and table are what `create` and `build` gave; the pick is the host's.
        let instance = state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
        let table = Unmanaged<P.Table>.fromOpaque(table.unsafelyUnwrapped)
        let pick = pick.unsafelyUnwrapped
        pick.pointee.count = 0
        // The host keeps the table alive for the pick, so it need not be retained.
        table._withUnsafeGuaranteedRef { instance.pointee.plugin.pick(from: $0, Pick(pick)) }
        return UInt32(pick.pointee.count > 0 ? SLUICE_PICK_OK : SLUICE_PICK_NONE)
    }
}

extension Export where P: ~Copyable {
    /// The instance and its worker's state.
    ///
    /// A worker without state has no slot, and nothing is read through its pointer.
    static func withWorker(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ body: (borrowing P, inout P.Worker) -> Void
    ) {
        // Safe: the host passes what `create` and `workerStart` gave it.
        let instance = state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
        guard let slot else {
            precondition(MemoryLayout<P.Worker>.size == 0, "the host passed no slot")
            var none: UInt8 = 0
            return withUnsafeMutableBytes(of: &none) { bytes in
                let worker = bytes.baseAddress.unsafelyUnwrapped
                    .assumingMemoryBound(to: P.Worker.self)
                body(instance.pointee.plugin, &worker.pointee)
            }
        }
        let worker = slot.assumingMemoryBound(to: P.Worker.self)
        body(instance.pointee.plugin, &worker.pointee)
    }
}

extension Export where P: WorkHook, P: ~Copyable {
    /// The C function that does work.
    public static func perform(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer?
    ) {
        let work = Scheduler<P>.unpack(context)
        withWorker(state, slot) { $0.perform(work, on: &$1) }
    }
}

extension Export where P: JobHook, P: ~Copyable {
    /// The C function that runs a job.
    public static func run(_ state: UnsafeMutableRawPointer?, _ context: UnsafeMutableRawPointer?) {
        // Safe: the context is a cell that `Jobs` made, and nobody else has it now.
        let instance = state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
        let cell = context.unsafelyUnwrapped.assumingMemoryBound(to: Jobs<P>.Cell.self)
        instance.pointee.plugin.run(&cell.pointee.job)
        if cell.pointee.isDetached { cell.deinitialize(count: 1).deallocate() }
    }

    /// The C function that takes a job that has run.
    public static func finish(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer?
    ) {
        // Safe: as in `run`; this is the last call with it.
        let cell = context.unsafelyUnwrapped.assumingMemoryBound(to: Jobs<P>.Cell.self)
        let job = cell.move().job
        cell.deallocate()
        withWorker(state, slot) { $0.finish(job, on: &$1) }
    }
}

extension Export where P: CalloutHook, P: ~Copyable {
    /// The C function that takes the result of a callout.
    public static func calloutDone(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ context: UnsafeMutableRawPointer?,
        _ result: UnsafePointer<sluice_call_result>?
    ) {
        // Safe: the context is a cell that the start of the callout made; this is its last use.
        let cell = context.unsafelyUnwrapped.assumingMemoryBound(to: CalloutCell<P.Callout>.self)
        let callout = cell.pointee.callout
        if cell.pointee.isOwned { cell.deallocate() }
        let answer = CallResult(result.unsafelyUnwrapped)
        withWorker(state, slot) { $0.calloutDone(callout, answer, on: &$1) }
    }
}

extension Export where P: DrainHook, P: ~Copyable {
    /// The C function that is told that a worker ends.
    public static func drain(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?
    ) {
        withWorker(state, slot) { $0.drain(&$1) }
    }
}

extension Export where P: StatefulPlugin, P: ~Copyable {
    /// The C function that writes the instance's state.
    public static func exportState(
        _ state: UnsafeMutableRawPointer?,
        _ sink: UnsafePointer<sluice_sink>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let state, let sink, sink.pointee.size == UInt32(MemoryLayout<sluice_sink>.size)
        else { return Int32(SLUICE_EINVAL) }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        var out = StateSink(sink)
        do throws(PluginError) {
            try instance.pointee.plugin.exportState(to: &out)
            return out.result
        } catch let failure {
            return report(failure, error, Int32(SLUICE_EINVAL))
        }
    }

    /// The C function that takes another instance's state.
    public static func importState(
        _ state: UnsafeMutableRawPointer?,
        _ bytes: sluice_slice,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let state else { return Int32(SLUICE_EINVAL) }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        do throws(PluginError) {
            try instance.pointee.plugin.importState(Bytes(bytes))
            return Int32(SLUICE_OK)
        } catch let failure {
            return report(failure, error, Int32(SLUICE_EINVAL))
        }
    }
}

extension Export where P: HandoverPlugin, P: ~Copyable {
    /// The C function that gets the instance ready for requests.
    public static func warm(
        _ state: UnsafeMutableRawPointer?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let state else { return Int32(SLUICE_EINVAL) }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        do throws(PluginError) {
            try instance.pointee.plugin.warm()
            return Int32(SLUICE_OK)
        } catch let failure {
            return report(failure, error)
        }
    }

    /// The C function that writes what has changed since the state was written.
    public static func exportRest(
        _ state: UnsafeMutableRawPointer?,
        _ sink: UnsafePointer<sluice_sink>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let state, let sink, sink.pointee.size == UInt32(MemoryLayout<sluice_sink>.size)
        else { return Int32(SLUICE_EINVAL) }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        var out = StateSink(sink)
        do throws(PluginError) {
            try instance.pointee.plugin.exportRest(to: &out)
            return out.result
        } catch let failure {
            return report(failure, error, Int32(SLUICE_EINVAL))
        }
    }

    /// The C function that adds what another instance has counted last.
    public static func importRest(
        _ state: UnsafeMutableRawPointer?,
        _ bytes: sluice_slice,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let state else { return Int32(SLUICE_EINVAL) }
        // Safe: the host passes what `create` gave it.
        let instance = state.assumingMemoryBound(to: Instance<P>.self)
        do throws(PluginError) {
            try instance.pointee.plugin.importRest(Bytes(bytes))
            return Int32(SLUICE_OK)
        } catch let failure {
            return report(failure, error, Int32(SLUICE_EINVAL))
        }
    }
}

extension Export where P: ReopenHook, P: ~Copyable {
    /// The C function that opens the instance's files again.
    public static func reopenLogs(_ state: UnsafeMutableRawPointer?) {
        // Safe: the host passes what `create` gave it.
        let instance = state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
        instance.pointee.plugin.reopenLogs()
    }
}
