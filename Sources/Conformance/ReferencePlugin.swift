import CSluice
import PluginHost

/// A plugin of the host's own, whose hooks do the least that hooks do: what they cost is what the
/// boundary costs.
enum ReferencePlugin {
    /// Reads eight fields.
    static let reading = Phase.upstreamRequest
    /// Sets a field.
    static let editing = Phase.responseHeaders
    /// Does nothing.
    static let empty = Phase.requestHeaders

    static let hello: PluginLibrary.Hello = { host, out in
        guard let out else { return Int32(SLUICE_EINVAL) }
        out.pointee.abi_minor = UInt32(SLUICE_ABI_MINOR)
        out.pointee.id = sluice_slice("org.sluice.reference")
        out.pointee.version = sluice_slice("1.0.0")
        out.pointee.description = sluice_slice("Does the least that hooks do.")
        out.pointee.factory = ReferencePlugin.factory
        for phase in [empty, reading, editing] {
            out.pointee.hooks_mask |= 1 << UInt64(phase.rawValue)
        }
        return Int32(SLUICE_OK)
    }

    // Safe: filled once, never changed and never freed.
    private nonisolated(unsafe) static let factory: UnsafePointer<sluice_factory> = {
        let factory = UnsafeMutablePointer<sluice_factory>.allocate(capacity: 1)
        factory.initialize(to: sluice_factory())
        factory.pointee.size = UInt32(MemoryLayout<sluice_factory>.size)
        factory.pointee.create = { _, out, _ in
            out?.pointee.hooks = ReferencePlugin.hooks
            return Int32(SLUICE_OK)
        }
        return UnsafePointer(factory)
    }()

    // Safe: as `factory`.
    private nonisolated(unsafe) static let hooks: UnsafePointer<sluice_http_hooks> = {
        let hooks = UnsafeMutablePointer<sluice_http_hooks>.allocate(capacity: 1)
        hooks.initialize(to: sluice_http_hooks())
        hooks.pointee.size = UInt32(MemoryLayout<sluice_http_hooks>.size)
        hooks.pointee.request_headers = { _, _, _, _, _ in UInt32(SLUICE_CONTINUE) }
        hooks.pointee.upstream_request = read
        hooks.pointee.response_headers = edit
        return UnsafePointer(hooks)
    }()

    /// Looks eight fields up by their ids, six of which the request of `HookBench` has, and fails
    /// when one of their values is empty.
    private static let read: sluice_hook = { _, _, _, _, args in
        guard let headers = args?.pointee.headers else { return UInt32(SLUICE_ERROR) }
        let isGood =
            hasValue(headers, SLUICE_FIELD_HOST) && hasValue(headers, SLUICE_FIELD_USER_AGENT)
            && hasValue(headers, SLUICE_FIELD_ACCEPT) && hasValue(headers, SLUICE_FIELD_COOKIE)
            && hasValue(headers, SLUICE_FIELD_REFERER)
            && hasValue(headers, SLUICE_FIELD_CACHE_CONTROL)
            && !hasValue(headers, SLUICE_FIELD_AUTHORIZATION)
            && !hasValue(headers, SLUICE_FIELD_RANGE)
        return UInt32(isGood ? SLUICE_CONTINUE : SLUICE_ERROR)
    }

    /// As a plugin reads a known field: a bit says whether it is there, an index where.
    @inline(__always)
    private static func hasValue(_ headers: UnsafePointer<sluice_headers>, _ id: Int) -> Bool {
        let bits = id < 64 ? headers.pointee.known_bits.0 : headers.pointee.known_bits.1
        guard bits & (1 << UInt64(id & 63)) != 0,
            let fields = headers.pointee.fields
        else { return false }
        let indices = UnsafeRawPointer(headers) + indexOffset
        let index = indices.load(fromByteOffset: 2 * id, as: UInt16.self)
        return fields[Int(index)].value_len > 0
    }

    private static let indexOffset = MemoryLayout<sluice_headers>.offset(of: \.known_index) ?? 0

    private static let edit: sluice_hook = { _, _, _, _, args in
        guard let edits = args?.pointee.edits, let ops = edits.pointee.ops else {
            return UInt32(SLUICE_ERROR)
        }
        ops[0] = sluice_edit(
            op: UInt32(SLUICE_EDIT_SET),
            id: UInt32(SLUICE_FIELD_SERVER),
            name: sluice_slice(),
            value: sluice_slice("sluice")
        )
        edits.pointee.count = 1
        return UInt32(SLUICE_CONTINUE)
    }
}
