import CSluice

/// `sluice.waitset/1`: requests that wait for a key, and wake-ups across workers.
enum Waitset {
    private static let registry = WaitRegistry()

    private static func key(_ handle: InstanceHandle, _ key: sluice_key) -> WaitRegistry.Key {
        WaitRegistry.Key(owner: handle.nameNumber, low: key.low, high: key.high)
    }

    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_waitset> = {
        let table = UnsafeMutablePointer<sluice_waitset>.allocate(capacity: 1)
        table.initialize(to: sluice_waitset())
        table.pointee.size = UInt32(MemoryLayout<sluice_waitset>.size)
        table.pointee.ticket = { host, key in
            guard let host else { return 0 }
            return InstanceHandle.with(host) { registry.ticket(Waitset.key($0, key)) }
        }
        table.pointee.wait = { host, request, key, ticket, timeout, token in
            guard let host, let request, let token else { return Int32(SLUICE_EINVAL) }
            // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
            let context = UnsafeMutablePointer<RequestContext>(request)
            return InstanceHandle.with(host) { handle in
                registry.wait(
                    Waitset.key(handle, key),
                    ticket: ticket,
                    isWaiting: { Suspensions.isWaiting($0) },
                    begin: { begun in
                        let result = Suspensions.suspend(context, timeout: timeout, token: token)
                        begun = token.pointee
                        return result
                    }
                )
            }
        }
        table.pointee.wake = { host, key, count, payload in
            guard let host else { return 0 }
            return InstanceHandle.with(host) { handle in
                registry.wake(Waitset.key(handle, key), count: count) { token in
                    Suspensions.resume(
                        token,
                        reason: UInt32(SLUICE_RESUME_WOKEN),
                        payload: payload
                    ) == SLUICE_OK
                }
            }
        }
        return UnsafePointer(table)
    }()
}
