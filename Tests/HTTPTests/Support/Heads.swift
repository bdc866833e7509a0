import HTTP

/// The bytes of a text whose characters stand for one byte each (ISO 8859-1).
func latin1(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { scalar in
        precondition(scalar.value < 256, "a character over U+00FF")
        return UInt8(scalar.value)
    }
}

/// The text of bytes, a character each.
func text(_ bytes: some Sequence<UInt8>) -> String {
    var scalars = String.UnicodeScalarView()
    for byte in bytes { scalars.append(Unicode.Scalar(byte)) }
    return String(scalars)
}

/// A field with its texts.
struct Field: Equatable {
    var name: String
    var value: String
    var id: FieldID
    var isDropped: Bool
    var isRepeated: Bool
}

/// The bytes of a head and what a parser made of them.
struct Parsed<Head> {
    var bytes: [UInt8]
    var outcome: HeadOutcome
    var head: Head
    var spans: [FieldSpan]

    var fields: [Field] {
        spans.map { span in
            Field(
                name: slice(span.nameStart, span.nameLength),
                value: slice(span.valueStart, span.valueLength),
                id: span.id,
                isDropped: span.flags & FieldSpan.dropped != 0,
                isRepeated: span.flags & FieldSpan.repeated != 0
            )
        }
    }

    var droppedNames: [String] {
        fields.filter { $0.isDropped }.map { $0.name }
    }

    func slice(_ start: UInt16, _ length: UInt16) -> String {
        text(bytes[Int(start)..<Int(start) + Int(length)])
    }
}

/// Runs a parser over bytes in a block of exactly their size, with spans that begin as garbage.
private func parse<Head>(
    _ bytes: [UInt8],
    room: Int,
    head: Head,
    _ body: (UnsafePointer<UInt8>, UnsafeMutablePointer<FieldSpan>, inout Head) -> HeadOutcome,
    fieldCount: (Head) -> Int
) -> Parsed<Head> {
    let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
    defer { block.deallocate() }
    for (index, byte) in bytes.enumerated() { block[index] = byte }
    let spans = UnsafeMutablePointer<FieldSpan>.allocate(capacity: room)
    defer { spans.deallocate() }
    UnsafeMutableRawPointer(spans).initializeMemory(
        as: UInt8.self,
        repeating: 0xAA,
        count: room * MemoryLayout<FieldSpan>.stride
    )
    var head = head
    let outcome = body(block, spans, &head)
    let count = outcome == .complete ? fieldCount(head) : 0
    return Parsed(
        bytes: bytes,
        outcome: outcome,
        head: head,
        spans: (0..<count).map { spans[$0] }
    )
}

func request(_ bytes: [UInt8], limits: HeadLimits = HeadLimits()) -> Parsed<RequestHead> {
    parse(bytes, room: limits.fieldCountMax, head: RequestHead()) { base, spans, head in
        HeadParser.parseRequest(
            base,
            count: bytes.count,
            limits: limits,
            fields: spans,
            into: &head
        )
    } fieldCount: {
        Int($0.fieldCount)
    }
}

func request(_ text: String, limits: HeadLimits = HeadLimits()) -> Parsed<RequestHead> {
    request(latin1(text), limits: limits)
}

func response(
    _ bytes: [UInt8],
    to method: HTTP.Method = .get,
    limits: HeadLimits = HeadLimits()
) -> Parsed<ResponseHead> {
    parse(bytes, room: limits.fieldCountMax, head: ResponseHead()) { base, spans, head in
        HeadParser.parseResponse(
            base,
            count: bytes.count,
            limits: limits,
            fields: spans,
            requestMethod: method,
            into: &head
        )
    } fieldCount: {
        Int($0.fieldCount)
    }
}

func response(
    _ text: String,
    to method: HTTP.Method = .get,
    limits: HeadLimits = HeadLimits()
) -> Parsed<ResponseHead> {
    response(latin1(text), to: method, limits: limits)
}

/// What `parseTrailers` reports besides the spans.
struct TrailerSection {
    var fieldCount = 0
    var consumed = 0
}

func trailers(_ bytes: [UInt8]) -> Parsed<TrailerSection> {
    parse(bytes, room: ChunkLimits.trailerFieldsMax, head: TrailerSection()) { base, spans, head in
        HeadParser.parseTrailers(
            base,
            count: bytes.count,
            fields: spans,
            fieldCount: &head.fieldCount,
            consumed: &head.consumed
        )
    } fieldCount: {
        $0.fieldCount
    }
}

func trailers(_ text: String) -> Parsed<TrailerSection> {
    trailers(latin1(text))
}

/// A request with a good line and Host, and the fields given, each with its CRLF.
func get(_ fields: String, method: String = "GET", version: String = "1.1") -> Parsed<RequestHead> {
    request("\(method) / HTTP/\(version)\r\nHost: a.example\r\n\(fields)\r\n")
}

/// A response with a good line and the fields given, each with its CRLF.
func answer(
    _ fields: String,
    status: Int = 200,
    version: String = "1.1",
    to method: HTTP.Method = .get
) -> Parsed<ResponseHead> {
    response("HTTP/\(version) \(status) Reason\r\n\(fields)\r\n", to: method)
}
