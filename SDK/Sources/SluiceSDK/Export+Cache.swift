public import CSluice

// The C functions of the cache's role.

extension Export where P: ResponseCache, P: ~Copyable {
    /// The C function of `lookup`.
    @inlinable
    public static func cacheLookup(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ lookup: UnsafeMutablePointer<sluice_cache_lookup>?
    ) -> UInt32 {
        withCall(state, slot, request, context) { plugin, call in
            let lookup = CacheLookup<P>(lookup: lookup.unsafelyUnwrapped, call: call)
            return plugin.lookup(lookup).rawValue
        }
    }

    /// Calls the plugin for a request; what it returns counts only if nothing in the call failed.
    @inlinable
    static func withCall(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ body: (borrowing P, CacheCall) -> UInt32
    ) -> UInt32 {
        let instance = instance(state)
        var failure: UInt32 = 0
        return withUnsafeMutablePointer(to: &failure) { failure in
            let call = CacheCall(
                request: request,
                contextMemory: context,
                slot: slot,
                services: instance.pointee.head.services,
                failure: failure
            )
            let result = body(instance.pointee.plugin, call)
            return failure.pointee == 0 ? result : .max
        }
    }

    /// The C function of `admit`.
    @inlinable
    public static func cacheAdmit(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ response: UnsafeMutablePointer<sluice_cache_response>?
    ) -> UInt32 {
        decide(state, slot, request, context, response) { $0.admit($1) }
    }

    /// The C function of `failed`.
    @inlinable
    public static func cacheFailed(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ response: UnsafeMutablePointer<sluice_cache_response>?
    ) -> UInt32 {
        decide(state, slot, request, context, response) { $0.failed($1) }
    }

    @inlinable
    static func decide(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ response: UnsafeMutablePointer<sluice_cache_response>?,
        _ body: (borrowing P, borrowing CacheResponse<P>) -> CacheAdmission
    ) -> UInt32 {
        withCall(state, slot, request, context) { plugin, call in
            let response = CacheResponse<P>(response: response.unsafelyUnwrapped, call: call)
            return body(plugin, response).rawValue
        }
    }

    /// The C function of `write`.
    @inlinable
    public static func cacheWrite(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ writer: UnsafeMutableRawPointer?,
        _ bytes: sluice_slice
    ) -> Int32 {
        let plugin = instance(state)
        let isTaken = plugin.pointee.plugin.write(
            writer.unsafelyUnwrapped,
            Bytes(bytes),
            on: worker(slot)
        )
        return isTaken ? Int32(SLUICE_OK) : Int32(SLUICE_ENOMEM)
    }

    /// The C function of `commit`.
    @inlinable
    public static func cacheCommit(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ writer: UnsafeMutableRawPointer?
    ) {
        instance(state).pointee.plugin.commit(writer.unsafelyUnwrapped, on: worker(slot))
    }

    /// The C function of `abort`.
    @inlinable
    public static func cacheAbort(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ writer: UnsafeMutableRawPointer?
    ) {
        instance(state).pointee.plugin.abort(writer.unsafelyUnwrapped, on: worker(slot))
    }

    /// The C function of `read`.
    @inlinable
    public static func cacheRead(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ reader: UnsafeMutableRawPointer?,
        _ chunk: UnsafeMutablePointer<sluice_cache_chunk>?
    ) -> UInt32 {
        withCall(state, slot, request, nil) { plugin, call in
            let chunk = CacheChunk(chunk: chunk.unsafelyUnwrapped, call: call)
            return plugin.read(reader.unsafelyUnwrapped, chunk, on: worker(slot)).rawValue
        }
    }

    /// The C function of `close`.
    @inlinable
    public static func cacheClose(
        _ state: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ reader: UnsafeMutableRawPointer?
    ) {
        instance(state).pointee.plugin.close(reader.unsafelyUnwrapped, on: worker(slot))
    }

    /// The C function of `purge`.
    public static func cachePurge(
        _ state: UnsafeMutableRawPointer?,
        _ purge: UnsafeMutablePointer<sluice_cache_purge>?,
        _ error: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        guard let purge, let kind = CachePurge.Kind(rawValue: purge.pointee.kind) else {
            return Int32(SLUICE_EINVAL)
        }
        let order = CachePurge(
            kind,
            Bytes(purge.pointee.value),
            isSoft: purge.pointee.is_soft != 0
        )
        do throws(PluginError) {
            purge.pointee.count = UInt64(try instance(state).pointee.plugin.purge(order))
            return Int32(SLUICE_OK)
        } catch let failure {
            return report(failure, error, Int32(SLUICE_EINVAL))
        }
    }

    @inlinable
    static func instance(
        _ state: UnsafeMutableRawPointer?
    ) -> UnsafeMutablePointer<Instance<P>> {
        // Safe: the host passes what `create` gave it.
        state.unsafelyUnwrapped.assumingMemoryBound(to: Instance<P>.self)
    }

    @inlinable
    static func worker(
        _ slot: UnsafeMutableRawPointer?
    ) -> UnsafeMutablePointer<P.Worker> {
        // Safe: the host passes what `worker_start` gave it.
        slot.unsafelyUnwrapped.assumingMemoryBound(to: P.Worker.self)
    }
}
