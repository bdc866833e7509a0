import CSluice
import Synchronization

/// What stands in the place of a plugin in quarantine, whose library is not loaded.
///
/// A request passes it as the instance's `on_error` says: as if there were no plugin, or it is
/// answered with the status. As a balancer it takes the peers in turn, or has none.
public enum AbsentPlugin {
    /// What an instance of `library` is made with.
    ///
    /// - Parameter status: of the answer; 0 lets requests pass.
    public static func configuration(status: UInt16) -> ConfigurationTree.Node {
        .object([("status", .integer(Int64(status)))])
    }

    /// The library of all that are absent.
    ///
    /// - Throws: never in practice: it is this host's own.
    public static func library() throws(PluginError) -> PluginLibrary {
        try PluginLibrary(linked: hello, name: "(in quarantine)")
    }

    private static let hello: PluginLibrary.Hello = { _, out in
        guard let out else { return Int32(SLUICE_EINVAL) }
        out.pointee.abi_minor = UInt32(SLUICE_ABI_MINOR)
        out.pointee.id = sluice_slice("org.sluice.absent")
        out.pointee.version = sluice_slice("0")
        out.pointee.description = sluice_slice("stands in for a plugin in quarantine")
        out.pointee.factory = AbsentPlugin.factory
        return Int32(SLUICE_OK)
    }

    // Safe, as all tables here: filled once, never changed and never freed.
    private nonisolated(unsafe) static let factory: UnsafePointer<sluice_factory> = {
        let factory = UnsafeMutablePointer<sluice_factory>.allocate(capacity: 1)
        factory.initialize(to: sluice_factory())
        factory.pointee.size = UInt32(MemoryLayout<sluice_factory>.size)
        factory.pointee.create = { args, out, _ in
            guard let args, let out, let config = args.pointee.config else {
                return Int32(SLUICE_EINVAL)
            }
            let status = UInt(config.pointee.count > 0 ? config.pointee.children[0].integer : 0)
            // The state is the status itself.
            out.pointee.state = UnsafeMutableRawPointer(bitPattern: status)
            out.pointee.hooks = status == 0 ? nil : AbsentPlugin.hooks
            out.pointee.get_extension = { _, id in
                guard let id, String(cString: id) == SLUICE_LB_ID else { return nil }
                return UnsafeRawPointer(AbsentPlugin.balancer)
            }
            return Int32(SLUICE_OK)
        }
        return UnsafePointer(factory)
    }()

    private nonisolated(unsafe) static let hooks: UnsafePointer<sluice_http_hooks> = {
        let hooks = UnsafeMutablePointer<sluice_http_hooks>.allocate(capacity: 1)
        hooks.initialize(to: sluice_http_hooks())
        hooks.pointee.size = UInt32(MemoryLayout<sluice_http_hooks>.size)
        hooks.pointee.request_headers = { state, _, _, _, args in
            guard let reply = args?.pointee.reply else { return UInt32(SLUICE_ERROR) }
            reply.pointee.status = UInt32(UInt(bitPattern: state))
            return UInt32(SLUICE_RESPOND)
        }
        return UnsafePointer(hooks)
    }()

    // MARK: The balancer

    /// The peers of an upstream, and whose turn it is.
    private struct Turns: ~Copyable {
        let count: UInt32
        let next = Atomic<UInt32>(0)
    }

    private nonisolated(unsafe) static let balancer: UnsafePointer<sluice_lb> = {
        let table = UnsafeMutablePointer<sluice_lb>.allocate(capacity: 1)
        table.initialize(to: sluice_lb())
        table.pointee.size = UInt32(MemoryLayout<sluice_lb>.size)
        table.pointee.build = { _, set, _ in
            guard let set else { return nil }
            let turns = UnsafeMutablePointer<Turns>.allocate(capacity: 1)
            turns.initialize(to: Turns(count: set.pointee.count))
            return UnsafeMutableRawPointer(turns)
        }
        table.pointee.drop = { _, table in
            // Safe: `build` made it.
            table?.assumingMemoryBound(to: Turns.self).deallocate()
        }
        table.pointee.pick = { state, _, table, pick in
            guard state == nil, let table, let pick else { return UInt32(SLUICE_PICK_NONE) }
            // Safe: `build` made it.
            return AbsentPlugin.pick(table.assumingMemoryBound(to: Turns.self), pick)
        }
        return UnsafePointer(table)
    }()

    /// The next peer that was not tried for this request.
    private static func pick(
        _ turns: UnsafeMutablePointer<Turns>,
        _ pick: UnsafeMutablePointer<sluice_pick>
    ) -> UInt32 {
        let count = turns.pointee.count
        guard count > 0 else { return UInt32(SLUICE_PICK_NONE) }
        let first = turns.pointee.next.wrappingAdd(1, ordering: .relaxed).oldValue
        for step in 0..<count {
            let peer = (first % count + step) % count
            if let tried = pick.pointee.tried, tried[Int(peer / 64)] & 1 << UInt64(peer % 64) != 0 {
                continue
            }
            pick.pointee.count = 1
            pick.pointee.candidates.0 = peer
            return UInt32(SLUICE_PICK_OK)
        }
        return UInt32(SLUICE_PICK_NONE)
    }
}
