public import CSluice

/// The C functions of one plugin type.
///
/// `Plugin.offer` names those that the host may call.
///
/// They are static and generic, so the compiler makes one copy per plugin in which the call of the
/// hook is direct; no class, closure or reference count stands between the host and a hook.
public enum Export<P: Plugin & ~Copyable> {
    /// Says hello: the whole of a library's entry.
    ///
    ///     @c @implementation
    ///     public func sluice_plugin_hello_v0(
    ///         _ host: UnsafePointer<sluice_host_hello>?,
    ///         _ out: UnsafeMutablePointer<sluice_plugin_hello>?
    ///     ) -> Int32 {
    ///         Export<Greeter>.hello(host, out)
    ///     }
    public static func hello(
        _ host: UnsafePointer<sluice_host_hello>?,
        _ out: UnsafeMutablePointer<sluice_plugin_hello>?
    ) -> Int32 {
        guard let host, let out,
            host.pointee.size == UInt32(MemoryLayout<sluice_host_hello>.size),
            out.pointee.size == UInt32(MemoryLayout<sluice_plugin_hello>.size)
        else { return Int32(SLUICE_EINVAL) }
        guard keepTables(of: host) else { return Int32(SLUICE_ENOTSUP) }

        var offer = Offer()
        P.offer(&offer)
        out.pointee.abi_minor = SLUICE_ABI_MINOR
        out.pointee.id = Bytes(P.id).slice
        out.pointee.version = Bytes(P.version).slice
        out.pointee.description = Bytes(P.summary).slice
        out.pointee.factory = makeFactory(offer)
        out.pointee.required = makeList(coreID, P.needs.union(offer.needs))
        out.pointee.roles = makeRoles(offer)
        out.pointee.hooks_mask = offer.mask.rawValue
        return Int32(SLUICE_OK)
    }

    /// Makes an instance; see `Offer.create`.
    public static func create(
        _ args: UnsafePointer<sluice_create_args>?,
        _ out: UnsafeMutablePointer<sluice_instance>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let args, let out, let configuration = args.pointee.config,
            args.pointee.size == UInt32(MemoryLayout<sluice_create_args>.size),
            out.pointee.size == UInt32(MemoryLayout<sluice_instance>.size)
        else { return Int32(SLUICE_EINVAL) }
        // Nothing has no bytes, so a plugin without a context asks for none.
        let contextSize = (MemoryLayout<P.Context>.size + 15) & ~15
        precondition(contextSize <= 4_096, "the request context is over 4,096 bytes")

        var offer = Offer()
        P.offer(&offer)
        let blocks = Blocks()
        defer { withExtendedLifetime(blocks) {} }
        guard let services = makeServices(args, offer, blocks) else { return Int32(SLUICE_EINVAL) }
        let head: InstanceHead
        let instance: UnsafeMutablePointer<Instance<P>>
        do throws(PluginError) {
            let host = Host(services, blocks)
            let plugin = try P(ConfigurationValue(configuration), host)
            plugin.narrow(&offer)
            head = makeHead(services, blocks, offer)
            instance = .allocate(capacity: 1)
            instance.initialize(to: Instance(head: head, plugin: plugin))
        } catch let failure {
            return report(failure, error)
        }
        let state = UnsafeMutableRawPointer(instance)
        out.pointee.context_size = UInt32(contextSize)
        out.pointee.state = state
        out.pointee.hooks = head.hooks
        out.pointee.get_extension = { instanceExtension($0, $1) }
        if MemoryLayout<P.Worker>.size > 0 {
            out.pointee.worker_start = { headOf($0).pointee.startWorker($0.unsafelyUnwrapped, $1) }
            out.pointee.worker_stop = { headOf($0).pointee.stopWorker($1.unsafelyUnwrapped) }
        }
        out.pointee.worker_drain = offer.drain
        out.pointee.destroy = { headOf($0).pointee.destroy($0.unsafelyUnwrapped) }
        out.pointee.export_state = offer.exportState
        out.pointee.import_state = offer.importState
        out.pointee.reopen_logs = offer.reopenLogs
        return Int32(SLUICE_OK)
    }

    /// Checks a configuration by making an instance of it and dropping that; see `Offer.check`.
    public static func check(
        _ configuration: UnsafePointer<sluice_value>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let configuration else { return Int32(SLUICE_EINVAL) }
        do throws(PluginError) {
            let blocks = Blocks()
            defer { withExtendedLifetime(blocks) {} }
            _ = try P(
                ConfigurationValue(configuration),
                Host(nil, blocks)
            )
            return Int32(SLUICE_OK)
        } catch let failure {
            return report(failure, error)
        }
    }

