import CSluice
public import SluiceSDK

/// Which body of an exchange.
public enum BodySide: Hashable, Sendable {
    /// The request's.
    case request
    /// The response's.
    case response
}

/// The whole body at once, as a plugin has asked for it.
struct BodyBuffering {
    let max: Int
    let overflow: BodyOverflow
}

/// One body on its way through a plugin.
final class BodyRecord {
    var pending: [UInt8] = []
    var output: [UInt8] = []
    var received = 0
    var consumed = 0
    var calls = 0
    var credit = 65_536
    var isEnd = false
    var isFlush = false
    var isWhole = false
    var isOver = false
    var trailers: Message?
}

extension RequestFixture {
    /// What has gone on of a body.
    public func output(_ phase: Phase) -> [UInt8] { bodies[phase]?.output ?? [] }

    /// What has gone on of a body, as text.
    public func text(_ phase: Phase) -> String { String(decoding: output(phase), as: UTF8.self) }

    /// The trailers behind a body, with the plugin's edits; nil where there are none.
    public func trailers(_ phase: Phase) -> Message? { bodies[phase]?.trailers }

    /// How often the body hook of a phase was called.
    public func callCount(_ phase: Phase) -> Int { bodies[phase]?.calls ?? 0 }

    /// What is wrong with the length of a body that is over, by what the plugin said of it when it
    /// saw the head; nil when nothing is.
    ///
    /// The host would cut the exchange.
    public func lengthFault(_ phase: Phase) -> String? {
        let heads: Set<Phase> =
            phase == .requestBody ? [.requestHeaders] : [.upstreamResponse, .responseHeaders]
        guard let body = bodies[phase], body.isOver, !heads.isDisjoint(with: headPhases) else {
            return nil
        }
        let count = body.output.count
        switch bodyPolicies[phase == .requestBody ? .request : .response] ?? .same {
        case .unknown: return nil
        case .same: return count == body.received ? nil : "\(body.received) bytes became \(count)"
        case .exact(let length):
            return UInt64(count) == length ? nil : "\(length) bytes were promised, not \(count)"
        case .drop: return count == 0 ? nil : "no body was promised, not \(count) bytes"
        }
    }
}

extension PluginFixture {
    /// Runs the `request_body` hook for a chunk, as often as it asks for more.
    ///
    /// - Parameters:
    ///   - request: keeps what goes on; `RequestFixture.text` has it.
    ///   - chunk: what has arrived.
    ///   - isEnd: whether the body ends with it.
    ///   - isFlush: whether the sender pauses.
    ///   - trailers: with the end.
    ///   - credit: bytes that there is room for in a call. A host gives 65,536 or more.
    ///   - worker: that the request runs on.
    /// - Returns: the last verdict: `next` when the chunk is dealt with.
    @discardableResult
    public func requestBody(
        _ request: RequestFixture,
        _ chunk: String,
        isEnd: Bool = false,
        isFlush: Bool = false,
        trailers: Message? = nil,
        credit: Int = 65_536,
        worker: Int = 0
    ) -> Verdict {
        body(
            .requestBody,
            request,
            Array(chunk.utf8),
            isEnd: isEnd,
            isFlush: isFlush,
            trailers: trailers,
            credit: credit,
            worker: worker
        )
    }

    /// Runs the `upstream_body` hook for a chunk; as `requestBody`.
    @discardableResult
    public func upstreamBody(
        _ request: RequestFixture,
        _ chunk: String,
        isEnd: Bool = false,
        isFlush: Bool = false,
        trailers: Message? = nil,
        credit: Int = 65_536,
        worker: Int = 0
    ) -> Verdict {
        body(
            .upstreamBody,
            request,
            Array(chunk.utf8),
            isEnd: isEnd,
            isFlush: isFlush,
            trailers: trailers,
            credit: credit,
            worker: worker
        )
    }

