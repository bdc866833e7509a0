import CSluice
import PluginHost
import Synchronization

/// A plugin of the host's own, to stand beside the one that is checked: does nothing, but fails in
/// the phases that it is told.
enum Neighbour {
    /// Bit per phase in which hooks fail.
    static let failing = Atomic<UInt64>(0)

    static let hello: PluginLibrary.Hello = { host, out in
        guard let out else { return Int32(SLUICE_EINVAL) }
        out.pointee.abi_minor = UInt32(SLUICE_ABI_MINOR)
        out.pointee.id = sluice_slice("org.sluice.neighbour")
        out.pointee.version = sluice_slice("1.0.0")
        out.pointee.description = sluice_slice("Fails where it is told.")
        out.pointee.factory = Neighbour.factory
        out.pointee.hooks_mask = 0xfff
        return Int32(SLUICE_OK)
    }

    // Safe: filled once, never changed and never freed.
    private nonisolated(unsafe) static let factory: UnsafePointer<sluice_factory> = {
        let factory = UnsafeMutablePointer<sluice_factory>.allocate(capacity: 1)
        factory.initialize(to: sluice_factory())
        factory.pointee.size = UInt32(MemoryLayout<sluice_factory>.size)
        factory.pointee.create = { _, out, _ in
            out?.pointee.hooks = Neighbour.hooks
            return Int32(SLUICE_OK)
        }
        return UnsafePointer(factory)
    }()

    private static let hook: sluice_hook = { _, _, _, _, args in
        guard let args else { return UInt32(SLUICE_ERROR) }
        let fails = Neighbour.failing.load(ordering: .relaxed) & (1 << UInt64(args.pointee.phase))
        return UInt32(fails != 0 ? SLUICE_ERROR : SLUICE_CONTINUE)
    }

    // Safe: as `factory`.
    private nonisolated(unsafe) static let hooks: UnsafePointer<sluice_http_hooks> = {
        let hooks = UnsafeMutablePointer<sluice_http_hooks>.allocate(capacity: 1)
        hooks.initialize(to: sluice_http_hooks())
        hooks.pointee.size = UInt32(MemoryLayout<sluice_http_hooks>.size)
        hooks.pointee.request_headers = hook
        hooks.pointee.request_body = hook
        hooks.pointee.upstream_request = hook
        hooks.pointee.upstream_result = hook
        hooks.pointee.upstream_response = hook
        hooks.pointee.upstream_body = hook
        hooks.pointee.response_headers = hook
        hooks.pointee.response_body = hook
        hooks.pointee.local_reply = hook
        hooks.pointee.request_end = hook
        return UnsafePointer(hooks)
    }()
}
