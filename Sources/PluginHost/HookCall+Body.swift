import CSluice
import HTTP
import Sys

/// What came of a call of a body hook.
public struct BodyStep {
    public enum Verdict: Equatable, Sendable {
        case next
        /// Call again with the rest when there is room.
        case more
        case suspended
        case respond
        case reset
        /// Nothing of what the hook did counts.
        case failed
    }

    public var verdict: Verdict
    /// Bytes of the input that are dealt with.
    public var consumed: Int
    /// What goes on: bytes of the input, or of the worker's memory until the next call but one.
    public var bytes: UnsafePointer<UInt8>
    public var count: Int
    /// Whether the hook made something else of its input.
    public var isReplaced: Bool
    /// Whether the held head may go out.
    public var releases: Bool
}

/// A trailer section as a message: what body hooks see, and edit, with the end of a body.
public struct TrailerSection {
    public var message: Message
    var view: UnsafeMutablePointer<sluice_headers>?
    var isCurrent = false

    public init(_ message: Message) { self.message = message }
}

/// Where body hooks write to.
struct BodyCallMemory {
    let input: UnsafeMutablePointer<sluice_body_in>
    let output: UnsafeMutablePointer<sluice_body_out>
    let state: UnsafeMutablePointer<BodyOutput>
    /// Two, so that what one hook wrote can be the next one's input.
    let buffers: (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>)

    init() {
        input = .allocate(capacity: 1)
        input.initialize(to: sluice_body_in())
        input.pointee.size = UInt32(MemoryLayout<sluice_body_in>.size)
        output = .allocate(capacity: 1)
        output.initialize(to: sluice_body_out())
        state = .allocate(capacity: 1)
        buffers = (
            .allocate(capacity: BodyOutput.capacity), .allocate(capacity: BodyOutput.capacity)
        )
        state.initialize(to: BodyOutput(buffer: buffers.0))
        BodyOutput.fill(output, state)
    }

    func deallocate() {
        input.deallocate()
        output.deallocate()
        state.deallocate()
        buffers.0.deallocate()
        buffers.1.deallocate()
    }
}

extension HookCall {
    /// Calls one body hook with a chunk.
    ///
    /// - Parameters:
    ///   - chunkFlags: `SLUICE_BODY_*`.
    ///   - offset: bytes that the hook consumed before.
    ///   - trailers: with the end of a body that may have trailers.
    ///   - isHeld: the plugin holds the response's head, so its edits apply to that.
    public mutating func runBody(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ phase: Phase,
        _ context: UnsafeMutablePointer<RequestContext>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        chunkFlags: UInt32,
        offset: UInt64,
        trailers: UnsafeMutablePointer<TrailerSection>?,
        isHeld: Bool,
        resumption: Resumption?
    ) -> BodyStep {
        failure = nil
        let position = Int(entry.pointee.position)
        var step = BodyStep(
            verdict: .failed,
            consumed: 0,
            bytes: bytes,
            count: 0,
            isReplaced: false,
            releases: false
        )
        guard
            prepare(phase, context, flags: isHeld ? UInt32(SLUICE_ARGS_HELD) : 0),
            prepareBody(bytes, count, chunkFlags, offset, trailers, context)
        else {
            _ = fail(entry, phase, verdict: 0, edit: .outOfMemory)
            return step
        }
        let takesEdits = isHeld || trailers != nil
        args.pointee.edits = takesEdits ? edits : nil
        let verdict = enter(entry, context, resumption)
        args.pointee.body_in = nil
        args.pointee.body_out = nil
        if Int(verdict) != SLUICE_SUSPEND { cancelWait() }
        let consumed = body.output.pointee.consumed
        guard let known = bodyVerdict(verdict), consumed <= UInt64(count) else {
            _ = fail(entry, phase, verdict: verdict, edit: nil)
            return step
        }
        step.releases = args.pointee.asks & UInt64(SLUICE_ASK_RELEASE) != 0
        if known == .respond || known == .reset {
            args.pointee.asks = 0
            step.verdict = known
            return step
        }
        // All of what the hook edited and asked for, or nothing.
        var error = step.releases && !isHeld ? EditError.badAsk : nil
        if error == nil, args.pointee.asks != 0 { error = context.pointee.reserve(args, phase) }
        if error == nil, takesEdits, edits.pointee.count > 0 {
            error = isHeld ? commitResponse(context) : commitTrailers(trailers, context)
        }
        if let error {
            step.releases = false
            _ = fail(entry, phase, verdict: verdict, edit: error)
            return step
        }
        grantAsks(phase, position, context)
        if Int(verdict) == SLUICE_DETACH { context.pointee.detached |= 1 << UInt64(position) }
        finish(&step, bytes, Int(consumed))
        step.verdict = known
        return step
    }

