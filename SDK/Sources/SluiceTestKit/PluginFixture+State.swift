import CSluice

extension PluginFixture {
    /// The state as the instance exports it.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func exportState() throws -> [UInt8] {
        try collect { sink, error in
            instance.export_state?(instance.state, sink, error) ?? Int32(SLUICE_ENOTSUP)
        }
    }

    /// Gives the instance a state, before any of its hooks has run.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func importState(_ state: [UInt8]) throws {
        precondition(slots.isEmpty, "a state is imported before a worker starts")
        try give(state) { slice, error in
            instance.import_state?(instance.state, slice, error) ?? Int32(SLUICE_ENOTSUP)
        }
    }

    /// Has the instance get ready, before any of its hooks has run.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func warm() throws {
        precondition(slots.isEmpty, "an instance gets ready before a worker starts")
        try Self.calling { error in
            handover?.warm?(instance.state, error) ?? Int32(SLUICE_ENOTSUP)
        }
    }

    /// What has changed since `exportState`.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func exportRest() throws -> [UInt8] {
        try collect { sink, error in
            handover?.export_rest?(instance.state, sink, error) ?? Int32(SLUICE_ENOTSUP)
        }
    }

    /// Gives the instance what another one exported as the rest.
    ///
    /// - Throws: `Refused` with the line that the host would show.
    public func importRest(_ rest: [UInt8]) throws {
        try give(rest) { slice, error in
            handover?.import_rest?(instance.state, slice, error) ?? Int32(SLUICE_ENOTSUP)
        }
    }

    private var handover: sluice_handover? {
        table(SLUICE_HANDOVER_ID)?.load(as: sluice_handover.self)
    }

    private func collect(
        _ call: (UnsafePointer<sluice_sink>, UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) throws -> [UInt8] {
        let state = Box<[UInt8]>([])
        var sink = sluice_sink()
        sink.size = UInt32(MemoryLayout<sluice_sink>.size)
        sink.context = Unmanaged.passUnretained(state).toOpaque()
        sink.write = { context, bytes in
            guard let context else { return Int32(SLUICE_EINVAL) }
            let state = Unmanaged<Box<[UInt8]>>.fromOpaque(context).takeUnretainedValue()
            state.value += UnsafeBufferPointer(start: bytes.ptr, count: Int(bytes.len))
            return Int32(SLUICE_OK)
        }
        try Self.calling { error in call(&sink, error) }
        return state.value
    }

    /// What was given is poisoned afterwards, so that who keeps a pointer to it is found out.
    private func give(
        _ bytes: [UInt8],
        _ call: (sluice_slice, UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) throws {
        let arena = Arena()
        let slice = arena.slice(bytes)
        defer { arena.poison() }
        try Self.calling { error in call(slice, error) }
    }
}

/// A value behind a pointer.
private final class Box<Value> {
    var value: Value

    init(_ value: Value) { self.value = value }
}
