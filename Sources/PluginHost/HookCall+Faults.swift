import CSluice
import Sys

/// What of a plugin's faults concerns the requests of a worker.
extension HookCall {
    /// Counts a fault of the plugin whose hook ran.
    @inline(never)
    func noteFault(_ kind: FaultKind, _ entry: UnsafeMutablePointer<HookEntry>) {
        let plugin = entry.pointee.plugin
        plugin.pointee.count(kind)
        MetricRegistry.shared.add(entry.pointee.meter.errors, 1)
        let index = worker.pointee.workerIndex
        guard index < plugin.pointee.workerCount else { return }
        let circuit = plugin.pointee.circuits + index
        let wasWatched = circuit.pointee.isWatched
        let change = circuit.pointee.fault(
            now: Clock.monotonicNanoseconds() / 1_000_000,
            plugin.pointee.guards.circuit
        )
        note(change, plugin, wasWatched: wasWatched)
    }

    /// The time of a hook begins.
    @inline(never)
    func beginTime() { worker.pointee.hookStart = Clock.monotonicNanoseconds() }

    /// The time of a hook is over.
    ///
    /// - Parameters:
    ///   - context: the request's; nil of a call that is no hook of one.
    ///   - isResumed: whether it went on after a wait.
    ///   - verdict: what it returned.
    ///   - waiting: a bit for each verdict with which the host takes a wait that it began.
    @inline(never)
    func noteTime(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ context: UnsafeMutablePointer<RequestContext>?,
        isResumed: Bool,
        _ verdict: UInt32,
        waiting: UInt32
    ) {
        let most = entry.pointee.plugin.pointee.guards.hookNanoseconds
        let (start, end) = (worker.pointee.hookStart, Clock.monotonicNanoseconds())
        let time = end &- start
        if let context {
            if context.pointee.timing.contains(.sampled) {
                MetricRegistry.shared.observe(entry.pointee.meter.times, Double(time) / 1e9)
            }
            if context.pointee.timing.contains(.watched) {
                let waits = hasWait && verdict < 32 && waiting & 1 &<< verdict != 0
                RequestContext.note(
                    TimedCall(start: start, end: end, isResumed: isResumed, waits: waits),
                    of: entry,
                    phase: args.pointee.phase,
                    context
                )
            }
        }
        guard worker.pointee.isTimed, most > 0, time > most else { return }
        noteFault(.overrun, entry)
        let phase = Phase.names[Int(args.pointee.phase)]
        entry.pointee.plugin.pointee.tell(
            2,
            "\(phase) took \(time / 1_000) us, its budget is \(most / 1_000) us"
        )
    }

    /// Whether hooks are timed from now on.
    ///
    /// The worker says so for a while after a turn of its loop that took long, so that one whose
    /// turns are short reads no clock.
    public func setTimed(_ isTimed: Bool) { worker.pointee.isTimed = isTimed }

    /// Plugins of a chain that a request does not pass, because their circuits are open.
    ///
    /// To be asked once for each plugin and request, before its first hook, while
    /// `watchedCircuits` is not 0.
    ///
    /// - Parameter positions: places in the chain.
    /// - Returns: a bit for each place.
    public func skipped(
        _ chain: PhaseChain,
        _ positions: Range<Int>,
        request: UnsafeMutablePointer<RequestContext>
    ) -> UInt64 {
        let now = Clock.monotonicNanoseconds() / 1_000_000
        var skipped: UInt64 = 0
        for position in positions {
            let plugin = chain.plugins[position].record
            guard let circuit = circuit(of: plugin), circuit.pointee.isWatched else { continue }
            let isAdmitted = circuit.pointee.admit(request, now: now, plugin.pointee.guards.circuit)
            note(nil, plugin, wasWatched: true)
            guard !isAdmitted else { continue }
            skipped |= 1 << UInt64(position)
            MetricRegistry.shared.add(plugin.pointee.skipped, 1)
        }
        return skipped
    }

    /// A request is over, while `watchedCircuits` is not 0.
    public func endRequest(_ chain: PhaseChain, _ request: UnsafeMutablePointer<RequestContext>) {
        let now = Clock.monotonicNanoseconds() / 1_000_000
        for position in 0..<chain.pluginCount {
            let plugin = chain.plugins[position].record
            guard let circuit = circuit(of: plugin), circuit.pointee.isWatched else { continue }
            note(circuit.pointee.end(request, now: now), plugin, wasWatched: true)
        }
    }

    /// An instance ends on this worker: no request passes it any more.
    public func forget(_ instance: PluginInstance) {
        guard let circuit = circuit(of: instance.record) else { return }
        if circuit.pointee.isWatched { worker.pointee.watchedCircuits -= 1 }
        if circuit.pointee.isOpen {
            MetricRegistry.shared.add(instance.record.pointee.openCircuits, -1)
        }
        circuit.pointee = Circuit()
    }

    private func circuit(
        of plugin: UnsafeMutablePointer<PluginRecord>
    ) -> UnsafeMutablePointer<Circuit>? {
        let index = worker.pointee.workerIndex
        return index < plugin.pointee.workerCount ? plugin.pointee.circuits + index : nil
    }

    private func note(
        _ change: Circuit.Change?,
        _ plugin: UnsafeMutablePointer<PluginRecord>,
        wasWatched: Bool
    ) {
        let isWatched = circuit(of: plugin)?.pointee.isWatched ?? false
        worker.pointee.watchedCircuits += (isWatched ? 1 : 0) - (wasWatched ? 1 : 0)
        switch change {
        case .opened:
            MetricRegistry.shared.add(plugin.pointee.openCircuits, 1)
            let seconds = Double(plugin.pointee.guards.circuit.retry) / 1_000
            plugin.pointee.tell(
                1,
                "fails too often: worker \(worker.pointee.workerIndex) leaves it out by its "
                    + "on_error, and tries it again in \(seconds) s"
            )
        case .closed:
            MetricRegistry.shared.add(plugin.pointee.openCircuits, -1)
            plugin.pointee.tell(2, "works again on worker \(worker.pointee.workerIndex)")
        case nil: break
        }
    }
}
