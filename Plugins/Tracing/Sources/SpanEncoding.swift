package import SluiceSDK

/// How batches are written.
package enum SpanEncoding: UInt8, BitwiseCopyable {
    /// OTLP in protobuf.
    case protobuf
    /// OTLP in JSON.
    case json

    /// What the request says of its body.
    var contentType: Bytes {
        switch self {
        case .protobuf: "application/x-protobuf"
        case .json: "application/json"
        }
    }
}

/// Who the spans are of: what stands once in each batch.
package struct SpanSource: BitwiseCopyable {
    /// Attributes of the resource.
    package struct Attribute: BitwiseCopyable {
        package let key: Bytes
        package let value: Bytes

        package init(_ key: Bytes, _ value: Bytes) {
            self.key = key
            self.value = value
        }
    }

    /// Name and version of what made the spans.
    static var scopeName: Bytes { "org.sluice.tracing" }
    static var scopeVersion: Bytes { "0.1.0" }

    let attributes: List<Attribute>

    /// - Parameter attributes: of the resource, keys and values valid UTF-8.
    package init(_ attributes: List<Attribute>) { self.attributes = attributes }
}

/// Writes batches: `ExportTraceServiceRequest` of OTLP 1.5.
package struct SpanEncoder: BitwiseCopyable {
    let encoding: SpanEncoding
    let source: SpanSource

    package init(_ encoding: SpanEncoding, _ source: SpanSource) {
        self.encoding = encoding
        self.source = source
    }

    /// Writes the oldest spans of a queue, as many as there is room for.
    ///
    /// - Parameter most: spans that a batch may have.
    /// - Returns: how many were written; 0 when not even one finds room.
    package func encode(
        _ queue: borrowing SpanQueue,
        most: Int,
        to sink: inout ByteSink
    ) -> Int {
        switch encoding {
        case .protobuf: encodeProtobuf(queue, most: most, &sink)
        case .json: encodeJSON(queue, most: most, &sink)
        }
    }

    /// Spans that a receiver took, says it, and refused (`rejected_spans` of
    /// `ExportTracePartialSuccess`); 0 when it says nothing of the kind.
    package func rejected(_ answer: Bytes) -> UInt64 {
        switch encoding {
        case .protobuf:
            guard let partial = Protobuf.field(1, of: answer)?.bytes else { return 0 }
            return Protobuf.field(1, of: partial)?.number ?? 0
        case .json: return Self.number(behind: "\"rejectedSpans\"", in: answer)
        }
    }

    private static func number(behind key: Bytes, in text: Bytes) -> UInt64 {
        var offset = 0
        while offset + key.count <= text.count {
            if text.dropFirst(offset).hasPrefix(key) {
                var rest = text.dropFirst(offset + key.count)
                // A number of 64 bits may stand in quotes.
                while !rest.isEmpty, rest[0] == 0x3A || rest[0] == 0x20 || rest[0] == 0x22 {
                    rest = rest.dropFirst(1)
                }
                var end = 0
                while end < rest.count, rest[end] &- 0x30 < 10 { end += 1 }
                return rest.prefix(end).decimal ?? 0
            }
            offset += 1
        }
        return 0
    }
}
