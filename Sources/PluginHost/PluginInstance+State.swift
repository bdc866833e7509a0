import CSluice
import Sys

/// State that moves from one instance to the one that takes its place.
extension PluginInstance {
    /// Bytes of an exported state.
    public static let stateBytesMax = 1 << 30

    public var exportsState: Bool { functions.pointee.export_state != nil }

    public var importsState: Bool { functions.pointee.import_state != nil }

    /// What the instance wants another one to begin with. [control]
    public func exportState() throws(PluginError) -> [UInt8] {
        guard let call = functions.pointee.export_state else {
            throw PluginError("plugins.\(name): exports no state")
        }
        let what = "plugins.\(name): export_state"
        return try control.run(what) { [self] in
            Self.collect(what) { sink, error in
                Breadcrumb.mark(.export, of: label) { call(state, sink, error) }
            }
        }.get()
    }

    /// Makes it begin with what another one exported, before any worker starts. [control]
    public func importState(_ bytes: [UInt8]) throws(PluginError) {
        let what = "plugins.\(name): import_state"
        guard let done = try control.run(what, { [self] in offerState(bytes) }) else {
            throw PluginError("plugins.\(name): imports no state")
        }
        try Self.check(done, what)
    }

    /// The same, with what the plugin says of it; nil when it has no such function. [control]
    public func offerState(_ bytes: [UInt8]) -> (result: Int32, text: String)? {
        functions.pointee.import_state.map { call in
            Self.give(bytes) { slice, error in
                Breadcrumb.mark(.import, of: label) { call(state, slice, error) }
            }
        }
    }

    /// What it offers of `sluice.handover/1`; nil when it does not.
    public var handover: Handover? {
        handoverTable.map { Handover(table: $0, instance: self) }
    }

    /// Writes a line of the host's about the instance, in its name.
    public func note(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            writeLog(
                UInt32(SLUICE_LOG_WARN),
                sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count))
            )
        }
    }

    /// The calls of `sluice.handover/1`.
    public struct Handover: @unchecked Sendable {
        // Safe: the table is the instance's, and constant.
        let table: UnsafePointer<sluice_handover>
        let instance: PluginInstance

        /// Gets ready for requests; an instance that can't is not taken. [control]
        public func warm() throws(PluginError) {
            guard let call = table.pointee.warm else { return }
            let what = "plugins.\(instance.name): warm"
            let done = try instance.control.run(what) { [instance] in
                PluginInstance.withErrorText { error in
                    Breadcrumb.mark(.warm, of: instance.label) { call(instance.state, error) }
                }
            }
            try PluginInstance.check(done, what)
        }

        /// What has changed since `exportState`, once no request is left. [control]
        public func exportRest() throws(PluginError) -> [UInt8] {
            guard let call = table.pointee.export_rest else { return [] }
            let what = "plugins.\(instance.name): export_rest"
            return try instance.control.run(what) { [instance] in
                PluginInstance.collect(what) { sink, error in
                    Breadcrumb.mark(.export, of: instance.label) {
                        call(instance.state, sink, error)
                    }
                }
            }.get()
        }

        /// Adds to a running instance what `exportRest` of another one gave. [control]
        public func importRest(_ bytes: [UInt8]) throws(PluginError) {
            guard !bytes.isEmpty else { return }
            let what = "plugins.\(instance.name): import_rest"
            let done = try instance.control.run(what) { [self] in offerRest(bytes) }
            if let done { try PluginInstance.check(done, what) }
        }

        public var importsRest: Bool { table.pointee.import_rest != nil }

        /// The same, with what the plugin says of it; nil when it has no such function. [control]
        public func offerRest(_ bytes: [UInt8]) -> (result: Int32, text: String)? {
            table.pointee.import_rest.map { call in
                PluginInstance.give(bytes) { slice, error in
                    Breadcrumb.mark(.import, of: instance.label) {
                        call(instance.state, slice, error)
                    }
                }
            }
        }
    }

    /// Whether it has files to open again.
    public var reopensLogs: Bool { functions.pointee.reopen_logs != nil }

    /// Has it open its files again by their names; nothing to do for one that has none. [control]
    ///
    /// - Throws: when it has not returned in time.
    public func reopenLogs() throws(PluginError) {
        guard let call = functions.pointee.reopen_logs else { return }
        // Safe: the state is the plugin's, and lives until the instance is destroyed.
        try control.run("plugins.\(name): reopen_logs") { [self] in
            Breadcrumb.mark(.reopen, of: label) { call(state) }
        }
    }

    // MARK: Calls

    private final class Collected {
        var bytes: [UInt8] = []
        var isTooMuch = false
    }

    private static func collect(
        _ what: String,
        _ call: (UnsafePointer<sluice_sink>, UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) -> Result<[UInt8], PluginError> {
        let collected = Collected()
        // Safe: `collected` outlives the call, which is all that may write to the sink.
        var sink = sluice_sink()
        sink.size = UInt32(MemoryLayout<sluice_sink>.size)
        sink.context = Unmanaged.passUnretained(collected).toOpaque()
        sink.write = { context, slice in
            guard let context else { return Int32(SLUICE_EINVAL) }
            let collected = Unmanaged<Collected>.fromOpaque(context).takeUnretainedValue()
            let count = Int(slice.len)
            guard count <= PluginInstance.stateBytesMax - collected.bytes.count else {
                collected.isTooMuch = true
                return Int32(SLUICE_ENOMEM)
            }
            collected.bytes += UnsafeBufferPointer(start: slice.ptr, count: count)
            return Int32(SLUICE_OK)
        }
        let done = withErrorText { call(&sink, $0) }
        withExtendedLifetime(collected) {}
        guard !collected.isTooMuch else {
            return .failure(PluginError("\(what): more than \(stateBytesMax) bytes"))
        }
        return Result { () throws(PluginError) in
            try check(done, what)
            return collected.bytes
        }
    }

    /// Shows a plugin bytes in memory of their own size, so that a tool sees who reads behind them.
    private static func give(
        _ bytes: [UInt8],
        _ call: (sluice_slice, UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) -> (result: Int32, text: String) {
        // Safe: both have room for all bytes; the copy is not read after the call.
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        defer { copy.deallocate() }
        bytes.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { copy.initialize(from: start, count: bytes.count) }
        }
        let slice = sluice_slice(ptr: copy, len: UInt64(bytes.count))
        return withErrorText { call(slice, $0) }
    }

    private static func check(
        _ done: (result: Int32, text: String),
        _ what: String
    ) throws(PluginError) {
        guard done.result != SLUICE_OK else { return }
        throw PluginError(
            "\(what): \(done.text.isEmpty ? "result \(done.result)" : done.text)"
        )
    }
}
