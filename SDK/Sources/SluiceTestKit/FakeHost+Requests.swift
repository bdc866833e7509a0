import CSluice
import SluiceSDK

/// A wait of one request.
final class Wait {
    let token: sluice_token
    let host: FakeHost
    /// Phase and worker of the hook that began it.
    let phase: Phase
    let worker: Int
    let deadline: UInt64
    let key: KeyPair?
    /// Why and with what it ended; nil while it lasts.
    var end: (reason: ResumeReason, payload: UInt64)?

    init(_ host: FakeHost, _ phase: Phase, _ worker: Int, deadline: UInt64, key: KeyPair?) {
        token = Waits.nextToken()
        self.host = host
        self.phase = phase
        self.worker = worker
        self.deadline = deadline
        self.key = key
    }
}

/// The waits of all hosts: `resume` is told no host.
enum Waits {
    // Safe: read and written under the lock.
    private nonisolated(unsafe) static var waits: [UInt64: Wait] = [:]
    private nonisolated(unsafe) static var sequence: UInt64 = 0

    /// A token that none was before.
    static func nextToken() -> sluice_token {
        locked {
            sequence += 1
            // Words that a plugin would mix up are not the same.
            let slot = UInt32(truncatingIfNeeded: sequence % 7)
            return sluice_token(slot: slot, generation: 3, sequence: sequence)
        }
    }

    static func add(_ wait: Wait) { locked { waits[wait.token.sequence] = wait } }

    /// Ends all knowledge of a wait: its token is stale from here on.
    static func remove(_ wait: Wait) {
        _ = locked { waits.removeValue(forKey: wait.token.sequence) }
    }

    static func resume(_ token: sluice_token, _ payload: UInt64) -> Int32 {
        locked {
            guard let wait = waits[token.sequence], wait.end == nil,
                wait.token.slot == token.slot, wait.token.generation == token.generation
            else { return Int32(SLUICE_ESTALE) }
            wait.end = (.resumed, payload)
            return Int32(SLUICE_OK)
        }
    }

    /// Ends the waits of a host whose time is over.
    static func expire(_ host: FakeHost) {
        locked {
            for wait in waits.values
            where wait.host === host && wait.end == nil && wait.deadline <= host.nowNanoseconds {
                wait.end = (.deadline, 0)
            }
        }
    }

    /// The next deadline of a host's waits.
    static func nextDeadline(_ host: FakeHost) -> UInt64? {
        locked {
            waits.values.filter { $0.host === host && $0.end == nil }.map(\.deadline).min()
        }
    }

    static func wake(_ host: FakeHost, _ key: KeyPair, _ count: UInt32, _ payload: UInt64) -> UInt32
    {
        locked {
            host.wakeUps[key, default: 0] += 1
            let waiting = waits.values
                .filter { $0.host === host && $0.end == nil && $0.key == key }
                .sorted { $0.token.sequence < $1.token.sequence }
                .prefix(Int(count))
            for wait in waiting { wait.end = (.woken, payload) }
            return UInt32(waiting.count)
        }
    }
}

/// What an attribute of a request holds.
public enum AttributeValue: Equatable, Sendable {
    /// A number.
    case number(UInt64)
    /// Bytes.
    case bytes([UInt8])

    var type: UInt32 {
        switch self {
        case .number: UInt32(SLUICE_ATTR_U64)
        case .bytes: UInt32(SLUICE_ATTR_BYTES)
        }
    }
}

extension FakeHost {
    /// Bytes of an attribute, and of a hash key.
    static let textBytesMax = 4_096
    /// What a wait lasts at most.
    static let waitNanosecondsMax: UInt64 = 60_000_000_000

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let http: UnsafePointer<sluice_http> = {
        var http = sluice_http()
        http.size = UInt32(MemoryLayout<sluice_http>.size)
        http.suspend = { RequestFixture.of($0).beginWait($1, nil, $2) }
        http.resume = { token, payload in
            guard let token else { return Int32(SLUICE_ESTALE) }
            return Waits.resume(token.pointee, payload)
        }
        http.attr_set_u64 = { RequestFixture.of($0).setAttribute($1, .number($2)) }
        http.attr_set_bytes = { request, key, value in
            let bytes = UnsafeBufferPointer(start: value.ptr, count: Int(value.len))
            return RequestFixture.of(request).setAttribute(key, .bytes(Array(bytes)))
        }
        http.attr_get_u64 = { request, key, value in
            guard case .number(let number)? = RequestFixture.of(request).attributes[key] else {
                return Int32(SLUICE_ESTALE)
            }
            value?.pointee = number
            return Int32(SLUICE_OK)
        }
        http.attr_get_bytes = { request, key, value in
            guard let slice = RequestFixture.of(request).attributeSlices[key] else {
                return Int32(SLUICE_ESTALE)
            }
            value?.pointee = slice
            return Int32(SLUICE_OK)
        }
        http.set_hash_key = { RequestFixture.of($0).setHashKey($1) }
        http.watch_hooks = { RequestFixture.of($0).watchHooks($1) }
        http.slow_hooks = { RequestFixture.of($0).listSlowHooks($1) }
        return place(http)
    }()

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let waitset: UnsafePointer<sluice_waitset> = {
        var waitset = sluice_waitset()
        waitset.size = UInt32(MemoryLayout<sluice_waitset>.size)
        waitset.ticket = { host, key in
            locked { FakeHost.of(host).wakeUps[KeyPair(key), default: 0] + 1 }
        }
        waitset.wait = { host, request, key, ticket, timeout, token in
            let key = KeyPair(key)
            let now = locked { FakeHost.of(host).wakeUps[key, default: 0] + 1 }
            guard ticket == now else { return Int32(SLUICE_EAGAIN) }
            return RequestFixture.of(request).beginWait(timeout, key, token)
        }
        waitset.wake = { Waits.wake(FakeHost.of($0), KeyPair($1), $2, $3) }
        return place(waitset)
    }()

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let threadCheck: UnsafePointer<sluice_thread_check> = {
        var check = sluice_thread_check()
        check.size = UInt32(MemoryLayout<sluice_thread_check>.size)
        check.current = { ThreadRole.current.kind }
        check.worker_index = { ThreadRole.current.worker }
        return place(check)
    }()
}

