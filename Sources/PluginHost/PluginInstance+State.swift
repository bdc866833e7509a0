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
        return try Self.collect("plugins.\(name): export_state") { sink, error in
            Breadcrumb.mark(.export, of: label) { call(state, sink, error) }
        }
    }

    /// Makes it begin with what another one exported, before any worker starts. [control]
    public func importState(_ bytes: [UInt8]) throws(PluginError) {
        guard let call = functions.pointee.import_state else {
            throw PluginError("plugins.\(name): imports no state")
        }
        try Self.give(bytes, "plugins.\(name): import_state") { slice, error in
            Breadcrumb.mark(.import, of: label) { call(state, slice, error) }
        }
    }

    /// What it offers of `sluice.handover/1`; nil when it does not.
    public var handover: Handover? {
        guard
            let table = functions.pointee.get_extension?(state, SLUICE_HANDOVER_ID)?
                .assumingMemoryBound(to: sluice_handover.self),
            Int(table.pointee.size) == MemoryLayout<sluice_handover>.size
        else { return nil }
        return Handover(table: table, instance: self)
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
    public struct Handover {
        let table: UnsafePointer<sluice_handover>
        let instance: PluginInstance

        /// Gets ready for requests; an instance that can't is not taken. [control]
        public func warm() throws(PluginError) {
            guard let call = table.pointee.warm else { return }
            let done = PluginInstance.withErrorText { error in
                Breadcrumb.mark(.warm, of: instance.label) { call(instance.state, error) }
            }
            try check(done, "warm")
        }

        /// What has changed since `exportState`, once no request is left. [control]
        public func exportRest() throws(PluginError) -> [UInt8] {
            guard let call = table.pointee.export_rest else { return [] }
            return try PluginInstance.collect("plugins.\(instance.name): export_rest") {
                sink,
                error in
                Breadcrumb.mark(.export, of: instance.label) { call(instance.state, sink, error) }
            }
        }

        /// Adds to a running instance what `exportRest` of another one gave. [control]
        public func importRest(_ bytes: [UInt8]) throws(PluginError) {
            guard let call = table.pointee.import_rest, !bytes.isEmpty else { return }
            try PluginInstance.give(bytes, "plugins.\(instance.name): import_rest") {
                slice,
                error in
                Breadcrumb.mark(.import, of: instance.label) { call(instance.state, slice, error) }
            }
        }

        private func check(
            _ done: (result: Int32, text: String),
            _ call: String
        ) throws(PluginError) {
            guard done.result != SLUICE_OK else { return }
            throw PluginError(
                "plugins.\(instance.name): \(call): "
                    + (done.text.isEmpty ? "result \(done.result)" : done.text)
            )
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
    ) throws(PluginError) -> [UInt8] {
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
            throw PluginError("\(what): more than \(stateBytesMax) bytes")
        }
        guard done.result == SLUICE_OK else {
            throw PluginError(
                "\(what): \(done.text.isEmpty ? "result \(done.result)" : done.text)"
            )
        }
        return collected.bytes
    }

    private static func give(
        _ bytes: [UInt8],
        _ what: String,
        _ call: (sluice_slice, UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) throws(PluginError) {
        let done = bytes.withUnsafeBufferPointer { bytes in
            let slice = sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count))
            return withErrorText { call(slice, $0) }
        }
        guard done.result == SLUICE_OK else {
            throw PluginError(
                "\(what): \(done.text.isEmpty ? "result \(done.result)" : done.text)"
            )
        }
    }
}