    private static func makeHead(
        _ services: UnsafePointer<Services>,
        _ blocks: Blocks,
        _ offer: Offer
    ) -> InstanceHead {
        InstanceHead(
            services: services,
            blocks: blocks,
            hooks: offer.mask.isEmpty ? nil : blocks.place(offer.hooks),
            balancer: offer.isBalancer ? blocks.place(offer.balancer) : nil,
            cache: offer.isCache ? blocks.place(offer.cacheTable) : nil,
            handover: offer.hasHandover ? blocks.place(offer.handover) : nil,
            destroy: { raw in
                // Safe: `raw` is what `create` allocated, and no call is left.
                let instance = raw.assumingMemoryBound(to: Instance<P>.self)
                let blocks = instance.pointee.head.blocks
                instance.deinitialize(count: 1)
                instance.deallocate()
                // The plugin's `deinit` may have read what lies in them.
                withExtendedLifetime(blocks) {}
            },
            startWorker: { raw, index in
                let slot = UnsafeMutablePointer<P.Worker>.allocate(capacity: 1)
                let instance = raw.assumingMemoryBound(to: Instance<P>.self)
                slot.initialize(to: instance.pointee.plugin.makeWorker(Int(index)))
                return UnsafeMutableRawPointer(slot)
            },
            stopWorker: { raw in
                let slot = raw.assumingMemoryBound(to: P.Worker.self)
                slot.deinitialize(count: 1)
                slot.deallocate()
            }
        )
    }
}

/// What an instance keeps beside the plugin, the same for all plugins.
@usableFromInline
struct InstanceHead {
    @usableFromInline let services: UnsafePointer<Services>
    let blocks: Blocks
    let hooks: UnsafePointer<sluice_http_hooks>?
    let balancer: UnsafePointer<sluice_lb>?
    let cache: UnsafePointer<sluice_cache>?
    let handover: UnsafePointer<sluice_handover>?
    let destroy: (UnsafeMutableRawPointer) -> Void
    let startWorker: (UnsafeMutableRawPointer, UInt32) -> UnsafeMutableRawPointer
    let stopWorker: (UnsafeMutableRawPointer) -> Void
}

/// What `sluice_instance.state` points to.
///
/// The head comes first, so it can be read without knowing the plugin's type.
@usableFromInline
struct Instance<P: Plugin & ~Copyable>: ~Copyable {
    @usableFromInline let head: InstanceHead
    @usableFromInline let plugin: P

    init(head: InstanceHead, plugin: consuming P) {
        self.head = head
        self.plugin = plugin
    }
}

private func headOf(_ state: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<InstanceHead> {
    // Safe: `state` is what `create` gave to the host, and begins with the head.
    state.unsafelyUnwrapped.assumingMemoryBound(to: InstanceHead.self)
}

private func instanceExtension(
    _ state: UnsafeMutableRawPointer?,
    _ id: UnsafePointer<CChar>?
) -> UnsafeRawPointer? {
    guard let id else { return nil }
    let head = headOf(state)
    if isSame(id, balancerID) { return UnsafeRawPointer(head.pointee.balancer) }
    if isSame(id, cacheID) { return UnsafeRawPointer(head.pointee.cache) }
    if isSame(id, handoverID) { return UnsafeRawPointer(head.pointee.handover) }
    return nil
}

private func isSame(_ id: UnsafePointer<CChar>, _ literal: StaticString) -> Bool {
    let wanted = Bytes(literal)
    for offset in 0...wanted.count {
        // Safe: both end with a NUL, and the loop ends at the first difference.
        guard UInt8(bitPattern: id[offset]) == wanted.start[offset] else { return false }
    }
    return true
}

/// The factory's table, for ever.
private func makeFactory(_ offer: Offer) -> UnsafePointer<sluice_factory> {
    let factory = UnsafeMutablePointer<sluice_factory>.allocate(capacity: 1)
    factory.initialize(to: sluice_factory())
    factory.pointee.size = UInt32(MemoryLayout<sluice_factory>.size)
    factory.pointee.check_config = offer.check
    factory.pointee.create = offer.create
    return UnsafePointer(factory)
}

/// Writes the error's line for the host, cut to its room at a whole character, with blanks in place
/// of control characters, which a configuration's texts may bring.
func report(
    _ failure: PluginError,
    _ error: UnsafeMutablePointer<sluice_errbuf>?,
    _ code: Int32 = Int32(SLUICE_ECONFIG)
) -> Int32 {
    guard let error, let start = error.pointee.ptr else { return code }
    var line = failure.line
    line.withUTF8 { utf8 in
        var length = min(utf8.count, Int(error.pointee.cap))
        while length > 0, length < utf8.count, utf8[length] & 0xC0 == 0x80 { length -= 1 }
        guard let text = utf8.baseAddress else { return }
        // Safe: the host gives room for `cap` bytes.
        UnsafeMutableRawPointer(start).copyMemory(from: text, byteCount: length)
        for index in 0..<length where start[index] >= 0 && start[index] < 0x20 {
            start[index] = 0x20
        }
        error.pointee.len = UInt32(length)
    }
    return code
}