    private func bodyVerdict(_ verdict: UInt32) -> BodyStep.Verdict? {
        switch Int(verdict) {
        case SLUICE_CONTINUE, SLUICE_DETACH: .next
        case SLUICE_MORE: .more
        case SLUICE_SUSPEND where hasWait: .suspended
        case SLUICE_RESPOND where 200...599 ~= reply.pointee.status: .respond
        case SLUICE_RESET: .reset
        default: nil
        }
    }

    /// Says what goes on.
    private func finish(_ step: inout BodyStep, _ bytes: UnsafePointer<UInt8>, _ consumed: Int) {
        step.consumed = consumed
        guard body.output.pointee.replaces != 0 else {
            step.count = consumed
            return
        }
        step.isReplaced = true
        let state = body.state.pointee
        step.bytes = state.directCount > 0 ? state.direct : UnsafePointer(state.buffer)
        step.count = state.directCount > 0 ? state.directCount : state.count
    }

    private mutating func prepareBody(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ chunkFlags: UInt32,
        _ offset: UInt64,
        _ trailers: UnsafeMutablePointer<TrailerSection>?,
        _ context: UnsafeMutablePointer<RequestContext>
    ) -> Bool {
        let input = body.input
        input.pointee.flags = chunkFlags
        input.pointee.data = sluice_slice(ptr: bytes, len: UInt64(count))
        input.pointee.offset = offset
        input.pointee.trailers = nil
        if let trailers, trailers.pointee.message.fieldCount > 0 {
            guard
                let view = views.make(
                    &trailers.pointee.message,
                    &trailers.pointee.view,
                    &trailers.pointee.isCurrent,
                    &context.pointee.arena
                )
            else { return false }
            input.pointee.trailers = UnsafePointer(view)
        }
        let isInFirst =
            bytes >= UnsafePointer(body.buffers.0)
            && bytes < UnsafePointer(body.buffers.0 + BodyOutput.capacity)
        body.state.pointee = BodyOutput(
            buffer: isInFirst ? body.buffers.1 : body.buffers.0,
            input: bytes,
            inputCount: count
        )
        body.output.pointee.replaces = 0
        body.output.pointee.consumed = UInt64(count)
        body.output.pointee.credit = UInt64(BodyOutput.capacity)
        args.pointee.body_in = input
        args.pointee.body_out = body.output
        return true
    }

    /// Fields of a trailer section may be set, appended and removed, as far as it may have them.
    private func commitTrailers(
        _ trailers: UnsafeMutablePointer<TrailerSection>?,
        _ context: UnsafeMutablePointer<RequestContext>
    ) -> EditError? {
        guard let trailers, let ops = edits.pointee.ops else { return nil }
        let count = min(Int(edits.pointee.count), Int(edits.pointee.capacity))
        var bytes = trailers.pointee.message.fieldBytesMax
        for index in 0..<count {
            guard ops[index].op <= UInt32(SLUICE_EDIT_REMOVE_PREFIX) else { return .wrongMessage }
            let id =
                ops[index].id != 0
                ? FieldID(rawValue: UInt8(truncatingIfNeeded: ops[index].id))
                : ops[index].name.ptr.map {
                    FieldNames.id($0, count: Int(min(ops[index].name.len, 256)))
                } ?? .unknown
            if FieldNames.isForbiddenInTrailers(id) { return .connectionField }
            if ops[index].op < UInt32(SLUICE_EDIT_REMOVE) {
                bytes &+= editor.lineBytesMax(of: ops[index])
            }
        }
        guard bytes <= ChunkLimits.trailerBytesMax else { return .tooMany }
        trailers.pointee.isCurrent = false
        return editor.apply(
            edits,
            to: &trailers.pointee.message,
            known: (.max, .max),
            &context.pointee.arena
        )
    }
}
