import CSluice
import HTTP
import Sys

@testable import PluginHost

/// A request and a response with their memory, as an exchange of the proxy has them.
final class Exchange {
    let context: UnsafeMutablePointer<RequestContext>
    private let block = UnsafeMutableRawPointer.allocate(byteCount: 16_384, alignment: 16)
    private let slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// The calls of the worker that the request runs on.
    private(set) var call: HookCall

    init(
        request: String = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        response: String = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        slots: [Int] = []
    ) {
        self.slots = .allocate(capacity: 16)
        self.slots.initialize(repeating: nil, count: 16)
        for (index, slot) in slots.enumerated() {
            self.slots[index] = UnsafeMutableRawPointer(bitPattern: slot)
        }
        call = HookCall(worker: WorkerLinks(slots: self.slots, waits: nil, workerIndex: 0))
        let bytes = MemoryLayout<RequestContext>.stride
        let zeroed = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
        zeroed.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        context = zeroed.bindMemory(to: RequestContext.self, capacity: 1)
        var arena = Arena(block: block, count: 16_384)
        let message = Self.request(request, &arena)
        RequestContext.prepare(context, arena: arena, request: message, worker: call.worker)
        context.pointee.replaceResponse(Self.response(response, &context.pointee.arena))
    }

    /// Runs a phase of a chain for this request.
    func run(
        _ phase: Phase,
        of chain: PhaseChain,
        positions: Range<Int>,
        flags: UInt32
    ) -> PhaseOutcome {
        call.run(phase, of: chain, positions: positions, context, flags: flags)
    }

    /// Calls one body hook with all of a body.
    func runBody(
        _ entry: UnsafeMutablePointer<HookEntry>,
        _ phase: Phase,
        _ bytes: [UInt8],
        trailers: UnsafeMutablePointer<TrailerSection>?,
        isHeld: Bool
    ) -> BodyStep {
        call.runBody(
            entry,
            phase,
            context,
            bytes,
            bytes.count,
            chunkFlags: UInt32(SLUICE_BODY_EOS),
            offset: 0,
            trailers: trailers,
            isHeld: isHeld,
            resumption: nil
        )
    }

    /// The failure of the hooks that ran last.
    var failure: HookFailure? { call.failure }

    deinit {
        context.pointee.arena.release()
        UnsafeMutableRawPointer(context).deallocate()
        block.deallocate()
        slots.deallocate()
    }

    private static func copy(_ text: String, _ arena: inout Arena) -> UnsafePointer<UInt8> {
        guard let copy = arena.copy(Array(text.utf8), text.utf8.count) else {
            preconditionFailure("no room for \(text)")
        }
        return UnsafePointer(copy)
    }

    private static func fields(_ arena: inout Arena) -> UnsafeMutablePointer<FieldSpan> {
        guard let fields = arena.allocate(FieldSpan.self, count: 100) else {
            preconditionFailure("no room for fields")
        }
        return fields
    }

    static func request(_ text: String, _ arena: inout Arena) -> Message {
        let bytes = copy(text, &arena)
        var head = RequestHead()
        var message = Message(isRequest: true, head: bytes, fields: fields(&arena))
        let outcome = HeadParser.parseRequest(
            bytes,
            count: text.utf8.count,
            limits: HeadLimits(),
            fields: message.fields,
            into: &head
        )
        precondition(outcome == .complete, "\(outcome): \(text)")
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.method = Slice(bytes + Int(head.methodStart), Int(head.methodLength))
        message.path = Slice(bytes + Int(head.pathStart), Int(head.targetLength))
        message.authority = Slice(bytes + Int(head.authorityStart), Int(head.authorityLength))
        return message
    }

    static func response(_ text: String, _ arena: inout Arena) -> Message {
        let bytes = copy(text, &arena)
        var head = ResponseHead()
        var message = Message(isRequest: false, head: bytes, fields: fields(&arena))
        let outcome = HeadParser.parseResponse(
            bytes,
            count: text.utf8.count,
            limits: HeadLimits(),
            fields: message.fields,
            requestMethod: .get,
            into: &head
        )
        precondition(outcome == .complete, "\(outcome): \(text)")
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.status = head.status
        return message
    }

    var requestFields: String { Self.text(context.pointee.request) }

    var responseFields: String { Self.text(context.pointee.response) }

    /// The field lines of a message as they are written, each ending with "\n".
    static func text(_ message: Message) -> String {
        let bound = message.fieldBytesMax
        let out = UnsafeMutablePointer<UInt8>.allocate(capacity: bound + 1)
        defer { out.deallocate() }
        out[bound] = 0xAA
        let count = message.writeFields(to: out)
        precondition(count <= bound && out[bound] == 0xAA, "more than the bound was written")
        return String(
            decoding: UnsafeBufferPointer(start: out, count: count).filter { $0 != 0x0D },
            as: UTF8.self
        )
    }
}

extension Slice {
    var text: String {
        String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}
