import SluiceSDK

/// Batches in protobuf; numbers of fields are those of `opentelemetry/proto/trace/v1/trace.proto`.
extension SpanEncoder {
    func encodeProtobuf(
        _ queue: borrowing SpanQueue,
        most: Int,
        _ sink: inout ByteSink
    ) -> Int {
        let resourceSpans = sink.begin(1)
        let resource = sink.begin(1)
        for attribute in source.attributes {
            let pair = sink.begin(1)
            sink.field(1, attribute.key)
            let value = sink.begin(2)
            sink.field(1, attribute.value)
            sink.end(value)
            sink.end(pair)
        }
        sink.end(resource)
        let scopeSpans = sink.begin(2)
        let scope = sink.begin(1)
        sink.field(1, SpanSource.scopeName)
        sink.field(2, SpanSource.scopeVersion)
        sink.end(scope)
        // The lengths of the messages around the spans grow by three bytes at most.
        sink.capacity -= 8
        var number = 0
        while number < min(most, queue.count) {
            let before = sink.count
            encode(queue[number], &sink)
            if sink.isFull {
                sink.rewind(to: before)
                break
            }
            number += 1
        }
        sink.capacity += 8
        sink.end(scopeSpans)
        sink.end(resourceSpans)
        return number
    }

    private func encode(_ place: SpanPlace, _ sink: inout ByteSink) {
        let record = place.record.pointee
        let span = sink.begin(2)
        id(1, record.traceHigh, record.traceLow, &sink)
        id(2, record.spanID, &sink)
        let state = place.text(.state)
        if !state.isEmpty { sink.field(3, state) }
        if record.parentID != 0 { id(4, record.parentID, &sink) }
        let name = sink.begin(5)
        if place.isCache {
            sink.append("cache")
        } else if place.isHook {
            sink.append("plugin ")
            sink.append(place.text(.plugin))
            sink.append(0x2F)
            sink.append(place.phaseName)
        } else {
            sink.append(place.methodName)
            let route = place.routeName
            if !route.isEmpty {
                sink.append(0x20)
                sink.append(route)
            }
        }
        sink.end(name)
        sink.field(6, number: record.protocolKind)
        sink.field(7, fixed64: record.start)
        sink.field(8, fixed64: record.end)
        var visitor = ProtobufAttributes(sink: sink)
        place.visitAttributes(&visitor)
        sink = visitor.take()
        if record.firstByte != 0 {
            let event = sink.begin(11)
            sink.field(1, fixed64: record.firstByte)
            sink.field(2, "first_byte")
            sink.end(event)
        }
        if record.marks & SpanRecord.Mark.link != 0 {
            let link = sink.begin(13)
            id(1, record.linkHigh, record.linkLow, &sink)
            id(2, record.linkSpan, &sink)
            sink.field(6, fixed32: place.linkFlags)
            sink.end(link)
        }
        if place.isError {
            let status = sink.begin(15)
            sink.field(3, number: 2)
            sink.end(status)
        }
        sink.field(16, fixed32: place.spanFlags)
        sink.end(span)
    }

    private func id(_ field: UInt64, _ high: UInt64, _ low: UInt64, _ sink: inout ByteSink) {
        sink.varint(field << 3 | 2)
        sink.varint(16)
        sink.append(big: high)
        sink.append(big: low)
    }

    private func id(_ field: UInt64, _ number: UInt64, _ sink: inout ByteSink) {
        sink.varint(field << 3 | 2)
        sink.varint(8)
        sink.append(big: number)
    }
}

/// Attributes as `KeyValue` messages of a span.
struct ProtobufAttributes: AttributeVisitor, ~Copyable {
    private var sink: ByteSink

    init(sink: consuming ByteSink) { self.sink = sink }

    consuming func take() -> ByteSink { sink }

    mutating func text(_ key: StaticString, _ value: Bytes) {
        let (pair, any) = begin(key)
        sink.field(1, value)
        sink.end(any)
        sink.end(pair)
    }

    mutating func number(_ key: StaticString, _ value: UInt64) {
        let (pair, any) = begin(key)
        sink.field(3, number: value)
        sink.end(any)
        sink.end(pair)
    }

    mutating func flag(_ key: StaticString, _ value: Bool) {
        let (pair, any) = begin(key)
        sink.field(2, number: value ? 1 : 0)
        sink.end(any)
        sink.end(pair)
    }

    private mutating func begin(_ key: StaticString) -> (pair: Int, value: Int) {
        let pair = sink.begin(9)
        sink.field(1, Bytes(key))
        return (pair, sink.begin(2))
    }
}

extension SpanPlace {
    /// `flags` of a span: those of the trace, and whether its parent is in another process.
    var spanFlags: UInt32 {
        let remote = record.pointee.marks & SpanRecord.Mark.remoteParent != 0
        return UInt32(record.pointee.traceFlags) | 0x100 | (remote ? 0x200 : 0)
    }

    /// `flags` of the link, whose span is in another process.
    var linkFlags: UInt32 { UInt32(record.pointee.linkFlags) | 0x300 }
}