extension RequestFixture {
    /// Phases that can wait.
    static let waitingPhases: Set<Phase> = [
        .requestHeaders, .requestBody, .upstreamRequest, .upstreamResponse, .upstreamBody,
        .responseHeaders, .responseBody,
    ]

    func beginWait(
        _ timeout: UInt64,
        _ key: KeyPair?,
        _ token: UnsafeMutablePointer<sluice_token>?
    ) -> Int32 {
        guard let running, Self.waitingPhases.contains(running.phase), running.canResume else {
            return Int32(SLUICE_ENOTSUP)
        }
        guard wait == nil else { return Int32(SLUICE_EINVAL) }
        let most = FakeHost.waitNanosecondsMax
        let time = timeout == 0 ? most : min(timeout, most)
        let wait = Wait(
            running.host,
            running.phase,
            running.worker,
            deadline: running.host.nowNanoseconds + time,
            key: key
        )
        self.wait = wait
        Waits.add(wait)
        token?.pointee = wait.token
        return Int32(SLUICE_OK)
    }

    func setAttribute(_ key: UInt32, _ value: AttributeValue) -> Int32 {
        guard let running,
            running.host.attributeKeys.values.contains(where: {
                $0.number == key && $0.type == value.type
            })
        else { return Int32(SLUICE_EINVAL) }
        return keep(key, value) ? Int32(SLUICE_OK) : Int32(SLUICE_EINVAL)
    }

    func setHashKey(_ key: sluice_slice) -> Int32 {
        guard running?.phase == .requestHeaders else { return Int32(SLUICE_ENOTSUP) }
        guard key.len <= UInt64(FakeHost.textBytesMax) else { return Int32(SLUICE_EINVAL) }
        hashKey = String(key)
        return Int32(SLUICE_OK)
    }

    func watchHooks(_ threshold: UInt64) -> Int32 {
        guard running != nil, threshold > 0 else { return Int32(SLUICE_EINVAL) }
        slowHookThreshold = min(threshold, slowHookThreshold ?? .max)
        return Int32(SLUICE_OK)
    }

    func listSlowHooks(
        _ hooks: UnsafeMutablePointer<UnsafePointer<sluice_slow_hook>?>?
    ) -> UInt32 {
        let kept = slowHooks.prefix(Int(SLUICE_SLOW_HOOKS_MAX))
        guard let threshold = slowHookThreshold, !kept.isEmpty else { return 0 }
        let list = arena.allocate(sluice_slow_hook(), count: kept.count)
        var count = 0
        for hook in kept where hook.end == 0 || hook.end - hook.start >= threshold {
            list[count] = hook
            count += 1
        }
        hooks?.pointee = UnsafePointer(list)
        return UInt32(count)
    }

    /// Adds a call of a hook of some plugin, as the host would keep it once it is asked to.
    ///
    /// - Parameters:
    ///   - start: nanoseconds of the host's clock.
    ///   - end: likewise; 0 for one that waited until the request was over.
    ///   - busy: nanoseconds of it that were no wait; nil for all.
    public func addSlowHook(
        of instance: String,
        phase: Int,
        start: UInt64,
        end: UInt64,
        busy: UInt64? = nil,
        waits: Int = 0
    ) {
        var hook = sluice_slow_hook()
        hook.instance = arena.slice(instance)
        hook.phase = UInt32(phase)
        hook.waits = UInt32(waits)
        hook.start = start
        hook.end = end
        hook.busy = busy ?? (end == 0 ? 0 : end - start)
        slowHooks.append(hook)
    }

    /// What an attribute holds; nil when nothing was set.
    public func attribute(_ name: String, on host: FakeHost) -> AttributeValue? {
        host.attributeKeys[name].flatMap { attributes[$0.number] }
    }

    /// Sets an attribute, as a plugin that comes before would.
    public func setAttribute(_ name: String, _ value: AttributeValue, on host: FakeHost) {
        guard let key = host.knownAttribute(name, value.type), key.type == value.type else {
            preconditionFailure("attribute \(name) is of another type")
        }
        precondition(keep(key.number, value), "an attribute has up to 4,096 bytes")
    }

    private func keep(_ key: UInt32, _ value: AttributeValue) -> Bool {
        if case .bytes(let bytes) = value {
            guard bytes.count <= FakeHost.textBytesMax else { return false }
            let place = arena.allocate(byteCount: bytes.count)
            place.copyMemory(from: bytes, byteCount: bytes.count)
            // What was there before is no longer valid.
            if let old = attributeSlices[key], let start = old.ptr {
                UnsafeMutableRawPointer(mutating: start)
                    .initializeMemory(as: UInt8.self, repeating: 0xDD, count: Int(old.len))
            }
            attributeSlices[key] = sluice_slice(
                ptr: UnsafePointer(place.assumingMemoryBound(to: UInt8.self)),
                len: UInt64(bytes.count)
            )
        }
        attributes[key] = value
        return true
    }
}