    /// Runs the `response_body` hook for a chunk; as `requestBody`.
    @discardableResult
    public func responseBody(
        _ request: RequestFixture,
        _ chunk: String,
        isEnd: Bool = false,
        isFlush: Bool = false,
        trailers: Message? = nil,
        credit: Int = 65_536,
        worker: Int = 0
    ) -> Verdict {
        body(
            .responseBody,
            request,
            Array(chunk.utf8),
            isEnd: isEnd,
            isFlush: isFlush,
            trailers: trailers,
            credit: credit,
            worker: worker
        )
    }

    /// Runs a body hook for a chunk of bytes; as `requestBody`.
    @discardableResult
    public func body(
        _ phase: Phase,
        _ request: RequestFixture,
        _ chunk: [UInt8],
        isEnd: Bool = false,
        isFlush: Bool = false,
        trailers: Message? = nil,
        credit: Int = 65_536,
        worker: Int = 0
    ) -> Verdict {
        precondition(phase.isBody, "\(phase) has no body")
        let body = request.bodies[phase] ?? BodyRecord()
        request.bodies[phase] = body
        precondition(!body.isEnd, "the body has ended already")
        body.received += chunk.count
        body.pending += chunk
        body.isEnd = isEnd
        body.isFlush = isFlush
        body.trailers = trailers
        body.credit = credit
        guard wants(request, phase) else {
            body.output += body.pending
            body.pending = []
            body.isOver = isEnd
            return .next
        }
        if let buffering = request.buffering[phase] {
            if body.pending.count > buffering.max {
                if buffering.overflow == .refuse {
                    request.respond(status: phase == .requestBody ? 413 : 502, isLocal: true)
                    return .respond
                }
                request.buffering[phase] = nil
            } else if !isEnd {
                return .next
            }
            body.isWhole = isEnd && request.buffering[phase] != nil
        }
        return request.wait == nil ? pump(request, phase, worker, resumption: nil) : .suspend
    }

    /// Calls the hook until what is there has been dealt with.
    func pump(
        _ request: RequestFixture,
        _ phase: Phase,
        _ worker: Int,
        resumption: (reason: ResumeReason, payload: UInt64)?
    ) -> Verdict {
        guard let body = request.bodies[phase] else { return .error }
        var resumption = resumption
        while true {
            body.calls += 1
            let chunk = BodyCall(body)
            let verdict = call(
                request,
                worker,
                phase,
                resumption: resumption,
                body: body,
                chunk: chunk
            )
            resumption = nil
            let goesOn = [.next, .detach, .more, .suspend].contains(verdict)
            guard goesOn, let passed = chunk.passed(all: verdict == .next || verdict == .detach)
            else { return goesOn ? .error : verdict }
            body.output += passed.output
            body.pending.removeFirst(passed.consumed)
            body.consumed += passed.consumed
            guard verdict == .more else {
                if verdict != .suspend { body.isOver = body.isEnd }
                return verdict
            }
            if passed.consumed == 0 && passed.output.isEmpty {
                host.misuses.append(
                    "a body hook made no progress with \(body.credit) bytes of room"
                )
                return .error
            }
        }
    }
}

/// What a body hook is given in one call, and what it made of it.
final class BodyCall {
    private let body: BodyRecord
    private var data = sluice_slice()
    private var room: UnsafeMutablePointer<UInt8>?
    private var output: [UInt8] = []
    private var replaces = false
    private var consumed: UInt64 = 0

    init(_ body: BodyRecord) { self.body = body }

