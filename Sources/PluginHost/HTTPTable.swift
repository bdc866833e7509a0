import CSluice

/// `sluice.http/1`: services for one request.
enum HTTPTable {
    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let table: UnsafePointer<sluice_http> = {
        let table = UnsafeMutablePointer<sluice_http>.allocate(capacity: 1)
        table.initialize(to: sluice_http())
        table.pointee.size = UInt32(MemoryLayout<sluice_http>.size)
        table.pointee.suspend = { request, timeout, token in
            guard let request, let token else { return Int32(SLUICE_EINVAL) }
            // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
            return Suspensions.suspend(
                UnsafeMutablePointer<RequestContext>(request),
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
        return UnsafePointer(table)
    }()
}
