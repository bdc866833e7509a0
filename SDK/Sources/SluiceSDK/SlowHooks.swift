import CSluice

/// A call of a hook that took long, with the waits that it began.
///
/// Valid until the hook returns. Times are nanoseconds of the monotonic clock.
public struct SlowHook {
    private let hook: UnsafePointer<sluice_slow_hook>

    init(_ hook: UnsafePointer<sluice_slow_hook>) { self.hook = hook }

    /// Name of the plugin's instance in the manifest; valid for ever.
    public var instance: Bytes { Bytes(hook.pointee.instance) }

    /// Number of the phase, as in `http.h`: a cache's calls have one that no `Phase` is.
    public var phase: UInt32 { hook.pointee.phase }

    /// Waits that the call began.
    public var waits: Int { Int(hook.pointee.waits) }

    /// When it was called.
    public var startNanoseconds: UInt64 { hook.pointee.start }

    /// When it returned its last verdict; 0 when it waits, or waited until the request was over.
    public var endNanoseconds: UInt64 { hook.pointee.end }

    /// How long it ran on the worker; the rest of its time it waited.
    public var busyNanoseconds: UInt64 { hook.pointee.busy }

    /// The name of a phase by its number, as in a descriptor; "unknown" of one that is none.
    public static func phaseName(_ phase: UInt32) -> Bytes {
        switch phase {
        case 0: "request_headers"
        case 1: "cache_lookup"
        case 2: "request_body"
        case 3: "upstream_select"
        case 4: "upstream_request"
        case 5: "upstream_result"
        case 6: "upstream_response"
        case 7: "upstream_body"
        case 8: "response_headers"
        case 9: "response_body"
        case 10: "local_reply"
        case 11: "request_end"
        default: "unknown"
        }
    }
}

/// The calls of one request's hooks that took long: the first 16 of them.
///
/// Valid until the hook returns.
public struct SlowHooks: Sequence {
    private let start: UnsafePointer<sluice_slow_hook>?
    /// How many there are.
    public let count: Int

    init(_ start: UnsafePointer<sluice_slow_hook>?, count: Int) {
        self.start = start
        self.count = start == nil ? 0 : count
    }

    /// The call at an index, 0 up to `count`, in the order in which they ended or began to wait.
    public subscript(index: Int) -> SlowHook {
        precondition(index >= 0 && index < count, "index outside of the calls")
        // Safe: the host gives `count` of them, and without memory the count is 0.
        return SlowHook(start.unsafelyUnwrapped + index)
    }

    /// One call after the other.
    public func makeIterator() -> Iterator { Iterator(hooks: self) }

    /// Goes through the calls.
    public struct Iterator: IteratorProtocol {
        let hooks: SlowHooks
        var index = 0

        /// The next one; nil behind the last.
        public mutating func next() -> SlowHook? {
            guard index < hooks.count else { return nil }
            defer { index += 1 }
            return hooks[index]
        }
    }
}

extension Exchange where Owner: ~Copyable {
    /// Has the host keep the calls of this request's hooks that take so long from now on.
    ///
    /// They are those of all plugins, and each is timed for it.
    ///
    /// - Parameter nanoseconds: 1 or more. Where several plugins ask, the least counts.
    /// - Returns: whether it does; false with 0, and where the host has no such service.
    @discardableResult
    public func watchHooks(nanoseconds: UInt64) -> Bool {
        guard let watch = services.pointee.http?.pointee.watch_hooks else { return false }
        return watch(request, nanoseconds) == SLUICE_OK
    }

    /// The calls that were kept by now, those included that another plugin has asked for.
    public var slowHooks: SlowHooks {
        guard let list = services.pointee.http?.pointee.slow_hooks else {
            return SlowHooks(nil, count: 0)
        }
        var start: UnsafePointer<sluice_slow_hook>?
        let count = list(request, &start)
        return SlowHooks(start, count: Int(count))
    }
}