    func layOut(in arena: Arena, _ args: UnsafeMutablePointer<sluice_args>) {
        let input = arena.allocate(sluice_body_in(), count: 1)
        data = arena.slice(body.pending)
        input.pointee.size = UInt32(MemoryLayout<sluice_body_in>.size)
        input.pointee.data = data
        input.pointee.offset = UInt64(body.consumed)
        if body.isEnd { input.pointee.flags |= UInt32(SLUICE_BODY_EOS) }
        if body.isFlush { input.pointee.flags |= UInt32(SLUICE_BODY_FLUSH) }
        if body.isWhole { input.pointee.flags |= UInt32(SLUICE_BODY_WHOLE) }
        if body.isEnd { input.pointee.trailers = body.trailers?.layOut(in: arena) }
        args.pointee.body_in = input

        let out = arena.allocate(sluice_body_out(), count: 1)
        room = arena.allocate(UInt8(0xA5), count: body.credit)
        out.pointee.size = UInt32(MemoryLayout<sluice_body_out>.size)
        out.pointee.consumed = data.len
        out.pointee.credit = UInt64(body.credit)
        out.pointee.context = Unmanaged.passUnretained(self).toOpaque()
        out.pointee.push = { BodyCall.of($0)?.append($0, $1) ?? Int32(SLUICE_EINVAL) }
        out.pointee.pass = { BodyCall.of($0)?.pass($0, $1, $2) ?? Int32(SLUICE_EINVAL) }
        out.pointee.push_buf = { out, buffer in
            guard let call = BodyCall.of(out), let buffer else { return Int32(SLUICE_EINVAL) }
            let bytes = sluice_slice(ptr: buffer.pointee.data, len: buffer.pointee.len)
            return call.append(out, bytes)
        }
        out.pointee.reserve = { out, to, capacity in
            guard let call = BodyCall.of(out), let out else { return Int32(SLUICE_EINVAL) }
            to?.pointee = call.room
            capacity?.pointee = out.pointee.credit
            return Int32(SLUICE_OK)
        }
        out.pointee.commit = { out, length in
            guard let call = BodyCall.of(out), let room = call.room else {
                return Int32(SLUICE_EINVAL)
            }
            return call.append(out, sluice_slice(ptr: room, len: length))
        }
        args.pointee.body_out = out
    }

    private static func of(_ out: UnsafeMutablePointer<sluice_body_out>?) -> BodyCall? {
        guard let context = out?.pointee.context else { return nil }
        return Unmanaged<BodyCall>.fromOpaque(context).takeUnretainedValue()
    }

    private func append(
        _ out: UnsafeMutablePointer<sluice_body_out>?,
        _ bytes: sluice_slice
    ) -> Int32 {
        guard let out else { return Int32(SLUICE_EINVAL) }
        guard bytes.len <= out.pointee.credit else { return Int32(SLUICE_EAGAIN) }
        out.pointee.replaces = 1
        return take(out, bytes)
    }

    private func pass(
        _ out: UnsafeMutablePointer<sluice_body_out>?,
        _ offset: UInt64,
        _ length: UInt64
    ) -> Int32 {
        guard let out, offset <= data.len, length <= data.len - offset else {
            return Int32(SLUICE_EINVAL)
        }
        guard length <= out.pointee.credit else { return Int32(SLUICE_EAGAIN) }
        out.pointee.replaces = 1
        guard let start = data.ptr else { return Int32(SLUICE_OK) }
        return take(out, sluice_slice(ptr: start + Int(offset), len: length))
    }

    private func take(
        _ out: UnsafeMutablePointer<sluice_body_out>,
        _ bytes: sluice_slice
    ) -> Int32 {
        output += UnsafeBufferPointer(start: bytes.ptr, count: Int(bytes.len))
        out.pointee.credit -= bytes.len
        return Int32(SLUICE_OK)
    }

    /// Reads what the hook left, before its views are poisoned.
    func takeBack(_ args: UnsafeMutablePointer<sluice_args>) {
        guard let out = args.pointee.body_out else { return }
        replaces = out.pointee.replaces != 0
        consumed = out.pointee.consumed
    }

    /// What goes on; nil when the hook says that it consumed what it cannot have.
    func passed(all: Bool) -> (output: [UInt8], consumed: Int)? {
        guard consumed <= data.len, !all || consumed == data.len else { return nil }
        let count = Int(consumed)
        return (replaces ? output : Array(body.pending.prefix(count)), count)
    }
}
