import CSluice

/// `sluice.http/1`: services for one request.
enum HTTPTable {
    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_http> = {
        let table = UnsafeMutablePointer<sluice_http>.allocate(capacity: 1)
        table.initialize(to: sluice_http())
        table.pointee.size = UInt32(MemoryLayout<sluice_http>.size)
        table.pointee.suspend = { request, timeout, token in
            guard let request, let token else { return Int32(SLUICE_EINVAL) }
            return Suspensions.suspend(
                HTTPTable.context(request),
                timeout: timeout,
                token: token
            )
        }
        table.pointee.resume = { token, payload in
            guard let token else { return Int32(SLUICE_EINVAL) }
            return Suspensions.resume(
                token.pointee,
                reason: UInt32(SLUICE_RESUMED),
                payload: payload
            )
        }
        fillAttributes(table)
        table.pointee.set_hash_key = { request, key in
            guard let request else { return Int32(SLUICE_EINVAL) }
            return Attributes.setHashKey(HTTPTable.context(request), key)
        }
        table.pointee.watch_hooks = { request, threshold in
            guard let request else { return Int32(SLUICE_EINVAL) }
            return RequestContext.watch(HTTPTable.context(request), threshold: threshold)
        }
        table.pointee.slow_hooks = { request, hooks in
            guard let request, let hooks else { return 0 }
            return RequestContext.slowHooks(HTTPTable.context(request), hooks)
        }
        return UnsafePointer(table)
    }()

    private static func fillAttributes(_ table: UnsafeMutablePointer<sluice_http>) {
        table.pointee.attr_set_u64 = { request, key, value in
            guard let request else { return Int32(SLUICE_EINVAL) }
            return Attributes.set(HTTPTable.context(request), key, value)
        }
        table.pointee.attr_set_bytes = { request, key, value in
            guard let request else { return Int32(SLUICE_EINVAL) }
            return Attributes.set(HTTPTable.context(request), key, value)
        }
        table.pointee.attr_get_u64 = { request, key, value in
            guard let request, let value else { return Int32(SLUICE_EINVAL) }
            return Attributes.get(HTTPTable.context(request), key, value)
        }
        table.pointee.attr_get_bytes = { request, key, value in
            guard let request, let value else { return Int32(SLUICE_EINVAL) }
            return Attributes.get(HTTPTable.context(request), key, value)
        }
    }

    private static func context(
        _ request: OpaquePointer
    ) -> UnsafeMutablePointer<RequestContext> {
        // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
        UnsafeMutablePointer<RequestContext>(request)
    }
}
