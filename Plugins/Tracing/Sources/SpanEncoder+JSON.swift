import SluiceSDK

/// Batches in JSON, as OTLP has it: ids in hexadecimal, numbers of 64 bits as text, enums as
/// numbers.
extension SpanEncoder {
    /// What closes all that stands around the spans.
    private static var closing: Bytes { "]}]}]}" }

    func encodeJSON(_ queue: borrowing SpanQueue, most: Int, _ sink: inout ByteSink) -> Int {
        sink.append("{\"resourceSpans\":[{\"resource\":{\"attributes\":[")
        var isFirst = true
        for attribute in source.attributes {
            if !isFirst { sink.append(0x2C) }
            isFirst = false
            sink.append("{\"key\":")
            sink.append(jsonText: attribute.key)
            sink.append(",\"value\":{\"stringValue\":")
            sink.append(jsonText: attribute.value)
            sink.append("}}")
        }
        sink.append("]},\"scopeSpans\":[{\"scope\":{\"name\":")
        sink.append(jsonText: SpanSource.scopeName)
        sink.append(",\"version\":")
        sink.append(jsonText: SpanSource.scopeVersion)
        sink.append("},\"spans\":[")
        sink.capacity -= Self.closing.count
        var number = 0
        while number < min(most, queue.count) {
            let before = sink.count
            if number > 0 { sink.append(0x2C) }
            encode(queue[number], &sink)
            if sink.isFull {
                sink.rewind(to: before)
                break
            }
            number += 1
        }
        sink.capacity += Self.closing.count
        sink.append(Self.closing)
        return number
    }

    private func encode(_ place: SpanPlace, _ sink: inout ByteSink) {
        let record = place.record.pointee
        sink.append("{\"traceId\":\"")
        sink.append(hexadecimal: record.traceHigh)
        sink.append(hexadecimal: record.traceLow)
        sink.append("\",\"spanId\":\"")
        sink.append(hexadecimal: record.spanID)
        sink.append(0x22)
        let state = place.text(.state)
        if !state.isEmpty {
            sink.append(",\"traceState\":")
            sink.append(jsonText: state)
        }
        if record.parentID != 0 {
            sink.append(",\"parentSpanId\":\"")
            sink.append(hexadecimal: record.parentID)
            sink.append(0x22)
        }
        sink.append(",\"flags\":")
        sink.append(decimal: UInt64(place.spanFlags))
        name(place, &sink)
        sink.append(",\"kind\":")
        sink.append(decimal: record.protocolKind)
        sink.append(",\"startTimeUnixNano\":\"")
        sink.append(decimal: record.start)
        sink.append("\",\"endTimeUnixNano\":\"")
        sink.append(decimal: record.end)
        sink.append("\",\"attributes\":[")
        var visitor = JSONAttributes(sink: sink)
        place.visitAttributes(&visitor)
        sink = visitor.take()
        sink.append(0x5D)
        if record.firstByte != 0 {
            sink.append(",\"events\":[{\"timeUnixNano\":\"")
            sink.append(decimal: record.firstByte)
            sink.append("\",\"name\":\"first_byte\"}]")
        }
        link(place, &sink)
        if place.isError { sink.append(",\"status\":{\"code\":2}") }
        sink.append(0x7D)
    }

    private func name(_ place: SpanPlace, _ sink: inout ByteSink) {
        sink.append(",\"name\":\"")
        if place.isCache {
            sink.append("cache")
        } else if place.isHook {
            sink.append("plugin ")
            sink.append(escaped: place.text(.plugin))
            sink.append(0x2F)
            sink.append(place.phaseName)
        } else {
            sink.append(escaped: place.methodName)
            let route = place.routeName
            if !route.isEmpty {
                sink.append(0x20)
                sink.append(escaped: route)
            }
        }
        sink.append(0x22)
    }

    private func link(_ place: SpanPlace, _ sink: inout ByteSink) {
        let record = place.record.pointee
        guard record.marks & SpanRecord.Mark.link != 0 else { return }
        sink.append(",\"links\":[{\"traceId\":\"")
        sink.append(hexadecimal: record.linkHigh)
        sink.append(hexadecimal: record.linkLow)
        sink.append("\",\"spanId\":\"")
        sink.append(hexadecimal: record.linkSpan)
        sink.append("\",\"flags\":")
        sink.append(decimal: UInt64(place.linkFlags))
        sink.append("}]")
    }
}

extension ByteSink {
    /// Appends a string in quotes (RFC 8259 §7).
    mutating func append(jsonText text: Bytes) {
        append(0x22)
        append(escaped: text)
        append(0x22)
    }

    /// Appends what stands between the quotes; `text` is valid UTF-8.
    mutating func append(escaped text: Bytes) {
        for offset in text.indices {
            let byte = text[offset]
            switch byte {
            case 0x22, 0x5C:
                append(0x5C)
                append(byte)
            case 0..<0x20:
                append("\\u00")
                append(0x30 + (byte >> 4))
                append(byte & 15 < 10 ? 0x30 + (byte & 15) : 0x57 + (byte & 15))
            default: append(byte)
            }
        }
    }
}

/// Attributes as members of an array.
struct JSONAttributes: AttributeVisitor, ~Copyable {
    private var sink: ByteSink
    private var isFirst = true

    init(sink: consuming ByteSink) { self.sink = sink }

    consuming func take() -> ByteSink { sink }

    mutating func text(_ key: StaticString, _ value: Bytes) {
        begin(key)
        sink.append("{\"stringValue\":")
        sink.append(jsonText: value)
        sink.append("}}")
    }

    mutating func number(_ key: StaticString, _ value: UInt64) {
        begin(key)
        sink.append("{\"intValue\":\"")
        sink.append(decimal: value)
        sink.append("\"}}")
    }

    mutating func flag(_ key: StaticString, _ value: Bool) {
        begin(key)
        sink.append(value ? "{\"boolValue\":true}}" : "{\"boolValue\":false}}")
    }

    private mutating func begin(_ key: StaticString) {
        if !isFirst { sink.append(0x2C) }
        isFirst = false
        sink.append("{\"key\":")
        sink.append(jsonText: Bytes(key))
        sink.append(",\"value\":")
    }
}
