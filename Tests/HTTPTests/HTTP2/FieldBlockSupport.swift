@testable import HTTP

/// Names and values of a block in one text: `name: value` lines.
func fields(_ lines: String) -> [HeaderField] {
    lines.split(separator: "\n").map { line in
        // A pseudo-field's name begins with a colon.
        guard let colon = line.dropFirst().firstIndex(of: ":") else {
            return HeaderField(String(line), "")
        }
        let value = line[line.index(after: colon)...]
        return HeaderField(String(line[..<colon]), String(value.dropFirst()))
    }
}

/// A block of literals, which holds the names as they are written.
func literals(_ list: [HeaderField]) -> [UInt8] {
    var block: [UInt8] = []
    for field in list {
        block.append(field.isNeverIndexed ? 0x10 : 0)
        for string in [latin1(field.name), latin1(field.value)] {
            block += written(room: HPACKInteger.encodedBytesMax) {
                HPACKInteger.encode(string.count, prefix: 0x7F, pattern: 0, to: $0)
            }
            block += string
        }
    }
    return block
}

/// What reading a block gave: the head as text where it is complete.
struct ReadBlock<Message> {
    var outcome: FieldBlock.Outcome
    var head: String
    var message: Message
}

/// Calls a reader with memory of exactly the sizes that it asks for.
func withReader<Result>(
    _ block: [UInt8],
    room: Int,
    _ body: (
        _ block: UnsafePointer<UInt8>, _ scratch: UnsafeMutablePointer<UInt8>, _ scratchCount: Int,
        _ out: UnsafeMutablePointer<UInt8>
    ) -> Result
) -> Result {
    let scratchCount = HPACKDecoder.scratchBytes(blockBytes: block.count)
    let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: scratchCount)
    let out = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
    defer {
        scratch.deallocate()
        out.deallocate()
    }
    return withExactCopy(block) { body($0, scratch, scratchCount, out) }
}

func readRequest(
    _ list: [HeaderField],
    limits: HeadLimits = HeadLimits(),
    allowsProtocol: Bool = false
) -> ReadBlock<FieldBlock.Request> {
    readRequest(block: literals(list), limits: limits, allowsProtocol: allowsProtocol)
}

func readRequest(
    block: [UInt8],
    limits: HeadLimits = HeadLimits(),
    allowsProtocol: Bool = false
) -> ReadBlock<FieldBlock.Request> {
    var decoder = HPACKDecoder()
    var message = FieldBlock.Request()
    let room = FieldBlock.readRoom(headBytesMax: limits.headBytesMax)
    return withReader(block, room: room) { bytes, scratch, scratchCount, out in
        let outcome = FieldBlock.readRequest(
            bytes,
            count: block.count,
            decoder: &decoder,
            scratch: scratch,
            scratchCount: scratchCount,
            limits: limits,
            allowsProtocol: allowsProtocol,
            to: out,
            into: &message
        )
        let head = text(UnsafeBufferPointer(start: out, count: message.byteCount))
        return ReadBlock(outcome: outcome, head: head, message: message)
    }
}

func readResponse(
    _ list: [HeaderField],
    limits: HeadLimits = HeadLimits()
) -> ReadBlock<FieldBlock.Response> {
    let block = literals(list)
    var decoder = HPACKDecoder()
    var message = FieldBlock.Response()
    let room = FieldBlock.readRoom(headBytesMax: limits.headBytesMax)
    return withReader(block, room: room) { bytes, scratch, scratchCount, out in
        let outcome = FieldBlock.readResponse(
            bytes,
            count: block.count,
            decoder: &decoder,
            scratch: scratch,
            scratchCount: scratchCount,
            limits: limits,
            to: out,
            into: &message
        )
        let head = text(UnsafeBufferPointer(start: out, count: message.byteCount))
        return ReadBlock(outcome: outcome, head: head, message: message)
    }
}

func readTrailers(_ list: [HeaderField]) -> ReadBlock<Int> {
    let block = literals(list)
    var decoder = HPACKDecoder()
    var count = 0
    return withReader(block, room: ChunkLimits.trailerBytesMax) { bytes, scratch, size, out in
        let outcome = FieldBlock.readTrailers(
            bytes,
            count: block.count,
            decoder: &decoder,
            scratch: scratch,
            scratchCount: size,
            to: out,
            byteCount: &count
        )
        let head = text(UnsafeBufferPointer(start: out, count: count))
        return ReadBlock(outcome: outcome, head: head, message: count)
    }
}
