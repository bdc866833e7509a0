import CSluice
import SluiceSDK

/// A request that a plugin made, as a test reads it.
public struct Callout: Equatable, Sendable {
    /// Name of the upstream.
    public var upstream: String
    /// "GET" when the plugin named none.
    public var method: String
    /// Path and query.
    public var path: String
    /// The Host; empty for the upstream's.
    public var authority: String
    /// Fields in order.
    public var fields: Message
    /// The body.
    public var body: [UInt8]
    /// For all of it.
    public var timeoutNanoseconds: UInt64
    /// Whether it belongs to a request, and is cancelled with it.
    public var hasRequest: Bool
}

/// What a test has an upstream answer.
public enum CalloutAnswer: Equatable, Sendable {
    /// A whole response.
    case response(status: Int, fields: Message = Message(), body: String = "")
    /// No peer could be reached, or it broke off.
    case failed
    /// Not done in time.
    case timeout
}

/// A callout that has no result yet.
struct PendingCallout {
    let token: sluice_token
    let callout: Callout
    let request: RequestFixture?
    let worker: Int
    let deadline: UInt64
    let bodyBytesMax: Int
    let done:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafePointer<sluice_call_result>?
        ) -> Void
    let context: UnsafeMutableRawPointer?
}

extension FakeHost {
    static let calloutsPerRequestMax = 16
    static let calloutsMax = 1_024
    static let calloutBytesMax = 1 << 20

    // Safe: made once, never changed, never freed.
    nonisolated(unsafe) static let httpClient: UnsafePointer<sluice_http_client> = {
        var client = sluice_http_client()
        client.size = UInt32(MemoryLayout<sluice_http_client>.size)
        client.start = { host, request, call, token in
            guard let call else { return Int32(SLUICE_EINVAL) }
            return FakeHost.of(host).start(
                request.map { RequestFixture.of($0) },
                call.pointee,
                token
            )
        }
        client.cancel = { host, token in
            let host = FakeHost.of(host)
            let sequence = token?.pointee.sequence
            let index = host.pendingCallouts.firstIndex { $0.token.sequence == sequence }
            guard let index else { return Int32(SLUICE_ESTALE) }
            host.pendingCallouts.remove(at: index)
            return Int32(SLUICE_OK)
        }
        client.has_upstream = { FakeHost.of($0).upstreams.contains(String($1)) ? 1 : 0 }
        return place(client)
    }()

    /// Loses the callouts that wait: a plugin may not depend on hearing of each.
    public func forgetCallouts() { pendingCallouts = [] }

    private func start(
        _ request: RequestFixture?,
        _ call: sluice_call,
        _ token: UnsafeMutablePointer<sluice_token>?
    ) -> Int32 {
        guard expect(.worker(0), in: "http_client.start") else { return Int32(SLUICE_ENOTSUP) }
        let method = call.method.len == 0 ? "GET" : String(call.method)
        let path = String(call.path)
        var fields: [(String, String)] = []
        for index in 0..<Int(call.field_count) {
            fields.append((String(call.fields[index].name), String(call.fields[index].value)))
        }
        let appends = fields.map { EditRecord(appending: $0.0, $0.1) }
        var checked = Message()
        guard path.hasPrefix("/"), call.body.len <= UInt64(Self.calloutBytesMax),
            call.body_max <= UInt64(Self.calloutBytesMax),
            call.timeout_ns <= Self.waitNanosecondsMax, let done = call.done,
            checked.apply(appends), checked["host"] == nil
        else { return Int32(SLUICE_EINVAL) }
        guard upstreams.contains(String(call.upstream)) else { return Int32(SLUICE_ESTALE) }
        let own = pendingCallouts.filter { $0.request != nil && $0.request === request }
        guard own.count < Self.calloutsPerRequestMax, pendingCallouts.count < Self.calloutsMax
        else {
            return Int32(SLUICE_ENOMEM)
        }
        let callout = Callout(
            upstream: String(call.upstream),
            method: method,
            path: path,
            authority: String(call.authority),
            fields: Message(fields),
            body: Array(UnsafeBufferPointer(start: call.body.ptr, count: Int(call.body.len))),
            timeoutNanoseconds: call.timeout_ns == 0 ? 5_000_000_000 : call.timeout_ns,
            hasRequest: request != nil
        )
        let pending = PendingCallout(
            token: Waits.nextToken(),
            callout: callout,
            request: request,
            worker: Int(ThreadRole.current.worker),
            deadline: nowNanoseconds + callout.timeoutNanoseconds,
            bodyBytesMax: call.body_max == 0 ? 65_536 : Int(call.body_max),
            done: done,
            context: call.context
        )
        callouts.append(callout)
        pendingCallouts.append(pending)
        token?.pointee = pending.token
        return Int32(SLUICE_OK)
    }
}

extension PendingCallout {
    /// Lays a result out, and poisons it when the plugin has had it.
    func deliver(
        _ answer: CalloutAnswer,
        _ call: (UnsafePointer<sluice_call_result>) -> Void
    ) {
        let arena = Arena()
        let result = arena.allocate(sluice_call_result(), count: 1)
        result.pointee.size = UInt32(MemoryLayout<sluice_call_result>.size)
        switch answer {
        case .failed: result.pointee.outcome = UInt32(SLUICE_CALL_FAILED)
        case .timeout: result.pointee.outcome = UInt32(SLUICE_CALL_TIMEOUT)
        case .response(_, _, let body) where body.utf8.count > bodyBytesMax:
            result.pointee.outcome = UInt32(SLUICE_CALL_TOO_LARGE)
        case .response(let status, let fields, let body):
            var message = fields
            message.fields.insert(Message.Field(name: ":status", value: "\(status)"), at: 0)
            result.pointee.status = UInt32(status)
            result.pointee.headers = message.layOut(in: arena)
            result.pointee.body = arena.slice(body)
        }
        call(result)
        arena.poison()
    }
}
